/* The snapshot's life: opened from a file, held, dropped, and swapped whole in a store.
 *
 * Invariant: a published snapshot never changes; a reload that fails leaves the store as it was. Any thread. Reading the
 * YAML is config_read.c, what must fit together config_check.c. */
#include "config/config_internal.h"

#include "config/default_models.h"

static struct config_owner *owner_of(const struct config *config)
{
    return (struct config_owner *)(void *)(uintptr_t)config;
}

void config_warn(struct config_owner *owner, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (owner->config.n_warnings < CONFIG_MAX_WARNINGS) {
        const char *copy = arena_strdup(&owner->arena, str_of(text));
        if (copy != NULL)
            owner->config.warnings[owner->config.n_warnings++] = copy;
    }
}

static const char *keep(struct config_owner *owner, const char *text)
{
    return arena_strdup(&owner->arena, str_of(text));
}

/* The folder for state: XDG's, else below the home, else the system's. */
static const char *default_data_dir(struct config_owner *owner)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (state != NULL && state[0] == '/')
        return arena_printf(&owner->arena, "%s/weir", state);
    if (home != NULL && home[0] == '/')
        return arena_printf(&owner->arena, "%s/.local/state/weir", home);
    return keep(owner, "/var/lib/weir");
}

/* A shipped file's path; where it is not found its relative name stands, and opening it says so. */
static const char *shipped(struct config_owner *owner, const char *relative)
{
    char path[4096];
    return keep(owner, share_path(relative, path, sizeof path, NULL) == 0 ? path : relative);
}

int config_defaults(struct config_owner *owner, struct error *err)
{
    struct config *config = &owner->config;
    char path[4096];
    config->data_dir = default_data_dir(owner);
    config->policy_pack = shipped(owner, "policies/packs/default.yaml");
    config->prices_path = shipped(owner, "deploy/prices.yaml");
    if (share_path("classifier/heads/default.head", path, sizeof path, NULL) == 0)
        config->head_path = keep(owner, path);
    if (default_chat_model(path, sizeof path) == 0)
        config->chat_path = keep(owner, path);
    if (default_encoder_model(path, sizeof path) == 0)
        config->encoder_path = keep(owner, path);
    config->max_regret = config->goal.max_regret = 0.10;
    config->shadow.budget_nusd = 5000000000;
    /* A small model at OpenAI's default of 1 babbles. */
    config->chat_temperature = 0.2;
    config->chat_top_p = 0.9;
    config->log_level = LOG_INFO;
    config->cascade.whole_tokens = 1024;
    config->knowledge.passages = 4;
    config->knowledge.likeness = 0.45;
    config->cache.likeness = 0.8;
    config->cache.ttl_us = 3600000000;
    config->cache.max_bytes = 64 << 20;
    config->limits.max_connections = 4096;
    config->limits.max_requests = 1024;
    config->limits.max_body_bytes = 8 << 20;
    config->limits.head_timeout_us = 10000000;
    config->limits.body_timeout_us = 30000000;
    config->limits.idle_timeout_us = 75000000;
    config->limits.write_timeout_us = 60000000;
    config->limits.request_timeout_us = 600000000;
    config->limits.drain_timeout_us = 30000000;
    config->limits.max_sessions = 64;
    config->limits.max_waiting = 256;
    config->limits.ledger_queue = 8192;
    return config->data_dir != NULL && config->policy_pack != NULL && config->prices_path != NULL
               ? 0
               : error_set(err, WEIR_E_MEMORY, "configuration", "out of memory");
}

static void owner_free(struct config_owner *owner)
{
    for (int i = 0; i < owner->config.n_providers; i++) {
        char *secret = (char *)(uintptr_t)owner->config.providers[i].api_key;
        if (secret != NULL)
            bytes_wipe(secret, strlen(secret));
    }
    arena_release(&owner->arena);
    free(owner);
}

static int parse_with_path(const struct config **out, const char *path, const char *name, const char *base_dir, str yaml,
                           struct error *err)
{
    struct config_owner *owner = calloc(1, sizeof *owner);
    if (owner == NULL)
        return error_set(err, WEIR_E_MEMORY, name, "out of memory");
    atomic_init(&owner->refs, 1);
    arena_init(&owner->arena, 64 << 20);
    uint8_t digest[SHA256_BYTES];
    sha256(yaml.data != NULL ? yaml.data : "", yaml.n, digest);
    hex_encode(digest, sizeof digest, owner->config.sha256);
    if (path != NULL)
        owner->config.path = keep(owner, path);
    struct yaml_doc tree;
    const char *folder = base_dir != NULL ? keep(owner, base_dir) : NULL;
    int status = yaml_doc_parse(&tree, name, folder, yaml, &owner->arena, err);
    if (status == 0) {
        owner->tree = &tree;
        status = config_defaults(owner, err);
        if (status == 0)
            status = config_read(owner, err);
        if (status == 0)
            status = config_check(owner, err);
        owner->tree = NULL;
        yaml_doc_release(&tree);
    }
    if (status < 0) {
        owner_free(owner);
        return status;
    }
    *out = &owner->config;
    return 0;
}

int config_parse(const struct config **out, const char *name, const char *base_dir, str yaml, struct error *err)
{
    return parse_with_path(out, NULL, name, base_dir, yaml, err);
}

int config_open(const struct config **out, const char *path, struct error *err)
{
    if (path == NULL)
        return parse_with_path(out, NULL, "defaults", NULL, STR(""), err);
    struct buffer text;
    buffer_init(&text, YAML_MAX_BYTES + 1);
    int status = file_read(path, &text, err);
    if (status == 0) {
        char *absolute = realpath(path, NULL);
        char *slash = absolute != NULL ? strrchr(absolute, '/') : NULL;
        if (slash == NULL) {
            status = error_set(err, WEIR_E_IO, path, "its folder cannot be found");
        } else {
            *slash = '\0';
            status = parse_with_path(out, path, path, absolute, buffer_str(&text), err);
        }
        free(absolute);
    }
    buffer_release(&text);
    return status;
}

const struct config *config_hold(const struct config *config)
{
    atomic_fetch_add_explicit(&owner_of(config)->refs, 1, memory_order_relaxed);
    return config;
}

void config_drop(const struct config *config)
{
    if (config != NULL && atomic_fetch_sub_explicit(&owner_of(config)->refs, 1, memory_order_acq_rel) == 1)
        owner_free(owner_of(config));
}

int config_provider_find(const struct config *config, str name)
{
    for (int i = 0; i < config->n_providers; i++)
        if (str_equal(name, str_of(config->providers[i].name)))
            return i;
    return -1;
}

bool config_provider_has_model(const struct config_provider *provider, str model)
{
    for (int i = 0; i < provider->n_models; i++)
        if (str_equal(model, str_of(provider->models[i])))
            return true;
    return false;
}

void config_policy_providers(const struct config *config, struct policy_provider out[CONFIG_MAX_PROVIDERS])
{
    for (int i = 0; i < config->n_providers; i++)
        out[i] = (struct policy_provider){.id = config->providers[i].name, .region = config->providers[i].region};
}

/* ------------------------------------------------------------------ the store */

static uint64_t serving_files(const struct config_serving *serving)
{
    uint64_t sum = serving->draft_path != NULL ? file_identity(serving->draft_path) : 0;
    for (int i = 0; i < serving->n_adapters; i++)
        sum += file_identity(serving->adapters[i].path);
    return sum;
}

/* Which files lie where those are that are read at the start alone: models and certificates. */
static uint64_t start_files(const struct config *config)
{
    const char *const paths[] = {config->chat_path, config->encoder_path, config->reranker_path, config->tls_certificate, config->tls_private_key};
    uint64_t sum = serving_files(&config->chat);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        sum = sum * 31 + (paths[i] != NULL ? file_identity(paths[i]) : 0);
    for (int i = 0; i < config->n_others; i++)
        sum = sum * 31 + file_identity(config->others[i].path) + serving_files(&config->others[i].serving);
    return sum;
}

struct config_store {
    pthread_mutex_t lock; /* Guards current. */
    const struct config *current;
    const struct config *first; /* What is read at the start alone was read under it … */
    uint64_t first_files;       /* … from these files. */
    char *path;
};

int config_store_open(struct config_store **out, const char *path, struct error *err)
{
    struct config_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return error_set(err, WEIR_E_MEMORY, "configuration", "out of memory");
    pthread_mutex_init(&store->lock, NULL);
    if (path != NULL && (store->path = strdup(path)) == NULL) {
        config_store_close(store);
        return error_set(err, WEIR_E_MEMORY, "configuration", "out of memory");
    }
    int status = config_open(&store->current, path, err);
    if (status < 0) {
        config_store_close(store);
        return status;
    }
    store->first = config_hold(store->current);
    store->first_files = start_files(store->first);
    *out = store;
    return 0;
}

void config_store_close(struct config_store *store)
{
    if (store == NULL)
        return;
    config_drop(store->current);
    config_drop(store->first);
    pthread_mutex_destroy(&store->lock);
    free(store->path);
    free(store);
}

const struct config *config_store_hold(struct config_store *store)
{
    pthread_mutex_lock(&store->lock);
    const struct config *config = config_hold(store->current);
    pthread_mutex_unlock(&store->lock);
    return config;
}

static bool text_differs(const char *a, const char *b)
{
    return (a == NULL) != (b == NULL) || (a != NULL && strcmp(a, b) != 0);
}

static bool serving_differs(const struct config_serving *a, const struct config_serving *b)
{
    bool differs = a->kv != b->kv || a->kv_budget_bytes != b->kv_budget_bytes || a->speculation != b->speculation ||
                   text_differs(a->draft_path, b->draft_path) || a->n_adapters != b->n_adapters;
    for (int i = 0; i < a->n_adapters && !differs; i++)
        differs = text_differs(a->adapters[i].name, b->adapters[i].name) || text_differs(a->adapters[i].path, b->adapters[i].path);
    return differs;
}

static bool models_differ(const struct config *a, const struct config *b)
{
    bool differs = serving_differs(&a->chat, &b->chat) || text_differs(a->reranker_path, b->reranker_path) || a->n_others != b->n_others ||
                   a->models_budget_bytes != b->models_budget_bytes;
    for (int i = 0; i < a->n_others && !differs; i++)
        differs = text_differs(a->others[i].name, b->others[i].name) || text_differs(a->others[i].path, b->others[i].path) ||
                  serving_differs(&a->others[i].serving, &b->others[i].serving);
    return differs;
}

/* What the door keeps of its limits from the start on. */
static bool door_differs(const struct config *a, const struct config *b)
{
    return a->limits.max_connections != b->limits.max_connections || a->limits.max_body_bytes != b->limits.max_body_bytes ||
           a->limits.head_timeout_us != b->limits.head_timeout_us || a->limits.body_timeout_us != b->limits.body_timeout_us ||
           a->limits.idle_timeout_us != b->limits.idle_timeout_us || a->limits.write_timeout_us != b->limits.write_timeout_us;
}

static bool restart_needed(const struct config *a, const struct config *b)
{
    bool differs = door_differs(a, b) || a->n_listeners != b->n_listeners || text_differs(a->tls_certificate, b->tls_certificate) ||
                   text_differs(a->tls_private_key, b->tls_private_key) || text_differs(a->data_dir, b->data_dir) ||
                   text_differs(a->chat_path, b->chat_path) || models_differ(a, b) || text_differs(a->encoder_path, b->encoder_path) ||
                   a->precision != b->precision || a->threads != b->threads || a->durability != b->durability ||
                   a->limits.max_sessions != b->limits.max_sessions || a->limits.max_waiting != b->limits.max_waiting ||
                   a->limits.ledger_queue != b->limits.ledger_queue;
    for (int i = 0; i < a->n_listeners && !differs; i++)
        differs = text_differs(a->listeners[i].url, b->listeners[i].url);
    return differs;
}

int config_store_reload(struct config_store *store, bool *needs_restart, struct error *err)
{
    const struct config *fresh;
    int status = config_open(&fresh, store->path, err);
    if (status < 0)
        return status;
    pthread_mutex_lock(&store->lock);
    const struct config *old = store->current;
    store->current = fresh;
    if (needs_restart != NULL)
        *needs_restart = restart_needed(store->first, fresh) || start_files(fresh) != store->first_files;
    pthread_mutex_unlock(&store->lock);
    config_drop(old);
    return 0;
}

void config_store_restore(struct config_store *store, const struct config *config)
{
    pthread_mutex_lock(&store->lock);
    const struct config *refused = store->current;
    store->current = config_hold(config);
    pthread_mutex_unlock(&store->lock);
    config_drop(refused);
}
