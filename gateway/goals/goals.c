/* One request's target: filled before decide(), counted after it, settled at its end.
 *
 * Invariant: goals_fill changes nothing but the month that a tenant's money is counted in, so dry runs may ask; what a decision takes of
 * credit and money is taken once, by goals_decided. */
#include "goals/goals_internal.h"

#include <math.h>

struct goals *goals_new(void)
{
    return calloc(1, sizeof(struct goals));
}

void goals_free(struct goals *goals)
{
    if (goals != NULL)
        goal_tenants_release(&goals->tenants);
    free(goals);
}

struct ledger_scope goals_scope(const struct goals_context *context)
{
    if (context->scope != NULL)
        return *context->scope;
    return (struct ledger_scope){.config_sha256 = context->config->sha256, .head_id = context->head != NULL ? head_id(context->head) : "", .answers_id = "", .judge = ""};
}

struct share *goals_share(struct goals *goals, const char *tenant, double max_share)
{
    struct goal_tenant *state = goal_tenants_have(&goals->tenants, tenant, GOALS_MAX_TENANTS);
    if (state == NULL || (state->share == NULL && (state->share = calloc(1, sizeof *state->share)) == NULL))
        return NULL;
    if (state->max_share != max_share) /* Credit of another share says nothing of this one. */
        state->share->credit_ppm = state->share->n = state->share->n_left = 0;
    state->max_share = max_share;
    return state->share;
}

struct pace *goals_pace(struct goals *goals, const char *tenant)
{
    struct goal_tenant *state = goal_tenants_have(&goals->tenants, tenant, GOALS_MAX_TENANTS);
    if (state == NULL || (state->pace == NULL && (state->pace = calloc(1, sizeof *state->pace)) == NULL))
        return NULL;
    return state->pace;
}

/* ------------------------------------------------------------------ before a decision */

struct goals_view goals_view(const struct goals *goals, const char *tenant)
{
    const struct goal_tenant *state = goal_tenants_find(&goals->tenants, tenant);
    return state != NULL ? (struct goals_view){state->moved, state->threshold, state->n_labels} : (struct goals_view){.moved = false};
}

/* A max_regret of the request's own has no labels. */
static struct goals_view seen_by(const struct goals *goals, const struct goals_query *query)
{
    if (query->regret_named)
        return (struct goals_view){.moved = false};
    return query->view != NULL ? *query->view : goals_view(goals, query->tenant);
}

struct score_limits goals_limits(const struct goals *goals, const struct goals_context *context, const struct goals_query *query, double max_regret)
{
    const struct config_goal *goal = config_goal_of(context->config, query->tenant);
    if (goal->kind != GOAL_MAX_REGRET)
        return (struct score_limits){-INFINITY, INFINITY};
    struct goals_view view = seen_by(goals, query);
    return decide_limits(view.moved ? view.threshold : head_threshold(context->head, query->regret_named ? max_regret : goal->max_regret));
}

static void fill_regret(struct goals *goals, const struct goals_context *context, const struct config_goal *goal, const struct goals_query *query,
                        struct decide_inputs *inputs)
{
    if (!query->regret_named)
        inputs->max_regret = goal->max_regret;
    decide_inputs_promise(inputs, inputs->scored ? context->head : NULL);
    struct goals_view view = seen_by(goals, query);
    if (!inputs->scored || !view.moved)
        return;
    inputs->promised = inputs->promised_by_labels = true;
    inputs->threshold = view.threshold;
    inputs->confidence = 1 - EVIDENCE_ALPHA;
    inputs->promise_lines = view.n_labels;
}

/* The threshold by what the tenant has asked of late, else by the calibration lines, else by max_regret. In gains; divided by cost. */
static void fill_threshold(const struct recent *recent, int least, const struct goals_context *context, double cost_usd, struct decide_goal *out)
{
    double gain = context->config->max_regret;
    int64_t n_lines = 0;
    out->source = GOAL_FROM_DEFAULT;
    if (recent->n >= least) {
        out->source = GOAL_FROM_TRAFFIC;
        out->lines = recent->n;
        out->threshold = fmax(0, recent_above(recent, out->level));
        return;
    }
    if (context->head != NULL && head_gain_above(context->head, out->level, &gain, &n_lines))
        out->source = GOAL_FROM_CALIBRATION;
    out->lines = n_lines;
    out->threshold = fmax(0, gain) / cost_usd;
}

static void fill_share(struct goals *goals, const struct goals_context *context, const struct config_goal *goal, const struct goals_query *query, struct decide_goal *out)
{
    static const struct recent none;
    const struct share *share = goals_share(goals, query->tenant, goal->max_remote_share);
    out->max_remote_share = goal->max_remote_share;
    if (share != NULL) {
        out->credit_ppm = share->credit_ppm;
        out->open = share_open(share, goal->max_remote_share) && !goals->unread;
        out->level = share_level(share);
    }
    fill_threshold(share != NULL ? &share->gains : &none, SHARE_LEAST_GAINS, context, 1, out);
}

/* What the answer of the first target that may be asked is expected to cost. */
static int64_t expected_cost(const struct decide_inputs *inputs, const struct goals_query *query, int64_t answer_tokens)
{
    if (query->max_tokens >= 0 && query->max_tokens < answer_tokens)
        answer_tokens = query->max_tokens;
    for (int i = 0; i < inputs->n_targets; i++) {
        const struct decide_target *target = &inputs->targets[i];
        if (!target->permitted || !target->usable || !target->healthy || target->input_nusd == MONEY_UNKNOWN || target->output_nusd == MONEY_UNKNOWN)
            continue;
        return (int64_t)(((__int128)target->input_nusd * query->prompt_tokens + (__int128)target->output_nusd * answer_tokens) / 1000000);
    }
    return MONEY_UNKNOWN;
}

static void fill_budget(struct goals *goals, const struct goals_context *context, const struct config_goal *goal, const struct goals_query *query,
                        const struct decide_inputs *inputs, struct decide_goal *out)
{
    static const struct recent none;
    struct pace *pace = goals_pace(goals, query->tenant), empty = {0};
    struct pace_view view;
    out->expected_nusd = expected_cost(inputs, query, pace_tokens(pace != NULL ? pace : &empty));
    pace_view(pace != NULL ? pace : &empty, pace != NULL && !goals->unread ? goal->budget_nusd : 0, out->expected_nusd, context->wall_ns, &view);
    out->budget_nusd = goal->budget_nusd;
    out->spent_nusd = view.spent_nusd;
    out->left_nusd = view.left_nusd;
    out->month_left_nusd = view.month_left_nusd;
    out->month = view.month;
    out->level = view.level;
    if (pace != NULL) {
        out->queries = pace->queries;
        out->mean_cost_nusd = pace->mean_cost_nusd;
        out->mean_tokens = pace->mean_tokens;
        out->since_ns = pace->since_ns;
        out->n_settled = pace->n_settled;
    }
    fill_threshold(pace != NULL ? &pace->values : &none, PACE_LEAST_VALUES, context, out->expected_nusd > 1 ? (double)out->expected_nusd / 1e9 : 1e-9, out);
}

void goals_fill(struct goals *goals, const struct goals_context *context, const struct goals_query *query, struct decide_inputs *inputs)
{
    const struct config_goal *goal = config_goal_of(context->config, query->tenant);
    inputs->goal = (struct decide_goal){.kind = inputs->kind == NAME_AUTO ? goal->kind : GOAL_MAX_REGRET, .regret_named = query->regret_named};
    if (inputs->kind != NAME_AUTO || goal->kind == GOAL_MAX_REGRET) {
        fill_regret(goals, context, goal, query, inputs);
        return;
    }
    decide_inputs_promise(inputs, inputs->scored ? context->head : NULL);
    if (goal->kind == GOAL_REMOTE_SHARE)
        fill_share(goals, context, goal, query, &inputs->goal);
    else
        fill_budget(goals, context, goal, query, inputs, &inputs->goal);
}

/* ------------------------------------------------------------------ after it */

int64_t goals_decided(struct goals *goals, const struct goals_context *context, const char *tenant, const struct decide_inputs *inputs,
                      const struct decision *decision)
{
    const struct decide_goal *goal = &inputs->goal;
    bool left = decision->kind == ROUTE_REMOTE;
    double value = decision->weighed ? decide_goal_value(inputs) : NAN;
    if (inputs->kind != NAME_AUTO || (!left && decision->kind != ROUTE_LOCAL))
        return 0;
    bool kept = strcmp(decision->reasons[0], "tool_loop_kept") == 0; /* No query of its own. */
    struct goal_tenant *state = goal_tenants_have(&goals->tenants, tenant, GOALS_MAX_TENANTS);
    if (state != NULL && decision->weighed)
        state->shown_threshold = decision->threshold;
    if (goal->kind == GOAL_REMOTE_SHARE) {
        struct share *share = goals_share(goals, tenant, goal->max_remote_share);
        if (share != NULL && !kept)
            share_count(share, goal->max_remote_share, left, value);
        return 0;
    }
    struct pace *pace = goal->kind == GOAL_BUDGET ? goals_pace(goals, tenant) : NULL;
    if (pace == NULL)
        return 0;
    bool may_leave = left || (decision->watched && context->config->cascade.hold_tokens > 0);
    int64_t worst = 0;
    for (int i = 0; i < decision->n_targets && may_leave; i++) {
        int64_t each = inputs->targets[decision->targets[i]].worst_nusd;
        worst = each > worst ? each : worst;
    }
    pace_count(pace, may_leave, value, worst, context->wall_ns);
    return worst;
}

void goals_end(struct goals *goals, const struct goals_context *context, const struct goals_end *end)
{
    const struct config_goal *goal = config_goal_of(context->config, end->tenant);
    struct goal_tenant *state = goal_tenants_find(&goals->tenants, end->tenant);
    if (end->left_late && state != NULL && state->share != NULL)
        share_left_late(state->share);
    /* Also what named models cost, from the moment on that there is a budget. */
    struct pace *pace = state != NULL ? state->pace : NULL;
    if (pace == NULL && goal->kind == GOAL_BUDGET && end->cost_nusd > 0)
        pace = goals_pace(goals, end->tenant);
    if (pace != NULL)
        pace_settle(pace, end->committed_nusd, end->cost_nusd, end->completion_tokens, context->wall_ns);
}
