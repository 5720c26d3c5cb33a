/* Held: the tokens of a local answer that nothing has been sent of yet, and what is known by them. Loop thread; cascade.c owns it. */
#ifndef WEIR_REQUEST_HELD_H
#define WEIR_REQUEST_HELD_H

#include "decide/judgement.h"
#include "request/request.h"

struct held {
    int limit;              /* So many tokens are looked at, at most. */
    int32_t *tokens;        /* judgement.n_tokens of them, in the request's arena. */
    double sum_logprob, sum_entropy, sum_margin;
    float min_logprob;
    struct judgement judgement;
    struct session *check;  /* The model is being asked about its answer; NULL: it is not. */
};

/* as_text: the answer may be read; else only how sure the model is of it. WEIR_E_MEMORY. */
int held_init(struct held *held, struct arena *arena, int limit, bool as_text) WEIR_CHECKED;
void held_release(struct held *held);
/* Takes an event's tokens, those past the limit left out: so that the same answer always looks alike, whenever its tokens come. */
void held_take(struct held *held, const struct session_event *event);
/* Asks the model whether the answer so far is right. The prompt's and the answer's cache are used again. */
int held_ask(struct held *held, struct request *request) WEIR_CHECKED;
/* False: it has not said yet. */
bool held_hear(struct held *held);
/* The judgement's numbers: of the tokens, and P(local) and gain that the head makes of them; NAN where it cannot say. */
void held_score(struct held *held, struct request *request);

#endif
