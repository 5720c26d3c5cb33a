/* What the AVX2 products of all formats share: vpmaddubsw multiplies 8 rows × 4 columns of unsigned weights with four broadcast
 * activation bytes into 16-bit pairs. How many of them may be added before they are widened depends on the largest weight:
 *   4 bits  15 · 127 · 2 · 8 = 30480: all eight quads     5 bits  31 · 127 · 2 · 4 = 31496: four
 *   6 bits  63 · 127 · 2 · 2 = 32004: two                 8 bits  signed weights: |w| times the activation with w's sign,
 *           128 · 127 · 2 = 32512: one
 * all below 2¹⁵, so the sums are exact. */
#ifndef WEIR_KERNELS_QUADS_AVX2_H
#define WEIR_KERNELS_QUADS_AVX2_H

#include "kernels/block.h"
#include "kernels/gemm.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline, unused))

enum { MOST_ROWS = 4, AHEAD_BYTES = 3072 }; /* Rows of a pass; how far ahead single rows ask for weights. */

/* Compilers like to add the products of a block in a tree, which keeps all of them alive at once and spills most: the sum
 * is one chain, in registers. */
#define KEEP_IN_ORDER(v) __asm__("" : "+x"(v))

INLINE __m256i broadcast_word(const void *at)
{
    int32_t word;
    memcpy(&word, at, sizeof word);
    return _mm256_set1_epi32(word);
}

INLINE __m256i products(int bits, __m256i w, __m256i a)
{
    if (bits == 8)
        return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w));
    return _mm256_maddubs_epi16(w, a);
}

/* How many products may be added in 16 bits. */
INLINE int quads_in_16_bits(int bits)
{
    return bits <= 4 ? 8 : bits == 5 ? 4 : bits == 6 ? 2 : 1;
}

/* What `bits` stands for once quants are bytes: levels are signed ones. */
INLINE int bits_of_bytes(int bits)
{
    return bits == PACKED_LEVELS ? 8 : bits;
}

INLINE void store_half(const struct gemm *gemm, int group, int half, int row, __m256 sum)
{
    int from = group * PACKED_ROWS + half * 8, left = gemm->w->n_out - from;
    if (left <= 0)
        return;
    float *y = gemm->y + (size_t)row * (size_t)gemm->w->n_out + from;
    sum = _mm256_mul_ps(sum, _mm256_set1_ps(gemm->scale));
    if (left >= 8) {
        if (gemm->bias != NULL)
            sum = _mm256_add_ps(sum, _mm256_loadu_ps(gemm->bias + from));
        _mm256_storeu_ps(y, sum);
        return;
    }
    __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(left), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    if (gemm->bias != NULL)
        sum = _mm256_add_ps(sum, _mm256_maskload_ps(gemm->bias + from, mask));
    _mm256_maskstore_ps(y, mask, sum);
}

INLINE __m256i load_32(const uint8_t *at)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

/* Pair c of each byte, at bits 4 and 5 (of bit 0 and 1: lower). */
INLINE __m256i pair_up(__m256i plane, int c)
{
    __m256i moved = c == 0 ? _mm256_slli_epi16(plane, 4) : c == 1 ? _mm256_slli_epi16(plane, 2) : c == 2 ? plane : _mm256_srli_epi16(plane, 2);
    return _mm256_and_si256(moved, _mm256_set1_epi8(0x30));
}

INLINE __m256i pair_down(__m256i plane, int c)
{
    __m256i moved = c == 0 ? plane : c == 1 ? _mm256_srli_epi16(plane, 2) : c == 2 ? _mm256_srli_epi16(plane, 4) : _mm256_srli_epi16(plane, 6);
    return _mm256_and_si256(moved, _mm256_set1_epi8(3));
}

/* One half (32 bytes) of quad c and of quad c + 4 as bytes, signed ones of 8 bits and levels. bits and c are constants. */
INLINE void load_pair(const uint8_t *quants, const uint8_t *high, int bits, int c, int half, __m256i *low_quad, __m256i *high_quad)
{
    const __m256i nibble = _mm256_set1_epi8(15);
    if (bits == 8) {
        const __m256i top = _mm256_set1_epi8((char)0x80);
        *low_quad = _mm256_xor_si256(load_32(quants + c * 64 + half * 32), top);
        *high_quad = _mm256_xor_si256(load_32(quants + (c + 4) * 64 + half * 32), top);
        return;
    }
    if (bits < 4) {
        *low_quad = pair_down(load_32(quants + half * 32), c);
        *high_quad = pair_down(load_32(quants + 64 + half * 32), c);
    } else {
        __m256i raw = load_32(quants + c * 64 + half * 32);
        *low_quad = _mm256_and_si256(raw, nibble);
        *high_quad = _mm256_and_si256(_mm256_srli_epi16(raw, 4), nibble);
    }
    if (bits == 3 || bits == 5) {
        /* Each byte gets the byte of the mask that holds its bit, then keeps that bit. */
        const __m256i spread = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
        const __m256i bit = _mm256_set1_epi64x((int64_t)0x8040201008040201);
        __m256i *quads[2] = {low_quad, high_quad};
        for (int h = 0; h < 2; h++) {
            int32_t mask;
            memcpy(&mask, high + (c + 4 * h) * 8 + half * 4, sizeof mask);
            __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(mask), spread), bit), bit);
            *quads[h] = _mm256_or_si256(*quads[h], _mm256_and_si256(set, _mm256_set1_epi8((char)(1 << (bits - 1)))));
        }
    } else if (bits == 6) {
        *low_quad = _mm256_or_si256(*low_quad, pair_up(load_32(high + half * 32), c));
        *high_quad = _mm256_or_si256(*high_quad, pair_up(load_32(high + 64 + half * 32), c));
    } else if (bits == PACKED_LEVELS) {
        const __m256i table = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)iq4_levels));
        *low_quad = _mm256_shuffle_epi8(table, *low_quad);
        *high_quad = _mm256_shuffle_epi8(table, *high_quad);
    }
}

INLINE void unpack_block(const uint8_t *quants, const uint8_t *high, int bits, uint8_t *out)
{
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++)
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            __m256i low_quad, high_quad, *to = (__m256i *)(void *)(out + c * 64 + half * 32);
            load_pair(quants, high, bits, c, half, &low_quad, &high_quad);
            _mm256_store_si256(to, low_quad);
            _mm256_store_si256(to + 8, high_quad);
        }
}

static inline void unpack_halves(const uint16_t *from, int n, float *to)
{
    for (int i = 0; i < n; i += 8)
        _mm256_store_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(from + i))));
}

#endif
