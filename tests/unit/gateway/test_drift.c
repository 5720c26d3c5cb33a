/* The drift test: it keeps its error rate under the hypothesis however the ratings come, sees a shift, and forgets what is replaced. */
#include "feedback/drift.h"

#include <criterion/criterion.h>

/* splitmix64 (Steele et al. 2014): the same coins in every run. */
static double coin(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}

/* Ratings until the alarm; -1: none came within n. */
static int rate_until_alarm(uint64_t seed, int n, double max_regret, double share)
{
    struct drift *drift = drift_new();
    uint64_t state = seed;
    int at = -1;
    for (int i = 0; i < n && at < 0; i++)
        if (drift_rate(drift, "t", max_regret, DRIFT_UNRATED, coin(&state) < share) == DRIFT_RAISED)
            at = i + 1;
    drift_free(drift);
    return at;
}

static int alarms(int n_runs, int n_ratings, double max_regret, double share)
{
    int n = 0;
    for (int run = 0; run < n_runs; run++)
        n += rate_until_alarm((uint64_t)run * 1000003 + 17, n_ratings, max_regret, share) > 0;
    return n;
}

Test(drift, false_alarms_stay_below_five_in_a_hundred_at_the_border_of_the_hypothesis)
{
    static const double regrets[] = {0.02, 0.05, 0.1, 0.3};
    for (size_t i = 0; i < sizeof regrets / sizeof *regrets; i++) {
        int n = alarms(1000, 2000, regrets[i], regrets[i]);
        cr_assert_lt(n, 50, "%d of 1000 at %g", n, regrets[i]);
    }
}

Test(drift, false_alarms_stay_below_five_in_a_hundred_when_the_rate_depends_on_what_came_before)
{
    int n = 0;
    for (uint64_t run = 0; run < 1000; run++) {
        struct drift *drift = drift_new();
        uint64_t state = run * 7919 + 5;
        int64_t n_rated, n_down;
        bool raised = false;
        for (int i = 0; i < 1000 && !raised; i++) {
            double share = drift_wealth(drift, "t", &n_rated, &n_down) > 1 ? 0.1 : 0.02; /* Pushes when it is ahead. */
            raised = drift_rate(drift, "t", 0.1, DRIFT_UNRATED, coin(&state) < share) == DRIFT_RAISED;
        }
        n += raised;
        drift_free(drift);
    }
    cr_assert_lt(n, 50, "%d of 1000", n);
}

Test(drift, a_shift_is_seen)
{
    cr_assert_geq(alarms(1000, 400, 0.05, 0.15), 950);
    cr_assert_eq(alarms(1000, 100, 0.1, 0.6), 1000);
    cr_assert_eq(rate_until_alarm(1, 100, 0, 1), 1, "at a max_regret of 0 the first one down speaks 20 to 1");
    cr_assert_eq(rate_until_alarm(1, 1000, 1, 1), -1, "at 1 there is nothing to test");
}

Test(drift, the_alarm_falls_when_the_ratings_have_come_back)
{
    struct drift *drift = drift_new();
    int n = 0, change = DRIFT_SAME;
    while (change != DRIFT_RAISED && n++ < 100)
        change = drift_rate(drift, "t", 0.1, DRIFT_UNRATED, true);
    cr_assert(drift_alarmed(drift, "t") && !drift_alarmed(drift, NULL) && !drift_alarmed(drift, "u"), "nobody else's");
    n = 0;
    change = DRIFT_SAME;
    while (change != DRIFT_LOWERED && n++ < 1000) {
        cr_assert(drift_alarmed(drift, "t"));
        change = drift_rate(drift, "t", 0.1, DRIFT_UNRATED, false);
    }
    cr_assert(!drift_alarmed(drift, "t") && n > 1);
    drift_free(drift);
}

Test(drift, a_rating_replaced_is_as_if_it_had_never_been)
{
    struct drift *one = drift_new(), *other = drift_new();
    int64_t n_rated, n_down;
    for (int i = 0; i < 50; i++) {
        cr_assert_geq(drift_rate(one, "t", 0.1, DRIFT_UNRATED, true), 0);
        cr_assert_geq(drift_rate(one, "t", 0.1, DRIFT_WAS_DOWN, i % 10 == 0), 0);
        cr_assert_geq(drift_rate(one, "t", 0.1, i % 10 == 0 ? DRIFT_WAS_DOWN : DRIFT_WAS_FINE, i % 25 == 0), 0);
        cr_assert_geq(drift_rate(other, "t", 0.1, DRIFT_UNRATED, i % 25 == 0), 0);
    }
    double wealth = drift_wealth(one, "t", &n_rated, &n_down);
    cr_assert(n_rated == 50 && n_down == 2);
    cr_assert_float_eq(wealth, drift_wealth(other, "t", &n_rated, &n_down), 1e-9);
    drift_free(one);
    drift_free(other);
}

Test(drift, tenants_are_tested_apart_and_a_reset_forgets_all)
{
    struct drift *drift = drift_new();
    int64_t n_rated, n_down;
    char tenant[16];
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 100; i++) {
            snprintf(tenant, sizeof tenant, "t%d", i * 37 % 100);
            cr_assert_geq(drift_rate(drift, tenant, 0.1, DRIFT_UNRATED, i * 37 % 100 == 5), 0);
        }
    for (int i = 0; i < 100; i++) {
        snprintf(tenant, sizeof tenant, "t%d", i);
        drift_wealth(drift, tenant, &n_rated, &n_down);
        cr_assert(n_rated == 2 && n_down == (i == 5 ? 2 : 0), "%s", tenant);
    }
    drift_reset(drift);
    cr_assert_eq(drift_wealth(drift, "t5", &n_rated, &n_down), 1);
    cr_assert_eq(n_rated, 0);
    drift_free(drift);
}
