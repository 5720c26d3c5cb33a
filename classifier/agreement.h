/* Agreement: how well short vectors stand in for an encoder's. */
#ifndef WEIR_CLASSIFIER_AGREEMENT_H
#define WEIR_CLASSIFIER_AGREEMENT_H

#include "weir_base.h"

struct agreement {
    size_t n;
    double cosine;           /* Mean, of a text's vector with the encoder's own. */
    double limit;            /* The same of the best vectors of as many numbers: what projecting keeps. */
    double rank_correlation; /* Spearman's, of the likenesses of pairs of texts by the one and by the other. */
};

/* vectors: n × n_dims of length 1 (or zero) in the coordinates of directions (n_dims × width, orthonormal); embeddings: n × width
 * of length 1. seed: of the pairs. */
int agreement_measure(const float *vectors, const float *embeddings, const float *directions, size_t n, size_t n_dims, size_t width, uint64_t seed,
                      struct agreement *out) WEIR_CHECKED;
/* out: n_dims floats, the coordinates of x along the directions. */
void project(const float *directions, const float *x, size_t n_dims, size_t width, float *out);

#endif
