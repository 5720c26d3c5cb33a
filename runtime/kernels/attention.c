/* Causal attention over pages, with the softmax kept running (Milakov & Gimelshein 2018; Dao et al. 2022): one pass over
 * keys and values, page by page, whatever the length.
 *
 * A chunk is one row and one KV head with all the query heads that read it. Pages are taken in order of position, so an
 * answer doesn't depend on which rows and threads there are. */
#include "kernels/half.h"
#include "kernels/kv_page.h"

#include <assert.h>
#include <math.h>

struct attention_job {
    const struct attention *attention;
    struct kv *const *kv;
    const int32_t *positions;
    const float *q;
    float *out;
    int layer;
};

static float key_at(const struct kv_shape *shape, const uint8_t *keys, int i, int at)
{
    size_t index = (size_t)i * KV_PAGE + (size_t)at;
    if (shape->type == KV_F32)
        return ((const float *)keys)[index];
    if (shape->type == KV_F16)
        return half_to_float(((const uint16_t *)keys)[index]);
    const float *scales = (const float *)(keys + (size_t)shape->head_dim_k * KV_PAGE);
    return (float)((const int8_t *)keys)[index] * scales[i / KV_SCALE_SPAN * KV_PAGE + at];
}

static float value_at(const struct kv_shape *shape, const uint8_t *values, int i, int at)
{
    size_t index = (size_t)at * (size_t)shape->head_dim_v + (size_t)i;
    if (shape->type == KV_F32)
        return ((const float *)values)[index];
    if (shape->type == KV_F16)
        return half_to_float(((const uint16_t *)values)[index]);
    const float *scales = (const float *)(values + (size_t)shape->head_dim_v * KV_PAGE);
    int n_spans = (shape->head_dim_v + KV_SCALE_SPAN - 1) / KV_SCALE_SPAN;
    return (float)((const int8_t *)values)[index] * scales[at * n_spans + i / KV_SCALE_SPAN];
}

/* One query head over positions first … last. */
static void attend(const struct attention_job *job, const struct kv *kv, int kv_head, int first, int last, const float *q, float *out)
{
    const struct kv_shape *shape = &kv->store->shape;
    float running_max = -INFINITY, sum = 0;
    for (int i = 0; i < shape->head_dim_v; i++)
        out[i] = 0;
    for (int page = first / KV_PAGE; page <= last / KV_PAGE; page++) {
        const uint8_t *keys = kv_keys(kv, page, job->layer, kv_head), *values = kv_values(kv, page, job->layer, kv_head);
        int from = page * KV_PAGE < first ? first % KV_PAGE : 0;
        int end = (page + 1) * KV_PAGE > last ? last % KV_PAGE + 1 : KV_PAGE;
        float scores[KV_PAGE], max = running_max;
        for (int at = from; at < end; at++) {
            float score = 0;
            for (int i = 0; i < shape->head_dim_k; i++)
                score += q[i] * key_at(shape, keys, i, at);
            score *= job->attention->scale;
            if (job->attention->soft_cap > 0)
                score = job->attention->soft_cap * tanhf(score / job->attention->soft_cap);
            scores[at] = score;
            max = score > max ? score : max;
        }
        float shrink = expf(running_max - max);
        sum *= shrink;
        for (int i = 0; i < shape->head_dim_v; i++)
            out[i] *= shrink;
        for (int at = from; at < end; at++) {
            float p = expf(scores[at] - max);
            sum += p;
            for (int i = 0; i < shape->head_dim_v; i++)
                out[i] += p * value_at(shape, values, i, at);
        }
        running_max = max;
    }
    for (int i = 0; i < shape->head_dim_v; i++)
        out[i] /= sum;
}

static void attention_chunk(void *arg, int chunk, int thread)
{
    const struct attention_job *job = arg;
    const struct kv_shape *shape = &job->kv[0]->store->shape;
    int row = chunk / shape->n_kv_heads, kv_head = chunk % shape->n_kv_heads;
    int group = job->attention->n_heads / shape->n_kv_heads;
    int last = job->positions[row];
    int first = job->attention->window > 0 && last >= job->attention->window ? last - job->attention->window + 1 : 0;
    for (int i = 0; i < group; i++) {
        size_t head = (size_t)row * (size_t)job->attention->n_heads + (size_t)(kv_head * group + i);
        attend(job, job->kv[row], kv_head, first, last, job->q + head * (size_t)shape->head_dim_k,
               job->out + head * (size_t)shape->head_dim_v);
    }
}

void attention_apply(const struct attention *attention, struct pool *pool, struct kv *const *kv, const int32_t *positions,
                     int n_rows, int layer, const float *q, float *out)
{
    if (n_rows == 0)
        return;
    const struct kv_shape *shape = &kv[0]->store->shape;
    assert(attention->n_heads % shape->n_kv_heads == 0);
    struct attention_job job = {attention, kv, positions, q, out, layer};
    pool_run(pool, n_rows * shape->n_kv_heads, attention_chunk, &job);
}
