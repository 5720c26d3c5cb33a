/* The integer scales of a unit (packed.h) as 32-bit numbers, sixteen rows beside each other, in the vectors of the ISA a file is compiled
 * for. Only files named *_avx2.c, *_vnni.c and *_neon.c may include it. */
#ifndef WEIR_KERNELS_CODES_H
#define WEIR_KERNELS_CODES_H

#include "kernels/packed.h"

#if defined(__AVX512F__)
enum { CODE_LANES = 16 };
#elif defined(__AVX2__)
enum { CODE_LANES = 8 };
#else
enum { CODE_LANES = 4 };
#endif
typedef uint32_t code_lanes __attribute__((vector_size(CODE_LANES * 4)));
typedef int32_t signed_lanes __attribute__((vector_size(CODE_LANES * 4)));
typedef uint16_t code_nibbles __attribute__((vector_size(CODE_LANES * 2)));

#define CODES_INLINE static inline __attribute__((always_inline, unused))

/* Where the codes of a unit stand, and what they become. */
struct unit_codes {
    int32_t scale[PACKED_MOST_SPANS][PACKED_ROWS]; /* Span by span. */
    /* Two 16-bit numbers a lane, as activations have their sums: of the spans of a block or of two blocks. Mins, or scales where
     * a format has none. */
    int32_t pair[PACKED_SUPER][PACKED_ROWS];
};

CODES_INLINE code_lanes codes_pair(code_lanes low, code_lanes high)
{
    return (low & 0xffff) | high << 16;
}

/* A set of eight numbers in 6 bits, minus 32 if is_signed. */
CODES_INLINE void codes_of_set(const uint8_t *at, const uint16_t *nibbles, bool is_signed, code_lanes out[8])
{
    code_lanes low;
    code_nibbles narrow;
    memcpy(&low, at, sizeof low);
    memcpy(&narrow, nibbles, sizeof narrow);
    code_lanes wide = __builtin_convertvector(narrow, code_lanes);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        out[i] = (low >> (8 * i) & 63) - (is_signed ? 32 : 0);
        out[4 + i] = ((wide >> (4 * i) & 15) | (low >> (8 * i + 2) & 0x30)) - (is_signed ? 32 : 0);
    }
}

/* type is a constant where it is called; `codes_at` the unit's codes, `nibbles` its nibbles. doubled: a scale stands in both halves
 * of its lane. */
CODES_INLINE void codes_unpack(enum tensor_type type, const uint8_t *codes_at, const uint16_t *nibbles, bool doubled, struct unit_codes *out)
{
    bool has_sets = type != TENSOR_Q2_K && type != TENSOR_Q6_K, has_min = type == TENSOR_Q4_K || type == TENSOR_Q5_K;
    bool is_wide = has_min || type == TENSOR_IQ4_XS; /* Spans of 32 columns. */
    int n_spans = is_wide ? 8 : 16;
    for (int lane = 0; lane < PACKED_ROWS; lane += CODE_LANES) {
        code_lanes scale[16], min[16];
        const uint8_t *at = codes_at + lane * 4;
        if (has_sets) {
            codes_of_set(at, nibbles + lane, !has_min, scale);
            if (has_min)
                codes_of_set(at + 64, nibbles + PACKED_ROWS + lane, false, min);
            else if (!is_wide)
                codes_of_set(at + 64, nibbles + PACKED_ROWS + lane, true, scale + 8);
        } else {
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) {
                code_lanes four;
                memcpy(&four, at + i / 4 * 64, sizeof four);
                if (type == TENSOR_Q6_K) {
                    scale[i] = (code_lanes)((signed_lanes)(four << (24 - i % 4 * 8)) >> 24);
                } else {
                    scale[i] = four >> (i % 4 * 8) & 15;
                    min[i] = four >> (i % 4 * 8 + 4) & 15;
                }
            }
        }
        const code_lanes *paired = has_min || type == TENSOR_Q2_K ? min : scale;
#pragma GCC unroll 8
        for (int i = 0; i < n_spans / 2; i++) {
            code_lanes pair = codes_pair(paired[2 * i], paired[2 * i + 1]);
            memcpy(out->pair[i] + lane, &pair, sizeof pair);
        }
#pragma GCC unroll 16
        for (int i = 0; i < n_spans; i++) {
            code_lanes one = doubled ? codes_pair(scale[i], scale[i]) : scale[i];
            memcpy(out->scale[i] + lane, &one, sizeof one);
        }
    }
}

#endif
