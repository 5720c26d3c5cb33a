/* Prefix cache: sequences that ended, kept with their keys and values so that a later prompt with the same beginning need
 * not be computed again. At most PREFIX_CACHE_MOST sequences, the least recently used leave first; all pages count against the
 * KV store's budget. The engine's thread only. */
#ifndef WEIR_ENGINE_PREFIX_CACHE_H
#define WEIR_ENGINE_PREFIX_CACHE_H

#include "kernels/kv.h"

enum { PREFIX_CACHE_MOST = 64 };

struct prefix_cache {
    struct prefix_entry {
        int32_t *ids;
        size_t n;
        struct kv *kv;
        bool is_beyond; /* Computed beyond the decoder's rope border: of no use below it, nor the other way round. */
        int64_t used; /* Larger is more recent. */
    } entries[PREFIX_CACHE_MOST];
    int n;
    int64_t clock;
};

/* Length of the common beginning of two id lists. */
size_t prefix_common(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b);
/* The cached sequence on the same side of the rope border that shares most with ids; *n_common gets how much. NULL: none
 * shares anything. Marks it used. */
struct kv *prefix_cache_find(struct prefix_cache *cache, const int32_t *ids, size_t n, bool is_beyond, size_t *n_common);
/* Takes the sequence over. One that is the beginning of it, or the same, on the same side of the border, is dropped. */
void prefix_cache_put(struct prefix_cache *cache, const int32_t *ids, struct kv *kv_take, bool is_beyond);
/* Frees the least recently used. False when empty. */
bool prefix_cache_evict(struct prefix_cache *cache);
void prefix_cache_clear(struct prefix_cache *cache);

#endif
