/* Sampler: from one row of logits to one token. Pure: the same logits, history, settings and draw number give the same token,
 * whatever else runs.
 *
 * The order is: what the grammar forbids; logit bias; repetition penalty (Keskar et al. 2019) over the last SAMPLER_WINDOW tokens; presence and frequency
 * penalties (OpenAI's definition, over generated tokens); temperature; top-k; top-p (Holtzman et al. 2020); min-p (Nguyen
 * et al. 2024); then one draw. Temperature 0 takes the largest logit, the lowest id among equals. */
#ifndef WEIR_ENGINE_SAMPLER_H
#define WEIR_ENGINE_SAMPLER_H

#include "grammar/token_list.h"
#include "weir_runtime.h"

enum { SAMPLER_WINDOW = 256 };

struct sampler {
    struct sampling settings; /* bias points into own memory, stops are not kept here. */
    struct logit_bias *bias;
    uint64_t seed;
    uint64_t n_draws;
    int n_vocab;
    float *logits;            /* n_vocab, worked on. */
    struct candidate *candidates; /* n_vocab, NULL while greedy. */
    int32_t *recent;          /* Ring of the last SAMPLER_WINDOW tokens. */
    size_t n_seen;
    int n_generated;
    struct token_count *counts; /* Generated ids with their counts, open addressing. */
    size_t n_counts, counts_capacity;
    bool is_constrained;
    struct constraint constraint;
    const struct tokenizer *tokenizer; /* Whose tokens may end a constrained answer. */
};

/* Settings are checked: WEIR_E_INVALID names the one out of range. */
int sampler_init(struct sampler *sampler, const struct sampling *settings, int n_vocab, struct error *err) WEIR_CHECKED;
/* Holds the answer to settings.grammar, as far as it has begun: before the first token. list is borrowed. */
int sampler_constrain(struct sampler *sampler, const struct sampling *settings, const struct token_list *list,
                      const struct tokenizer *tokenizer, struct error *err) WEIR_CHECKED;
/* Is the answer whole, with nothing that could follow? */
bool sampler_must_end(const struct sampler *sampler);
void sampler_release(struct sampler *sampler);
/* Tells of a token of the prompt (generated false) or of the answer. WEIR_E_MEMORY. */
int sampler_accept(struct sampler *sampler, int32_t id, bool generated) WEIR_CHECKED;
/* The next token, -1 when the grammar lets none through (a vocabulary without the letters it asks for). chosen and top (n_top_logprobs entries) get log-probabilities when settings.logprobs; else they are left. */
int32_t sampler_pick(struct sampler *sampler, const float *logits, struct token_logprob *chosen, struct token_logprob *top);

#endif
