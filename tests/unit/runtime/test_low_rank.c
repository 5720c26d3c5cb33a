/* Matrices of low rank: found, and multiplied as two. */
#include "kernels/linear.h"
#include "model/low_rank.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

enum { N_OUT = 48, N_IN = 40, RANK = 5, N_ROWS = 7 };

static float draw(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(int)(*state >> 8 & 0xFFFF) / 32768.0f - 1;
}

/* The sum of RANK outer products. */
static void fill(float *w)
{
    unsigned state = 3;
    memset(w, 0, sizeof(float) * N_OUT * N_IN);
    for (int r = 0; r < RANK; r++) {
        float left[N_OUT], right[N_IN];
        for (int i = 0; i < N_OUT; i++)
            left[i] = draw(&state);
        for (int k = 0; k < N_IN; k++)
            right[k] = draw(&state);
        for (int i = 0; i < N_OUT; i++)
            for (int k = 0; k < N_IN; k++)
                w[i * N_IN + k] += left[i] * right[k];
    }
}

Test(low_rank, a_matrix_of_that_rank_is_found_again_whatever_its_columns_count_for)
{
    static float w[N_OUT * N_IN], a[RANK * N_IN], b[RANK * N_OUT], importance[N_IN];
    double lost;
    unsigned state = 9;
    fill(w);
    for (int k = 0; k < N_IN; k++)
        importance[k] = 0.05f + fabsf(draw(&state));
    cr_assert_eq(low_rank(w, N_OUT, N_IN, RANK, importance, NULL, b, a, &lost, NULL), 0);
    cr_assert(lost < 1e-6, "%g", lost); /* Of f32. */
    for (int i = 0; i < N_OUT; i++)
        for (int k = 0; k < N_IN; k++) {
            double sum = 0;
            for (int r = 0; r < RANK; r++)
                sum += (double)b[r * N_OUT + i] * (double)a[r * N_IN + k];
            cr_assert_float_eq(sum, w[i * N_IN + k], 1e-4);
        }
}

Test(low_rank, nothing_stays_nothing)
{
    static float w[N_OUT * N_IN], a[RANK * N_IN], b[RANK * N_OUT], importance[N_IN];
    double lost = -1;
    for (int k = 0; k < N_IN; k++)
        importance[k] = 1;
    cr_assert_eq(low_rank(w, N_OUT, N_IN, RANK, importance, NULL, b, a, &lost, NULL), 0);
    cr_assert_eq(lost, 0);
    for (int i = 0; i < RANK * N_IN; i++)
        cr_assert_eq(a[i], 0);
}

static struct tensor matrix(const char *name, const float *values, int n_out, int n_in)
{
    return (struct tensor){.name = name, .type = TENSOR_F32, .n_dims = 2, .ne = {n_in, n_out, 1, 1}, .data = values, .n_bytes = sizeof(float) * (size_t)(n_out * n_in)};
}

Test(low_rank, a_product_multiplies_alone_and_beside_whole_matrices_as_its_two_halves_do)
{
    static float outer[N_OUT * RANK], inner[RANK * N_IN], whole[N_OUT * N_IN], bias[N_OUT], x[N_ROWS * N_IN], want[N_ROWS * N_OUT], got[2][N_ROWS * N_OUT], row[N_IN];
    unsigned state = 1;
    for (size_t i = 0; i < sizeof outer / sizeof *outer; i++)
        outer[i] = draw(&state);
    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++)
        inner[i] = draw(&state);
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = draw(&state);
    for (int i = 0; i < N_OUT; i++) {
        bias[i] = draw(&state);
        for (int k = 0; k < N_IN; k++)
            for (int r = 0; r < RANK; r++)
                whole[i * N_IN + k] += outer[i * RANK + r] * inner[r * N_IN + k];
    }
    struct tensor b = matrix("b", outer, N_OUT, RANK), a = matrix("a", inner, RANK, N_IN), w = matrix("w", whole, N_OUT, N_IN);
    struct linear *first, *product, *plain;
    cr_assert_eq(linear_new(&first, &a, 0, NULL, 1, PRECISION_EXACT, NULL), 0);
    cr_assert_eq(linear_new_product(&product, &b, first, bias, PRECISION_EXACT, NULL), 0);
    cr_assert_eq(linear_new(&plain, &w, 0, bias, 1, PRECISION_EXACT, NULL), 0);
    cr_assert(linear_n_in(product) == N_IN && linear_n_out(product) == N_OUT);
    cr_assert_eq(linear_bytes(product), sizeof outer + sizeof inner);
    linear_apply(plain, NULL, x, N_ROWS, want);
    linear_apply_many((const struct linear *const[]){product, plain}, 2, NULL, x, N_ROWS, (float *const[]){got[0], got[1]});
    for (int i = 0; i < N_ROWS * N_OUT; i++) {
        cr_assert_float_eq(got[0][i], want[i], 1e-4);
        cr_assert_eq(got[1][i], want[i]);
    }
    linear_row(product, 11, row);
    for (int k = 0; k < N_IN; k++)
        cr_assert_float_eq(row[k], whole[11 * N_IN + k], 1e-5);
    linear_apply_gated(plain, product, ACTIVATION_SILU, NULL, x, N_ROWS, got[0], got[1]);
    for (int i = 0; i < N_ROWS * N_OUT; i++)
        cr_assert_float_eq(got[0][i], want[i] / (1 + expf(-want[i])) * want[i], 1e-3);
    linear_free(product);
    linear_free(plain);
}

Test(low_rank, halves_that_do_not_meet_are_refused)
{
    static float outer[N_OUT * RANK], inner[(RANK + 1) * N_IN];
    struct tensor b = matrix("b", outer, N_OUT, RANK), a = matrix("a", inner, RANK + 1, N_IN);
    struct linear *first, *product;
    struct error err = {0};
    cr_assert_eq(linear_new(&first, &a, 0, NULL, 1, PRECISION_EXACT, NULL), 0);
    cr_assert_eq(linear_new_product(&product, &b, first, NULL, PRECISION_EXACT, &err), WEIR_E_INVALID);
    cr_assert_str_eq(err.where, "b");
}
