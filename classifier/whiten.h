/* Whiten: from likenesses to landmarks to coordinates whose product is the kernel (Nyström). */
#ifndef WEIR_CLASSIFIER_WHITEN_H
#define WEIR_CLASSIFIER_WHITEN_H

#include "weir_base.h"

struct whiten {
    size_t n;      /* Landmarks. */
    float *factor; /* n × n: the Cholesky factor L of the landmarks' kernel in its lower triangle. */
};

/* dense: rows of n likenesses; places: the rows that are the landmarks' own. Release also after an error. */
int whiten_init(struct whiten *whiten, const float *dense, const size_t *places, size_t n) WEIR_CHECKED;
void whiten_release(struct whiten *whiten);
/* k → L⁻¹ k for each of n_rows rows, in place. The same result for any number of threads. */
void whiten_rows(const struct whiten *whiten, float *dense, size_t n_rows, struct pool *pool);
/* Weights on L⁻¹ k become weights on k, in place. */
void whiten_undo(const struct whiten *whiten, float *weights);

#endif
