/* max_remote_share over seeded sequences of every kind: the share holds at each query, is used, and goes to the greatest gains. */
#include "goals/share.h"

#include "coin.h"

#include <criterion/criterion.h>
#include <math.h>

enum { N_QUERIES = 2000, N_RUNS = 350 };

enum sequence { STEADY, JUMPS, RISES, FALLS, TIES, BURSTS, N_SEQUENCES };

static double next_gain(enum sequence sequence, int i, uint64_t *state)
{
    double u = coin(state), at = (double)i / N_QUERIES;
    switch (sequence) {
    case STEADY:
        return u;
    case JUMPS:
        return i < N_QUERIES / 2 ? u : 0.5 + u / 2;
    case RISES:
        return 0.3 * u + 0.7 * at;
    case FALLS:
        return 0.3 * u + 0.7 * (1 - at);
    case TIES:
        return floor(3 * u) / 3;
    case BURSTS: /* Long nothing, then all at once. */
        return i % 500 < 400 ? 0.01 * u : 0.9 + 0.1 * u;
    case N_SEQUENCES:
        break;
    }
    return 0;
}

static bool leaves(const struct share *share, double max_share, double gain)
{
    double threshold = share->gains.n >= SHARE_LEAST_GAINS ? recent_above(&share->gains, share_level(share)) : 0.5;
    return share_open(share, max_share) && gain > fmax(0, threshold);
}

/* Runs one sequence; left_at[i]: how many of the first i left. The mean gain of those that left comes back. */
static double run(enum sequence sequence, double max_share, uint64_t seed, int left_at[N_QUERIES + 1])
{
    struct share share = {0};
    uint64_t state = seed;
    double sum = 0;
    left_at[0] = 0;
    for (int i = 0; i < N_QUERIES; i++) {
        double gain = next_gain(sequence, i, &state);
        bool left = leaves(&share, max_share, gain);
        share_count(&share, max_share, left, gain);
        left_at[i + 1] = left_at[i] + left;
        sum += left ? gain : 0;
    }
    return left_at[N_QUERIES] > 0 ? sum / left_at[N_QUERIES] : 0;
}

static const double shares[] = {0, 0.01, 0.05, 0.3, 0.8, 1};
enum { N_SHARES = sizeof shares / sizeof *shares };

Test(share, of_the_first_n_queries_no_more_than_the_share_leaves_in_twelve_thousand_runs)
{
    static int left_at[N_QUERIES + 1];
    for (uint64_t seed = 0; seed < N_RUNS; seed++)
        for (int sequence = 0; sequence < N_SEQUENCES; sequence++)
            for (int k = 0; k < N_SHARES; k++) {
                run((enum sequence)sequence, shares[k], seed * 7919 + 1, left_at);
                for (int i = 1; i <= N_QUERIES; i++)
                    cr_assert(left_at[i] <= shares[k] * i + 1e-9, "sequence %d, share %g: %d of the first %d", sequence, shares[k], left_at[i], i);
            }
}

Test(share, of_any_queries_in_a_row_no_more_than_the_share_and_a_burst_leave)
{
    static int left_at[N_QUERIES + 1];
    for (uint64_t seed = 0; seed < 20; seed++)
        for (int sequence = 0; sequence < N_SEQUENCES; sequence++)
            for (int k = 0; k < N_SHARES; k++) {
                run((enum sequence)sequence, shares[k], seed * 104729 + 3, left_at);
                for (int n = 1; n <= 1000; n += 111)
                    for (int i = 0; i + n <= N_QUERIES; i++)
                        cr_assert(left_at[i + n] - left_at[i] <= shares[k] * n + SHARE_BURST(shares[k]), "sequence %d, share %g, %d from %d", sequence, shares[k], n, i);
            }
}

Test(share, the_share_is_used_and_goes_to_the_greatest_gains_also_after_a_shift)
{
    static int left_at[N_QUERIES + 1];
    for (int k = 1; k < 5; k++) {
        double used[2] = {0}, after = 0, gain = 0;
        for (uint64_t seed = 0; seed < 50; seed++) {
            gain += run(STEADY, shares[k], seed * 31 + 7, left_at) / 50;
            used[0] += (double)left_at[N_QUERIES] / N_QUERIES / 50;
            run(JUMPS, shares[k], seed * 31 + 7, left_at);
            used[1] += (double)left_at[N_QUERIES] / N_QUERIES / 50;
            after += (double)(left_at[N_QUERIES] - left_at[N_QUERIES / 2]) / (N_QUERIES / 2.0) / 50;
        }
        cr_assert(used[0] > 0.93 * shares[k] && used[1] > 0.93 * shares[k], "share %g: %g and %g are used", shares[k], used[0], used[1]);
        cr_assert(after > 0.95 * shares[k] && after < 1.05 * shares[k], "share %g: %g after the shift", shares[k], after);
        cr_assert(gain > 0.98 * (1 - shares[k] / 2), "share %g: those that leave have a mean gain of %g, at best %g", shares[k], gain, 1 - shares[k] / 2);
    }
}

Test(share, what_leaves_without_credit_is_owed_first)
{
    struct share share = {0};
    for (int i = 0; i < 100; i++)
        share_count(&share, 0.5, false, 0.1);
    for (int i = 0; i < 100; i++)
        share_count(&share, 0.5, true, NAN); /* The local model could not. */
    cr_assert(share.n == 200 && share.n_left == 100 && share.credit_ppm == 0);
    cr_assert(!share_open(&share, 0.5));
    share_left_late(&share);
    cr_assert_eq(share.credit_ppm, -SHARE_PPM);
    for (int i = 0; i < 3; i++) {
        cr_assert(!share_open(&share, 0.5), "%d", i);
        share_count(&share, 0.5, false, 0.1);
    }
    cr_assert(share_open(&share, 0.5) && share_level(&share) > 0);
}

Test(share, a_share_of_nothing_and_a_share_of_all)
{
    static int left_at[N_QUERIES + 1];
    run(STEADY, 0, 5, left_at);
    cr_assert_eq(left_at[N_QUERIES], 0);
    run(STEADY, 1, 5, left_at);
    cr_assert_geq(left_at[N_QUERIES] - left_at[N_QUERIES / 2], N_QUERIES / 2 - 5, "as good as all, once there is credit");
}
