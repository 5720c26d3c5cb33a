/* Speed of attention over pages of 16-bit keys and values, in the shapes of SmolLM2-135M (9 heads of 64 on 3) and Gemma 3 270M (4 of 256 on 1):
 *     bench_attention [threads]
 * a prompt of 512 in steps of 128 rows, one row behind 2,048 positions, and 16 sequences of 100 side by side, medians of nine:
 * GMAC/s (scores and values), and GB/s of cache where a step reads it once. Layers are as many as the model's, so that no cache holds them. */
#include "kernels/cpu.h"
#include "kernels/kv.h"
#include "weir_runtime.h"

#include <stdio.h>
#include <stdlib.h>

enum { RUNS = 9, STEP = 128, PROMPT = 512, DEPTH = 2048, SEQUENCES = 16, LENGTH = 100, MOST_ROW = 1024 };

struct shape {
    const char *name;
    int n_heads;
    struct kv_shape kv;
};

static float q[STEP * MOST_ROW], out[STEP * MOST_ROW];
static struct kv *sequences[SEQUENCES], *long_one;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void write_all(struct kv *kv, const struct kv_shape *shape, int n)
{
    float vector[MOST_ROW];
    if (kv_reserve(kv, n) < 0)
        exit(1);
    for (int at = 0; at < n; at++) {
        for (int i = 0; i < MOST_ROW; i++)
            vector[i] = (float)((i * 31 + at * 7919) % 1013) / 506.5f - 1;
        for (int layer = 0; layer < shape->n_layers; layer++)
            kv_write(kv, layer, at, vector, vector);
    }
    kv_trim(kv, n);
}

/* n_rows rows, row r of sequence r % n_sequences, over all layers; returns seconds. */
static double step(const struct shape *shape, struct pool *pool, struct kv *const *kv, const int32_t *positions, int n_rows)
{
    struct attention attention = {.n_heads = shape->n_heads, .scale = 0.125f};
    int64_t started = clock_now_us();
    for (int layer = 0; layer < shape->kv.n_layers; layer++)
        attention_apply(&attention, pool, kv, positions, n_rows, layer, q, out);
    return (double)(clock_now_us() - started) * 1e-6;
}

static void report(const struct shape *shape, const char *what, double *seconds, double n_positions, double n_read)
{
    qsort(seconds, RUNS, sizeof *seconds, by_value);
    double macs = n_positions * shape->n_heads * 2 * shape->kv.head_dim_k * shape->kv.n_layers;
    printf("  %-22s %8.3f ms %7.1f GMAC/s", what, seconds[RUNS / 2] * 1e3, macs / seconds[RUNS / 2] * 1e-9);
    if (n_read > 0)
        printf(" %6.1f GB/s", n_read * (double)kv_shape_token_bytes(&shape->kv) / seconds[RUNS / 2] * 1e-9);
    printf("\n");
}

static void measure(const struct shape *shape, struct pool *pool)
{
    struct kv_store *store;
    struct kv *kv[STEP];
    int32_t positions[STEP];
    double prompt[RUNS], depth[RUNS], many[RUNS], guesses[RUNS];
    if (kv_store_new(&store, &shape->kv, (size_t)1 << 30, NULL) < 0 || kv_new(&long_one, store) < 0)
        exit(1);
    write_all(long_one, &shape->kv, DEPTH);
    for (int i = 0; i < SEQUENCES; i++) {
        if (kv_new(&sequences[i], store) < 0)
            exit(1);
        write_all(sequences[i], &shape->kv, LENGTH);
    }
    for (int run = 0; run < RUNS; run++) {
        prompt[run] = 0;
        for (int from = 0; from < PROMPT; from += STEP) {
            for (int i = 0; i < STEP; i++) {
                kv[i] = long_one;
                positions[i] = from + i;
            }
            prompt[run] += step(shape, pool, kv, positions, STEP);
        }
        positions[0] = DEPTH - 1;
        depth[run] = step(shape, pool, kv, positions, 1);
        for (int i = 0; i < 5; i++)
            positions[i] = DEPTH - 5 + i;
        guesses[run] = step(shape, pool, kv, positions, 5);
        for (int i = 0; i < SEQUENCES; i++) {
            kv[i] = sequences[i];
            positions[i] = LENGTH - 1;
        }
        many[run] = step(shape, pool, kv, positions, SEQUENCES);
    }
    printf("%s\n", shape->name);
    report(shape, "prompt of 512", prompt, PROMPT * (PROMPT + 1) / 2.0, 0);
    report(shape, "1 row at 2,048", depth, DEPTH, DEPTH);
    report(shape, "5 rows at 2,048", guesses, 5 * DEPTH - 10, DEPTH);
    report(shape, "16 sequences of 100", many, SEQUENCES * LENGTH, SEQUENCES * LENGTH);
    kv_free(long_one);
    for (int i = 0; i < SEQUENCES; i++)
        kv_free(sequences[i]);
    kv_store_free(store);
}

int main(int argc, char **argv)
{
    static const struct shape shapes[] = {{"SmolLM2-135M", 9, {30, 3, 64, 64, KV_F16}}, {"Gemma 3 270M", 4, {18, 1, 256, 256, KV_F16}}};
    int n_threads = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 2;
    struct pool *pool = pool_new(n_threads);
    for (int i = 0; i < STEP * MOST_ROW; i++)
        q[i] = (float)(i % 1013 * 7919 % 1013) / 506.5f - 1;
    printf("%s, %d threads\n", runtime_kernels(), n_threads);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        measure(&shapes[i], pool);
    pool_free(pool);
    return 0;
}
