/* Paths and methods of the HTTP surface. What generates or embeds goes to request.c; the rest is answered here. */
#include "request/aiming.h"
#include "request/feedback.h"
#include "request/models.h"
#include "request/request.h"
#include "request/shadowing.h"

struct endpoint {
    const char *path;
    const char *allow; /* Methods, as the Allow header has them. */
    void (*get)(struct service *service, struct reply *reply);
    void (*post)(struct service *service, struct reply *reply, const char *path);
};

void reply_whole(struct reply *reply, int status, const char *content_type, str body)
{
    char id[129];
    request_id_take(reply_request_peek(reply), id);
    reply_header(reply, "x-request-id", str_of(id));
    reply_send(reply, status, content_type, body);
}

void reply_api_error(struct reply *reply, const struct api_error *error)
{
    struct buffer body;
    buffer_init(&body, 8192);
    if (error->status == 401)
        reply_header(reply, "WWW-Authenticate", STR("Bearer"));
    if (error->retry_after_s > 0) {
        char seconds[24];
        snprintf(seconds, sizeof seconds, "%lld", (long long)error->retry_after_s);
        reply_header(reply, "Retry-After", str_of(seconds));
    }
    api_error_write(error, &body);
    reply_whole(reply, error->status, "application/json", buffer_str(&body));
    buffer_release(&body);
}

bool reply_needs_key(struct service *service, struct reply *reply)
{
    struct key_info key;
    struct api_error error;
    bool found;
    if (request_authenticate(service, service->snapshot, reply_request_peek(reply), &key, &found, &error) == 0)
        return false;
    metrics_refused(service->metrics, error.status);
    reply_api_error(reply, &error);
    return true;
}

static void get_health(struct service *service, struct reply *reply)
{
    reply_whole(reply, 200, "application/json", STR("{\"status\":\"ok\"}\n"));
}

static void get_ready(struct service *service, struct reply *reply)
{
    struct buffer body;
    bool draining = service->drain_until_us > 0;
    buffer_init(&body, 1024);
    buffer_printf(&body, "{\"status\":\"%s\",\"local_model\":%s,\"encoder\":%s}\n", draining ? "draining" : "ready",
                  service->chat.engine != NULL ? "true" : "false", service->encoder != NULL ? "true" : "false");
    if (draining)
        reply_header(reply, "Retry-After", STR("5"));
    reply_whole(reply, draining ? 503 : 200, "application/json", buffer_str(&body));
    buffer_release(&body);
}

static void get_metrics(struct service *service, struct reply *reply)
{
    struct key_info key;
    str authorization = {NULL, 0}, scheme = STR("Bearer ");
    if (!reply_is_loopback(reply)) {
        bool sent = http_header_find(reply_request_peek(reply), STR("authorization"), &authorization) && authorization.n > scheme.n;
        str bearer = sent ? (str){authorization.data + scheme.n, authorization.n - scheme.n} : (str){NULL, 0};
        if (!sent || keys_find(service->keys, str_trim(bearer), &key) < 0) {
            struct api_error error;
            api_error_set(&error, 401, "invalid_api_key", NULL, "Metrics need a key when they are not read over loopback");
            reply_api_error(reply, &error);
            return;
        }
    }
    struct engine_stats engine = {0};
    struct ledger_stats ledger = {0};
    if (service->chat.engine != NULL)
        engine_stats(service->chat.engine, &engine);
    ledger_stats(service->ledger, &ledger);
    struct answer_cache_stats cache;
    answer_cache_stats(service->cache, &cache);
    struct shadowing_stats shadows = shadowing_stats(service);
    struct model_pool_stats models = model_pool_stats(service->pool);
    struct metric_gauges gauges = {
        .connections = door_connections(service->door),
        .requests = service->n_requests - shadows.n_running, /* Each holds its request, that was answered. */
        .sessions_running = engine.n_running,
        .sessions_waiting = engine.n_waiting,
        .kv_used_bytes = engine.kv_used_bytes,
        .kv_budget_bytes = engine.kv_budget_bytes,
        .generated_tokens = engine.n_generated_tokens,
        .guessed_tokens = engine.n_drafted_tokens,
        .accepted_tokens = engine.n_accepted_tokens,
        .context_shifts = engine.n_context_shifts,
        .models_loaded = models.n_loaded,
        .model_loads = models.n_loads,
        .model_unloads = models.n_unloads,
        .model_failures = models.n_failures,
        .models_used_bytes = models.used_bytes,
        .models_budget_bytes = models.budget_bytes,
        .shadows_running = shadows.n_running,
        .shadows_waiting_local = shadows.n_waiting_local,
        .shadow_month_nusd = shadows.month_nusd,
        .shadow_budget_nusd = shadows.budget_nusd,
        .probed = service->n_probed,
        .knowledge_covered = service->n_covered,
        .knowledge_uncovered = service->n_uncovered,
        .cache_entries = cache.n_entries,
        .cache_used_bytes = cache.used_bytes,
        .cache_budget_bytes = cache.max_bytes,
        .cache_exact = cache.n_exact,
        .cache_semantic = cache.n_semantic,
        .cache_misses = cache.n_misses,
        .cache_evicted = cache.n_evicted,
        .cache_expired = cache.n_expired,
        .ledger_waiting = ledger.waiting,
        .ledger_rows = ledger.n_rows,
        .ledger_failures = ledger.n_failures,
        .ledger_ok = ledger.status == 0,
        .ready = service->drain_until_us == 0,
    };
    struct buffer text;
    buffer_init(&text, (size_t)4 << 20);
    metrics_write(service->metrics, &gauges, &text);
    goals_write_metrics(service->goals, service->snapshot->config, &text);
    reply_whole(reply, 200, "text/plain; version=0.0.4; charset=utf-8", buffer_str(&text));
    buffer_release(&text);
}

static void post_chat(struct service *service, struct reply *reply, const char *path)
{
    request_open(service, reply, API_CHAT, path, false);
}

static void post_completions(struct service *service, struct reply *reply, const char *path)
{
    request_open(service, reply, API_COMPLETIONS, path, false);
}

static void post_embeddings(struct service *service, struct reply *reply, const char *path)
{
    request_open(service, reply, API_EMBEDDINGS, path, false);
}

static void post_rerank(struct service *service, struct reply *reply, const char *path)
{
    request_open(service, reply, API_RERANK, path, false);
}

static void post_route(struct service *service, struct reply *reply, const char *path)
{
    request_open(service, reply, API_CHAT, path, true);
}

static void get_root(struct service *service, struct reply *reply)
{
    reply_whole(reply, 200, "text/plain; charset=utf-8",
               STR("Weir " WEIR_VERSION ": an OpenAI-compatible gateway. Set base_url to this address with /v1 behind it.\n"
                   "POST /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/rerank, /v1/route, /v1/feedback; GET /v1/models, /healthz, /readyz, /metrics\n"));
}

static const struct endpoint endpoints[] = {
    {"/", "GET, HEAD, OPTIONS", get_root, NULL},
    {"/healthz", "GET, HEAD, OPTIONS", get_health, NULL},
    {"/readyz", "GET, HEAD, OPTIONS", get_ready, NULL},
    {"/metrics", "GET, HEAD, OPTIONS", get_metrics, NULL},
    {"/v1/models", "GET, HEAD, OPTIONS", models_list, NULL},
    {"/v1/chat/completions", "POST, OPTIONS", NULL, post_chat},
    {"/v1/completions", "POST, OPTIONS", NULL, post_completions},
    {"/v1/embeddings", "POST, OPTIONS", NULL, post_embeddings},
    {"/v1/rerank", "POST, OPTIONS", NULL, post_rerank},
    {"/v1/route", "POST, OPTIONS", NULL, post_route},
    {"/v1/feedback", "POST, OPTIONS", NULL, feedback_post},
};
static const struct endpoint one_model = {"/v1/models/", "GET, HEAD, OPTIONS", models_show, NULL};

static const struct endpoint *find_endpoint(str path)
{
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++)
        if (str_equal(path, str_of(endpoints[i].path)))
            return &endpoints[i];
    str prefix = str_of(one_model.path);
    return path.n > prefix.n && str_starts(path, prefix) ? &one_model : NULL;
}

/* Bodies come as they are: none is unpacked here. The answer names what is taken (RFC 9110, section 15.5.16). */
static bool refuse_encoded(struct service *service, struct reply *reply)
{
    const struct http_request *http = reply_request_peek(reply);
    struct api_error error;
    for (int i = 0; i < http->n_headers; i++) {
        const struct http_header *header = &http->headers[i];
        if (!str_equal_nocase(header->name, STR("content-encoding")) || header->value.n == 0 || str_equal_nocase(header->value, STR("identity")))
            continue;
        metrics_refused(service->metrics, 415);
        api_error_set(&error, 415, "unsupported_content_encoding", NULL, "Content-Encoding: a body must be sent as it is (identity), not as \"%.*s\"",
                      (int)(header->value.n < 40 ? header->value.n : 40), header->value.data);
        reply_header(reply, "Accept-Encoding", STR("identity"));
        reply_api_error(reply, &error);
        return true;
    }
    return false;
}

void route_request(void *user, struct reply *reply)
{
    struct service *service = user;
    const struct http_request *http = reply_request_peek(reply);
    const struct endpoint *endpoint = find_endpoint(http->path);
    struct api_error error;
    if (str_equal(http->path, STR("*"))) {
        reply_header(reply, "Allow", STR("GET, HEAD, POST, OPTIONS"));
        reply_whole(reply, 204, NULL, (str){NULL, 0});
        return;
    }
    if (endpoint == NULL) {
        metrics_refused(service->metrics, 404);
        api_error_set(&error, 404, "unknown_url", NULL, "Nothing is served at this path; GET / lists what is");
        reply_api_error(reply, &error);
        return;
    }
    bool get = str_equal(http->method, STR("GET")) || str_equal(http->method, STR("HEAD"));
    if (get && endpoint->get != NULL) {
        endpoint->get(service, reply);
    } else if (str_equal(http->method, STR("POST")) && endpoint->post != NULL) {
        if (!refuse_encoded(service, reply))
            endpoint->post(service, reply, endpoint->path);
    } else if (str_equal(http->method, STR("OPTIONS"))) {
        reply_header(reply, "Allow", str_of(endpoint->allow));
        reply_whole(reply, 204, NULL, (str){NULL, 0});
    } else {
        metrics_refused(service->metrics, 405);
        reply_header(reply, "Allow", str_of(endpoint->allow));
        api_error_set(&error, 405, "method_not_allowed", NULL, "This path takes %s", endpoint->allow);
        reply_api_error(reply, &error);
    }
}
