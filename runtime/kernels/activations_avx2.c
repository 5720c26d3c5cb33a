/* Quantizing activations with AVX2: a block is four vectors. The same bits as the scalar form. */
#include "kernels/activations.h"

#include <immintrin.h>

static float max_across(__m256 v)
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    m = _mm_max_ss(m, _mm_movehdup_ps(m));
    return _mm_cvtss_f32(m);
}

/* The largest magnitude of n blocks. */
static float largest_of(const float *x, int n)
{
    const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    __m256 max = _mm256_setzero_ps();
    for (int i = 0; i < n * ACTIVATION_BLOCK; i += 8)
        max = _mm256_max_ps(max, _mm256_and_ps(_mm256_loadu_ps(x + i), magnitude));
    return max_across(max);
}

void activations_fill_avx2(const struct activations *a, const float *x, int from, int end)
{
    int tile = from / ACTIVATION_TILE, first = tile * ACTIVATION_TILE, width = activations_width(a, tile);
    size_t base = (size_t)first * (size_t)a->n_blocks;
    const __m256i ones_bytes = _mm256_set1_epi8(1), ones = _mm256_set1_epi16(1);
    const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for (int t = from - first; t < end - first; t++) {
        const float *row = x + (size_t)(first + t) * (size_t)a->n_in;
        float d = 0, inverse = 0;
        for (int b = 0; b < a->n_blocks; b++) {
            if (b % a->together == 0) {
                int left = a->n_blocks - b;
                float max = largest_of(row + b * ACTIVATION_BLOCK, left < a->together ? left : a->together);
                d = max / 127.0f;
                inverse = max > 0 ? 127.0f / max : 0;
            }
            __m256i q[4];
            for (int i = 0; i < 4; i++)
                q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(row + b * ACTIVATION_BLOCK + i * 8), _mm256_set1_ps(inverse)));
            /* Packing interleaves the halves of its operands; the permutation puts them back. */
            __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
            bytes = _mm256_permutevar8x32_epi32(bytes, in_order);
            size_t at = base + (size_t)(b * width + t);
            _mm256_storeu_si256((__m256i *)(void *)(a->q + at * ACTIVATION_BLOCK), bytes);
            __m256i sums = _mm256_madd_epi16(_mm256_maddubs_epi16(ones_bytes, bytes), ones);
            sums = _mm256_hadd_epi32(sums, sums);
            sums = _mm256_hadd_epi32(sums, sums);
            int sum_low = _mm256_cvtsi256_si32(sums), sum_high = _mm256_extract_epi32(sums, 4);
            activations_put(a, first, width, t, b, d, sum_low, sum_high);
        }
    }
}
