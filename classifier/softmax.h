/* Softmax: multinomial logistic regression on dense vectors. */
#ifndef WEIR_CLASSIFIER_SOFTMAX_H
#define WEIR_CLASSIFIER_SOFTMAX_H

#include "weir_base.h"

struct softmax {
    int n_classes;
    int n_inputs;
    float *weights; /* n_classes × n_inputs, then n_classes biases. */
};

/* Rows borrowed by a fit: x[i] has n_inputs floats, classes[i] < 0 leaves the row out. */
struct softmax_rows {
    const float *const *x;
    const int *classes;
    size_t n;
    const float *weights; /* Of each class's rows; NULL: 1. */
};

int softmax_init(struct softmax *softmax, int n_classes, int n_inputs) WEIR_CHECKED; /* Zero. Release also after an error. */
void softmax_release(struct softmax *softmax);
/* out: n_classes logits. */
void softmax_apply(const struct softmax *softmax, const float *x, float *out);
/* Minimises the summed, weighted cross-entropy + ½ |w|² (biases are free) in at most n_steps steps, from the weights it has. The same
 * result for the same input and CPU, whatever the number of threads. */
int softmax_fit(struct softmax *softmax, const struct softmax_rows *rows, int n_steps, struct pool *pool) WEIR_CHECKED;

#endif
