/* The relay: which attempt comes next, and what is told when none does.
 *
 * Invariants: each attempt mints a clearance for its own bytes; an attempt begins only from the timer, never from inside an
 * exchange's callback; exactly one last event is given (unless the owner frees the relay first); every attempt that was
 * cleared leaves a row. Loop thread. Memory lives until the timer's close callback, so that freeing the relay inside an
 * event is safe. Reading answers is relay_answer.c's, reading errors dialect_openai.c's. */
#include "upstream/relay_internal.h"

enum { RETRY_SERVER_MS = 100, RETRY_RATE_MS = 500, RETRY_RESET_MS = 10 };

static const struct config_provider *provider_of(const struct relay *relay)
{
    return &relay->options.config->providers[relay->targets[relay->target].provider];
}

bool relay_emit(struct relay *relay, struct relay_event *event)
{
    const struct relay_target *target = &relay->targets[relay->target < relay->options.n_targets ? relay->target : relay->options.n_targets - 1];
    event->provider = target->provider;
    event->model = target->model;
    if (!relay->freed)
        relay->options.event(relay->options.user, event);
    return !relay->freed;
}

void relay_attempt_reset(struct relay *relay)
{
    sse_release(&relay->sse);
    sse_init(&relay->sse, RELAY_EVENT_BYTES);
    buffer_release(&relay->body);
    buffer_init(&relay->body, RELAY_ANSWER_BYTES);
    relay->streaming = relay->body_is_error = relay->done_seen = relay->announced = relay->attempt_sent = false;
    relay->status = 0;
    relay->retry_after_us = -1;
    relay->n_bad_events = 0;
    relay->usage_known = false;
    relay->usage = (struct token_usage){0};
    relay->result = (struct exchange_result){.connect_us = -1, .first_byte_us = -1, .total_us = -1};
    relay->n_body = 0;
    relay->body_sha256[0] = '\0';
    for (int i = 0; i < relay->n_choices; i++) {
        relay->choices[i].matched = 0;
        relay->choices[i].seen = relay->choices[i].finished = false;
    }
}

/* ------------------------------------------------------------------ books */

static const char *end_name(enum attempt_end end, enum exchange_failure failure, enum refusal refusal)
{
    static const char *const refusals[] = {[REFUSAL_CREDENTIALS] = "credentials", [REFUSAL_RATE] = "rate_limited", [REFUSAL_SERVER] = "server_error",
                                           [REFUSAL_TIMEOUT] = "timeout_there", [REFUSAL_CONTEXT] = "context_length",
                                           [REFUSAL_CONTENT] = "content_filter", [REFUSAL_OTHER] = "refused"};
    static const char *const ends[] = {[END_GOOD] = "ok", [END_ERROR_BODY] = "error_body", [END_BAD_JSON] = "bad_json", [END_CUT] = "cut",
                                       [END_DIVERGED] = "diverged", [END_DENIED] = "denied", [END_BUSY] = "busy"};
    return end == END_EXCHANGE ? exchange_failure_name(failure) : end == END_STATUS ? refusals[refusal] : ends[end];
}

static int64_t or_null(int64_t us)
{
    return us < 0 ? LEDGER_NULL : us;
}

/* Usage and cost into the totals, and the attempt's row. worked: the provider took the request up and may charge for it. */
static void book(struct relay *relay, const char *result, bool worked)
{
    const struct config_provider *provider = provider_of(relay);
    const char *model = relay->targets[relay->target].model;
    const struct price *price = prices_find(relay->options.prices, provider->name, model);
    int64_t cost_nusd = 0; /* A refused request costs nothing. */
    if (relay->usage_known)
        cost_nusd = price_cost_nusd(price, &relay->usage);
    else if (worked || relay->attempt_sent)
        cost_nusd = MONEY_UNKNOWN; /* Something was generated and nobody said how much. */
    if (relay->usage_known) {
        relay->total.prompt_tokens += relay->usage.prompt_tokens;
        relay->total.cached_tokens += relay->usage.cached_tokens;
        relay->total.completion_tokens += relay->usage.completion_tokens;
        relay->total_known = true;
    }
    relay->cost_nusd = relay->cost_nusd == MONEY_UNKNOWN || cost_nusd == MONEY_UNKNOWN ? MONEY_UNKNOWN : relay->cost_nusd + cost_nusd;
    int n = relay->n_attempts++;
    if (relay->options.ledger == NULL)
        return;
    int64_t total_us = relay->result.total_us >= 0 ? relay->result.total_us : clock_now_us() - relay->attempt_begun_us;
    struct ledger_attempt row = {
        .decision_id = relay->decision_id, .n = relay->options.n_before + n, .time_ns = relay->attempt_begun_ns, .provider = provider->name, .provider_model = model,
        .region = provider->region, .body_sha256 = relay->body_sha256[0] != '\0' ? relay->body_sha256 : NULL, .request_bytes = (int64_t)relay->n_body,
        .result = result, .status = relay->status > 0 ? relay->status : LEDGER_NULL, .connect_us = or_null(relay->result.connect_us),
        .first_byte_us = or_null(relay->result.first_byte_us), .total_us = total_us,
        .prompt_tokens = relay->usage_known ? relay->usage.prompt_tokens : LEDGER_NULL,
        .cached_tokens = relay->usage_known ? relay->usage.cached_tokens : LEDGER_NULL,
        .completion_tokens = relay->usage_known ? relay->usage.completion_tokens : LEDGER_NULL, .cost_nusd = cost_nusd,
        .price_version = price != NULL ? prices_version(relay->options.prices) : NULL,
        .bad_events = relay->n_bad_events + relay->sse.n_oversized, .resumed = relay->mode != ATTEMPT_FIRST};
    if (ledger_append_attempt(relay->options.ledger, &row) < 0)
        log_event(LOG_ERROR, "attempt_unrecorded", "the ledger took no row for attempt %d of %s", n, relay->decision_id);
}

/* What the attempt says about the provider's health. */
static void tell_breaker(struct relay *relay, enum attempt_end end, enum refusal refusal)
{
    struct breaker *breaker = upstream_breaker(relay->options.upstream, provider_of(relay)->name);
    if (breaker == NULL || end == END_BUSY || end == END_DENIED)
        return;
    if (end == END_STATUS && refusal == REFUSAL_RATE) {
        breaker_abandon(breaker); /* It lives; it is only full. */
        return;
    }
    bool answers = end == END_GOOD || end == END_DIVERGED ||
                   (end == END_STATUS && (refusal == REFUSAL_CONTEXT || refusal == REFUSAL_CONTENT || refusal == REFUSAL_OTHER));
    breaker_report(breaker, answers, clock_now_us());
}

/* ------------------------------------------------------------------ the end */

static void finish(struct relay *relay, struct relay_event *event)
{
    if (relay->ended)
        return;
    relay->ended = true;
    event->usage_known = relay->total_known;
    event->usage = relay->total;
    event->cost_nusd = relay->cost_nusd;
    relay_emit(relay, event);
}

static void finish_exhausted(struct relay *relay)
{
    finish(relay, &(struct relay_event){.kind = RELAY_EXHAUSTED, .status = relay->last.status, .code = relay->last.code,
                                        .message = relay->last.message, .retry_after_us = relay->last.retry_after_us});
}

static void remember(struct relay *relay, int status, const char *code, const char *message, int64_t retry_after_us)
{
    relay->last.status = status;
    relay->last.code = code;
    relay->last.message = message;
    relay->last.retry_after_us = retry_after_us;
}

static void remember_failure(struct relay *relay, enum attempt_end end, enum exchange_failure failure, enum refusal refusal)
{
    bool timeout = end == END_EXCHANGE && failure >= EXCHANGE_TIMEOUT_CONNECT && failure <= EXCHANGE_TIMEOUT_TOTAL;
    if (timeout || (end == END_STATUS && refusal == REFUSAL_TIMEOUT))
        remember(relay, 504, "provider_timeout", "The provider did not answer in time.", -1);
    else if (end == END_STATUS && refusal == REFUSAL_CREDENTIALS)
        remember(relay, 502, "provider_credentials", "The provider refused the gateway's own credentials.", -1);
    else if (end == END_STATUS && refusal == REFUSAL_RATE)
        remember(relay, 429, "provider_rate_limited", "The provider's rate limit was reached.", relay->retry_after_us >= 0 ? relay->retry_after_us : 1000000);
    else if (refusal == REFUSAL_CONTEXT && (end == END_STATUS || end == END_ERROR_BODY))
        remember(relay, 400, "context_length_exceeded", "The request is longer than the model's context.", -1);
    else if (end == END_DENIED)
        remember(relay, 403, "policy_violation", "Policy does not permit this request to be sent to the provider.", -1);
    else if (end == END_BUSY)
        remember(relay, 503, "provider_unavailable", "The provider cannot be used at the moment.", 1000000);
    else if (end == END_EXCHANGE && failure == EXCHANGE_TLS)
        remember(relay, 502, "provider_certificate", "The provider's TLS certificate could not be verified.", -1);
    else if (end == END_EXCHANGE && failure == EXCHANGE_CONNECT)
        remember(relay, 502, "provider_unreachable", "The provider could not be reached.", -1);
    else
        remember(relay, 502, "provider_error", "The provider failed to answer.", -1);
}

/* ------------------------------------------------------------------ the next step */

static void attempt_begin(uv_timer_t *timer);

static void schedule(struct relay *relay, int64_t wait_us)
{
    uv_timer_start(&relay->timer, attempt_begin, (uint64_t)((wait_us + 999) / 1000), 0);
}

/* May what was said so far go to this provider as an assistant message? It is scanned like any other text. */
static bool prefix_permitted(struct relay *relay, int provider)
{
    const struct relay_options *o = &relay->options;
    if (o->pack == NULL || o->api != RELAY_CHAT || relay->n_choices != 1 || relay->n_wanted != 1 || relay->choices[0].text.n == 0)
        return false;
    struct policy_provider providers[CONFIG_MAX_PROVIDERS];
    config_policy_providers(o->config, providers);
    struct policy_field field = {.path = "messages.assistant", .text = buffer_str(&relay->choices[0].text)};
    struct policy_query query = {.tenant = relay->tenant[0] != '\0' ? relay->tenant : NULL, .fields = &field, .n_fields = 1,
                                 .providers = providers, .n_providers = (size_t)o->config->n_providers};
    struct arena arena;
    struct verdict *verdict = NULL;
    arena_init(&arena, 64 << 20);
    bool permitted = policy_evaluate(o->pack, &query, &arena, &verdict, NULL) == 0 && verdict->effect == EFFECT_ALLOW &&
                     (verdict->permitted >> provider & 1) != 0;
    arena_release(&arena);
    return permitted;
}

static void next_target(struct relay *relay)
{
    bool late = relay->options.deadline_us > 0 && clock_now_us() >= relay->options.deadline_us;
    if (late)
        remember(relay, 504, "deadline_exceeded", "The request's time was used up.", -1);
    if (late || relay->target + 1 >= relay->options.n_targets || relay->n_attempts >= RELAY_MAX_ATTEMPTS || relay->tools_sent) {
        finish_exhausted(relay);
        return;
    }
    relay->target++;
    relay->tries = 0;
    relay->target_begun_us = 0;
    if (relay->any_sent) {
        relay->mode = prefix_permitted(relay, relay->targets[relay->target].provider) ? ATTEMPT_PREFIX : ATTEMPT_AFRESH;
        relay->seam = true;
    }
    schedule(relay, 0);
}

/* Does a wait end before this provider's time, and the request's, is used up? */
static bool wait_fits(const struct relay *relay, int64_t wait_us)
{
    int64_t end_us = clock_now_us() + wait_us;
    return end_us < relay->target_begun_us + provider_of(relay)->total_timeout_us &&
           (relay->options.deadline_us == 0 || end_us < relay->options.deadline_us);
}

/* Microseconds to wait before the one retry here, or -1: none. */
static int64_t retry_wait(const struct relay *relay, enum attempt_end end, enum exchange_failure failure, enum refusal refusal)
{
    if (relay->tries >= 2 || relay->attempt_sent)
        return -1;
    int64_t wait_us = -1;
    if (end == END_STATUS && refusal == REFUSAL_RATE)
        wait_us = relay->retry_after_us >= 0 ? relay->retry_after_us : RETRY_RATE_MS * 1000;
    else if (end == END_STATUS && refusal == REFUSAL_SERVER)
        wait_us = relay->retry_after_us >= 0 ? relay->retry_after_us : RETRY_SERVER_MS * 1000;
    else if ((end == END_EXCHANGE && failure == EXCHANGE_RESET) || end == END_CUT)
        wait_us = RETRY_RESET_MS * 1000;
    return wait_us >= 0 && wait_fits(relay, wait_us) ? wait_us : -1;
}

void relay_attempt_end(struct relay *relay, enum attempt_end end, enum exchange_failure failure, const json_t *error)
{
    struct exchange *exchange = relay->exchange;
    relay->exchange = NULL;
    if (exchange != NULL && end == END_GOOD)
        exchange_detach(exchange);
    else if (exchange != NULL)
        exchange_cancel(exchange);
    enum refusal refusal = end == END_STATUS ? openai_refusal(relay->status, error) : end == END_ERROR_BODY ? openai_refusal(400, error) : REFUSAL_OTHER;
    tell_breaker(relay, end, refusal);
    const char *result = end_name(end, failure, refusal);
    if (end != END_BUSY)
        book(relay, result, end == END_GOOD || (relay->status / 100 == 2 && end != END_ERROR_BODY));
    if (end == END_GOOD) {
        finish(relay, &(struct relay_event){.kind = RELAY_END, .status = 200, .retry_after_us = -1});
        return;
    }
    log_event(LOG_WARN, "attempt_failed", "provider %s: %s%s", provider_of(relay)->name, result, relay->any_sent ? " in mid-answer" : "");
    remember_failure(relay, end, failure, refusal);
    bool ends = (end == END_STATUS && (refusal == REFUSAL_OTHER || refusal == REFUSAL_CONTENT)) || (end == END_ERROR_BODY && refusal == REFUSAL_CONTENT);
    if (ends && relay->mode == ATTEMPT_PREFIX) {
        relay->mode = ATTEMPT_AFRESH;
        schedule(relay, 0);
        return;
    }
    if (ends && !relay->any_sent) {
        bool content = refusal == REFUSAL_CONTENT;
        finish(relay, &(struct relay_event){.kind = RELAY_REFUSED, .status = end == END_STATUS ? relay->status : 400, .json = error,
                                            .code = content ? "content_filter" : "provider_refused",
                                            .message = content ? "The provider's content filter refused the request." : "The provider refused the request.",
                                            .retry_after_us = -1});
        return;
    }
    int64_t wait_us = retry_wait(relay, end, failure, refusal);
    if (wait_us >= 0)
        schedule(relay, wait_us);
    else
        next_target(relay);
}

static void attempt_begin(uv_timer_t *timer)
{
    struct relay *relay = timer->data;
    const struct relay_options *o = &relay->options;
    const struct relay_target *target = &relay->targets[relay->target];
    const struct config_provider *provider = provider_of(relay);
    relay_attempt_reset(relay);
    relay->tries++;
    relay->attempt_begun_us = clock_now_us();
    relay->attempt_begun_ns = clock_wall_ns();
    if (relay->target_begun_us == 0)
        relay->target_begun_us = relay->attempt_begun_us;
    if (relay->seam) {
        relay->seam = false;
        if (!relay_emit(relay, &(struct relay_event){.kind = RELAY_SEAM}))
            return;
    }
    struct breaker *breaker = upstream_breaker(o->upstream, provider->name);
    if (breaker == NULL || !breaker_enter(breaker, relay->attempt_begun_us)) {
        relay_attempt_end(relay, END_BUSY, EXCHANGE_OK, NULL);
        return;
    }
    struct buffer body;
    struct clearance *clearance = NULL;
    buffer_init(&body, RELAY_BODY_BYTES);
    str prefix = relay->mode == ATTEMPT_PREFIX ? buffer_str(&relay->choices[0].text) : (str){NULL, 0};
    struct error err = {0};
    int status = openai_body(o->body, o->api, target->model, o->stream, prefix, &body, &err);
    if (status == 0)
        status = clearance_mint(&clearance, o->verdict, o->config, target->provider, buffer_str(&body), o->redacted, &err);
    if (status == 0) {
        str_copy(relay->body_sha256, sizeof relay->body_sha256, str_of(clearance_sha256_peek(clearance)));
        relay->n_body = body.n;
        struct upstream_request request = {.config = o->config, .provider = target->provider, .path = openai_path(o->api), .body = buffer_str(&body),
                                           .stream = o->stream, .clearance_take = clearance, .deadline_us = o->deadline_us};
        status = upstream_send(o->upstream, &request, &relay_callbacks, relay, &relay->exchange, &err);
    }
    buffer_release(&body);
    if (status < 0) {
        breaker_abandon(breaker);
        relay->exchange = NULL;
        if (status != WEIR_E_DENIED && status != WEIR_E_FULL)
            log_event(LOG_ERROR, "attempt_not_sent", "%s: %s", err.where, err.text);
        relay_attempt_end(relay, status == WEIR_E_DENIED ? END_DENIED : END_BUSY, EXCHANGE_OK, NULL);
    } else if (relay->paused) {
        exchange_pause(relay->exchange);
    }
}

/* ------------------------------------------------------------------ the public functions */

int relay_start(struct relay **out, const struct relay_options *options, struct error *err)
{
    if (options->n_targets < 1)
        return error_set(err, WEIR_E_INVALID, "relay", "there is no target");
    struct relay *relay = calloc(1, sizeof *relay);
    struct relay_target *targets = calloc((size_t)options->n_targets, sizeof *targets);
    if (relay == NULL || targets == NULL) {
        free(relay);
        free(targets);
        return error_set(err, WEIR_E_MEMORY, "relay", "out of memory");
    }
    relay->options = *options;
    memcpy(targets, options->targets, (size_t)options->n_targets * sizeof *targets);
    relay->targets = targets;
    relay->options.targets = targets;
    str_copy(relay->decision_id, sizeof relay->decision_id, str_of(options->decision_id));
    str_copy(relay->tenant, sizeof relay->tenant, str_of(options->tenant));
    config_hold(options->config);
    json_incref((json_t *)(uintptr_t)options->body);
    int64_t n = 1;
    if (json_member_i64(options->body, "n", &n, NULL) < 0 || n < 1 || n > RELAY_MAX_CHOICES)
        n = 1;
    relay->n_wanted = options->api == RELAY_EMBEDDINGS ? 1 : (int)n;
    remember(relay, 502, "provider_error", "The provider failed to answer.", -1);
    uv_timer_init(upstream_loop(options->upstream), &relay->timer);
    relay->timer.data = relay;
    schedule(relay, 0);
    *out = relay;
    return 0;
}

void relay_pause(struct relay *relay)
{
    relay->paused = true;
    if (relay->exchange != NULL)
        exchange_pause(relay->exchange);
}

void relay_resume(struct relay *relay)
{
    relay->paused = false;
    if (relay->exchange != NULL)
        exchange_resume(relay->exchange);
}

static void timer_closed(uv_handle_t *handle)
{
    struct relay *relay = handle->data;
    sse_release(&relay->sse);
    buffer_release(&relay->body);
    for (int i = 0; relay->choices != NULL && i < RELAY_MAX_CHOICES; i++)
        buffer_release(&relay->choices[i].text);
    free(relay->choices);
    json_decref((json_t *)(uintptr_t)relay->options.body);
    config_drop(relay->options.config);
    free(relay->targets);
    free(relay);
}

void relay_free(struct relay *relay)
{
    if (relay == NULL || relay->freed)
        return;
    relay->freed = true;
    if (relay->exchange != NULL) {
        exchange_cancel(relay->exchange);
        relay->exchange = NULL;
        struct breaker *breaker = upstream_breaker(relay->options.upstream, provider_of(relay)->name);
        if (breaker != NULL)
            breaker_abandon(breaker);
        book(relay, "cancelled", true);
    }
    uv_close((uv_handle_t *)&relay->timer, timer_closed);
}

str relay_text(const struct relay *relay, int choice)
{
    return choice >= 0 && choice < relay->n_choices ? buffer_str(&relay->choices[choice].text) : (str){NULL, 0};
}

int relay_attempts(const struct relay *relay)
{
    return relay->n_attempts;
}
