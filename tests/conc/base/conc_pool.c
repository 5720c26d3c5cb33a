/* The pool under ThreadSanitizer: every chunk is done exactly once, what chunks wrote is visible to the caller, helpers that
 * went to sleep wake up, and pools come and go. */
#include "weir_base.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_CHUNKS = 64, N_RUNS = 3000 };

struct job {
    int counts[MOST_CHUNKS]; /* Plain integers: a race on one is a fault of the pool. */
    int n_threads;
    long sum;
};

static void chunk_run(void *arg, int chunk, int thread)
{
    struct job *job = arg;
    assert(thread >= 0 && thread < job->n_threads);
    job->counts[chunk]++;
}

/* Keeps the core busy, so that helpers run out of patience and sleep. */
static void spend_us(int64_t us)
{
    int64_t start = clock_now_us();
    while (clock_now_us() - start < us) {
    }
}

int main(void)
{
    for (int n_threads = 1; n_threads <= 5; n_threads += 2) {
        struct pool *pool = pool_new(n_threads);
        assert(pool != NULL && pool_threads(pool) == n_threads);
        struct job job = {.n_threads = n_threads};
        int expected[MOST_CHUNKS] = {0};
        for (int run = 0; run < N_RUNS; run++) {
            int n_chunks = run * 7 % (MOST_CHUNKS + 1);
            pool_run(pool, n_chunks, chunk_run, &job);
            for (int i = 0; i < n_chunks; i++)
                expected[i]++;
            for (int i = 0; i < MOST_CHUNKS; i++)
                if (job.counts[i] != expected[i]) {
                    fprintf(stderr, "run %d: chunk %d was done %d times, not %d\n", run, i, job.counts[i], expected[i]);
                    return 1;
                }
            if (run % 500 == 0)
                spend_us(300);
        }
        pool_free(pool);
    }
    for (int i = 0; i < 50; i++) /* Freed at once, freed after one job, never used. */
        pool_free(pool_new(3));
    pool_free(NULL);
    printf("ok\n");
    return 0;
}
