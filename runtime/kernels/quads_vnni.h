/* What the AVX-512 VNNI products of all formats share: quants to bytes, broadcasts, sums to y. */
#ifndef WEIR_KERNELS_QUADS_VNNI_H
#define WEIR_KERNELS_QUADS_VNNI_H

#include "kernels/block.h"
#include "kernels/gemm.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline, unused))

/* A pass takes at most MOST_ROWS rows of x; single rows ask for weights AHEAD_BYTES before they need them. */
enum { MOST_ROWS = 6, AHEAD_BYTES = 6144 };

/* Compilers like to begin with a span before the sums of the last one are put away, and run out of registers: what stands before this in
 * the text is done before what stands behind it. */
#define KEEP_IN_ORDER(v) __asm__ volatile("" : "+v"(v))

/* Quad j of one block as unsigned bytes, of 4 and 5 bits and levels; bits and j are constants where it is called. */
INLINE __m512i load_quad(const uint8_t *quants, const uint8_t *high, int bits, int j)
{
    __m512i raw = _mm512_loadu_si512(quants + j % 4 * 64);
    __m512i quad = _mm512_and_si512(j < 4 ? raw : _mm512_srli_epi16(raw, 4), _mm512_set1_epi8(15));
    if (bits == 5) {
        uint64_t mask;
        memcpy(&mask, high + j * 8, sizeof mask);
        quad = _mm512_mask_add_epi8(quad, mask, quad, _mm512_set1_epi8(16));
    } else if (bits == PACKED_LEVELS) {
        const __m128i levels = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)iq4_levels), _mm_set1_epi8((char)0x80));
        quad = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(levels), quad);
    }
    return quad;
}

/* The quads of one block as unsigned bytes; bits is a constant where it is called. */
INLINE void load_quads(const uint8_t *quants, const uint8_t *high, int bits, __m512i quads[8])
{
    const __m512i low_nibble = _mm512_set1_epi8(15), low_pair = _mm512_set1_epi8(3), upper_pair = _mm512_set1_epi8(0x30);
    if (bits == 8) {
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++)
            quads[j] = _mm512_loadu_si512(quants + j * 64);
        return;
    }
    if (bits < 4) {
#pragma GCC unroll 2
        for (int p = 0; p < 2; p++) {
            __m512i raw = _mm512_loadu_si512(quants + p * 64);
            quads[4 * p] = _mm512_and_si512(raw, low_pair);
            quads[4 * p + 1] = _mm512_and_si512(_mm512_srli_epi16(raw, 2), low_pair);
            quads[4 * p + 2] = _mm512_and_si512(_mm512_srli_epi16(raw, 4), low_pair);
            quads[4 * p + 3] = _mm512_and_si512(_mm512_srli_epi16(raw, 6), low_pair);
        }
    } else {
#pragma GCC unroll 4
        for (int c = 0; c < 4; c++) {
            __m512i raw = _mm512_loadu_si512(quants + c * 64);
            quads[c] = _mm512_and_si512(raw, low_nibble);
            quads[c + 4] = _mm512_and_si512(_mm512_srli_epi16(raw, 4), low_nibble);
        }
    }
    if (bits == 3 || bits == 5) {
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) {
            uint64_t mask;
            memcpy(&mask, high + j * 8, sizeof mask);
            quads[j] = _mm512_mask_add_epi8(quads[j], mask, quads[j], _mm512_set1_epi8((char)(1 << (bits - 1))));
        }
    } else if (bits == 6) {
#pragma GCC unroll 2
        for (int p = 0; p < 2; p++) {
            __m512i raw = _mm512_loadu_si512(high + p * 64);
            quads[4 * p] = _mm512_or_si512(quads[4 * p], _mm512_and_si512(_mm512_slli_epi16(raw, 4), upper_pair));
            quads[4 * p + 1] = _mm512_or_si512(quads[4 * p + 1], _mm512_and_si512(_mm512_slli_epi16(raw, 2), upper_pair));
            quads[4 * p + 2] = _mm512_or_si512(quads[4 * p + 2], _mm512_and_si512(raw, upper_pair));
            quads[4 * p + 3] = _mm512_or_si512(quads[4 * p + 3], _mm512_and_si512(_mm512_srli_epi16(raw, 2), upper_pair));
        }
    } else if (bits == PACKED_LEVELS) {
        const __m128i levels = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)iq4_levels), _mm_set1_epi8((char)0x80));
        const __m512i table = _mm512_broadcast_i32x4(levels);
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++)
            quads[j] = _mm512_shuffle_epi8(table, quads[j]);
    }
}

/* `raise` is added to every quant: what is missing to the offset of 128 that `lift` takes back. */
INLINE void unpack_block(const uint8_t *quants, const uint8_t *high, int bits, __m512i raise, uint8_t *out)
{
    __m512i quads[8];
    load_quads(quants, high, bits, quads);
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++)
        _mm512_store_si512(out + j * 64, _mm512_add_epi8(quads[j], raise));
}

INLINE __m512 load_halves(const uint16_t *at)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)at));
}

INLINE __m512i broadcast_word(const void *at)
{
    int32_t word;
    memcpy(&word, at, sizeof word);
    return _mm512_set1_epi32(word);
}

INLINE void store_rows(const struct gemm *gemm, int group, int first_row, int n_rows, const __m512 *sums)
{
    int from = group * PACKED_ROWS, left = gemm->w->n_out - from;
    __mmask16 mask = left >= PACKED_ROWS ? 0xffff : (__mmask16)((1u << left) - 1);
    __m512 scale = _mm512_set1_ps(gemm->scale);
    __m512 bias = gemm->bias == NULL ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(mask, gemm->bias + from);
    float *y = gemm->y + (size_t)first_row * (size_t)gemm->w->n_out + from;
#pragma GCC unroll 12
    for (int t = 0; t < n_rows; t++) {
        __m512 sum = _mm512_mul_ps(sums[t], scale);
        if (gemm->bias != NULL)
            sum = _mm512_add_ps(sum, bias);
        _mm512_mask_storeu_ps(y + (size_t)t * (size_t)gemm->w->n_out, mask, sum);
    }
}

#endif
