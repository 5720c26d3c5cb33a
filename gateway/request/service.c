/* Opening and closing what the daemon shares, and swapping its snapshot. A model that was named and cannot be opened is an
 * error; a default one that was never pulled is a warning, for Weir routes without it. */
#include "request/aiming.h"
#include "request/caching.h"
#include "request/cascade.h"
#include "request/drifting.h"
#include "request/feedback.h"
#include "request/knowing.h"
#include "request/probing.h"
#include "request/scoring.h"
#include "request/shadowing.h"

#include <unistd.h>

enum { MAX_ACCOUNTS = KEYS_MAX };

struct snapshot *snapshot_hold(struct snapshot *snapshot)
{
    snapshot->n_holders++;
    return snapshot;
}

void snapshot_drop(struct snapshot *snapshot)
{
    if (snapshot == NULL || --snapshot->n_holders > 0)
        return;
    pack_close(snapshot->pack);
    prices_drop(snapshot->prices);
    scoring_drop(snapshot->classifier);
    config_drop(snapshot->config);
    free(snapshot);
}

const struct head *snapshot_head(const struct snapshot *snapshot)
{
    return snapshot->classifier != NULL ? snapshot->classifier->head : NULL;
}

/* config's reference moves into the snapshot, also on failure. */
static int snapshot_open(struct snapshot **out, const struct config *config_take, struct error *err)
{
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (snapshot == NULL) {
        config_drop(config_take);
        return error_set(err, WEIR_E_MEMORY, "configuration", "out of memory");
    }
    snapshot->n_holders = 1;
    snapshot->config = config_take;
    int status = pack_open(&snapshot->pack, config_take->policy_pack, err);
    if (status == 0)
        status = prices_open(&snapshot->prices, config_take->prices_path, err);
    if (status < 0) {
        if (snapshot->pack == NULL) {
            config_drop(config_take);
            free(snapshot);
        } else {
            snapshot_drop(snapshot);
        }
        return status;
    }
    for (int i = 0; i < config_take->n_warnings; i++)
        log_event(LOG_WARN, "configuration", "%s", config_take->warnings[i]);
    *out = snapshot;
    return 0;
}

static int open_pseudonym_key(struct service *service, const char *data_dir, struct error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/pseudonym.key", data_dir);
    struct buffer text;
    buffer_init(&text, 4096);
    int status = 0;
    if (file_exists(path)) {
        status = file_read(path, &text, err);
        if (status == 0 && text.n != sizeof service->pseudonym_key)
            status = error_set(err, WEIR_E_INVALID, path, "must have %zu bytes; it has %zu", sizeof service->pseudonym_key, text.n);
        if (status == 0)
            memcpy(service->pseudonym_key, text.data, sizeof service->pseudonym_key);
    } else {
        status = random_bytes(service->pseudonym_key, sizeof service->pseudonym_key);
        if (status == 0)
            status = file_write_atomic(path, service->pseudonym_key, sizeof service->pseudonym_key, 0600, err);
        else
            error_set(err, (enum weir_status)status, path, "no random numbers can be had from the operating system");
    }
    if (text.data != NULL)
        bytes_wipe(text.data, text.capacity);
    buffer_release(&text);
    return status;
}

static int open_encoder(struct model **out, const char *path, bool given, const char *what, const struct config *config, struct error *err)
{
    *out = NULL;
    if (path == NULL)
        return 0;
    if (!given && !file_exists(path)) {
        log_event(LOG_WARN, "model_missing", "the default %s is not there (%s): `weir pull` fetches it", what, path);
        return 0;
    }
    struct model_options options = {.precision = config->precision, .n_threads = config->threads};
    int64_t started = clock_now_us();
    int status = model_open(out, path, &options, err);
    if (status < 0) {
        error_prefix(err, what);
        return status;
    }
    const struct model_info *info = model_info_peek(*out);
    if (info->kind != MODEL_ENCODER)
        return error_set(err, WEIR_E_INVALID, path, "models.%s must be an encoder", what);
    log_event(LOG_INFO, "model_open", "%s %s: %s, %lld parameters, context %d, %lld ms", what, info->name, info->architecture,
              (long long)info->n_parameters, info->n_context, (long long)((clock_now_us() - started) / 1000));
    return 0;
}

/* One token through the encoder: weights are packed for this CPU at their first use, and no caller should wait for that. */
static int warm_up(struct model *encoder, struct error *err)
{
    const int32_t id = 0;
    float *embedding = malloc((size_t)model_info_peek(encoder)->n_embd * sizeof *embedding);
    if (embedding == NULL)
        return error_set(err, WEIR_E_MEMORY, "encoder", "out of memory");
    struct encoder_input input = {.ids = &id, .n = 1};
    int status = model_embed(encoder, &input, 1, embedding, err);
    free(embedding);
    return status;
}

static int open_chat(struct service *service, struct error *err)
{
    const struct config *config = service->snapshot->config;
    if (config->chat_path == NULL)
        return 0;
    if (!config->chat_path_given && !file_exists(config->chat_path)) {
        log_event(LOG_WARN, "model_missing", "the default answering model is not there (%s): `weir pull` fetches it", config->chat_path);
        return 0;
    }
    int status = local_model_open(&service->chat, NULL, config->chat_path, &config->chat, config, err);
    return status < 0 ? error_prefix(err, "models.chat") : 0;
}

static int open_models(struct service *service, struct error *err)
{
    const struct config *config = service->snapshot->config;
    int status = open_chat(service, err);
    if (status == 0)
        status = open_encoder(&service->encoder, config->encoder_path, config->encoder_path_given, "encoder", config, err);
    if (status == 0 && service->encoder != NULL)
        status = warm_up(service->encoder, err);
    if (status == 0)
        status = open_encoder(&service->reranker, config->reranker_path, true, "reranker", config, err);
    if (status == 0 && service->reranker != NULL && (model_info_peek(service->reranker)->n_labels != 1 || model_info_peek(service->reranker)->labels_per_token))
        status = error_set(err, WEIR_E_INVALID, config->reranker_path, "models.reranker must be a cross-encoder: one that classifies pairs with one label");
    return status < 0 ? status : scoring_open(&service->snapshot->classifier, config, service->encoder, NULL, err);
}

static int open_ledger(struct service *service, struct error *err)
{
    const struct config *config = service->snapshot->config;
    char path[4096];
    int status = directory_create(config->data_dir, err);
    if (status < 0) {
        error_prefix(err, "data_dir");
        return status;
    }
    if (access(config->data_dir, W_OK | X_OK) != 0)
        return error_set(err, WEIR_E_DENIED, config->data_dir, "the data folder (data_dir) cannot be written by this user");
    snprintf(path, sizeof path, "%s/ledger.db", config->data_dir);
    struct ledger_options options = {.path = path, .durability = config->durability, .max_waiting = config->limits.ledger_queue};
    status = ledger_open(&service->ledger, &options, err);
    if (status < 0)
        return status;
    service->budgets = budget_new(MAX_ACCOUNTS);
    if (service->budgets == NULL)
        return error_set(err, WEIR_E_MEMORY, "budgets", "out of memory");
    status = keys_open(&service->keys, service->ledger, service->budgets, err);
    if (status < 0)
        return status;
    const struct pack *pack = service->snapshot->pack;
    return ledger_append_pack(service->ledger, pack_sha256(pack), pack_name(pack), pack_version(pack)) < 0
               ? error_set(err, WEIR_E_IO, path, "does not take the policy pack's row")
               : open_pseudonym_key(service, config->data_dir, err);
}

int service_open(struct service *service, const char *config_path, struct error *err)
{
    memset(service, 0, sizeof *service);
    int status = config_store_open(&service->store, config_path, err);
    if (status < 0)
        return status;
    const struct config *config = config_store_hold(service->store);
    log_set_level(config->log_level);
    status = snapshot_open(&service->snapshot, config, err);
    if (status == 0)
        status = open_ledger(service, err);
    if (status == 0)
        status = open_models(service, err);
    if (status == 0)
        standing_id(service->snapshot->config, service->chat.model, service->encoder, service->snapshot->answers_id);
    if (status == 0)
        status = aiming_open(service, err);
    if (status == 0)
        status = drifting_open(service, err);
    if (status == 0)
        status = feedback_open(service, err);
    if (status == 0)
        status = shadowing_open(service, err);
    if (status == 0)
        status = caching_open(service, err);
    if (status == 0)
        cascade_open(service), probing_open(service);
    if (status == 0)
        status = knowing_open(service, err);
    service->conversations = conversations_new();
    if (status == 0 && service->conversations == NULL)
        status = error_set(err, WEIR_E_MEMORY, "conversations", "out of memory");
    service->metrics = metrics_new();
    if (status == 0 && service->metrics == NULL)
        status = error_set(err, WEIR_E_MEMORY, "metrics", "out of memory");
    if (status < 0)
        service_close(service);
    return status;
}

void service_close(struct service *service)
{
    knowing_close(service);
    conversations_free(service->conversations);
    caching_close(service);
    shadowing_close(service);
    feedback_close(service);
    drifting_close(service);
    aiming_close(service);
    if (service->snapshot != NULL) { /* It scores with the encoder. */
        scoring_drop(service->snapshot->classifier);
        service->snapshot->classifier = NULL;
    }
    model_pool_free(service->pool);
    local_model_close(&service->chat);
    model_close(service->encoder);
    model_close(service->reranker);
    if (service->keys != NULL)
        keys_close(service->keys);
    if (service->ledger != NULL)
        ledger_close(service->ledger);
    if (service->budgets != NULL)
        budget_free(service->budgets);
    metrics_free(service->metrics);
    snapshot_drop(service->snapshot);
    if (service->store != NULL)
        config_store_close(service->store);
    bytes_wipe(service->pseudonym_key, sizeof service->pseudonym_key);
    memset(service, 0, sizeof *service);
}

void service_standing(const struct service *service, struct standing *out)
{
    standing_of(service->snapshot->config, snapshot_head(service->snapshot), service->snapshot->answers_id, out);
}

void service_reload(struct service *service)
{
    struct error err = {0};
    struct snapshot *fresh = NULL;
    bool needs_restart = false;
    char text[600];
    int status = config_store_reload(service->store, &needs_restart, &err);
    bool swapped = status == 0;
    if (status == 0)
        status = snapshot_open(&fresh, config_store_hold(service->store), &err);
    if (status == 0)
        status = scoring_open(&fresh->classifier, fresh->config, service->encoder, service->snapshot->classifier, &err);
    if (status == 0 && ledger_append_pack(service->ledger, pack_sha256(fresh->pack), pack_name(fresh->pack), pack_version(fresh->pack)) < 0)
        status = error_set(&err, WEIR_E_IO, "ledger", "does not take the new policy pack's row");
    if (status < 0) {
        snapshot_drop(fresh);
        if (swapped)
            config_store_restore(service->store, service->snapshot->config);
        log_event(LOG_ERROR, "reload_failed", "%s; the old configuration stays", error_format(&err, text, sizeof text));
        return;
    }
    standing_id(fresh->config, service->chat.model, service->encoder, fresh->answers_id);
    snapshot_drop(service->snapshot);
    service->snapshot = fresh;
    caching_reload(service);
    shadowing_reload(service);
    cascade_open(service);
    probing_open(service);
    drifting_reload(service);
    knowing_index(service);
    log_set_level(fresh->config->log_level);
    log_event(LOG_INFO, "reloaded", "configuration, policy pack, prices and head%s",
              needs_restart ? "; what is read at the start alone has changed too and takes effect at a restart (listeners and their limits, certificates, data folder, ledger, models)" : "");
}
