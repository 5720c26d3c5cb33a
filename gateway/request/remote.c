/* The remote answer: the relay's events into the caller's form. What may leave was settled before (verdict, redaction, decision
 * row); here only answers come in. Loop thread; callbacks never come from inside relay_start. */
#include "request/caching.h"
#include "request/cascade.h"

#include "request/restore.h"
#include "request/shadowing.h"
#include "upstream/relay.h"

static void set_route(struct request *request, const struct relay_event *event)
{
    const struct config *config = request->snapshot->config;
    snprintf(request->route, sizeof request->route, "remote:%s/%s", config->providers[event->provider].name, event->model);
}

static void take_usage(struct request *request, const struct relay_event *event)
{
    request->cost_nusd = event->cost_nusd;
    request->n_attempts = relay_attempts(request->relay);
    request->usage_known = event->usage_known;
    if (event->usage_known)
        request->usage = (struct answer_usage){event->usage.prompt_tokens, event->usage.cached_tokens, event->usage.completion_tokens};
}

static bool may_finish_locally(const struct request *request)
{
    /* A begun call is no beginning that others' text could follow. */
    bool forced = request->api.tool_choice == TOOL_CHOICE_REQUIRED || request->api.tool_choice == TOOL_CHOICE_NAMED;
    if (request->streaming && (forced || request->calls_sent))
        return false;
    return request->decision.local_last && request->local == LOCAL_READY && request->verdict->local_permitted && request->n_prompts > 0;
}

/* ------------------------------------------------------------------ streams */

static void begin_stream(struct request *request, const struct relay_event *event)
{
    if (request->streaming)
        return;
    const json_t *model = json_object_get(event->json, "model");
    const char *name = arena_strdup(&request->arena, json_is_string(model) ? str_of(json_string_value(model)) : str_of(event->model));
    request->head.model = str_of(name != NULL ? name : "");
    stream_begin(request);
    stream_roles(request);
}

static void finish_choice(struct request *request, int index, const char *finish_reason)
{
    struct choice *choice = &request->choices[index];
    if (choice->ended)
        return;
    if (request->redaction != NULL) {
        struct buffer held;
        buffer_init(&held, 4096);
        if (restorer_finish(&choice->restorer, &held) == 0 && held.n > 0)
            chunk_text(&request->head, index, buffer_str(&held), NULL, &request->out);
        buffer_release(&held);
        json_t *calls = restore_held_arguments(request, index);
        if (calls != NULL)
            chunk_delta(&request->head, index, calls, false, (str){NULL, 0}, NULL, &request->out);
        json_decref(calls);
    }
    choice->ended = true;
    choice->finish_reason = arena_strdup(&request->arena, str_of(finish_reason));
    chunk_finish(&request->head, index, finish_reason, &request->out);
}

static void on_delta(struct request *request, const struct relay_event *event)
{
    int index = event->choice;
    if (index < 0 || index >= request->n_choices)
        return; /* The provider's usage chunk: ours is written at the end, over all attempts. */
    struct choice *choice = &request->choices[index];
    if (request->first_token_us < 0 && event->text.n > 0)
        request->first_token_us = clock_now_us() - request->started_us;
    begin_stream(request, event);
    cascade_release(request);
    size_t start = choice->text.n;
    bool has_text = event->text.n > 0;
    int status = request->redaction != NULL ? restorer_push(&choice->restorer, event->text, &choice->text)
                                            : buffer_append_str(&choice->text, event->text);
    if (status < 0) {
        struct api_error error;
        api_error_set(&error, 502, "stream_broken", NULL, "The answer is longer than this server takes");
        request_fail(request, &error, "error");
        return;
    }
    str text = {choice->text.data + start, choice->text.n - start};
    json_t *delta = event->delta != NULL ? restore_delta(request, index, event->delta) : NULL;
    bool more = false;
    const char *name;
    json_t *value;
    json_object_foreach(delta, name, value)
        more |= strcmp(name, "role") != 0 && strcmp(name, "content") != 0 && !json_is_null(value);
    if (text.n > 0 || more || event->logprobs != NULL)
        chunk_delta(&request->head, index, more ? delta : NULL, has_text && text.n > 0, text, event->logprobs, &request->out);
    request->calls_sent |= json_array_size(json_object_get(delta, "tool_calls")) > 0;
    if (more)
        caching_spoil(request);
    json_decref(delta);
    if (event->finish_reason != NULL)
        finish_choice(request, index, event->finish_reason);
    if (request->out.failed) {
        struct api_error error;
        buffer_clear(&request->out);
        api_error_set(&error, 502, "stream_broken", NULL, "An event is larger than this server gives");
        request_fail(request, &error, "error");
    } else if (!stream_flush(request)) {
        relay_pause(request->relay);
    }
}

/* ------------------------------------------------------------------ ends */

static void on_answer(struct request *request, const struct relay_event *event)
{
    cascade_release(request);
    json_t *answer = restore_answer(request, event->json);
    json_write(answer, &request->out);
    json_decref(answer);
    caching_take_answer(request, event->json);
    shadowing_take_answer(request, event->json);
    const json_t *first = json_array_get(json_object_get(event->json, "choices"), 0);
    const json_t *reason = json_object_get(first, "finish_reason");
    if (json_is_string(reason) && request->n_choices > 0)
        request->choices[0].finish_reason = arena_strdup(&request->arena, str_of(json_string_value(reason)));
}

static void on_end(struct request *request, const struct relay_event *event)
{
    take_usage(request, event);
    const char *finish_reason = request->n_choices > 0 ? request->choices[0].finish_reason : NULL;
    if (request->api.stream && request->api.kind != API_EMBEDDINGS) {
        begin_stream(request, event);
        stream_finish(request, finish_reason);
        return;
    }
    if (request->out.failed) {
        struct api_error error;
        api_error_set(&error, 502, NULL, NULL, "The answer is larger than this server gives");
        request_fail(request, &error, "error");
        return;
    }
    if (request->first_token_us < 0)
        request->first_token_us = clock_now_us() - request->started_us;
    request_headers(request, true);
    reply_send(request->reply, 200, "application/json", buffer_str(&request->out));
    request->reply = NULL;
    request_end(request, "ok", 200, finish_reason, NULL);
}

/* A code that is not ours lives in the request's arena. */
static const char *keep_code(struct request *request, const char *code)
{
    return code != NULL ? arena_strdup(&request->arena, str_of(code)) : NULL;
}

static void on_refused(struct request *request, const struct relay_event *event)
{
    struct api_error error;
    take_usage(request, event);
    if (cascade_return(request))
        return;
    const json_t *message = json_object_get(event->json, "message"), *code = json_object_get(event->json, "code");
    const json_t *param = json_object_get(event->json, "param");
    int status = event->status >= 400 && event->status < 600 ? event->status : 502;
    api_error_set(&error, status, keep_code(request, json_is_string(code) ? json_string_value(code) : event->code),
                  json_is_string(param) ? json_string_value(param) : NULL, "%s",
                  json_is_string(message) ? json_string_value(message) : event->message != NULL ? event->message : "The provider refused the request");
    /* The message is the provider's own and goes to its caller only. */
    request_fail(request, &error, "error");
}

static void on_exhausted(struct request *request, const struct relay_event *event)
{
    take_usage(request, event);
    if (cascade_return(request))
        return;
    if (may_finish_locally(request)) {
        log_event(LOG_INFO, "finished_locally", "%s: no remote target is left (%s)", request->decision_id, event->code != NULL ? event->code : "");
        remote_cancel(request);
        if (!request->streaming) {
            for (int i = 0; i < request->n_choices; i++) {
                buffer_release(&request->choices[i].text);
                logprob_lists_release(&request->choices[i].logprobs);
            }
            request->n_choices = 0;
            request->usage = (struct answer_usage){0};
            request_answer_here(request);
        } else {
            request_finish_locally(request);
        }
        return;
    }
    struct api_error error;
    int status = event->status >= 400 && event->status < 600 ? event->status : 502;
    api_error_set(&error, status, keep_code(request, event->code), NULL, "%s",
                  event->message != NULL ? event->message : "No provider could answer");
    error.retry_after_s = event->retry_after_us >= 0 ? event->retry_after_us / 1000000 + 1 : status == 503 ? 5 : 0;
    request_fail(request, &error, "error");
}

static void on_event(void *user, const struct relay_event *event)
{
    struct request *request = user;
    switch (event->kind) {
    case RELAY_STARTED:
        set_route(request, event);
        break;
    case RELAY_SEAM:
        request->seams++;
        set_route(request, event);
        break;
    case RELAY_DELTA:
        on_delta(request, event);
        break;
    case RELAY_ANSWER:
        on_answer(request, event);
        break;
    case RELAY_END:
        on_end(request, event);
        break;
    case RELAY_EXHAUSTED:
        on_exhausted(request, event);
        break;
    case RELAY_REFUSED:
        on_refused(request, event);
        break;
    }
}

void request_answer_remote(struct request *request)
{
    struct service *service = request->service;
    const struct decision *decision = &request->decision;
    struct error err = {0};
    request_enter(request, REQUEST_REMOTE);
    const struct decide_target *first = &request->inputs->targets[decision->targets[0]];
    snprintf(request->route, sizeof request->route, "remote:%s/%s", first->provider, first->model);
    answer_head_init(&request->head, request->api.kind, request->decision_id, (str){NULL, 0}, request->api.stream && request->api.include_usage);
    struct relay_target *targets = arena_array(&request->arena, (size_t)decision->n_targets, sizeof *targets);
    int n_choices = request->api.kind == API_CHAT ? request->api.n : request->api.kind == API_COMPLETIONS ? (int)request->api.n_texts * request->api.n : 0;
    int status = targets != NULL && choices_open(request, n_choices) == 0 ? 0 : error_set(&err, WEIR_E_MEMORY, "request", "out of memory");
    for (int i = 0; i < decision->n_targets && status == 0; i++) {
        const struct decide_target *target = &request->inputs->targets[decision->targets[i]];
        targets[i] = (struct relay_target){target->provider_index, target->model};
    }
    static const enum relay_api apis[] = {[API_CHAT] = RELAY_CHAT, [API_COMPLETIONS] = RELAY_COMPLETIONS, [API_EMBEDDINGS] = RELAY_EMBEDDINGS};
    struct relay_options options = {
        .upstream = service->upstream,
        .config = request->snapshot->config,
        .prices = request->snapshot->prices,
        .ledger = service->ledger,
        .decision_id = request->decision_id,
        .api = apis[request->api.kind],
        .targets = targets,
        .n_targets = decision->n_targets,
        .body = request->redacted_body != NULL ? request->redacted_body : request->api.body,
        .stream = request->api.stream,
        .include_usage = request->api.include_usage,
        .verdict = request->verdict,
        .redacted = request->redacted_body != NULL,
        .pack = request->snapshot->pack,
        .tenant = request->has_key ? request->key.tenant : NULL,
        .deadline_us = request->deadline_us,
        .event = on_event,
        .user = request,
    };
    if (status == 0)
        status = relay_start(&request->relay, &options, &err);
    if (status < 0) {
        struct api_error error;
        log_event(LOG_WARN, "relay_failed", "%s: %s", request->decision_id, err.text);
        request->cost_nusd = cascade_left(request) ? 0 : request->cost_nusd;
        if (cascade_return(request))
            return;
        api_error_set(&error, 502, "provider_unavailable", NULL, "The request could not be sent");
        request_fail(request, &error, "error");
    }
}

void remote_cancel(struct request *request)
{
    if (request->relay != NULL)
        relay_free(request->relay);
    request->relay = NULL;
}
