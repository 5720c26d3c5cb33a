/* Networks: each kind learns what it can express, of the lines that count, and the same each time. */
#include "network.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

enum { N = 400, WIDTH = 12 };

static float inputs[N * WIDTH], targets[NETWORK_OUTPUTS][N], weights[NETWORK_OUTPUTS][N];

static float draw(void)
{
    static uint32_t state = 7;
    state = state * 1664525 + 1013904223;
    return (float)(state >> 8) / (float)(1 << 24) * 2 - 1;
}

/* Local is right where the first number is positive; remote where the first two have one sign (which no straight line tells). */
static void make(void)
{
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < WIDTH; k++)
            inputs[i * WIDTH + k] = 1.7F * draw();
        targets[0][i] = inputs[i * WIDTH] > 0;
        targets[1][i] = inputs[i * WIDTH] * inputs[i * WIDTH + 1] > 0;
        weights[0][i] = weights[1][i] = 1;
    }
}

TestSuite(network, .init = make);

static struct network fit(enum network_kind kind, uint64_t seed)
{
    struct network network;
    struct network_lines lines = {N, inputs, {targets[0], targets[1]}, {weights[0], weights[1]}};
    cr_assert_eq(network_init(&network, kind, WIDTH), 0);
    cr_assert_eq(network_fit(&network, &lines, seed), 0);
    return network;
}

static double accuracy(const struct network *network, int target)
{
    int right = 0;
    for (int i = 0; i < N; i++) {
        float out[NETWORK_OUTPUTS];
        network_values(network, inputs + i * WIDTH, out);
        right += (out[target] > 0) == (targets[target][i] > 0.5F);
    }
    return (double)right / N;
}

Test(network, every_kind_learns_a_line_and_only_the_hidden_layer_a_bend)
{
    for (int kind = 0; kind < N_NETWORK_KINDS; kind++) {
        struct network network = fit((enum network_kind)kind, 1);
        cr_assert_gt(accuracy(&network, 0), 0.95, "%s", network_kind_names[kind]);
        if (kind == NETWORK_MLP)
            cr_assert_gt(accuracy(&network, 1), 0.9);
        else
            cr_assert_lt(accuracy(&network, 1), 0.75, "%s", network_kind_names[kind]);
        network_release(&network);
    }
}

Test(network, the_same_lines_and_seed_give_the_same_bits_and_another_seed_others)
{
    struct network a = fit(NETWORK_MLP, 3), b = fit(NETWORK_MLP, 3), c = fit(NETWORK_MLP, 4);
    size_t n_bytes = network_n_weights(&a) * sizeof *a.weights;
    cr_assert_arr_eq(a.weights, b.weights, n_bytes);
    cr_assert_arr_neq(a.weights, c.weights, n_bytes);
    network_release(&a);
    network_release(&b);
    network_release(&c);
}

Test(network, a_line_without_a_target_or_weight_teaches_nothing)
{
    struct network whole = fit(NETWORK_MLP, 5);
    for (int i = 0; i < N; i += 3) {
        weights[0][i] = 0;
        targets[1][i] = NAN;
    }
    struct network part = fit(NETWORK_MLP, 5);
    for (int i = 0; i < N; i += 3)
        targets[0][i] = 1 - targets[0][i]; /* Of weight 0. */
    struct network same = fit(NETWORK_MLP, 5);
    size_t n_bytes = network_n_weights(&whole) * sizeof *whole.weights;
    cr_assert_arr_neq(whole.weights, part.weights, n_bytes);
    cr_assert_arr_eq(part.weights, same.weights, n_bytes);
    for (size_t i = 0; i < network_n_weights(&part); i++)
        cr_assert(isfinite(part.weights[i]));
    network_release(&whole);
    network_release(&part);
    network_release(&same);
}

Test(network, targets_between_nought_and_one_come_out_as_probabilities)
{
    for (int i = 0; i < N; i++)
        targets[0][i] = 0.2F;
    struct network network = fit(NETWORK_LOGISTIC, 1);
    double sum = 0;
    for (int i = 0; i < N; i++) {
        float out[NETWORK_OUTPUTS];
        network_values(&network, inputs + i * WIDTH, out);
        sum += 1 / (1 + exp(-(double)out[0]));
    }
    cr_assert_float_eq(sum / N, 0.2, 0.01);
    network_release(&network);
}
