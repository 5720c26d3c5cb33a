/* See judgement.h. Pure; any thread. Floats are widened to double before they are written, so that they read back the same. */
#include "decide/judgement.h"

#include <math.h>

bool judgement_escalates(const struct judgement *judgement, const char **reason)
{
    if (isnan(judgement->gain)) {
        *reason = "answer_unjudged";
        return false;
    }
    if (judgement->n_targets == 0 || !((double)judgement->gain > judgement->threshold)) {
        *reason = "answer_good";
        return false;
    }
    *reason = judgement->affordable ? "answer_weak" : "budget_exceeded";
    return judgement->affordable;
}

/* ------------------------------------------------------------------ JSON */

static const struct {
    const char *name;
    size_t offset;
} numbers[] = {
    {"logprob_mean", offsetof(struct judgement, logprob_mean)}, {"logprob_min", offsetof(struct judgement, logprob_min)},
    {"entropy_mean", offsetof(struct judgement, entropy_mean)}, {"margin_mean", offsetof(struct judgement, margin_mean)},
    {"self_check", offsetof(struct judgement, self_check)},     {"p_local", offsetof(struct judgement, p_local)},
    {"gain", offsetof(struct judgement, gain)},
};
enum { N_NUMBERS = sizeof numbers / sizeof *numbers };

static float *number_at(struct judgement *judgement, size_t i)
{
    return (float *)(void *)((char *)judgement + numbers[i].offset);
}

json_t *judgement_json(const struct judgement *judgement)
{
    struct judgement copy = *judgement;
    json_t *object = json_pack("{s:i, s:b, s:b, s:f, s:b, s:i}", "tokens", copy.n_tokens, "whole", copy.whole, "as_text", copy.as_text, "threshold",
                               copy.threshold, "affordable", copy.affordable, "targets", copy.n_targets);
    for (size_t i = 0; i < N_NUMBERS; i++) {
        float value = *number_at(&copy, i);
        json_object_set_new(object, numbers[i].name, isnan(value) ? json_null() : json_real((double)value));
    }
    return object;
}

int judgement_parse(const json_t *json, struct judgement *out, struct error *err)
{
    int64_t n_tokens = 0, n_targets = 0;
    *out = (struct judgement){0};
    if (json_member_i64(json, "tokens", &n_tokens, err) <= 0 || json_member_i64(json, "targets", &n_targets, err) <= 0 ||
        json_member_bool(json, "whole", &out->whole, err) <= 0 || json_member_bool(json, "as_text", &out->as_text, err) <= 0 ||
        json_member_bool(json, "affordable", &out->affordable, err) <= 0 || json_member_f64(json, "threshold", &out->threshold, err) <= 0)
        return error_set(err, WEIR_E_INVALID, "judgement", "needs tokens, targets, whole, as_text, affordable and threshold");
    for (size_t i = 0; i < N_NUMBERS; i++) {
        double value = NAN;
        if (json_member_f64(json, numbers[i].name, &value, err) < 0)
            return WEIR_E_INVALID;
        *number_at(out, i) = (float)value;
    }
    out->n_tokens = (int)n_tokens;
    out->n_targets = (int)n_targets;
    return 0;
}
