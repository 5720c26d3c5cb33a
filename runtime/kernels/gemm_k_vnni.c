/* The AVX-512 VNNI form for formats with codes: the dots of a span, times its code, are added in integers over the 256 columns
 * of a unit, and meet floats once for it. The multiplication by a code costs one operation of the kind that vpdpbusd is, so
 * that spans of 32 columns take 9 for 8 and spans of 16 take 10; additions run beside them.
 *
 * Many rows of x: a unit of two groups is unpacked to bytes, which the first cache holds while all rows run over them; sums so far wait
 * in scratch. Activations are unsigned here, 128 too high, and weights signed: what that adds to a sum is the same for all
 * rows, and each sum starts without it. One or two rows read the packed group; weights are unsigned then, and an offset
 * is taken back as if it were a min. */
#include "kernels/codes.h"
#include "kernels/quads_vnni.h"

struct unit {
    uint8_t q[PACKED_SUPER][8][64];
    struct unit_codes codes;
    int32_t start[PACKED_ROWS]; /* -128 Σ code · weight */
    float scale[PACKED_ROWS];
    float min[PACKED_ROWS];
};

_Static_assert(sizeof(struct unit) <= GEMM_UNIT_BYTES && GEMM_UNIT_BYTES % 64 == 0, "scratch holds a unit");

INLINE __m512i load_codes(const int32_t *at)
{
    return _mm512_load_si512((const void *)at);
}

/* sum + (float)total · by · scale */
INLINE __m512 add_total(__m512 sum, __m512i total, __m512 by, __m512 scale)
{
    return _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(total), by), scale, sum);
}

/* Adds a unit's mins, which follow its dots in every output's sum. */
INLINE void add_mins(const struct unit *w, struct gemm_tile tile, int n_groups, int n_rows, int n_spans, float *sums)
{
    const int32_t *pairs = n_spans == 2 ? tile.half_sums : tile.block_sums;
    __m512i totals[2][MOST_ROWS];
#pragma GCC unroll 2
    for (int g = 0; g < n_groups; g++)
#pragma GCC unroll 6
        for (int t = 0; t < n_rows; t++)
            totals[g][t] = _mm512_setzero_si512();
    for (int i = 0; i < PACKED_SUPER * n_spans / 2; i++)
#pragma GCC unroll 6
        for (int t = 0; t < n_rows; t++) {
            __m512i pair = broadcast_word(pairs + i * tile.width + t);
#pragma GCC unroll 2
            for (int g = 0; g < n_groups; g++)
                totals[g][t] = _mm512_dpwssd_epi32(totals[g][t], load_codes(w[g].codes.pair[i]), pair);
        }
#pragma GCC unroll 6
    for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 2
        for (int g = 0; g < n_groups; g++, sums += PACKED_ROWS)
            _mm512_store_ps(sums, add_total(_mm512_load_ps(sums), totals[g][t], _mm512_set1_ps(tile.d[t]), _mm512_load_ps(w[g].min)));
}

/* A unit's part of n_rows rows of a tile in n_groups groups: sums[row][group][16]. All of n_groups, n_rows, n_spans, has_min are constants
 * where it is called. */
INLINE void multiply(const struct unit *w, struct gemm_tile tile, int n_groups, int n_rows, int n_spans, bool has_min, float *sums)
{
    const uint8_t *q[2] = {w[0].q[0][0], w[n_groups - 1].q[0][0]};
    const int32_t *code[2] = {w[0].codes.scale[0], w[n_groups - 1].codes.scale[0]};
    const int8_t *a = tile.q;
    __m512i totals[2][MOST_ROWS];
#pragma GCC unroll 2
    for (int g = 0; g < n_groups; g++)
#pragma GCC unroll 6
        for (int t = 0; t < n_rows; t++)
            totals[g][t] = load_codes(w[g].start);
    for (int block = 0; block < PACKED_SUPER; block++) {
#pragma GCC unroll 2
        for (int span = 0; span < n_spans; span++) {
            __m512i dots[2][MOST_ROWS];
#pragma GCC unroll 6
            for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 2
                for (int g = 0; g < n_groups; g++) {
                    dots[g][t] = _mm512_setzero_si512();
                    KEEP_IN_ORDER(dots[g][t]);
                }
#pragma GCC unroll 8
            for (int j = 0; j < 8 / n_spans; j++) {
                __m512i quad[2];
#pragma GCC unroll 2
                for (int g = 0; g < n_groups; g++)
                    quad[g] = _mm512_load_si512(q[g] + j * 64);
#pragma GCC unroll 6
                for (int t = 0; t < n_rows; t++) {
                    __m512i value = broadcast_word(a + t * ACTIVATION_BLOCK + span * 16 + j * 4);
#pragma GCC unroll 2
                    for (int g = 0; g < n_groups; g++)
                        dots[g][t] = _mm512_dpbusd_epi32(dots[g][t], value, quad[g]);
                }
            }
#pragma GCC unroll 2
            for (int g = 0; g < n_groups; g++) {
                __m512i by = load_codes(code[g]);
#pragma GCC unroll 6
                for (int t = 0; t < n_rows; t++) {
                    totals[g][t] = _mm512_add_epi32(totals[g][t], _mm512_mullo_epi32(dots[g][t], by));
                    KEEP_IN_ORDER(totals[g][t]);
                }
                q[g] += 512 / n_spans;
                code[g] += PACKED_ROWS;
            }
        }
        a += tile.width * ACTIVATION_BLOCK;
    }
    float *to = sums;
#pragma GCC unroll 6
    for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 2
        for (int g = 0; g < n_groups; g++, to += PACKED_ROWS)
            _mm512_store_ps(to, add_total(_mm512_load_ps(to), totals[g][t], _mm512_set1_ps(tile.d[t]), _mm512_load_ps(w[g].scale)));
    if (has_min)
        add_mins(w, tile, n_groups, n_rows, n_spans, sums);
}

INLINE void multiply_rows(const struct unit *w, struct gemm_tile tile, int n_groups, int n_spans, bool has_min, float *sums, struct ahead *ahead)
{
    for (int left = tile.width; left > 0;) {
        int n = left >= 6 ? 6 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        ahead->step = ahead->row_step * (uint32_t)n;
        ahead_step(ahead);
        if (n == 6)
            multiply(w, tile, n_groups, 6, n_spans, has_min, sums);
        else if (n == 4)
            multiply(w, tile, n_groups, 4, n_spans, has_min, sums);
        else if (n == 2)
            multiply(w, tile, n_groups, 2, n_spans, has_min, sums);
        else
            multiply(w, tile, n_groups, 1, n_spans, has_min, sums);
        tile = gemm_tile_skip(tile, n);
        sums += n * n_groups * PACKED_ROWS;
        left -= n;
    }
}

/* bits and type are constants where it is called, here and below; bits are the type's. */
INLINE void unpack_unit(const struct packed *w, int group, int i, int bits, enum tensor_type type, struct unit *out)
{
    const uint8_t *quants = packed_units(w, group) + (size_t)i * w->unit_bytes, *high = quants + PACKED_SUPER * w->quant_bytes;
    const uint16_t *nibbles = packed_nibbles(w, group) + i * w->n_sets * PACKED_ROWS;
    const __m512i ones = _mm512_set1_epi8(1), offset = _mm512_set1_epi8((char)w->offset);
    const int n_spans = PACKED_BLOCK / w->span;
    __m512i start = _mm512_setzero_si512();
    codes_unpack(type, high + PACKED_SUPER * w->high_bytes, nibbles, false, &out->codes);
    for (int b = 0; b < PACKED_SUPER; b++) {
        __m512i quads[8], sums[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
        load_quads(quants + (size_t)b * w->quant_bytes, high + (size_t)b * w->high_bytes, bits, quads);
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) {
            quads[j] = _mm512_sub_epi8(quads[j], offset);
            sums[j / 4] = _mm512_dpbusd_epi32(sums[j / 4], ones, quads[j]);
            _mm512_store_si512(out->q[b][j], quads[j]);
        }
        for (int half = 0; half < 2; half++)
            start = _mm512_add_epi32(start, _mm512_mullo_epi32(sums[half], load_codes(out->codes.scale[b * n_spans + half * (n_spans - 1)])));
    }
    _mm512_store_si512(out->start, _mm512_slli_epi32(_mm512_sub_epi32(_mm512_setzero_si512(), start), 7));
    _mm512_store_ps(out->scale, load_halves(packed_scales(w, group) + i * PACKED_ROWS));
    if (w->has_min)
        _mm512_store_ps(out->min, load_halves(packed_mins(w, group) + i * PACKED_ROWS));
}

static void unpack(const struct packed *w, int group, int i, struct unit *out)
{
    switch (w->type) {
    case TENSOR_Q2_K: unpack_unit(w, group, i, 2, TENSOR_Q2_K, out); break;
    case TENSOR_Q3_K: unpack_unit(w, group, i, 3, TENSOR_Q3_K, out); break;
    case TENSOR_Q4_K: unpack_unit(w, group, i, 4, TENSOR_Q4_K, out); break;
    case TENSOR_Q5_K: unpack_unit(w, group, i, 5, TENSOR_Q5_K, out); break;
    case TENSOR_Q6_K: unpack_unit(w, group, i, 6, TENSOR_Q6_K, out); break;
    default: unpack_unit(w, group, i, PACKED_LEVELS, TENSOR_IQ4_XS, out); break;
    }
}

/* One or two rows straight from the packed group, asking ahead as in gemm_vnni.c. */
INLINE void multiply_packed(const struct gemm *gemm, int group, int bits, enum tensor_type type, int n_rows, int n_spans, bool has_min, int offset)
{
    const struct packed *w = gemm->w;
    const size_t quant_bytes = bits < 4 ? 128 : 256, high_bytes = bits == 6 ? 128 : bits == 3 || bits == 5 ? 64 : 0;
    struct gemm_tile tile = gemm_tile_at(gemm->a, 0);
    const int32_t *pairs = n_spans == 2 ? tile.half_sums : tile.block_sums;
    const uint8_t *unit = packed_units(w, group);
    const uint16_t *nibbles = packed_nibbles(w, group);
    const char *ahead = (const char *)packed_scales(w, group) + AHEAD_BYTES;
    const size_t step = w->group_bytes / (size_t)w->n_blocks;
    __m512 sums[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    _Alignas(64) struct unit_codes codes;
    for (int i = 0; i < w->n_units; i++, unit += w->unit_bytes, nibbles += w->n_sets * PACKED_ROWS) {
        __m512i totals[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()}, mins[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
        const uint8_t *high = unit + PACKED_SUPER * quant_bytes;
        codes_unpack(type, high + PACKED_SUPER * high_bytes, nibbles, false, &codes);
        for (int b = 0; b < PACKED_SUPER; b++) {
            __m512i quads[8];
#pragma GCC unroll 8
            for (size_t line = 0; line < quant_bytes + high_bytes + 64; line += 64)
                _mm_prefetch(ahead + line, _MM_HINT_T0);
            ahead += step;
            load_quads(unit + (size_t)b * quant_bytes, high + (size_t)b * high_bytes, bits, quads);
#pragma GCC unroll 2
            for (int t = 0; t < n_rows; t++) {
                const int8_t *a = tile.q + ((i * PACKED_SUPER + b) * tile.width + t) * ACTIVATION_BLOCK;
#pragma GCC unroll 2
                for (int span = 0; span < n_spans; span++) {
                    __m512i even = _mm512_setzero_si512(), odd = _mm512_setzero_si512();
#pragma GCC unroll 8
                    for (int j = span * 8 / n_spans; j < (span + 1) * 8 / n_spans; j += 2) {
                        even = _mm512_dpbusd_epi32(even, quads[j], broadcast_word(a + j * 4));
                        odd = _mm512_dpbusd_epi32(odd, quads[j + 1], broadcast_word(a + j * 4 + 4));
                    }
                    __m512i code = load_codes(codes.scale[b * n_spans + span]);
                    totals[t] = _mm512_add_epi32(totals[t], _mm512_mullo_epi32(_mm512_add_epi32(even, odd), code));
                }
            }
        }
        for (int p = 0; p < PACKED_SUPER * n_spans / 2; p++, pairs += tile.width)
#pragma GCC unroll 2
            for (int t = 0; t < n_rows; t++)
                mins[t] = _mm512_dpwssd_epi32(mins[t], load_codes(codes.pair[p]), broadcast_word(pairs + t));
#pragma GCC unroll 2
        for (int t = 0; t < n_rows; t++) {
            __m512 by = _mm512_set1_ps(tile.d[i * PACKED_SUPER * tile.width + t]);
            if (!has_min)
                totals[t] = _mm512_sub_epi32(totals[t], _mm512_mullo_epi32(mins[t], _mm512_set1_epi32(offset)));
            sums[t] = add_total(sums[t], totals[t], by, load_halves(packed_scales(w, group) + i * PACKED_ROWS));
            if (has_min)
                sums[t] = add_total(sums[t], mins[t], by, load_halves(packed_mins(w, group) + i * PACKED_ROWS));
        }
    }
    store_rows(gemm, group, 0, n_rows, sums);
}

/* A row count of one or two, as a constant. */
#define FEW_ROWS(bits, type, n_spans, has_min, offset)                                                                                \
    do {                                                                                                                               \
        if (gemm->a->n_rows == 1)                                                                                                      \
            multiply_packed(gemm, group, bits, type, 1, n_spans, has_min, offset);                                                     \
        else                                                                                                                           \
            multiply_packed(gemm, group, bits, type, 2, n_spans, has_min, offset);                                                     \
    } while (0)

static void few_rows(const struct gemm *gemm, int group)
{
    switch (gemm->w->type) {
    case TENSOR_Q2_K: FEW_ROWS(2, TENSOR_Q2_K, 2, true, 0); break;
    case TENSOR_Q3_K: FEW_ROWS(3, TENSOR_Q3_K, 2, false, 4); break;
    case TENSOR_Q4_K: FEW_ROWS(4, TENSOR_Q4_K, 1, true, 0); break;
    case TENSOR_Q5_K: FEW_ROWS(5, TENSOR_Q5_K, 1, true, 0); break;
    case TENSOR_Q6_K: FEW_ROWS(6, TENSOR_Q6_K, 2, false, 32); break;
    default: FEW_ROWS(PACKED_LEVELS, TENSOR_IQ4_XS, 1, false, 128); break;
    }
}

/* All rows in one or two groups. */
INLINE void multiply_groups(const struct gemm *gemm, int group, int n_groups, struct unit *units, float *sums, int n_spans, bool has_min)
{
    const struct packed *w = gemm->w;
    struct ahead ahead = ahead_of(gemm, group, n_groups, AHEAD_BYTES);
    memset(sums, 0, (size_t)gemm->a->n_rows * (size_t)n_groups * PACKED_ROWS * sizeof *sums);
    for (int i = 0; i < w->n_units; i++) {
        for (int g = 0; g < n_groups; g++)
            unpack(w, group + g, i, &units[g]);
        for (int k = 0; k < activations_tiles(gemm->a); k++) {
            struct gemm_tile tile = gemm_tile_from(gemm_tile_at(gemm->a, k), i * PACKED_SUPER);
            multiply_rows(units, tile, n_groups, n_spans, has_min, sums + (size_t)tile.first_row * (size_t)n_groups * PACKED_ROWS, &ahead);
        }
    }
    for (int row = 0; row < gemm->a->n_rows; row++)
        for (int g = 0; g < n_groups; g++, sums += PACKED_ROWS) {
            __m512 sum = _mm512_load_ps(sums);
            store_rows(gemm, group + g, row, 1, &sum);
        }
}

/* One or two groups, as a constant. */
#define GROUPS(n_spans, has_min)                                                                                                      \
    do {                                                                                                                               \
        if (end - group >= 2)                                                                                                          \
            multiply_groups(gemm, group, 2, scratch, sums, n_spans, has_min);                                                          \
        else                                                                                                                           \
            multiply_groups(gemm, group, 1, scratch, sums, n_spans, has_min);                                                          \
    } while (0)

void gemm_k_groups_vnni(const struct gemm *gemm, int first, int end, void *scratch)
{
    const struct packed *w = gemm->w;
    float *sums = (float *)(void *)((uint8_t *)scratch + 2 * GEMM_UNIT_BYTES);
    if (gemm->a->n_rows <= GEMM_FEW_ROWS) {
        for (int group = first; group < end; group++)
            few_rows(gemm, group);
        return;
    }
    for (int group = first; group < end; group += 2) {
        if (w->span == 32 && w->has_min)
            GROUPS(1, true);
        else if (w->span == 32)
            GROUPS(1, false);
        else if (w->has_min)
            GROUPS(2, true);
        else
            GROUPS(2, false);
    }
}
