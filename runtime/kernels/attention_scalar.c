/* A span of attention as the paper has it, one query and one position at a time. */
#include "kernels/attention_forms.h"
#include "kernels/half.h"

#include <math.h>

static float key_at(const struct kv_shape *shape, const uint8_t *keys, int i, int at)
{
    size_t index = (size_t)i * KV_PAGE + (size_t)at;
    if (shape->type == KV_F32)
        return ((const float *)(const void *)keys)[index];
    if (shape->type == KV_F16)
        return half_to_float(((const uint16_t *)(const void *)keys)[index]);
    const float *scales = (const float *)(const void *)(keys + (size_t)shape->head_dim_k * KV_PAGE);
    return (float)((const int8_t *)keys)[index] * scales[i / KV_SCALE_SPAN * KV_PAGE + at];
}

static float value_at(const struct kv_shape *shape, const uint8_t *values, int i, int at)
{
    size_t index = (size_t)at * (size_t)shape->head_dim_v + (size_t)i;
    if (shape->type == KV_F32)
        return ((const float *)(const void *)values)[index];
    if (shape->type == KV_F16)
        return half_to_float(((const uint16_t *)(const void *)values)[index]);
    const float *scales = (const float *)(const void *)(values + (size_t)shape->head_dim_v * KV_PAGE);
    int n_spans = (shape->head_dim_v + KV_SCALE_SPAN - 1) / KV_SCALE_SPAN;
    return (float)((const int8_t *)values)[index] * scales[at * n_spans + i / KV_SCALE_SPAN];
}

/* Positions from … end - 1 of a page. */
static void query_page(const struct attention_tile *tile, const float *q, int page, int from, int end, float *running_max, float *sum, float *out)
{
    const struct kv_shape *shape = &tile->kv->store->shape;
    const uint8_t *keys = kv_keys(tile->kv, page, tile->layer, tile->kv_head), *values = kv_values(tile->kv, page, tile->layer, tile->kv_head);
    float scores[KV_PAGE], max = *running_max, cap = tile->attention->soft_cap;
    for (int at = from; at < end; at++) {
        float score = 0;
        for (int i = 0; i < shape->head_dim_k; i++)
            score += q[i] * key_at(shape, keys, i, at);
        score *= tile->attention->scale;
        scores[at] = cap > 0 ? cap * tanhf(score / cap) : score;
        max = scores[at] > max ? scores[at] : max;
    }
    float shrink = *running_max == -INFINITY ? 0 : expf(*running_max - max);
    *sum *= shrink;
    for (int i = 0; i < shape->head_dim_v; i++)
        out[i] *= shrink;
    for (int at = from; at < end; at++) {
        float p = expf(scores[at] - max);
        *sum += p;
        for (int i = 0; i < shape->head_dim_v; i++)
            out[i] += p * value_at(shape, values, i, at);
    }
    *running_max = max;
}

void attention_span_scalar(const struct attention_tile *tile, int span, struct attention_state *state, float *room)
{
    int dim = tile->kv->store->shape.head_dim_v;
    memset(state->values, 0, (size_t)tile->n_queries * (size_t)dim * sizeof *state->values);
    for (int i = 0; i < tile->n_queries; i++) {
        int first = tile->first[i] > span * ATTENTION_SPAN ? tile->first[i] : span * ATTENTION_SPAN;
        int end = tile->last[i] < (span + 1) * ATTENTION_SPAN ? tile->last[i] + 1 : (span + 1) * ATTENTION_SPAN;
        state->max[i] = -INFINITY;
        state->sum[i] = 0;
        while (first < end) {
            int page = first / KV_PAGE, page_end = (page + 1) * KV_PAGE < end ? (page + 1) * KV_PAGE : end;
            query_page(tile, tile->q[i], page, first - page * KV_PAGE, page_end - page * KV_PAGE, &state->max[i], &state->sum[i],
                       state->values + (size_t)i * (size_t)dim);
            first = page_end;
        }
    }
}

void attention_merge_scalar(const struct attention_state *into, const struct attention_state *span, int n_queries, int dim)
{
    for (int i = 0; i < n_queries; i++) {
        struct attention_merge_weights by;
        if (!attention_merge_begin(into, span, i, &by))
            continue;
        float *values = into->values + (size_t)i * (size_t)dim;
        const float *more = span->values + (size_t)i * (size_t)dim;
        for (int d = 0; d < dim; d++)
            values[d] = values[d] * by.keep + more[d] * by.add;
    }
}

void attention_finish_scalar(const struct attention_state *state, int n_queries, int dim, float *const *out)
{
    for (int i = 0; i < n_queries; i++) {
        float by = 1.0f / state->sum[i];
        for (int d = 0; d < dim; d++)
            out[i][d] = state->values[(size_t)i * (size_t)dim + (size_t)d] * by;
    }
}
