/* From what is known to where it goes: fills decide()'s inputs, reserves the money, writes the decision row, and only then
 * lets anything leave. A remote route waits for its row to be durable; a local one needs only that the ledger has taken it. */
#include "request/aiming.h"
#include "request/caching.h"
#include "request/drifting.h"
#include "request/knowing.h"
#include "request/probing.h"
#include "request/scoring.h"
#include "request/shadowing.h"

#include "upstream/upstream.h"

/* Providers keep a prompt for five minutes at the least after its last use. */
static const int64_t PROVIDERS_CACHE_US = 5LL * 60 * 1000 * 1000;
enum { BYTES_A_TOKEN = 4 }; /* Of ordinary text, about. */

static int64_t total_bytes(const struct request *request)
{
    int64_t n = 0;
    for (size_t i = 0; i < request->n_fields; i++)
        n += (int64_t)request->fields[i].text.n;
    return n;
}

/* Tokens of the prompt: counted where the local tokenizer ran, else unknown. */
static int64_t prompt_tokens(const struct request *request)
{
    int64_t n = 0;
    for (size_t i = 0; i < request->n_prompts; i++)
        n += (int64_t)request->prompts[i].n;
    return request->n_prompts > 0 ? n : LEDGER_NULL;
}

/* The same, or a guess by its bytes. */
static int64_t about_prompt_tokens(const struct request *request)
{
    int64_t counted = prompt_tokens(request);
    return counted != LEDGER_NULL ? counted : total_bytes(request) / BYTES_A_TOKEN + 1;
}

static int64_t answers_asked(const struct request *request)
{
    return request->api.kind == API_CHAT ? request->api.n : (int64_t)request->api.n_texts * request->api.best_of;
}

static int64_t worst_answer_tokens(const struct request *request)
{
    enum { LONGEST_ANSWER = 16384 }; /* No chat model in the price list answers longer unasked. */
    if (!api_kind_generates(request->api.kind))
        return 0;
    int64_t each = request->api.has_max_tokens ? request->api.max_tokens : LONGEST_ANSWER;
    return each > INT32_MAX ? -1 : each * answers_asked(request);
}

static void fill_knowledge(struct request *request)
{
    if (request->known == NULL)
        return;
    decide_inputs_know(request->inputs, request->known, request->snapshot->config);
    if (!request->dry_run)
        ++*(knowing_used(request) ? &request->service->n_covered : &request->service->n_uncovered);
}

static void fill_conversation(struct request *request)
{
    struct conversation_turn turn;
    struct decide_inputs *inputs = request->inputs;
    if (!request->conversing || !request->conversation.has_earlier ||
        !conversations_find(request->service->conversations, request->conversation.earlier, &turn))
        return;
    inputs->conversed = true;
    str_copy(inputs->earlier_route, sizeof inputs->earlier_route, str_of(turn.route));
    inputs->prompt_tokens = about_prompt_tokens(request);
    inputs->cached_tokens = turn.prompt_tokens > 0 && clock_now_us() - turn.ended_us < PROVIDERS_CACHE_US ? turn.prompt_tokens : 0;
}

static void fill_inputs(struct request *request)
{
    struct service *service = request->service;
    struct decide_inputs *inputs = request->inputs;
    bool healthy[CONFIG_MAX_PROVIDERS];
    upstream_health(service->upstream, request->snapshot->config, healthy);
    /* A token is a byte at the least: the worst case of a prompt is its bytes. */
    decide_inputs_fill(inputs, request->snapshot->config, request->api.model, &request->name, request->verdict,
                       request->scored ? &request->score : NULL, request->snapshot->prices, healthy, total_bytes(request) + 64,
                       worst_answer_tokens(request));
    int64_t about = about_prompt_tokens(request), worst = worst_answer_tokens(request), n_answers = answers_asked(request);
    decide_inputs_expect(inputs, request->scored ? &request->score : NULL, request->snapshot->prices,
                         about, worst < 0 || n_answers < 1 ? worst : worst / n_answers, n_answers);
    if (request->scored && !request->dry_run)
        metrics_score(service->metrics, request->score.tier, request->score.us);
    aiming_fill(request, about, request->api.has_max_tokens ? worst : -1);
    if (request->local == LOCAL_READY && api_kind_generates(request->api.kind) && request->chat != NULL) {
        struct engine_stats stats;
        engine_stats(request->chat->engine, &stats);
        if (stats.n_waiting >= request->snapshot->config->limits.max_waiting)
            request->local = LOCAL_OVERLOADED;
    }
    inputs->local = request->local;
    str_copy(inputs->local_detail, sizeof inputs->local_detail, str_of(request->local_detail));
    inputs->cached = request->cached;
    if (request->cached != CACHE_NONE) {
        inputs->likeness = request->likeness;
        str_copy(inputs->cached_decision, sizeof inputs->cached_decision, str_of(request->cached_answer.decision_id));
    }
    fill_knowledge(request);
    inputs->session_remote = request->api.called_afar;
    inputs->tool_loop = request->api.tool_loop;
    fill_conversation(request);
    inputs->drift = drifting_alarmed(service, request->has_key ? request->key.tenant : NULL);
    if (request->has_key) {
        int64_t left = budget_remaining_nusd(service->budgets, request->key.id, clock_wall_ns());
        inputs->budget_limited = left != INT64_MAX;
        inputs->budget_nusd = left;
    }
}

bool request_reserve(struct request *request)
{
    const struct decision *decision = &request->decision;
    int64_t worst = 0;
    if (!request->has_key)
        return true;
    for (int i = 0; i < decision->n_targets; i++) {
        int64_t each = request->inputs->targets[decision->targets[i]].worst_nusd;
        worst = each < 0 || worst < 0 ? -1 : each > worst ? each : worst;
    }
    request->reserved = budget_reserve(request->service->budgets, request->key.id, worst, clock_wall_ns()) == 0;
    request->reserved_nusd = worst;
    return request->reserved;
}

/* Decides, and reserves the worst case of the targets; what cannot be reserved is decided again without money. */
static void decide_and_reserve(struct request *request)
{
    struct decide_inputs *inputs = request->inputs;
    struct decision *decision = &request->decision;
    decide(inputs, decision);
    if (decision->kind != ROUTE_REMOTE || request->dry_run || request_reserve(request))
        return;
    inputs->budget_limited = true;
    inputs->budget_nusd = 0;
    decide(inputs, decision);
}

/* JSON as text in the request's arena. */
static const char *json_text(struct request *request, json_t *json_take)
{
    struct buffer text;
    buffer_init(&text, (size_t)4 << 20);
    const char *out = NULL;
    if (json_take != NULL && json_write(json_take, &text) == 0)
        out = arena_strdup(&request->arena, buffer_str(&text));
    buffer_release(&text);
    json_decref(json_take);
    return out;
}

static int append_row(struct request *request, struct ledger_port *port, ledger_done_fn *done)
{
    const struct verdict *verdict = request->verdict;
    const struct decision *decision = &request->decision;
    const struct config *config = request->snapshot->config;
    struct policy_provider providers[CONFIG_MAX_PROVIDERS];
    config_policy_providers(config, providers);
    const struct decide_target *target = decision->kind == ROUTE_REMOTE ? &request->inputs->targets[decision->targets[0]] : NULL;
    struct ledger_decision row = {
        .decision_id = request->decision_id,
        .time_ns = clock_wall_ns(),
        .request_id = request->request_id,
        .tenant = request->has_key ? request->key.tenant : NULL,
        .key_id = request->has_key ? request->key.id : NULL,
        .endpoint = request->endpoint,
        .stream = request->api.stream,
        .model = arena_strdup(&request->arena, request->api.model),
        .route = decision->route,
        .provider = target != NULL ? target->provider : NULL,
        .provider_model = target != NULL ? target->model : NULL,
        .reasons = json_text(request, decision_reasons_json(decision)),
        .inputs = json_text(request, decide_inputs_json(request->inputs)),
        .verdict = json_text(request, verdict_json(verdict, providers)),
        .data_class = verdict->data_class,
        .effect = effect_name(verdict->effect),
        .pack_sha256 = verdict->pack_sha256,
        .head_id = scoring_head(request),
        .config_sha256 = config->sha256,
        .prices_version = request->snapshot->prices != NULL ? prices_version(request->snapshot->prices) : NULL,
        .prompt_tokens = prompt_tokens(request),
        .reserved_nusd = request->reserved ? request->reserved_nusd : LEDGER_NULL,
        .policy_us = request->policy_us,
        .score_us = request->score_us,
        .decide_us = request->decide_us,
        .answers_id = request->snapshot->answers_id[0] != '\0' ? request->snapshot->answers_id : NULL,
    };
    if (row.model == NULL || row.reasons == NULL || row.inputs == NULL || row.verdict == NULL)
        return WEIR_E_MEMORY;
    return ledger_append_decision(request->service->ledger, &row, port, done, request);
}

/* ------------------------------------------------------------------ refusals */

/* A refusal in words: what the caller can do about it, and never what was found where. */
static void describe_refusal(const struct request *request, struct api_error *error)
{
    const struct decision *decision = &request->decision;
    const struct model *model = !api_kind_generates(request->api.kind) ? request->service->encoder : request->chat != NULL ? request->chat->model : NULL;
    char reasons[256] = "";
    size_t n = 0;
    for (int i = 0; i < decision->n_reasons && n < sizeof reasons; i++)
        n += (size_t)snprintf(reasons + n, sizeof reasons - n, "%s%s", i > 0 ? ", " : "", decision->reasons[i]);
    bool local_refused = decision->status == 400 && request->local != LOCAL_READY;
    if (local_refused && request->local == LOCAL_TOO_LONG && model != NULL) {
        int64_t longest = 0;
        for (size_t i = 0; i < request->n_prompts; i++)
            longest = (int64_t)request->prompts[i].n > longest ? (int64_t)request->prompts[i].n : longest;
        api_error_set(error, 400, "context_length_exceeded", request->api.kind == API_CHAT ? "messages" : "prompt",
                      "This model's maximum context length is %d tokens. However, your prompt has %lld tokens. Please shorten it.",
                      model_info_peek(model)->n_context, (long long)longest);
    } else if (local_refused && request->local == LOCAL_UNSUPPORTED) {
        const char *why = request->prepare_error.status < 0 ? request->prepare_error.text : request->api.local_why;
        api_error_set(error, 400, "unsupported_parameter", request->local_detail, "%s: %s", request->local_detail,
                      why[0] != '\0' ? why : "the local model cannot honour this field, and no remote one may be asked");
    } else if (decision->status == 403) {
        api_error_set(error, 403, decision->code, NULL, "Policy `%s` does not allow this request: %s",
                      request->verdict->pack_name != NULL ? request->verdict->pack_name : "?", reasons);
    } else {
        api_error_set(error, decision->status, decision->code, decision->status == 404 ? "model" : NULL, "This request cannot be answered: %s",
                      reasons);
        if (decision->status == 429 || decision->status == 503)
            error->retry_after_s = decision->status == 429 ? 60 : 5;
    }
}

static void refuse(struct request *request)
{
    struct api_error error;
    str_copy(request->route, sizeof request->route, STR("refuse"));
    request->cost_nusd = 0;
    describe_refusal(request, &error);
    request_fail(request, &error, "refused");
}

void request_answer_here(struct request *request)
{
    str_copy(request->route, sizeof request->route, STR("local"));
    if (!api_kind_generates(request->api.kind))
        request_embed(request);
    else
        request_answer_local(request);
}

/* ------------------------------------------------------------------ the row comes first */

static void on_recorded(void *user, int status)
{
    struct request *request = user;
    if (request->gone) {
        str_copy(request->route, sizeof request->route, str_of(request->decision.route));
        request_end(request, "cancelled", LEDGER_NULL, NULL, "client_closed");
    } else if (status == 0) {
        request_answer_remote(request);
    } else if (request->decision.local_last && request->local == LOCAL_READY) {
        /* Nothing may leave without a durable row; an answer from here may be given. */
        log_event(LOG_WARN, "remote_closed", "%s: the ledger cannot write: answered locally", request->decision_id);
        request->cost_nusd = 0;
        request_answer_here(request);
    } else {
        struct api_error error;
        api_error_set(&error, 503, "ledger_unavailable", NULL, "The decision log cannot be written, so nothing may leave");
        error.retry_after_s = 5;
        str_copy(request->route, sizeof request->route, STR("refuse"));
        request->cost_nusd = 0;
        request_fail(request, &error, "error");
    }
    request_unpin(request);
}

static void record(struct request *request)
{
    request_enter(request, REQUEST_RECORD);
    bool remote = request->decision.kind == ROUTE_REMOTE;
    if (remote)
        request->n_pins++;
    int status = append_row(request, remote ? request->service->port : NULL, remote ? on_recorded : NULL);
    if (status < 0) {
        struct api_error error;
        api_error_set(&error, 503, "overloaded", NULL, "The decision log takes no more rows at the moment");
        error.retry_after_s = 1;
        request_fail(request, &error, "error");
        if (remote)
            request_unpin(request);
        return;
    }
    request->recorded = true;
    aiming_decided(request);
    shadowing_consider(request);
    if (remote)
        return; /* on_recorded goes on. */
    if (request->decision.kind == ROUTE_REFUSE) {
        refuse(request);
        return;
    }
    request->cost_nusd = 0; /* Set here and not where the answer is made: remote attempts that failed may have cost something. */
    if (request->decision.kind == ROUTE_CACHE)
        request_answer_cached(request);
    else
        request_answer_here(request);
}

json_t *request_explain(const struct request *request)
{
    const struct decision *decision = &request->decision;
    struct policy_provider providers[CONFIG_MAX_PROVIDERS];
    config_policy_providers(request->snapshot->config, providers);
    json_t *out = json_pack("{s:s, s:s, s:o, s:b, s:o, s:o}", "decision_id", request->decision_id, "route", decision->route, "reasons",
                            decision_reasons_json(decision), "redact", decision->redact, "inputs", decide_inputs_json(request->inputs), "verdict",
                            verdict_json(request->verdict, providers));
    json_t *targets = json_array();
    for (int i = 0; i < decision->n_targets; i++) {
        const struct decide_target *target = &request->inputs->targets[decision->targets[i]];
        json_array_append_new(targets, json_sprintf("remote:%s/%s", target->provider, target->model));
    }
    json_object_set_new(out, "targets", targets);
    json_object_set_new(out, "score", scoring_json(request));
    const char *head = scoring_head(request);
    json_object_set_new(out, "head", head != NULL ? json_string(head) : json_null());
    if (decision->kind == ROUTE_REFUSE) {
        json_object_set_new(out, "status", json_integer(decision->status));
        json_object_set_new(out, "code", decision->code != NULL ? json_string(decision->code) : json_null());
    }
    json_object_set_new(out, "times_us", json_pack("{s:I, s:I, s:I}", "policy", (json_int_t)request->policy_us, "score",
                                                   (json_int_t)request->score_us, "decide", (json_int_t)request->decide_us));
    return out;
}

static void explain(struct request *request)
{
    json_t *answer = request_explain(request);
    struct buffer body;
    buffer_init(&body, (size_t)8 << 20);
    json_write(answer, &body);
    json_decref(answer);
    str_copy(request->route, sizeof request->route, str_of(request->decision.route));
    request_headers(request, false);
    reply_send(request->reply, 200, "application/json", buffer_str(&body));
    buffer_release(&body);
    request->reply = NULL;
    request_end(request, "ok", 200, NULL, NULL);
}

void request_prepared(struct request *request)
{
    request_enter(request, REQUEST_DECIDE);
    if (request->verdict == NULL)
        api_error_set(&request->error, 503, NULL, NULL, "The request does not fit into memory");
    else if ((request->inputs = arena_alloc(&request->arena, sizeof *request->inputs)) == NULL)
        api_error_set(&request->error, 413, NULL, NULL, "The request does not fit into the memory of one request");
    if (request->error.status != 0) {
        request_fail(request, &request->error, "error");
        return;
    }
    int64_t started = clock_now_us();
    fill_inputs(request);
    request->decide_us = clock_now_us() - started;
    if (!probing_begin(request))
        request_decide(request);
}

void request_decide(struct request *request)
{
    int64_t started = clock_now_us();
    decide_and_reserve(request);
    request->decide_us += clock_now_us() - started;
    if (request->dry_run)
        explain(request);
    else
        record(request);
}
