/* See answer.h. Runs on the engine's thread. */
#include "engine/answer.h"

enum { LONGEST_STOP = 1024, MOST_PENDING = 1 << 20 };

int answer_init(struct answer *answer, const struct tokenizer *tokenizer, const struct sampling *sampling, struct error *err)
{
    *answer = (struct answer){.has_tokenizer = tokenizer != NULL, .n_top = sampling->n_top_logprobs};
    buffer_init(&answer->pending, MOST_PENDING);
    buffer_init(&answer->stops_text, SAMPLING_MAX_STOPS * LONGEST_STOP);
    if (tokenizer != NULL)
        detokenizer_init(&answer->detokenizer, tokenizer);
    if (sampling->n_stops > SAMPLING_MAX_STOPS)
        return error_set(err, WEIR_E_INVALID, "stop", "more than %d stop strings", SAMPLING_MAX_STOPS);
    for (size_t i = 0; i < sampling->n_stops; i++) {
        if (sampling->stops[i].n == 0 || sampling->stops[i].n > LONGEST_STOP)
            return error_set(err, WEIR_E_INVALID, "stop", "a stop string has 1 to %d bytes", LONGEST_STOP);
        buffer_append_str(&answer->stops_text, sampling->stops[i]);
    }
    size_t at = 0;
    for (size_t i = 0; i < sampling->n_stops && !answer->stops_text.failed; i++) {
        answer->stops[i] = (str){answer->stops_text.data + at, sampling->stops[i].n};
        at += sampling->stops[i].n;
    }
    answer->n_stops = sampling->n_stops;
    return answer->stops_text.failed ? error_set(err, WEIR_E_MEMORY, "stop", "out of memory") : 0;
}

void answer_release(struct answer *answer)
{
    buffer_release(&answer->pending);
    buffer_release(&answer->stops_text);
    free(answer->tokens);
    free(answer->top);
    *answer = (struct answer){0};
}

static int add_token(struct answer *answer, int32_t id, const struct token_logprob *chosen, const struct token_logprob *top)
{
    if (answer->n_tokens == answer->capacity) {
        int capacity = answer->capacity < 16 ? 16 : answer->capacity * 2;
        struct answer_token *tokens = realloc(answer->tokens, (size_t)capacity * sizeof *tokens);
        if (tokens == NULL)
            return WEIR_E_MEMORY;
        answer->tokens = tokens;
        struct token_logprob *tops = realloc(answer->top, (size_t)capacity * (size_t)(answer->n_top + 1) * sizeof *tops);
        if (tops == NULL)
            return WEIR_E_MEMORY;
        answer->top = tops;
        answer->capacity = capacity;
    }
    answer->tokens[answer->n_tokens] = (struct answer_token){id, answer->pending.n, *chosen};
    for (int i = 0; i < answer->n_top; i++)
        answer->top[answer->n_tokens * answer->n_top + i] = top[i];
    answer->n_tokens++;
    return 0;
}

/* The earliest stop string in pending from `from` on, or -1. */
static ptrdiff_t find_stop(const struct answer *answer, size_t from)
{
    ptrdiff_t earliest = -1;
    str text = {answer->pending.data + from, answer->pending.n - from};
    for (size_t i = 0; i < answer->n_stops && text.n > 0; i++) {
        ptrdiff_t at = str_find(text, answer->stops[i]);
        if (at >= 0 && (earliest < 0 || at < earliest))
            earliest = at;
    }
    return earliest < 0 ? -1 : earliest + (ptrdiff_t)from;
}

int answer_push(struct answer *answer, int32_t id, const struct token_logprob *chosen, const struct token_logprob *top, bool *stopped)
{
    *stopped = false;
    size_t before = answer->pending.n;
    int status = add_token(answer, id, chosen, top);
    if (status < 0 || !answer->has_tokenizer)
        return status;
    status = detokenizer_push(&answer->detokenizer, id, &answer->pending);
    if (status < 0 || answer->n_stops == 0)
        return status;
    /* A stop may begin in earlier text, but not earlier than its own length. */
    size_t from = before > LONGEST_STOP ? before - LONGEST_STOP : 0;
    ptrdiff_t at = find_stop(answer, from);
    if (at < 0)
        return 0;
    *stopped = true;
    answer->pending.n = (size_t)at;
    answer->pending.data[at] = '\0';
    while (answer->n_tokens > 0 && answer->tokens[answer->n_tokens - 1].start >= (size_t)at && answer->n_tokens > 1)
        answer->n_tokens--;
    if (answer->n_tokens == 1 && answer->tokens[0].start >= (size_t)at)
        answer->n_tokens = 0;
    return 0;
}

int answer_finish(struct answer *answer)
{
    answer->n_stops = 0;
    return answer->has_tokenizer ? detokenizer_push(&answer->detokenizer, -1, &answer->pending) : 0;
}

size_t answer_certain(const struct answer *answer)
{
    size_t certain = answer->pending.n;
    for (size_t i = 0; i < answer->n_stops; i++) {
        str stop = answer->stops[i];
        size_t longest = stop.n - 1 < answer->pending.n ? stop.n - 1 : answer->pending.n;
        for (size_t n = longest; n > 0; n--) {
            size_t at = answer->pending.n - n;
            if (memcmp(answer->pending.data + at, stop.data, n) == 0) {
                certain = at < certain ? at : certain;
                break;
            }
        }
    }
    return certain;
}
