/* See session.h: making and ending of sessions, and the mailbox between engine and owner. */
#include "engine/session.h"

static const size_t MOST_TEXT = 1 << 20; /* 64 unread tokens can't come near it. */

static void mailbox_init(struct mailbox *box)
{
    *box = (struct mailbox){0};
    buffer_init(&box->text, MOST_TEXT);
}

static void mailbox_release(struct mailbox *box)
{
    buffer_release(&box->text);
    free(box->tokens);
    free(box->chosen);
    free(box->top);
}

static int mailbox_reserve(struct mailbox *box, int n, int n_top)
{
    if (box->n_tokens + n <= box->capacity)
        return 0;
    int capacity = box->capacity < 16 ? 16 : box->capacity * 2;
    while (capacity < box->n_tokens + n)
        capacity *= 2;
    int32_t *tokens = realloc(box->tokens, (size_t)capacity * sizeof *tokens);
    if (tokens == NULL)
        return WEIR_E_MEMORY;
    box->tokens = tokens;
    struct token_logprob *chosen = realloc(box->chosen, (size_t)capacity * sizeof *chosen);
    if (chosen == NULL)
        return WEIR_E_MEMORY;
    box->chosen = chosen;
    struct token_logprob *top = realloc(box->top, (size_t)capacity * (size_t)(n_top + 1) * sizeof *top);
    if (top == NULL)
        return WEIR_E_MEMORY;
    box->top = top;
    box->capacity = capacity;
    return 0;
}

int session_new(struct session **out, struct engine *engine, const struct tokenizer *tokenizer, int n_vocab, const int32_t *prompt,
                size_t n_prompt, const struct sampling *sampling, struct error *err)
{
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return error_set(err, WEIR_E_MEMORY, "session", "out of memory");
    session->engine = engine;
    session->row_wanted = -1;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&session->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    mailbox_init(&session->shared.inbox);
    mailbox_init(&session->outbox);
    session->has_logprobs = sampling->logprobs;
    session->ignore_end = sampling->ignore_end;
    session->background = sampling->background;
    session->shifts = sampling->context_shift;
    session->n_keep = sampling->n_keep;
    struct sampling settings = *sampling;
    if (!settings.logprobs)
        settings.n_top_logprobs = 0;
    int status = sampler_init(&session->sampler, &settings, n_vocab, err);
    if (status == 0)
        status = answer_init(&session->answer, tokenizer, &settings, err);
    session->answer.detokenizer.started = sampling->begun.n > 0; /* A blank is no beginning's any more. */
    if (status == 0) {
        session->capacity = n_prompt + 64;
        session->ids = malloc(session->capacity * sizeof *session->ids);
        if (session->ids == NULL)
            status = error_set(err, WEIR_E_MEMORY, "session", "out of memory");
    }
    for (size_t i = 0; i < n_prompt && status == 0; i++)
        status = sampler_accept(&session->sampler, prompt[i], false);
    if (status < 0) {
        session_destroy(session);
        return status;
    }
    memcpy(session->ids, prompt, n_prompt * sizeof *prompt);
    session->n_ids = session->n_prompt = n_prompt;
    *out = session;
    return 0;
}

void session_destroy(struct session *session)
{
    kv_free(session->kv);
    guesses_release(&session->guesses);
    sampler_release(&session->sampler);
    answer_release(&session->answer);
    mailbox_release(&session->shared.inbox);
    mailbox_release(&session->outbox);
    pthread_cond_destroy(&session->changed);
    free(session->ids);
    free(session);
}

void session_notify(struct session *session)
{
    pthread_cond_signal(&session->changed);
    if (session->notify != NULL)
        session->notify(session->user);
}

int session_room(const struct session *session)
{
    return SESSION_MOST_UNREAD - session->shared.inbox.n_tokens;
}

int session_publish(struct session *session, bool *any)
{
    struct answer *answer = &session->answer;
    struct mailbox *box = &session->shared.inbox;
    size_t certain = answer_certain(answer);
    int n = 0; /* Tokens whose text is certain: all, or those that begin before what is held back. */
    while (n < answer->n_tokens && (certain == answer->pending.n || answer->tokens[n].start < certain))
        n++;
    if (n == 0 && certain == 0)
        return 0;
    if (mailbox_reserve(box, n, answer->n_top) < 0 ||
        buffer_append(&box->text, answer->pending.data, certain) < 0)
        return WEIR_E_MEMORY;
    for (int i = 0; i < n; i++) {
        box->tokens[box->n_tokens + i] = answer->tokens[i].id;
        box->chosen[box->n_tokens + i] = answer->tokens[i].chosen;
    }
    if (answer->n_top > 0)
        memcpy(box->top + box->n_tokens * answer->n_top, answer->top, (size_t)(n * answer->n_top) * sizeof *box->top);
    box->n_tokens += n;
    buffer_consume(&answer->pending, certain);
    answer->n_tokens -= n;
    memmove(answer->tokens, answer->tokens + n, (size_t)answer->n_tokens * sizeof *answer->tokens);
    if (answer->n_top > 0)
        memmove(answer->top, answer->top + n * answer->n_top, (size_t)(answer->n_tokens * answer->n_top) * sizeof *answer->top);
    for (int i = 0; i < answer->n_tokens; i++)
        answer->tokens[i].start = answer->tokens[i].start > certain ? answer->tokens[i].start - certain : 0;
    *any = true;
    return 0;
}
