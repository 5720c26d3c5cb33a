/* Prefix cache: sequences that ended, kept with their keys and values so that a later prompt with the same beginning need
 * not be computed again. At most PREFIX_CACHE_MOST sequences, the least recently used leave first; all pages count against the
 * KV store's budget. The engine's thread only. */
#ifndef WEIR_ENGINE_PREFIX_CACHE_H
#define WEIR_ENGINE_PREFIX_CACHE_H

#include "kernels/kv.h"

enum { PREFIX_CACHE_MOST = 64 };

struct lora;

/* What keys and values depend on beside the ids: equal kinds may share. */
struct prefix_kind {
    bool is_beyond;          /* Computed beyond the decoder's rope border: of no use below it, nor the other way round. */
    const struct lora *lora; /* With this adapter; NULL: none. */
};

struct prefix_cache {
    struct prefix_entry {
        int32_t *ids;
        size_t n;
        struct kv *kv;
        struct prefix_kind kind;
        int64_t used; /* Larger is more recent. */
    } entries[PREFIX_CACHE_MOST];
    int n;
    int64_t clock;
};

/* Length of the common beginning of two id lists. */
size_t prefix_common(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b);
bool prefix_kind_equal(struct prefix_kind a, struct prefix_kind b);
/* The cached sequence of the same kind that shares most with ids; *n_common gets how much. NULL: none
 * shares anything. Marks it used. */
struct kv *prefix_cache_find(struct prefix_cache *cache, const int32_t *ids, size_t n, struct prefix_kind kind, size_t *n_common);
/* Takes the sequence over. One that is the beginning of it, or the same, of the same kind, is dropped. */
void prefix_cache_put(struct prefix_cache *cache, const int32_t *ids, struct kv *kv_take, struct prefix_kind kind);
/* Frees the least recently used. False when empty. */
bool prefix_cache_evict(struct prefix_cache *cache);
void prefix_cache_clear(struct prefix_cache *cache);

#endif
