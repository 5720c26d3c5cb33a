/* Examples: lines with everything a head looks at. */
#ifndef WEIR_CLASSIFIER_EXAMPLES_H
#define WEIR_CLASSIFIER_EXAMPLES_H

#include "lexical.h"
#include "lines.h"
#include "surface.h"
#include "weir_runtime.h"

struct examples {
    struct lines lines;
    float *surfaces;      /* n × N_SURFACE */
    struct grams *grams;  /* n, not weighed. */
    float *embeddings;    /* n × n_embd; NULL without an encoder. */
    float *inners;        /* The same of model_embed_inner. */
    int n_embd;
};

/* Reads a file and computes features and embeddings. Release also after an error. */
int examples_read(struct examples *examples, const char *path, struct model *encoder, struct pool *pool, bool quiet, struct error *err) WEIR_CHECKED;
void examples_release(struct examples *examples);
/* "name: done of all" on standard error, at most one line of a terminal. */
void progress_show(bool quiet, const char *what, size_t done, size_t all);

#endif
