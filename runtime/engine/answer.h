/* Answer: the text of a session between the tokens that make it and the reader. Holds back what may still turn out to be the
 * beginning of a stop string, at most as many bytes as the longest stop has. */
#ifndef WEIR_ENGINE_ANSWER_H
#define WEIR_ENGINE_ANSWER_H

#include "weir_runtime.h"

struct answer {
    struct detokenizer detokenizer;
    bool has_tokenizer;
    struct buffer pending;    /* Text not yet handed on. */
    struct answer_token {
        int32_t id;
        size_t start;         /* Where its text begins in pending. */
        struct token_logprob chosen;
    } *tokens;                /* Not yet handed on. */
    struct token_logprob *top; /* n_top for each of tokens. */
    int n_tokens, capacity, n_top;
    struct buffer stops_text; /* The stops' bytes, one after another. */
    str stops[SAMPLING_MAX_STOPS];
    size_t n_stops;
};

int answer_init(struct answer *answer, const struct tokenizer *tokenizer, const struct sampling *sampling, struct error *err) WEIR_CHECKED;
void answer_release(struct answer *answer);
/* Takes one token; chosen and top as the sampler gave them. *stopped: a stop string is complete; what is left pending is the
 * text before it, and the tokens that have a part in it. */
int answer_push(struct answer *answer, int32_t id, const struct token_logprob *chosen, const struct token_logprob *top, bool *stopped) WEIR_CHECKED;
/* No more tokens come: everything pending is certain. */
int answer_finish(struct answer *answer) WEIR_CHECKED;
/* Bytes of pending that are certain now. */
size_t answer_certain(const struct answer *answer);

#endif
