/* Speed of the matrix products for each weight format, in the shapes of SmolLM2-135M, or with "large", and always for blocks of 256, of
 * four layers of TinyLlama-1.1B:
 *     bench_linear [threads] [large] [few] [TYPE…]
 * prints GMAC/s at several row counts (with "few" all from 1 to 16) and GB/s of weights at one row, medians of five. */
#include "kernels/cpu.h"
#include "kernels/linear.h"
#include "weir_runtime.h"

#include <stdio.h>
#include <stdlib.h>

enum { N_SHAPES = 7, MOST_LAYERS = 30, MOST_ROWS = 512, MOST_WIDTH = 5632 };
static const struct model_shape {
    int sides[N_SHAPES][2]; /* q, k, v, o, gate, up, down. */
    int n_layers;
} smollm2 = {{{576, 576}, {192, 576}, {192, 576}, {576, 576}, {1536, 576}, {1536, 576}, {576, 1536}}, 30},
  tinyllama = {{{2048, 2048}, {256, 2048}, {256, 2048}, {2048, 2048}, {5632, 2048}, {5632, 2048}, {2048, 5632}}, 4};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    int n_threads = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 2;
    struct pool *pool = pool_new(n_threads);
    float *x = calloc(MOST_ROWS * MOST_WIDTH, sizeof *x), *y = calloc(MOST_ROWS * MOST_WIDTH, sizeof *y);
    for (int i = 0; i < MOST_ROWS * MOST_WIDTH; i++)
        x[i] = (float)(i % 1013 * 7919 % 1013) / 506.5f - 1;
    static const enum tensor_type types[] = {TENSOR_Q4_1, TENSOR_Q4_0, TENSOR_Q5_0, TENSOR_Q5_1, TENSOR_Q8_0, TENSOR_IQ4_NL, TENSOR_F16, TENSOR_F32,
                                            TENSOR_Q2_K, TENSOR_Q3_K, TENSOR_Q4_K, TENSOR_Q5_K, TENSOR_Q6_K, TENSOR_IQ4_XS};
    bool large = argc > 2 && strcmp(argv[2], "large") == 0;
    int first_type = large ? 3 : 2;
    bool few = argc > first_type && strcmp(argv[first_type], "few") == 0;
    first_type += few;
    printf("%s, %d threads\n", runtime_kernels(), n_threads);
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        bool wanted = argc <= first_type;
        for (int i = first_type; i < argc; i++)
            wanted |= strcmp(argv[i], tensor_type_name(types[k])) == 0;
        if (!wanted)
            continue;
        const struct model_shape *shape = large || tensor_type_block(types[k]) == 256 ? &tinyllama : &smollm2;
        struct linear *linears[MOST_LAYERS][N_SHAPES];
        uint8_t *data[N_SHAPES];
        double macs = 0, n_bytes = 0;
        for (int i = 0; i < N_SHAPES; i++) {
            size_t row = tensor_row_bytes(types[k], shape->sides[i][1]), n = row * (size_t)shape->sides[i][0];
            data[i] = malloc(n);
            for (size_t b = 0; b < n; b++)
                data[i][b] = (uint8_t)(b * 131 % 61);
            struct tensor w = {.name = "w", .type = types[k], .n_dims = 2, .ne = {shape->sides[i][1], shape->sides[i][0], 1, 1}, .data = data[i],
                               .n_bytes = n};
            for (int layer = 0; layer < shape->n_layers; layer++) {
                if (linear_new(&linears[layer][i], &w, 0, NULL, 1, PRECISION_FAST, NULL) < 0)
                    return 1;
                linear_pack(linears[layer][i], pool);
                macs += (double)shape->sides[i][0] * shape->sides[i][1];
                n_bytes += (double)linear_bytes(linears[layer][i]);
            }
        }
        printf("%-6s", tensor_type_name(types[k]));
        static const int all_counts[] = {1, 2, 4, 8, 16, 64, 256, 512, 1}, few_counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
        const int *row_counts = few ? few_counts : all_counts;
        for (size_t r = 0; r < (few ? sizeof few_counts : sizeof all_counts) / sizeof *row_counts; r++) {
            double times[5];
            for (int repeat = -1; repeat < 5; repeat++) {
                int64_t start = clock_now_us();
                for (int layer = 0; layer < shape->n_layers; layer++) {
                    float *qkv[3] = {y, y + MOST_ROWS * 2048, y + MOST_ROWS * 2304};
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
            for (int layer = 0; layer < shape->n_layers; layer++)
                linear_free(linears[layer][i]);
            free(data[i]);
        }
    }
    pool_free(pool);
    free(x);
    free(y);
    return 0;
}
