/* The NEON form, for 64-bit Arm with the dot product and formats with a scale a block. Up to three rows read the packed group; with more it
 * is unpacked to bytes once, for all of them. */
#include "kernels/quads_neon.h"

static void unpack(const struct packed *w, int group, int8_t *out)
{
    const uint8_t *unit = packed_units(w, group);
    for (int block = 0; block < w->n_blocks; block++, unit += w->unit_bytes, out += 512)
        unpack_block(w, unit, unit + w->quant_bytes, out);
}

/* n_rows rows of a tile against a group: unpacked, or (NULL) as it is packed. All of bits, offset, n_rows, has_min, is_unpacked are
 * constants where it is called. */
INLINE void multiply(const struct gemm *gemm, int group, const int8_t *unpacked, struct gemm_tile tile, int bits, int offset, int n_rows,
                     bool has_min, bool is_unpacked)
{
    const struct packed *w = gemm->w;
    const uint8_t *unit = packed_units(w, group);
    const uint16_t *scale = packed_scales(w, group), *min = packed_mins(w, group);
    const size_t quant_bytes = bits == 8 ? 512 : 256;
    float32x4_t sums[MOST_ROWS][VECTORS];
#pragma GCC unroll 3
    for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 4
        for (int i = 0; i < VECTORS; i++)
            sums[t][i] = vdupq_n_f32(0);
    for (int block = 0; block < w->n_blocks; block++) {
        const int8_t *bytes = tile.q + block * tile.width * ACTIVATION_BLOCK;
        int32x4_t dots[MOST_ROWS][VECTORS];
#pragma GCC unroll 3
        for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 4
            for (int i = 0; i < VECTORS; i++)
                dots[t][i] = vdupq_n_s32(0);
        multiply_quads(unpacked, is_unpacked, unit, unit + quant_bytes, bits, offset, bytes, 0, 8, n_rows, dots);
#pragma GCC unroll 4
        for (int i = 0; i < VECTORS; i++) {
            float32x4_t w_scale = load_halves(scale + i * 4), w_min = vdupq_n_f32(0);
            if (has_min)
                w_min = load_halves(min + i * 4);
#pragma GCC unroll 3
            for (int t = 0; t < n_rows; t++) {
                int at = block * tile.width + t;
                float32x4_t dot = vmulq_n_f32(vcvtq_f32_s32(dots[t][i]), tile.d[at]);
                sums[t][i] = vfmaq_f32(sums[t][i], dot, w_scale);
                if (has_min)
                    sums[t][i] = vfmaq_f32(sums[t][i], w_min, vdupq_n_f32(tile.s[at]));
            }
        }
        unit += w->unit_bytes;
        unpacked = is_unpacked ? unpacked + 512 : NULL;
        scale += PACKED_ROWS;
        min += PACKED_ROWS;
    }
#pragma GCC unroll 3
    for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 4
        for (int i = 0; i < VECTORS; i++)
            store_quarter(gemm, group, i, tile.first_row + t, sums[t][i]);
}

INLINE void multiply_rows(const struct gemm *gemm, int group, const int8_t *unpacked, int bits, int offset, bool has_min, bool is_unpacked)
{
    for (int i = 0; i < activations_tiles(gemm->a); i++) {
        struct gemm_tile tile = gemm_tile_at(gemm->a, i);
        for (int left = tile.width; left > 0;) {
            int n = left < MOST_ROWS ? left : MOST_ROWS;
            if (n == 3)
                multiply(gemm, group, unpacked, tile, bits, offset, 3, has_min, is_unpacked);
            else if (n == 2)
                multiply(gemm, group, unpacked, tile, bits, offset, 2, has_min, is_unpacked);
            else
                multiply(gemm, group, unpacked, tile, bits, offset, 1, has_min, is_unpacked);
            tile = gemm_tile_skip(tile, n);
            left -= n;
        }
    }
}

void gemm_groups_neon(const struct gemm *gemm, int first, int end, void *scratch)
{
    const struct packed *w = gemm->w;
    bool unpacks = gemm->a->n_rows > MOST_ROWS;
    if (w->code_bytes > 0) {
        gemm_k_groups_neon(gemm, first, end, scratch);
        return;
    }
#define FORM(bits, offset, has_min)                                                                                                   \
    do {                                                                                                                               \
        if (unpacks)                                                                                                                   \
            multiply_rows(gemm, group, scratch, bits, offset, has_min, true);                                                          \
        else                                                                                                                           \
            multiply_rows(gemm, group, NULL, bits, offset, has_min, false);                                                            \
    } while (0)
    for (int group = first; group < end; group++) {
        if (unpacks)
            unpack(w, group, scratch);
        if (w->bits == 4 && w->has_min)
            FORM(4, 0, true);
        else if (w->bits == 4)
            FORM(4, 8, false);
        else if (w->bits == 5 && w->has_min)
            FORM(5, 0, true);
        else if (w->bits == 5)
            FORM(5, 16, false);
        else if (w->bits == PACKED_LEVELS)
            FORM(PACKED_LEVELS, 0, false);
        else
            FORM(8, 128, false);
    }
#undef FORM
}
