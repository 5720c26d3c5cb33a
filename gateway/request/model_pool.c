/* See model_pool.h.
 *
 *   IDLE → WANTED (first waiter) → LOADING (worker) → READY ⇄ in use → CLOSING (worker) → IDLE
 *
 * WANTED ones are served in the order of asking: room is made by unloading READY ones that nobody uses, the longest unused
 * first; when that is not enough the wanted one waits until a user leaves. A model larger than the whole budget fails at once. A
 * failed load is tried again by the next request. */
#include "request/model_pool.h"

#include <unistd.h>

enum pool_state { POOL_IDLE, POOL_WANTED, POOL_LOADING, POOL_READY, POOL_CLOSING };
enum { OTHERS_KV_BYTES = 256 << 20 };

struct waiter {
    struct waiter *next;
    model_ready_fn *ready;
    void *user;
};

struct pool_entry {
    struct local_model local; /* First: a model that is left is its entry. */
    struct model_pool *pool;
    const struct config_model *config;
    struct config_serving serving; /* With the cache's budget set. */
    enum pool_state state;
    uv_work_t work;
    int status; /* Of the load. */
    struct error err;
    struct waiter *waiters, **waiters_end;
    int n_users;
    int64_t bytes;
    int64_t order; /* Of the last use, or of the wish. */
};

struct model_pool {
    uv_loop_t *loop;
    const struct config *config;
    struct pool_entry *entries;
    int n_entries;
    int64_t clock;
    struct model_pool_stats stats;
};

int model_pool_new(struct model_pool **out, uv_loop_t *loop, const struct config *config, struct error *err)
{
    *out = NULL;
    struct model_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL || (pool->entries = calloc((size_t)config->n_others + 1, sizeof *pool->entries)) == NULL) {
        free(pool);
        return error_set(err, WEIR_E_MEMORY, "models", "out of memory");
    }
    pool->loop = loop;
    pool->config = config_hold(config);
    pool->n_entries = config->n_others;
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
    int64_t half = pages > 0 && page > 0 ? (int64_t)pages / 2 * page : INT64_MAX;
    pool->stats.budget_bytes = config->models_budget_bytes > 0 ? config->models_budget_bytes : half;
    for (int i = 0; i < pool->n_entries; i++) {
        struct pool_entry *entry = &pool->entries[i];
        *entry = (struct pool_entry){.pool = pool, .config = &config->others[i], .serving = config->others[i].serving};
        if (entry->serving.kv_budget_bytes == 0)
            entry->serving.kv_budget_bytes = OTHERS_KV_BYTES;
        entry->waiters_end = &entry->waiters;
    }
    *out = pool;
    return 0;
}

void model_pool_free(struct model_pool *pool)
{
    if (pool == NULL)
        return;
    for (int i = 0; i < pool->n_entries; i++) {
        for (struct waiter *waiter = pool->entries[i].waiters, *next; waiter != NULL; waiter = next) {
            next = waiter->next;
            free(waiter);
        }
        local_model_close(&pool->entries[i].local);
    }
    config_drop(pool->config);
    free(pool->entries);
    free(pool);
}

int model_pool_find(const struct model_pool *pool, str name)
{
    for (int i = 0; i < pool->n_entries; i++)
        if (str_equal(name, str_of(pool->entries[i].config->name)))
            return i;
    return -1;
}

static void serve_wishes(struct model_pool *pool);

/* Hands the outcome of a load to all who wait; any of them may come back into the pool from its ready. */
static void tell_waiters(struct pool_entry *entry, struct local_model *model)
{
    struct waiter *waiter;
    entry->n_users++; /* So that it stays while the first of them come and go. */
    while ((waiter = entry->waiters) != NULL) {
        entry->waiters = waiter->next;
        if (entry->waiters == NULL)
            entry->waiters_end = &entry->waiters;
        if (model != NULL)
            entry->n_users++;
        waiter->ready(waiter->user, model);
        free(waiter);
    }
    entry->n_users--;
}

static void fail(struct pool_entry *entry)
{
    char text[600];
    entry->state = POOL_IDLE;
    entry->pool->stats.n_failures++;
    log_event(LOG_ERROR, "model_failed", "%s: %s", entry->config->name, error_format(&entry->err, text, sizeof text));
    tell_waiters(entry, NULL);
}

static void on_load(uv_work_t *work)
{
    struct pool_entry *entry = work->data;
    entry->status = local_model_open(&entry->local, entry->config->name, entry->config->path, &entry->serving, entry->pool->config, &entry->err);
}

static void on_loaded(uv_work_t *work, int status)
{
    struct pool_entry *entry = work->data;
    struct model_pool *pool = entry->pool;
    if (status < 0) {
        entry->status = WEIR_E_IO;
        error_set(&entry->err, WEIR_E_IO, entry->config->path, "no worker was to be had");
    }
    if (entry->status < 0) {
        pool->stats.used_bytes -= entry->bytes;
        fail(entry);
    } else {
        entry->state = POOL_READY;
        entry->order = ++pool->clock;
        pool->stats.n_loaded++;
        pool->stats.n_loads++;
        tell_waiters(entry, &entry->local);
    }
    serve_wishes(pool);
}

static void on_unload(uv_work_t *work)
{
    struct pool_entry *entry = work->data;
    local_model_close(&entry->local);
}

static void on_unloaded(uv_work_t *work, int status)
{
    struct pool_entry *entry = work->data;
    struct model_pool *pool = entry->pool;
    if (status < 0) /* Cancelled: nothing here does that, but the memory must be given back all the same. */
        local_model_close(&entry->local);
    log_event(LOG_INFO, "model_unloaded", "%s", entry->config->name);
    pool->stats.used_bytes -= entry->bytes;
    pool->stats.n_unloads++;
    entry->state = entry->waiters != NULL ? POOL_WANTED : POOL_IDLE;
    serve_wishes(pool);
}

static void start(struct pool_entry *entry, enum pool_state state, uv_work_cb work, uv_after_work_cb done)
{
    entry->state = state;
    entry->work.data = entry;
    if (uv_queue_work(entry->pool->loop, &entry->work, work, done) < 0) {
        work(&entry->work);
        done(&entry->work, 0);
    }
}

/* The READY one that nobody has used for longest; NULL: all are in use. */
static struct pool_entry *find_victim(const struct model_pool *pool)
{
    struct pool_entry *victim = NULL;
    for (int i = 0; i < pool->n_entries; i++) {
        struct pool_entry *entry = &pool->entries[i];
        if (entry->state == POOL_READY && entry->n_users == 0 && (victim == NULL || entry->order < victim->order))
            victim = entry;
    }
    return victim;
}

static struct pool_entry *find_wish(const struct model_pool *pool)
{
    struct pool_entry *first = NULL;
    for (int i = 0; i < pool->n_entries; i++) {
        struct pool_entry *entry = &pool->entries[i];
        if (entry->state == POOL_WANTED && (first == NULL || entry->order < first->order))
            first = entry;
    }
    return first;
}

static bool is_closing(const struct model_pool *pool)
{
    for (int i = 0; i < pool->n_entries; i++)
        if (pool->entries[i].state == POOL_CLOSING)
            return true;
    return false;
}

static void serve_wishes(struct model_pool *pool)
{
    struct pool_entry *entry;
    while ((entry = find_wish(pool)) != NULL) {
        struct model_pool_stats *stats = &pool->stats;
        if (entry->waiters == NULL) { /* All have given up. */
            entry->state = POOL_IDLE;
            continue;
        }
        entry->bytes = local_model_bytes(entry->config->path, &entry->serving);
        if (entry->bytes > stats->budget_bytes) {
            error_set(&entry->err, WEIR_E_LIMIT, entry->config->path, "needs %lld MB, more than models.memory_budget of %lld MB",
                      (long long)(entry->bytes / 1000000), (long long)(stats->budget_bytes / 1000000));
            fail(entry);
            continue;
        }
        if (stats->used_bytes <= stats->budget_bytes - entry->bytes) {
            stats->used_bytes += entry->bytes;
            start(entry, POOL_LOADING, on_load, on_loaded);
            continue;
        }
        struct pool_entry *victim = is_closing(pool) ? NULL : find_victim(pool);
        if (victim == NULL)
            return; /* Until one is closed, or left. */
        stats->n_loaded--;
        start(victim, POOL_CLOSING, on_unload, on_unloaded);
        return;
    }
}

struct local_model *model_pool_take(struct model_pool *pool, int index, model_ready_fn *ready, void *user)
{
    struct pool_entry *entry = &pool->entries[index];
    if (entry->state == POOL_READY) {
        entry->n_users++;
        entry->order = ++pool->clock;
        return &entry->local;
    }
    struct waiter *waiter = calloc(1, sizeof *waiter);
    if (waiter == NULL)
        return NULL; /* The caller's deadline ends it. */
    *waiter = (struct waiter){.ready = ready, .user = user};
    *entry->waiters_end = waiter;
    entry->waiters_end = &waiter->next;
    if (entry->state == POOL_IDLE) {
        entry->state = POOL_WANTED;
        entry->order = ++pool->clock;
        serve_wishes(pool);
    }
    return NULL;
}

void model_pool_leave(struct model_pool *pool, struct local_model *model)
{
    struct pool_entry *entry = (struct pool_entry *)(void *)model;
    entry->n_users--;
    entry->order = ++pool->clock;
    serve_wishes(pool);
}

void model_pool_forget(struct model_pool *pool, const void *user)
{
    for (int i = 0; i < pool->n_entries; i++) {
        struct pool_entry *entry = &pool->entries[i];
        for (struct waiter **link = &entry->waiters; *link != NULL;) {
            struct waiter *waiter = *link;
            if (waiter->user != user) {
                link = &waiter->next;
                continue;
            }
            *link = waiter->next;
            if (*link == NULL)
                entry->waiters_end = link;
            free(waiter);
        }
    }
}

int model_pool_size(const struct model_pool *pool)
{
    return pool->n_entries;
}

struct model_pool_state model_pool_look(const struct model_pool *pool, int index)
{
    const struct pool_entry *entry = &pool->entries[index];
    struct model_pool_state state = {entry->config->name, entry->config, entry->state == POOL_READY, entry->n_users, 0};
    for (const struct waiter *waiter = entry->waiters; waiter != NULL; waiter = waiter->next)
        state.n_waiting++;
    return state;
}

struct model_pool_stats model_pool_stats(const struct model_pool *pool)
{
    return pool->stats;
}
