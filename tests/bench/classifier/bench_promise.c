/* How often a promise is broken on real lines.
 *
 * usage: build/release/tests/bench_promise N MAX_REGRET... < lines      (lines: "gain local remote", numbers)
 *
 * The lines are taken for the whole of all queries. 1,000 times N calibration lines are drawn from it, with a seed and with replacement,
 * the threshold of each MAX_REGRET is found on them as `weir calibrate` finds it, and the regret of what then stays of the whole is held
 * against what was promised with a confidence of 0.9. */
#include "promise.h"

#include <stdio.h>
#include <stdlib.h>

enum { N_SPLITS = 1000, MOST_LINES = 1 << 20 };

static uint64_t state;

static size_t draw(size_t n)
{
    state += 0x9e3779b97f4a7c15ULL;
    uint64_t z = state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return (size_t)((z ^ z >> 31) % n);
}

int main(int argc, char **argv)
{
    float *gains = malloc(4 * (size_t)MOST_LINES * sizeof *gains), *losses = gains + MOST_LINES, *g = losses + MOST_LINES, *l = g + MOST_LINES, local, remote;
    size_t n = 0, n_drawn = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
    if (gains == NULL || n_drawn == 0 || n_drawn > MOST_LINES) {
        fprintf(stderr, "usage: bench_promise N MAX_REGRET... < lines\n");
        return 2;
    }
    while (n < MOST_LINES && scanf("%f %f %f", &gains[n], &local, &remote) == 3)
        losses[n++] = remote > local ? remote - local : 0;
    if (n == 0) {
        fprintf(stderr, "bench_promise: no lines \"gain local remote\" on standard input\n");
        return 1;
    }
    for (int arg = 2; arg < argc; arg++) {
        double max_regret = strtod(argv[arg], NULL), kept = 0;
        int n_broken = 0, n_some = 0;
        for (uint64_t split = 0; split < N_SPLITS; split++) {
            struct promise promise;
            double sum = 0, count = 0;
            state = split * 0x2545f4914f6cdd1dULL + 99;
            for (size_t i = 0; i < n_drawn; i++) {
                size_t at = draw(n);
                g[i] = gains[at];
                l[i] = losses[at];
            }
            if (promise_find(g, l, n_drawn, max_regret, 0.9, &promise) < 0)
                return 1;
            for (size_t i = 0; i < n; i++) {
                bool stays = gains[i] <= promise.threshold;
                count += stays;
                sum += stays ? (double)losses[i] : 0;
            }
            n_broken += sum > max_regret * count;
            n_some += count > 0;
            kept += count / (double)n / N_SPLITS;
        }
        printf("max_regret %.2f, %zu calibration lines of %zu: broken in %d of %d draws (%d allowed); something stays in %d, %.1f %% in the mean\n", max_regret, n_drawn, n, n_broken,
               N_SPLITS, N_SPLITS / 10, n_some, 100 * kept);
        fflush(stdout);
    }
    free(gains);
    return 0;
}
