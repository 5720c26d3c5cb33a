/* Labels and thresholds over thousands of seeded tenants whose true regret is known. */
#include "goals/evidence.h"

#include "coin.h"

#include <criterion/criterion.h>
#include <math.h>

/* Gains are even in 0 … 0.5; a local answer of gain g is worse with a chance of steepness × g², so the regret of a threshold t is
 * steepness × t² / 3. */
struct world {
    double steepness;
    double max_regret;
    double base;
    bool sampled; /* Labels also of what left. */
    int n;
};

static double regret_of(const struct world *world, double threshold)
{
    double t = fmin(fmax(threshold, 0), 0.5);
    return world->steepness * t * t / 3;
}

struct moves {
    bool up, down, up_wrongly, down_wrongly;
    double threshold;
};

static struct moves live(const struct world *world, uint64_t seed)
{
    struct evidence evidence = {0};
    struct evidence_verdict verdict;
    struct moves moves = {.threshold = world->base};
    uint64_t state = seed;
    for (int i = 0; i < world->n; i++) {
        double gain = 0.5 * coin(&state);
        bool worse = coin(&state) < world->steepness * gain * gain;
        if (!world->sampled && gain > moves.threshold)
            continue; /* It has left: nobody rates a local answer to it. */
        struct evidence_label label = {.id = (uint64_t)i + 1, .gain = (float)gain, .reach = world->sampled ? EVIDENCE_ALL : moves.threshold, .loss = worse, .weight = 1};
        cr_assert_eq(evidence_add(&evidence, &label), 0);
        if (i % 20 != 0)
            continue;
        evidence_judge(&evidence, world->max_regret, world->base, moves.threshold, &verdict);
        moves.up |= verdict.move == EVIDENCE_UP;
        moves.up_wrongly |= verdict.move == EVIDENCE_UP && regret_of(world, verdict.threshold) > world->max_regret;
        moves.down |= verdict.move == EVIDENCE_DOWN;
        moves.down_wrongly |= verdict.move == EVIDENCE_DOWN && regret_of(world, moves.threshold) <= world->max_regret;
        if (verdict.move == EVIDENCE_DOWN)
            evidence_forget(&evidence);
        moves.threshold = verdict.threshold;
    }
    evidence_release(&evidence);
    return moves;
}

Test(evidence, of_three_thousand_tenants_no_more_than_the_stated_share_is_ever_moved_wrongly)
{
    static const double regrets[] = {0.05, 0.1, 0.2};
    for (int k = 0; k < 3; k++) {
        struct world world = {.steepness = 12 * regrets[k], .max_regret = regrets[k], .base = 0.1, .sampled = true, .n = 1500};
        int up = 0, up_wrongly = 0, down_wrongly = 0;
        double kept = 0;
        for (uint64_t seed = 0; seed < 1000; seed++) {
            struct moves moves = live(&world, seed * 7919 + 3);
            up += moves.up;
            up_wrongly += moves.up_wrongly;
            down_wrongly += moves.down_wrongly;
            kept += moves.threshold / 1000;
        }
        /* The loosest true threshold is 0.5: steepness × .25 / 3 = max_regret. Border of the hypothesis at the grid's points above. */
        cr_assert_leq(up_wrongly, 100, "max_regret %g: up wrongly in %d of 1000", regrets[k], up_wrongly);
        cr_assert_leq(down_wrongly, 100, "max_regret %g: down wrongly in %d of 1000", regrets[k], down_wrongly);
        cr_assert_geq(up, 900, "max_regret %g: up in %d of 1000", regrets[k], up);
        cr_assert_gt(kept, 0.2, "max_regret %g: %g on the average, where .5 would hold", regrets[k], kept);
    }
}

Test(evidence, a_threshold_on_the_very_border_is_hardly_ever_refuted_or_passed)
{
    /* The same regret whatever the gain, at max_regret and hardly above it: every move is wrong. */
    int down = 0, up = 0;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct evidence evidence = {0};
        struct evidence_verdict verdict;
        uint64_t state = seed * 104729 + 1;
        bool was_down = false, was_up = false;
        for (int i = 0; i < 1000 && !was_down && !was_up; i++) {
            struct evidence_label label = {.id = (uint64_t)i + 1, .gain = (float)(0.2 * coin(&state)), .reach = EVIDENCE_ALL, .loss = coin(&state) < 0.1, .weight = 1};
            cr_assert_eq(evidence_add(&evidence, &label), 0);
            if (i % 10 != 0)
                continue;
            evidence_judge(&evidence, 0.1, 0.3, 0.3, &verdict);
            was_down = verdict.move == EVIDENCE_DOWN;
            evidence_judge(&evidence, 0.0999, 0.3, EVIDENCE_NOTHING, &verdict);
            was_up = verdict.move == EVIDENCE_UP;
        }
        down += was_down;
        up += was_up;
        evidence_release(&evidence);
    }
    cr_assert_leq(down, 100, "down in %d of 1000", down);
    cr_assert_leq(up, 100, "up in %d of 1000", up);
}

Test(evidence, ratings_alone_move_nothing_above_what_was_rated)
{
    struct world world = {.steepness = 0.01, .max_regret = 0.2, .base = 0.1, .sampled = false, .n = 4000};
    for (uint64_t seed = 0; seed < 20; seed++)
        cr_assert_eq(live(&world, seed).threshold, 0.1, "however good all that stayed was");
}

/* Labels until the threshold falls; *broken: whether by then more than max_regret of all local answers were worse. -1: before the shift. */
static int until_down(uint64_t seed, double max_regret, int n_before, double before, double after, bool *broken)
{
    struct evidence evidence = {0};
    struct evidence_verdict verdict = {.move = EVIDENCE_STAYS};
    uint64_t state = seed;
    int n_worse = 0, i = 0;
    *broken = false;
    for (; i < n_before + 2000 && verdict.move != EVIDENCE_DOWN; i++) {
        bool worse = coin(&state) < (i < n_before ? before : after);
        struct evidence_label label = {.id = (uint64_t)i + 1, .gain = (float)(0.1 * coin(&state)), .reach = 0.1, .loss = worse, .weight = 1};
        n_worse += worse;
        *broken |= i >= n_before && n_worse > max_regret * (i + 1);
        cr_assert_eq(evidence_add(&evidence, &label), 0);
        if (i < n_before && i % 10 != 0)
            continue;
        evidence_judge(&evidence, max_regret, 0.1, 0.1, &verdict);
        if (verdict.move == EVIDENCE_UP)
            verdict.move = EVIDENCE_STAYS;
    }
    evidence_release(&evidence);
    return i <= n_before ? -1 : i - n_before;
}

Test(evidence, after_a_shift_the_alarm_comes_before_the_promise_is_broken)
{
    static const struct {
        double max_regret, before, after;
    } shifts[] = {{0.05, 0.02, 0.2}, {0.05, 0.02, 0.6}, {0.1, 0.05, 0.3}, {0.2, 0.1, 0.5}};
    for (size_t k = 0; k < sizeof shifts / sizeof *shifts; k++) {
        int early = 0, broken = 0;
        for (uint64_t seed = 0; seed < 250; seed++) {
            bool was_broken;
            int at = until_down(seed * 31337 + 1, shifts[k].max_regret, 1000, shifts[k].before, shifts[k].after, &was_broken);
            early += at < 0;
            broken += was_broken;
        }
        cr_assert_leq(early, 25, "%g to %g: an alarm before the shift in %d of 250", shifts[k].before, shifts[k].after, early);
        cr_assert_leq(broken, 12, "%g to %g: broken before the alarm in %d of 250", shifts[k].before, shifts[k].after, broken);
    }
}

static void add(struct evidence *evidence, uint64_t id, double gain, double loss)
{
    struct evidence_label label = {.id = id, .gain = (float)gain, .reach = 0.3, .loss = (float)loss, .weight = 1};
    cr_assert_eq(evidence_add(evidence, &label), 0);
}

Test(evidence, a_refuted_threshold_falls_to_the_loosest_that_the_labels_do_not_speak_against)
{
    struct evidence evidence = {0};
    struct evidence_verdict verdict;
    for (uint64_t i = 0; i < 200; i++)
        add(&evidence, i + 1, i % 4 == 0 ? 0.25 : 0.05, i % 4 == 0 ? (double)(i % 8 == 0) : 0);
    evidence_judge(&evidence, 0.05, 0.3, 0.3, &verdict);
    cr_assert_eq(verdict.move, EVIDENCE_DOWN);
    cr_assert_float_eq(verdict.threshold, 0.24, 1e-9, "just below those that are worse, not %g", verdict.threshold);
    cr_assert(verdict.n == 200 && fabs(verdict.regret - 0.125) < 1e-9 && verdict.wealth > 20);
    evidence_forget(&evidence);
    for (uint64_t i = 0; i < 100; i++)
        add(&evidence, i + 1, 0, 1);
    evidence_judge(&evidence, 0.05, 0.3, 0.24, &verdict);
    cr_assert(verdict.move == EVIDENCE_DOWN && verdict.threshold < 0, "where all are worse none stays that may be like them");
    evidence_release(&evidence);
}

Test(evidence, a_later_label_takes_the_earlier_ones_place)
{
    struct evidence one = {0}, other = {0};
    struct evidence_verdict verdicts[2];
    for (uint64_t i = 0; i < 300; i++) {
        add(&one, i + 1, 0.1, 1);
        add(&other, i + 1, 0.2, i % 50 == 0);
    }
    for (uint64_t i = 0; i < 300; i++)
        add(&one, i + 1, 0.2, i % 50 == 0);
    cr_assert_eq(one.n, 300);
    evidence_judge(&one, 0.1, 0.1, 0.1, &verdicts[0]);
    evidence_judge(&other, 0.1, 0.1, 0.1, &verdicts[1]);
    cr_assert(verdicts[0].move == EVIDENCE_UP && memcmp(&verdicts[0], &verdicts[1], sizeof verdicts[0]) == 0);
    evidence_release(&one);
    evidence_release(&other);
}

Test(evidence, few_labels_and_strange_numbers_move_nothing)
{
    struct evidence evidence = {0};
    struct evidence_verdict verdict;
    for (uint64_t i = 0; i < EVIDENCE_LEAST - 1; i++)
        add(&evidence, i, 0.1, 1);
    evidence_judge(&evidence, 0.1, 0.3, 0.3, &verdict);
    cr_assert(verdict.move == EVIDENCE_STAYS && verdict.threshold == 0.3);
    for (uint64_t i = 0; i < 200; i++) {
        struct evidence_label label = {.id = 1000 + i, .gain = i % 2 == 0 ? NAN : INFINITY, .reach = i % 3 == 0 ? (double)NAN : -INFINITY, .loss = NAN, .weight = -1};
        cr_assert_eq(evidence_add(&evidence, &label), 0);
        evidence_judge(&evidence, 0.1, 0.3, 0.05, &verdict);
        cr_assert(verdict.move == EVIDENCE_STAYS && isfinite(verdict.threshold));
    }
    evidence_judge(&evidence, 0, 0.3, 0.3, &verdict);
    evidence_judge(&evidence, 1, 0.3, 0.3, &verdict);
    cr_assert_eq(verdict.move, EVIDENCE_STAYS);
    evidence_release(&evidence);
}

Test(evidence, a_move_needs_the_stated_odds_and_after_each_move_down_longer_ones)
{
    for (int down = 0; down < 2; down++) {
        struct evidence evidence = {0};
        for (int k = 0; k < 3; k++) {
            /* The k-th test has a share 1 / ((k + 1)(k + 2)) of the error; up from five starts that share it. */
            double needed = (k + 1) * (k + 2) / EVIDENCE_ALPHA * (down ? 1 : 5);
            struct evidence_verdict verdict = {.move = EVIDENCE_STAYS};
            for (uint64_t i = 0; i < 900 && verdict.move == EVIDENCE_STAYS; i++) {
                add(&evidence, i + 1, 0.25, down ? 0.052 : 0);
                evidence_judge(&evidence, 0.05, 0.3, down ? 0.3 : 0, &verdict);
            }
            cr_assert_eq(verdict.move, down ? EVIDENCE_DOWN : EVIDENCE_UP);
            cr_assert(verdict.wealth >= needed && verdict.wealth < 1.25 * needed, "test %d: %g to 1 where %g are needed", k, verdict.wealth, needed);
            evidence_forget(&evidence);
        }
        evidence_release(&evidence);
    }
}

Test(evidence, a_stretch_that_is_not_supported_is_not_passed_over)
{
    /* Worse ones at .19 are drowned by good ones at .29: the regret at .3 is .06, but at .2 it is .17. */
    struct evidence evidence = {0};
    struct evidence_verdict verdict;
    for (uint64_t i = 0; i < 1000; i++)
        add(&evidence, i + 1, i % 50 < 15 ? 0.1 : i % 50 < 18 ? 0.19 : 0.29, i % 50 >= 15 && i % 50 < 18);
    evidence_judge(&evidence, 0.1, 0.1, 0, &verdict);
    cr_assert_eq(verdict.move, EVIDENCE_UP);
    cr_assert_float_eq(verdict.threshold, 0.18, 1e-9, "%g", verdict.threshold);
    evidence_judge(&evidence, 0.1, 0.3, 0, &verdict); /* Where .3 is the threshold without labels it is a start of its own. */
    cr_assert_geq(verdict.threshold, 0.3);
    evidence_release(&evidence);
}

Test(evidence, labels_are_bounded_and_the_older_half_makes_room)
{
    struct evidence evidence = {0};
    for (uint64_t i = 0; i < 10 * EVIDENCE_LABELS; i++) {
        add(&evidence, i, 0.1, 0);
        cr_assert_leq(evidence.n, EVIDENCE_LABELS);
    }
    cr_assert_eq(evidence.labels[evidence.n - 1].id, 10 * EVIDENCE_LABELS - 1);
    cr_assert_eq(evidence.n_tests, 18);
    cr_assert_leq(evidence.capacity, EVIDENCE_LABELS);
    evidence_release(&evidence);
}

Test(evidence, weights_make_up_for_samples_that_favour_some_queries)
{
    /* Gains below .1 are never worse and are sampled ten times as often as those above, which are worse every other time: half of all
     * queries, so the regret at .2 is .25, and .045 among the labels. */
    int up[2] = {0};
    for (int weighted = 0; weighted < 2; weighted++)
        for (uint64_t seed = 0; seed < 200; seed++) {
            struct evidence evidence = {0};
            struct evidence_verdict verdict;
            uint64_t state = seed + 5;
            for (uint64_t i = 0; evidence.n < 600; i++) {
                double gain = 0.2 * coin(&state), p = gain < 0.1 ? 1 : 0.1;
                bool worse = gain >= 0.1 && coin(&state) < 0.5;
                struct evidence_label label = {.id = i, .gain = (float)gain, .reach = EVIDENCE_ALL, .loss = worse, .weight = weighted ? (float)(0.1 / p) : 1};
                if (coin(&state) < p)
                    cr_assert_eq(evidence_add(&evidence, &label), 0);
            }
            evidence_judge(&evidence, 0.15, 0.15, -0.1, &verdict);
            up[weighted] += verdict.move == EVIDENCE_UP && verdict.threshold > 0.18;
            evidence_release(&evidence);
        }
    cr_assert(up[1] <= 20 && up[0] > 150, "%d with weights, %d without", up[1], up[0]);
}
