/* Thread pool: one job at a time, cut into chunks. Each thread has a run of neighbouring chunks (weights are then read in
 * one stream a thread) and takes from the others' runs when its own is done, so that a helper which the operating system has
 * put aside delays one chunk and not its share.
 *
 * A job is published by raising `generation` (odd while helpers may join, see below). Helpers spin on it for SPIN_US
 * after their last job, then sleep on a futex; the caller wakes them only if one sleeps. The caller works on chunks
 * itself and then waits until `n_inside`, the helpers between joining and leaving, is zero. A helper joins by raising
 * n_inside and then checking that the generation it saw is still current; thus after the caller has closed the
 * generation and seen n_inside zero, no helper touches the job any more.
 *
 * Where another process keeps a core busy, a helper is put aside in the midst of a chunk for a whole time slice, and the
 * caller with it. A wait that is out of proportion to the job says so: the caller then works alone for a while, twice as
 * long each time in a row, before it lets helpers in again.
 *
 * Atomics live here and in log.c, clock.c, str.c. */
#include "weir_base.h"

#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    SPIN_US = 50,
    SPIN_TURNS = 1 << 15, /* The end of patience when the clock stands still. */
    STALL_US = 1000,     /* A wait above this, and above a quarter of the job, is a helper put aside. */
    ALONE_MIN_US = 8000,
    ALONE_MAX_US = 64000,
};

/* A thread's run of chunks: next … end - 1 are not yet taken. */
struct share {
    _Alignas(64) _Atomic int next;
    int end;
};

struct pool {
    int n_threads;
    _Alignas(64) _Atomic uint32_t generation; /* Raised by one when a job opens (odd) and when it closes (even). */
    _Alignas(64) _Atomic int n_inside;
    _Atomic int n_sleeping;
    _Atomic bool stopping;
    pool_fn *fn;
    void *arg;
    struct share *shares; /* n_threads of them. */
    int64_t alone_until_us; /* The caller's own: 0 as a rule. */
    int64_t alone_us;       /* How long next time. */
    pthread_t helpers[];
};

struct helper_start {
    struct pool *pool;
    int thread;
};

static void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void futex_wait(_Atomic uint32_t *word, uint32_t seen)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake_all(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

/* The thread's own share, then what is left of the others'. */
static void work(struct pool *pool, int thread)
{
    for (int i = 0; i < pool->n_threads; i++) {
        struct share *share = &pool->shares[(thread + i) % pool->n_threads];
        for (;;) {
            if (atomic_load_explicit(&share->next, memory_order_relaxed) >= share->end)
                break;
            int chunk = atomic_fetch_add_explicit(&share->next, 1, memory_order_relaxed);
            if (chunk >= share->end)
                break;
            pool->fn(pool->arg, chunk, thread);
        }
    }
}

/* Waits until the generation is another than seen; returns it. */
static uint32_t wait_for_change(struct pool *pool, uint32_t seen)
{
    int64_t started = clock_now_us();
    for (unsigned turn = 1;; turn++) {
        uint32_t now = atomic_load_explicit(&pool->generation, memory_order_acquire);
        if (now != seen)
            return now;
        cpu_relax();
        if ((turn % 64 == 0 && clock_now_us() - started > SPIN_US) || turn == SPIN_TURNS)
            break;
    }
    atomic_fetch_add(&pool->n_sleeping, 1);
    uint32_t now;
    while ((now = atomic_load(&pool->generation)) == seen)
        futex_wait(&pool->generation, seen);
    atomic_fetch_sub(&pool->n_sleeping, 1);
    return now;
}

static void *helper_main(void *arg)
{
    struct helper_start start = *(struct helper_start *)arg;
    free(arg);
    struct pool *pool = start.pool;
    uint32_t seen = 0;
    for (;;) {
        seen = wait_for_change(pool, seen);
        if (atomic_load(&pool->stopping))
            return NULL;
        if (seen % 2 == 0)
            continue;
        atomic_fetch_add(&pool->n_inside, 1);
        if (atomic_load(&pool->generation) == seen)
            work(pool, start.thread);
        atomic_fetch_sub(&pool->n_inside, 1);
    }
}

struct pool *pool_new(int n_threads)
{
    if (n_threads <= 0) {
        cpu_set_t set;
        n_threads = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    }
    if (n_threads > 256)
        n_threads = 256;
    struct pool *pool = aligned_alloc(64, (sizeof *pool + (size_t)n_threads * sizeof(pthread_t) + 63) / 64 * 64);
    if (pool == NULL)
        return NULL;
    memset(pool, 0, sizeof *pool);
    pool->shares = aligned_alloc(64, (size_t)n_threads * sizeof *pool->shares);
    if (pool->shares == NULL) {
        free(pool);
        return NULL;
    }
    memset(pool->shares, 0, (size_t)n_threads * sizeof *pool->shares);
    pool->n_threads = 1;
    while (pool->n_threads < n_threads) {
        struct helper_start *start = malloc(sizeof *start);
        if (start == NULL)
            break;
        *start = (struct helper_start){pool, pool->n_threads};
        if (pthread_create(&pool->helpers[pool->n_threads - 1], NULL, helper_main, start) != 0) {
            free(start);
            break;
        }
        pool->n_threads++;
    }
    if (pool->n_threads < n_threads) {
        pool_free(pool);
        return NULL;
    }
    return pool;
}

void pool_free(struct pool *pool)
{
    if (pool == NULL)
        return;
    atomic_store(&pool->stopping, true);
    atomic_fetch_add(&pool->generation, 2);
    futex_wake_all(&pool->generation);
    for (int i = 0; i < pool->n_threads - 1; i++)
        pthread_join(pool->helpers[i], NULL);
    free(pool->shares);
    free(pool);
}

int pool_threads(const struct pool *pool)
{
    return pool->n_threads;
}

/* Waits for helpers that are still at a chunk; notes when that took out of proportion to the job, begun at started_us. */
static void wait_for_helpers(struct pool *pool, int64_t started_us)
{
    int64_t since_us = 0;
    for (unsigned turn = 1; atomic_load(&pool->n_inside) > 0; turn++) {
        cpu_relax();
        if (turn % 256 != 0)
            continue;
        if (since_us == 0)
            since_us = clock_now_us();
        sched_yield();
    }
    if (since_us == 0)
        return;
    int64_t waited_us = clock_now_us() - since_us;
    if (waited_us > STALL_US && waited_us > (since_us - started_us) / 4) {
        pool->alone_us = pool->alone_us == 0 ? ALONE_MIN_US : pool->alone_us < ALONE_MAX_US ? pool->alone_us * 2 : ALONE_MAX_US;
        pool->alone_until_us = clock_now_us() + pool->alone_us;
    }
}

void pool_run(struct pool *pool, int n_chunks, pool_fn *fn, void *arg)
{
    int64_t now_us = 0;
    bool alone = pool == NULL || pool->n_threads == 1 || n_chunks <= 1;
    if (!alone) {
        now_us = clock_now_us();
        alone = now_us < pool->alone_until_us;
        if (!alone && now_us - pool->alone_until_us > 4 * ALONE_MAX_US)
            pool->alone_us = 0; /* Undisturbed for long enough. */
    }
    if (alone) {
        for (int chunk = 0; chunk < n_chunks; chunk++)
            fn(arg, chunk, 0);
        return;
    }
    pool->fn = fn;
    pool->arg = arg;
    for (int i = 0; i < pool->n_threads; i++) {
        atomic_store_explicit(&pool->shares[i].next, (int)((int64_t)n_chunks * i / pool->n_threads), memory_order_relaxed);
        pool->shares[i].end = (int)((int64_t)n_chunks * (i + 1) / pool->n_threads);
    }
    atomic_fetch_add(&pool->generation, 1); /* Opens: the job's fields are visible to whoever sees it. */
    if (atomic_load(&pool->n_sleeping) > 0)
        futex_wake_all(&pool->generation);
    work(pool, 0);
    atomic_fetch_add(&pool->generation, 1); /* Closes: nobody joins from here on. */
    wait_for_helpers(pool, now_us);
}
