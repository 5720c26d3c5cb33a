/* A span of attention in vectors, written once for all widths; included by attention_avx2.c, attention_vnni.c and attention_neon.c.
 *
 * Keys lie transposed, so the scores of a page's 32 positions are KV_PAGE / VF vectors with no sum across. Up to four queries
 * share each load of keys and values. F16 pages are widened as they are read when one such group is all there is, and once
 * into scratch otherwise, as Q8_0 ones always are. */
#include "kernels/attention_forms.h"
#include "kernels/half.h"
#include "kernels/simd.h"

enum { GROUP = 4, PAGE_VECTORS = KV_PAGE / VF, STEP = VF == 8 ? 2 : 4 };

SIMD_INLINE vf load_as(const void *at, size_t index, bool half)
{
    return half ? vf_load_f16((const uint16_t *)at + index) : vf_load((const float *)at + index);
}

/* scores[query][position] = q · keys; n and half are constants where it is called. ahead: what is read next, as long as keys. */
SIMD_INLINE void score_page(const void *keys, const uint8_t *ahead, bool half, int dim, const float *const *q, int n, float (*scores)[KV_PAGE])
{
    for (int from = 0; from < PAGE_VECTORS; from += 2) {
        vf sums[GROUP][2];
#pragma GCC unroll 4
        for (int i = 0; i < n; i++)
            sums[i][0] = sums[i][1] = vf_set(0);
        for (int d = 0; d < dim; d++) {
            size_t at = (size_t)d * KV_PAGE + (size_t)from * VF;
            if (half && from == 0)
                __builtin_prefetch(ahead + (size_t)d * KV_PAGE * sizeof(uint16_t));
            vf k0 = load_as(keys, at, half), k1 = load_as(keys, at + VF, half);
#pragma GCC unroll 4
            for (int i = 0; i < n; i++) {
                vf value = vf_set(q[i][d]);
                sums[i][0] = vf_fma(value, k0, sums[i][0]);
                sums[i][1] = vf_fma(value, k1, sums[i][1]);
            }
        }
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) {
            vf_store(scores[i] + from * VF, sums[i][0]);
            vf_store(scores[i] + (from + 1) * VF, sums[i][1]);
        }
    }
}

/* values[query] = values[query] · shrink + Σ p · value; STEP vectors of dimensions at a time. ahead: as with keys. */
SIMD_INLINE void add_values(const void *page, const uint8_t *ahead, bool half, int dim, int end, float (*p)[KV_PAGE], const float *shrink, int n, float *const *values)
{
    int from = 0;
    for (; from + STEP * VF <= dim; from += STEP * VF) {
        vf sums[GROUP][STEP];
#pragma GCC unroll 4
        for (int i = 0; i < n; i++)
#pragma GCC unroll 4
            for (int s = 0; s < STEP; s++)
                sums[i][s] = vf_mul(vf_load(values[i] + from + s * VF), vf_set(shrink[i]));
        for (int at = 0; at < end; at++) {
            vf v[STEP];
            if (half)
                __builtin_prefetch(ahead + ((size_t)at * (size_t)dim + (size_t)from) * sizeof(uint16_t));
#pragma GCC unroll 4
            for (int s = 0; s < STEP; s++)
                v[s] = load_as(page, (size_t)at * (size_t)dim + (size_t)(from + s * VF), half);
#pragma GCC unroll 4
            for (int i = 0; i < n; i++) {
                vf weight = vf_set(p[i][at]);
#pragma GCC unroll 4
                for (int s = 0; s < STEP; s++)
                    sums[i][s] = vf_fma(weight, v[s], sums[i][s]);
            }
        }
#pragma GCC unroll 4
        for (int i = 0; i < n; i++)
#pragma GCC unroll 4
            for (int s = 0; s < STEP; s++)
                vf_store(values[i] + from + s * VF, sums[i][s]);
    }
    for (; from + VF <= dim; from += VF)
        for (int i = 0; i < n; i++) {
            vf sum = vf_mul(vf_load(values[i] + from), vf_set(shrink[i]));
            for (int at = 0; at < end; at++)
                sum = vf_fma(vf_set(p[i][at]), load_as(page, (size_t)at * (size_t)dim + (size_t)from, half), sum);
            vf_store(values[i] + from, sum);
        }
    for (; from < dim; from++)
        for (int i = 0; i < n; i++) {
            float sum = values[i][from] * shrink[i];
            for (int at = 0; at < end; at++) {
                float v;
                if (half)
                    v = half_to_float(((const uint16_t *)page)[(size_t)at * (size_t)dim + (size_t)from]);
                else
                    v = ((const float *)page)[(size_t)at * (size_t)dim + (size_t)from];
                sum += p[i][at] * v;
            }
            values[i][from] = sum;
        }
}

/* Scaled, capped and masked: positions from … end - 1 of the page are seen. Returns the largest. */
SIMD_INLINE float mask_scores(const struct attention *attention, float *scores, int from, int end)
{
    vf largest = vf_set(-INFINITY);
#pragma GCC unroll 4
    for (int i = 0; i < PAGE_VECTORS; i++) {
        vf s = vf_mul(vf_load(scores + i * VF), vf_set(attention->scale));
        if (attention->soft_cap > 0)
            s = vf_mul(vf_tanh(vf_div(s, vf_set(attention->soft_cap))), vf_set(attention->soft_cap));
        if (end < KV_PAGE)
            s = vf_keep_first(s, end - i * VF, -INFINITY);
        if (from > i * VF)
            s = vf_add(s, vf_keep_first(vf_set(-INFINITY), from - i * VF, 0));
        largest = vf_max(largest, s);
        vf_store(scores + i * VF, s);
    }
    return vf_largest(largest);
}

/* Scores of n queries to probabilities relative to the new maxima; sums are kept a lane each. */
SIMD_INLINE void soften(float (*scores)[KV_PAGE], const float *largest, int n, float *max, float (*sums)[VF], float *shrink)
{
    float fall[VF] = {0}; /* How far each maximum was below the new one. */
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        float new_max = max[i] > largest[i] ? max[i] : largest[i];
        fall[i] = max[i] == -INFINITY ? (new_max == -INFINITY ? 0 : -INFINITY) : max[i] - new_max;
        max[i] = new_max;
    }
    vf_store(shrink, vf_exp(vf_load(fall)));
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        vf shift = vf_set(max[i] == -INFINITY ? 0 : max[i]), total = vf_mul(vf_load(sums[i]), vf_set(shrink[i]));
#pragma GCC unroll 4
        for (int k = 0; k < PAGE_VECTORS; k++) {
            vf p = vf_exp(vf_sub(vf_load(scores[i] + k * VF), shift));
            total = vf_add(total, p);
            vf_store(scores[i] + k * VF, p);
        }
        vf_store(sums[i], total);
    }
}

/* One page for up to four queries of the tile, `at` the first. next: the page that will be read after it. */
SIMD_INLINE void group_page(const struct attention_tile *tile, int at, int n, int page, int next, const void *keys, const void *values, bool half,
                            struct attention_state *state, float (*sums)[VF])
{
    const struct kv_shape *shape = &tile->kv->store->shape;
    _Alignas(64) float scores[GROUP][KV_PAGE], shrink[VF], largest[GROUP];
    float *values_of[GROUP];
    int last = 0;
    score_page(keys, kv_keys(tile->kv, next, tile->layer, tile->kv_head), half, shape->head_dim_k, tile->q + at, n, scores);
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        int from = tile->first[at + i] - page * KV_PAGE, end = tile->last[at + i] + 1 - page * KV_PAGE;
        from = from < 0 ? 0 : from;
        end = end > KV_PAGE ? KV_PAGE : end;
        values_of[i] = state->values + (size_t)(at + i) * (size_t)shape->head_dim_v;
        largest[i] = mask_scores(tile->attention, scores[i], from, end); /* -INFINITY where the query sees none of the page. */
        last = end > last ? end : last;
    }
    soften(scores, largest, n, state->max + at, sums + at, shrink);
    add_values(values, kv_values(tile->kv, next, tile->layer, tile->kv_head), half, shape->head_dim_v, last, scores, shrink, n, values_of);
}

static void widen_page(const struct kv_shape *shape, const uint8_t *keys, const uint8_t *values, float *out)
{
    int n_k = shape->head_dim_k * KV_PAGE, n_v = shape->head_dim_v * KV_PAGE;
    if (shape->type == KV_F16) {
        for (int i = 0; i < n_k; i += VF)
            vf_store(out + i, vf_load_f16((const uint16_t *)(const void *)keys + i));
        for (int i = 0; i < n_v; i += VF)
            vf_store(out + n_k + i, vf_load_f16((const uint16_t *)(const void *)values + i));
        return;
    }
    const float *scales = (const float *)(const void *)(keys + n_k);
    for (int i = 0; i < n_k; i += VF)
        vf_store(out + i, vf_mul(vf_load_i8((const int8_t *)keys + i), vf_load(scales + i / KV_PAGE / KV_SCALE_SPAN * KV_PAGE + i % KV_PAGE)));
    scales = (const float *)(const void *)(values + n_v);
    int n_spans = (shape->head_dim_v + KV_SCALE_SPAN - 1) / KV_SCALE_SPAN;
    for (int at = 0; at < KV_PAGE; at++)
        for (int d = 0; d < shape->head_dim_v; d++)
            out[n_k + at * shape->head_dim_v + d] =
                (float)((const int8_t *)values)[at * shape->head_dim_v + d] * scales[at * n_spans + d / KV_SCALE_SPAN];
}

#define ONE_GROUP(n, half) group_page(tile, at, n, page, next, page_keys, page_values, half, state, sums)

void SIMD_NAME(attention_span)(const struct attention_tile *tile, int span, struct attention_state *state, float *page_floats)
{
    const struct kv_shape *shape = &tile->kv->store->shape;
    int lowest = (span + 1) * ATTENTION_SPAN, highest = -1;
    _Alignas(64) float sums[ATTENTION_QUERIES][VF];
    memset(sums, 0, sizeof sums[0] * (size_t)tile->n_queries);
    for (int i = 0; i < tile->n_queries; i++) {
        state->max[i] = -INFINITY;
        lowest = tile->first[i] < lowest ? tile->first[i] : lowest;
        highest = tile->last[i] > highest ? tile->last[i] : highest;
    }
    memset(state->values, 0, (size_t)tile->n_queries * (size_t)shape->head_dim_v * sizeof *state->values);
    lowest = lowest < span * ATTENTION_SPAN ? span * ATTENTION_SPAN : lowest;
    highest = highest >= (span + 1) * ATTENTION_SPAN ? (span + 1) * ATTENTION_SPAN - 1 : highest;
    for (int page = lowest / KV_PAGE; page <= highest / KV_PAGE && lowest <= highest; page++) {
        const uint8_t *keys = kv_keys(tile->kv, page, tile->layer, tile->kv_head), *values = kv_values(tile->kv, page, tile->layer, tile->kv_head);
        const void *page_keys = keys, *page_values = values;
        bool half = shape->type == KV_F16;
        int next = page + 1 < tile->kv->n_pages ? page + 1 : page; /* Each lies elsewhere: the CPU can't guess where. */
        if (shape->type == KV_Q8_0 || (half && tile->n_queries > GROUP)) {
            widen_page(shape, keys, values, page_floats);
            page_keys = page_floats;
            page_values = page_floats + (size_t)shape->head_dim_k * KV_PAGE;
            half = false;
        }
        for (int at = 0; at < tile->n_queries; at += GROUP) {
            int n = tile->n_queries - at;
            if (half && n == 1)
                ONE_GROUP(1, true);
            else if (half && n == 2)
                ONE_GROUP(2, true);
            else if (half && n == 3)
                ONE_GROUP(3, true);
            else if (half)
                ONE_GROUP(4, true);
            else if (n == 1)
                ONE_GROUP(1, false);
            else if (n == 2)
                ONE_GROUP(2, false);
            else if (n == 3)
                ONE_GROUP(3, false);
            else
                ONE_GROUP(4, false);
        }
    }
    for (int i = 0; i < tile->n_queries; i++)
        state->sum[i] = vf_sum(vf_load(sums[i]));
}
