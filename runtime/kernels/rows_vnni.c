/* f32 dot products with AVX-512: four rows of weights times up to four of x in sixteen registers. */
#include "kernels/rows.h"

#include <immintrin.h>

static inline __attribute__((always_inline)) void tile(const float *const w[ROWS_AT_ONCE], const float *x, size_t x_stride, int n_x, int n,
                                                       float *sums)
{
    __m512 acc[4][ROWS_AT_ONCE];
#pragma GCC unroll 4
    for (int i = 0; i < n_x; i++)
#pragma GCC unroll 4
        for (int row = 0; row < ROWS_AT_ONCE; row++)
            acc[i][row] = _mm512_setzero_ps();
    for (int k = 0; k < n; k += 16) {
        __mmask16 mask = n - k >= 16 ? 0xffff : (__mmask16)((1u << (n - k)) - 1);
        __m512 weights[ROWS_AT_ONCE];
#pragma GCC unroll 4
        for (int row = 0; row < ROWS_AT_ONCE; row++)
            weights[row] = _mm512_maskz_loadu_ps(mask, w[row] + k);
#pragma GCC unroll 4
        for (int i = 0; i < n_x; i++) {
            __m512 value = _mm512_maskz_loadu_ps(mask, x + (size_t)i * x_stride + k);
#pragma GCC unroll 4
            for (int row = 0; row < ROWS_AT_ONCE; row++)
                acc[i][row] = _mm512_fmadd_ps(weights[row], value, acc[i][row]);
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < n_x; i++)
#pragma GCC unroll 4
        for (int row = 0; row < ROWS_AT_ONCE; row++)
            sums[i * ROWS_AT_ONCE + row] += _mm512_reduce_add_ps(acc[i][row]);
}

void rows_dot_vnni(const float *const w[ROWS_AT_ONCE], const float *x, size_t x_stride, int n_x, int n, float *sums)
{
    int i = 0;
    for (; i + 4 <= n_x; i += 4)
        tile(w, x + (size_t)i * x_stride, x_stride, 4, n, sums + i * ROWS_AT_ONCE);
    for (; i < n_x; i++)
        tile(w, x + (size_t)i * x_stride, x_stride, 1, n, sums + i * ROWS_AT_ONCE);
}
