/* The AVX-512 VNNI form, for formats with a scale a block: vpdpbusd multiplies 16 rows × 4 columns of unsigned weights with four
 * activation bytes broadcast from memory.
 *
 * Many rows of x run over two groups at a time, in passes of up to six and of even size. The first pass reads them packed and leaves bytes
 * (with their offset raised to 128, which `lift` takes back) and f32 scales in scratch, where the first or second cache has them for the
 * others. Up to FEW_ROWS go in one pass, which unpacks a block in registers: what they read from memory is read once. */
#include "kernels/quads_vnni.h"

enum { FEW_ROWS = 9 };

/* A group of many rows' products: where it lies packed, and its bytes and f32 scales, which the first rows' product puts there. */
struct unpacked {
    const uint8_t *unit;
    const uint16_t *half_scale;
    const uint16_t *half_min;
    uint8_t *q;   /* [block][quad][64] */
    float *scale; /* [block][16] */
    float *min;
};

/* n_rows rows of a tile against n_groups groups, so that a broadcast serves both. bits: 0, or those of the packed group, which is then
 * unpacked on the way for the rows to come: its operations and stores go beside the products, which wait for two ports only. bits,
 * n_groups, n_rows and has_min are constants where it is called. */
INLINE void multiply(const struct gemm *gemm, int group, int n_groups, const struct unpacked *w, struct gemm_tile tile, int bits, int n_rows,
                     bool has_min, struct ahead *ahead)
{
    static const int order[] = {0, 4, 1, 5, 2, 6, 3, 7}; /* Two quads lie in one vector. */
    const size_t unit_bytes = bits == 8 ? 512 : bits == 5 ? 320 : 256;
    const __m512i raise = _mm512_set1_epi8((char)(has_min || bits > 5 ? 0 : 128 - (1 << (bits - 1))));
    __m512 sums[2][MOST_ROWS];
#pragma GCC unroll 2
    for (int g = 0; g < n_groups; g++)
#pragma GCC unroll 6
        for (int t = 0; t < n_rows; t++)
            sums[g][t] = _mm512_setzero_ps();
    const uint8_t *unit[2] = {w[0].unit, w[n_groups - 1].unit};
    uint8_t *q[2] = {w[0].q, w[n_groups - 1].q};
    float *scale[2] = {w[0].scale, w[n_groups - 1].scale}, *min[2] = {w[0].min, w[n_groups - 1].min};
    const uint16_t *half_scale[2] = {w[0].half_scale, w[n_groups - 1].half_scale}, *half_min[2] = {w[0].half_min, w[n_groups - 1].half_min};
    const int8_t *a = tile.q;
    const float *d = tile.d, *s = tile.s;
    const int32_t *lift = tile.lift;
    size_t unit_at = 0, quad_at = 0, scale_at = 0;
    for (int block = 0; block < gemm->w->n_blocks; block++) {
        __m512i dots[2][MOST_ROWS];
        ahead_step(ahead);
#pragma GCC unroll 6
        for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 2
            for (int g = 0; g < n_groups; g++)
                dots[g][t] = has_min ? _mm512_setzero_si512() : _mm512_set1_epi32(lift[t]);
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            int j = bits == 0 || bits == 8 ? i : order[i];
            __m512i quad[2];
#pragma GCC unroll 2
            for (int g = 0; g < n_groups; g++)
                if (bits == 0 || bits == 8) {
                    quad[g] = _mm512_load_si512(q[g] + quad_at + j * 64);
                } else {
                    quad[g] = _mm512_add_epi8(load_quad(unit[g] + unit_at, unit[g] + unit_at + 256, bits, j), raise);
                    _mm512_store_si512(q[g] + quad_at + j * 64, quad[g]);
                }
#pragma GCC unroll 6
            for (int t = 0; t < n_rows; t++) {
                __m512i value = broadcast_word(a + t * ACTIVATION_BLOCK + j * 4);
#pragma GCC unroll 2
                for (int g = 0; g < n_groups; g++) {
                    dots[g][t] = _mm512_dpbusd_epi32(dots[g][t], quad[g], value);
                    if (bits != 0)
                        KEEP_IN_ORDER(dots[g][t]);
                }
            }
        }
        __m512 w_scale[2], w_min[2];
#pragma GCC unroll 2
        for (int g = 0; g < n_groups; g++) {
            if (bits == 0) {
                w_scale[g] = _mm512_load_ps(scale[g] + scale_at);
                w_min[g] = has_min ? _mm512_load_ps(min[g] + scale_at) : _mm512_setzero_ps();
                continue;
            }
            w_scale[g] = load_halves(half_scale[g] + scale_at);
            w_min[g] = has_min ? load_halves(half_min[g] + scale_at) : _mm512_setzero_ps();
            _mm512_store_ps(scale[g] + scale_at, w_scale[g]);
            if (has_min)
                _mm512_store_ps(min[g] + scale_at, w_min[g]);
        }
#pragma GCC unroll 6
        for (int t = 0; t < n_rows; t++) {
            __m512 by = _mm512_set1_ps(d[t]);
#pragma GCC unroll 2
            for (int g = 0; g < n_groups; g++) {
                sums[g][t] = _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(dots[g][t]), by), w_scale[g], sums[g][t]);
                if (has_min)
                    sums[g][t] = _mm512_fmadd_ps(w_min[g], _mm512_set1_ps(s[t]), sums[g][t]);
            }
        }
        unit_at += unit_bytes;
        quad_at += 512;
        scale_at += PACKED_ROWS;
        s += tile.width;
        lift += tile.width;
        a += tile.width * ACTIVATION_BLOCK;
        d += tile.width;
    }
#pragma GCC unroll 2
    for (int g = 0; g < n_groups; g++)
        store_rows(gemm, group + g, tile.first_row, n_rows, sums[g]);
}

#define ROWS_OF_PASS(n, from)                                                                                                          \
    case n:                                                                                                                            \
        multiply(gemm, group, n_groups, w, tile, from, n, has_min, &ahead);                                                            \
        break;

/* More than FEW_ROWS rows, so that the first pass, which unpacks, has five or six. */
INLINE void multiply_all(const struct gemm *gemm, int group, int n_groups, const struct unpacked *w, int bits, bool has_min)
{
    struct ahead ahead = ahead_of(gemm, group, n_groups, AHEAD_BYTES);
    for (int i = 0; i < activations_tiles(gemm->a); i++) {
        struct gemm_tile tile = gemm_tile_at(gemm->a, i);
        for (int left = tile.width, n; left > 0; left -= n) {
            int n_passes = (left + MOST_ROWS - 1) / MOST_ROWS;
            n = (left + n_passes - 1) / n_passes;
            ahead.step = ahead.row_step * (uint32_t)n;
            if (tile.first_row == 0)
                switch (n) {
                    ROWS_OF_PASS(5, bits)
                    ROWS_OF_PASS(6, bits)
                default:
                    __builtin_unreachable();
                }
            else
                switch (n) {
                    ROWS_OF_PASS(1, 0)
                    ROWS_OF_PASS(2, 0)
                    ROWS_OF_PASS(3, 0)
                    ROWS_OF_PASS(4, 0)
                    ROWS_OF_PASS(5, 0)
                    ROWS_OF_PASS(6, 0)
                default:
                    __builtin_unreachable();
                }
            tile = gemm_tile_skip(tile, n);
        }
    }
}

/* One or two groups, as a constant. */
INLINE void many_rows_of(const struct gemm *gemm, int group, int n_groups, void *scratch, int bits, bool has_min)
{
    const struct packed *w = gemm->w;
    struct unpacked unpacked[2];
    for (int i = 0; i < n_groups; i++) {
        uint8_t *q = (uint8_t *)scratch + (size_t)i * gemm_scratch_bytes(w, 0) / 2;
        float *scale = (float *)(void *)(q + (size_t)w->n_blocks * 512);
        unpacked[i] = (struct unpacked){packed_units(w, group + i), packed_scales(w, group + i), packed_mins(w, group + i), q, scale, scale + w->n_blocks * PACKED_ROWS};
        if (bits == 8)
            unpacked[i].q = (uint8_t *)(uintptr_t)packed_units(w, group + i); /* They are bytes as they are. */
    }
    if (n_groups == 2)
        multiply_all(gemm, group, 2, unpacked, bits, has_min);
    else
        multiply_all(gemm, group, 1, unpacked, bits, has_min);
}

static void many_rows(const struct gemm *gemm, int group, int n_groups, void *scratch)
{
    const struct packed *w = gemm->w;
    if (w->bits == 4 && w->has_min)
        many_rows_of(gemm, group, n_groups, scratch, 4, true);
    else if (w->bits == 4)
        many_rows_of(gemm, group, n_groups, scratch, 4, false);
    else if (w->bits == 5 && w->has_min)
        many_rows_of(gemm, group, n_groups, scratch, 5, true);
    else if (w->bits == 5)
        many_rows_of(gemm, group, n_groups, scratch, 5, false);
    else if (w->bits == PACKED_LEVELS)
        many_rows_of(gemm, group, n_groups, scratch, PACKED_LEVELS, false);
    else
        many_rows_of(gemm, group, n_groups, scratch, 8, false);
}

/* n_rows rows of a tile straight from the packed group, which is read once and in order: what is AHEAD_BYTES further on is asked for
 * while the present block is multiplied, also past the group's end, where the next one lies. */
INLINE void multiply_packed(const struct gemm *gemm, int group, struct gemm_tile tile, int bits, int n_rows, bool has_min)
{
    const struct packed *w = gemm->w;
    const uint8_t *unit = packed_units(w, group);
    const uint16_t *scale = packed_scales(w, group), *min = packed_mins(w, group);
    size_t quant_bytes = bits == 8 ? 512 : 256, unit_bytes = quant_bytes + (bits == 5 ? 64 : 0);
    size_t block_bytes = unit_bytes + (has_min ? 64 : 32); /* With its part of the front. */
    const char *ahead = (const char *)scale + AHEAD_BYTES;
    __m512 sums[FEW_ROWS];
#pragma GCC unroll 9
    for (int t = 0; t < n_rows; t++)
        sums[t] = _mm512_setzero_ps();
    for (int block = 0; block < w->n_blocks; block++) {
        __m512i quads[8];
#pragma GCC unroll 16
        for (size_t line = 0; line < block_bytes; line += 64)
            _mm_prefetch(ahead + line, _MM_HINT_T0);
        ahead += block_bytes;
        load_quads(unit, unit + quant_bytes, bits, quads);
        unit += unit_bytes;
        __m512 w_scale = load_halves(scale), w_min = has_min ? load_halves(min) : _mm512_setzero_ps();
        scale += PACKED_ROWS;
        min += PACKED_ROWS;
#pragma GCC unroll 9
        for (int t = 0; t < n_rows; t++) {
            int at = block * tile.width + t;
            const int8_t *a = tile.q + at * ACTIVATION_BLOCK;
            __m512i even = has_min ? _mm512_setzero_si512() : _mm512_set1_epi32((tile.lift[at] >> 7) * w->offset);
            __m512i odd = _mm512_setzero_si512(); /* One row alone would wait for each product. */
#pragma GCC unroll 8
            for (int j = 0; j < 8; j += 2) {
                even = _mm512_dpbusd_epi32(even, quads[j], broadcast_word(a + j * 4));
                if (n_rows <= 2)
                    odd = _mm512_dpbusd_epi32(odd, quads[j + 1], broadcast_word(a + j * 4 + 4));
                else
                    even = _mm512_dpbusd_epi32(even, quads[j + 1], broadcast_word(a + j * 4 + 4));
            }
            __m512 dot = _mm512_cvtepi32_ps(n_rows <= 2 ? _mm512_add_epi32(even, odd) : even);
            sums[t] = _mm512_fmadd_ps(_mm512_mul_ps(dot, _mm512_set1_ps(tile.d[at])), w_scale, sums[t]);
            if (has_min)
                sums[t] = _mm512_fmadd_ps(w_min, _mm512_set1_ps(tile.s[at]), sums[t]);
        }
    }
    store_rows(gemm, group, tile.first_row, n_rows, sums);
}

#define ROWS_AT_ONCE(n)                                                                                                                \
    case n:                                                                                                                            \
        multiply_packed(gemm, group, tile, bits, n, has_min);                                                                            \
        break;

/* All rows in one pass, their number as a constant. */
INLINE void few_rows_of(const struct gemm *gemm, int group, int bits, bool has_min)
{
    struct gemm_tile tile = gemm_tile_at(gemm->a, 0);
    switch (tile.width) {
        ROWS_AT_ONCE(1)
        ROWS_AT_ONCE(2)
        ROWS_AT_ONCE(3)
        ROWS_AT_ONCE(4)
        ROWS_AT_ONCE(5)
        ROWS_AT_ONCE(6)
        ROWS_AT_ONCE(7)
        ROWS_AT_ONCE(8)
        ROWS_AT_ONCE(9)
    default:
        __builtin_unreachable();
    }
}

static void few_rows(const struct gemm *gemm, int group)
{
    const struct packed *w = gemm->w;
    if (w->bits == 4 && w->has_min)
        few_rows_of(gemm, group, 4, true);
    else if (w->bits == 4)
        few_rows_of(gemm, group, 4, false);
    else if (w->bits == 5 && w->has_min)
        few_rows_of(gemm, group, 5, true);
    else if (w->bits == 5)
        few_rows_of(gemm, group, 5, false);
    else if (w->bits == PACKED_LEVELS)
        few_rows_of(gemm, group, PACKED_LEVELS, false);
    else
        few_rows_of(gemm, group, 8, false);
}

void gemm_groups_vnni(const struct gemm *gemm, int first, int end, void *scratch)
{
    if (gemm->w->code_bytes > 0) {
        gemm_k_groups_vnni(gemm, first, end, scratch);
        return;
    }
    if (gemm->a->n_rows <= FEW_ROWS) {
        for (int group = first; group < end; group++)
            few_rows(gemm, group);
        return;
    }
    for (int group = first; group < end; group += 2)
        many_rows(gemm, group, end - group < 2 ? end - group : 2, scratch);
}
