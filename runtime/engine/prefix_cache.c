/* See prefix_cache.h. A linear search: 64 sequences compare in microseconds, since most differ in their first ids. */
#include "engine/prefix_cache.h"

size_t prefix_common(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b)
{
    size_t n = n_a < n_b ? n_a : n_b, i = 0;
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

bool prefix_kind_equal(struct prefix_kind a, struct prefix_kind b)
{
    return a.is_beyond == b.is_beyond && a.lora == b.lora;
}

struct kv *prefix_cache_find(struct prefix_cache *cache, const int32_t *ids, size_t n, struct prefix_kind kind, size_t *n_common)
{
    struct prefix_entry *best = NULL;
    *n_common = 0;
    for (int i = 0; i < cache->n; i++) {
        if (!prefix_kind_equal(cache->entries[i].kind, kind))
            continue;
        size_t common = prefix_common(cache->entries[i].ids, cache->entries[i].n, ids, n);
        if (common > *n_common) {
            *n_common = common;
            best = &cache->entries[i];
        }
    }
    if (best == NULL)
        return NULL;
    best->used = ++cache->clock;
    return best->kv;
}

static void drop(struct prefix_cache *cache, int index)
{
    free(cache->entries[index].ids);
    kv_free(cache->entries[index].kv);
    cache->entries[index] = cache->entries[--cache->n];
}

void prefix_cache_put(struct prefix_cache *cache, const int32_t *ids, struct kv *kv_take, struct prefix_kind kind)
{
    size_t n = (size_t)kv_length(kv_take);
    for (int i = cache->n - 1; i >= 0; i--)
        if (prefix_kind_equal(cache->entries[i].kind, kind) && cache->entries[i].n <= n &&
            prefix_common(cache->entries[i].ids, cache->entries[i].n, ids, n) == cache->entries[i].n)
            drop(cache, i);
    int32_t *copy = n > 0 ? malloc(n * sizeof *copy) : NULL;
    if (copy == NULL) { /* Nothing to keep, or no memory to keep it in. */
        kv_free(kv_take);
        return;
    }
    memcpy(copy, ids, n * sizeof *copy);
    if (cache->n == PREFIX_CACHE_MOST)
        prefix_cache_evict(cache);
    cache->entries[cache->n++] = (struct prefix_entry){copy, n, kv_take, kind, ++cache->clock};
}

bool prefix_cache_evict(struct prefix_cache *cache)
{
    int oldest = 0;
    if (cache->n == 0)
        return false;
    for (int i = 1; i < cache->n; i++)
        if (cache->entries[i].used < cache->entries[oldest].used)
            oldest = i;
    drop(cache, oldest);
    return true;
}

void prefix_cache_clear(struct prefix_cache *cache)
{
    while (cache->n > 0)
        drop(cache, cache->n - 1);
}
