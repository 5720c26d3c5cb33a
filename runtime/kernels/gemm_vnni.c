/* The AVX-512 VNNI form: vpdpbusd multiplies 16 rows × 4 columns of unsigned weights with four activation bytes broadcast
 * from memory.
 *
 * Many rows of x: the group is first unpacked to bytes (with its offset raised to 128, which `lift` takes back) and f32
 * scales in scratch, where it stays in the first or second cache while tiles of 6, 4, 2 or 1 rows run over it, two groups at a time. One or
 * two rows: unpacking happens in registers, since memory is the limit then. */
#include "kernels/gemm.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

enum { MOST_ROWS = 6, AHEAD_BYTES = 6144 };

struct unpacked {
    const uint8_t *q;   /* [block][quad][64] */
    const float *scale; /* [block][span][16] */
    const float *min;
};

/* Quads of one block; bits is a constant where it is called. */
INLINE void load_quads(const uint8_t *quants, const uint8_t *high, int bits, __m512i quads[8])
{
    const __m512i low_nibble = _mm512_set1_epi8(15), low_pair = _mm512_set1_epi8(0x30);
    if (bits == 8) {
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++)
            quads[j] = _mm512_loadu_si512(quants + j * 64);
        return;
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        __m512i raw = _mm512_loadu_si512(quants + c * 64);
        quads[c] = _mm512_and_si512(raw, low_nibble);
        quads[c + 4] = _mm512_and_si512(_mm512_srli_epi16(raw, 4), low_nibble);
    }
    if (bits == 5) {
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) {
            uint64_t mask;
            memcpy(&mask, high + j * 8, sizeof mask);
            quads[j] = _mm512_mask_add_epi8(quads[j], mask, quads[j], _mm512_set1_epi8(16));
        }
    } else if (bits == 6) {
#pragma GCC unroll 2
        for (int p = 0; p < 2; p++) {
            __m512i raw = _mm512_loadu_si512(high + p * 64);
            quads[4 * p] = _mm512_or_si512(quads[4 * p], _mm512_and_si512(_mm512_slli_epi16(raw, 4), low_pair));
            quads[4 * p + 1] = _mm512_or_si512(quads[4 * p + 1], _mm512_and_si512(_mm512_slli_epi16(raw, 2), low_pair));
            quads[4 * p + 2] = _mm512_or_si512(quads[4 * p + 2], _mm512_and_si512(raw, low_pair));
            quads[4 * p + 3] = _mm512_or_si512(quads[4 * p + 3], _mm512_and_si512(_mm512_srli_epi16(raw, 2), low_pair));
        }
    }
}

INLINE __m512 load_halves(const uint16_t *at)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)at));
}

INLINE __m512i broadcast_quad(const int8_t *at)
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
#pragma GCC unroll 6
    for (int t = 0; t < n_rows; t++) {
        __m512 sum = _mm512_mul_ps(sums[t], scale);
        if (gemm->bias != NULL)
            sum = _mm512_add_ps(sum, bias);
        _mm512_mask_storeu_ps(y + (size_t)t * (size_t)gemm->w->n_out, mask, sum);
    }
}

/* Asks for `lines` cache lines of the next groups' weights with every block, so that they have arrived when their turn comes. */
struct ahead {
    const char *at;
    int lines;
};

/* n_rows rows of a tile against n_groups unpacked groups, so that a broadcast serves both. n_groups, n_rows, n_spans and
 * has_min are constants where it is called. */
INLINE void multiply(const struct gemm *gemm, int group, int n_groups, const struct unpacked *w, struct gemm_tile tile, int n_rows,
                     int n_spans, bool has_min, struct ahead *ahead)
{
    __m512 sums[2][MOST_ROWS];
#pragma GCC unroll 2
    for (int g = 0; g < n_groups; g++)
#pragma GCC unroll 6
        for (int t = 0; t < n_rows; t++)
            sums[g][t] = _mm512_setzero_ps();
    const uint8_t *q[2] = {w[0].q, w[n_groups - 1].q};
    const float *scale[2] = {w[0].scale, w[n_groups - 1].scale}, *min[2] = {w[0].min, w[n_groups - 1].min};
    const int8_t *a = tile.q;
    const float *d = tile.d, *s = n_spans == 2 ? tile.half_s : tile.s;
    const int32_t *lift = n_spans == 2 ? tile.half_lift : tile.lift;
    size_t quad_at = 0, scale_at = 0;
    for (int block = 0; block < gemm->w->n_blocks; block++) {
        for (int line = 0; line < ahead->lines; line++, ahead->at += 64)
            _mm_prefetch(ahead->at, _MM_HINT_T1);
#pragma GCC unroll 2
        for (int span = 0; span < n_spans; span++) {
            __m512i dots[2][MOST_ROWS];
#pragma GCC unroll 6
            for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 2
                for (int g = 0; g < n_groups; g++)
                    dots[g][t] = has_min ? _mm512_setzero_si512() : _mm512_set1_epi32(lift[t]);
#pragma GCC unroll 8
            for (int j = 0; j < 8 / n_spans; j++) {
                __m512i quad[2];
#pragma GCC unroll 2
                for (int g = 0; g < n_groups; g++)
                    quad[g] = _mm512_load_si512(q[g] + quad_at + j * 64);
#pragma GCC unroll 6
                for (int t = 0; t < n_rows; t++) {
                    __m512i value = broadcast_quad(a + t * ACTIVATION_BLOCK + span * 16 + j * 4);
#pragma GCC unroll 2
                    for (int g = 0; g < n_groups; g++)
                        dots[g][t] = _mm512_dpbusd_epi32(dots[g][t], quad[g], value);
                }
            }
            __m512 w_scale[2], w_min[2];
#pragma GCC unroll 2
            for (int g = 0; g < n_groups; g++) {
                w_scale[g] = _mm512_load_ps(scale[g] + scale_at);
                w_min[g] = has_min ? _mm512_load_ps(min[g] + scale_at) : _mm512_setzero_ps();
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
            quad_at += 512 / (size_t)n_spans;
            scale_at += PACKED_ROWS;
            s += tile.width;
            lift += tile.width;
        }
        a += tile.width * ACTIVATION_BLOCK;
        d += tile.width;
    }
#pragma GCC unroll 2
    for (int g = 0; g < n_groups; g++)
        store_rows(gemm, group + g, tile.first_row, n_rows, sums[g]);
}

INLINE void multiply_all(const struct gemm *gemm, int group, int n_groups, const struct unpacked *w, int n_spans, bool has_min)
{
    int n_tiles = activations_tiles(gemm->a), left;
    size_t n_lines = gemm->w->group_bytes * (size_t)n_groups / 64, n_steps = (size_t)n_tiles * (size_t)gemm->w->n_blocks;
    struct ahead ahead = {(const char *)packed_quants(gemm->w, group) + (size_t)n_groups * gemm->w->group_bytes, 0};
    for (int i = 0; i < n_tiles; i++) {
        struct gemm_tile tile = gemm_tile_at(gemm->a, i);
        ahead.lines = (int)((n_lines + n_steps - 1) / n_steps);
        for (left = tile.width; left > 0;) {
            int n = left >= 6 ? 6 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
            if (n == 6)
                multiply(gemm, group, n_groups, w, tile, 6, n_spans, has_min, &ahead);
            else if (n == 4)
                multiply(gemm, group, n_groups, w, tile, 4, n_spans, has_min, &ahead);
            else if (n == 2)
                multiply(gemm, group, n_groups, w, tile, 2, n_spans, has_min, &ahead);
            else
                multiply(gemm, group, n_groups, w, tile, 1, n_spans, has_min, &ahead);
            ahead.lines = 0;
            tile = gemm_tile_skip(tile, n);
            left -= n;
        }
    }
}

INLINE void unpack_quants(const struct packed *w, int group, int bits, uint8_t *out)
{
    const uint8_t *quants = packed_quants(w, group), *high = packed_high(w, group);
    const __m512i raise = _mm512_set1_epi8((char)(w->has_min ? 0 : 128 - w->offset));
    for (int block = 0; block < w->n_blocks; block++) {
        __m512i quads[8];
        load_quads(quants + (size_t)block * w->quant_bytes, high + (size_t)block * w->high_bytes, bits, quads);
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++)
            _mm512_store_si512(out + block * 512 + j * 64, _mm512_add_epi8(quads[j], raise));
    }
}

static void unpack(const struct packed *w, int group, void *scratch, struct unpacked *out)
{
    int n_spans = w->n_blocks * (PACKED_BLOCK / w->span);
    uint8_t *q = scratch;
    float *scale = (float *)(void *)(q + (size_t)w->n_blocks * 512), *min = scale + n_spans * PACKED_ROWS;
    for (int i = 0; i < n_spans; i++)
        _mm512_store_ps(scale + i * PACKED_ROWS, load_halves(packed_scales(w, group) + i * PACKED_ROWS));
    for (int i = 0; w->has_min && i < n_spans; i++)
        _mm512_store_ps(min + i * PACKED_ROWS, load_halves(packed_mins(w, group) + i * PACKED_ROWS));
    *out = (struct unpacked){q, scale, min};
    if (w->bits == 4)
        unpack_quants(w, group, 4, q);
    else if (w->bits == 5)
        unpack_quants(w, group, 5, q);
    else if (w->bits == 6)
        unpack_quants(w, group, 6, q);
    else
        out->q = packed_quants(w, group);
}

/* One or two rows straight from the packed group. */
INLINE void multiply_packed(const struct gemm *gemm, int group, int bits, int n_rows, int n_spans, bool has_min)
{
    const struct packed *w = gemm->w;
    struct gemm_tile tile = gemm_tile_at(gemm->a, 0);
    const uint8_t *quants = packed_quants(w, group), *high = packed_high(w, group);
    const uint16_t *scale = packed_scales(w, group), *min = packed_mins(w, group);
    size_t quant_bytes = bits == 8 ? 512 : 256, high_bytes = bits == 5 ? 64 : bits == 6 ? 128 : 0;
    size_t block_bytes = quant_bytes + high_bytes + (size_t)(n_spans * 32 * (has_min ? 2 : 1)); /* Of all parts of the group. */
    const char *ahead = (const char *)quants + AHEAD_BYTES;
    __m512 sums[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    for (int block = 0; block < w->n_blocks; block++) {
        __m512i quads[8];
#pragma GCC unroll 16
        for (size_t line = 0; line < block_bytes; line += 64)
            _mm_prefetch(ahead + line, _MM_HINT_T0);
        ahead += block_bytes;
        load_quads(quants, high, bits, quads);
        quants += quant_bytes;
        high += high_bytes;
#pragma GCC unroll 2
        for (int span = 0; span < n_spans; span++) {
            __m512 w_scale = load_halves(scale), w_min = has_min ? load_halves(min) : _mm512_setzero_ps();
            scale += PACKED_ROWS;
            min += PACKED_ROWS;
#pragma GCC unroll 2
            for (int t = 0; t < n_rows; t++) {
                int at = n_spans == 2 ? (block * 2 + span) * tile.width + t : block * tile.width + t;
                const int32_t *lift = n_spans == 2 ? tile.half_lift : tile.lift;
                const float *s = n_spans == 2 ? tile.half_s : tile.s;
                const int8_t *a = tile.q + (block * tile.width + t) * ACTIVATION_BLOCK + span * 16;
                __m512i even = has_min ? _mm512_setzero_si512() : _mm512_set1_epi32((lift[at] >> 7) * w->offset);
                __m512i odd = _mm512_setzero_si512();
#pragma GCC unroll 8
                for (int j = 0; j < 8 / n_spans; j += 2) {
                    even = _mm512_dpbusd_epi32(even, quads[span * 4 + j], broadcast_quad(a + j * 4));
                    odd = _mm512_dpbusd_epi32(odd, quads[span * 4 + j + 1], broadcast_quad(a + j * 4 + 4));
                }
                __m512 dot = _mm512_cvtepi32_ps(_mm512_add_epi32(even, odd));
                sums[t] = _mm512_fmadd_ps(_mm512_mul_ps(dot, _mm512_set1_ps(tile.d[block * tile.width + t])), w_scale, sums[t]);
                if (has_min)
                    sums[t] = _mm512_fmadd_ps(w_min, _mm512_set1_ps(s[at]), sums[t]);
            }
        }
    }
    store_rows(gemm, group, 0, n_rows, sums);
}

/* A row count of one or two, as a constant. */
#define FEW_ROWS(bits, n_spans, has_min)                                                                                              \
    do {                                                                                                                               \
        if (gemm->a->n_rows == 1)                                                                                                      \
            multiply_packed(gemm, group, bits, 1, n_spans, has_min);                                                                   \
        else                                                                                                                           \
            multiply_packed(gemm, group, bits, 2, n_spans, has_min);                                                                   \
    } while (0)

static void few_rows(const struct gemm *gemm, int group)
{
    const struct packed *w = gemm->w;
    if (w->bits == 4 && w->span == 32 && w->has_min)
        FEW_ROWS(4, 1, true);
    else if (w->bits == 4 && w->span == 32)
        FEW_ROWS(4, 1, false);
    else if (w->bits == 4 && w->has_min)
        FEW_ROWS(4, 2, true);
    else if (w->bits == 4)
        FEW_ROWS(4, 2, false);
    else if (w->bits == 5 && w->has_min)
        FEW_ROWS(5, 1, true);
    else if (w->bits == 5)
        FEW_ROWS(5, 1, false);
    else if (w->bits == 6)
        FEW_ROWS(6, 2, false);
    else
        FEW_ROWS(8, 1, false);
}

/* One or two groups, as a constant. */
#define GROUPS(n_spans, has_min)                                                                                                      \
    do {                                                                                                                               \
        if (n == 2)                                                                                                                    \
            multiply_all(gemm, group, 2, unpacked, n_spans, has_min);                                                                  \
        else                                                                                                                           \
            multiply_all(gemm, group, 1, unpacked, n_spans, has_min);                                                                  \
    } while (0)

void gemm_groups_vnni(const struct gemm *gemm, int first, int end, void *scratch)
{
    const struct packed *w = gemm->w;
    if (gemm->a->n_rows <= 2) {
        for (int group = first; group < end; group++)
            few_rows(gemm, group);
        return;
    }
    for (int group = first; group < end; group += 2) {
        int n = end - group < 2 ? end - group : 2;
        struct unpacked unpacked[2];
        for (int i = 0; i < n; i++)
            unpack(w, group + i, (uint8_t *)scratch + (size_t)i * gemm_scratch_bytes(w) / 2, &unpacked[i]);
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
