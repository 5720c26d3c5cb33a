/* What the tenant's target says of one query, as it stood: an input of decide(), filled by goals/goals.h and recorded with the others. */
#ifndef WEIR_DECIDE_GOAL_H
#define WEIR_DECIDE_GOAL_H

#include "config/config.h"

/* What a threshold stands on. */
enum goal_source { GOAL_FROM_DEFAULT, GOAL_FROM_CALIBRATION, GOAL_FROM_TRAFFIC, GOAL_SOURCES };

struct decide_goal {
    enum goal_kind kind;       /* GOAL_MAX_REGRET: nothing below is used. */
    bool regret_named;         /* auto:<max-regret>: what that keeps here stays here all the same. */
    double threshold;          /* Of the gain; of GOAL_BUDGET: of the gain a dollar. */
    enum goal_source source;
    int64_t lines;             /* Recent queries, or calibration lines. */
    double level;              /* Share of those whose gain shall be above the threshold. */
    /* GOAL_REMOTE_SHARE */
    double max_remote_share;
    int64_t credit_ppm;        /* Before this query, in millionths of one. */
    bool open;                 /* One more may leave. */
    /* GOAL_BUDGET */
    int64_t budget_nusd, spent_nusd;   /* Of the tenant in this month. */
    int64_t left_nusd;         /* That a query which could stay may cost at worst. */
    int64_t month_left_nusd;   /* And one which could not. */
    int64_t expected_nusd;     /* Of this query; MONEY_UNKNOWN. */
    int64_t month;             /* money/month.h */
    double queries, mean_cost_nusd, mean_tokens; /* goals/pace.h: so that a start can go on from the last row. */
    int64_t since_ns, n_settled;
};

const char *goal_kind_name(enum goal_kind kind);     /* "max_regret", "max_remote_share", "budget_usd_per_month" */
const char *goal_source_name(enum goal_source source); /* "default", "calibration", "traffic" */

json_t *goal_json(const struct decide_goal *goal); /* New reference; null for GOAL_MAX_REGRET. */
/* null or absent: GOAL_MAX_REGRET. */
int goal_parse(const json_t *json, struct decide_goal *out, struct error *err) WEIR_CHECKED;

#endif
