/* Matrix products with AVX2 and FMA: four rows share each load of x. */
#include "matrix.h"

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

static float sum8(__m256 v)
{
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

void matrix_apply_avx2(const float *rows, size_t n_rows, const float *x, size_t n, float *out)
{
    size_t whole = n & ~(size_t)7, k = 0;
    for (; k + 4 <= n_rows; k += 4) {
        const float *row = rows + k * n;
        __m256 sums[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
        for (size_t i = 0; i < whole; i += 8) {
            __m256 v = _mm256_loadu_ps(x + i);
            for (size_t j = 0; j < 4; j++)
                sums[j] = _mm256_fmadd_ps(_mm256_loadu_ps(row + j * n + i), v, sums[j]);
        }
        for (size_t j = 0; j < 4; j++) {
            out[k + j] = sum8(sums[j]);
            for (size_t i = whole; i < n; i++)
                out[k + j] += row[j * n + i] * x[i];
        }
    }
    if (k < n_rows)
        matrix_apply_scalar(rows + k * n, n_rows - k, x, n, out + k);
}

void matrix_add4_avx2(float *out, const float a[4], const float *const x[4], size_t n)
{
    __m256 f[4];
    size_t i = 0;
    for (int j = 0; j < 4; j++)
        f[j] = _mm256_set1_ps(a[j]);
    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_loadu_ps(out + i);
        for (int j = 0; j < 4; j++)
            v = _mm256_fmadd_ps(f[j], _mm256_loadu_ps(x[j] + i), v);
        _mm256_storeu_ps(out + i, v);
    }
    for (; i < n; i++)
        for (int j = 0; j < 4; j++)
            out[i] += a[j] * x[j][i];
}

#else

void matrix_apply_avx2(const float *rows, size_t n_rows, const float *x, size_t n, float *out)
{
    matrix_apply_scalar(rows, n_rows, x, n, out);
}

void matrix_add4_avx2(float *out, const float a[4], const float *const x[4], size_t n)
{
    matrix_add4_scalar(out, a, x, n);
}

#endif
