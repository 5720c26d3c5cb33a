/* Answer cache: finished answers, kept in memory and given again to the tenant that paid for them.
 *
 * An answer is found by its key (cache_key.h: the very same question), or by its meaning: the same question but for harmless words
 * (phrase.h), and then only where the two questions' embeddings are at least as alike as asked for. Every tenant has a partition of
 * its own, with its own keys and its own order of use: nothing crosses, and who fills the cache gives up his own entries first.
 *
 * Invariants: an answer leaves its partition only for its own tenant; none is older than the time to live; used bytes never exceed
 * the cap; an answer that was begun before a clearing is not kept by it. Nothing is ever written to a disk, and texts are wiped
 * when they leave. Thread-safe: one lock inside, held for look-ups and copies only. */
#ifndef WEIR_CACHE_ANSWER_CACHE_H
#define WEIR_CACHE_ANSWER_CACHE_H

#include "cache/cache_key.h"

enum cache_hit { CACHE_NONE, CACHE_EXACT, CACHE_SEMANTIC };
const char *cache_hit_name(enum cache_hit hit); /* "none", "exact", "semantic" */

struct answer_cache;

struct answer_cache_options {
    int64_t max_bytes; /* 0: keeps nothing. */
    int64_t ttl_us;
};

/* A finished answer. Given to answer_cache_keep everything is copied; found, texts lie in the arena given. */
struct cached_answer {
    str model;            /* As the answer names it. */
    str text;
    str citations;        /* JSON array; empty: none. */
    int64_t prompt_tokens, cached_tokens, completion_tokens;
    char decision_id[37]; /* Of the decision that made it. */
    int64_t age_us;       /* Found only. */
};

struct answer_cache_stats {
    int64_t n_entries, n_tenants, used_bytes, max_bytes, ttl_us;
    int64_t n_exact, n_semantic, n_misses; /* Look-ups of requests; a miss is counted once, at the last look-up made. */
    int64_t n_kept, n_evicted, n_expired, n_cleared;
};

struct answer_cache *answer_cache_new(const struct answer_cache_options *options); /* NULL: no memory. */
void answer_cache_free(struct answer_cache *cache);
/* Empties it and goes on with other options: what a reload does. */
void answer_cache_reset(struct answer_cache *cache, const struct answer_cache_options *options);

/* A tenant is its name, or NULL data: callers without a key, who are one tenant of their own.
 * 1: found, and *out is filled; 0: not; WEIR_E_MEMORY: the arena has no room. A find makes an entry the tenant's most recently used. */
int answer_cache_find(struct answer_cache *cache, str tenant, const struct cache_question *question, struct arena *arena,
                      struct cached_answer *out) WEIR_CHECKED;
/* By meaning: the most alike with a cosine of at least `least`, which goes into *similarity. The question needs an embedding. */
int answer_cache_find_similar(struct answer_cache *cache, str tenant, const struct cache_question *question, double least, struct arena *arena,
                              struct cached_answer *out, float *similarity) WEIR_CHECKED;
/* Counts a request's look-up: what it found in the end. */
void answer_cache_count(struct answer_cache *cache, enum cache_hit hit);

/* Keeps an answer; of the same key the newest stays. 0 also when it was not kept: larger than an eighth of the cap, or begun
 * before a clearing (epoch: answer_cache_epoch when the request came). WEIR_E_MEMORY: no memory. */
int answer_cache_keep(struct answer_cache *cache, str tenant, const struct cache_question *question, uint64_t epoch,
                      const struct cached_answer *answer) WEIR_CHECKED;
uint64_t answer_cache_epoch(struct answer_cache *cache);

/* Forgets all, or one tenant's. Returns how many. */
int64_t answer_cache_clear(struct answer_cache *cache);
int64_t answer_cache_clear_tenant(struct answer_cache *cache, str tenant);
/* Forgets what has outlived its time; called now and then, so that no text stays longer. */
void answer_cache_sweep(struct answer_cache *cache);

void answer_cache_stats(struct answer_cache *cache, struct answer_cache_stats *out);
/* New reference: the statistics with a row for each tenant (at most 1,000), for `weir cache stats`. */
json_t *answer_cache_stats_json(struct answer_cache *cache);

#endif
