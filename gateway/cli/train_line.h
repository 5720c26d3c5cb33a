/* A training line of `weir generate --train-lines`: a question with what its answer says of itself, as `weir train` takes it. */
#ifndef WEIR_CLI_TRAIN_LINE_H
#define WEIR_CLI_TRAIN_LINE_H

#include "weir_runtime.h"

/* What the tokens of an answer say of it together. */
struct confidence {
    int n;
    double logprob, entropy, margin;
    float logprob_min;
};
/* One token more. */
void confidence_add(struct confidence *confidence, const struct token_logprob *token);

struct train_line {
    str text;                /* The answer's. */
    struct confidence confidence;
    float self_check, probe; /* NAN: it was not asked. */
};
/* The line's id, text and labels as they came, and "answer". */
void train_line_print(const json_t *line, const struct train_line *answer, struct buffer *out);

#endif
