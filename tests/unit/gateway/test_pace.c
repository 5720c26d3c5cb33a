/* A month's budget on a fake clock: never overspent, there until the last day, spent where it buys the most; months end and clocks jump. */
#include "goals/pace.h"

#include "coin.h"
#include "money/month.h"
#include "money/prices.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#define DAY_NS 86400000000000
#define COST 500000

static int64_t day(int year, int month, int number)
{
    return month_begin_ns((int64_t)year * 12 + month - 1) + (number - 1) * DAY_NS;
}

Test(month, every_day_of_four_centuries_lies_between_its_months_ends)
{
    int64_t month = month_of(0);
    cr_assert_eq(month, 1970 * 12);
    cr_assert_eq(month_begin_ns(month), 0);
    for (int64_t d = -40000; d < 100000; d++) {
        month = month_of_day(d);
        cr_assert(month_begin_ns(month) <= d * DAY_NS && d * DAY_NS < month_begin_ns(month + 1), "day %lld", (long long)d);
    }
    cr_assert_eq(month_begin_ns(2024 * 12 + 2) - month_begin_ns(2024 * 12 + 1), 29 * DAY_NS, "a leap year");
    cr_assert_eq(month_of(-1), 1969 * 12 + 11);
    cr_assert_eq(day(2026, 11, 29), 1795910400000000000);
}

enum traffic { EVEN, DAY_AND_NIGHT, GROWING, LATE_RUSH, GAINS_FALL, DEARER_LATER, N_TRAFFICS };

struct query {
    double value, gain;
    int64_t cost_nusd;
};

struct spent {
    double gain, best; /* Sums; best: by one who knew the month. */
    double share;      /* Of the budget. */
    double first_dry;  /* The day on which money was short for a query that was worth it; 99: never. */
    double worst_lead; /* Largest spent - budget × (day + 1) / days, as a share of the budget. */
};

static int by_value(const void *a, const void *b)
{
    double x = ((const struct query *)a)->value, y = ((const struct query *)b)->value;
    return x < y ? 1 : x > y ? -1 : 0;
}

static double busy(enum traffic traffic, double at)
{
    double hour = fmod(at, 1) * 24;
    return traffic == DAY_AND_NIGHT ? (hour > 8 && hour < 18 ? 2.2 : 0.1) : traffic == GROWING ? 0.5 + at / 30 : traffic == LATE_RUSH ? (at > 23 ? 5 : 1) : 1;
}

static struct spent simulate(enum traffic traffic, double budget_share, int n_queries, uint64_t seed)
{
    static struct query queries[40000];
    struct spent out = {.first_dry = 99, .worst_lead = -1};
    struct pace pace = {0};
    uint64_t state = seed;
    int64_t begin = day(2026, 11, 1), end = day(2026, 12, 1), now = begin, budget = (int64_t)(budget_share * n_queries * COST), spent = 0;
    int n = 0;
    for (;;) {
        double at = (double)(now - begin) / DAY_NS;
        now += (int64_t)(-log1p(-coin(&state)) * (double)(end - begin) / n_queries / busy(traffic, at));
        if (now >= end || n == (int)(sizeof queries / sizeof *queries))
            break;
        double gain = coin(&state) * (traffic == GAINS_FALL && at > 15 ? 0.4 : 1);
        int64_t cost = (int64_t)(COST * (0.25 + 1.5 * coin(&state)) * (traffic == DEARER_LATER && at > 15 ? 3 : 1)), worst = 4 * cost;
        struct pace_view view;
        pace_view(&pace, budget, cost, now, &view);
        double value = gain * 1e9 / (double)cost, threshold = pace.values.n >= PACE_LEAST_VALUES ? fmax(0, recent_above(&pace.values, view.level)) : 0;
        bool wanted = value > threshold, left = wanted && worst <= view.left_nusd;
        if (wanted && worst > view.month_left_nusd && at < out.first_dry)
            out.first_dry = at;
        pace_count(&pace, left, value, worst, now);
        if (left) {
            pace_settle(&pace, worst, cost, 200, now);
            out.gain += gain;
            spent += cost;
        }
        out.worst_lead = fmax(out.worst_lead, (double)spent / (double)budget - (at + 1) / 30);
        queries[n++] = (struct query){value, gain, cost};
    }
    cr_assert_eq(pace.spent_nusd, spent, "to the nano-dollar");
    cr_assert_leq(spent, budget);
    out.share = (double)spent / (double)budget;
    qsort(queries, (size_t)n, sizeof *queries, by_value);
    int64_t paid = 0;
    for (int i = 0; i < n && paid + queries[i].cost_nusd <= budget; i++) {
        paid += queries[i].cost_nusd;
        out.best += queries[i].gain;
    }
    return out;
}

Test(pace, a_thousand_months_of_every_kind_are_never_overspent_and_have_money_until_the_last_day)
{
    for (uint64_t seed = 0; seed < 60; seed++)
        for (int traffic = 0; traffic < N_TRAFFICS; traffic++)
            for (int k = 0; k < 3; k++) {
                double budget = (const double[]){0.05, 0.25, 0.7}[k];
                struct spent spent = simulate((enum traffic)traffic, budget, 4000, seed * 65537 + 11);
                cr_assert_leq(spent.worst_lead, 1e-9, "traffic %d, budget %g: %g ahead of the calendar", traffic, budget, spent.worst_lead);
                cr_assert_gt(spent.first_dry, 28.5, "traffic %d, budget %g: dry on day %g", traffic, budget, spent.first_dry);
                cr_assert_gt(spent.share, 0.95, "traffic %d, budget %g: only %g is spent", traffic, budget, spent.share);
            }
}

Test(pace, the_greatest_gains_a_dollar_leave)
{
    static const double least[N_TRAFFICS] = {0.95, 0.95, 0.9, 0.8, 0.75, 0.75}; /* Of the last three nobody could know. */
    for (int traffic = 0; traffic < N_TRAFFICS; traffic++) {
        double gain = 0, best = 0;
        for (uint64_t seed = 0; seed < 10; seed++) {
            struct spent spent = simulate((enum traffic)traffic, 0.2, 4000, seed * 101 + 5);
            gain += spent.gain;
            best += spent.best;
        }
        cr_assert_gt(gain, least[traffic] * best, "traffic %d: %g of what is possible", traffic, gain / best);
    }
}

/* What a tenant with this budget may spend at worst. */
static struct pace_view look(struct pace *pace, int64_t wall_ns)
{
    struct pace_view view;
    pace_view(pace, 30000000000, COST, wall_ns, &view);
    return view;
}

Test(pace, a_month_ends_and_the_next_begins_with_nothing_spent)
{
    struct pace pace = {0};
    cr_assert_eq(look(&pace, day(2026, 11, 1)).left_nusd, 1000000000, "a day's share on the first day");
    pace_count(&pace, true, 1, 2000, day(2026, 11, 30));
    pace_settle(&pace, 2000, 700, 10, day(2026, 12, 1) - 1);
    struct pace_view view = look(&pace, day(2026, 12, 1) - 1);
    cr_assert(view.spent_nusd == 700 && view.month_left_nusd == 30000000000 - 700 && view.left_nusd == view.month_left_nusd, "all of it on the last day");
    view = look(&pace, day(2026, 12, 1));
    cr_assert(view.spent_nusd == 0 && view.month == 2026 * 12 + 11 && view.month_left_nusd == 30000000000);
    cr_assert_eq(look(&pace, day(2027, 1, 1)).month, 2027 * 12, "over the year's end");
}

Test(pace, a_request_that_outlives_its_month_is_paid_in_the_one_it_ends_in)
{
    struct pace pace = {0};
    pace_count(&pace, true, 1, 2000, day(2026, 12, 1) - 1);
    struct pace_view view = look(&pace, day(2026, 12, 1));
    cr_assert(view.spent_nusd == 0 && view.month_left_nusd == 30000000000 - 2000, "under way");
    pace_settle(&pace, 2000, 900, 10, day(2026, 12, 2));
    cr_assert_eq(look(&pace, day(2026, 12, 2)).month_left_nusd, 30000000000 - 900);
}

Test(pace, a_clock_that_jumps_gives_no_money_back)
{
    struct pace pace = {0};
    pace_count(&pace, true, 1, 5000, day(2026, 11, 20));
    pace_settle(&pace, 5000, 4000, 10, day(2026, 11, 20));
    cr_assert_eq(look(&pace, day(2026, 11, 3)).spent_nusd, 4000, "back within the month");
    cr_assert_eq(look(&pace, day(2026, 9, 3)).spent_nusd, 4000, "back over months");
    cr_assert_eq(look(&pace, day(2026, 9, 4)).spent_nusd, 4000);
    pace = (struct pace){0};
    pace_settle(&pace, 0, 4000, 10, day(2026, 11, 20));
    cr_assert_eq(look(&pace, day(2031, 1, 1)).spent_nusd, 0, "a slip into another year");
    pace_settle(&pace, 0, 300, 10, day(2031, 1, 1));
    cr_assert_eq(look(&pace, day(2026, 11, 21)).spent_nusd, 4300, "and back: both were spent this month");
    cr_assert_eq(look(&pace, day(2026, 12, 1)).spent_nusd, 0, "and the next one begins as it should");
    struct pace_view view = look(&pace, day(2026, 12, 5));
    cr_assert(isfinite(view.level) && view.level >= 0 && view.level <= 1 && isfinite(view.expected_queries));
}

Test(pace, worst_cases_under_way_are_not_spent_twice)
{
    struct pace pace = {0};
    int64_t now = day(2026, 11, 30), left = look(&pace, now).left_nusd, worst = left / 3 + 1;
    int n = 0;
    while (look(&pace, now).left_nusd >= worst && n++ < 10)
        pace_count(&pace, true, 1, worst, now);
    cr_assert_eq(n, 2);
    pace_settle(&pace, worst, MONEY_UNKNOWN, -1, now);
    cr_assert_eq(pace.spent_nusd, worst, "an unknown cost is the worst one");
    pace_settle(&pace, worst, 5, 10, now);
    cr_assert(pace.committed_nusd == 0 && pace.spent_nusd == worst + 5);
}

Test(pace, extreme_amounts_stay_amounts)
{
    struct pace pace = {0};
    struct pace_view view;
    pace_view(&pace, 1000000000000000000, 1, day(2026, 11, 15), &view);
    cr_assert(view.left_nusd > 0 && view.left_nusd < view.month_left_nusd);
    pace_count(&pace, true, 1, INT64_MAX, day(2026, 11, 15));
    pace_count(&pace, true, 1, INT64_MAX, day(2026, 11, 15));
    pace_view(&pace, 1000000000000000000, 1, day(2026, 11, 15), &view);
    cr_assert(view.left_nusd == 0 && view.month_left_nusd == 0 && view.level == 0);
    pace_view(&pace, 0, MONEY_UNKNOWN, day(2026, 11, 15), &view);
    cr_assert(view.left_nusd == 0 && view.level == 0);
}
