/* The NEON form, for 64-bit Arm with the dot product: sdot multiplies four rows × four columns of weights with four activation
 * bytes, picked by their place in a register, into four exact 32-bit sums. A quad of a group is four registers; three rows of
 * activations keep twelve integer and twelve float sums beside them. Weights of 4, 5 and 6 bits are below 64 and so signed bytes
 * as they are; those of 8 bits lose their offset when they are unpacked.
 *
 * Up to three rows read the packed group; with more it is unpacked to bytes once, for all of them. */
#include "kernels/gemm.h"
#include "kernels/half.h"

#include <arm_neon.h>

#define INLINE static inline __attribute__((always_inline))

enum { VECTORS = 4, MOST_ROWS = 3 }; /* Registers a quad takes; rows a pass takes. */

/* Register i of quad c and of quad c + 4. */
INLINE void load_pair(const uint8_t *quants, const uint8_t *high, int bits, int c, int i, int8x16_t *low_quad, int8x16_t *high_quad)
{
    uint8x16_t raw = vld1q_u8(quants + c * 64 + i * 16), low, up;
    if (bits == 8) {
        const uint8x16_t top = vdupq_n_u8(0x80);
        *low_quad = vreinterpretq_s8_u8(veorq_u8(raw, top));
        *high_quad = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(quants + (c + 4) * 64 + i * 16), top));
        return;
    }
    low = vandq_u8(raw, vdupq_n_u8(15));
    up = vshrq_n_u8(raw, 4);
    if (bits == 5) {
        static const uint8_t bit_of_lane[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
        const uint8x16_t bit = vld1q_u8(bit_of_lane), fifth = vdupq_n_u8(16);
        const uint8_t *low_mask = high + c * 8 + i * 2, *up_mask = high + (c + 4) * 8 + i * 2;
        low = vorrq_u8(low, vandq_u8(vtstq_u8(vcombine_u8(vdup_n_u8(low_mask[0]), vdup_n_u8(low_mask[1])), bit), fifth));
        up = vorrq_u8(up, vandq_u8(vtstq_u8(vcombine_u8(vdup_n_u8(up_mask[0]), vdup_n_u8(up_mask[1])), bit), fifth));
    } else if (bits == 6) {
        const int8x16_t shift = vdupq_n_s8((int8_t)(4 - 2 * c)); /* Pair c to bits 4 and 5. */
        const uint8x16_t pair = vdupq_n_u8(0x30);
        low = vorrq_u8(low, vandq_u8(vshlq_u8(vld1q_u8(high + i * 16), shift), pair));
        up = vorrq_u8(up, vandq_u8(vshlq_u8(vld1q_u8(high + 64 + i * 16), shift), pair));
    }
    *low_quad = vreinterpretq_s8_u8(low);
    *high_quad = vreinterpretq_s8_u8(up);
}

static void unpack_quants(const struct packed *w, int group, int8_t *out)
{
    const uint8_t *quants = packed_quants(w, group), *high = packed_high(w, group);
    for (int block = 0; block < w->n_blocks; block++, quants += w->quant_bytes, high += w->high_bytes, out += 512)
        for (int c = 0; c < 4; c++)
            for (int i = 0; i < VECTORS; i++) {
                int8x16_t low, up;
                load_pair(quants, high, w->bits, c, i, &low, &up);
                vst1q_s8(out + c * 64 + i * 16, low);
                vst1q_s8(out + (c + 4) * 64 + i * 16, up);
            }
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

/* n_rows rows of a tile against a group: unpacked, or (NULL) as it is packed. All of bits, n_rows, n_spans, has_min, is_unpacked are
 * constants where it is called. */
INLINE void multiply(const struct gemm *gemm, int group, const int8_t *unpacked, struct gemm_tile tile, int bits, int n_rows, int n_spans,
                     bool has_min, bool is_unpacked)
{
    const struct packed *w = gemm->w;
    const uint8_t *quants = packed_quants(w, group), *high = packed_high(w, group);
    const uint16_t *scale = packed_scales(w, group), *min = packed_mins(w, group);
    const float *s = n_spans == 2 ? tile.half_s : tile.s;
    const int32_t *lift = n_spans == 2 ? tile.half_lift : tile.lift;
    size_t quant_bytes = bits == 8 ? 512 : 256, high_bytes = bits == 5 ? 64 : bits == 6 ? 128 : 0;
    float32x4_t sums[MOST_ROWS][VECTORS];
#pragma GCC unroll 3
    for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 4
        for (int i = 0; i < VECTORS; i++)
            sums[t][i] = vdupq_n_f32(0);
    for (int block = 0; block < w->n_blocks; block++) {
        const int8_t *bytes = tile.q + block * tile.width * ACTIVATION_BLOCK;
#pragma GCC unroll 2
        for (int span = 0; span < n_spans; span++) {
            int32x4_t dots[MOST_ROWS][VECTORS];
#pragma GCC unroll 3
            for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 4
                for (int i = 0; i < VECTORS; i++)
                    dots[t][i] = vdupq_n_s32(has_min || bits == 8 ? 0 : (lift[t] >> 7) * w->offset);
            /* Columns 0…15 of the block, then 16…31: four quads each. */
#pragma GCC unroll 2
            for (int half = 0; half < 2; half++) {
                int8x16_t a[MOST_ROWS];
                if (n_spans == 2 && half != span)
                    continue;
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
                            load_pair(quants, high, bits, c, i, &quads[0][c], &quads[1][c]);
                    }
                    ADD_QUAD(quads[half][0], 0);
                    ADD_QUAD(quads[half][1], 1);
                    ADD_QUAD(quads[half][2], 2);
                    ADD_QUAD(quads[half][3], 3);
                }
            }
#pragma GCC unroll 4
            for (int i = 0; i < VECTORS; i++) {
                float32x4_t w_scale = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(scale + i * 4))), w_min = vdupq_n_f32(0);
                if (has_min)
                    w_min = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(min + i * 4)));
#pragma GCC unroll 3
                for (int t = 0; t < n_rows; t++) {
                    float32x4_t dot = vmulq_n_f32(vcvtq_f32_s32(dots[t][i]), tile.d[block * tile.width + t]);
                    sums[t][i] = vfmaq_f32(sums[t][i], dot, w_scale);
                    if (has_min)
                        sums[t][i] = vfmaq_f32(sums[t][i], w_min, vdupq_n_f32(s[t]));
                }
            }
            scale += PACKED_ROWS;
            min += PACKED_ROWS;
            s += tile.width;
            lift += tile.width;
        }
        quants += quant_bytes;
        high += high_bytes;
        unpacked = is_unpacked ? unpacked + 512 : NULL;
    }
#pragma GCC unroll 3
    for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 4
        for (int i = 0; i < VECTORS; i++)
            store_quarter(gemm, group, i, tile.first_row + t, sums[t][i]);
}

INLINE void multiply_rows(const struct gemm *gemm, int group, const int8_t *unpacked, int bits, int n_spans, bool has_min, bool is_unpacked)
{
    for (int i = 0; i < activations_tiles(gemm->a); i++) {
        struct gemm_tile tile = gemm_tile_at(gemm->a, i);
        for (int left = tile.width; left > 0;) {
            int n = left < MOST_ROWS ? left : MOST_ROWS;
            if (n == 3)
                multiply(gemm, group, unpacked, tile, bits, 3, n_spans, has_min, is_unpacked);
            else if (n == 2)
                multiply(gemm, group, unpacked, tile, bits, 2, n_spans, has_min, is_unpacked);
            else
                multiply(gemm, group, unpacked, tile, bits, 1, n_spans, has_min, is_unpacked);
            tile = gemm_tile_skip(tile, n);
            left -= n;
        }
    }
}

void gemm_groups_neon(const struct gemm *gemm, int first, int end, void *scratch)
{
    const struct packed *w = gemm->w;
    bool unpacks = gemm->a->n_rows > MOST_ROWS;
#define FORM(bits, n_spans, has_min)                                                                                                  \
    do {                                                                                                                               \
        if (unpacks)                                                                                                                   \
            multiply_rows(gemm, group, scratch, bits, n_spans, has_min, true);                                                         \
        else                                                                                                                           \
            multiply_rows(gemm, group, NULL, bits, n_spans, has_min, false);                                                           \
    } while (0)
    for (int group = first; group < end; group++) {
        if (unpacks)
            unpack_quants(w, group, scratch);
        if (w->bits == 4 && w->span == 32 && w->has_min)
            FORM(4, 1, true);
        else if (w->bits == 4 && w->span == 32)
            FORM(4, 1, false);
        else if (w->bits == 4 && w->has_min)
            FORM(4, 2, true);
        else if (w->bits == 4)
            FORM(4, 2, false);
        else if (w->bits == 5 && w->has_min)
            FORM(5, 1, true);
        else if (w->bits == 5)
            FORM(5, 1, false);
        else if (w->bits == 6)
            FORM(6, 2, false);
        else
            FORM(8, 1, false);
    }
#undef FORM
}
