/* A span of attention in vectors, written once for all widths; included by attention_avx2.c, attention_vnni.c and attention_neon.c.
 *
 * Up to GROUP queries go over the span together: all their scores, then their softmax at once, then the sum of values, which
 * never leaves the registers. Keys lie transposed, so the scores of a page's 32 positions are KV_PAGE / VF vectors with no
 * sum across. Each load of a key or value, widened as it is read, serves the whole group: x86 CPUs convert beside the
 * multiplications. */
#include "kernels/attention_forms.h"
#include "kernels/half.h"
#include "kernels/simd.h"

enum { GROUP = ATTENTION_GROUP, PAGE_VECTORS = KV_PAGE / VF, SPAN_PAGES = ATTENTION_SPAN / KV_PAGE, STEP = VF == 8 ? 2 : 4, AHEAD = 2, LINE_BYTES = 64, Q_BLOCK = 64 };

/* The pages of a span in the order in which they are read: all keys, then all values; then what is read after the span. */
struct span_pages {
    int n; /* Pages; their keys are at[0 … n - 1]. */
    const uint8_t *at[2 * SPAN_PAGES + AHEAD];
};

SIMD_INLINE vf load_key(const void *keys, enum kv_type type, int dim, int d, int first)
{
    size_t index = (size_t)d * KV_PAGE + (size_t)first;
    if (type == KV_F32)
        return vf_load((const float *)keys + index);
    if (type == KV_F16)
        return vf_load_f16((const uint16_t *)keys + index);
    const float *scales = (const float *)(const void *)((const int8_t *)keys + (size_t)dim * KV_PAGE) + (size_t)(d / KV_SCALE_SPAN) * KV_PAGE;
    return vf_mul(vf_load_i8((const int8_t *)keys + index), vf_load(scales + first));
}

SIMD_INLINE const float *value_scale(const void *values, int dim, int at, int d)
{
    int n_spans = (dim + KV_SCALE_SPAN - 1) / KV_SCALE_SPAN;
    return (const float *)(const void *)((const int8_t *)values + (size_t)dim * KV_PAGE) + (size_t)at * (size_t)n_spans + d / KV_SCALE_SPAN;
}

SIMD_INLINE vf load_value(const void *values, enum kv_type type, int dim, int at, int d)
{
    size_t index = (size_t)at * (size_t)dim + (size_t)d;
    if (type == KV_F32)
        return vf_load((const float *)values + index);
    if (type == KV_F16)
        return vf_load_f16((const uint16_t *)values + index);
    return vf_mul(vf_load_i8((const int8_t *)values + index), vf_set(*value_scale(values, dim, at, d)));
}

SIMD_INLINE float one_value(const void *values, enum kv_type type, int dim, int at, int d)
{
    size_t index = (size_t)at * (size_t)dim + (size_t)d;
    if (type == KV_F32)
        return ((const float *)values)[index];
    if (type == KV_F16)
        return half_to_float(((const uint16_t *)values)[index]);
    return (float)((const int8_t *)values)[index] * *value_scale(values, dim, at, d);
}

SIMD_INLINE size_t type_bytes(enum kv_type type)
{
    return type == KV_F32 ? 4 : type == KV_F16 ? 2 : 1;
}

/* The group's queries side by side in blocks of dimensions, [block][query][Q_BLOCK], so that one pointer reaches them all. */
SIMD_INLINE void gather_queries(const float *const *q, int n, int dim, float *out)
{
    for (int from = 0; from < dim; from += Q_BLOCK)
        for (int i = 0; i < n; i++, out += Q_BLOCK)
            for (int d = 0; d < Q_BLOCK && from + d < dim; d += VF)
                vf_store_first(out + d, vf_load_first(q[i] + from + d, dim - from - d), dim - from - d);
}

/* scores[query × ATTENTION_SPAN + position] = q · keys of one page; type and n are constants where it is called. ahead: what is
 * read later. */
SIMD_INLINE void score_page(const void *keys, const uint8_t *ahead, enum kv_type type, int dim, const float *q, int n, float *scores)
{
    size_t row_bytes = KV_PAGE * type_bytes(type);
    for (int from = 0; from < PAGE_VECTORS; from += 2) {
        vf sums[GROUP][2];
        const float *at = q;
#pragma GCC unroll 6
        for (int i = 0; i < n; i++)
            sums[i][0] = sums[i][1] = vf_set(0);
        for (int block = 0; block < dim; block += Q_BLOCK, at += (n - 1) * Q_BLOCK) {
            int end = dim - block < Q_BLOCK ? dim : block + Q_BLOCK;
            for (int d = block; d < end; d++, at++) {
                if (from == 0)
#pragma GCC unroll 2
                    for (size_t line = 0; line < row_bytes; line += LINE_BYTES)
                        __builtin_prefetch(ahead + (size_t)d * row_bytes + line);
                vf k0 = load_key(keys, type, dim, d, from * VF), k1 = load_key(keys, type, dim, d, (from + 1) * VF);
#pragma GCC unroll 6
                for (int i = 0; i < n; i++) {
                    vf value = vf_set(at[i * Q_BLOCK]);
                    sums[i][0] = vf_fma(value, k0, sums[i][0]);
                    sums[i][1] = vf_fma(value, k1, sums[i][1]);
                }
            }
        }
#pragma GCC unroll 6
        for (int i = 0; i < n; i++) {
            vf_store(scores + i * ATTENTION_SPAN + from * VF, sums[i][0]);
            vf_store(scores + i * ATTENTION_SPAN + (from + 1) * VF, sums[i][1]);
        }
    }
}

/* values[query] = Σ p · value over positions first … end - 1 of the span, `from` … from + STEP * VF - 1 of the dimensions; goes_on: + what
 * is there. */
SIMD_INLINE void sum_step(const struct span_pages *pages, enum kv_type type, int dim, int first, int end, bool goes_on, int from,
                          float (*p)[ATTENTION_SPAN], int n, float *const *values)
{
    vf sums[GROUP][STEP];
#pragma GCC unroll 6
    for (int i = 0; i < n; i++)
#pragma GCC unroll 4
        for (int s = 0; s < STEP; s++)
            sums[i][s] = goes_on ? vf_load(values[i] + from + s * VF) : vf_set(0);
    for (int page = first / KV_PAGE; page * KV_PAGE < end; page++) {
        const void *page_values = pages->at[pages->n + page];
        const uint8_t *ahead = pages->at[pages->n + page + AHEAD];
        int page_first = page * KV_PAGE < first ? first - page * KV_PAGE : 0, page_end = end - page * KV_PAGE < KV_PAGE ? end - page * KV_PAGE : KV_PAGE;
        for (int at = page_first; at < page_end; at++) {
            vf v[STEP];
#pragma GCC unroll 4
            for (size_t line = 0; line < STEP * VF * type_bytes(type); line += LINE_BYTES)
                __builtin_prefetch(ahead + ((size_t)at * (size_t)dim + (size_t)from) * type_bytes(type) + line);
#pragma GCC unroll 4
            for (int s = 0; s < STEP; s++)
                v[s] = load_value(page_values, type, dim, at, from + s * VF);
#pragma GCC unroll 6
            for (int i = 0; i < n; i++) {
                vf weight = vf_set(p[i][page * KV_PAGE + at]);
#pragma GCC unroll 4
                for (int s = 0; s < STEP; s++)
                    sums[i][s] = vf_fma(weight, v[s], sums[i][s]);
            }
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < n; i++)
#pragma GCC unroll 4
        for (int s = 0; s < STEP; s++)
            vf_store(values[i] + from + s * VF, sums[i][s]);
}

/* values[query] = Σ p · value over positions first … end - 1 of the span. together: positions, whole pages, after which sums leave
 * the registers for the next dimensions: few where pages come from memory, which is then read once and in order. */
SIMD_INLINE void sum_values(const struct span_pages *pages, enum kv_type type, int dim, int first, int end, int together, float (*p)[ATTENTION_SPAN],
                            int n, float *const *values)
{
    int from = dim / (STEP * VF) * (STEP * VF);
    for (int at = first; at < end || at == first;) {
        int until = at / together * together + together < end ? at / together * together + together : end;
        for (int d = 0; d < from; d += STEP * VF)
            sum_step(pages, type, dim, at, until, at > first, d, p, n, values);
        at = until > at ? until : at + 1;
    }
    for (; from + VF <= dim; from += VF)
        for (int i = 0; i < n; i++) {
            vf sum = vf_set(0);
            for (int at = first; at < end; at++)
                sum = vf_fma(vf_set(p[i][at]), load_value(pages->at[pages->n + at / KV_PAGE], type, dim, at % KV_PAGE, from), sum);
            vf_store(values[i] + from, sum);
        }
    for (; from < dim; from++)
        for (int i = 0; i < n; i++) {
            float sum = 0;
            for (int at = first; at < end; at++)
                sum += p[i][at] * one_value(pages->at[pages->n + at / KV_PAGE], type, dim, at % KV_PAGE, from);
            values[i][from] = sum;
        }
}

/* Scaled, capped and masked in place: of the positions low … high - 1 (whole vectors) first … end - 1 are seen. Returns the largest. */
SIMD_INLINE float mask_scores(const struct attention *attention, float *scores, int low, int high, int first, int end)
{
    vf largest = vf_set(-INFINITY);
    for (int i = low; i < high; i += VF) {
        vf s = vf_mul(vf_load(scores + i), vf_set(attention->scale));
        if (attention->soft_cap > 0)
            s = vf_mul(vf_tanh(vf_div(s, vf_set(attention->soft_cap))), vf_set(attention->soft_cap));
        if (end < i + VF)
            s = vf_keep_first(s, end - i, -INFINITY);
        if (first > i)
            s = vf_add(s, vf_keep_first(vf_set(-INFINITY), first - i, 0));
        largest = vf_max(largest, s);
        vf_store(scores + i, s);
    }
    return vf_largest(largest);
}

/* exp(scores - max) in place; returns the sum. */
SIMD_INLINE float soften(float *scores, int low, int high, float max)
{
    vf shift = vf_set(max == -INFINITY ? 0 : max), total = vf_set(0);
    for (int i = low; i < high; i += VF) {
        vf p = vf_exp(vf_sub(vf_load(scores + i), shift));
        total = vf_add(total, p);
        vf_store(scores + i, p);
    }
    return vf_sum(total);
}

/* Up to GROUP queries of the tile, `at` the first, over the span from `start` on. */
SIMD_INLINE void group_span(const struct attention_tile *tile, int at, int n, int start, const struct span_pages *pages, enum kv_type type,
                            struct attention_state *state, float *room)
{
    const struct kv_shape *shape = &tile->kv->store->shape;
    _Alignas(64) float scores[GROUP][ATTENTION_SPAN];
    float *values[GROUP];
    int firsts[GROUP], ends[GROUP], first = ATTENTION_SPAN, end = 0;
#pragma GCC unroll 6
    for (int i = 0; i < n; i++) {
        firsts[i] = tile->first[at + i] > start ? tile->first[at + i] - start : 0;
        ends[i] = tile->last[at + i] + 1 - start < ATTENTION_SPAN ? tile->last[at + i] + 1 - start : ATTENTION_SPAN;
        first = firsts[i] < first ? firsts[i] : first;
        end = ends[i] > end ? ends[i] : end;
        values[i] = state->values + (size_t)(at + i) * (size_t)shape->head_dim_v;
    }
    int low = first / KV_PAGE * KV_PAGE, high = (end + KV_PAGE - 1) / KV_PAGE * KV_PAGE;
    gather_queries(tile->q + at, n, shape->head_dim_k, room);
    for (int page = low / KV_PAGE; page * KV_PAGE < end; page++)
        score_page(pages->at[page], pages->at[page + AHEAD], type, shape->head_dim_k, room, n, scores[0] + page * KV_PAGE);
#pragma GCC unroll 6
    for (int i = 0; i < n; i++)
        state->max[at + i] = mask_scores(tile->attention, scores[i], low, high, firsts[i], ends[i]); /* -INFINITY: it sees nothing here. */
#pragma GCC unroll 6
    for (int i = 0; i < n; i++)
        state->sum[at + i] = soften(scores[i], low, high, state->max[at + i]);
    bool in_cache = tile->n_queries > GROUP, at_once = shape->head_dim_v < 2 * STEP * VF; /* Further groups find the pages in a cache. */
    int together = in_cache || at_once ? ATTENTION_SPAN : KV_PAGE;
    sum_values(pages, type, shape->head_dim_v, first < end ? first : end, end, together, scores, n, values);
}

#define ONE_GROUP(n, type)                                                                                                             \
    case n:                                                                                                                            \
        group_span(tile, at, n, start, &pages, type, state, room);                                                                           \
        break;
#define GROUPS_OF(type)                                                                                                                \
    switch (n) {                                                                                                                       \
        ONE_GROUP(1, type)                                                                                                             \
        ONE_GROUP(2, type)                                                                                                             \
        ONE_GROUP(3, type)                                                                                                             \
        ONE_GROUP(4, type)                                                                                                             \
        ONE_GROUP(5, type)                                                                                                             \
        ONE_GROUP(6, type)                                                                                                             \
    }

void SIMD_NAME(attention_span)(const struct attention_tile *tile, int span, struct attention_state *state, float *room)
{
    const struct kv *kv = tile->kv;
    int start = span * ATTENTION_SPAN, first_page = start / KV_PAGE, left = tile->last[tile->n_queries - 1] / KV_PAGE + 1 - first_page;
    struct span_pages pages = {.n = left < SPAN_PAGES ? left : SPAN_PAGES};
    for (int i = 0; i < pages.n; i++) { /* Each lies elsewhere: the CPU can't guess where. */
        pages.at[i] = kv_keys(kv, first_page + i, tile->layer, tile->kv_head);
        pages.at[pages.n + i] = kv_values(kv, first_page + i, tile->layer, tile->kv_head);
    }
    for (int i = 0; i < AHEAD; i++) {
        int page = pages.n + i;
        pages.at[2 * pages.n + i] = page < left ? kv_keys(kv, first_page + page, tile->layer, tile->kv_head) : attention_ahead(tile, page - left);
    }
    int n_groups = (tile->n_queries + GROUP - 1) / GROUP;
    for (int group = 0, at = 0; group < n_groups; group++) {
        int n = (tile->n_queries - at + n_groups - group - 1) / (n_groups - group); /* Groups of even size: a small one would wait for each product. */
        switch (kv->store->shape.type) {
        case KV_F32: GROUPS_OF(KV_F32) break;
        case KV_F16: GROUPS_OF(KV_F16) break;
        case KV_Q8_0: GROUPS_OF(KV_Q8_0) break;
        default: break;
        }
        at += n;
    }
}

void SIMD_NAME(attention_merge)(const struct attention_state *into, const struct attention_state *span, int n_queries, int dim)
{
    for (int i = 0; i < n_queries; i++) {
        struct attention_merge_weights by;
        if (!attention_merge_begin(into, span, i, &by))
            continue;
        float *values = into->values + (size_t)i * (size_t)dim;
        const float *more = span->values + (size_t)i * (size_t)dim;
        vf keep = vf_set(by.keep), add = vf_set(by.add);
        for (int d = 0; d < dim; d += VF) {
            vf kept = vf_mul(vf_load_first(values + d, dim - d), keep);
            vf_store_first(values + d, vf_fma(vf_load_first(more + d, dim - d), add, kept), dim - d);
        }
    }
}

void SIMD_NAME(attention_finish)(const struct attention_state *state, int n_queries, int dim, float *const *out)
{
    for (int i = 0; i < n_queries; i++) {
        vf by = vf_set(1.0f / state->sum[i]);
        for (int d = 0; d < dim; d += VF)
            vf_store_first(out[i] + d, vf_mul(vf_load_first(state->values + (size_t)i * (size_t)dim + d, dim - d), by), dim - d);
    }
}
