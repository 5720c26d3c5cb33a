/* decide(): closed on doubt, names kept, and replayable from its JSON. */
#include "decide/decide.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

static struct decide_inputs base(enum name_kind kind)
{
    struct decide_inputs in = {.kind = kind, .max_regret = 0.1, .effect = EFFECT_ALLOW, .local_permitted = true, .scored = true,
                               .p_local = 0.5f, .p_remote = 0.9f, .gain = 0.4f, .local = LOCAL_READY, .n_targets = 2};
    for (int i = 0; i < 2; i++) {
        snprintf(in.targets[i].provider, sizeof in.targets[i].provider, "p%d", i);
        snprintf(in.targets[i].model, sizeof in.targets[i].model, "m");
        in.targets[i].permitted = in.targets[i].usable = in.targets[i].healthy = true;
        in.targets[i].worst_nusd = 100;
        in.targets[i].input_nusd = in.targets[i].output_nusd = 5;
        in.targets[i].cached_input_nusd = MONEY_UNKNOWN;
    }
    return in;
}

static struct decision run(const struct decide_inputs *in)
{
    struct decision out;
    decide(in, &out);
    return out;
}

Test(decide, auto_leaves_only_when_the_gain_is_above_the_regret)
{
    struct decide_inputs in = base(NAME_AUTO);
    cr_assert_str_eq(run(&in).route, "remote:p0/m");
    cr_assert_str_eq(run(&in).reasons[0], "gain_above_max_regret");
    in.gain = 0.1f - 0.001f;
    cr_assert_str_eq(run(&in).route, "local");
    in.session_remote = true;
    cr_assert_str_eq(run(&in).route, "remote:p0/m", "half the regret once the conversation left");
    in.scored = false;
    cr_assert_str_eq(run(&in).route, "local", "no score closes the remote path");
    cr_assert_str_eq(run(&in).reasons[0], "no_score");
}

Test(decide, what_the_model_said_of_the_question_is_read_back)
{
    struct decide_inputs in = base(NAME_AUTO), again;
    struct score score = {.p_local = 0.25f, .p_remote = 0.9f, .gain = 0.65f, .domain = "d", .domain_p = 1, .tier = TIER_PROBE};
    struct error err = {0};
    decide_inputs_score(&in, &score, 0.3f);
    json_t *json = decide_inputs_json(&in);
    cr_assert_eq(decide_inputs_parse(json, &again, &err), 0, "%s: %s", err.where, err.text);
    cr_assert(again.probed && again.probe == 0.3f && again.tier == TIER_PROBE && again.gain == 0.65f);
    json_object_del(json_object_get(json, "score"), "probe");
    cr_assert_eq(decide_inputs_parse(json, &again, &err), 0);
    cr_assert_not(again.probed, "older rows have none");
    json_decref(json);
}

Test(decide, every_doubt_strikes_a_target_out)
{
    struct decide_inputs in = base(NAME_AUTO);
    in.targets[0].permitted = false;
    cr_assert_str_eq(run(&in).route, "remote:p1/m");
    in.targets[1].healthy = false;
    cr_assert_str_eq(run(&in).route, "local");
    in = base(NAME_AUTO);
    in.budget_limited = true;
    in.budget_nusd = 99;
    cr_assert_str_eq(run(&in).route, "local");
    cr_assert_str_eq(run(&in).reasons[0], "budget_exceeded");
    in.budget_nusd = 100;
    in.targets[0].worst_nusd = MONEY_UNKNOWN;
    cr_assert_str_eq(run(&in).route, "remote:p1/m", "an unknown price is not free");
    in = base(NAME_AUTO);
    in.targets[0].usable = in.targets[1].usable = false;
    in.local = LOCAL_MISSING;
    cr_assert_eq(run(&in).status, 503);
}

Test(decide, policy_wins_over_everything)
{
    enum name_kind kinds[] = {NAME_AUTO, NAME_BARE, NAME_PINNED, NAME_LOCAL};
    for (int k = 0; k < 4; k++) {
        struct decide_inputs in = base(kinds[k]);
        in.effect = EFFECT_REFUSE;
        struct decision out = run(&in);
        cr_assert(out.kind == ROUTE_REFUSE && out.status == 403 && out.n_targets == 0);
        in.effect = EFFECT_LOCAL_ONLY;
        out = run(&in);
        cr_assert_eq(out.n_targets, 0);
        if (kinds[k] == NAME_PINNED)
            cr_assert(out.kind == ROUTE_REFUSE && out.status == 403, "a pinned name is never replaced");
        else
            cr_assert_str_eq(out.route, "local");
        in.effect = EFFECT_REDACT;
        cr_assert(run(&in).redact);
    }
}

Test(decide, what_the_cache_has_is_given_unless_policy_refuses)
{
    enum name_kind kinds[] = {NAME_AUTO, NAME_BARE, NAME_PINNED, NAME_LOCAL};
    for (int k = 0; k < 4; k++) {
        struct decide_inputs in = base(kinds[k]);
        in.cached = CACHE_EXACT;
        in.local = LOCAL_UNASKED;
        struct decision out = run(&in);
        cr_assert(out.kind == ROUTE_CACHE && out.n_targets == 0 && !out.local_last);
        cr_assert_str_eq(out.route, "cache");
        cr_assert_str_eq(out.reasons[0], "cache_exact");
        in.cached = CACHE_SEMANTIC;
        cr_assert_str_eq(run(&in).reasons[0], "cache_semantic");
        in.effect = EFFECT_REFUSE;
        cr_assert_eq(run(&in).kind, ROUTE_REFUSE);
    }
}

Test(decide, what_the_documents_cover_stays_here)
{
    struct decide_inputs in = base(NAME_AUTO);
    in.searched = true;
    in.n_passages = 2;
    in.known_likeness = 0.5f;
    in.known_terms = 0.5f;
    in.least_likeness = in.least_terms = 0.5;
    cr_assert_str_eq(run(&in).route, "local");
    cr_assert_str_eq(run(&in).reasons[0], "knowledge_covers");
    in.scored = false;
    cr_assert_str_eq(run(&in).reasons[0], "knowledge_covers");
    in.scored = true;
    in.known_likeness = 0.49f;
    cr_assert_str_eq(run(&in).route, "remote:p0/m");
    in.known_likeness = 0.9f;
    in.known_terms = 0.4f;
    cr_assert_str_eq(run(&in).route, "remote:p0/m");
    in.known_terms = 1;
    in.n_passages = 0;
    cr_assert_str_eq(run(&in).route, "remote:p0/m", "none of them fits before the question");
    in.n_passages = 1;
    in.local = LOCAL_TOO_LONG;
    cr_assert_str_eq(run(&in).route, "remote:p0/m");
    in.local = LOCAL_READY;
    in.kind = NAME_PINNED;
    cr_assert_str_eq(run(&in).route, "remote:p0/m", "a pinned name is kept");
    in.kind = NAME_LOCAL;
    struct decision out = run(&in);
    cr_assert(out.n_reasons == 2 && strcmp(out.reasons[0], "local_named") == 0 && strcmp(out.reasons[1], "knowledge_covers") == 0);
    in.kind = NAME_AUTO;
    in.effect = EFFECT_REFUSE;
    cr_assert_eq(run(&in).kind, ROUTE_REFUSE);
}

Test(decide, rows_of_before_the_cache_read_as_not_found)
{
    struct decide_inputs in = base(NAME_AUTO), back;
    struct error err = {0};
    json_t *json = decide_inputs_json(&in);
    json_object_del(json, "cache");
    json_object_del(json, "knowledge");
    cr_assert_eq(decide_inputs_parse(json, &back, &err), 0, "%s: %s", err.where, err.text);
    cr_assert(back.cached == CACHE_NONE && !back.searched);
    cr_assert_str_eq(run(&back).route, run(&in).route);
    json_decref(json);
}

Test(decide, a_pinned_name_is_never_replaced)
{
    struct decide_inputs in = base(NAME_PINNED);
    in.n_targets = 1;
    cr_assert(!run(&in).local_last);
    in.targets[0].healthy = false;
    struct decision out = run(&in);
    cr_assert(out.kind == ROUTE_REFUSE && out.status == 503);
    in.kind = NAME_BARE;
    cr_assert_str_eq(run(&in).route, "local");
}

Test(decide, a_local_name_that_cannot_is_refused_by_its_reason)
{
    static const struct {
        enum local_state state;
        int status;
    } cases[] = {{LOCAL_MISSING, 503}, {LOCAL_TOO_LONG, 400}, {LOCAL_UNSUPPORTED, 400}, {LOCAL_OVERLOADED, 503}};
    for (int i = 0; i < 4; i++) {
        struct decide_inputs in = base(NAME_LOCAL);
        in.local = cases[i].state;
        cr_assert_eq(run(&in).status, cases[i].status);
        in.kind = NAME_AUTO;
        in.gain = 0;
        cr_assert_eq(run(&in).kind, ROUTE_REMOTE, "auto leaves when the local model cannot");
    }
}

Test(decide, a_promised_threshold_takes_the_place_of_max_regret)
{
    struct decide_inputs in = base(NAME_AUTO);
    in.gain = 0.2F;
    cr_assert_eq(run(&in).kind, ROUTE_REMOTE);
    in.promised = true;
    in.threshold = 0.25;
    cr_assert_eq(run(&in).kind, ROUTE_LOCAL);
    cr_assert_str_eq(run(&in).reasons[1], "max_regret_promised");
    in.session_remote = true;
    cr_assert_eq(run(&in).kind, ROUTE_REMOTE, "half the threshold once the conversation has left");
    in.session_remote = false;
    in.gain = -1;
    in.threshold = -2; /* Nothing can be promised. */
    cr_assert_eq(run(&in).kind, ROUTE_REMOTE);
}

Test(decide, ratings_that_belie_the_regret_halve_it)
{
    struct decide_inputs in = base(NAME_AUTO);
    in.gain = 0.07F;
    cr_assert_str_eq(run(&in).route, "local");
    in.drift = true;
    struct decision out = run(&in);
    cr_assert_str_eq(out.route, "remote:p0/m");
    cr_assert(strcmp(out.reasons[0], "gain_above_max_regret") == 0 && strcmp(out.reasons[1], "feedback_drift") == 0);
    in.gain = 0.04F;
    out = run(&in);
    cr_assert(out.kind == ROUTE_LOCAL && strcmp(out.reasons[1], "feedback_drift") == 0);
    in.gain = 0.07F;
    in.effect = EFFECT_LOCAL_ONLY;
    cr_assert_str_eq(run(&in).route, "local", "no rating opens what policy closes");
}

Test(decide, an_expected_answer_costs_at_most_the_worst_case)
{
    struct error err = {0};
    struct prices *prices;
    struct decide_inputs in = base(NAME_AUTO), back;
    struct score score = {.output_tokens = 150.2F};
    str_copy(in.targets[0].provider, sizeof in.targets[0].provider, STR("openai"));
    str_copy(in.targets[0].model, sizeof in.targets[0].model, STR("gpt-4o-mini"));
    in.output_tokens = NAN;
    in.targets[0].expected_nusd = in.targets[1].expected_nusd = MONEY_UNKNOWN;
    cr_assert_eq(prices_open((const struct prices **)&prices, WEIR_SOURCE_DIR "/deploy/prices.yaml", &err), 0, "%s: %s", err.where, err.text);
    const struct price *price = prices_find(prices, "openai", "gpt-4o-mini");
    struct token_usage twice = {.prompt_tokens = 100, .completion_tokens = 302}, capped = {.prompt_tokens = 100, .completion_tokens = 40};
    decide_inputs_expect(&in, &score, prices, 100, 1000, 2);
    cr_assert_eq(in.targets[0].expected_nusd, price_cost_nusd(price, &twice), "two answers of 151 tokens");
    cr_assert_eq(in.targets[1].expected_nusd, MONEY_UNKNOWN, "no price");
    decide_inputs_expect(&in, &score, prices, 100, 20, 2);
    cr_assert_eq(in.targets[0].expected_nusd, price_cost_nusd(price, &capped), "max_tokens of 20 each");
    json_t *json = decide_inputs_json(&in);
    cr_assert_eq(decide_inputs_parse(json, &back, &err), 0, "%s: %s", err.where, err.text);
    cr_assert(back.output_tokens == score.output_tokens && back.targets[0].expected_nusd == in.targets[0].expected_nusd);
    json_object_del(json_object_get(json, "score"), "output_tokens"); /* Rows of before lengths were foretold. */
    json_object_del(json_array_get(json_object_get(json, "targets"), 0), "expected_nusd");
    cr_assert_eq(decide_inputs_parse(json, &back, &err), 0, "%s: %s", err.where, err.text);
    cr_assert(isnan(back.output_tokens) && back.targets[0].expected_nusd == MONEY_UNKNOWN);
    json_decref(json);
    prices_drop(prices);
}

/* Whatever the conversation and the ratings turn out to be: so a tier that is clear of the limits needs no other. */
Test(decide, a_gain_outside_of_the_limits_goes_one_way_only)
{
    for (int i = 0; i <= 20; i++) {
        struct decide_inputs in = base(NAME_AUTO);
        in.max_regret = i / 20.0;
        struct score_limits limits = decide_limits(in.max_regret);
        for (int state = 0; state < 8; state++) {
            in.session_remote = state & 1;
            in.drift = state & 2;
            in.conversed = state & 4;
            str_copy(in.earlier_route, sizeof in.earlier_route, STR("remote:p0/m"));
            in.targets[0].cached_input_nusd = 0;
            in.prompt_tokens = in.cached_tokens = 1000;
            in.gain = (float)limits.low - 0.001F;
            cr_assert_eq(run(&in).kind, ROUTE_LOCAL, "max_regret %g, state %d", in.max_regret, state);
            in.gain = (float)limits.high + 0.001F;
            cr_assert_eq(run(&in).kind, ROUTE_REMOTE, "max_regret %g, state %d", in.max_regret, state);
        }
    }
}

Test(decide, rows_of_before_there_was_feedback_read_as_without_drift)
{
    struct decide_inputs in = base(NAME_AUTO), back;
    struct error err = {0};
    in.gain = 0.07F;
    json_t *json = decide_inputs_json(&in);
    cr_assert_eq(json_object_del(json, "drift"), 0);
    cr_assert_eq(decide_inputs_parse(json, &back, &err), 0, "%s: %s", err.where, err.text);
    cr_assert(!back.drift);
    cr_assert_str_eq(run(&back).route, run(&in).route);
    json_object_set_new(json, "drift", json_string("yes"));
    cr_assert_lt(decide_inputs_parse(json, &back, &err), 0);
    cr_assert_str_eq(err.where, "drift");
    json_decref(json);
}

static struct decide_inputs under_share(double threshold, bool open)
{
    struct decide_inputs in = base(NAME_AUTO);
    in.goal = (struct decide_goal){.kind = GOAL_REMOTE_SHARE, .max_remote_share = 0.3, .threshold = threshold, .open = open};
    return in;
}

Test(decide, under_a_share_the_threshold_and_the_credit_decide_and_not_max_regret)
{
    struct decide_inputs in = under_share(0.39, true);
    in.max_regret = 0.9;
    in.drift = true; /* Of a max_regret that is not asked for. */
    struct decision out = run(&in);
    cr_assert(out.weighed && strcmp(out.reasons[0], "gain_above_threshold") == 0 && strcmp(out.reasons[1], "max_remote_share") == 0);
    in.goal.threshold = (double)in.gain;
    cr_assert_str_eq(run(&in).reasons[0], "gain_within_threshold");
    in.session_remote = true;
    cr_assert_str_eq(run(&in).route, "remote:p0/m", "half the threshold once the conversation left");
    in = under_share(0.39, false);
    out = run(&in);
    cr_assert(out.weighed && out.kind == ROUTE_LOCAL && strcmp(out.reasons[0], "remote_share_spent") == 0);
    cr_assert_eq(out.n_targets, 0, "nor may a weak answer escalate");
    in.scored = false;
    cr_assert_eq(run(&in).n_targets, 0);
    in.local = LOCAL_TOO_LONG;
    cr_assert_str_eq(run(&in).route, "remote:p0/m", "what cannot be answered here leaves all the same");
}

Test(decide, a_max_regret_of_the_requests_own_keeps_more_here_and_never_sends_more)
{
    struct decide_inputs in = under_share(0.2, true);
    in.goal.regret_named = true;
    in.max_regret = 0.5;
    cr_assert_str_eq(run(&in).reasons[0], "gain_within_max_regret");
    in.max_regret = 0.1;
    cr_assert_str_eq(run(&in).route, "remote:p0/m");
    in.goal.threshold = 0.6;
    cr_assert_str_eq(run(&in).reasons[0], "gain_within_threshold");
}

Test(decide, under_a_months_budget_the_gain_a_dollar_decides_and_the_worst_case_must_fit)
{
    struct decide_inputs in = base(NAME_AUTO);
    in.goal = (struct decide_goal){.kind = GOAL_BUDGET, .threshold = 3000, .expected_nusd = 100000, .budget_nusd = 1000, .left_nusd = 100, .month_left_nusd = 150};
    struct decision out = run(&in);
    cr_assert(out.weighed && strcmp(out.reasons[0], "gain_above_threshold") == 0 && strcmp(out.reasons[1], "budget_usd_per_month") == 0, "4000 a dollar");
    in.goal.expected_nusd = 200000;
    cr_assert_str_eq(run(&in).reasons[0], "gain_within_threshold", "2000 a dollar");
    in.goal.expected_nusd = 100000;
    in.goal.left_nusd = 99;
    out = run(&in);
    cr_assert(out.weighed && out.kind == ROUTE_LOCAL && strcmp(out.reasons[0], "month_budget_spent") == 0);
    in.local = LOCAL_TOO_LONG;
    cr_assert_str_eq(run(&in).route, "remote:p0/m", "what cannot stay has the whole month");
    in.goal.month_left_nusd = 99;
    cr_assert(run(&in).kind == ROUTE_REFUSE && run(&in).status == 400);
    in.local = LOCAL_READY;
    in.goal.left_nusd = 1000;
    in.targets[0].worst_nusd = MONEY_UNKNOWN;
    cr_assert_str_eq(run(&in).route, "remote:p1/m", "an unknown price is not free");
    in.kind = NAME_PINNED;
    cr_assert_str_eq(run(&in).route, "remote:p0/m", "the target is auto's");
}

Test(decide, a_promise_by_the_tenants_labels_says_so)
{
    struct decide_inputs in = base(NAME_AUTO);
    in.promised = in.promised_by_labels = true;
    in.threshold = 0.5;
    cr_assert_str_eq(run(&in).reasons[0], "gain_within_max_regret");
    cr_assert_str_eq(run(&in).reasons[1], "max_regret_by_labels");
}

Test(decide, a_decision_is_weighed_when_its_first_reason_says_so)
{
    cr_assert(decide_weighed(STR("gain_above_threshold")) && decide_weighed(STR("month_budget_spent")));
    cr_assert(!decide_weighed(STR("knowledge_covers")) && !decide_weighed(STR("local_too_long")) && !decide_weighed(STR("")));
}

static uint64_t state = 88172645463325252u;
static uint64_t rnd(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static float rnd_float(void)
{
    return (float)((double)(rnd() >> 11) / 9007199254740992.0 * 1.2 - 0.1);
}

Test(decide, recorded_inputs_replay_to_the_recorded_route_bit_for_bit)
{
    for (int i = 0; i < 3000; i++) {
        struct decide_inputs in = base((enum name_kind)(rnd() % 4)), back;
        in.max_regret = rnd_float();
        in.promised = rnd() % 3 == 0;
        in.threshold = in.promised ? rnd_float() : 0;
        in.confidence = in.promised ? 0.9 : 0;
        in.promise_lines = in.promised ? (int64_t)(rnd() % 5000) : 0;
        in.effect = (enum effect)(rnd() % 4);
        in.local_permitted = rnd() % 8 != 0;
        in.scored = rnd() % 8 != 0;
        in.p_local = rnd_float();
        in.p_remote = rnd_float();
        in.gain = i % 3 == 0 ? (float)in.max_regret : rnd_float(); /* On the edge, too. */
        in.oos = rnd_float();
        in.domain_p = rnd_float();
        in.tier = (enum score_tier)(rnd() % 3);
        in.local = (enum local_state)(rnd() % LOCAL_STATES);
        in.cached = rnd() % 4 == 0 ? (enum cache_hit)(rnd() % 3) : CACHE_NONE;
        if (in.cached != CACHE_NONE) {
            in.likeness = rnd_float();
            str_copy(in.cached_decision, sizeof in.cached_decision, STR("0190-x"));
        }
        in.searched = rnd() % 3 == 0;
        if (in.searched) {
            in.n_passages = (int)(rnd() % 3);
            in.known_likeness = rnd_float();
            in.known_terms = rnd_float();
            in.least_likeness = i % 5 == 0 ? (double)in.known_likeness : 0.5;
            in.least_terms = 0.5;
            str_copy(in.knowledge_state, sizeof in.knowledge_state, STR("s-1"));
        }
        in.budget_limited = rnd() % 2;
        in.budget_nusd = (int64_t)(rnd() % 200);
        in.promised_by_labels = in.promised && rnd() % 2 == 0;
        in.goal.kind = (enum goal_kind)(rnd() % 3);
        if (in.goal.kind != GOAL_MAX_REGRET) {
            in.goal.regret_named = rnd() % 2;
            in.goal.source = (enum goal_source)(rnd() % GOAL_SOURCES);
            in.goal.level = rnd_float();
            in.goal.lines = (int64_t)(rnd() % 300);
            in.goal.threshold = in.goal.kind == GOAL_BUDGET ? rnd_float() * 1e5 : i % 4 == 0 ? (double)in.gain : rnd_float();
        }
        if (in.goal.kind == GOAL_REMOTE_SHARE) {
            in.goal.open = rnd() % 4 != 0;
            in.goal.credit_ppm = (int64_t)(rnd() % 2000000) - 1000000;
            in.goal.max_remote_share = rnd_float();
        } else if (in.goal.kind == GOAL_BUDGET) {
            in.goal.expected_nusd = rnd() % 4 == 0 ? MONEY_UNKNOWN : (int64_t)(rnd() % 100000);
            in.goal.left_nusd = (int64_t)(rnd() % 300);
            in.goal.month_left_nusd = in.goal.left_nusd + (int64_t)(rnd() % 300);
            in.goal.budget_nusd = 1000;
            in.goal.spent_nusd = 1;
            in.goal.queries = rnd_float();
            in.goal.mean_cost_nusd = rnd_float();
            in.goal.mean_tokens = rnd_float();
            in.goal.month = 24322;
            in.goal.since_ns = (int64_t)(rnd() >> 2);
            in.goal.n_settled = 5;
        }
        in.session_remote = rnd() % 2;
        in.drift = rnd() % 2;
        in.tool_loop = rnd() % 3 == 0;
        in.conversed = rnd() % 2;
        if (in.conversed) {
            snprintf(in.earlier_route, sizeof in.earlier_route, "%s", (const char *[]){"local", "cache", "remote:p0/m", "remote:p1/m"}[rnd() % 4]);
            in.prompt_tokens = (int64_t)(rnd() % 3000);
            in.cached_tokens = (int64_t)(rnd() % 3000);
            in.targets[1].cached_input_nusd = (int64_t)(rnd() % 6);
        }
        for (int t = 0; t < 2; t++) {
            in.targets[t].permitted = rnd() % 4 != 0;
            in.targets[t].usable = rnd() % 4 != 0;
            in.targets[t].healthy = rnd() % 4 != 0;
            in.targets[t].worst_nusd = rnd() % 5 == 0 ? MONEY_UNKNOWN : (int64_t)(rnd() % 300);
        }
        struct decision first = run(&in);
        json_t *json = decide_inputs_json(&in);
        struct buffer text;
        buffer_init(&text, 1 << 20);
        cr_assert_eq(json_write(json, &text), 0);
        struct error err = {0};
        json_t *read = json_parse(buffer_str(&text), &err);
        cr_assert_eq(decide_inputs_parse(read, &back, &err), 0, "%s: %s", err.where, err.text);
        struct decision second = run(&back);
        cr_assert_str_eq(first.route, second.route);
        cr_assert(first.weighed == second.weighed && (first.kind == ROUTE_REFUSE || first.weighed == decide_weighed(str_of(first.reasons[0]))), "%s", first.reasons[0]);
        cr_assert_eq(memcmp(&in.goal, &back.goal, sizeof in.goal), 0, "the goal as it was");
        cr_assert_eq(first.n_targets, second.n_targets);
        cr_assert_eq(first.n_reasons, second.n_reasons);
        for (int r = 0; r < first.n_reasons; r++)
            cr_assert_str_eq(first.reasons[r], second.reasons[r]);
        if (in.scored)
            cr_assert_eq(memcmp(&in.gain, &back.gain, sizeof in.gain), 0, "the very same bits");
        json_decref(json);
        json_decref(read);
        buffer_release(&text);
    }
}

Test(decide, damaged_inputs_are_an_error_that_names_the_member)
{
    struct decide_inputs in = base(NAME_AUTO), back;
    json_t *json = decide_inputs_json(&in);
    json_object_set_new(json_object_get(json, "verdict"), "effect", json_string("perhaps"));
    struct error err = {0};
    cr_assert_lt(decide_inputs_parse(json, &back, &err), 0);
    cr_assert_str_eq(err.where, "effect");
    json_decref(json);
    cr_assert_lt(decide_inputs_parse(NULL, &back, &err), 0);
}

static const struct config *config_of(const char *yaml)
{
    const struct config *config = NULL;
    struct error err = {0};
    cr_assert_eq(config_parse(&config, "t", "/", str_of(yaml), &err), 0, "%s: %s", err.where, err.text);
    return config;
}

Test(names, lead_to_the_targets_the_design_says)
{
    const struct config *config = config_of("providers:\n"
                                            " - {name: a, base_url: 'https://a/', models: [m, only-a, org/x]}\n"
                                            " - {name: b, base_url: 'https://b/', models: [m]}\n"
                                            " - {name: c, base_url: 'https://c/', models: [n]}\n"
                                            "fallbacks: {m: [b, a]}\n"
                                            "aliases: {gpt-4o: auto, old: remote/a/only-a, eager: 'auto:0'}\n");
    static const struct {
        const char *model;
        int kind; /* -1: 404, -2: 400. */
        int n;
        const char *first;
    } cases[] = {
        {"auto", NAME_AUTO, 3, "a"},        {"auto:0.5", NAME_AUTO, 3, "a"},  {"auto:x", -2, 0, NULL},        {"auto:1.5", -2, 0, NULL},
        {"auto:nan", -2, 0, NULL},          {"local", NAME_LOCAL, 0, NULL},   {"local/tiny", NAME_LOCAL, 0, NULL}, {"local/other", -1, 0, NULL},
        {"remote/a/m", NAME_PINNED, 1, "a"}, {"remote/a/org/x", NAME_PINNED, 1, "a"}, {"remote/c/m", -1, 0, NULL}, {"remote/z/m", -1, 0, NULL},
        {"remote/a", -1, 0, NULL},          {"m", NAME_BARE, 2, "b"},         {"only-a", NAME_BARE, 1, "a"},  {"n", NAME_BARE, 1, "c"},
        {"nothing", -1, 0, NULL},           {"gpt-4o", NAME_AUTO, 3, "a"},    {"old", NAME_PINNED, 1, "a"},   {"tiny", NAME_LOCAL, 0, NULL},
        {"", -1, 0, NULL},                  {"eager", NAME_AUTO, 3, "a"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct name name;
        struct error err = {0};
        int status = name_resolve(config, "tiny", str_of(cases[i].model), &name, &err);
        int expected = cases[i].kind == -1 ? WEIR_E_NOT_FOUND : cases[i].kind == -2 ? WEIR_E_INVALID : 0;
        cr_assert_eq(status, expected, "\"%s\": %d %s", cases[i].model, status, err.text);
        if (status < 0)
            continue;
        cr_assert_eq((int)name.kind, cases[i].kind, "%s", cases[i].model);
        cr_assert_eq(name.n_targets, cases[i].n, "%s", cases[i].model);
        if (cases[i].first != NULL)
            cr_assert_str_eq(config->providers[name.targets[0].provider].name, cases[i].first, "%s", cases[i].model);
    }
    config_drop(config);
}

static struct decide_inputs conversed(const char *route, bool tool_loop)
{
    struct decide_inputs in = base(NAME_AUTO);
    in.conversed = true;
    in.tool_loop = tool_loop;
    str_copy(in.earlier_route, sizeof in.earlier_route, str_of(route));
    in.prompt_tokens = 1000;
    return in;
}

Test(decide, a_tool_result_goes_to_whoever_called_the_tool)
{
    struct decide_inputs in = conversed("remote:p1/m", true);
    in.gain = -1; /* A tool's result that looks easy is no reason to switch. */
    cr_assert_str_eq(run(&in).route, "remote:p1/m");
    cr_assert_str_eq(run(&in).reasons[0], "tool_loop_kept");
    cr_assert_eq(run(&in).n_targets, 2, "the other one is still there to fall back on");
    in.targets[1].healthy = false;
    cr_assert_str_eq(run(&in).route, "remote:p0/m");
    in.targets[0].permitted = false;
    cr_assert_str_eq(run(&in).route, "local", "policy and health come first");
    in = conversed("local", true);
    cr_assert_gt(in.gain, in.max_regret);
    cr_assert_str_eq(run(&in).route, "local");
    in.local = LOCAL_UNSUPPORTED;
    cr_assert_str_eq(run(&in).route, "remote:p0/m");
    in = base(NAME_AUTO); /* After a restart the ids of the calls have to do. */
    in.tool_loop = in.session_remote = true;
    in.gain = -1;
    cr_assert_str_eq(run(&in).route, "remote:p0/m");
    in.session_remote = false;
    in.gain = 1;
    cr_assert_str_eq(run(&in).route, "local");
}

Test(decide, targets_keep_a_tool_loop_where_it_is)
{
    struct decide_inputs in = conversed("remote:p1/m", true);
    in.goal = (struct decide_goal){.kind = GOAL_REMOTE_SHARE, .threshold = 0.9};
    cr_assert(!run(&in).weighed && strcmp(run(&in).route, "remote:p1/m") == 0, "it is no query of its own");
    str_copy(in.earlier_route, sizeof in.earlier_route, STR("local"));
    cr_assert(run(&in).kind == ROUTE_LOCAL && run(&in).n_targets == 0);
    in = conversed("remote:p1/m", true);
    in.goal = (struct decide_goal){.kind = GOAL_BUDGET, .month_left_nusd = 100};
    cr_assert_str_eq(run(&in).route, "remote:p1/m", "as long as the month has money");
    in.goal.month_left_nusd = 99;
    cr_assert_str_eq(run(&in).route, "local");
}

Test(decide, leaving_a_remote_model_is_charged_with_the_cache_it_throws_away)
{
    struct decide_inputs in = conversed("remote:p0/m", false);
    in.targets[0].input_nusd = 10;
    in.targets[0].cached_input_nusd = 2;
    in.gain = 0.03F; /* Of max_regret 0.1. */
    cr_assert_str_eq(run(&in).route, "local", "nothing is cached");
    in.cached_tokens = 500; /* Saves 40 %: the threshold is 0.06. */
    cr_assert_str_eq(run(&in).route, "local");
    in.gain = 0.07F;
    cr_assert_str_eq(run(&in).route, "remote:p0/m");
    in.cached_tokens = 950; /* 76 %: 0.024. */
    in.gain = 0.03F;
    cr_assert_str_eq(run(&in).route, "remote:p0/m");
    in.targets[0].cached_input_nusd = MONEY_UNKNOWN;
    cr_assert_str_eq(run(&in).route, "local", "an unknown price saves nothing");
    in = conversed("local", false);
    in.cached_tokens = 1000;
    in.gain = in.max_regret + 0.01F;
    cr_assert_eq(run(&in).kind, ROUTE_REMOTE, "staying here is made no easier: max_regret holds");
}

Test(decide, among_remote_models_a_warm_cache_wins_while_it_is_no_dearer)
{
    struct decide_inputs in = conversed("remote:p1/m", false);
    in.targets[0].input_nusd = 6;
    in.targets[1].input_nusd = 10;
    in.targets[1].cached_input_nusd = 1;
    in.cached_tokens = 400; /* 10 * 0.64 = 6.4 against 6. */
    cr_assert_str_eq(run(&in).route, "remote:p0/m");
    in.cached_tokens = 500; /* 5.5 */
    cr_assert_str_eq(run(&in).route, "remote:p1/m");
    in.targets[1].permitted = false;
    cr_assert_str_eq(run(&in).route, "remote:p0/m");
}
