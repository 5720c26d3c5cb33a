/* The inside of attention: a tile of query rows over a span of positions, for attention.c and its vector forms.
 *
 * Positions are cut into spans of ATTENTION_SPAN. A span is computed on its own, then spans are merged in order with the
 * softmax kept running (Milakov & Gimelshein 2018; Dao et al. 2022). What a query's answer is made of therefore depends on its
 * position alone: not on the other rows of its tile, nor on the threads. */
#ifndef WEIR_KERNELS_ATTENTION_FORMS_H
#define WEIR_KERNELS_ATTENTION_FORMS_H

#include "kernels/kv_page.h"

#include <math.h>

enum {
    ATTENTION_SPAN = 256,   /* Positions; whole pages. */
    ATTENTION_QUERIES = 32, /* In a tile: rows × query heads of one KV head. */
    ATTENTION_GROUP = 6,    /* Queries that a form takes at a time. */
};

/* Query heads that read one KV head of one sequence. */
struct attention_tile {
    const struct attention *attention;
    const struct kv *kv;
    int layer;
    int kv_head;
    int n_queries;
    const float *q[ATTENTION_QUERIES];
    int first[ATTENTION_QUERIES]; /* Positions it sees: first … last. */
    int last[ATTENTION_QUERIES];
    const struct kv *next; /* The sequence, head and page that will be read after the tile's own. */
    int next_head;
    int next_page;
};

/* A softmax on its way: the largest score, the sum of exponentials and, unnormalised, the values' sum. */
struct attention_state {
    float *max;    /* n_queries */
    float *sum;
    float *values; /* n_queries × head_dim_v */
};

/* Fills state with the positions of span `span` alone. room: attention_room_floats of scratch. */
typedef void attention_span_fn(const struct attention_tile *tile, int span, struct attention_state *state, float *room);
attention_span_fn attention_span_scalar, attention_span_avx2, attention_span_vnni, attention_span_neon;
/* into = into merged with the span that follows; -INFINITY in max means nothing yet. */
typedef void attention_merge_fn(const struct attention_state *into, const struct attention_state *span, int n_queries, int dim);
attention_merge_fn attention_merge_scalar, attention_merge_avx2, attention_merge_vnni, attention_merge_neon;

static inline size_t attention_room_floats(const struct kv_shape *shape)
{
    return (size_t)ATTENTION_GROUP * (((size_t)shape->head_dim_k + 63) / 64 * 64);
}

/* out[i] = values / sum: the state's answer. */
typedef void attention_finish_fn(const struct attention_state *state, int n_queries, int dim, float *const *out);
attention_finish_fn attention_finish_scalar, attention_finish_avx2, attention_finish_vnni, attention_finish_neon;

/* What values of query i are multiplied by when two spans are merged; its max and sum are merged here. False: nothing to add. */
struct attention_merge_weights {
    float keep, add;
};

static inline bool attention_merge_begin(const struct attention_state *into, const struct attention_state *span, int i,
                                         struct attention_merge_weights *by)
{
    if (span->max[i] == -INFINITY)
        return false;
    float max = into->max[i] > span->max[i] ? into->max[i] : span->max[i];
    by->keep = into->max[i] == -INFINITY ? 0 : expf(into->max[i] - max);
    by->add = expf(span->max[i] - max);
    into->sum[i] = into->sum[i] * by->keep + span->sum[i] * by->add;
    into->max[i] = max;
    return true;
}

/* What to ask for when a tile's own pages end: the keys of the i-th page after them. */
static inline const uint8_t *attention_ahead(const struct attention_tile *tile, int i)
{
    int page = tile->next_page + i;
    return kv_keys(tile->next, page < tile->next->n_pages ? page : tile->next->n_pages - 1, tile->layer, tile->next_head);
}

#endif
