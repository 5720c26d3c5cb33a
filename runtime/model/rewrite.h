/* Rewrite: a GGUF model of which some layers, heads or MLP columns, or the rank of matrices, are to be changed: opened with what was
 * measured on a text, and written anew with other hyperparameters. */
#ifndef WEIR_MODEL_REWRITE_H
#define WEIR_MODEL_REWRITE_H

#include "decoder/activity.h"
#include "decoder/convert.h"
#include "weir_runtime.h"

struct rewrite {
    const char *in;
    char *made;           /* The GGUF file made of a directory, removed at the end; NULL: none. */
    struct model *model;
    struct decoder *decoder;
    const struct model_file *file;
    struct activity activity;
    struct gguf_builder builder;
    struct decoder edited; /* A copy whose configuration is to be written; its arrays are the builder's. */
};

/* Opens the model (a directory is converted beside out first) and runs it over the text. *perplexity: of it. */
int rewrite_open(struct rewrite *rewrite, const char *in, const char *out, str text, double *perplexity, struct error *err) WEIR_CHECKED;
/* Adds all keys: the file's own, and those of `edited`. */
void rewrite_add_keys(struct rewrite *rewrite);
/* Writes out, after the new file has been found to say what `edited` says. */
int rewrite_write(struct rewrite *rewrite, const char *out, struct error *err) WEIR_CHECKED;
void rewrite_close(struct rewrite *rewrite);

/* "blk.N.rest": N and rest; -1 and the whole name outside of layers. */
int rewrite_layer_of(const char *name, const char **rest);

#endif
