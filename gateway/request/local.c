/* The local answer: one engine session for each choice. The engine's thread only wakes the loop; the loop pulls events out of
 * the sessions as long as the client takes them, so a slow client pauses its own sessions and nobody else's. */
#include "request/caching.h"
#include "request/cascade.h"
#include "request/knowing.h"

#include "request/restore.h"
#include "upstream/relay.h"

#include <assert.h>

/* Engine thread: something is new in some session. */
static void on_engine(void *user)
{
    struct service *service = user;
    uv_async_send(&service->engine_wake);
}

static const char *finish_name(enum finish_reason reason)
{
    return reason == FINISH_LENGTH ? "length" : "stop";
}

/* Choices of one prompt that are generated: best_of of them. */
static int per_prompt(const struct request *request)
{
    return request->api.kind == API_CHAT ? request->api.n : request->api.best_of;
}

static void fail_submit(struct request *request, int status, const struct error *err)
{
    struct api_error error;
    if (status == WEIR_E_LIMIT) {
        api_error_set(&error, 400, "context_length_exceeded", request->api.kind == API_CHAT ? "messages" : "prompt", "%s", err->text);
    } else if (status == WEIR_E_INVALID) {
        api_error_set(&error, 400, NULL, err->where, "%s: %s", err->where, err->text);
    } else if (status == WEIR_E_FULL) {
        api_error_set(&error, 503, "overloaded", NULL, "Too many local generations are waiting; try again shortly");
        error.retry_after_s = 1;
    } else {
        api_error_set(&error, 503, NULL, NULL, "The local model is not available: %s", status_name((enum weir_status)status));
        error.retry_after_s = 5;
    }
    request_fail(request, &error, status == WEIR_E_LIMIT || status == WEIR_E_INVALID ? "refused" : "error");
}

void local_sampling(const struct request *request, struct sampling *out)
{
    *out = request->api.sampling;
    if (request->api.names_sampling)
        return;
    out->temperature = (float)request->snapshot->config->chat_temperature;
    out->top_p = (float)request->snapshot->config->chat_top_p;
}

/* n_sent: tokens at the end of the prompt that belong to the answer already. */
static int submit(struct request *request, int index, const int32_t *prompt, size_t n_prompt, size_t n_sent, struct error *err)
{
    struct sampling sampling;
    int which = index % per_prompt(request);
    local_sampling(request, &sampling);
    if (sampling.max_tokens > 0)
        sampling.max_tokens = n_sent < (size_t)sampling.max_tokens ? sampling.max_tokens - (int)n_sent : 0;
    if (sampling.seeded)
        sampling.seed += (uint64_t)which; /* Choices of one seed differ, and each comes out the same every time. */
    if (request->api.tool_choice == TOOL_CHOICE_REQUIRED || request->api.tool_choice == TOOL_CHOICE_NAMED)
        sampling.grammar = request->begun.grammar; /* A call that must be has its own shape. */
    cascade_sampling(request, &sampling);
    sampling.begun = n_sent > 0 ? buffer_str(&request->choices[index].text) : (str){NULL, 0};
    if (sampling.max_tokens == 0 && (n_sent > 0 || request->api.kind == API_COMPLETIONS)) {
        request->choices[index].ended = true;
        request->choices[index].finish_reason = "length";
        return 0;
    }
    return engine_submit(request->chat->engine, prompt, n_prompt, &sampling, on_engine, request->service, &request->choices[index].session, err);
}

void request_answer_local(struct request *request)
{
    answer_head_init(&request->head, request->api.kind, request->decision_id, str_of(request->chat->name),
                     request->api.stream && request->api.include_usage);
    int n = (int)request->n_prompts * per_prompt(request);
    if (request->n_prompts == 0 || choices_open(request, n) < 0 || spoken_open(request, false) < 0) {
        struct api_error error;
        api_error_set(&error, 503, NULL, NULL, "The request does not fit into memory");
        request_enter(request, REQUEST_LOCAL);
        request_fail(request, &error, "error");
        return;
    }
    if (request->api.echo && request->api.logprobs)
        request_echo(request);
    else
        local_begin(request);
}

/* Text of a prompt as the echo shows it. */
static void echo_prompt(struct request *request, int index)
{
    const struct api_text *text = &request->api.texts[index / per_prompt(request)];
    struct choice *choice = &request->choices[index];
    const struct ids *ids = &request->prompts[index / per_prompt(request)];
    if (text->ids == NULL)
        buffer_append_str(&choice->text, text->text);
    else if (tokenizer_decode(model_tokenizer_peek(request->chat->model), ids->data, ids->n, false, &choice->text) < 0)
        buffer_clear(&choice->text);
}

void local_begin(struct request *request)
{
    struct error err = {0};
    request_enter(request, REQUEST_LOCAL);
    cascade_begin(request);
    for (int i = 0; i < request->n_choices; i++) {
        const struct ids *prompt = &request->prompts[i / per_prompt(request)];
        if (request->api.echo)
            echo_prompt(request, i);
        int status = submit(request, i, prompt->data, prompt->n, 0, &err);
        if (status < 0) {
            fail_submit(request, status, &err);
            return;
        }
        if (i % per_prompt(request) == 0)
            request->usage.prompt_tokens += (int64_t)prompt->n;
    }
    request->usage_known = true;
    local_pump(request);
}

/* The prompt with what was sent so far as the beginning of the answer; *n_sent is that beginning's tokens. */
static int prompt_of_rest(struct request *request, int index, struct ids *prompt, size_t *n_sent, struct error *err)
{
    const struct ids *base = &request->prompts[index / per_prompt(request)];
    const struct tokenizer *tokenizer = model_tokenizer_peek(request->chat->model);
    for (size_t i = 0; i < base->n; i++)
        if (ids_append(prompt, base->data[i]) < 0)
            return error_set(err, WEIR_E_MEMORY, "prompt", "out of memory");
    struct buffer closing;
    buffer_init(&closing, 4096);
    int status = 0;
    if (spoken_opened_reasoning(request, &closing)) /* What was sent came after any reasoning. */
        status = tokenizer_encode(tokenizer, buffer_str(&closing), TOKENIZE_BARE | TOKENIZE_SPECIAL, prompt, err);
    buffer_release(&closing);
    size_t n_before = prompt->n;
    if (status == 0)
        status = tokenizer_encode(tokenizer, buffer_str(&request->choices[index].text), TOKENIZE_BARE, prompt, err);
    *n_sent = prompt->n - n_before;
    return status;
}

/* What the remote text held back as the possible beginning of a pseudonym is text after all. */
static int flush_held(struct request *request, int index)
{
    struct choice *choice = &request->choices[index];
    size_t start = choice->text.n;
    if (request->redaction == NULL)
        return 0;
    int status = restorer_finish(&choice->restorer, &choice->text);
    if (status == 0 && choice->text.n > start)
        chunk_text(&request->head, index, (str){choice->text.data + start, choice->text.n - start}, NULL, &request->out);
    return status;
}

static int finish_choice(struct request *request, int index, bool counted, struct error *err)
{
    struct choice *choice = &request->choices[index];
    struct ids prompt = {0};
    size_t n_sent = 0;
    int status = flush_held(request, index);
    if (status == 0)
        status = prompt_of_rest(request, index, &prompt, &n_sent, err);
    if (status == 0)
        status = submit(request, index, prompt.data, prompt.n, n_sent, err);
    if (status == 0 && choice->ended) /* All that was asked for is out. */
        chunk_finish(&request->head, index, choice->finish_reason, &request->out);
    if (!counted) {
        request->usage.completion_tokens += (int64_t)n_sent;
        if (index % per_prompt(request) == 0)
            request->usage.prompt_tokens += (int64_t)(prompt.n - n_sent);
    }
    ids_release(&prompt);
    return status;
}

void request_finish_locally(struct request *request)
{
    struct error err = {0};
    bool counted = request->usage_known; /* By the provider that broke off; else by the local tokenizer. */
    request_enter(request, REQUEST_LOCAL);
    request->seams++;
    request->usage_known = true;
    str_copy(request->route, sizeof request->route, STR("local"));
    int status = spoken_open(request, true);
    for (int i = 0; i < request->n_choices; i++) {
        if (status == 0 && (request->choices[i].ended || finish_choice(request, i, counted, &err) == 0))
            continue;
        struct api_error error;
        api_error_set(&error, 502, "stream_broken", NULL, "The answer broke off and could not be carried on");
        request_fail(request, &error, "error");
        return;
    }
    local_pump(request);
}

/* ------------------------------------------------------------------ events */

/* The answer can't be told apart: there is no memory, or it is too long. */
static void fail_parts(struct request *request)
{
    struct api_error error;
    api_error_set(&error, 500, NULL, NULL, "The answer is larger than this server gives");
    request_fail(request, &error, "error");
}

/* False: it failed, and the request is no more. */
static bool on_token(struct request *request, int index, const struct session_event *event)
{
    struct choice *choice = &request->choices[index];
    if (request->first_token_us < 0 && !cascade_holds(request))
        request->first_token_us = clock_now_us() - request->started_us;
    choice->n_tokens += event->n_tokens;
    for (int i = 0; event->logprobs != NULL && i < event->n_tokens; i++)
        choice->sum_logprob += (double)event->logprobs[i].logprob;
    bool logprobs = request->api.logprobs && event->logprobs != NULL;
    if (logprobs)
        logprob_lists_append(&choice->logprobs, request->api.kind, model_tokenizer_peek(request->chat->model), event->tokens, event->logprobs,
                             event->top, event->n_tokens, event->n_top);
    if (choice->spoken != NULL) {
        if (spoken_push(request, index, event->text, event->tokens, event->n_tokens) < 0) {
            fail_parts(request);
            return false;
        }
        if (spoken_is_done(choice))
            session_cancel(choice->session);
        return true;
    }
    if (!request->api.stream) {
        buffer_append_str(&choice->text, event->text);
        return true;
    }
    if (event->text.n == 0 && !logprobs)
        return true;
    if (caching_gathers(request) || knowing_used(request) || request->shadow != NULL)
        buffer_append_str(&choice->text, event->text);
    chunk_text(&request->head, index, event->text, logprobs ? &choice->logprobs : NULL, &request->out);
    logprob_lists_clear(&choice->logprobs);
    return true;
}

/* False: it failed, and the request is no more. */
static bool on_session_end(struct request *request, int index, const struct session_event *event)
{
    struct choice *choice = &request->choices[index];
    choice->ended = true;
    request->usage.completion_tokens += event->usage.completion_tokens;
    if (index % per_prompt(request) == 0)
        request->usage.cached_tokens += event->usage.cached_tokens;
    request->usage.dropped_tokens += event->usage.dropped_tokens;
    bool enough = event->reason == FINISH_CANCELLED && spoken_is_done(choice);
    if ((event->reason == FINISH_ERROR || event->reason == FINISH_CANCELLED) && !enough) {
        struct api_error error;
        log_event(LOG_ERROR, "local_failed", "%s: %s", request->decision_id, event->error != NULL ? event->error->text : "cancelled");
        api_error_set(&error, 500, "local_model_failed", NULL, "The local model failed");
        request_fail(request, &error, "error");
        return false;
    }
    if (choice->spoken != NULL && spoken_finish(request, index, event->reason == FINISH_STOP) < 0) {
        fail_parts(request);
        return false;
    }
    bool calls = spoken_has_calls(choice) && (event->reason != FINISH_LENGTH || spoken_is_done(choice));
    choice->finish_reason = calls ? "tool_calls" : finish_name(event->reason);
    if (request->api.stream) {
        request->citations = knowing_cite(request, buffer_str(&choice->text));
        chunk_annotations(&request->head, index, request->citations, &request->out);
        chunk_finish(&request->head, index, choice->finish_reason, &request->out);
    }
    return true;
}

/* The n best of best_of generated ones, by mean log-probability, into out[n] in order of goodness. */
static void pick_best(const struct request *request, int first, int *out)
{
    bool taken[API_MAX_CHOICES] = {false};
    int n = request->api.n, from = per_prompt(request);
    assert(from <= API_MAX_CHOICES);
    for (int k = 0; k < n; k++) {
        int best = -1;
        double best_mean = 0;
        for (int i = 0; i < from; i++) {
            const struct choice *choice = &request->choices[first + i];
            double mean = from == n ? -i : choice->n_tokens > 0 ? choice->sum_logprob / choice->n_tokens : 0.0;
            if (!taken[i] && (best < 0 || mean > best_mean)) {
                best = i;
                best_mean = mean;
            }
        }
        taken[best] = true;
        out[k] = first + best;
    }
}

static void finish_whole(struct request *request)
{
    int best[API_MAX_CHOICES], index = 0;
    answer_begin(&request->head, &request->out);
    for (int first = 0; first < request->n_choices; first += per_prompt(request)) {
        pick_best(request, first, best);
        for (int k = 0; k < request->api.n; k++) {
            struct choice *choice = &request->choices[best[k]];
            struct answer_message message = spoken_message(choice);
            message.annotations = request->citations = knowing_cite(request, message.text);
            answer_choice(&request->head, index++, &message, request->api.logprobs ? &choice->logprobs : NULL,
                          choice->finish_reason, &request->out);
        }
    }
    answer_end(&request->head, &request->usage, &request->out);
    const char *finish_reason = request->choices[best[0]].finish_reason;
    if (request->out.failed) {
        struct api_error error;
        api_error_set(&error, 500, NULL, NULL, "The answer is larger than this server gives");
        request_fail(request, &error, "error");
        return;
    }
    request_headers(request, true);
    reply_send(request->reply, 200, "application/json", buffer_str(&request->out));
    request->reply = NULL;
    request_end(request, "ok", 200, finish_reason, NULL);
}

/* The beginning of a stream: roles, or the echoed prompts. */
static void begin_stream(struct request *request)
{
    stream_begin(request);
    stream_roles(request);
    for (int i = 0; i < request->n_choices && request->api.echo; i++) {
        struct choice *choice = &request->choices[i];
        chunk_text(&request->head, i, buffer_str(&choice->text), request->api.logprobs ? &choice->logprobs : NULL, &request->out);
        logprob_lists_clear(&choice->logprobs);
    }
}

void local_pump(struct request *request)
{
    if (request->paused || !cascade_resume(request))
        return;
    bool all_ended = true;
    for (int i = 0; i < request->n_choices; i++) {
        struct choice *choice = &request->choices[i];
        struct session_event event;
        while (!choice->ended && session_next(choice->session, &event) == 1) {
            if (cascade_holds(request) && request->api.stream)
                stream_roles(request);
            else if (request->api.stream && !request->streaming && !(event.kind == SESSION_END && event.reason == FINISH_ERROR))
                begin_stream(request);
            if (event.kind == SESSION_TOKEN ? !on_token(request, i, &event) : !on_session_end(request, i, &event))
                return;
            if (!cascade_pass(request, &event))
                return;
            if (request->api.stream && !cascade_holds(request) && !stream_flush(request))
                return;
        }
        all_ended &= choice->ended;
    }
    if (!all_ended)
        return;
    if (!request->api.stream) {
        finish_whole(request);
        return;
    }
    if (!request->streaming) { /* Nothing was to be generated. */
        begin_stream(request);
        for (int i = 0; i < request->n_choices; i++)
            chunk_finish(&request->head, i, request->choices[i].finish_reason, &request->out);
    }
    stream_finish(request, request->choices[0].finish_reason);
}

void local_cancel(struct request *request)
{
    for (int i = 0; i < request->n_choices; i++) {
        struct choice *choice = &request->choices[i];
        if (choice->session == NULL)
            continue;
        if (!choice->ended) /* Broken off: what came out of it was generated all the same. */
            request->usage.completion_tokens += choice->n_tokens;
        session_free(choice->session);
        choice->session = NULL;
    }
}
