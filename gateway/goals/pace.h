/* Pace: which queries leave so that a month's money buys the most gain and lasts. One tenant's state.
 *
 * A query leaves when its gain a dollar (the gain over what the answer is expected to cost) is above a threshold. The threshold is
 * the value that a share `level` of the last RECENT_VALUES queries' gains a dollar were above, and
 *   level = what is left of the money / (queries still to come this month × mean cost of one that leaves),
 * worked out anew for each query, so that a wrong guess of the traffic is made good as it shows. Queries to come: the rate of the last
 * days (an exponential mean over RATE_NS), times what is left of the month.
 *
 * What holds whatever comes, in integers of nano-USD: a query that could stay leaves only if its worst case fits into
 *   allowance(now) = budget × (time since the month began + one day) / the month, at most the budget,
 * less what the tenant has spent this month and what the worst cases under way may cost. So `auto` never spends past the budget, and
 * there is money until the month's last day. (A query that the local model cannot take has the whole of what is left.) What the tenant's other requests (named models) cost counts as spent, but is not held back
 * here: a key's budget does that.
 *
 * The clock may jump: money spent is kept when it goes back, also into the month before, and only a month later than any counted so
 * far begins with nothing spent; when that was a slip, what was spent in it counts for the month it goes back to.
 * One thread. */
#ifndef WEIR_GOALS_PACE_H
#define WEIR_GOALS_PACE_H

#include "goals/recent.h"

enum { PACE_LEAST_VALUES = 32 };

struct pace {
    bool begun;
    int64_t month, spent_nusd;         /* The month that is counted, and all the tenant's costs in it. */
    int64_t before, spent_before_nusd; /* The one counted before it. */
    int64_t committed_nusd;            /* Worst cases under way. */
    double queries;                    /* Count of queries, each worth e^-(age / RATE_NS). */
    int64_t since_ns, counted_ns;      /* The first and the last of them. */
    double mean_cost_nusd;             /* Exponential mean over those that left; 0: none yet. */
    double mean_tokens;                /* The same of their answers' tokens. */
    int64_t n_settled;
    struct recent values;              /* Gains a dollar. */
};

struct pace_view {
    int64_t month, spent_nusd;
    int64_t left_nusd;                    /* Of the allowance, as stated above; never negative. */
    int64_t month_left_nusd;              /* Of the whole budget: for what the local model cannot take. */
    double level;
    double expected_queries;              /* Still to come this month. */
};

/* The state of the month at wall_ns; costs of another month are put away. expected_nusd: of this query, for as long as none has left. */
void pace_view(struct pace *pace, int64_t budget_nusd, int64_t expected_nusd, int64_t wall_ns, struct pace_view *out);
/* Completion tokens to expect of an answer. */
int64_t pace_tokens(const struct pace *pace);
/* A query was decided; value: its gain a dollar, NAN where the threshold had no say. worst_nusd of one that leaves, or may yet, is committed. */
void pace_count(struct pace *pace, bool may_leave, double value, int64_t worst_nusd, int64_t wall_ns);
/* A request of the tenant has ended. committed_nusd: what pace_count was given, 0 where it was not asked. cost_nusd negative (unknown):
 * the worst case counts. completion_tokens negative: unknown. */
void pace_settle(struct pace *pace, int64_t committed_nusd, int64_t cost_nusd, int64_t completion_tokens, int64_t wall_ns);
/* Takes over what the ledger knows. */
void pace_restore(struct pace *pace, int64_t month, int64_t spent_nusd);

#endif
