/* Matrix: the two products that a softmax head's training spends its time in. */
#ifndef WEIR_CLASSIFIER_MATRIX_H
#define WEIR_CLASSIFIER_MATRIX_H

#include "weir_base.h"

/* out[k] = rows[k] · x for n_rows rows of n floats, one after the other. */
typedef void matrix_apply_fn(const float *rows, size_t n_rows, const float *x, size_t n, float *out);
/* out += a[0] x[0] + … + a[3] x[3], vectors of n floats. */
typedef void matrix_add4_fn(float *out, const float a[4], const float *const x[4], size_t n);

matrix_apply_fn matrix_apply_scalar, matrix_apply_avx2;
matrix_add4_fn matrix_add4_scalar, matrix_add4_avx2;

struct matrix_kernels {
    matrix_apply_fn *apply;
    matrix_add4_fn *add4;
};
/* What this CPU (or WEIR_KERNELS) allows. */
struct matrix_kernels matrix_kernels(void);

#endif
