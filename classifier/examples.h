/* Examples: lines with everything a head looks at. */
#ifndef WEIR_CLASSIFIER_EXAMPLES_H
#define WEIR_CLASSIFIER_EXAMPLES_H

#include "lexical.h"
#include "lines.h"
#include "static_table.h"
#include "surface.h"
#include "weir_runtime.h"

struct examples {
    struct lines lines;
    float *surfaces;      /* n × N_SURFACE */
    struct grams *grams;  /* n, not weighed. */
    float *embeddings;    /* n × n_embd; NULL without an encoder. */
    float *inners;        /* The same of model_embed_inner. */
    int n_embd;
    float *statics;       /* n × the static table's n_dims; NULL without one. */
};

/* Reads a file and computes features, embeddings and, with a table of the encoder's vocabulary, static vectors. Release also
 * after an error. */
int examples_read(struct examples *examples, const char *path, struct model *encoder, const struct static_table *table, struct pool *pool, bool quiet,
                  struct error *err) WEIR_CHECKED;
/* The encoder's vectors of all lines: n × n_embd each; inners may be NULL. */
int lines_embed(const struct lines *lines, struct model *encoder, float *embeddings, float *inners, bool quiet, struct error *err) WEIR_CHECKED;
void examples_release(struct examples *examples);
/* "name: done of all" on standard error, at most one line of a terminal. */
void progress_show(bool quiet, const char *what, size_t done, size_t all);

#endif
