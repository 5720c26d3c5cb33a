/* decide(): the rules from inputs to a route.
 *
 * Invariant: the outcome depends on *inputs alone, compares only recorded numbers, and never opens the remote path without
 * a permitted target: every doubt (no score, unknown price under a budget, no verdict) closes it. Pure; any thread.
 * Gathering the inputs is decide_inputs.c's. */
#include "decide/decide.h"

#include <math.h>

static void reason(struct decision *out, const char *code)
{
    for (int i = 0; i < out->n_reasons; i++)
        if (strcmp(out->reasons[i], code) == 0)
            return;
    if (out->n_reasons < DECIDE_MAX_REASONS)
        out->reasons[out->n_reasons++] = code;
}

/* Puts the deciding code first. */
void decision_reason_first(struct decision *out, const char *code)
{
    int at = 0;
    while (at < out->n_reasons && strcmp(out->reasons[at], code) != 0)
        at++;
    if (at == DECIDE_MAX_REASONS)
        at--;
    else if (at == out->n_reasons)
        out->n_reasons++;
    memmove(&out->reasons[1], &out->reasons[0], (size_t)at * sizeof out->reasons[0]);
    out->reasons[0] = code;
}

static void refuse(struct decision *out, const char *code, int status, const char *error_code)
{
    out->kind = ROUTE_REFUSE;
    out->n_targets = 0;
    out->local_last = false;
    out->status = status;
    out->code = error_code;
    str_copy(out->route, sizeof out->route, STR("refuse"));
    decision_reason_first(out, code);
}

static void go_local(struct decision *out, const char *code)
{
    out->kind = ROUTE_LOCAL;
    str_copy(out->route, sizeof out->route, STR("local"));
    decision_reason_first(out, code);
}

static void go_cache(const struct decide_inputs *in, struct decision *out)
{
    out->kind = ROUTE_CACHE;
    str_copy(out->route, sizeof out->route, STR("cache"));
    decision_reason_first(out, in->cached == CACHE_EXACT ? "cache_exact" : "cache_semantic");
}

static void go_remote(const struct decide_inputs *in, struct decision *out, const char *code)
{
    const struct decide_target *first = &in->targets[out->targets[0]];
    out->kind = ROUTE_REMOTE;
    snprintf(out->route, sizeof out->route, "remote:%s/%s", first->provider, first->model);
    decision_reason_first(out, code);
}

static bool is_covered(const struct decide_inputs *in)
{
    return in->searched && in->n_passages > 0 && (double)in->known_likeness >= in->least_likeness && (double)in->known_terms >= in->least_terms;
}

/* By a share of its distance from 0. */
static double lowered(double threshold, double charge)
{
    return threshold - fabs(threshold) * charge;
}

/* charge: of switching away from the turn before. */
static double regret_threshold(const struct decide_inputs *in, double charge)
{
    double threshold = lowered(in->promised ? in->threshold : in->max_regret, charge);
    return in->drift ? lowered(threshold, 0.5) : threshold;
}

/* What the goal's threshold is of: 1, or the dollars that a budget's threshold is per. */
static double goal_unit(const struct decide_inputs *in)
{
    return in->goal.kind != GOAL_BUDGET ? 1 : (double)(in->goal.expected_nusd > 1 ? in->goal.expected_nusd : 1) / 1e9;
}

double decide_goal_value(const struct decide_inputs *in)
{
    return (double)in->gain / goal_unit(in);
}

static const char *const weighed_reasons[] = {"gain_above_max_regret", "gain_within_max_regret", "gain_above_threshold", "gain_within_threshold",
                                              "remote_share_spent", "month_budget_spent"};

bool decide_weighed(str first_reason)
{
    for (size_t i = 0; i < sizeof weighed_reasons / sizeof *weighed_reasons; i++)
        if (str_equal(first_reason, str_of(weighed_reasons[i])))
            return true;
    return false;
}

static bool was_remote(const struct decide_inputs *in)
{
    return in->conversed ? strncmp(in->earlier_route, "remote:", strlen("remote:")) == 0 : in->session_remote;
}

/* Why a target is struck out; NULL: it stays. */
static const char *struck_out(const struct decide_inputs *in, const struct decide_target *target, bool local_can)
{
    bool must_leave = !local_can || (in->tool_loop && was_remote(in));
    bool paced = in->kind == NAME_AUTO && in->goal.kind == GOAL_BUDGET;
    if (!target->permitted || in->effect >= EFFECT_LOCAL_ONLY)
        return "policy_forbids_provider";
    if (!target->usable)
        return "provider_without_key";
    if ((in->budget_limited || paced) && target->worst_nusd == MONEY_UNKNOWN)
        return "price_unknown_under_budget";
    if (in->budget_limited && target->worst_nusd > in->budget_nusd)
        return "budget_exceeded";
    if (!target->healthy)
        return "provider_down";
    if (paced && target->worst_nusd > (must_leave ? in->goal.month_left_nusd : in->goal.left_nusd))
        return "month_budget_spent";
    return NULL;
}

/* How a request that must leave and cannot is refused, by the reason of its first target. */
static void refuse_remote(struct decision *out, const char *why)
{
    if (why == NULL || strcmp(why, "policy_forbids_provider") == 0)
        refuse(out, why != NULL ? why : "no_provider", why != NULL ? 403 : 503, why != NULL ? "policy_violation" : "no_provider");
    else if (strcmp(why, "provider_down") == 0)
        refuse(out, why, 503, "provider_unavailable");
    else if (strcmp(why, "provider_without_key") == 0)
        refuse(out, why, 503, "provider_not_configured");
    else
        refuse(out, why, 429, "insufficient_quota");
}

static void refuse_local(const struct decide_inputs *in, struct decision *out)
{
    switch (in->local) {
    case LOCAL_READY:
        refuse(out, "policy_refuses", 403, "policy_violation");
        break;
    case LOCAL_MISSING:
        refuse(out, "local_missing", 503, "model_not_loaded");
        break;
    case LOCAL_TOO_LONG:
        refuse(out, "local_too_long", 400, "context_length_exceeded");
        break;
    case LOCAL_UNSUPPORTED:
        refuse(out, "local_unsupported", 400, "unsupported_parameter");
        break;
    case LOCAL_OVERLOADED:
        refuse(out, "local_overloaded", 503, "overloaded");
        break;
    case LOCAL_UNASKED:
    case LOCAL_STATES:
        refuse(out, "local_unasked", 503, "model_not_loaded");
        break;
    }
}

/* ------------------------------------------------------------------ the turn before */

/* Where among the targets left the model that answered the turn before stands, or -1. */
static int earlier_target(const struct decide_inputs *in, const struct decision *out)
{
    char route[DECIDE_ROUTE_BYTES];
    for (int i = 0; i < out->n_targets && in->conversed; i++) {
        const struct decide_target *target = &in->targets[out->targets[i]];
        snprintf(route, sizeof route, "remote:%s/%s", target->provider, target->model);
        if (strcmp(route, in->earlier_route) == 0)
            return i;
    }
    return -1;
}

/* The share of the prompt's price that its cache saves there. */
static double cache_saving(const struct decide_inputs *in, const struct decide_target *target)
{
    if (target->input_nusd <= 0 || target->cached_input_nusd < 0 || target->cached_input_nusd > target->input_nusd || in->prompt_tokens <= 0)
        return 0;
    int64_t cached = in->cached_tokens < in->prompt_tokens ? in->cached_tokens : in->prompt_tokens;
    return (double)cached / (double)in->prompt_tokens * (1 - (double)target->cached_input_nusd / (double)target->input_nusd);
}

/* Puts the model of the turn before first: in a tool loop, or when with its cache it is no dearer than the first. Returns the share
 * of the threshold that switching away from it is charged. */
static double stay(const struct decide_inputs *in, struct decision *out)
{
    double charge = in->session_remote ? 0.5 : 0;
    int at = earlier_target(in, out);
    if (at < 0)
        return charge;
    int target = out->targets[at];
    const struct decide_target *first = &in->targets[out->targets[0]], *earlier = &in->targets[target];
    double saving = cache_saving(in, earlier);
    if (in->tool_loop || (saving > 0 && first->input_nusd >= 0 && (double)earlier->input_nusd * (1 - saving) <= (double)first->input_nusd)) {
        memmove(&out->targets[1], &out->targets[0], (size_t)at * sizeof out->targets[0]);
        out->targets[0] = target;
    }
    return fmax(charge, saving);
}

/* A tool's result is no new question: it goes to whoever called the tool. */
static bool keep_tool_loop(const struct decide_inputs *in, struct decision *out)
{
    if (!in->tool_loop)
        return false;
    if (was_remote(in))
        go_remote(in, out, "tool_loop_kept");
    else
        go_local(out, "tool_loop_kept");
    return true;
}

/* ------------------------------------------------------------------ weighing */

static void weigh_regret(const struct decide_inputs *in, struct decision *out, double charge)
{
    out->threshold = regret_threshold(in, charge);
    if ((double)in->gain > out->threshold)
        go_remote(in, out, "gain_above_max_regret");
    else
        go_local(out, "gain_within_max_regret");
    if (in->promised)
        reason(out, in->promised_by_labels ? "max_regret_by_labels" : "max_regret_promised");
    if (in->drift)
        reason(out, "feedback_drift");
}

static bool is_share_spent(const struct decide_inputs *in)
{
    return in->goal.kind == GOAL_REMOTE_SHARE && !in->goal.open;
}

static void weigh_goal(const struct decide_inputs *in, struct decision *out, double charge)
{
    double threshold = lowered(in->goal.threshold, charge);
    out->threshold = threshold * goal_unit(in);
    if (in->goal.regret_named)
        out->threshold = fmax(out->threshold, regret_threshold(in, charge));
    if (is_share_spent(in)) {
        go_local(out, "remote_share_spent");
        return;
    }
    if (!(decide_goal_value(in) > threshold))
        go_local(out, "gain_within_threshold");
    else if (in->goal.regret_named && (double)in->gain <= regret_threshold(in, charge))
        go_local(out, "gain_within_max_regret");
    else
        go_remote(in, out, "gain_above_threshold");
    reason(out, goal_kind_name(in->goal.kind));
}

static void decide_auto(const struct decide_inputs *in, struct decision *out, const char *why, bool local_can)
{
    if (out->n_targets == 0 && local_can) {
        bool spent = why != NULL && strcmp(why, "month_budget_spent") == 0;
        out->weighed = spent && in->scored && !is_covered(in);
        out->threshold = out->weighed ? in->goal.threshold * goal_unit(in) : 0;
        go_local(out, spent && is_covered(in) ? "knowledge_covers" : spent && !in->scored ? "no_score" : why != NULL ? why : "no_provider");
        if (is_covered(in))
            reason(out, "knowledge_covers");
        return;
    }
    if (out->n_targets == 0) {
        if (why == NULL || in->local == LOCAL_TOO_LONG || in->local == LOCAL_UNSUPPORTED)
            refuse_local(in, out);
        else
            refuse_remote(out, why);
        return;
    }
    double charge = stay(in, out);
    if (was_remote(in))
        reason(out, "conversation_was_remote");
    if (!local_can) {
        static const char *const codes[] = {[LOCAL_READY] = "policy_forbids_local", [LOCAL_MISSING] = "local_missing", [LOCAL_TOO_LONG] = "local_too_long",
                                            [LOCAL_UNSUPPORTED] = "local_unsupported", [LOCAL_OVERLOADED] = "local_overloaded",
                                            [LOCAL_UNASKED] = "local_unasked"};
        go_remote(in, out, codes[in->local]);
        return;
    }
    if (is_share_spent(in) && !(in->tool_loop && was_remote(in)))
        out->n_targets = 0; /* Nor may it leave later, when its answer turns out weak. */
    if (keep_tool_loop(in, out))
        return;
    if (is_covered(in)) {
        go_local(out, "knowledge_covers");
        return;
    }
    if (!in->scored) {
        go_local(out, "no_score");
        return;
    }
    out->weighed = true;
    if (in->goal.kind == GOAL_MAX_REGRET)
        weigh_regret(in, out, charge);
    else
        weigh_goal(in, out, charge);
    out->compared = true;
    out->watched = out->kind == ROUTE_LOCAL && out->n_targets > 0;
}

void decide(const struct decide_inputs *in, struct decision *out)
{
    memset(out, 0, sizeof *out);
    bool local_can = in->local_permitted && in->effect < EFFECT_REFUSE && in->local == LOCAL_READY;
    out->redact = in->effect == EFFECT_REDACT;
    if (in->effect == EFFECT_REFUSE) {
        refuse(out, "policy_refuses", 403, "policy_violation");
        return;
    }
    if (in->cached != CACHE_NONE && in->local_permitted) {
        go_cache(in, out);
        return;
    }
    if (in->kind == NAME_LOCAL) {
        if (local_can)
            go_local(out, "local_named");
        else
            refuse_local(in, out);
        if (local_can && is_covered(in))
            reason(out, "knowledge_covers");
        return;
    }
    const char *why = NULL;
    for (int i = 0; i < in->n_targets; i++) {
        const char *code = struck_out(in, &in->targets[i], local_can);
        if (code == NULL)
            out->targets[out->n_targets++] = i;
        else if (why == NULL)
            why = code;
        if (code != NULL)
            reason(out, code);
    }
    if (in->effect == EFFECT_REDACT)
        reason(out, "policy_redacts");
    if (in->effect == EFFECT_LOCAL_ONLY)
        reason(out, "policy_local_only");
    out->local_last = local_can && in->kind != NAME_PINNED;
    if (in->kind == NAME_AUTO) {
        decide_auto(in, out, in->effect == EFFECT_LOCAL_ONLY ? "policy_local_only" : why, local_can);
    } else if (out->n_targets > 0) {
        go_remote(in, out, "model_named");
    } else if (in->kind == NAME_BARE && local_can) {
        go_local(out, in->effect == EFFECT_LOCAL_ONLY ? "policy_local_only" : why != NULL ? why : "no_provider");
    } else {
        refuse_remote(out, why);
    }
}

bool decide_is_unsure(const struct decide_inputs *inputs, double band)
{
    struct decision decision;
    if (band <= 0 || !inputs->scored)
        return false;
    decide(inputs, &decision);
    return decision.compared && fabs((double)inputs->gain - decision.threshold) <= band;
}
