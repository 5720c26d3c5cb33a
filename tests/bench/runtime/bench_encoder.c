/* Time of one embedding by the default encoder at 16, 32 and 128 tokens, medians of many runs:
 *   bench_encoder [exact|fast] [threads] [model directory] */
#include "encoder/encoder.h"
#include "kernels/cpu.h"

#include <stdio.h>
#include <stdlib.h>

enum { N_RUNS = 60 };

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    static const int lengths[] = {16, 32, 128};
    char path[512];
    struct error err = {0};
    struct model_file *file;
    struct encoder *encoder;
    int64_t n_threads = 2, times[N_RUNS];
    struct model_options options = {.precision = argc > 1 && strcmp(argv[1], "exact") == 0 ? PRECISION_EXACT : PRECISION_FAST};
    if ((argc > 2 && parse_i64(str_of(argv[2]), &n_threads) < 0) || cache_path("models/all-minilm-l6-v2", path, sizeof path) < 0)
        return 2;
    if (model_file_open(&file, argc > 3 ? argv[3] : path, &err) < 0 || encoder_open(&encoder, file, &options, &err) < 0) {
        fprintf(stderr, "%s: %s\n", err.where, err.text);
        return 1;
    }
    struct model_info info = {0};
    encoder_describe(encoder, &info);
    struct pool *pool = pool_new((int)n_threads);
    float *out = calloc((size_t)info.n_embd, sizeof *out);
    int32_t ids[128];
    for (int i = 0; i < 128; i++)
        ids[i] = 1000 % info.n_vocab + i % 100;
    printf("%s, %lld threads, %.1f MB\n", runtime_kernels(), (long long)n_threads, (double)info.weight_bytes / 1e6);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct encoder_input input = {ids, NULL, (size_t)lengths[i]};
        for (int run = 0; run < N_RUNS; run++) {
            int64_t start = clock_now_us();
            if (encoder_embed(encoder, pool, &input, 1, out, NULL, &err) < 0)
                return 1;
            times[run] = clock_now_us() - start;
        }
        qsort(times, N_RUNS, sizeof *times, by_value);
        printf("%4d tokens: %.3f ms (best %.3f)\n", lengths[i], (double)times[N_RUNS / 2] / 1e3, (double)times[0] / 1e3);
    }
    pool_free(pool);
    free(out);
    encoder_close(encoder);
    model_file_close(file);
    return 0;
}
