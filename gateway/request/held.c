/* See held.h. */
#include "request/held.h"

#include "api/probe.h"

#include <math.h>

enum { HELD_TEXT_BYTES = 1 << 20 };

int held_init(struct held *held, struct arena *arena, int limit, bool as_text)
{
    *held = (struct held){.limit = limit, .min_logprob = INFINITY, .judgement = {.as_text = as_text, .self_check = NAN}};
    held->tokens = arena_array(arena, (size_t)limit, sizeof *held->tokens);
    return held->tokens != NULL ? 0 : WEIR_E_MEMORY;
}

void held_release(struct held *held)
{
    if (held->check != NULL)
        session_free(held->check);
    held->check = NULL;
}

void held_take(struct held *held, const struct session_event *event)
{
    for (int i = 0; i < event->n_tokens && held->judgement.n_tokens < held->limit; i++) {
        const struct token_logprob *token = &event->logprobs[i];
        held->tokens[held->judgement.n_tokens++] = event->tokens[i];
        held->sum_logprob += (double)token->logprob;
        held->sum_entropy += (double)token->entropy;
        held->sum_margin += (double)token->margin;
        held->min_logprob = token->logprob < held->min_logprob ? token->logprob : held->min_logprob;
    }
}

/* Engine thread. */
static void on_engine(void *user)
{
    struct service *service = user;
    uv_async_send(&service->engine_wake);
}

int held_ask(struct held *held, struct request *request)
{
    const struct ids *prompt = &request->prompts[0];
    struct ids ids = {0};
    struct sampling sampling = {.adapter = request->api.sampling.adapter};
    struct error err = {0};
    int status = 0;
    for (size_t i = 0; i < prompt->n && status == 0; i++)
        status = ids_append(&ids, prompt->data[i]);
    for (int i = 0; i < held->judgement.n_tokens && status == 0; i++)
        status = ids_append(&ids, held->tokens[i]);
    if (status == 0)
        status = probe_make(PROBE_ANSWER, request->chat->model, &ids, &sampling, &err);
    if (status == 0)
        status = engine_submit(request->chat->engine, ids.data, ids.n, &sampling, on_engine, request->service, &held->check, &err);
    ids_release(&ids);
    return status;
}

bool held_hear(struct held *held)
{
    struct session_event event;
    while (session_next(held->check, &event) == 1) {
        if (event.kind == SESSION_TOKEN) {
            held->judgement.self_check = probe_read(&event);
            continue;
        }
        session_free(held->check); /* One that failed has no opinion. */
        held->check = NULL;
        return true;
    }
    return false;
}

void held_score(struct held *held, struct request *request)
{
    struct judgement *judgement = &held->judgement;
    struct score score = request->score;
    struct error err = {0};
    struct buffer text;
    double n = judgement->n_tokens;
    judgement->logprob_mean = n > 0 ? (float)(held->sum_logprob / n) : NAN;
    judgement->logprob_min = n > 0 ? held->min_logprob : NAN;
    judgement->entropy_mean = n > 0 ? (float)(held->sum_entropy / n) : NAN;
    judgement->margin_mean = n > 0 ? (float)(held->sum_margin / n) : NAN;
    judgement->p_local = judgement->gain = NAN;
    buffer_init(&text, HELD_TEXT_BYTES);
    int status = tokenizer_decode(model_tokenizer_peek(request->chat->model), held->tokens, (size_t)judgement->n_tokens, false, &text);
    struct answer answer = {.logprob_mean = judgement->logprob_mean, .logprob_min = judgement->logprob_min, .entropy_mean = judgement->entropy_mean,
                            .margin_mean = judgement->margin_mean, .self_check = judgement->self_check, .probe = request->probe};
    score.p_local = request->p_question;
    if (judgement->as_text)
        answer.text = text.data != NULL ? buffer_str(&text) : (str){"", 0};
    if (status == 0)
        status = scorer_score_answer(request->snapshot->classifier->scorer, request->score.text, &answer, &score, &err);
    if (status == 0 && score.tier == TIER_ANSWER) {
        judgement->p_local = score.p_local;
        judgement->gain = score.gain;
    }
    buffer_release(&text);
}
