/* Linear in all its forms: the vector kernels give the scalar one's bits, results don't depend on the batch or the threads,
 * and the integer path stays within its budget of the f32 one. */
#include "kernels/cpu.h"
#include "kernels/linear.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

static const struct {
    enum tensor_type type;
    double budget; /* Normalised squared error of the fast against the exact form. */
} formats[] = {
    {TENSOR_Q4_0, 1e-4}, {TENSOR_Q4_1, 1e-4}, {TENSOR_Q5_0, 1e-4}, {TENSOR_Q5_1, 1e-4},   {TENSOR_Q8_0, 1e-4},   {TENSOR_Q2_K, 1e-4},
    {TENSOR_Q3_K, 1e-4}, {TENSOR_Q4_K, 1e-4}, {TENSOR_Q5_K, 1e-4}, {TENSOR_Q6_K, 1e-4},   {TENSOR_IQ4_NL, 1e-4}, {TENSOR_IQ4_XS, 1e-4},
    {TENSOR_F32, 1e-9},  {TENSOR_F16, 1e-9},  {TENSOR_BF16, 1e-9},
};
enum { N_FORMATS = sizeof formats / sizeof *formats };

static uint32_t state = 1;

static float uniform(void) /* -1 … 1 */
{
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / 8388608.0f - 1.0f;
}

static void fill(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = uniform() * uniform();
}

/* Where a block's halves stand. */
static const int halves[][2] = {
    [TENSOR_Q4_0] = {0, 0},  [TENSOR_Q4_1] = {0, 2},  [TENSOR_Q5_0] = {0, 0},     [TENSOR_Q5_1] = {0, 2},
    [TENSOR_Q8_0] = {0, 0},  [TENSOR_Q2_K] = {80, 82}, [TENSOR_Q3_K] = {108, 108}, [TENSOR_Q4_K] = {0, 2},
    [TENSOR_Q5_K] = {0, 2},  [TENSOR_Q6_K] = {208, 208}, [TENSOR_IQ4_NL] = {0, 0}, [TENSOR_IQ4_XS] = {0, 0},
};

static bool is_half(enum tensor_type type, size_t byte)
{
    return byte / 2 == (size_t)halves[type][0] / 2 || byte / 2 == (size_t)halves[type][1] / 2;
}

/* Random blocks of a format whose scales are small positive halves: every bit pattern of the quants occurs. */
static uint8_t *random_rows(enum tensor_type type, int n_out, int n_in)
{
    size_t n_bytes = tensor_row_bytes(type, n_in) * (size_t)n_out, block = tensor_type_bytes(type);
    uint8_t *rows = malloc(n_bytes);
    if (type == TENSOR_F32) {
        fill((float *)(void *)rows, n_bytes / 4);
        return rows;
    }
    for (size_t i = 0; i < n_bytes; i++)
        rows[i] = (uint8_t)(uniform() * 127.0f + 128.0f);
    for (size_t at = 0; at < n_bytes; at += block) {
        if (type == TENSOR_F16 || type == TENSOR_BF16) { /* Magnitudes from 1/8 to 1. */
            rows[at + 1] = (uint8_t)((rows[at + 1] & 0x80) | (type == TENSOR_F16 ? 0x30 + rows[at + 1] % 12 : 0x3e));
            continue;
        }
        for (int i = 0; i < 2; i++)
            rows[at + (size_t)halves[type][i] + 1] = (uint8_t)(0x20 + rows[at + (size_t)halves[type][i] + 1] % 8);
    }
    return rows;
}

/* The halves of every block as random_rows has them, all other bytes `value`. */
static uint8_t *uniform_rows(enum tensor_type type, int n_out, int n_in, uint8_t value)
{
    uint8_t *rows = random_rows(type, n_out, n_in);
    for (size_t at = 0, block = tensor_type_bytes(type); at < tensor_row_bytes(type, n_in) * (size_t)n_out; at++)
        if (!is_half(type, at % block))
            rows[at] = value;
    return rows;
}

static struct tensor tensor_of(enum tensor_type type, uint8_t *rows, int n_out, int n_in)
{
    return (struct tensor){.name = tensor_type_name(type), .type = type, .n_dims = 2, .ne = {n_in, n_out, 1, 1}, .data = rows,
                           .n_bytes = tensor_row_bytes(type, n_in) * (size_t)n_out};
}

static float *apply(const struct tensor *w, const float *bias, enum precision precision, struct pool *pool, const float *x, int n_rows)
{
    struct linear *linear;
    struct error err;
    cr_assert(linear_new(&linear, w, 0, bias, 0.75f, precision, &err) == 0, "%s: %s", err.where, err.text);
    float *y = calloc((size_t)n_rows * (size_t)w->ne[1], sizeof *y);
    linear_apply(linear, pool, x, n_rows, y);
    linear_free(linear);
    return y;
}

/* Every form's products of n_rows rows against the scalar one's. */
static void check_forms(const struct tensor *w, const float *bias, const float *x, int n_rows)
{
    int n_out = (int)w->ne[1];
    cpu_level_set(CPU_SCALAR);
    float *expected = apply(w, bias, PRECISION_FAST, NULL, x, n_rows);
    for (enum cpu_level level = CPU_AVX2; level <= CPU_NEON; level++) {
        if (cpu_level_set(level) != level)
            continue;
        float *y = apply(w, bias, PRECISION_FAST, NULL, x, n_rows);
        for (int i = 0; i < n_rows * n_out; i++)
            cr_assert(y[i] == expected[i], "%s, level %d, %d rows, %d columns, %d outputs: element %d is %.9g, not %.9g", w->name, (int)level,
                      n_rows, (int)w->ne[0], n_out, i, (double)y[i], (double)expected[i]);
        free(y);
    }
    free(expected);
}

/* Row counts at which passes of 6, 4, 3, 2 and 1 rows, tiles of 12 and products straight from the packed weights begin and end; outputs that
 * fill no group, one, a pair, and a pair with a rest. */
Test(linear, vector_kernels_give_the_bits_of_the_scalar_one)
{
    enum { IN = 512, ODD_IN = 96, MOST_ROWS = 29 };
    static const int outs[] = {1, 8, 15, 16, 32, 37}, rows_of_x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 18, 22, MOST_ROWS};
    float x[MOST_ROWS * IN], bias[64];
    fill(x, MOST_ROWS * IN);
    fill(bias, 64);
    memset(x + IN, 0, 64 * sizeof *x); /* Blocks of zeros have no scale. */
    for (int f = 0; f < 12; f++)
        for (int n_in = IN; n_in >= ODD_IN; n_in -= IN - ODD_IN)
            for (size_t o = 0; o < sizeof outs / sizeof *outs && n_in % tensor_type_block(formats[f].type) == 0; o++) {
                uint8_t *rows = random_rows(formats[f].type, outs[o], n_in);
                struct tensor w = tensor_of(formats[f].type, rows, outs[o], n_in);
                for (size_t r = 0; r < sizeof rows_of_x / sizeof *rows_of_x; r++)
                    check_forms(&w, r % 3 == 0 ? bias : NULL, x, rows_of_x[r]);
                free(rows);
            }
}

/* Every quant and code at its largest or smallest, under inputs of one size: what sums of 16 and 32 bits have to bear. */
Test(linear, the_largest_sums_are_exact_in_every_form)
{
    enum { IN = 1024, OUT = 16, ROWS = 5 };
    static const uint8_t values[] = {0x00, 0xff, 0x7f, 0x80, 0xf0, 0x0f};
    static float x[ROWS * IN];
    for (int i = 0; i < ROWS * IN; i++)
        x[i] = i / IN == 0 ? 1 : i / IN == 1 ? -1 : i % (2 << i / IN) < 1 << i / IN ? 1 : -1;
    for (int f = 0; f < 12; f++)
        for (size_t v = 0; v < sizeof values; v++) {
            uint8_t *rows = uniform_rows(formats[f].type, OUT, IN, values[v]);
            struct tensor w = tensor_of(formats[f].type, rows, OUT, IN);
            for (int n_rows = 1; n_rows <= ROWS; n_rows += 2) {
                cpu_level_set(CPU_SCALAR);
                float *expected = apply(&w, NULL, PRECISION_FAST, NULL, x, n_rows), *exact = apply(&w, NULL, PRECISION_EXACT, NULL, x, n_rows);
                for (int i = 0; i < n_rows * OUT; i++)
                    cr_assert(fabsf(expected[i] - exact[i]) <= 1e-5f * fabsf(exact[i]) + 1e-3f, "%s of %02x: %g, not %g", w.name, values[v],
                              (double)expected[i], (double)exact[i]);
                for (enum cpu_level level = CPU_AVX2; level <= CPU_NEON; level++) {
                    if (cpu_level_set(level) != level)
                        continue;
                    float *y = apply(&w, NULL, PRECISION_FAST, NULL, x, n_rows);
                    cr_assert(memcmp(y, expected, sizeof *y * (size_t)(n_rows * OUT)) == 0, "%s of %02x, level %d, %d rows", w.name, values[v],
                              (int)level, n_rows);
                    free(y);
                }
                free(expected);
                free(exact);
            }
            free(rows);
        }
}

Test(linear, packed_weights_take_no_more_than_the_file_by_one_in_a_hundred)
{
    enum { IN = 768, OUT = 48 };
    for (int f = 0; f < 12; f++) {
        uint8_t *rows = random_rows(formats[f].type, OUT, IN);
        struct tensor w = tensor_of(formats[f].type, rows, OUT, IN);
        struct linear *linear;
        cr_assert(linear_new(&linear, &w, 0, NULL, 1, PRECISION_FAST, NULL) == 0);
        cr_assert(linear_bytes(linear) <= w.n_bytes + w.n_bytes / 100, "%s: %zu bytes of %zu", w.name, linear_bytes(linear), w.n_bytes);
        linear_free(linear);
        free(rows);
    }
}

static double error_of(const float *y, const float *expected, int n)
{
    double error = 0, power = 0;
    for (int i = 0; i < n; i++) {
        error += ((double)y[i] - (double)expected[i]) * ((double)y[i] - (double)expected[i]);
        power += (double)expected[i] * (double)expected[i];
    }
    return error / power;
}

Test(linear, fast_stays_within_the_budget_of_its_format)
{
    enum { IN = 768, OUT = 48, ROWS = 5 };
    float x[ROWS * IN];
    fill(x, ROWS * IN);
    for (int f = 0; f < N_FORMATS; f++) {
        uint8_t *rows = random_rows(formats[f].type, OUT, IN);
        struct tensor w = tensor_of(formats[f].type, rows, OUT, IN);
        cpu_level_set(CPU_SCALAR);
        float *expected = apply(&w, NULL, PRECISION_EXACT, NULL, x, ROWS);
        for (enum cpu_level level = CPU_SCALAR; level <= CPU_NEON; level++) {
            if (cpu_level_set(level) != level)
                continue;
            float *y = apply(&w, NULL, PRECISION_FAST, NULL, x, ROWS), *exact = apply(&w, NULL, PRECISION_EXACT, NULL, x, ROWS);
            double error = error_of(y, expected, ROWS * OUT), exact_error = error_of(exact, expected, ROWS * OUT);
            cr_assert(error <= formats[f].budget, "%s, level %d: %.3g", w.name, (int)level, error);
            cr_assert(exact_error <= 1e-11, "%s, level %d, exact: %.3g", w.name, (int)level, exact_error);
            free(y);
            free(exact);
        }
        free(expected);
        free(rows);
    }
}

Test(linear, results_do_not_depend_on_batch_or_threads)
{
    enum { IN = 1280, OUT = 200, ROWS = 40 };
    static float x[ROWS * IN];
    fill(x, ROWS * IN);
    struct pool *pool = pool_new(3);
    cr_assert_not_null(pool);
    for (int f = 0; f < N_FORMATS; f++) {
        uint8_t *rows = random_rows(formats[f].type, OUT, IN);
        struct tensor w = tensor_of(formats[f].type, rows, OUT, IN);
        for (enum cpu_level level = CPU_AVX2; level <= CPU_NEON; level++) {
            if (cpu_level_set(level) != level)
                continue;
            float *together = apply(&w, NULL, PRECISION_FAST, NULL, x, ROWS), *threaded = apply(&w, NULL, PRECISION_FAST, pool, x, ROWS);
            cr_assert(memcmp(together, threaded, sizeof *together * ROWS * OUT) == 0, "%s depends on threads", w.name);
            for (int from = 0, n = 1; from < ROWS; from += n, n = n % 16 * 2 + 1) {
                n = from + n > ROWS ? ROWS - from : n;
                float *y = apply(&w, NULL, PRECISION_FAST, pool, x + (size_t)from * IN, n);
                cr_assert(memcmp(y, together + (size_t)from * OUT, sizeof *y * (size_t)n * OUT) == 0, "%s depends on the batch: rows %d+%d",
                          w.name, from, n);
                free(y);
            }
            free(together);
            free(threaded);
        }
        free(rows);
    }
    pool_free(pool);
}

Test(linear, int8_form_of_float_weights_takes_any_width)
{
    enum { IN = 387, OUT = 21, ROWS = 14 };
    float x[ROWS * IN];
    fill(x, ROWS * IN);
    uint8_t *rows = random_rows(TENSOR_F32, OUT, IN);
    struct tensor w = tensor_of(TENSOR_F32, rows, OUT, IN);
    float *expected = apply(&w, NULL, PRECISION_EXACT, NULL, x, ROWS), y[4][ROWS * OUT];
    for (enum cpu_level level = CPU_SCALAR; level <= CPU_NEON; level++) {
        cpu_level_set(level);
        struct linear *linear;
        cr_assert(linear_new_int8(&linear, &w, 0, NULL, 0.75f, PRECISION_FAST, NULL) == 0);
        linear_apply(linear, NULL, x, ROWS, y[level]);
        linear_free(linear);
        cr_assert(error_of(y[level], expected, ROWS * OUT) < 2e-4);
        cr_assert(memcmp(y[level], y[0], sizeof y[0]) == 0);
    }
    free(expected);
    free(rows);
}

Test(linear, many_matrices_share_their_input)
{
    enum { IN = 256, ROWS = 3 };
    static const enum tensor_type types[] = {TENSOR_Q4_K, TENSOR_Q6_K, TENSOR_F16, TENSOR_Q8_0};
    static const int outs[] = {24, 40, 7, 130};
    float x[ROWS * IN], *y[4];
    fill(x, ROWS * IN);
    struct linear *linears[4];
    uint8_t *rows[4];
    for (int i = 0; i < 4; i++) {
        rows[i] = random_rows(types[i], outs[i], IN);
        struct tensor w = tensor_of(types[i], rows[i], outs[i], IN);
        cr_assert(linear_new(&linears[i], &w, 0, NULL, 1, PRECISION_FAST, NULL) == 0);
        y[i] = calloc((size_t)(ROWS * outs[i]), sizeof *y[i]);
    }
    struct pool *pool = pool_new(2);
    linear_apply_many((const struct linear *const *)linears, 4, pool, x, ROWS, y);
    for (int i = 0; i < 4; i++) {
        float *alone = calloc((size_t)(ROWS * outs[i]), sizeof *alone), row[IN], expected[IN];
        linear_apply(linears[i], NULL, x, ROWS, alone);
        cr_assert(memcmp(alone, y[i], sizeof *alone * (size_t)(ROWS * outs[i])) == 0);
        linear_row(linears[i], outs[i] - 1, row);
        dequantize_row(types[i], rows[i] + tensor_row_bytes(types[i], IN) * (size_t)(outs[i] - 1), expected, IN);
        cr_assert(memcmp(row, expected, sizeof row) == 0);
        free(alone);
        free(y[i]);
        linear_free(linears[i]);
        free(rows[i]);
    }
    pool_free(pool);
}

Test(linear, a_gated_pair_is_the_two_products_and_their_activation)
{
    enum { IN = 96, OUT = 150, ROWS = 13 };
    static const enum tensor_type types[][2] = {{TENSOR_Q4_1, TENSOR_Q4_1}, {TENSOR_Q4_0, TENSOR_Q8_0}, {TENSOR_F16, TENSOR_F16}, {TENSOR_Q4_1, TENSOR_F16}};
    static float x[ROWS * IN], expected[2][ROWS * OUT], y[2][ROWS * OUT];
    fill(x, ROWS * IN);
    struct pool *pool = pool_new(2);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct linear *linears[2];
        uint8_t *rows[2];
        for (int k = 0; k < 2; k++) {
            rows[k] = random_rows(types[i][k], OUT, IN);
            struct tensor w = tensor_of(types[i][k], rows[k], OUT, IN);
            cr_assert(linear_new(&linears[k], &w, 0, NULL, 1, PRECISION_FAST, NULL) == 0);
        }
        for (int n_rows = 1; n_rows <= ROWS; n_rows += 6) {
            for (int k = 0; k < 2; k++)
                linear_apply(linears[k], NULL, x, n_rows, expected[k]);
            activate_gate(ACTIVATION_SILU, expected[0], expected[1], (int64_t)n_rows * OUT);
            linear_apply_gated(linears[0], linears[1], ACTIVATION_SILU, pool, x, n_rows, y[0], y[1]);
            cr_assert(memcmp(y[0], expected[0], sizeof(float) * (size_t)(n_rows * OUT)) == 0, "pair %zu, %d rows", i, n_rows);
        }
        for (int k = 0; k < 2; k++) {
            linear_free(linears[k]);
            free(rows[k]);
        }
    }
    pool_free(pool);
}

Test(linear, a_tensor_that_lies_about_its_size_is_refused)
{
    uint8_t rows[18 * 4] = {0};
    struct error err;
    struct linear *linear;
    struct tensor w = tensor_of(TENSOR_Q4_0, rows, 4, 32);
    w.n_bytes--;
    cr_assert_eq(linear_new(&linear, &w, 0, NULL, 1, PRECISION_FAST, &err), WEIR_E_INVALID);
    w.n_bytes++;
    cr_assert_eq(linear_new(&linear, &w, 1, NULL, 1, PRECISION_FAST, &err), WEIR_E_INVALID);
    w.ne[0] = 33;
    cr_assert_eq(linear_new(&linear, &w, 0, NULL, 1, PRECISION_FAST, &err), WEIR_E_INVALID);
    w.type = TENSOR_I32;
    cr_assert_eq(linear_new(&linear, &w, 0, NULL, 1, PRECISION_FAST, &err), WEIR_E_UNSUPPORTED);
}
