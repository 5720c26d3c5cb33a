/* Blend: what is known of a local answer, joined into one probability that it is right: a logistic of few numbers. */
#ifndef WEIR_CLASSIFIER_BLEND_H
#define WEIR_CLASSIFIER_BLEND_H

#include "weir_classifier.h"

/* All but the first are known, too, of an answer that is not to be read. The first two and the last two are logits of probabilities. */
enum blend_input {
    BLEND_TEXT,     /* What the answer's text alone says. */
    BLEND_QUESTION, /* What the question alone says. */
    BLEND_LOGPROB_MEAN,
    BLEND_LOGPROB_MIN,
    BLEND_ENTROPY_MEAN,
    BLEND_MARGIN_MEAN,
    BLEND_SELF_CHECK,
    BLEND_PROBE,    /* What the model said of the question before it answered. */
    N_BLEND_INPUTS
};
extern const char *const blend_input_names[N_BLEND_INPUTS];

/* bias + Σ weight × (input - mean) × inverse_sd; one that is not known (NAN) adds nothing. */
struct blend {
    bool present;
    double bias;
    double weights[N_BLEND_INPUTS], means[N_BLEND_INPUTS], inverse_sds[N_BLEND_INPUTS];
};

/* The logit of a probability, NAN of NAN. */
float blend_logit(float p);
/* The inputs of an answer but BLEND_TEXT. p_local: of the question alone. */
void blend_inputs(const struct answer *answer, float p_local, float out[N_BLEND_INPUTS]);
float blend_value(const struct blend *blend, const float inputs[N_BLEND_INPUTS]); /* A probability. */
/* Sets of inputs, bits by enum blend_input: all that is known of an answer; without its text; before there is one. */
enum { BLEND_OF_TEXT = (1 << N_BLEND_INPUTS) - 1, BLEND_OF_CONFIDENCE = BLEND_OF_TEXT & ~(1 << BLEND_TEXT),
       BLEND_OF_PROBE = 1 << BLEND_QUESTION | 1 << BLEND_PROBE };
/* Fits on n rows of inputs (n × N_BLEND_INPUTS, those of `set` are used) and targets in 0 … 1, rows with weight 0 left out. present stays
 * false where no input but the question's differs between the rows. */
void blend_fit(struct blend *out, const float *inputs, const float *targets, const float *weights, size_t n, unsigned set);

#endif
