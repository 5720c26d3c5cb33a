/* Speed of the matrix products in the shapes of SmolLM2-135M (or width, ffn, layers given), for each weight format:
 *     bench_linear [threads] [TYPE…]
 * prints GMAC/s at several row counts and GB/s of weights at one row, medians of five. */
#include "kernels/cpu.h"
#include "kernels/linear.h"
#include "weir_runtime.h"

#include <stdio.h>
#include <stdlib.h>

static const int shapes[][2] = {{576, 576}, {192, 576}, {192, 576}, {576, 576}, {1536, 576}, {1536, 576}, {576, 1536}};
enum { N_SHAPES = 7, N_LAYERS = 30, MOST_ROWS = 256 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    int n_threads = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 2;
    struct pool *pool = pool_new(n_threads);
    float *x = calloc(MOST_ROWS * 1536, sizeof *x), *y = calloc(MOST_ROWS * 1536, sizeof *y);
    for (int i = 0; i < MOST_ROWS * 1536; i++)
        x[i] = (float)(i % 1013 * 7919 % 1013) / 506.5f - 1;
    static const enum tensor_type types[] = {TENSOR_Q4_1, TENSOR_Q4_0, TENSOR_Q5_0, TENSOR_Q5_1, TENSOR_Q8_0, TENSOR_IQ4_NL, TENSOR_F16, TENSOR_F32};
    printf("%s, %d threads\n", runtime_kernels(), n_threads);
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        bool wanted = argc <= 2;
        for (int i = 2; i < argc; i++)
            wanted |= strcmp(argv[i], tensor_type_name(types[k])) == 0;
        if (!wanted)
            continue;
        struct linear *linears[N_LAYERS][N_SHAPES];
        uint8_t *data[N_SHAPES];
        double macs = 0, n_bytes = 0;
        for (int i = 0; i < N_SHAPES; i++) {
            size_t row = tensor_row_bytes(types[k], shapes[i][1]), n = row * (size_t)shapes[i][0];
            data[i] = malloc(n);
            for (size_t b = 0; b < n; b++)
                data[i][b] = (uint8_t)(b * 131 % 61);
            struct tensor w = {.name = "w", .type = types[k], .n_dims = 2, .ne = {shapes[i][1], shapes[i][0], 1, 1}, .data = data[i], .n_bytes = n};
            for (int layer = 0; layer < N_LAYERS; layer++) {
                if (linear_new(&linears[layer][i], &w, 0, NULL, 1, PRECISION_FAST, NULL) < 0)
                    return 1;
                int64_t start = clock_now_us();
                linear_pack(linears[layer][i], pool);
                (void)start;
                macs += (double)shapes[i][0] * shapes[i][1];
                n_bytes += (double)linear_bytes(linears[layer][i]);
            }
        }
        printf("%-6s", tensor_type_name(types[k]));
        static const int row_counts[] = {1, 2, 4, 8, 16, 64, 256, 2, 1};
        for (size_t r = 0; r < sizeof row_counts / sizeof *row_counts; r++) {
            double times[5];
            for (int repeat = -1; repeat < 5; repeat++) {
                int64_t start = clock_now_us();
                for (int layer = 0; layer < N_LAYERS; layer++) {
                    float *qkv[3] = {y, y + MOST_ROWS * 576, y + MOST_ROWS * 800};
                    const struct linear *const *l = (const struct linear *const *)linears[layer];
                    linear_apply_many(l, 3, pool, x, row_counts[r], qkv);
                    linear_apply(l[3], pool, x, row_counts[r], y);
                    linear_apply(l[4], pool, x, row_counts[r], y);
                    linear_apply(l[5], pool, x, row_counts[r], y);
                    linear_apply(l[6], pool, x, row_counts[r], y);
                }
                if (repeat >= 0)
                    times[repeat] = (double)(clock_now_us() - start);
            }
            qsort(times, 5, sizeof *times, by_value);
            printf("  M%d %.0f GMAC/s (%.0f tok/s)", row_counts[r], macs * row_counts[r] / times[2] * 1e-3, row_counts[r] / times[2] * 1e6);
            if (row_counts[r] == 1)
                printf(" %.1f GB/s", n_bytes / times[2] * 1e-3);
        }
        printf("\n");
        for (int i = 0; i < N_SHAPES; i++) {
            for (int layer = 0; layer < N_LAYERS; layer++)
                linear_free(linears[layer][i]);
            free(data[i]);
        }
    }
    pool_free(pool);
    free(x);
    free(y);
    return 0;
}
