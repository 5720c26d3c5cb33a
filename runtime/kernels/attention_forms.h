/* The inside of attention: a tile of query rows over a span of positions, for attention.c and its vector forms.
 *
 * Positions are cut into spans of ATTENTION_SPAN. A span is computed on its own with the softmax kept running page by page
 * (Milakov & Gimelshein 2018; Dao et al. 2022), then spans are merged in order. What a query's answer is made of therefore
 * depends on its position alone: not on the other rows of its tile, nor on the threads. */
#ifndef WEIR_KERNELS_ATTENTION_FORMS_H
#define WEIR_KERNELS_ATTENTION_FORMS_H

#include "kernels/kv_page.h"

enum {
    ATTENTION_SPAN = 256,   /* Positions; whole pages. */
    ATTENTION_QUERIES = 32, /* In a tile: rows × query heads of one KV head. */
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
};

/* A softmax on its way: the largest score, the sum of exponentials and, unnormalised, the values' sum. */
struct attention_state {
    float *max;    /* n_queries */
    float *sum;
    float *values; /* n_queries × head_dim_v */
};

/* Fills state with the positions of span `span` alone. page: scratch of attention_page_floats. */
typedef void attention_span_fn(const struct attention_tile *tile, int span, struct attention_state *state, float *page);
attention_span_fn attention_span_scalar, attention_span_avx2, attention_span_vnni, attention_span_neon;
/* into = into merged with the span that follows; -INFINITY in max means nothing yet. */
void attention_merge(const struct attention_state *into, const struct attention_state *span, int n_queries, int dim);

static inline size_t attention_page_floats(const struct kv_shape *shape)
{
    return (size_t)(shape->head_dim_k + shape->head_dim_v) * KV_PAGE;
}

#endif
