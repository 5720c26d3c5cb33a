/* Heads, AVX2: both products keep a block of four rows by sixteen columns of sums in registers. Each sum runs over its terms
 * in the order of the scalar form, with fused multiply-add: they differ by rounding only. */
#include "encoder/heads.h"

#include <immintrin.h>

void heads_scores_avx2(const float *keys, int dim, int n_columns, const float *const *queries, int n_queries, int first, int end,
                       float *scores)
{
    const float *q[HEADS_QUERIES];
    for (int r = 0; r < HEADS_QUERIES; r++)
        q[r] = queries[r < n_queries ? r : 0];
    for (int j = first; j < end; j += HEADS_KEY_TILE) {
        __m256 low[HEADS_QUERIES], high[HEADS_QUERIES];
        for (int r = 0; r < HEADS_QUERIES; r++)
            low[r] = high[r] = _mm256_setzero_ps();
        const float *column = keys + j;
        for (int d = 0; d < dim; d++, column += n_columns) {
            __m256 a = _mm256_loadu_ps(column), b = _mm256_loadu_ps(column + 8);
            for (int r = 0; r < HEADS_QUERIES; r++) {
                __m256 x = _mm256_broadcast_ss(q[r] + d);
                low[r] = _mm256_fmadd_ps(x, a, low[r]);
                high[r] = _mm256_fmadd_ps(x, b, high[r]);
            }
        }
        for (int r = 0; r < n_queries; r++) {
            float *row = scores + (size_t)r * (size_t)n_columns + j;
            _mm256_storeu_ps(row, low[r]);
            _mm256_storeu_ps(row + 8, high[r]);
        }
    }
}

/* Columns d … d + 8 of up to four rows. */
static void mix_eight(const float *values, int n_columns, const float *const w[static HEADS_QUERIES], int n_queries, int first, int end,
                      int d, float *out)
{
    __m256 sums[HEADS_QUERIES];
    for (int r = 0; r < HEADS_QUERIES; r++)
        sums[r] = _mm256_setzero_ps();
    for (int j = first; j < end; j++) {
        __m256 a = _mm256_loadu_ps(values + (size_t)j * (size_t)n_columns + d);
        for (int r = 0; r < HEADS_QUERIES; r++)
            sums[r] = _mm256_fmadd_ps(_mm256_broadcast_ss(w[r] + j), a, sums[r]);
    }
    for (int r = 0; r < n_queries; r++)
        _mm256_storeu_ps(out + (size_t)r * (size_t)n_columns + d, sums[r]);
}

void heads_mix_avx2(const float *values, int n_columns, const float *weights, int n_weights, int n_queries, int first, int end, float *out)
{
    const float *w[HEADS_QUERIES];
    for (int r = 0; r < HEADS_QUERIES; r++)
        w[r] = weights + (size_t)(r < n_queries ? r : 0) * (size_t)n_weights;
    int d = 0;
    for (; d + 16 <= n_columns; d += 16) {
        __m256 low[HEADS_QUERIES], high[HEADS_QUERIES];
        for (int r = 0; r < HEADS_QUERIES; r++)
            low[r] = high[r] = _mm256_setzero_ps();
        for (int j = first; j < end; j++) {
            const float *value = values + (size_t)j * (size_t)n_columns + d;
            __m256 a = _mm256_loadu_ps(value), b = _mm256_loadu_ps(value + 8);
            for (int r = 0; r < HEADS_QUERIES; r++) {
                __m256 x = _mm256_broadcast_ss(w[r] + j);
                low[r] = _mm256_fmadd_ps(x, a, low[r]);
                high[r] = _mm256_fmadd_ps(x, b, high[r]);
            }
        }
        for (int r = 0; r < n_queries; r++) {
            float *row = out + (size_t)r * (size_t)n_columns + d;
            _mm256_storeu_ps(row, low[r]);
            _mm256_storeu_ps(row + 8, high[r]);
        }
    }
    if (d < n_columns)
        mix_eight(values, n_columns, w, n_queries, first, end, d, out);
}
