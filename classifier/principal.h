/* Principal: the directions in which vectors spread most. */
#ifndef WEIR_CLASSIFIER_PRINCIPAL_H
#define WEIR_CLASSIFIER_PRINCIPAL_H

#include "weir_base.h"

/* The n_dims orthonormal directions of width floats, one after the other, that keep most of the squared length of n vectors
 * (weights NULL: each counts 1), by orthogonal iteration from a fixed start: the largest come first. */
int principal_fit(const float *vectors, const float *weights, size_t n, size_t width, size_t n_dims, float *out, struct pool *pool) WEIR_CHECKED;

#endif
