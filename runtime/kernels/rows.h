/* Weight rows as they lie in the file, in f32 arithmetic: the exact form of every linear, and the fast one of float weights.
 *
 * Four rows at a time are brought to f32 in pieces on the stack and multiplied with every row of x. The sum of an output
 * element is that of its pieces, in order; inside a piece sixteen running sums are kept and added pairwise. */
#ifndef WEIR_KERNELS_ROWS_H
#define WEIR_KERNELS_ROWS_H

#include "kernels/tensor.h"

enum { ROWS_AT_ONCE = 4, ROWS_PIECE = 1024 };

struct rows {
    enum tensor_type type;
    int n_in;
    int n_out;
    const uint8_t *data;
    size_t row_bytes;
    const float *bias;
    float scale;
};

/* Outputs first … first + ROWS_AT_ONCE - 1 (as far as there are any) for all rows of x. */
void rows_multiply(const struct rows *rows, int first, const float *x, int n_x, float *y);

/* sums[x * 4 + w] += w[w] · x[x], n wide, for four rows of w and n_x of x. */
typedef void rows_dot_fn(const float *const w[ROWS_AT_ONCE], const float *x, size_t x_stride, int n_x, int n, float *sums);
rows_dot_fn rows_dot_avx2, rows_dot_vnni, rows_dot_neon;
void rows_widen_f16_avx2(const uint8_t *in, float *out, int64_t n);
void rows_narrow_f16_avx2(const float *in, int n, uint16_t *out);
void rows_widen_f16_neon(const uint8_t *in, float *out, int64_t n);
void rows_narrow_f16_neon(const float *in, int n, uint16_t *out);

#endif
