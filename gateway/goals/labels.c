/* Labels into thresholds: goals_label. Invariant: every move of a threshold is one row of the ledger's `threshold`, and a start that reads
 * those rows and the labels after the last one that refuted comes to the same state. */
#include "goals/goals_internal.h"

#include <math.h>

static int64_t ppm(double value)
{
    return llround(value * 1e6);
}

void goals_label_drawn(struct goals_label *label, int64_t probability_ppm, int64_t other_ppm, double threshold)
{
    label->reach = other_ppm > 0 ? EVIDENCE_ALL : threshold;
    label->probability = probability_ppm > 0 ? (double)probability_ppm / 1e6 : 1;
    label->least_probability = other_ppm > 0 && other_ppm < probability_ppm ? (double)other_ppm / 1e6 : label->probability;
}

/* Takes it into the tenant's evidence. 1: taken; 0: it is not of the tenant's target. */
static int take(struct goals *goals, const struct goals_context *context, const struct goals_label *label, int64_t leaf_index, struct goal_tenant **out)
{
    const struct config_goal *goal = config_goal_of(context->config, label->tenant);
    if (goal->kind != GOAL_MAX_REGRET || label->max_regret != goal->max_regret || !isfinite(label->gain))
        return 0;
    struct goal_tenant *state = goal_tenants_have(&goals->tenants, label->tenant, GOALS_MAX_TENANTS);
    if (state == NULL || (state->evidence.capacity == 0 && goals->tenants.n_labelled >= GOALS_MAX_LABELLED))
        return WEIR_E_LIMIT;
    if (leaf_index <= state->forgotten_leaf)
        return 0;
    bool first = state->evidence.capacity == 0;
    state->label_regret = label->max_regret;
    struct evidence_label taken = {
        .id = str_hash(str_of(label->decision_id)),
        .reach = label->reach,
        .gain = (float)label->gain,
        .loss = label->lost ? 1 : (float)label->regret,
        .slack = label->lost,
        .weight = label->probability > 0 ? (float)fmin(1, label->least_probability / label->probability) : 1,
    };
    int status = evidence_add(&state->evidence, &taken);
    if (status < 0)
        return status;
    goals->tenants.n_labelled += first;
    *out = state;
    return 1;
}

static void move(struct goal_tenant *state, const struct goals_context *context, double max_regret, double from, const struct evidence_verdict *verdict)
{
    bool up = verdict->move == EVIDENCE_UP;
    struct ledger_scope scope = goals_scope(context);
    char answers_id[400];
    snprintf(answers_id, sizeof answers_id, LEDGER_THRESHOLD_ID, scope.answers_id, scope.judge);
    struct ledger_threshold row = {
        .time_ns = context->wall_ns,
        .tenant = state->name[0] != '\0' ? state->name : NULL,
        .reason = up ? "supported" : "refuted",
        .max_regret_ppm = ppm(max_regret),
        .old_ppm = ppm(from),
        .new_ppm = ppm(verdict->threshold),
        .n_labels = verdict->n,
        .regret_ppm = ppm(verdict->regret),
        .confidence_ppm = ppm(1 - EVIDENCE_ALPHA),
        .config_sha256 = context->config->sha256,
        .head_id = context->head != NULL ? head_id(context->head) : NULL,
        .answers_id = scope.answers_id[0] != '\0' ? answers_id : NULL,
    };
    if (context->ledger != NULL && ledger_append_threshold(context->ledger, &row) < 0) {
        log_event(LOG_ERROR, "threshold_stays", "tenant %s: the ledger does not take the row of its new threshold", state->name[0] != '\0' ? state->name : "(no key)");
        return; /* What is not on record is not done; the next label tries again. */
    }
    log_event(up ? LOG_INFO : LOG_WARN, "threshold_moved",
              "tenant %s: by %lld labels of local answers with a mean loss of %.4f the threshold of gain for max_regret %g goes from %.4f to %.4f: %s, %.3g to 1",
              state->name[0] != '\0' ? state->name : "(no key)", (long long)verdict->n, verdict->regret, max_regret, from, verdict->threshold,
              up ? "they support it" : "they refute the old one", verdict->wealth);
    state->moved = true;
    state->threshold = verdict->threshold;
    state->n_labels = verdict->n;
    if (!up)
        evidence_forget(&state->evidence);
}

int goals_label(struct goals *goals, const struct goals_context *context, const struct goals_label *label)
{
    struct goal_tenant *state = NULL;
    int status = take(goals, context, label, INT64_MAX, &state);
    if (status <= 0)
        return status;
    struct evidence_verdict verdict;
    double base = head_threshold(context->head, label->max_regret), in_use = state->moved ? state->threshold : base;
    evidence_judge(&state->evidence, label->max_regret, base, in_use, &verdict);
    if (verdict.move != EVIDENCE_STAYS)
        move(state, context, label->max_regret, in_use, &verdict);
    return (int)verdict.move;
}

int goals_relabel(struct goals *goals, const struct goals_context *context, const struct goals_label *label, int64_t leaf_index)
{
    struct goal_tenant *state = NULL;
    int status = take(goals, context, label, leaf_index, &state);
    return status < 0 ? status : 0;
}

void goals_unlabel(struct goals *goals, const char *tenant, const char *decision_id)
{
    struct goal_tenant *state = goal_tenants_find(&goals->tenants, tenant);
    if (state != NULL)
        evidence_remove(&state->evidence, str_hash(str_of(decision_id)));
}
