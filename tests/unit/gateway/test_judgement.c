/* Judgements: a weak answer leaves only where it may and can be paid, and any judgement can be made again from its JSON. */
#include "decide/decide.h"
#include "decide/judgement.h"

#include <criterion/criterion.h>
#include <math.h>

static struct judgement base(void)
{
    return (struct judgement){.n_tokens = 24, .as_text = true, .logprob_mean = -0.7f, .logprob_min = -4.1f, .entropy_mean = 1.1f, .margin_mean = 0.9f,
                              .self_check = NAN, .p_local = 0.3f, .gain = 0.6f, .threshold = 0.1, .affordable = true, .n_targets = 1};
}

static bool leaves(struct judgement judgement, const char *expected)
{
    const char *reason;
    bool out = judgement_escalates(&judgement, &reason);
    cr_assert_str_eq(reason, expected);
    return out;
}

Test(judgement, an_answer_leaves_only_when_its_gain_is_above_the_threshold)
{
    struct judgement judgement = base();
    cr_assert(leaves(judgement, "answer_weak"));
    judgement.gain = 0.5f;
    judgement.threshold = 0.5;
    cr_assert_not(leaves(judgement, "answer_good"), "not when it is as much");
    judgement.gain = NAN;
    cr_assert_not(leaves(judgement, "answer_unjudged"), "no number keeps it here");
    judgement = base();
    judgement.affordable = false;
    cr_assert_not(leaves(judgement, "budget_exceeded"));
    judgement = base();
    judgement.n_targets = 0;
    cr_assert_not(leaves(judgement, "answer_good"));
}

Test(judgement, reads_back_bit_for_bit)
{
    struct judgement judgement = base(), again;
    judgement.gain = 0.1f;
    judgement.threshold = 0.1; /* A float's 0.1 is above a double's. */
    struct buffer text;
    struct error err = {0};
    json_t *json = judgement_json(&judgement), *read;
    buffer_init(&text, 4096);
    cr_assert_eq(json_write(json, &text), 0);
    read = json_parse(buffer_str(&text), &err);
    cr_assert_eq(judgement_parse(read, &again, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(again.gain, judgement.gain);
    cr_assert_eq(again.threshold, judgement.threshold);
    cr_assert(isnan(again.self_check) && again.margin_mean == judgement.margin_mean && again.n_tokens == 24 && again.as_text && !again.whole);
    cr_assert(leaves(again, "answer_weak"));
    json_object_del(read, "threshold");
    cr_assert_eq(judgement_parse(read, &again, &err), WEIR_E_INVALID);
    json_decref(json);
    json_decref(read);
    buffer_release(&text);
}

Test(judgement, only_what_was_good_enough_by_its_score_is_watched)
{
    struct decide_inputs in = {.kind = NAME_AUTO, .max_regret = 0.4, .effect = EFFECT_ALLOW, .local_permitted = true, .scored = true, .gain = 0.3f,
                               .local = LOCAL_READY, .n_targets = 1};
    struct decision out;
    in.targets[0].permitted = in.targets[0].usable = in.targets[0].healthy = true;
    decide(&in, &out);
    cr_assert(out.kind == ROUTE_LOCAL && out.watched && out.n_targets == 1 && out.threshold == 0.4);
    in.drift = true;
    decide(&in, &out);
    cr_assert(out.kind == ROUTE_REMOTE && !out.watched);
    in.gain = 0.1f;
    decide(&in, &out);
    cr_assert(out.watched && out.threshold == 0.2, "the threshold that was used");
    in.targets[0].permitted = false;
    decide(&in, &out);
    cr_assert(out.kind == ROUTE_LOCAL && !out.watched, "nowhere to go");
    in.targets[0].permitted = true;
    in.scored = false;
    decide(&in, &out);
    cr_assert(out.kind == ROUTE_LOCAL && !out.watched, "no score");
    in.scored = true;
    in.kind = NAME_LOCAL;
    decide(&in, &out);
    cr_assert(out.kind == ROUTE_LOCAL && !out.watched, "asked for");
}
