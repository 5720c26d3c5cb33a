/* Judgement: whether a local answer that has begun is good enough to be sent. A pure function of what is written down in struct
 * judgement, which goes into the ledger's row of that name as JSON and reads back bit for bit: any judgement can be made again. */
#ifndef WEIR_DECIDE_JUDGEMENT_H
#define WEIR_DECIDE_JUDGEMENT_H

#include "weir_classifier.h"

struct judgement {
    int n_tokens;        /* Of the answer, held back. */
    bool whole;          /* These are all. */
    bool as_text;        /* Its text was read; else confidence alone counts (tools, structured answers). */
    /* What the tokens say; NAN: not known. */
    float logprob_mean, logprob_min, entropy_mean, margin_mean, self_check;
    /* What the head makes of it; NAN: it could not say. */
    float p_local, gain;
    double threshold;    /* decide()'s, for this very decision. */
    bool affordable;     /* The worst case of leaving could be reserved. */
    int n_targets;       /* Those that decide() left. */
};

/* *reason, a static code: "answer_good"; "answer_weak"; "answer_unjudged": there is no number; "budget_exceeded": weak, but there is
 * no money. */
bool judgement_escalates(const struct judgement *judgement, const char **reason);

json_t *judgement_json(const struct judgement *judgement); /* New reference. */
int judgement_parse(const json_t *json, struct judgement *out, struct error *err) WEIR_CHECKED;

#endif
