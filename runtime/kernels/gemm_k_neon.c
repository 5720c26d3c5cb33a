/* The NEON form for formats with codes: the dots of a span, times its code, are added in integers over the 256 columns of a unit,
 * and meet floats once for it. All rows run over a unit before the next one, their sums so far in scratch; up to three read its
 * quants as they are packed, more find them unpacked to bytes. */
#include "kernels/codes.h"
#include "kernels/quads_neon.h"

struct unit {
    int8_t q[PACKED_SUPER][512];
    struct unit_codes codes;
};

_Static_assert(sizeof(struct unit) <= GEMM_UNIT_BYTES && GEMM_UNIT_BYTES % 64 == 0, "scratch holds a unit");

/* sum + (float)total · by · scale */
INLINE float32x4_t add_total(float32x4_t sum, int32x4_t total, float by, float32x4_t scale)
{
    return vfmaq_f32(sum, vmulq_n_f32(vcvtq_f32_s32(total), by), scale);
}

/* A unit's part (`quants` where it is packed, its halves at `scale` and `min`) of n_rows rows of a tile: sums[row][16]. All of bits, offset, n_rows,
 * n_spans, has_min, is_unpacked are constants where it is called. */
INLINE void multiply(const struct unit *unit, const uint8_t *quants, const uint16_t *scale, const uint16_t *min, struct gemm_tile tile, int bits,
                     int offset, int n_rows, int n_spans, bool has_min, bool is_unpacked, float *sums)
{
    const size_t quant_bytes = bits < 4 ? 128 : 256, high_bytes = bits == 6 ? 128 : bits == 3 || bits == 5 ? 64 : 0;
    const uint8_t *high = quants + PACKED_SUPER * quant_bytes;
    const int32_t *pairs = n_spans == 2 ? tile.half_sums : tile.block_sums;
    int32x4_t totals[MOST_ROWS][VECTORS], mins[MOST_ROWS][VECTORS];
#pragma GCC unroll 3
    for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 4
        for (int i = 0; i < VECTORS; i++)
            totals[t][i] = mins[t][i] = vdupq_n_s32(0);
    for (int b = 0; b < PACKED_SUPER; b++) {
        const int8_t *bytes = tile.q + b * tile.width * ACTIVATION_BLOCK;
#pragma GCC unroll 2
        for (int span = 0; span < n_spans; span++) {
            int32x4_t dots[MOST_ROWS][VECTORS];
#pragma GCC unroll 3
            for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 4
                for (int i = 0; i < VECTORS; i++)
                    dots[t][i] = vdupq_n_s32(0);
            multiply_quads(unit->q[b], is_unpacked, quants + (size_t)b * quant_bytes, high + (size_t)b * high_bytes, bits, offset, bytes, span * 4,
                           8 / n_spans, n_rows, dots);
#pragma GCC unroll 4
            for (int i = 0; i < VECTORS; i++) {
                int32x4_t code = vld1q_s32(unit->codes.scale[b * n_spans + span] + i * 4);
#pragma GCC unroll 3
                for (int t = 0; t < n_rows; t++)
                    totals[t][i] = vmlaq_s32(totals[t][i], dots[t][i], code);
            }
        }
    }
    for (int p = 0; has_min && p < PACKED_SUPER * n_spans / 2; p++, pairs += tile.width)
#pragma GCC unroll 3
        for (int t = 0; t < n_rows; t++) {
            int16x8_t pair = vreinterpretq_s16_s32(vdupq_n_s32(pairs[t]));
#pragma GCC unroll 4
            for (int i = 0; i < VECTORS; i++) {
                int16x8_t code = vreinterpretq_s16_s32(vld1q_s32(unit->codes.pair[p] + i * 4));
                int32x4_t first = vmull_s16(vget_low_s16(code), vget_low_s16(pair)), last = vmull_high_s16(code, pair);
                mins[t][i] = vaddq_s32(mins[t][i], vpaddq_s32(first, last));
            }
        }
#pragma GCC unroll 3
    for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 4
        for (int i = 0; i < VECTORS; i++, sums += 4) {
            float32x4_t sum = add_total(vld1q_f32(sums), totals[t][i], tile.d[t], load_halves(scale + i * 4));
            vst1q_f32(sums, has_min ? add_total(sum, mins[t][i], tile.d[t], load_halves(min + i * 4)) : sum);
        }
}

/* bits, type, offset, n_spans, has_min and is_unpacked are constants where it is called. */
INLINE void multiply_group(const struct gemm *gemm, int group, int bits, enum tensor_type type, int offset, int n_spans, bool has_min,
                           bool is_unpacked, void *scratch)
{
    const struct packed *w = gemm->w;
    struct unit *unit = scratch;
    float *sums = (float *)(void *)((uint8_t *)scratch + GEMM_UNIT_BYTES);
    memset(sums, 0, (size_t)gemm->a->n_rows * PACKED_ROWS * sizeof *sums);
    for (int u = 0; u < w->n_units; u++) {
        const uint8_t *quants = packed_units(w, group) + (size_t)u * w->unit_bytes;
        const uint16_t *scale = packed_scales(w, group) + u * PACKED_ROWS, *min = packed_mins(w, group) + u * PACKED_ROWS;
        codes_unpack(type, quants + w->unit_bytes - w->code_bytes, packed_nibbles(w, group) + u * w->n_sets * PACKED_ROWS, false, &unit->codes);
        for (int b = 0; is_unpacked && b < PACKED_SUPER; b++)
            unpack_block(w, quants + (size_t)b * w->quant_bytes, quants + PACKED_SUPER * w->quant_bytes + (size_t)b * w->high_bytes, unit->q[b]);
        for (int i = 0; i < activations_tiles(gemm->a); i++) {
            struct gemm_tile tile = gemm_tile_from(gemm_tile_at(gemm->a, i), u * PACKED_SUPER);
            float *to = sums + tile.first_row * PACKED_ROWS;
            for (int left = tile.width; left > 0;) {
                int n = left < MOST_ROWS ? left : MOST_ROWS;
                if (n == 3)
                    multiply(unit, quants, scale, min, tile, bits, offset, 3, n_spans, has_min, is_unpacked, to);
                else if (n == 2)
                    multiply(unit, quants, scale, min, tile, bits, offset, 2, n_spans, has_min, is_unpacked, to);
                else
                    multiply(unit, quants, scale, min, tile, bits, offset, 1, n_spans, has_min, is_unpacked, to);
                tile = gemm_tile_skip(tile, n);
                to += n * PACKED_ROWS;
                left -= n;
            }
        }
    }
    for (int row = 0; row < gemm->a->n_rows; row++)
        for (int i = 0; i < VECTORS; i++, sums += 4)
            store_quarter(gemm, group, i, row, vld1q_f32(sums));
}

void gemm_k_groups_neon(const struct gemm *gemm, int first, int end, void *scratch)
{
    bool unpacks = gemm->a->n_rows > MOST_ROWS;
#define FORM(bits, type, offset, n_spans, has_min)                                                                                    \
    do {                                                                                                                               \
        if (unpacks)                                                                                                                   \
            multiply_group(gemm, group, bits, type, offset, n_spans, has_min, true, scratch);                                          \
        else                                                                                                                           \
            multiply_group(gemm, group, bits, type, offset, n_spans, has_min, false, scratch);                                         \
    } while (0)
    for (int group = first; group < end; group++)
        switch (gemm->w->type) {
        case TENSOR_Q2_K: FORM(2, TENSOR_Q2_K, 0, 2, true); break;
        case TENSOR_Q3_K: FORM(3, TENSOR_Q3_K, 4, 2, false); break;
        case TENSOR_Q4_K: FORM(4, TENSOR_Q4_K, 0, 1, true); break;
        case TENSOR_Q5_K: FORM(5, TENSOR_Q5_K, 0, 1, true); break;
        case TENSOR_Q6_K: FORM(6, TENSOR_Q6_K, 32, 2, false); break;
        default: FORM(PACKED_LEVELS, TENSOR_IQ4_XS, 0, 1, false); break;
        }
#undef FORM
}
