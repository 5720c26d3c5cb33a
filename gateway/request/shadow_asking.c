/* What a sample asks: the remote target for its answer, then the judge, both over relays that pass the gate as every request does.
 *
 * Invariant: a body leaves only with the verdict that it was made under: the remote's with the request's own, the judge's with one of its
 * own texts that is never milder than the request's. A relay's answer is read in RELAY_ANSWER, the next step is taken at the relay's last event. */
#include "request/shadow_job.h"

#include "shadow/same.h"

enum { MOST_ANSWER_BYTES = 1 << 20, LONGEST_JUDGING_US = 120000000 };

static void ask_judge(struct shadow_job *job);

/* ------------------------------------------------------------------ a relay */

bool shadow_read_answer(const json_t *answer, str *text, bool *stopped)
{
    const json_t *choices = json_object_get(answer, "choices"), *choice = json_array_get(choices, 0);
    const json_t *message = json_object_get(choice, "message"), *reason = json_object_get(choice, "finish_reason");
    *stopped = json_is_string(reason) && strcmp(json_string_value(reason), "stop") == 0;
    const json_t *content = json_object_get(message, "content");
    if (json_array_size(choices) != 1 || !json_is_string(content) || json_array_size(json_object_get(message, "tool_calls")) > 0)
        return false;
    *text = (str){json_string_value(content), json_string_length(content)};
    return true;
}

static void add_cost(struct shadow_job *job, const struct relay_event *event, struct token_usage *usage, bool *known)
{
    job->n_attempts += relay_attempts(job->relay);
    job->cost_nusd = job->cost_nusd == MONEY_UNKNOWN || event->cost_nusd == MONEY_UNKNOWN ? MONEY_UNKNOWN : job->cost_nusd + event->cost_nusd;
    if (!event->usage_known)
        return;
    *known = true;
    usage->prompt_tokens += event->usage.prompt_tokens;
    usage->completion_tokens += event->usage.completion_tokens;
    usage->cached_tokens += event->usage.cached_tokens;
}

static int64_t time_since(int64_t before_us, const struct shadow_job *job)
{
    return (before_us > 0 ? before_us : 0) + clock_now_us() - job->asked_us;
}

static void ask(struct shadow_job *job, const struct relay_target *target, const json_t *body, const struct verdict *verdict, bool redacted,
                relay_event_fn *event, const char *failure)
{
    struct request *request = job->request;
    struct error err = {0};
    job->target = *target;
    job->good = false;
    job->asked_us = clock_now_us();
    struct relay_options options = {
        .upstream = job->service->upstream,
        .config = request->snapshot->config,
        .prices = request->snapshot->prices,
        .ledger = job->service->ledger,
        .decision_id = request->decision_id,
        .api = RELAY_CHAT,
        .targets = &job->target,
        .n_targets = 1,
        .body = body,
        .verdict = verdict,
        .redacted = redacted,
        .tenant = request->has_key ? request->key.tenant : NULL,
        .deadline_us = job->deadline_us,
        .n_before = job->n_attempts,
        .max_answer_bytes = MOST_ANSWER_BYTES,
        .event = event,
        .user = job,
    };
    if (relay_start(&job->relay, &options, &err) < 0) {
        log_event(LOG_WARN, "relay_failed", "%s: %s", request->decision_id, err.text);
        shadow_finish(job, SHADOW_UNJUDGED, failure);
    }
}

static void drop_relay(struct shadow_job *job)
{
    relay_free(job->relay);
    job->relay = NULL;
}

/* ------------------------------------------------------------------ the judge's questions */

static const struct verdict *stricter(struct verdict *verdict, const struct verdict *request)
{
    verdict->effect = request->effect > verdict->effect ? request->effect : verdict->effect;
    verdict->permitted &= request->permitted;
    return verdict;
}

/* Why the call may not be made; NULL: it is cleared. As prepare.c does with a request's own body. */
static const char *clear(struct shadow_job *job, struct judge_call *call, json_t *body)
{
    struct request *request = job->request;
    const struct config *config = request->snapshot->config;
    struct policy_provider providers[CONFIG_MAX_PROVIDERS];
    struct policy_field *fields;
    size_t n_fields;
    struct error err = {0};
    config_policy_providers(config, providers);
    if (body_fields_collect(body, &job->arena, &fields, &n_fields, &err) < 0)
        return "policy";
    struct policy_query query = {.tenant = request->has_key ? request->key.tenant : NULL, .fields = fields, .n_fields = n_fields,
                                 .providers = providers, .n_providers = (size_t)config->n_providers};
    if (policy_evaluate(request->snapshot->pack, &query, &job->arena, &call->verdict, &err) < 0 || call->verdict == NULL)
        return "policy";
    stricter(call->verdict, request->verdict);
    if (call->verdict->effect > EFFECT_REDACT || (call->verdict->permitted >> job->judge.provider & 1) == 0)
        return "policy";
    if (call->verdict->effect != EFFECT_REDACT) {
        call->body = json_incref(body);
        return NULL;
    }
    uint8_t key[32];
    struct redaction *redaction = NULL;
    request_tenant_key(request, key);
    int status = redaction_new(&redaction, request->snapshot->pack, key, &err);
    bytes_wipe(key, sizeof key);
    if (status == 0)
        call->body = body_redact(body, redaction, call->verdict->findings, fields, n_fields, &err);
    redaction_free(redaction);
    call->redacted = call->body != NULL;
    return call->redacted ? NULL : "policy";
}

/* Worker. */
static void clear_calls(uv_work_t *work)
{
    struct shadow_job *job = work->data;
    str local = buffer_str(&job->local), remote = buffer_str(&job->answer);
    char fence[SHADOW_FENCE_BYTES];
    shadow_fence(shadow_key(job->service), job->request->decision_id, fence);
    for (int i = 0; i < 2 && job->denied == NULL; i++) {
        bool local_is_a = job->local_first == (i == 0);
        json_t *body = judge_question(job->request->api.messages, local_is_a ? local : remote, local_is_a ? remote : local, fence);
        job->denied = body != NULL ? clear(job, &job->calls[i], body) : "memory";
        json_decref(body);
    }
}

static void on_cleared(uv_work_t *work, int cancelled)
{
    struct shadow_job *job = work->data;
    job->waiting = false;
    if (job->stopped != NULL)
        shadow_finish(job, SHADOW_UNJUDGED, job->stopped);
    else if (cancelled < 0 || job->denied != NULL)
        shadow_finish(job, SHADOW_UNJUDGED, job->denied != NULL ? job->denied : "memory");
    else
        ask_judge(job);
}

/* ------------------------------------------------------------------ the judge */

static void on_judge_end(struct shadow_job *job, const struct relay_event *event)
{
    add_cost(job, event, &job->judge_usage, &job->judge_usage_known);
    job->judge_us = time_since(job->judge_us, job);
    drop_relay(job);
    struct judge_call *call = &job->calls[job->n_called++];
    call->word = job->good ? judge_read(buffer_str(&job->said)) : JUDGE_UNREADABLE;
    if (event->kind != RELAY_END)
        shadow_finish(job, SHADOW_UNJUDGED, "judge_failed");
    else if (call->word == JUDGE_UNREADABLE)
        shadow_finish(job, SHADOW_UNJUDGED, "judge_unreadable");
    else if (job->n_called == 1 && call->word != JUDGE_NEITHER)
        ask_judge(job);
    else {
        enum judge_word second = job->n_called == 2 ? job->calls[1].word : JUDGE_UNREADABLE;
        enum shadow_outcome outcome = judge_settle(job->calls[0].word, second, job->local_first);
        shadow_finish(job, outcome, outcome == SHADOW_TIE && job->n_called == 2 ? "judge_disagrees" : "judge");
    }
}

static void on_judge(void *user, const struct relay_event *event)
{
    struct shadow_job *job = user;
    str text;
    bool stopped;
    if (event->kind == RELAY_ANSWER) {
        buffer_clear(&job->said);
        job->good = shadow_read_answer(event->json, &text, &stopped) && buffer_append_str(&job->said, text) == 0;
    } else if (event->kind >= RELAY_END) {
        on_judge_end(job, event);
    }
}

static void ask_judge(struct shadow_job *job)
{
    const struct judge_call *call = &job->calls[job->n_called];
    struct relay_target target = {job->judge.provider, job->judge.model};
    ask(job, &target, call->body, call->verdict, call->redacted, on_judge, "judge_failed");
}

/* ------------------------------------------------------------------ the remote answer */

bool shadow_keep_answer(struct shadow_job *job, str text)
{
    struct restorer restorer;
    buffer_clear(&job->answer);
    if (job->request->redaction == NULL)
        return buffer_append_str(&job->answer, text) == 0;
    restorer_init(&restorer, job->request->redaction, false);
    return restorer_push(&restorer, text, &job->answer) == 0 && restorer_finish(&restorer, &job->answer) == 0;
}

static void on_remote_end(struct shadow_job *job, const struct relay_event *event)
{
    add_cost(job, event, &job->remote_usage, &job->remote_usage_known);
    job->remote_us = time_since(0, job);
    drop_relay(job);
    if (event->kind != RELAY_END) {
        shadow_finish(job, SHADOW_UNJUDGED, "remote_failed");
        return;
    }
    if (!job->good) {
        shadow_finish(job, SHADOW_UNJUDGED, "remote_unfit"); /* Not a whole text, or too long to be judged. */
        return;
    }
    shadow_compare(job);
}

void shadow_compare(struct shadow_job *job)
{
    job->deadline_us = clock_now_us() + LONGEST_JUDGING_US;
    if (shadow_same(buffer_str(&job->local), buffer_str(&job->answer))) {
        shadow_finish(job, SHADOW_TIE, "same");
        return;
    }
    job->work.data = job;
    job->waiting = true;
    if (uv_queue_work(&job->service->loop, &job->work, clear_calls, on_cleared) < 0) {
        job->waiting = false;
        shadow_finish(job, SHADOW_UNJUDGED, "memory");
    }
}

static void on_remote(void *user, const struct relay_event *event)
{
    struct shadow_job *job = user;
    str text;
    bool stopped = false;
    if (event->kind == RELAY_ANSWER)
        job->good = shadow_read_answer(event->json, &text, &stopped) && stopped && shadow_keep_answer(job, text);
    else if (event->kind >= RELAY_END)
        on_remote_end(job, event);
}

void shadow_ask(struct shadow_job *job)
{
    struct request *request = job->request;
    bool redacted = request->redacted_body != NULL;
    struct relay_target target = {job->remote.provider_index, job->remote.model};
    ask(job, &target, redacted ? request->redacted_body : request->api.body, request->verdict, redacted, on_remote, "remote_failed");
}
