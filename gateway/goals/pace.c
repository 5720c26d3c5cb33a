/* The month's money. Invariant: spent_nusd and committed_nusd only change by pace_count, pace_settle and a month's change; estimates
 * (rate, mean cost) move the level, never the money. */
#include "goals/pace.h"

#include "money/month.h"

#include <math.h>

#define DAY_NS 86400000000000
#define HOUR_NS 3600000000000
/* Of the exponential means: queries of two days, the last 64 answers. */
#define RATE_NS (2 * DAY_NS)
enum { MEAN_ANSWERS = 64, FIRST_TOKENS = 256 };

static int64_t sum(int64_t a, int64_t b)
{
    int64_t out;
    return __builtin_add_overflow(a, b, &out) ? INT64_MAX : out;
}

static void roll(struct pace *pace, int64_t wall_ns)
{
    int64_t month = month_of(wall_ns);
    if (!pace->begun) {
        pace->begun = true;
        pace->month = pace->before = month;
    }
    if (month > pace->month) {
        pace->before = pace->month;
        pace->spent_before_nusd = pace->spent_nusd;
        pace->spent_nusd = 0;
    } else if (month < pace->month) {
        pace->spent_nusd = sum(pace->spent_nusd, pace->spent_before_nusd);
        pace->spent_before_nusd = 0;
        pace->before = month;
    }
    pace->month = month;
}

/* Queries a nanosecond, from the decayed count, which has taken an hour at least. */
static double rate_per_ns(const struct pace *pace, int64_t wall_ns)
{
    int64_t age = wall_ns - pace->since_ns, idle = wall_ns - pace->counted_ns;
    double faded = pace->queries * exp(-(double)(idle > 0 ? idle : 0) / RATE_NS);
    return faded / (RATE_NS * -expm1(-(double)(age > HOUR_NS ? age : HOUR_NS) / RATE_NS));
}

void pace_view(struct pace *pace, int64_t budget_nusd, int64_t expected_nusd, int64_t wall_ns, struct pace_view *out)
{
    roll(pace, wall_ns);
    int64_t begin = month_begin_ns(pace->month), end = month_begin_ns(pace->month + 1), elapsed = wall_ns - begin;
    int64_t allowance = elapsed + DAY_NS >= end - begin ? budget_nusd : (int64_t)((__int128)budget_nusd * (elapsed + DAY_NS) / (end - begin));
    int64_t taken = sum(pace->spent_nusd, pace->committed_nusd), left = budget_nusd > taken ? budget_nusd - taken : 0;
    double cost = pace->mean_cost_nusd > 0 ? pace->mean_cost_nusd : (double)(expected_nusd > 1 ? expected_nusd : 1);
    *out = (struct pace_view){.month = pace->month, .spent_nusd = pace->spent_nusd, .left_nusd = allowance > taken ? allowance - taken : 0, .month_left_nusd = left};
    out->expected_queries = fmax(1, rate_per_ns(pace, wall_ns) * (double)(end - wall_ns));
    out->level = fmin(1, (double)left / (out->expected_queries * cost));
}

int64_t pace_tokens(const struct pace *pace)
{
    return pace->n_settled > 0 ? llround(pace->mean_tokens) : FIRST_TOKENS;
}

void pace_count(struct pace *pace, bool may_leave, double value, int64_t worst_nusd, int64_t wall_ns)
{
    roll(pace, wall_ns);
    int64_t idle = wall_ns - pace->counted_ns;
    if (pace->queries <= 0)
        pace->since_ns = wall_ns;
    pace->queries = pace->queries * exp(-(double)(idle > 0 ? idle : 0) / RATE_NS) + 1;
    pace->counted_ns = wall_ns;
    if (may_leave && worst_nusd > 0)
        pace->committed_nusd = sum(pace->committed_nusd, worst_nusd);
    if (isfinite(value))
        recent_add(&pace->values, (float)value);
}

void pace_settle(struct pace *pace, int64_t committed_nusd, int64_t cost_nusd, int64_t completion_tokens, int64_t wall_ns)
{
    roll(pace, wall_ns);
    int64_t cost = cost_nusd >= 0 ? cost_nusd : committed_nusd;
    pace->committed_nusd -= committed_nusd < pace->committed_nusd ? committed_nusd : pace->committed_nusd;
    pace->spent_nusd = sum(pace->spent_nusd, cost);
    if (committed_nusd <= 0 || cost_nusd <= 0 || completion_tokens < 0)
        return;
    int64_t n = ++pace->n_settled < MEAN_ANSWERS ? pace->n_settled : MEAN_ANSWERS;
    pace->mean_cost_nusd += ((double)cost - pace->mean_cost_nusd) / (double)n;
    pace->mean_tokens += ((double)completion_tokens - pace->mean_tokens) / (double)n;
}

void pace_restore(struct pace *pace, int64_t month, int64_t spent_nusd)
{
    pace->begun = true;
    pace->month = pace->before = month;
    pace->spent_nusd = spent_nusd;
    pace->spent_before_nusd = 0;
}
