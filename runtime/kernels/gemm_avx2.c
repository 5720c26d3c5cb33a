/* The AVX2 form: vpmaddubsw multiplies 8 rows × 4 columns of unsigned weights with four broadcast activation bytes into
 * 16-bit pairs. How many of them may be added before they are widened depends on the largest weight:
 *   4 bits  15 · 127 · 2 · 8 = 30480: all eight quads     5 bits  31 · 127 · 2 · 4 = 31496: four
 *   6 bits  63 · 127 · 2 · 2 = 32004: two                 8 bits  signed weights: |w| times the activation with w's sign,
 *           128 · 127 · 2 = 32512: one
 * all below 2¹⁵, so the sums are exact. Groups are unpacked as in the VNNI form, eight-bit weights to signed bytes. */
#include "kernels/gemm.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

/* Compilers like to add the products of a block in a tree, which keeps all of them alive at once and spills most: the sum
 * is one chain, in registers. */
#define KEEP_IN_ORDER(v) __asm__("" : "+x"(v))

struct unpacked {
    const uint8_t *q;
    const float *scale;
    const float *min;
};

INLINE __m256i broadcast_quad(const int8_t *at)
{
    int32_t word;
    memcpy(&word, at, sizeof word);
    return _mm256_set1_epi32(word);
}

INLINE __m256i products(int bits, __m256i w, __m256i a)
{
    if (bits == 8)
        return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w));
    return _mm256_maddubs_epi16(w, a);
}

INLINE int quads_in_16_bits(int bits)
{
    return bits == 4 ? 8 : bits == 5 ? 4 : bits == 6 ? 2 : 1;
}

INLINE void store_half(const struct gemm *gemm, int group, int half, int row, __m256 sum)
{
    int from = group * PACKED_ROWS + half * 8, left = gemm->w->n_out - from;
    if (left <= 0)
        return;
    float *y = gemm->y + (size_t)row * (size_t)gemm->w->n_out + from;
    sum = _mm256_mul_ps(sum, _mm256_set1_ps(gemm->scale));
    if (left >= 8) {
        if (gemm->bias != NULL)
            sum = _mm256_add_ps(sum, _mm256_loadu_ps(gemm->bias + from));
        _mm256_storeu_ps(y, sum);
        return;
    }
    __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(left), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    if (gemm->bias != NULL)
        sum = _mm256_add_ps(sum, _mm256_maskload_ps(gemm->bias + from, mask));
    _mm256_maskstore_ps(y, mask, sum);
}

/* n_rows rows of a tile against n_halves halves (of 8 outputs) of an unpacked group, from `half` on: up to six products a
 * quad in registers beside their sums, so that each broadcast serves both halves and each load of weights all rows. All of
 * bits, n_rows, n_halves, n_spans, has_min are constants where it is called. */
INLINE void multiply(const struct gemm *gemm, int group, int half, int n_halves, const struct unpacked *w, struct gemm_tile tile, int bits,
                     int n_rows, int n_spans, bool has_min)
{
    enum { MOST = 4 };
    const __m256i ones = _mm256_set1_epi16(1);
    int limit = quads_in_16_bits(bits);
    __m256 sums[MOST][2];
#pragma GCC unroll 4
    for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 2
        for (int h = 0; h < n_halves; h++)
            sums[t][h] = _mm256_setzero_ps();
    const uint8_t *q = w->q + half * 32;
    const float *scale = w->scale + half * 8, *min = w->min + half * 8;
    const int8_t *a = tile.q;
    const float *d = tile.d, *s = n_spans == 2 ? tile.half_s : tile.s;
    const int32_t *lift = n_spans == 2 ? tile.half_lift : tile.lift;
    for (int block = 0; block < gemm->w->n_blocks; block++) {
#pragma GCC unroll 2
        for (int span = 0; span < n_spans; span++) {
            __m256i narrow[MOST][2], wide[MOST][2];
#pragma GCC unroll 8
            for (int j = 0; j < 8 / n_spans; j++) {
                __m256i quad[2];
#pragma GCC unroll 2
                for (int h = 0; h < n_halves; h++)
                    quad[h] = _mm256_load_si256((const __m256i *)(const void *)(q + j * 64 + h * 32));
#pragma GCC unroll 4
                for (int t = 0; t < n_rows; t++) {
                    __m256i four = broadcast_quad(a + t * ACTIVATION_BLOCK + span * 16 + j * 4);
#pragma GCC unroll 2
                    for (int h = 0; h < n_halves; h++) {
                        __m256i product = products(bits, quad[h], four);
                        narrow[t][h] = j % limit == 0 ? product : _mm256_add_epi16(narrow[t][h], product);
                        KEEP_IN_ORDER(narrow[t][h]);
                        if (j % limit != limit - 1 && j != 8 / n_spans - 1)
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
            q += 512 / n_spans;
            scale += PACKED_ROWS;
            min += PACKED_ROWS;
            s += tile.width;
            lift += tile.width;
        }
        a += tile.width * ACTIVATION_BLOCK;
        d += tile.width;
    }
#pragma GCC unroll 4
    for (int t = 0; t < n_rows; t++)
#pragma GCC unroll 2
        for (int h = 0; h < n_halves; h++)
            store_half(gemm, group, half + h, tile.first_row + t, sums[t][h]);
}

INLINE void multiply_all(const struct gemm *gemm, int group, const struct unpacked *w, int bits, int n_spans, bool has_min)
{
    for (int i = 0; i < activations_tiles(gemm->a); i++) {
        struct gemm_tile tile = gemm_tile_at(gemm->a, i);
        for (int left = tile.width; left > 0;) {
            int n = left == 4 ? 4 : left >= 3 ? 3 : left;
            if (n == 4) {
                multiply(gemm, group, 0, 1, w, tile, bits, 4, n_spans, has_min);
                multiply(gemm, group, 1, 1, w, tile, bits, 4, n_spans, has_min);
            } else if (n == 3) {
                multiply(gemm, group, 0, 2, w, tile, bits, 3, n_spans, has_min);
            } else if (n == 2) {
                multiply(gemm, group, 0, 2, w, tile, bits, 2, n_spans, has_min);
            } else {
                multiply(gemm, group, 0, 2, w, tile, bits, 1, n_spans, has_min);
            }
            tile = gemm_tile_skip(tile, n);
            left -= n;
        }
    }
}

/* Nibbles of one half (32 bytes) of vector c, and its fifth and sixth bits. */
INLINE void load_pair(const uint8_t *quants, const uint8_t *high, int bits, int c, int half, __m256i *low_quad, __m256i *high_quad)
{
    const __m256i nibble = _mm256_set1_epi8(15);
    __m256i raw = _mm256_loadu_si256((const __m256i *)(const void *)(quants + c * 64 + half * 32));
    *low_quad = _mm256_and_si256(raw, nibble);
    *high_quad = _mm256_and_si256(_mm256_srli_epi16(raw, 4), nibble);
    if (bits == 5) {
        /* Each byte gets the byte of the mask that holds its bit, then keeps that bit. */
        const __m256i spread = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
        const __m256i bit = _mm256_set1_epi64x((int64_t)0x8040201008040201);
        __m256i *quads[2] = {low_quad, high_quad};
        for (int h = 0; h < 2; h++) {
            int32_t mask;
            memcpy(&mask, high + (c + 4 * h) * 8 + half * 4, sizeof mask);
            __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(mask), spread), bit), bit);
            *quads[h] = _mm256_or_si256(*quads[h], _mm256_and_si256(set, _mm256_set1_epi8(16)));
        }
    } else if (bits == 6) {
        const __m256i pair = _mm256_set1_epi8(0x30);
        __m256i planes[2];
        for (int p = 0; p < 2; p++)
            planes[p] = _mm256_loadu_si256((const __m256i *)(const void *)(high + p * 64 + half * 32));
        for (int p = 0; p < 2; p++)
            planes[p] = c == 0   ? _mm256_slli_epi16(planes[p], 4)
                        : c == 1 ? _mm256_slli_epi16(planes[p], 2)
                        : c == 2 ? planes[p]
                                 : _mm256_srli_epi16(planes[p], 2);
        *low_quad = _mm256_or_si256(*low_quad, _mm256_and_si256(planes[0], pair));
        *high_quad = _mm256_or_si256(*high_quad, _mm256_and_si256(planes[1], pair));
    }
}

INLINE void unpack_quants(const struct packed *w, int group, int bits, uint8_t *out)
{
    const uint8_t *quants = packed_quants(w, group), *high = packed_high(w, group);
    for (int block = 0; block < w->n_blocks; block++, quants += w->quant_bytes, high += w->high_bytes, out += 512)
#pragma GCC unroll 4
        for (int c = 0; c < 4; c++)
#pragma GCC unroll 2
            for (int half = 0; half < 2; half++) {
                __m256i *to = (__m256i *)(void *)(out + c * 64 + half * 32);
                if (bits == 8) {
                    const __m256i *from = (const __m256i *)(const void *)(quants + c * 64 + half * 32);
                    const __m256i top = _mm256_set1_epi8((char)0x80);
                    _mm256_store_si256(to, _mm256_xor_si256(_mm256_loadu_si256(from), top));
                    _mm256_store_si256(to + 8, _mm256_xor_si256(_mm256_loadu_si256(from + 8), top));
                    continue;
                }
                __m256i low_quad, high_quad;
                load_pair(quants, high, bits, c, half, &low_quad, &high_quad);
                _mm256_store_si256(to, low_quad);
                _mm256_store_si256(to + 8, high_quad);
            }
}

static void unpack_halves(const uint16_t *from, int n, float *to)
{
    for (int i = 0; i < n; i += 8)
        _mm256_store_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(from + i))));
}

static void unpack(const struct packed *w, int group, void *scratch, struct unpacked *out)
{
    int n = w->n_blocks * (PACKED_BLOCK / w->span) * PACKED_ROWS;
    uint8_t *q = scratch;
    float *scale = (float *)(void *)(q + (size_t)w->n_blocks * 512), *min = scale + n;
    unpack_halves(packed_scales(w, group), n, scale);
    if (w->has_min)
        unpack_halves(packed_mins(w, group), n, min);
    if (w->bits == 4)
        unpack_quants(w, group, 4, q);
    else if (w->bits == 5)
        unpack_quants(w, group, 5, q);
    else if (w->bits == 6)
        unpack_quants(w, group, 6, q);
    else
        unpack_quants(w, group, 8, q);
    *out = (struct unpacked){q, scale, min};
}

/* One or two rows straight from the packed group, which is read once and in order: what is AHEAD_BYTES further on is asked for
 * while the present block is multiplied, also past the group's end, where the next one lies. */
INLINE void multiply_packed(const struct gemm *gemm, int group, int bits, int n_rows, int n_spans, bool has_min)
{
    enum { AHEAD_BYTES = 3072 };
    const struct packed *w = gemm->w;
    const __m256i ones = _mm256_set1_epi16(1), top = _mm256_set1_epi8((char)0x80);
    struct gemm_tile tile = gemm_tile_at(gemm->a, 0);
    const uint8_t *quants = packed_quants(w, group), *high = packed_high(w, group);
    const uint16_t *scale = packed_scales(w, group), *min = packed_mins(w, group);
    const float *s = n_spans == 2 ? tile.half_s : tile.s;
    const int32_t *lift = n_spans == 2 ? tile.half_lift : tile.lift;
    size_t quant_bytes = bits == 8 ? 512 : 256, high_bytes = bits == 5 ? 64 : bits == 6 ? 128 : 0;
    size_t block_bytes = quant_bytes + high_bytes + (size_t)(n_spans * 32 * (has_min ? 2 : 1)); /* Of all parts of the group. */
    const char *ahead = (const char *)quants + AHEAD_BYTES;
    int limit = quads_in_16_bits(bits) < 4 ? quads_in_16_bits(bits) : 4;
    __m256 sums[2][2];
#pragma GCC unroll 2
    for (int t = 0; t < n_rows; t++)
        sums[t][0] = sums[t][1] = _mm256_setzero_ps();
    for (int block = 0; block < w->n_blocks; block++) {
        /* Low quads lie in columns 0…15, high ones in 16…31: with two spans they are summed apart. */
        __m256i wide[2][2][2], narrow[2][2][2];
#pragma GCC unroll 16
        for (size_t line = 0; line < block_bytes; line += 64)
            _mm_prefetch(ahead + line, _MM_HINT_T0);
        ahead += block_bytes;
#pragma GCC unroll 4
        for (int c = 0; c < 4; c++) {
            __m256i quad[2][2];
#pragma GCC unroll 2
            for (int half = 0; half < 2; half++) {
                if (bits == 8) {
                    quad[0][half] = _mm256_xor_si256(top, _mm256_loadu_si256((const __m256i *)(const void *)(quants + c * 64 + half * 32)));
                    quad[1][half] = _mm256_xor_si256(top, _mm256_loadu_si256((const __m256i *)(const void *)(quants + (c + 4) * 64 + half * 32)));
                } else {
                    load_pair(quants, high, bits, c, half, &quad[0][half], &quad[1][half]);
                }
            }
#pragma GCC unroll 2
            for (int h = 0; h < 2; h++)
#pragma GCC unroll 2
                for (int t = 0; t < n_rows; t++) {
                    __m256i four = broadcast_quad(tile.q + (block * tile.width + t) * ACTIVATION_BLOCK + (c + 4 * h) * 4);
#pragma GCC unroll 2
                    for (int half = 0; half < 2; half++) {
                        __m256i product = products(bits, quad[h][half], four);
                        narrow[t][h][half] = c % limit == 0 ? product : _mm256_add_epi16(narrow[t][h][half], product);
                        KEEP_IN_ORDER(narrow[t][h][half]);
                        if (c % limit != limit - 1)
                            continue;
                        __m256i pairs = _mm256_madd_epi16(narrow[t][h][half], ones);
                        wide[t][h][half] = c < limit ? pairs : _mm256_add_epi32(wide[t][h][half], pairs);
                    }
                }
        }
#pragma GCC unroll 2
        for (int span = 0; span < n_spans; span++)
#pragma GCC unroll 2
            for (int half = 0; half < 2; half++) {
                __m256 w_scale = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(scale + span * PACKED_ROWS + half * 8)));
                __m256 w_min = _mm256_setzero_ps();
                if (has_min)
                    w_min = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(min + span * PACKED_ROWS + half * 8)));
#pragma GCC unroll 2
                for (int t = 0; t < n_rows; t++) {
                    int at = (block * n_spans + span) * tile.width + t;
                    __m256i dot = n_spans == 2 ? wide[t][span][half] : _mm256_add_epi32(wide[t][0][half], wide[t][1][half]);
                    if (!has_min && bits != 8)
                        dot = _mm256_add_epi32(dot, _mm256_set1_epi32((lift[at] >> 7) * w->offset));
                    __m256 d = _mm256_broadcast_ss(tile.d + block * tile.width + t);
                    sums[t][half] = _mm256_fmadd_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(dot), d), w_scale, sums[t][half]);
                    if (has_min)
                        sums[t][half] = _mm256_fmadd_ps(w_min, _mm256_broadcast_ss(s + at), sums[t][half]);
                }
            }
        quants += quant_bytes;
        high += high_bytes;
        scale += n_spans * PACKED_ROWS;
        min += n_spans * PACKED_ROWS;
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
    struct unpacked unpacked;
    if (n_rows > 2)
        unpack(w, group, scratch, &unpacked);
#define FORM(bits, n_spans, has_min)                                                                                                  \
    do {                                                                                                                               \
        if (n_rows == 1)                                                                                                               \
            multiply_packed(gemm, group, bits, 1, n_spans, has_min);                                                                   \
        else if (n_rows == 2)                                                                                                          \
            multiply_packed(gemm, group, bits, 2, n_spans, has_min);                                                                   \
        else                                                                                                                           \
            multiply_all(gemm, group, &unpacked, bits, n_spans, has_min);                                                              \
    } while (0)
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
#undef FORM
}

void gemm_groups_avx2(const struct gemm *gemm, int first, int end, void *scratch)
{
    for (int group = first; group < end; group++)
        one_group(gemm, group, scratch);
}
