/* Fit of a static table: token vectors whose mean over a text comes close to a given vector of the text. */
#ifndef WEIR_CLASSIFIER_DISTILL_FIT_H
#define WEIR_CLASSIFIER_DISTILL_FIT_H

#include "weir_base.h"

enum { FIT_SLICE = 16 };

/* Texts as runs of token ids: text i has ids[starts[i]] … ids[starts[i + 1] - 1]. */
struct corpus {
    size_t n;
    size_t *starts; /* n + 1 */
    int32_t *ids;
};

/* Minimises Σ_i weight_i |mean of i's rows - target_i|² + penalty |rows - prior|², by conjugate gradients from the rows given; texts with a
 * weight of 0 or no ids are left out. rows, prior: n_tokens × n_dims; targets: n × n_dims; n_dims a multiple of FIT_SLICE. The same
 * result for any number of threads. */
int distill_fit(const struct corpus *corpus, const float *targets, const float *weights, const float *prior, size_t n_tokens, size_t n_dims,
                float penalty, int n_steps, float *rows, struct pool *pool) WEIR_CHECKED;

#endif
