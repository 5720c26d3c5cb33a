/* What one attempt of a relay brings: the head, the events of a stream or a whole body, and how it ended.
 *
 * Invariants: text given to the owner is appended to the choice's record first, so that another provider can carry on from
 * exactly there; a stream counts as complete only by finish reasons or [DONE]; a bad event is skipped and counted. Loop
 * thread, called by the exchange. What follows a failure is relay.c's. */
#include "upstream/relay_internal.h"

static bool all_finished(const struct relay *relay)
{
    int seen = 0;
    for (int i = 0; i < relay->n_choices; i++) {
        if (!relay->choices[i].seen)
            continue;
        if (!relay->choices[i].finished)
            return false;
        seen++;
    }
    return seen > 0 && seen >= relay->n_wanted;
}

static struct choice *choice_at(struct relay *relay, int64_t index)
{
    if (index < 0 || index >= RELAY_MAX_CHOICES)
        return NULL;
    if (relay->choices == NULL) {
        relay->choices = calloc(RELAY_MAX_CHOICES, sizeof *relay->choices);
        if (relay->choices == NULL)
            return NULL;
        for (int i = 0; i < RELAY_MAX_CHOICES; i++)
            buffer_init(&relay->choices[i].text, RELAY_TEXT_BYTES);
    }
    if (index >= relay->n_choices)
        relay->n_choices = (int)index + 1;
    return &relay->choices[index];
}

static void on_head(void *user, int status, const char *content_type, int64_t retry_after_us)
{
    struct relay *relay = user;
    relay->status = status;
    relay->retry_after_us = retry_after_us;
    bool good = status >= 200 && status < 300;
    relay->body_is_error = !good;
    /* Some providers answer a streamed request that fails with 200 and a JSON body. */
    relay->streaming = good && relay->options.stream && !str_starts(str_of(content_type), STR("application/json"));
    relay->body.max_bytes = relay->body_is_error ? RELAY_ERROR_BYTES : relay->options.max_answer_bytes > 0 ? relay->options.max_answer_bytes : RELAY_ANSWER_BYTES;
}

/* The first good sign of this attempt. */
static bool announce(struct relay *relay)
{
    if (relay->announced)
        return true;
    relay->announced = true;
    return relay_emit(relay, &(struct relay_event){.kind = RELAY_STARTED});
}

/* Skips what was said before when the question was asked afresh. False: another answer than before. */
static bool skip_said(struct relay *relay, struct choice *choice, str *text)
{
    if (relay->mode != ATTEMPT_AFRESH || choice->matched >= choice->text.n)
        return true;
    size_t rest = choice->text.n - choice->matched;
    size_t n = text->n < rest ? text->n : rest;
    if (n > 0 && memcmp(choice->text.data + choice->matched, text->data, n) != 0)
        return false;
    choice->matched += n;
    text->data += n;
    text->n -= n;
    return true;
}

/* One member of "choices" of a chunk. 0, 1: skipped as bad, negative: the attempt is over or the relay gone. */
static int take_choice(struct relay *relay, const json_t *chunk, const json_t *item)
{
    int64_t index = 0;
    if (!json_is_object(item) || json_member_i64(item, "index", &index, NULL) < 0)
        return 1;
    struct choice *choice = choice_at(relay, index);
    if (choice == NULL)
        return 1;
    choice->seen = true;
    str text = {NULL, 0}, finish = {NULL, 0};
    const json_t *delta = json_object_get(item, "delta");
    if (!json_is_object(delta))
        delta = NULL;
    int status = relay->options.api == RELAY_CHAT ? (delta != NULL ? json_member_str(delta, "content", &text, NULL) : 0) : json_member_str(item, "text", &text, NULL);
    if (status < 0 || json_member_str(item, "finish_reason", &finish, NULL) < 0)
        return 1;
    bool whole = text.n > 0;
    if (!skip_said(relay, choice, &text)) {
        relay_attempt_end(relay, END_DIVERGED, EXCHANGE_OK, NULL);
        return WEIR_E_CANCELLED;
    }
    bool tools = delta != NULL && (json_object_get(delta, "tool_calls") != NULL || json_object_get(delta, "function_call") != NULL);
    bool skipped = whole && text.n == 0;
    if (finish.n > 0)
        choice->finished = true;
    if (relay->mode != ATTEMPT_FIRST && text.n == 0 && finish.n == 0 && !tools)
        return 0; /* The role, or what was said before. */
    if (text.n > 0 && buffer_append_str(&choice->text, text) < 0) {
        relay_attempt_end(relay, END_CUT, EXCHANGE_OK, NULL);
        return WEIR_E_CANCELLED;
    }
    choice->matched = choice->text.n;
    relay->tools_sent = relay->tools_sent || tools;
    relay->attempt_sent = relay->attempt_sent || text.n > 0 || tools || finish.n > 0;
    relay->any_sent = relay->any_sent || text.n > 0 || tools || finish.n > 0;
    const json_t *logprobs = json_object_get(item, "logprobs");
    bool alive = relay_emit(relay, &(struct relay_event){.kind = RELAY_DELTA, .choice = (int)index, .text = text, .delta = delta,
                                                         .logprobs = skipped || json_is_null(logprobs) ? NULL : logprobs,
                                                         .finish_reason = finish.n > 0 ? finish.data : NULL, .json = chunk});
    return alive ? 0 : WEIR_E_CANCELLED;
}

static int take_chunk(struct relay *relay, json_t *chunk)
{
    json_t *error = json_object_get(chunk, "error");
    if (error != NULL && !json_is_null(error)) {
        relay_attempt_end(relay, END_ERROR_BODY, EXCHANGE_OK, error);
        return WEIR_E_CANCELLED;
    }
    json_t *choices = json_object_get(chunk, "choices");
    struct token_usage usage;
    bool has_usage = openai_usage(chunk, &usage);
    if (has_usage) {
        relay->usage = usage;
        relay->usage_known = true;
    }
    if (!json_is_array(choices)) {
        relay->n_bad_events += !has_usage;
        return 0;
    }
    if (!announce(relay))
        return WEIR_E_CANCELLED;
    if (json_array_size(choices) == 0) {
        if (has_usage && relay->options.include_usage && !relay_emit(relay, &(struct relay_event){.kind = RELAY_DELTA, .choice = -1, .json = chunk}))
            return WEIR_E_CANCELLED;
        return 0;
    }
    if (!relay->options.include_usage)
        json_object_del(chunk, "usage");
    size_t index;
    json_t *item;
    json_array_foreach(choices, index, item) {
        int status = take_choice(relay, chunk, item);
        if (status < 0)
            return status;
        relay->n_bad_events += status;
    }
    return 0;
}

static int on_event(void *user, str event, str data)
{
    struct relay *relay = user;
    data = str_trim(data);
    if (data.n == 0)
        return 0;
    if (relay->exchange != NULL)
        exchange_progress(relay->exchange);
    if (str_equal(data, STR("[DONE]"))) {
        relay->done_seen = true;
        relay_attempt_end(relay, relay->announced ? END_GOOD : END_CUT, EXCHANGE_OK, NULL);
        return WEIR_E_CANCELLED;
    }
    json_t *chunk = json_parse(data, NULL);
    int status = 0;
    if (json_is_object(chunk))
        status = take_chunk(relay, chunk);
    else
        relay->n_bad_events++;
    json_decref(chunk);
    return status;
}

static int on_data(void *user, str bytes)
{
    struct relay *relay = user;
    if (relay->streaming) {
        int status = sse_push(&relay->sse, bytes, on_event, relay);
        /* Ended from inside: the exchange was detached or cancelled and knows what to do with the rest. */
        return relay->exchange == NULL ? 0 : status;
    }
    exchange_progress(relay->exchange);
    if (relay->body_is_error && relay->body.n + bytes.n > RELAY_ERROR_BYTES)
        bytes.n = RELAY_ERROR_BYTES - relay->body.n; /* What does not fit says nothing new. */
    return buffer_append_str(&relay->body, bytes);
}

/* A stream's connection is over. */
static void stream_done(struct relay *relay, enum exchange_failure failure)
{
    if (failure == EXCHANGE_OK && sse_finish(&relay->sse, on_event, relay) < 0)
        return; /* The last event ended it, or the owner did. */
    if (all_finished(relay))
        relay_attempt_end(relay, END_GOOD, failure, NULL);
    else if (failure == EXCHANGE_OK)
        relay_attempt_end(relay, END_CUT, failure, NULL);
    else
        relay_attempt_end(relay, END_EXCHANGE, failure, NULL);
}

static void body_done(struct relay *relay)
{
    json_t *answer = json_parse(buffer_str(&relay->body), NULL);
    json_t *error = json_is_object(answer) ? json_object_get(answer, "error") : NULL;
    if (json_is_null(error))
        error = NULL;
    if (relay->body_is_error) {
        relay_attempt_end(relay, END_STATUS, EXCHANGE_OK, json_is_object(error) ? error : NULL);
    } else if (error != NULL) {
        relay_attempt_end(relay, END_ERROR_BODY, EXCHANGE_OK, error);
    } else if (!json_is_object(answer) || relay->options.stream ||
               json_array_size(json_object_get(answer, relay->options.api == RELAY_EMBEDDINGS ? "data" : "choices")) == 0) {
        relay_attempt_end(relay, END_BAD_JSON, EXCHANGE_OK, NULL);
    } else {
        relay->usage_known = openai_usage(answer, &relay->usage);
        if (announce(relay) && relay_emit(relay, &(struct relay_event){.kind = RELAY_ANSWER, .json = answer}))
            relay_attempt_end(relay, END_GOOD, EXCHANGE_OK, NULL);
    }
    json_decref(answer);
}

static void on_done(void *user, const struct exchange_result *result)
{
    struct relay *relay = user;
    relay->exchange = NULL;
    relay->result = *result;
    if (relay->streaming)
        stream_done(relay, result->failure);
    else if (relay->body_is_error && relay->status > 0 && result->failure != EXCHANGE_OK)
        relay_attempt_end(relay, END_STATUS, EXCHANGE_OK, NULL); /* The status says enough. */
    else if (result->failure != EXCHANGE_OK)
        relay_attempt_end(relay, END_EXCHANGE, result->failure, NULL);
    else
        body_done(relay);
}

const struct exchange_callbacks relay_callbacks = {.head = on_head, .data = on_data, .done = on_done};
