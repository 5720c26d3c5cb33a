/* The inside of the KV cache, for kv.c and the attention kernels.
 *
 * A page holds KV_PAGE positions of all layers. For one layer: the keys of head 0, head 1, …, then the values. Keys lie
 * transposed, [dimension][position], so that scores of many positions are one vector with no horizontal sum; values lie
 * [position][dimension]. Q8_0 has, after a head's bytes, float scales for each 32 dimensions: of keys [dimension / 32][position],
 * of values [position][dimension / 32]. */
#ifndef WEIR_KERNELS_KV_PAGE_H
#define WEIR_KERNELS_KV_PAGE_H

#include "kernels/kv.h"

enum { KV_SCALE_SPAN = 32 };

struct kv_page {
    struct kv_page *next_free;
    struct slab *slab; /* The memory it is cut from. */
    int n_refs;
    _Alignas(64) uint8_t data[];
};

struct kv_store {
    struct kv_shape shape;
    size_t budget_bytes;
    size_t used_bytes;
    size_t key_bytes;   /* Of one head of one layer. */
    size_t value_bytes;
    size_t layer_bytes;
    size_t page_bytes;  /* All of it, header too. */
    struct kv_page *free; /* Given back, or made ready: */
    int n_free;
};

struct kv {
    struct kv_store *store;
    struct kv_page **pages;
    int n_pages;
    int capacity;
    int length;
};

static inline uint8_t *kv_keys(const struct kv *kv, int page, int layer, int head)
{
    const struct kv_store *store = kv->store;
    return kv->pages[page]->data + (size_t)layer * store->layer_bytes + (size_t)head * store->key_bytes;
}

static inline uint8_t *kv_values(const struct kv *kv, int page, int layer, int head)
{
    const struct kv_store *store = kv->store;
    return kv->pages[page]->data + (size_t)layer * store->layer_bytes + (size_t)store->shape.n_kv_heads * store->key_bytes +
           (size_t)head * store->value_bytes;
}

#endif
