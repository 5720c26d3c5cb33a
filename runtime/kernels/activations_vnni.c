/* Quantizing activations with AVX-512: a block is two vectors, four rows go together. The same bits as the scalar form. */
#include "kernels/activations.h"

#include <immintrin.h>

enum { EIGHT = 8 };

/* The largest magnitude of n blocks. */
static float largest_of(const float *x, int n)
{
    __m512 max = _mm512_setzero_ps();
    for (int i = 0; i < n * ACTIVATION_BLOCK; i += 16)
        max = _mm512_max_ps(max, _mm512_abs_ps(_mm512_loadu_ps(x + i)));
    return _mm512_reduce_max_ps(max);
}

/* The largest magnitude of n blocks in each of four rows. */
static inline __m128 largest_of_four(const float *x, size_t stride, int n)
{
    __m128 max[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        __m512 all = _mm512_setzero_ps();
        for (int at = 0; at < n * ACTIVATION_BLOCK; at += 16)
            all = _mm512_max_ps(all, _mm512_abs_ps(_mm512_loadu_ps(x + (size_t)i * stride + at)));
        __m256 half = _mm256_max_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
        max[i] = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    }
    _MM_TRANSPOSE4_PS(max[0], max[1], max[2], max[3]);
    return _mm_max_ps(_mm_max_ps(max[0], max[1]), _mm_max_ps(max[2], max[3]));
}

/* Rows t … t + 3 of a tile, whose numbers are neighbours: eight blocks' scales, then their bytes, since each waits long for the other. */
static void fill_four(const struct activations *a, const float *x, int first, int width, int t)
{
    const size_t base = (size_t)first * (size_t)a->n_blocks, stride = (size_t)a->n_in;
    const __m256i ones = _mm256_set1_epi8(1), flip = _mm256_set1_epi8((char)a->flip), in_order = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
    const __m128i lower = _mm_set1_epi32(0xffff);
    const __m128 steps = _mm_set1_ps(127.0f);
    const int together = a->together;
    x += (size_t)(first + t) * stride;
    for (int from = 0; from < a->n_blocks; from += EIGHT) {
        int n = a->n_blocks - from < EIGHT ? a->n_blocks - from : EIGHT;
        __m128 d[EIGHT], inverse[EIGHT];
        for (int b = 0; b < n; b += together) {
            __m128 max = largest_of_four(x + b * ACTIVATION_BLOCK, stride, together < n ? together : n);
            d[b] = _mm_div_ps(max, steps);
            inverse[b] = _mm_maskz_div_ps(_mm_cmp_ps_mask(max, _mm_setzero_ps(), _CMP_GT_OQ), steps, max);
        }
        for (int b = 0; b < n; b++, x += ACTIVATION_BLOCK) {
            size_t at = base + (size_t)((from + b) * width + t);
            int scale = together == 1 ? b : 0;
            __m256i sums[4];
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++) {
                __m512 by = _mm512_set1_ps(((const float *)&inverse[scale])[i]);
                __m512i low = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + (size_t)i * stride), by));
                __m512i high = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + (size_t)i * stride + 16), by));
                /* Packing interleaves its operands by four; the permutation puts them back. */
                __m256i q = _mm256_permutevar8x32_epi32(_mm512_cvtsepi16_epi8(_mm512_packs_epi32(low, high)), in_order);
                _mm256_storeu_si256((__m256i *)(void *)(a->q + (at + (size_t)i) * ACTIVATION_BLOCK), _mm256_xor_si256(q, flip));
                sums[i] = _mm256_dpbusd_epi32(_mm256_setzero_si256(), ones, q);
            }
            __m256i all = _mm256_hadd_epi32(_mm256_hadd_epi32(sums[0], sums[1]), _mm256_hadd_epi32(sums[2], sums[3]));
            __m128i in_low = _mm256_castsi256_si128(all), in_high = _mm256_extracti128_si256(all, 1), sum = _mm_add_epi32(in_low, in_high);
            _mm_storeu_ps(a->d + at, d[scale]);
            if (together == 1) {
                _mm_storeu_ps(a->s + at, _mm_mul_ps(d[b], _mm_cvtepi32_ps(sum)));
                _mm_storeu_si128((__m128i *)(void *)(a->lift + at), _mm_slli_epi32(_mm_sub_epi32(_mm_setzero_si128(), sum), 7));
                continue;
            }
            __m128i *pair = (__m128i *)(void *)(a->block_sums + base / 2 + (size_t)((from + b) / 2 * width + t));
            _mm_storeu_si128((__m128i *)(void *)(a->half_sums + at), _mm_or_si128(_mm_and_si128(in_low, lower), _mm_slli_epi32(in_high, 16)));
            _mm_storeu_si128(pair, b % 2 == 0 ? _mm_and_si128(sum, lower) : _mm_or_si128(_mm_loadu_si128(pair), _mm_slli_epi32(sum, 16)));
        }
    }
}

static void fill_row(const struct activations *a, const float *x, int first, int width, int t)
{
    size_t base = (size_t)first * (size_t)a->n_blocks;
    const __m128i ones = _mm_set1_epi8(1), flip = _mm_set1_epi8((char)a->flip);
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

void activations_fill_vnni(const struct activations *a, const float *x, int from, int end)
{
    int tile = from / ACTIVATION_TILE, first = tile * ACTIVATION_TILE, width = activations_width(a, tile), t = from - first;
    for (; t + ACTIVATION_ROWS <= end - first; t += ACTIVATION_ROWS)
        fill_four(a, x, first, width, t);
    for (; t < end - first; t++)
        fill_row(a, x, first, width, t);
}
