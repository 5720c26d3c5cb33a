/* f32 dot products with AVX2: sixteen running sums are two registers, so that an element's sum is that of the AVX-512 form;
 * four rows of weights take one row of x at a time, in eight registers. */
#include "kernels/rows.h"
#include "kernels/half.h"

#include <immintrin.h>

static float add_across(__m256 low, __m256 high)
{
    __m256 eight = _mm256_add_ps(low, high);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

static void one_row(const float *const w[ROWS_AT_ONCE], const float *x, int n, float *sums)
{
    __m256 acc[ROWS_AT_ONCE][2];
    int k = 0;
#pragma GCC unroll 4
    for (int row = 0; row < ROWS_AT_ONCE; row++)
        acc[row][0] = acc[row][1] = _mm256_setzero_ps();
    for (; k + 16 <= n; k += 16) {
        __m256 low = _mm256_loadu_ps(x + k), high = _mm256_loadu_ps(x + k + 8);
#pragma GCC unroll 4
        for (int row = 0; row < ROWS_AT_ONCE; row++) {
            acc[row][0] = _mm256_fmadd_ps(_mm256_loadu_ps(w[row] + k), low, acc[row][0]);
            acc[row][1] = _mm256_fmadd_ps(_mm256_loadu_ps(w[row] + k + 8), high, acc[row][1]);
        }
    }
    if (k < n) {
        __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        __m256i mask_low = _mm256_cmpgt_epi32(_mm256_set1_epi32(n - k), lane), mask_high = _mm256_cmpgt_epi32(_mm256_set1_epi32(n - k - 8), lane);
        __m256 low = _mm256_maskload_ps(x + k, mask_low), high = _mm256_maskload_ps(x + k + 8, mask_high);
#pragma GCC unroll 4
        for (int row = 0; row < ROWS_AT_ONCE; row++) {
            acc[row][0] = _mm256_fmadd_ps(_mm256_maskload_ps(w[row] + k, mask_low), low, acc[row][0]);
            acc[row][1] = _mm256_fmadd_ps(_mm256_maskload_ps(w[row] + k + 8, mask_high), high, acc[row][1]);
        }
    }
#pragma GCC unroll 4
    for (int row = 0; row < ROWS_AT_ONCE; row++)
        sums[row] += add_across(acc[row][0], acc[row][1]);
}

void rows_dot_avx2(const float *const w[ROWS_AT_ONCE], const float *x, size_t x_stride, int n_x, int n, float *sums)
{
    for (int i = 0; i < n_x; i++)
        one_row(w, x + (size_t)i * x_stride, n, sums + i * ROWS_AT_ONCE);
}

void rows_widen_f16_avx2(const uint8_t *in, float *out, int64_t n)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(in + 2 * i))));
    for (; i < n; i++)
        out[i] = load_half(in + 2 * i);
}

void rows_narrow_f16_avx2(const float *in, int n, uint16_t *out)
{
    int i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((__m128i *)(void *)(out + i), _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < n; i++)
        out[i] = float_to_half(in[i]);
}
