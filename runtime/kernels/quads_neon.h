/* What the NEON products of all formats share: sdot multiplies four rows × four columns of weights with four activation bytes, picked
 * by their place in a register, into four exact 32-bit sums. A quad of a group is four registers; three rows of activations
 * keep twelve sums beside them. Quants lose their offset when they become bytes, which are then signed. */
#ifndef WEIR_KERNELS_QUADS_NEON_H
#define WEIR_KERNELS_QUADS_NEON_H

#include "kernels/block.h"
#include "kernels/gemm.h"

#include <arm_neon.h>

#define INLINE static inline __attribute__((always_inline, unused))

enum { VECTORS = 4, MOST_ROWS = 3 }; /* Registers a quad takes; rows a pass takes. */

/* Register i of quad c and of quad c + 4. */
INLINE void load_pair(const uint8_t *quants, const uint8_t *high, int bits, int offset, int c, int i, int8x16_t *low_quad, int8x16_t *high_quad)
{
    const uint8x16_t nibble = vdupq_n_u8(15), pair = vdupq_n_u8(0x30), low_pair = vdupq_n_u8(3);
    uint8x16_t low, up;
    if (bits == 8) {
        low = vld1q_u8(quants + c * 64 + i * 16);
        up = vld1q_u8(quants + (c + 4) * 64 + i * 16);
    } else if (bits < 4) {
        const int8x16_t shift = vdupq_n_s8((int8_t)(-2 * c)); /* Pair c to bits 0 and 1. */
        low = vandq_u8(vshlq_u8(vld1q_u8(quants + i * 16), shift), low_pair);
        up = vandq_u8(vshlq_u8(vld1q_u8(quants + 64 + i * 16), shift), low_pair);
    } else {
        uint8x16_t raw = vld1q_u8(quants + c * 64 + i * 16);
        low = vandq_u8(raw, nibble);
        up = vshrq_n_u8(raw, 4);
    }
    if (bits == 3 || bits == 5) {
        static const uint8_t bit_of_lane[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
        const uint8x16_t bit = vld1q_u8(bit_of_lane), top = vdupq_n_u8((uint8_t)(1 << (bits - 1)));
        const uint8_t *low_mask = high + c * 8 + i * 2, *up_mask = high + (c + 4) * 8 + i * 2;
        low = vorrq_u8(low, vandq_u8(vtstq_u8(vcombine_u8(vdup_n_u8(low_mask[0]), vdup_n_u8(low_mask[1])), bit), top));
        up = vorrq_u8(up, vandq_u8(vtstq_u8(vcombine_u8(vdup_n_u8(up_mask[0]), vdup_n_u8(up_mask[1])), bit), top));
    } else if (bits == 6) {
        const int8x16_t shift = vdupq_n_s8((int8_t)(4 - 2 * c)); /* Pair c to bits 4 and 5. */
        low = vorrq_u8(low, vandq_u8(vshlq_u8(vld1q_u8(high + i * 16), shift), pair));
        up = vorrq_u8(up, vandq_u8(vshlq_u8(vld1q_u8(high + 64 + i * 16), shift), pair));
    } else if (bits == PACKED_LEVELS) {
        const int8x16_t table = vld1q_s8(iq4_levels);
        *low_quad = vqtbl1q_s8(table, low);
        *high_quad = vqtbl1q_s8(table, up);
        return;
    }
    const uint8x16_t less = vdupq_n_u8((uint8_t)offset);
    *low_quad = vreinterpretq_s8_u8(vsubq_u8(low, less));
    *high_quad = vreinterpretq_s8_u8(vsubq_u8(up, less));
}

INLINE void unpack_block(const struct packed *w, const uint8_t *quants, const uint8_t *high, int8_t *out)
{
    for (int c = 0; c < 4; c++)
        for (int i = 0; i < VECTORS; i++) {
            int8x16_t low, up;
            load_pair(quants, high, w->bits, w->offset, c, i, &low, &up);
            vst1q_s8(out + c * 64 + i * 16, low);
            vst1q_s8(out + (c + 4) * 64 + i * 16, up);
        }
}

INLINE float32x4_t load_halves(const uint16_t *at)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(at)));
}

INLINE void store_quarter(const struct gemm *gemm, int group, int i, int row, float32x4_t sum)
{
    int from = group * PACKED_ROWS + i * 4, left = gemm->w->n_out - from;
    float *y = gemm->y + (size_t)row * (size_t)gemm->w->n_out + from, part[4];
    sum = vmulq_n_f32(sum, gemm->scale);
    if (left >= 4) {
        vst1q_f32(y, gemm->bias == NULL ? sum : vaddq_f32(sum, vld1q_f32(gemm->bias + from)));
        return;
    }
    vst1q_f32(part, sum);
    for (int k = 0; k < left; k++)
        y[k] = gemm->bias == NULL ? part[k] : part[k] + gemm->bias[from + k];
}

/* dots[t][i] += quad · the four bytes at `lane` of a[t]. */
#define ADD_QUAD(quad, lane)                                                                                                           \
    for (int t = 0; t < n_rows; t++)                                                                                                   \
        dots[t][i] = vdotq_laneq_s32(dots[t][i], quad, a[t], lane)

/* The dots of a block, from `start` quads (0 or 4) on, `n` of them (4 or 8): unpacked, or (NULL) as it is packed. All but addresses are constants
 * where it is called. */
INLINE void multiply_quads(const int8_t *unpacked, bool is_unpacked, const uint8_t *quants, const uint8_t *high, int bits, int offset,
                           const int8_t *bytes, int start, int n, int n_rows, int32x4_t dots[MOST_ROWS][VECTORS])
{
#pragma GCC unroll 2
    for (int half = start / 4; half < (start + n) / 4; half++) {
        int8x16_t a[MOST_ROWS];
#pragma GCC unroll 3
        for (int t = 0; t < n_rows; t++)
            a[t] = vld1q_s8(bytes + t * ACTIVATION_BLOCK + half * 16);
#pragma GCC unroll 4
        for (int i = 0; i < VECTORS; i++) {
            int8x16_t quads[2][4];
#pragma GCC unroll 4
            for (int c = 0; c < 4; c++) {
                if (is_unpacked)
                    quads[half][c] = vld1q_s8(unpacked + (half * 4 + c) * 64 + i * 16);
                else
                    load_pair(quants, high, bits, offset, c, i, &quads[0][c], &quads[1][c]);
            }
            ADD_QUAD(quads[half][0], 0);
            ADD_QUAD(quads[half][1], 1);
            ADD_QUAD(quads[half][2], 2);
            ADD_QUAD(quads[half][3], 3);
        }
    }
}

#endif
