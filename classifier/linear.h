/* Linear: ridge and logistic regression on the map's dense and hashed features. */
#ifndef WEIR_CLASSIFIER_LINEAR_H
#define WEIR_CLASSIFIER_LINEAR_H

#include "lexical.h"

/* Weights of one head, or a vector of the same shape. */
struct linear {
    int n_dense;
    float *dense;
    float *buckets; /* N_BUCKETS */
    float bias;
};

/* Rows borrowed by a fit. */
struct design {
    size_t n;
    int n_dense;
    const float *dense; /* n × n_dense */
    const struct grams *grams;
};

enum linear_loss { LOSS_SQUARED, LOSS_LOGISTIC };

int linear_init(struct linear *linear, int n_dense) WEIR_CHECKED; /* Zero weights. Release also after an error. */
void linear_release(struct linear *linear);
float linear_value(const struct linear *linear, const float *dense, const struct grams *grams);

/* Minimises  Σ weight_i loss(target_i, f(x_i)) + penalty/2 |w|²  (the bias is free) from zero; squared loss is ½(t − f)².
 * Targets of the logistic loss are probabilities. One thread; the same result for the same input. */
int linear_fit(struct linear *out, const struct design *design, const float *targets, const float *weights, enum linear_loss loss,
               double penalty) WEIR_CHECKED;

#endif
