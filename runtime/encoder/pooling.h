/* Pooling: rows of a text → its embedding, as sentence-transformers' module files or a GGUF key say. */
#ifndef WEIR_ENCODER_POOLING_H
#define WEIR_ENCODER_POOLING_H

#include "encoder/weights.h"

struct pooling {
    enum { POOL_MEAN = 0, POOL_FIRST, POOL_LAST, POOL_MAX, POOL_MEAN_SQRT } rows;
    bool normalised; /* To length 1 (L2). */
    int max_tokens;  /* Where texts are cut; 0: the file doesn't say. */
};

/* Mean and L2 where the file is silent. Errors in weights. */
void pooling_open(struct weights *weights, struct pooling *pooling);
void pooling_apply(const struct pooling *pooling, const float *rows, int n_rows, int width, float *out);

#endif
