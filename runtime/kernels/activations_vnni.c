/* Quantizing activations with AVX-512: a block is two vectors. The same bits as the scalar form. */
#include "kernels/activations.h"

#include <immintrin.h>

/* The largest magnitude of n blocks. */
static float largest_of(const float *x, int n)
{
    __m512 max = _mm512_setzero_ps();
    for (int i = 0; i < n * ACTIVATION_BLOCK; i += 16)
        max = _mm512_max_ps(max, _mm512_abs_ps(_mm512_loadu_ps(x + i)));
    return _mm512_reduce_max_ps(max);
}

void activations_fill_vnni(const struct activations *a, const float *x, int tile)
{
    int first = tile * ACTIVATION_TILE, width = activations_width(a, tile);
    size_t base = (size_t)first * (size_t)a->n_blocks;
    const __m128i ones = _mm_set1_epi8(1), flip = _mm_set1_epi8((char)a->flip);
    for (int t = 0; t < width; t++) {
        const float *row = x + (size_t)(first + t) * (size_t)a->n_in;
        float d = 0, inverse = 0;
        for (int b = 0; b < a->n_blocks; b++) {
            if (b % a->together == 0) {
                int left = a->n_blocks - b;
                float max = largest_of(row + b * ACTIVATION_BLOCK, left < a->together ? left : a->together);
                d = max / 127.0f;
                inverse = max > 0 ? 127.0f / max : 0;
            }
            __m512 low = _mm512_loadu_ps(row + b * ACTIVATION_BLOCK), high = _mm512_loadu_ps(row + b * ACTIVATION_BLOCK + 16);
            __m512 by = _mm512_set1_ps(inverse);
            __m128i q_low = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(low, by)));
            __m128i q_high = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(high, by)));
            size_t at = base + (size_t)(b * width + t);
            _mm_storeu_si128((__m128i *)(void *)(a->q + at * ACTIVATION_BLOCK), _mm_xor_si128(q_low, flip));
            _mm_storeu_si128((__m128i *)(void *)(a->q + at * ACTIVATION_BLOCK + 16), _mm_xor_si128(q_high, flip));
            /* Four sums of four bytes each, then across. */
            __m128i sums = _mm_hadd_epi32(_mm_dpbusd_epi32(_mm_setzero_si128(), ones, q_low), _mm_dpbusd_epi32(_mm_setzero_si128(), ones, q_high));
            sums = _mm_hadd_epi32(sums, sums);
            int sum_low = _mm_cvtsi128_si32(sums), sum_high = _mm_extract_epi32(sums, 1);
            activations_put(a, first, width, t, b, d, sum_low, sum_high);
        }
    }
}
