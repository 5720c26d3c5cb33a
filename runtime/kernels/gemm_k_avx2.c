/* The AVX2 form for formats with codes: where others widen 16-bit sums of products with a multiplication by one (quads_avx2.h), this
 * one multiplies by the span's code, so that codes cost nothing; integers are added over the 256 columns of a unit. The
 * offset of formats that have one is a min of -offset · code, and joins the same sums. */
#include "kernels/codes.h"
#include "kernels/quads_avx2.h"

struct unit {
    uint8_t q[PACKED_SUPER][512];
    struct unit_codes codes; /* Scales doubled; pairs of mins, or of -offset · scale. */
    float scale[PACKED_ROWS];
    float min[PACKED_ROWS];
};

_Static_assert(sizeof(struct unit) <= GEMM_UNIT_BYTES && GEMM_UNIT_BYTES % 64 == 0, "scratch holds a unit");

INLINE __m256i load_codes(const int32_t *at)
{
    return _mm256_load_si256((const __m256i *)(const void *)at);
}

/* sum + (float)total · by · scale */
INLINE __m256 add_total(__m256 sum, __m256i total, __m256 by, __m256 scale)
{
    return _mm256_fmadd_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(total), by), scale, sum);
}

/* A unit's part of n_rows rows of a tile in n_halves halves of a group, from `half` on: sums[row][16]. All of bits (of bytes), n_rows,
 * n_halves, n_spans, has_min are constants where it is called. */
INLINE void multiply(const struct unit *w, struct gemm_tile tile, int half, int n_halves, int bits, int n_rows, int n_spans, bool has_min,
                     float *sums)
{
    const int limit = quads_in_16_bits(bits), n_quads = 8 / n_spans, n_pairs = has_min || bits != 8 ? PACKED_SUPER * n_spans / 2 : 0;
    const uint8_t *q = w->q[0] + half * 32;
    const int8_t *a = tile.q;
    const int32_t *code = w->codes.scale[0] + half * 8, *pairs = n_spans == 2 ? tile.half_sums : tile.block_sums;
    __m256i totals[MOST_ROWS][2], mins[MOST_ROWS][2];
#pragma GCC unroll 4
    for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 2
        for (int h = 0; h < n_halves; h++)
            totals[t][h] = _mm256_setzero_si256();
    for (int block = 0; block < PACKED_SUPER; block++) {
#pragma GCC unroll 2
        for (int span = 0; span < n_spans; span++) {
            __m256i narrow[MOST_ROWS][2];
#pragma GCC unroll 8
            for (int j = 0; j < n_quads; j++) {
                __m256i quad[2];
#pragma GCC unroll 2
                for (int h = 0; h < n_halves; h++)
                    quad[h] = _mm256_load_si256((const __m256i *)(const void *)(q + j * 64 + h * 32));
#pragma GCC unroll 4
                for (int t = 0; t < n_rows; t++) {
                    __m256i four = broadcast_word(a + t * ACTIVATION_BLOCK + span * 16 + j * 4);
#pragma GCC unroll 2
                    for (int h = 0; h < n_halves; h++) {
                        __m256i product = products(bits, quad[h], four);
                        narrow[t][h] = j % limit == 0 ? product : _mm256_add_epi16(narrow[t][h], product);
                        KEEP_IN_ORDER(narrow[t][h]);
                        if (j % limit != limit - 1 && j != n_quads - 1)
                            continue;
                        totals[t][h] = _mm256_add_epi32(totals[t][h], _mm256_madd_epi16(narrow[t][h], load_codes(code + h * 8)));
                        KEEP_IN_ORDER(totals[t][h]);
                    }
                }
            }
            q += 64 * n_quads;
            code += PACKED_ROWS;
        }
        a += tile.width * ACTIVATION_BLOCK;
    }
#pragma GCC unroll 4
    for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 2
        for (int h = 0; h < n_halves; h++)
            mins[t][h] = has_min ? _mm256_setzero_si256() : totals[t][h];
    for (int p = 0; p < n_pairs; p++, pairs += tile.width)
#pragma GCC unroll 4
        for (int t = 0; t < n_rows; t++) {
            __m256i pair = broadcast_word(pairs + t);
#pragma GCC unroll 2
            for (int h = 0; h < n_halves; h++)
                mins[t][h] = _mm256_add_epi32(mins[t][h], _mm256_madd_epi16(pair, load_codes(w->codes.pair[p] + (half + h) * 8)));
        }
#pragma GCC unroll 4
    for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 2
        for (int h = 0; h < n_halves; h++) {
            __m256 by = _mm256_broadcast_ss(tile.d + t);
            float *at = sums + t * PACKED_ROWS + (half + h) * 8;
            __m256 sum = add_total(_mm256_load_ps(at), has_min ? totals[t][h] : mins[t][h], by, _mm256_load_ps(w->scale + (half + h) * 8));
            if (has_min)
                sum = add_total(sum, mins[t][h], by, _mm256_load_ps(w->min + (half + h) * 8));
            _mm256_store_ps(at, sum);
        }
}

INLINE void multiply_rows(const struct unit *w, struct gemm_tile tile, int bits, int n_spans, bool has_min, float *sums,
                          struct ahead *ahead)
{
    for (int left = tile.width; left > 0;) {
        int n = left == 4 ? 4 : left >= 3 ? 3 : left;
        ahead->step = ahead->row_step * (uint32_t)n;
        ahead_step(ahead);
        if (n == 4) {
            multiply(w, tile, 0, 1, bits, 4, n_spans, has_min, sums);
            multiply(w, tile, 1, 1, bits, 4, n_spans, has_min, sums);
        } else if (n == 3) {
            multiply(w, tile, 0, 2, bits, 3, n_spans, has_min, sums);
        } else if (n == 2) {
            multiply(w, tile, 0, 2, bits, 2, n_spans, has_min, sums);
        } else {
            multiply(w, tile, 0, 2, bits, 1, n_spans, has_min, sums);
        }
        tile = gemm_tile_skip(tile, n);
        sums += n * PACKED_ROWS;
        left -= n;
    }
}

/* The codes of a unit; pairs become what is added to the dots, of formats with an offset. */
INLINE void unpack_codes(enum tensor_type type, int offset, const uint8_t *codes_at, const uint16_t *nibbles, struct unit_codes *codes)
{
    codes_unpack(type, codes_at, nibbles, true, codes);
    if (offset == 0)
        return;
#pragma GCC unroll 16
    for (int i = 0; i < PACKED_SUPER * 2; i++) {
        __m256i *pair = (__m256i *)(void *)(codes->pair[0] + i * 8);
        _mm256_store_si256(pair, _mm256_mullo_epi16(_mm256_load_si256(pair), _mm256_set1_epi16((short)-offset)));
    }
}

/* bits, type and offset are constants where it is called, here and below; levels have none left. */
INLINE void unpack(const struct packed *w, int group, int i, int bits, enum tensor_type type, int offset, struct unit *out)
{
    const uint8_t *quants = packed_units(w, group) + (size_t)i * w->unit_bytes, *high = quants + PACKED_SUPER * w->quant_bytes;
    const uint16_t *nibbles = packed_nibbles(w, group) + i * w->n_sets * PACKED_ROWS;
    for (int b = 0; b < PACKED_SUPER; b++)
        unpack_block(quants + (size_t)b * w->quant_bytes, high + (size_t)b * w->high_bytes, bits, out->q[b]);
    unpack_codes(type, offset, high + PACKED_SUPER * w->high_bytes, nibbles, &out->codes);
    unpack_halves(packed_scales(w, group) + i * PACKED_ROWS, PACKED_ROWS, out->scale);
    if (w->has_min)
        unpack_halves(packed_mins(w, group) + i * PACKED_ROWS, PACKED_ROWS, out->min);
}

/* All rows: a unit is unpacked and stays in the first cache while they run over it; sums so far wait in scratch. */
INLINE void multiply_all(const struct gemm *gemm, int group, int bits, enum tensor_type type, int offset, int n_spans, bool has_min, void *scratch)
{
    struct unit *unit = scratch;
    float *sums = (float *)(void *)((uint8_t *)scratch + GEMM_UNIT_BYTES);
    struct ahead ahead = ahead_of(gemm, group, 1, AHEAD_BYTES);
    memset(sums, 0, (size_t)gemm->a->n_rows * PACKED_ROWS * sizeof *sums);
    for (int i = 0; i < gemm->w->n_units; i++) {
        unpack(gemm->w, group, i, bits, type, offset, unit);
        for (int k = 0; k < activations_tiles(gemm->a); k++) {
            struct gemm_tile tile = gemm_tile_from(gemm_tile_at(gemm->a, k), i * PACKED_SUPER);
            multiply_rows(unit, tile, bits_of_bytes(bits), n_spans, has_min, sums + tile.first_row * PACKED_ROWS, &ahead);
        }
    }
    for (int row = 0; row < gemm->a->n_rows; row++, sums += PACKED_ROWS) {
        store_half(gemm, group, 0, row, _mm256_load_ps(sums));
        store_half(gemm, group, 1, row, _mm256_load_ps(sums + 8));
    }
}

/* One or two rows straight from the packed group, asking ahead as in gemm_avx2.c. */
INLINE void multiply_packed(const struct gemm *gemm, int group, int form, enum tensor_type type, int offset, int n_rows, int n_spans, bool has_min)
{
    const struct packed *w = gemm->w;
    const size_t quant_bytes = form < 4 ? 128 : 256, high_bytes = form == 6 ? 128 : form == 3 || form == 5 ? 64 : 0;
    const int bits = bits_of_bytes(form), limit = quads_in_16_bits(bits) < 4 ? quads_in_16_bits(bits) : 4;
    const int n_pairs = has_min || offset != 0 ? PACKED_SUPER * n_spans / 2 : 0;
    struct gemm_tile tile = gemm_tile_at(gemm->a, 0);
    const int32_t *pairs = n_spans == 2 ? tile.half_sums : tile.block_sums;
    const uint8_t *unit = packed_units(w, group);
    const uint16_t *nibbles = packed_nibbles(w, group);
    const char *ahead = (const char *)packed_scales(w, group) + AHEAD_BYTES;
    const size_t step = w->group_bytes / (size_t)w->n_blocks;
    _Alignas(64) struct unit_codes codes;
    __m256 sums[2][2];
#pragma GCC unroll 2
    for (int t = 0; t < n_rows; t++)
        sums[t][0] = sums[t][1] = _mm256_setzero_ps();
    for (int i = 0; i < w->n_units; i++, unit += w->unit_bytes, nibbles += w->n_sets * PACKED_ROWS) {
        const uint8_t *high = unit + PACKED_SUPER * quant_bytes;
        __m256i totals[2][2], mins[2][2];
#pragma GCC unroll 2
        for (int t = 0; t < n_rows; t++)
            totals[t][0] = totals[t][1] = mins[t][0] = mins[t][1] = _mm256_setzero_si256();
        unpack_codes(type, offset, high + PACKED_SUPER * high_bytes, nibbles, &codes);
        for (int b = 0; b < PACKED_SUPER; b++) {
            __m256i narrow[2][2][2];
#pragma GCC unroll 8
            for (size_t line = 0; line < quant_bytes + high_bytes + 64; line += 64)
                _mm_prefetch(ahead + line, _MM_HINT_T0);
            ahead += step;
#pragma GCC unroll 4
            for (int c = 0; c < 4; c++) {
                __m256i quad[2][2];
#pragma GCC unroll 2
                for (int half = 0; half < 2; half++)
                    load_pair(unit + (size_t)b * quant_bytes, high + (size_t)b * high_bytes, form, c, half, &quad[0][half], &quad[1][half]);
                /* Low quads lie in columns 0…15, high ones in 16…31. */
#pragma GCC unroll 2
                for (int h = 0; h < 2; h++)
#pragma GCC unroll 2
                    for (int t = 0; t < n_rows; t++) {
                        __m256i four = broadcast_word(tile.q + ((i * PACKED_SUPER + b) * tile.width + t) * ACTIVATION_BLOCK + (c + 4 * h) * 4);
#pragma GCC unroll 2
                        for (int half = 0; half < 2; half++) {
                            __m256i product = products(bits, quad[h][half], four);
                            narrow[t][h][half] = c % limit == 0 ? product : _mm256_add_epi16(narrow[t][h][half], product);
                            KEEP_IN_ORDER(narrow[t][h][half]);
                            if (c % limit != limit - 1)
                                continue;
                            __m256i code = load_codes(codes.scale[n_spans == 2 ? b * 2 + h : b] + half * 8);
                            totals[t][half] = _mm256_add_epi32(totals[t][half], _mm256_madd_epi16(narrow[t][h][half], code));
                        }
                    }
            }
        }
        for (int p = 0; p < n_pairs; p++, pairs += tile.width)
#pragma GCC unroll 2
            for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 2
                for (int half = 0; half < 2; half++) {
                    __m256i product = _mm256_madd_epi16(broadcast_word(pairs + t), load_codes(codes.pair[p] + half * 8));
                    mins[t][half] = _mm256_add_epi32(mins[t][half], product);
                }
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            const uint16_t *scale = packed_scales(w, group) + i * PACKED_ROWS + half * 8, *min = packed_mins(w, group) + i * PACKED_ROWS + half * 8;
#pragma GCC unroll 2
            for (int t = 0; t < n_rows; t++) {
                __m256 by = _mm256_broadcast_ss(tile.d + i * PACKED_SUPER * tile.width + t);
                __m256i total = has_min ? totals[t][half] : _mm256_add_epi32(totals[t][half], mins[t][half]);
                sums[t][half] = add_total(sums[t][half], total, by, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)scale)));
                if (has_min)
                    sums[t][half] = add_total(sums[t][half], mins[t][half], by, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)min)));
            }
        }
    }
#pragma GCC unroll 2
    for (int t = 0; t < n_rows; t++) {
        store_half(gemm, group, 0, t, sums[t][0]);
        store_half(gemm, group, 1, t, sums[t][1]);
    }
}

static void one_group(const struct gemm *gemm, int group, void *scratch)
{
#define FORM(bits, type, offset, n_spans, has_min)                                                                                    \
    do {                                                                                                                               \
        if (gemm->a->n_rows == 1)                                                                                                      \
            multiply_packed(gemm, group, bits, type, offset, 1, n_spans, has_min);                                                     \
        else if (gemm->a->n_rows == 2)                                                                                                 \
            multiply_packed(gemm, group, bits, type, offset, 2, n_spans, has_min);                                                     \
        else                                                                                                                           \
            multiply_all(gemm, group, bits, type, offset, n_spans, has_min, scratch);                                                  \
    } while (0)
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

void gemm_k_groups_avx2(const struct gemm *gemm, int first, int end, void *scratch)
{
    for (int group = first; group < end; group++)
        one_group(gemm, group, scratch);
}
