/* Entries in two hash tables (key, meaning), in the order of use of their partition, and in the order of their age. All answers
 * live equally long, so the order of age is the order of expiry.
 *
 * The tables have a fixed number of buckets: their keys are HMACs, hence spread evenly, and chains stay short up to the caps that
 * make sense for text in memory. Whoever calls, the lock is taken here and nothing is called out to while it is held. */
#include "cache/answer_cache.h"

#include <math.h>
#include <stdlib.h>

enum { BUCKETS = 8192, PARTITION_BUCKETS = 256, MAX_COMPARED = 256, LARGEST_SHARE = 8, MAX_LISTED = 1000 };

struct partition;

struct entry {
    struct entry *by_key, *by_meaning;              /* Next in the bucket. */
    struct entry *used_before, *used_after;         /* Of the partition, oldest use first. */
    struct entry *older, *younger;
    struct partition *partition;
    uint8_t key[CACHE_KEY_BYTES], meaning[CACHE_KEY_BYTES];
    bool has_meaning;
    int64_t born_us;
    size_t n_bytes;
    struct cached_answer answer;                    /* Its texts lie behind the entry. */
    int n_embd;
    float embedding[];                              /* n_embd floats of length 1, then model and text. */
};

struct partition {
    struct partition *next;
    struct entry *oldest_use, *newest_use;
    int64_t n_entries;
    size_t n_bytes;
    bool named;
    size_t n_name;
    char name[];
};

struct answer_cache {
    pthread_mutex_t lock; /* Guards everything below. */
    struct answer_cache_options options;
    uint64_t epoch;
    struct entry *keys[BUCKETS], *meanings[BUCKETS];
    struct partition *partitions[PARTITION_BUCKETS];
    struct entry *oldest, *youngest;
    struct answer_cache_stats stats;
};

const char *cache_hit_name(enum cache_hit hit)
{
    static const char *const words[] = {[CACHE_NONE] = "none", [CACHE_EXACT] = "exact", [CACHE_SEMANTIC] = "semantic"};
    return words[hit];
}

struct answer_cache *answer_cache_new(const struct answer_cache_options *options)
{
    struct answer_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return NULL;
    pthread_mutex_init(&cache->lock, NULL);
    cache->options = *options;
    return cache;
}

/* ------------------------------------------------------------------ links */

static size_t bucket_of(const uint8_t key[CACHE_KEY_BYTES])
{
    return ((size_t)key[0] << 8 | key[1]) % BUCKETS;
}

static void use_unlink(struct entry *entry)
{
    struct partition *partition = entry->partition;
    *(entry->used_before != NULL ? &entry->used_before->used_after : &partition->oldest_use) = entry->used_after;
    *(entry->used_after != NULL ? &entry->used_after->used_before : &partition->newest_use) = entry->used_before;
}

static void use_append(struct entry *entry)
{
    struct partition *partition = entry->partition;
    entry->used_before = partition->newest_use;
    entry->used_after = NULL;
    *(entry->used_before != NULL ? &entry->used_before->used_after : &partition->oldest_use) = entry;
    partition->newest_use = entry;
}

static void age_unlink(struct answer_cache *cache, struct entry *entry)
{
    *(entry->older != NULL ? &entry->older->younger : &cache->oldest) = entry->younger;
    *(entry->younger != NULL ? &entry->younger->older : &cache->youngest) = entry->older;
}

static void age_append(struct answer_cache *cache, struct entry *entry)
{
    entry->older = cache->youngest;
    entry->younger = NULL;
    *(entry->older != NULL ? &entry->older->younger : &cache->oldest) = entry;
    cache->youngest = entry;
}

static void chains_unlink(struct answer_cache *cache, const struct entry *entry)
{
    struct entry **at = &cache->keys[bucket_of(entry->key)];
    while (*at != entry)
        at = &(*at)->by_key;
    *at = entry->by_key;
    if (!entry->has_meaning)
        return;
    at = &cache->meanings[bucket_of(entry->meaning)];
    while (*at != entry)
        at = &(*at)->by_meaning;
    *at = entry->by_meaning;
}

/* ------------------------------------------------------------------ partitions */

static struct partition **partition_place(struct answer_cache *cache, str tenant)
{
    struct partition **at = &cache->partitions[str_hash(tenant) % PARTITION_BUCKETS];
    while (*at != NULL && !((*at)->named == (tenant.data != NULL) && str_equal((str){(*at)->name, (*at)->n_name}, tenant)))
        at = &(*at)->next;
    return at;
}

static struct partition *partition_need(struct answer_cache *cache, str tenant)
{
    struct partition **at = partition_place(cache, tenant), *partition = *at;
    if (partition != NULL)
        return partition;
    partition = calloc(1, sizeof *partition + tenant.n + 1);
    if (partition == NULL)
        return NULL;
    partition->named = tenant.data != NULL;
    partition->n_name = tenant.n;
    if (tenant.n > 0)
        memcpy(partition->name, tenant.data, tenant.n);
    partition->n_bytes = sizeof *partition + tenant.n;
    *at = partition;
    cache->stats.n_tenants++;
    cache->stats.used_bytes += (int64_t)partition->n_bytes;
    return partition;
}

static void partition_drop_empty(struct answer_cache *cache, struct partition *partition)
{
    if (partition->n_entries > 0)
        return;
    *partition_place(cache, (str){partition->named ? partition->name : NULL, partition->n_name}) = partition->next;
    cache->stats.n_tenants--;
    cache->stats.used_bytes -= (int64_t)partition->n_bytes;
    free(partition);
}

/* Drops the entry, and its partition if that was its last one and it is not `needed`. */
static void entry_drop(struct answer_cache *cache, struct entry *entry, const struct partition *needed)
{
    struct partition *partition = entry->partition;
    chains_unlink(cache, entry);
    use_unlink(entry);
    age_unlink(cache, entry);
    partition->n_entries--;
    partition->n_bytes -= entry->n_bytes;
    cache->stats.n_entries--;
    cache->stats.used_bytes -= (int64_t)entry->n_bytes;
    bytes_wipe(entry, entry->n_bytes);
    free(entry);
    if (partition != needed)
        partition_drop_empty(cache, partition);
}

static void sweep(struct answer_cache *cache, const struct partition *needed)
{
    int64_t now = clock_now_us();
    while (cache->oldest != NULL && now - cache->oldest->born_us >= cache->options.ttl_us) {
        cache->stats.n_expired++;
        entry_drop(cache, cache->oldest, needed);
    }
}

static int64_t clear(struct answer_cache *cache)
{
    int64_t n = cache->stats.n_entries;
    while (cache->oldest != NULL)
        entry_drop(cache, cache->oldest, NULL);
    cache->epoch++;
    cache->stats.n_cleared += n;
    return n;
}

/* The tenant that holds most gives up what it has not used for longest. */
static void evict_one(struct answer_cache *cache, const struct partition *needed)
{
    struct partition *largest = NULL;
    for (int i = 0; i < PARTITION_BUCKETS; i++)
        for (struct partition *partition = cache->partitions[i]; partition != NULL; partition = partition->next)
            if (partition->n_entries > 0 && (largest == NULL || partition->n_bytes > largest->n_bytes))
                largest = partition;
    cache->stats.n_evicted++;
    entry_drop(cache, largest->oldest_use, needed);
}

/* ------------------------------------------------------------------ finding */

/* Copies the answer out and marks its use. */
static int entry_give(struct entry *entry, struct arena *arena, struct cached_answer *out)
{
    *out = entry->answer;
    out->age_us = clock_now_us() - entry->born_us;
    out->model.data = arena_strdup(arena, entry->answer.model);
    out->text.data = arena_strdup(arena, entry->answer.text);
    out->citations.data = arena_strdup(arena, entry->answer.citations);
    use_unlink(entry);
    use_append(entry);
    return out->model.data != NULL && out->text.data != NULL && out->citations.data != NULL ? 1 : WEIR_E_MEMORY;
}

static struct entry *find_key(struct answer_cache *cache, const struct partition *partition, const uint8_t key[CACHE_KEY_BYTES])
{
    struct entry *entry = partition != NULL ? cache->keys[bucket_of(key)] : NULL;
    while (entry != NULL && !(entry->partition == partition && bytes_equal_constant_time(entry->key, key, CACHE_KEY_BYTES)))
        entry = entry->by_key;
    return entry;
}

int answer_cache_find(struct answer_cache *cache, str tenant, const struct cache_question *question, struct arena *arena, struct cached_answer *out)
{
    pthread_mutex_lock(&cache->lock);
    sweep(cache, NULL);
    struct entry *entry = find_key(cache, *partition_place(cache, tenant), question->key);
    int status = entry != NULL ? entry_give(entry, arena, out) : 0;
    pthread_mutex_unlock(&cache->lock);
    return status;
}

/* The embedding at length 1 into out. False: it has none, or is no direction. */
static bool normalize(const float *embedding, int n_embd, float *out)
{
    double sum = 0;
    for (int i = 0; i < n_embd; i++)
        sum += (double)embedding[i] * (double)embedding[i];
    if (!isfinite(sum) || sum <= 0)
        return false;
    float scale = (float)(1 / sqrt(sum));
    for (int i = 0; i < n_embd; i++)
        out[i] = embedding[i] * scale;
    return true;
}

int answer_cache_find_similar(struct answer_cache *cache, str tenant, const struct cache_question *question, double least, struct arena *arena,
                              struct cached_answer *out, float *similarity)
{
    if (!question->has_meaning || question->embedding == NULL)
        return 0;
    float *direction = arena_array(arena, (size_t)question->n_embd, sizeof *direction);
    if (direction == NULL)
        return WEIR_E_MEMORY;
    if (!normalize(question->embedding, question->n_embd, direction))
        return 0;
    pthread_mutex_lock(&cache->lock);
    sweep(cache, NULL);
    const struct partition *partition = *partition_place(cache, tenant);
    struct entry *best = NULL;
    double best_cosine = least;
    int n_compared = 0;
    struct entry *entry = partition != NULL ? cache->meanings[bucket_of(question->meaning)] : NULL;
    for (; entry != NULL && n_compared < MAX_COMPARED; entry = entry->by_meaning) {
        if (entry->partition != partition || entry->n_embd != question->n_embd ||
            !bytes_equal_constant_time(entry->meaning, question->meaning, CACHE_KEY_BYTES))
            continue;
        double cosine = 0;
        for (int i = 0; i < entry->n_embd; i++)
            cosine += (double)entry->embedding[i] * (double)direction[i];
        n_compared++;
        if (cosine >= best_cosine) {
            best = entry;
            best_cosine = cosine;
        }
    }
    int status = best != NULL ? entry_give(best, arena, out) : 0;
    pthread_mutex_unlock(&cache->lock);
    *similarity = (float)best_cosine;
    return status;
}

void answer_cache_count(struct answer_cache *cache, enum cache_hit hit)
{
    pthread_mutex_lock(&cache->lock);
    ++*(hit == CACHE_EXACT ? &cache->stats.n_exact : hit == CACHE_SEMANTIC ? &cache->stats.n_semantic : &cache->stats.n_misses);
    pthread_mutex_unlock(&cache->lock);
}

/* ------------------------------------------------------------------ keeping */

static struct entry *entry_new(const struct cache_question *question, const struct cached_answer *answer)
{
    bool similar = question->has_meaning && question->embedding != NULL;
    int n_embd = similar ? question->n_embd : 0;
    size_t n_bytes = sizeof(struct entry) + (size_t)n_embd * sizeof(float) + answer->model.n + answer->text.n + answer->citations.n;
    struct entry *entry = calloc(1, n_bytes);
    if (entry == NULL)
        return NULL;
    entry->n_bytes = n_bytes;
    entry->n_embd = n_embd;
    entry->has_meaning = similar && normalize(question->embedding, n_embd, entry->embedding);
    entry->answer = *answer;
    memcpy(entry->key, question->key, sizeof entry->key);
    memcpy(entry->meaning, question->meaning, sizeof entry->meaning);
    char *texts = (char *)&entry->embedding[n_embd];
    str *const parts[] = {&entry->answer.model, &entry->answer.text, &entry->answer.citations};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i]->n > 0)
            memcpy(texts, parts[i]->data, parts[i]->n);
        parts[i]->data = texts;
        texts += parts[i]->n;
    }
    entry->born_us = clock_now_us();
    return entry;
}

static void entry_link(struct answer_cache *cache, struct partition *partition, struct entry *entry)
{
    struct entry **bucket = &cache->keys[bucket_of(entry->key)];
    entry->partition = partition;
    entry->by_key = *bucket;
    *bucket = entry;
    if (entry->has_meaning) {
        bucket = &cache->meanings[bucket_of(entry->meaning)];
        entry->by_meaning = *bucket;
        *bucket = entry;
    }
    use_append(entry);
    age_append(cache, entry);
    partition->n_entries++;
    partition->n_bytes += entry->n_bytes;
    cache->stats.n_entries++;
    cache->stats.n_kept++;
    cache->stats.used_bytes += (int64_t)entry->n_bytes;
}

int answer_cache_keep(struct answer_cache *cache, str tenant, const struct cache_question *question, uint64_t epoch, const struct cached_answer *answer)
{
    struct entry *entry = entry_new(question, answer);
    if (entry == NULL)
        return WEIR_E_MEMORY;
    int status = 0;
    pthread_mutex_lock(&cache->lock);
    bool keeps = epoch == cache->epoch && (int64_t)entry->n_bytes <= cache->options.max_bytes / LARGEST_SHARE;
    struct partition *partition = keeps ? partition_need(cache, tenant) : NULL;
    if (partition != NULL) {
        sweep(cache, partition);
        struct entry *same = find_key(cache, partition, question->key);
        if (same != NULL)
            entry_drop(cache, same, partition);
        while (cache->stats.n_entries > 0 && cache->stats.used_bytes + (int64_t)entry->n_bytes > cache->options.max_bytes)
            evict_one(cache, partition);
        entry_link(cache, partition, entry);
    } else {
        status = keeps ? WEIR_E_MEMORY : 0;
        bytes_wipe(entry, entry->n_bytes);
        free(entry);
    }
    pthread_mutex_unlock(&cache->lock);
    return status;
}

uint64_t answer_cache_epoch(struct answer_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    uint64_t epoch = cache->epoch;
    pthread_mutex_unlock(&cache->lock);
    return epoch;
}

/* ------------------------------------------------------------------ forgetting */

int64_t answer_cache_clear(struct answer_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    int64_t n = clear(cache);
    pthread_mutex_unlock(&cache->lock);
    return n;
}

int64_t answer_cache_clear_tenant(struct answer_cache *cache, str tenant)
{
    pthread_mutex_lock(&cache->lock);
    struct partition *partition = *partition_place(cache, tenant);
    int64_t n = partition != NULL ? partition->n_entries : 0;
    for (int64_t i = 0; i < n; i++)
        entry_drop(cache, partition->oldest_use, NULL);
    cache->epoch++;
    cache->stats.n_cleared += n;
    pthread_mutex_unlock(&cache->lock);
    return n;
}

void answer_cache_sweep(struct answer_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    sweep(cache, NULL);
    pthread_mutex_unlock(&cache->lock);
}

void answer_cache_reset(struct answer_cache *cache, const struct answer_cache_options *options)
{
    pthread_mutex_lock(&cache->lock);
    clear(cache);
    cache->options = *options;
    pthread_mutex_unlock(&cache->lock);
}

void answer_cache_free(struct answer_cache *cache)
{
    if (cache == NULL)
        return;
    clear(cache);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* ------------------------------------------------------------------ what it holds */

static void fill_stats(const struct answer_cache *cache, struct answer_cache_stats *out)
{
    *out = cache->stats;
    out->max_bytes = cache->options.max_bytes;
    out->ttl_us = cache->options.ttl_us;
}

void answer_cache_stats(struct answer_cache *cache, struct answer_cache_stats *out)
{
    pthread_mutex_lock(&cache->lock);
    fill_stats(cache, out);
    pthread_mutex_unlock(&cache->lock);
}

json_t *answer_cache_stats_json(struct answer_cache *cache)
{
    struct answer_cache_stats stats;
    json_t *tenants = json_array();
    pthread_mutex_lock(&cache->lock);
    sweep(cache, NULL);
    fill_stats(cache, &stats);
    for (int i = 0; i < PARTITION_BUCKETS; i++)
        for (const struct partition *partition = cache->partitions[i]; partition != NULL && json_array_size(tenants) < MAX_LISTED; partition = partition->next)
            json_array_append_new(tenants, json_pack("{s:o, s:I, s:I}", "tenant", partition->named ? json_stringn(partition->name, partition->n_name) : json_null(),
                                                     "entries", (json_int_t)partition->n_entries, "bytes", (json_int_t)partition->n_bytes));
    pthread_mutex_unlock(&cache->lock);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "entries", (json_int_t)stats.n_entries, "used_bytes",
                     (json_int_t)stats.used_bytes, "max_bytes", (json_int_t)stats.max_bytes, "ttl_s", (json_int_t)(stats.ttl_us / 1000000), "exact_hits",
                     (json_int_t)stats.n_exact, "semantic_hits", (json_int_t)stats.n_semantic, "misses", (json_int_t)stats.n_misses, "kept",
                     (json_int_t)stats.n_kept, "evicted", (json_int_t)stats.n_evicted, "expired", (json_int_t)stats.n_expired, "cleared",
                     (json_int_t)stats.n_cleared, "tenants", tenants);
}
