/* A request's life: opening, the transition function, answering with an error, ending. What happens inside each state is in
 * the file named for it. */
#include "request/aiming.h"
#include "request/caching.h"
#include "request/cascade.h"
#include "request/probing.h"
#include "request/shadowing.h"

#include "upstream/relay.h"

#include <assert.h>
#include <math.h>

enum { REQUEST_ARENA_BYTES = 64 << 20, REQUEST_OUT_BYTES = 96 << 20 };

static const char *const state_names[] = {"authenticate", "parse", "admit", "load", "prepare", "probe", "decide", "record", "cache", "local", "remote", "compute", "ended"};

const char *request_state_name(enum request_state state)
{
    return state_names[state];
}

/* Does a request in it want the machine, and not only the loop? */
static bool computes(enum request_state state)
{
    return state == REQUEST_LOAD || state == REQUEST_PREPARE || state == REQUEST_PROBE || state == REQUEST_DECIDE || state == REQUEST_LOCAL ||
           state == REQUEST_COMPUTE;
}

void request_enter(struct request *request, enum request_state state)
{
    assert(request->state != REQUEST_ENDED);
    log_event(LOG_DEBUG, "request_state", "%s %s -> %s", request->decision_id, state_names[request->state], state_names[state]);
    int more = computes(state) - computes(request->state);
    request->state = state;
    request->service->n_computing += more;
    if (more != 0)
        shadowing_yield(request->service);
}

/* ------------------------------------------------------------------ end of life */

static void request_free(struct request *request)
{
    struct service *service = request->service;
    if (request->next != NULL)
        request->next->link = request->link;
    *request->link = request->next;
    service->n_requests--;
    for (int i = 0; i < request->n_choices; i++) {
        buffer_release(&request->choices[i].text);
        logprob_lists_release(&request->choices[i].logprobs);
        spoken_close(&request->choices[i]);
    }
    chat_begun_release(&request->begun);
    for (size_t i = 0; i < request->n_prompts; i++)
        ids_release(&request->prompts[i]);
    redaction_free(request->redaction);
    json_decref(request->redacted_body);
    api_request_release(&request->api);
    buffer_release(&request->out);
    arena_release(&request->arena);
    snapshot_drop(request->snapshot);
    free(request);
}

void request_unpin(struct request *request)
{
    assert(request->n_pins > 0);
    if (--request->n_pins == 0 && request->state == REQUEST_ENDED)
        request_free(request);
}

/* What the first remote target would have charged for the same tokens. */
static int64_t counterfactual(const struct request *request)
{
    const struct decide_inputs *inputs = request->inputs;
    if (inputs == NULL || inputs->n_targets == 0 || !request->usage_known)
        return LEDGER_NULL;
    const struct price *price = prices_find(request->snapshot->prices, inputs->targets[0].provider, inputs->targets[0].model);
    struct token_usage usage = {request->usage.prompt_tokens, request->usage.cached_tokens, request->usage.completion_tokens};
    return price_cost_nusd(price, &usage);
}

static void write_outcome(struct request *request, const char *result, int64_t status, const char *finish_reason, const char *error_code,
                          int64_t total_us)
{
    struct ledger_outcome row = {
        .decision_id = request->decision_id,
        .time_ns = clock_wall_ns(),
        .tenant = request->has_key ? request->key.tenant : NULL,
        .key_id = request->has_key ? request->key.id : NULL,
        .route = request->route,
        .result = result,
        .status = status,
        .finish_reason = finish_reason,
        .error_code = error_code,
        .prompt_tokens = request->usage_known ? request->usage.prompt_tokens : LEDGER_NULL,
        .cached_tokens = request->usage_known ? request->usage.cached_tokens : LEDGER_NULL,
        .completion_tokens = request->usage_known ? request->usage.completion_tokens : LEDGER_NULL,
        .cost_nusd = request->cost_nusd,
        .counterfactual_nusd = counterfactual(request),
        .first_token_us = request->first_token_us >= 0 ? request->first_token_us : LEDGER_NULL,
        .total_us = total_us,
        .seams = request->seams,
        .price_version = request->snapshot->prices != NULL ? prices_version(request->snapshot->prices) : NULL,
    };
    if (ledger_append_outcome(request->service->ledger, &row) < 0)
        log_event(LOG_ERROR, "outcome_lost", "%s: the ledger does not take its outcome", request->decision_id);
}

/* How this turn was answered, for the one that follows. */
static void note_turn(struct request *request)
{
    struct conversation_turn turn = {.prompt_tokens = request->usage_known ? request->usage.prompt_tokens : LEDGER_NULL, .ended_us = clock_now_us()};
    if (request->conversing && !request->dry_run && str_copy(turn.route, sizeof turn.route, str_of(request->route)))
        conversations_note(request->service->conversations, request->conversation.asked, &turn);
}

void request_end(struct request *request, const char *result, int64_t status, const char *finish_reason, const char *error_code)
{
    struct service *service = request->service;
    int64_t total_us = clock_now_us() - request->started_us;
    if (strcmp(result, "ok") == 0 && status == 200) {
        caching_keep(request, finish_reason);
        note_turn(request);
    }
    remote_cancel(request);
    cascade_release(request);
    probing_cancel(request);
    local_cancel(request);
    if (request->other >= 0 && request->chat != NULL)
        model_pool_leave(service->pool, request->chat);
    else if (request->state == REQUEST_LOAD)
        model_pool_forget(service->pool, request);
    request->chat = NULL;
    if (request->reserved)
        budget_settle(service->budgets, request->key.id, request->reserved_nusd, request->cost_nusd, clock_wall_ns());
    if (request->recorded) {
        aiming_end(request);
        write_outcome(request, result, status, finish_reason, error_code, total_us);
        bool local = strcmp(request->route, "local") == 0, cached = strcmp(request->route, "cache") == 0;
        struct metric_request observed = {
            .endpoint = request->api.kind == API_CHAT ? METRIC_CHAT : request->api.kind == API_COMPLETIONS ? METRIC_COMPLETIONS : request->api.kind == API_RERANK ? METRIC_RERANK : METRIC_EMBEDDINGS,
            .route = local ? METRIC_LOCAL : cached ? METRIC_CACHE : strcmp(request->route, "refuse") == 0 ? METRIC_REFUSED : METRIC_REMOTE,
            .status = status == LEDGER_NULL ? 0 : (int)status,
            .prompt_tokens = request->usage.prompt_tokens,
            .completion_tokens = request->usage.completion_tokens,
            .cost_nusd = request->cost_nusd,
            .saved_nusd = local || cached ? counterfactual(request) : 0,
            .total_us = total_us,
            .first_token_us = request->first_token_us,
        };
        metrics_request(service->metrics, &observed);
        shadowing_begin(request, result, status, finish_reason);
    } else if (!request->dry_run) {
        metrics_refused(service->metrics, status == LEDGER_NULL ? 0 : (int)status);
    }
    request_enter(request, REQUEST_ENDED);
    request->reply = NULL;
    if (request->n_pins == 0)
        request_free(request);
}

/* ------------------------------------------------------------------ answering */

void request_headers(struct request *request, bool cost_known)
{
    struct reply *reply = request->reply;
    reply_header(reply, "x-request-id", str_of(request->request_id));
    if (request->inputs == NULL)
        return;
    if (request->route[0] != '\0')
        reply_header(reply, "x-weir-route", str_of(request->route));
    reply_header(reply, "x-weir-decision-id", str_of(request->decision_id));
    char reasons[512] = "";
    size_t n = 0;
    for (int i = 0; i < request->decision.n_reasons && n < sizeof reasons; i++)
        n += (size_t)snprintf(reasons + n, sizeof reasons - n, "%s%s", i > 0 ? "," : "", request->decision.reasons[i]);
    reply_header(reply, "x-weir-reason", str_of(reasons));
    if (cost_known && request->cost_nusd >= 0) {
        char cost[32];
        reply_header(reply, "x-weir-cost-usd", str_of(money_format_usd(request->cost_nusd, cost)));
    }
}

void request_fail(struct request *request, const struct api_error *error, const char *result)
{
    const char *code = error->code != NULL ? error->code : error->status >= 500 ? "server_error" : "invalid_request";
    struct buffer body;
    buffer_init(&body, 8192);
    if (request->reply != NULL && request->streaming) {
        chunk_error(error, &body);
        reply_write(request->reply, buffer_str(&body));
        reply_end(request->reply);
    } else if (request->reply != NULL) {
        request_headers(request, true);
        if (error->retry_after_s > 0) {
            char seconds[24];
            snprintf(seconds, sizeof seconds, "%lld", (long long)error->retry_after_s);
            reply_header(request->reply, "Retry-After", str_of(seconds));
        }
        if (error->status == 401)
            reply_header(request->reply, "WWW-Authenticate", STR("Bearer"));
        api_error_write(error, &body);
        reply_send(request->reply, error->status, "application/json", buffer_str(&body));
    }
    buffer_release(&body);
    request->reply = NULL;
    request_end(request, result, error->status, NULL, code);
}

/* ------------------------------------------------------------------ birth */

static void on_gone(void *user)
{
    struct request *request = user;
    request->reply = NULL;
    request->gone = true;
    if (request->state == REQUEST_PREPARE || request->state == REQUEST_COMPUTE) {
        (void)uv_cancel((uv_req_t *)&request->work); /* If it has not begun; either way its end brings us back. */
        return;
    }
    if (request->state == REQUEST_RECORD) {
        local_cancel(request); /* Of an answer held back. */
        return; /* The ledger's callback ends it: an outcome must not come before its decision. */
    }
    request_end(request, "cancelled", LEDGER_NULL, NULL, "client_closed");
}

static void on_writable(void *user)
{
    struct request *request = user;
    request->paused = false;
    if (request->state == REQUEST_LOCAL)
        local_pump(request);
    else if (request->state == REQUEST_REMOTE && request->relay != NULL)
        relay_resume(request->relay);
}

static const struct reply_owner owner = {.gone = on_gone, .writable = on_writable};

void request_id_take(const struct http_request *http, char out[129])
{
    str sent;
    bool harmless = http_header_find(http, STR("x-request-id"), &sent) && sent.n > 0 && sent.n <= 128;
    for (size_t i = 0; harmless && i < sent.n; i++)
        harmless = sent.data[i] > 0x20 && sent.data[i] < 0x7F;
    if (harmless) {
        str_copy(out, 129, sent);
        return;
    }
    char id[37] = "";
    if (uuid_v7(id) < 0)
        str_copy(id, sizeof id, STR("unknown"));
    snprintf(out, 129, "req_%s", id);
}

static int refuse_overload(struct service *service, struct api_error *error)
{
    if (service->drain_until_us > 0) {
        api_error_set(error, 503, "shutting_down", NULL, "This server is shutting down; try again elsewhere or later");
        error->retry_after_s = 5;
        return -1;
    }
    if (service->n_requests - shadowing_running(service) > service->snapshot->config->limits.max_requests) {
        api_error_set(error, 503, "overloaded", NULL, "Too many requests are in flight; try again shortly");
        error->retry_after_s = 1;
        return -1;
    }
    return 0;
}

static int admit(struct request *request)
{
    struct service *service = request->service;
    struct api_error *error = &request->error;
    int64_t retry_us = 0;
    request_enter(request, REQUEST_ADMIT);
    bool generates = api_kind_generates(request->api.kind), reranks = request->api.kind == API_RERANK;
    const struct model *model = generates ? service->chat.model : reranks && service->reranker != NULL ? service->reranker : service->encoder;
    const char *own_name = model != NULL ? model_info_peek(model)->name : NULL; /* What the file calls itself is taken too. */
    const char *local_name = model != NULL && model == service->chat.model ? service->chat.name : own_name;
    struct error err = {0};
    int status = name_resolve(request->snapshot->config, local_name, request->api.model, &request->name, &err);
    if (status == WEIR_E_NOT_FOUND && own_name != local_name)
        status = name_resolve(request->snapshot->config, own_name, request->api.model, &request->name, &err);
    if (status == 0 && reranks && request->name.kind != NAME_LOCAL && request->name.kind != NAME_AUTO)
        status = error_set(&err, WEIR_E_NOT_FOUND, "model", "only local models rerank");
    if (reranks)
        request->name.n_targets = 0;
    if (status == 0 && (request->name.other[0] != '\0' || request->name.adapter != NULL)) {
        request->other = generates && request->name.other[0] != '\0' ? model_pool_find(service->pool, str_of(request->name.other)) : -1;
        if (!generates || (request->name.other[0] != '\0' && request->other < 0))
            status = error_set(&err, WEIR_E_NOT_FOUND, "model", "it is not served here, or does not do this");
    }
    if (status == WEIR_E_NOT_FOUND)
        return api_error_set(error, 404, "model_not_found", "model", "The model `" STR_FMT "` does not exist: %s", STR_ARG(request->api.model), err.text);
    if (status < 0)
        return api_error_set(error, 400, NULL, "model", "model: %s", err.text);
    request->api.sampling.adapter = request->name.adapter;
    if (request->has_key && !request->dry_run && budget_rate_take(service->budgets, request->key.id, clock_now_us(), &retry_us) < 0) {
        api_error_set(error, 429, "rate_limit_exceeded", NULL, "This key's request rate is used up");
        error->retry_after_s = retry_us / 1000000 + 1;
        return WEIR_E_LIMIT;
    }
    return 0;
}

static void on_model_ready(void *user, struct local_model *model)
{
    struct request *request = user;
    request->chat = model; /* NULL: prepare says that it is missing. */
    request_enter(request, REQUEST_PREPARE);
    request_prepare(request);
}

void request_open(struct service *service, struct reply *reply, enum api_kind kind, const char *endpoint, bool dry_run)
{
    const struct http_request *http = reply_request_peek(reply);
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        reply_abort(reply);
        return;
    }
    request->service = service;
    request->snapshot = snapshot_hold(service->snapshot);
    request->reply = reply;
    request->endpoint = endpoint;
    request->dry_run = dry_run;
    request->api.kind = kind;
    request->started_us = clock_now_us();
    request->deadline_us = request->started_us + request->snapshot->config->limits.request_timeout_us;
    request->cost_nusd = MONEY_UNKNOWN;
    request->other = -1;
    request->chat = service->chat.engine != NULL ? &service->chat : NULL;
    request->first_token_us = -1;
    request->probe = NAN;
    arena_init(&request->arena, REQUEST_ARENA_BYTES);
    buffer_init(&request->out, REQUEST_OUT_BYTES);
    chat_begun_init(&request->begun);
    request->next = service->requests;
    request->link = &service->requests;
    if (service->requests != NULL)
        service->requests->link = &request->next;
    service->requests = request;
    service->n_requests++;
    request_id_take(http, request->request_id);
    caching_begin(request, http);
    reply_own(reply, &owner, request);
    int status = uuid_v7(request->decision_id);
    if (status < 0)
        api_error_set(&request->error, 503, NULL, NULL, "No random numbers can be had from the operating system");
    if (status == 0)
        status = refuse_overload(service, &request->error);
    if (status == 0)
        status = request_authenticate(service, request->snapshot, http, &request->key, &request->has_key, &request->error);
    if (status == 0) {
        request_enter(request, REQUEST_PARSE);
        status = api_request_parse(&request->api, kind, http->body, &request->arena, &request->error);
    }
    if (status == 0)
        status = admit(request);
    if (status < 0) {
        request_fail(request, &request->error, "refused");
        return;
    }
    if (request->other >= 0) {
        request->chat = NULL;
        request_enter(request, REQUEST_LOAD);
        struct local_model *model = model_pool_take(service->pool, request->other, on_model_ready, request);
        if (model == NULL)
            return; /* It may have ended already. */
        request->chat = model;
    }
    request_enter(request, REQUEST_PREPARE);
    request_prepare(request);
}
