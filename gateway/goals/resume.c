/* A start that goes on where the last process stopped: states from the ledger's rows (ledger/history.h). */
#include "goals/goals_internal.h"

#include "ledger/history.h"
#include "money/month.h"

#include <math.h>

struct resume {
    struct goals *goals;
    const struct goals_context *context;
};

static bool is_newer(const struct resume *resume, const char *tenant, enum goal_kind kind)
{
    const struct goal_tenant *state = goal_tenants_find(&resume->goals->tenants, tenant);
    return state != NULL && (kind == GOAL_BUDGET ? state->newer_pace : state->newer_share);
}

/* The state as it was before the decision, from its own record, and then the decision. */
static void resume_share(struct resume *resume, const struct history_decision *row, const struct decide_goal *goal)
{
    struct share *share = goals_share(resume->goals, row->tenant, goal->max_remote_share);
    if (share == NULL)
        return;
    share->credit_ppm = goal->credit_ppm;
    share_count(share, goal->max_remote_share, row->left, row->weighed ? row->gain : NAN);
}

static void resume_pace(struct resume *resume, const struct history_decision *row, const struct decide_goal *goal)
{
    struct pace *pace = goals_pace(resume->goals, row->tenant);
    if (pace == NULL)
        return;
    pace->queries = goal->queries;
    pace->since_ns = goal->since_ns;
    pace->mean_cost_nusd = goal->mean_cost_nusd;
    pace->mean_tokens = goal->mean_tokens;
    pace->n_settled = goal->n_settled;
    double expected = goal->expected_nusd > 1 ? (double)goal->expected_nusd : 1;
    pace_count(pace, false, row->weighed ? row->gain * 1e9 / expected : NAN, 0, row->time_ns);
}

static int on_decision(void *user, const struct history_decision *row)
{
    struct resume *resume = user;
    const struct config_goal *aim = config_goal_of(resume->context->config, row->tenant);
    struct decide_goal goal;
    if (is_newer(resume, row->tenant, aim->kind))
        return 0;
    if (row->late) {
        struct goal_tenant *state = goal_tenants_find(&resume->goals->tenants, row->tenant);
        if (state != NULL && state->share != NULL)
            share_left_late(state->share);
        return 0;
    }
    if (goal_parse(row->goal, &goal, NULL) < 0 || goal.kind != aim->kind)
        return 0;
    if (goal.kind == GOAL_REMOTE_SHARE && goal.max_remote_share == aim->max_remote_share)
        resume_share(resume, row, &goal);
    else if (goal.kind == GOAL_BUDGET)
        resume_pace(resume, row, &goal);
    return 0;
}

static int on_spent(void *user, const char *tenant, int64_t spent_nusd)
{
    struct resume *resume = user;
    if (is_newer(resume, tenant, GOAL_BUDGET) || config_goal_of(resume->context->config, tenant)->kind != GOAL_BUDGET)
        return 0;
    struct pace *pace = goals_pace(resume->goals, tenant);
    if (pace != NULL)
        pace_restore(pace, month_of(resume->context->wall_ns), spent_nusd);
    return 0;
}

static int on_threshold(void *user, const struct history_threshold *row)
{
    struct resume *resume = user;
    const struct config_goal *aim = config_goal_of(resume->context->config, row->tenant);
    if (aim->kind != GOAL_MAX_REGRET || llround(aim->max_regret * 1e6) != row->max_regret_ppm)
        return 0;
    struct goal_tenant *state = goal_tenants_have(&resume->goals->tenants, row->tenant, GOALS_MAX_TENANTS);
    if (state == NULL)
        return 0;
    double base = head_threshold(resume->context->head, aim->max_regret), threshold = (double)row->new_ppm / 1e6;
    state->moved = true;
    state->threshold = fabs(threshold - base) < 1e-6 ? base : threshold; /* Rows hold millionths. */
    state->n_labels = row->n_labels;
    if (row->refuted) {
        state->forgotten_leaf = row->leaf_index;
        state->evidence.n_tests++;
    }
    return 0;
}

static int on_label(void *user, const struct history_label *row)
{
    struct resume *resume = user;
    struct decide_inputs *inputs = malloc(sizeof *inputs);
    struct decision decision = {.weighed = false};
    json_t *json = json_parse(str_of(row->inputs), NULL);
    int status = inputs == NULL ? WEIR_E_MEMORY : 0;
    if (status == 0 && json != NULL && decide_inputs_parse(json, inputs, NULL) == 0)
        decide(inputs, &decision);
    if (decision.weighed) {
        struct goals_label label = {.tenant = row->tenant, .decision_id = row->decision_id, .max_regret = inputs->max_regret, .gain = (double)inputs->gain,
                                    .regret = row->worse, .lost = row->lost};
        goals_label_drawn(&label, row->probability_ppm, row->other_ppm, decision.threshold);
        status = goals_relabel(resume->goals, resume->context, &label, row->leaf_index);
    }
    json_decref(json);
    free(inputs);
    return status == WEIR_E_LIMIT ? 0 : status;
}

static bool any_goal(const struct config *config, enum goal_kind kind)
{
    bool any = config->goal.kind == kind;
    for (int i = 0; i < config->n_tenants; i++)
        any = any || config->tenants[i].goal.kind == kind;
    return any;
}

/* What a tenant's labels meant that they do not mean now; NULL: nothing that is known. */
static const char *why_dropped(const struct goals *goals, const struct config *config, const struct ledger_scope *scope, const struct goal_tenant *state)
{
    const struct config_goal *goal = config_goal_of(config, state->name);
    if (strcmp(goals->head_id, scope->head_id) != 0)
        return "the classifier's head is another one";
    if (strcmp(goals->answers_id, scope->answers_id) != 0)
        return "what answers here or there, or how it is asked, is something else";
    if (goal->kind != GOAL_MAX_REGRET || goal->max_regret != state->label_regret)
        return "the target is another one";
    return strcmp(goals->judge, scope->judge) != 0 ? "the judge of the samples is another one" : NULL;
}

static void tell_dropped(const struct goals *goals, const struct config *config, const struct ledger_scope *scope)
{
    for (int i = 0; i < goals->tenants.n; i++) {
        const struct goal_tenant *state = goals->tenants.sorted[i];
        const char *why = why_dropped(goals, config, scope, state);
        int n = state->n_before - state->evidence.n;
        bool moves = state->moved_before && !state->moved;
        if (why != NULL && (n > 0 || moves))
            log_event(LOG_WARN, "labels_dropped", "tenant %s: %d of %d labels of local answers do not count any more%s: %s",
                      state->name[0] != '\0' ? state->name : "(no key)", n, state->n_before, moves ? ", nor does the threshold that labels had moved" : "", why);
    }
}

int goals_read(struct goals *goals, const struct goals_context *context, const char *ledger_path, struct error *err)
{
    struct resume resume = {goals, context};
    const struct config *config = context->config;
    struct ledger_scope scope = goals_scope(context);
    bool money = any_goal(config, GOAL_BUDGET);
    int status = 0;
    for (int i = 0; i < goals->tenants.n; i++) {
        struct goal_tenant *state = goals->tenants.sorted[i];
        int n_before = state->evidence.n;
        bool moved_before = state->moved;
        evidence_release(&state->evidence);
        state->moved = false;
        state->forgotten_leaf = -1;
        state->n_before = n_before;
        state->moved_before = moved_before;
        state->newer_share = state->share != NULL;
        state->newer_pace = state->pace != NULL;
    }
    goals->tenants.n_labelled = 0;
    if (money || any_goal(config, GOAL_REMOTE_SHARE))
        status = history_decisions(ledger_path, on_decision, &resume, err);
    if (status == 0 && money)
        status = history_spent(ledger_path, month_begin_ns(month_of(context->wall_ns)), on_spent, &resume, err);
    if (status == 0)
        status = history_thresholds(ledger_path, &scope, on_threshold, &resume, err);
    if (status == 0)
        status = history_labels(ledger_path, &scope, on_label, &resume, err);
    goals->unread = status < 0;
    if (status == 0)
        tell_dropped(goals, config, &scope);
    str_copy(goals->head_id, sizeof goals->head_id, str_of(scope.head_id));
    str_copy(goals->answers_id, sizeof goals->answers_id, str_of(scope.answers_id));
    str_copy(goals->judge, sizeof goals->judge, str_of(scope.judge));
    return status;
}
