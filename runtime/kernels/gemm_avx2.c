/* The AVX2 form, for formats with a scale a block: exact sums of a block's products (quads_avx2.h), then floats. Groups are unpacked as in
 * the VNNI form, eight-bit weights to signed bytes. */
#include "kernels/quads_avx2.h"

struct unpacked {
    const uint8_t *q;
    const float *scale;
    const float *min;
};

/* n_rows rows of a tile against n_halves halves (of 8 outputs) of an unpacked group, from `half` on: up to six products a
 * quad in registers beside their sums, so that each broadcast serves both halves and each load of weights all rows. All of
 * bits (of bytes), n_rows, n_halves, has_min are constants where it is called. */
INLINE void multiply(const struct gemm *gemm, int group, int half, int n_halves, const struct unpacked *w, struct gemm_tile tile, int bits,
                     int n_rows, bool has_min, struct ahead *ahead)
{
    const __m256i ones = _mm256_set1_epi16(1);
    int limit = quads_in_16_bits(bits);
    __m256 sums[MOST_ROWS][2];
#pragma GCC unroll 4
    for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 2
        for (int h = 0; h < n_halves; h++)
            sums[t][h] = _mm256_setzero_ps();
    const uint8_t *q = w->q + half * 32;
    const float *scale = w->scale + half * 8, *min = w->min + half * 8;
    const int8_t *a = tile.q;
    const float *d = tile.d, *s = tile.s;
    const int32_t *lift = tile.lift;
    for (int block = 0; block < gemm->w->n_blocks; block++) {
        __m256i narrow[MOST_ROWS][2], wide[MOST_ROWS][2];
        ahead_step(ahead);
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) {
            __m256i quad[2];
#pragma GCC unroll 2
            for (int h = 0; h < n_halves; h++)
                quad[h] = _mm256_load_si256((const __m256i *)(const void *)(q + j * 64 + h * 32));
#pragma GCC unroll 4
            for (int t = 0; t < n_rows; t++) {
                __m256i four = broadcast_word(a + t * ACTIVATION_BLOCK + j * 4);
#pragma GCC unroll 2
                for (int h = 0; h < n_halves; h++) {
                    __m256i product = products(bits, quad[h], four);
                    narrow[t][h] = j % limit == 0 ? product : _mm256_add_epi16(narrow[t][h], product);
                    KEEP_IN_ORDER(narrow[t][h]);
                    if (j % limit != limit - 1)
                        continue;
                    __m256i pairs = _mm256_madd_epi16(narrow[t][h], ones);
                    wide[t][h] = j < limit ? pairs : _mm256_add_epi32(wide[t][h], pairs);
                }
            }
        }
        __m256 w_scale[2], w_min[2];
#pragma GCC unroll 2
        for (int h = 0; h < n_halves; h++) {
            w_scale[h] = _mm256_load_ps(scale + h * 8);
            w_min[h] = has_min ? _mm256_load_ps(min + h * 8) : _mm256_setzero_ps();
        }
#pragma GCC unroll 4
        for (int t = 0; t < n_rows; t++) {
            __m256i offset = has_min || bits == 8 ? _mm256_setzero_si256() : _mm256_set1_epi32((lift[t] >> 7) * gemm->w->offset);
            __m256 row_d = _mm256_broadcast_ss(d + t), row_s = _mm256_broadcast_ss(s + t);
#pragma GCC unroll 2
            for (int h = 0; h < n_halves; h++) {
                __m256i dot = has_min || bits == 8 ? wide[t][h] : _mm256_add_epi32(wide[t][h], offset);
                sums[t][h] = _mm256_fmadd_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(dot), row_d), w_scale[h], sums[t][h]);
                if (has_min)
                    sums[t][h] = _mm256_fmadd_ps(w_min[h], row_s, sums[t][h]);
            }
        }
        q += 512;
        scale += PACKED_ROWS;
        min += PACKED_ROWS;
        s += tile.width;
        lift += tile.width;
        a += tile.width * ACTIVATION_BLOCK;
        d += tile.width;
    }
#pragma GCC unroll 4
    for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 2
        for (int h = 0; h < n_halves; h++)
            store_half(gemm, group, half + h, tile.first_row + t, sums[t][h]);
}

INLINE void multiply_all(const struct gemm *gemm, int group, const struct unpacked *w, int bits, bool has_min)
{
    struct ahead ahead = ahead_of(gemm, group, 1, AHEAD_BYTES);
    for (int i = 0; i < activations_tiles(gemm->a); i++) {
        struct gemm_tile tile = gemm_tile_at(gemm->a, i);
        for (int left = tile.width; left > 0;) {
            int n = left == 4 ? 4 : left >= 3 ? 3 : left;
            ahead.step = ahead.row_step * (uint32_t)n / (n == 4 ? 2 : 1); /* In halves. */
            if (n == 4) {
                multiply(gemm, group, 0, 1, w, tile, bits, 4, has_min, &ahead);
                multiply(gemm, group, 1, 1, w, tile, bits, 4, has_min, &ahead);
            } else if (n == 3) {
                multiply(gemm, group, 0, 2, w, tile, bits, 3, has_min, &ahead);
            } else if (n == 2) {
                multiply(gemm, group, 0, 2, w, tile, bits, 2, has_min, &ahead);
            } else {
                multiply(gemm, group, 0, 2, w, tile, bits, 1, has_min, &ahead);
            }
            tile = gemm_tile_skip(tile, n);
            left -= n;
        }
    }
}

INLINE void unpack_quants(const struct packed *w, int group, int bits, uint8_t *out)
{
    const uint8_t *unit = packed_units(w, group);
    for (int block = 0; block < w->n_blocks; block++, unit += w->unit_bytes, out += 512)
        unpack_block(unit, unit + w->quant_bytes, bits, out);
}

static void unpack(const struct packed *w, int group, void *scratch, struct unpacked *out)
{
    int n = w->n_blocks * PACKED_ROWS;
    uint8_t *q = scratch;
    float *scale = (float *)(void *)(q + (size_t)w->n_blocks * 512), *min = scale + n;
    unpack_halves(packed_scales(w, group), n, scale);
    if (w->has_min)
        unpack_halves(packed_mins(w, group), n, min);
    if (w->bits == 4)
        unpack_quants(w, group, 4, q);
    else if (w->bits == 5)
        unpack_quants(w, group, 5, q);
    else if (w->bits == PACKED_LEVELS)
        unpack_quants(w, group, PACKED_LEVELS, q);
    else
        unpack_quants(w, group, 8, q);
    *out = (struct unpacked){q, scale, min};
}

/* One or two rows straight from the packed group, which is read once and in order: what is AHEAD_BYTES further on is asked for
 * while the present block is multiplied, also past the group's end, where the next one lies. */
INLINE void multiply_packed(const struct gemm *gemm, int group, int form, int n_rows, bool has_min)
{
    const struct packed *w = gemm->w;
    const __m256i ones = _mm256_set1_epi16(1);
    struct gemm_tile tile = gemm_tile_at(gemm->a, 0);
    const uint8_t *unit = packed_units(w, group);
    const uint16_t *scale = packed_scales(w, group), *min = packed_mins(w, group);
    size_t quant_bytes = form == 8 ? 512 : 256, unit_bytes = quant_bytes + (form == 5 ? 64 : 0);
    size_t block_bytes = unit_bytes + (has_min ? 64 : 32); /* With its part of the front. */
    const char *ahead = (const char *)scale + AHEAD_BYTES;
    int bits = bits_of_bytes(form), limit = quads_in_16_bits(bits) < 4 ? quads_in_16_bits(bits) : 4;
    __m256 sums[2][2];
#pragma GCC unroll 2
    for (int t = 0; t < n_rows; t++)
        sums[t][0] = sums[t][1] = _mm256_setzero_ps();
    for (int block = 0; block < w->n_blocks; block++) {
        __m256i wide[2][2], narrow[2][2][2];
#pragma GCC unroll 16
        for (size_t line = 0; line < block_bytes; line += 64)
            _mm_prefetch(ahead + line, _MM_HINT_T0);
        ahead += block_bytes;
#pragma GCC unroll 4
        for (int c = 0; c < 4; c++) {
            __m256i quad[2][2];
#pragma GCC unroll 2
            for (int half = 0; half < 2; half++)
                load_pair(unit, unit + quant_bytes, form, c, half, &quad[0][half], &quad[1][half]);
#pragma GCC unroll 2
            for (int h = 0; h < 2; h++)
#pragma GCC unroll 2
                for (int t = 0; t < n_rows; t++) {
                    __m256i four = broadcast_word(tile.q + (block * tile.width + t) * ACTIVATION_BLOCK + (c + 4 * h) * 4);
#pragma GCC unroll 2
                    for (int half = 0; half < 2; half++) {
                        __m256i product = products(bits, quad[h][half], four);
                        narrow[t][h][half] = c % limit == 0 ? product : _mm256_add_epi16(narrow[t][h][half], product);
                        KEEP_IN_ORDER(narrow[t][h][half]);
                        if (c % limit != limit - 1)
                            continue;
                        __m256i pairs = _mm256_madd_epi16(narrow[t][h][half], ones);
                        wide[t][half] = c < limit && h == 0 ? pairs : _mm256_add_epi32(wide[t][half], pairs);
                    }
                }
        }
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            __m256 w_scale = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(scale + half * 8)));
            __m256 w_min = _mm256_setzero_ps();
            if (has_min)
                w_min = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(min + half * 8)));
#pragma GCC unroll 2
            for (int t = 0; t < n_rows; t++) {
                int at = block * tile.width + t;
                __m256i dot = wide[t][half];
                if (!has_min && bits != 8)
                    dot = _mm256_add_epi32(dot, _mm256_set1_epi32((tile.lift[at] >> 7) * w->offset));
                __m256 d = _mm256_broadcast_ss(tile.d + at);
                sums[t][half] = _mm256_fmadd_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(dot), d), w_scale, sums[t][half]);
                if (has_min)
                    sums[t][half] = _mm256_fmadd_ps(w_min, _mm256_broadcast_ss(tile.s + at), sums[t][half]);
            }
        }
        unit += unit_bytes;
        scale += PACKED_ROWS;
        min += PACKED_ROWS;
    }
#pragma GCC unroll 2
    for (int t = 0; t < n_rows; t++) {
        store_half(gemm, group, 0, t, sums[t][0]);
        store_half(gemm, group, 1, t, sums[t][1]);
    }
}

static void one_group(const struct gemm *gemm, int group, void *scratch)
{
    const struct packed *w = gemm->w;
    int n_rows = gemm->a->n_rows;
    struct unpacked unpacked = {0};
    if (n_rows > 2)
        unpack(w, group, scratch, &unpacked);
#define FORM(bits, has_min)                                                                                                           \
    do {                                                                                                                               \
        if (n_rows == 1)                                                                                                               \
            multiply_packed(gemm, group, bits, 1, has_min);                                                                            \
        else if (n_rows == 2)                                                                                                          \
            multiply_packed(gemm, group, bits, 2, has_min);                                                                            \
        else                                                                                                                           \
            multiply_all(gemm, group, &unpacked, bits_of_bytes(bits), has_min);                                                        \
    } while (0)
    if (w->bits == 4 && w->has_min)
        FORM(4, true);
    else if (w->bits == 4)
        FORM(4, false);
    else if (w->bits == 5 && w->has_min)
        FORM(5, true);
    else if (w->bits == 5)
        FORM(5, false);
    else if (w->bits == PACKED_LEVELS)
        FORM(PACKED_LEVELS, false);
    else
        FORM(8, false);
#undef FORM
}

void gemm_groups_avx2(const struct gemm *gemm, int first, int end, void *scratch)
{
    if (gemm->w->code_bytes > 0) {
        gemm_k_groups_avx2(gemm, first, end, scratch);
        return;
    }
    for (int group = first; group < end; group++)
        one_group(gemm, group, scratch);
}
