/* The promise over many seeded splits of lines whose true regret is known. */
#include "promise.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

enum { N_POPULATION = 20000, N_SPLITS = 1000 };

static uint64_t state;

static double draw(void)
{
    state += 0x9e3779b97f4a7c15ULL;
    uint64_t z = state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}

static float gains[N_POPULATION], losses[N_POPULATION];

/* Losses whose chance rises with the gain from `low` to `high`; graded: a share of one instead of one. */
static void make_population(double low, double high, bool graded)
{
    state = 12345;
    for (size_t i = 0; i < N_POPULATION; i++) {
        double u = draw();
        gains[i] = (float)(u + 0.2 * draw() - 0.3);
        losses[i] = draw() < low + (high - low) * u * u ? (graded ? (float)draw() : 1) : 0;
    }
}

struct outcome {
    size_t n_broken, n_naive_broken;
    double kept;
};

/* Splits of n calibration lines; broken: the regret of what stays of the whole population is above what was promised. */
static struct outcome simulate(size_t n, double max_regret, double confidence)
{
    struct outcome outcome = {0};
    float *g = malloc(2 * n * sizeof *g), *l = g + n;
    for (uint64_t split = 0; split < N_SPLITS; split++) {
        struct promise promise;
        state = split * 0x2545f4914f6cdd1dULL + 99;
        for (size_t i = 0; i < n; i++) {
            size_t at = (size_t)(draw() * N_POPULATION);
            g[i] = gains[at];
            l[i] = losses[at];
        }
        cr_assert_eq(promise_find(g, l, n, max_regret, confidence, &promise), 0);
        float naive = PROMISE_NOTHING; /* The loosest threshold that looks right on the calibration lines. */
        for (size_t i = 0; i < n; i++) {
            double sum = 0, count = 0;
            for (size_t k = 0; k < n && g[i] > naive; k++) {
                count += g[k] <= g[i];
                sum += g[k] <= g[i] ? (double)l[k] : 0;
            }
            if (g[i] > naive && sum <= max_regret * count)
                naive = g[i];
        }
        double sums[2] = {0}, counts[2] = {0};
        for (size_t i = 0; i < N_POPULATION; i++) {
            for (int way = 0; way < 2; way++) {
                bool stays = gains[i] <= (way == 0 ? promise.threshold : naive);
                counts[way] += stays;
                sums[way] += stays ? (double)losses[i] : 0;
            }
        }
        outcome.n_broken += sums[0] > max_regret * counts[0];
        outcome.n_naive_broken += sums[1] > max_regret * counts[1];
        outcome.kept += counts[0] / N_POPULATION / N_SPLITS;
    }
    free(g);
    return outcome;
}

Test(promise, is_broken_in_no_more_than_the_promised_share_of_a_thousand_splits)
{
    make_population(0.02, 0.6, false);
    struct outcome outcome = simulate(400, 0.1, 0.9);
    cr_assert_leq(outcome.n_broken, N_SPLITS / 10, "broken in %zu of %d", outcome.n_broken, N_SPLITS);
    cr_assert_gt(outcome.n_naive_broken, N_SPLITS / 10, "a threshold by eye would do: %zu", outcome.n_naive_broken);
    cr_assert_gt(outcome.kept, 0.1, "only %g stays", outcome.kept);
}

Test(promise, holds_for_graded_losses_and_other_confidences)
{
    make_population(0.05, 0.5, true);
    struct outcome outcome = simulate(300, 0.12, 0.8);
    cr_assert_leq(outcome.n_broken, N_SPLITS / 5, "broken in %zu of %d", outcome.n_broken, N_SPLITS);
    cr_assert_gt(outcome.kept, 0.1, "only %g stays", outcome.kept);
}

Test(promise, holds_where_the_gain_orders_nothing)
{
    make_population(0.099, 0.101, false);
    for (size_t i = 0; i < N_POPULATION; i++)
        gains[i] = (float)(i % 7); /* Many ties. */
    struct outcome outcome = simulate(200, 0.09, 0.9);
    cr_assert_leq(outcome.n_broken, N_SPLITS / 10, "broken in %zu of %d", outcome.n_broken, N_SPLITS);
}

Test(promise, nothing_stays_where_too_few_lines_could_show_it)
{
    float g[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, l[10] = {0};
    struct promise promise;
    cr_assert_eq(promise_find(g, l, 10, 0.05, 0.9, &promise), 0);
    cr_assert_eq(promise.threshold, PROMISE_NOTHING);
    cr_assert_eq(promise_find(g, l, 0, 0.05, 0.9, &promise), 0);
    cr_assert_eq(promise.n_local, 0);
}

Test(promise, everything_stays_where_the_local_model_is_never_worse)
{
    float g[500], l[500] = {0};
    struct promise promise;
    for (size_t i = 0; i < 500; i++)
        g[i] = (float)i / 500;
    cr_assert_eq(promise_find(g, l, 500, 0.05, 0.9, &promise), 0);
    cr_assert_eq(promise.n_local, 500);
    cr_assert_float_eq(promise.threshold, 499.0F / 500, 1e-6);
}

Test(promise, the_exact_p_value_is_the_binomial_tail)
{
    /* P(Bin(10, 0.3) <= 1) = 0.7^10 + 10 · 0.3 · 0.7^9; P(Bin(5, 0.5) <= 4) = 31/32. */
    cr_assert_float_eq(promise_p_value(0.1, 10, 0.3, true), pow(0.7, 10) + 3 * pow(0.7, 9), 1e-9);
    cr_assert_float_eq(promise_p_value(0.8, 5, 0.5, true), 31.0 / 32, 1e-9);
    cr_assert_eq(promise_p_value(1, 5, 0.5, true), 1);
}

Test(promise, of_graded_losses_the_smaller_of_two_bounds_counts)
{
    /* exp(-n kl(mean, risk)), and e times the binomial tail. */
    cr_assert_float_eq(promise_p_value(0.1, 10, 0.3, false), exp(-10 * (0.1 * log(0.1 / 0.3) + 0.9 * log(0.9 / 0.7))), 1e-9);
    cr_assert_float_eq(promise_p_value(0.1, 1000, 0.15, false) / promise_p_value(0.1, 1000, 0.15, true), exp(1), 1e-9);
}

Test(promise, what_losses_of_zero_and_one_would_show_graded_ones_do_not)
{
    float g[100] = {0}, l[100];
    struct promise promise;
    for (size_t i = 0; i < 100; i++)
        l[i] = i < 3; /* P(Bin(100, 0.1) <= 3) is .008, below a fifth of .1. */
    cr_assert_eq(promise_find(g, l, 100, 0.1, 0.9, &promise), 0);
    cr_assert_eq(promise.n_local, 100);
    for (size_t i = 0; i < 100; i++)
        l[i] = 0.034F; /* Bounds .042 and .064. */
    cr_assert_eq(promise_find(g, l, 100, 0.1, 0.9, &promise), 0);
    cr_assert_eq(promise.n_local, 0);
}
