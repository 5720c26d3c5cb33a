/* The blend: what is known of an answer joined, what is not known left out. */
#include "blend.h"

#include <criterion/criterion.h>
#include <math.h>

enum { N = 400 };

/* Two inputs tell, each in part; a third is noise. */
static void make(float *inputs, float *targets, float *weights)
{
    uint32_t state = 1;
    for (int k = 0; k < N; k++) {
        float *row = inputs + k * N_BLEND_INPUTS, draws[4];
        for (int i = 0; i < 4; i++) {
            state = state * 1664525u + 1013904223u;
            draws[i] = (float)(state >> 8) / (float)(1 << 24) - 0.5f;
        }
        for (int i = 0; i < N_BLEND_INPUTS; i++)
            row[i] = NAN;
        row[BLEND_QUESTION] = 4 * draws[0];
        row[BLEND_LOGPROB_MEAN] = -2 + 2 * draws[1];
        row[BLEND_MARGIN_MEAN] = draws[2];
        targets[k] = draws[0] + draws[1] + 0.2f * draws[3] > 0;
        weights[k] = 1;
    }
}

static double wrong(const struct blend *blend, const float *inputs, const float *targets)
{
    double n = 0;
    for (int k = 0; k < N; k++)
        n += (blend_value(blend, inputs + k * N_BLEND_INPUTS) > 0.5f) != (targets[k] > 0.5f);
    return n / N;
}

Test(blend, joins_what_tells_and_gives_noise_no_say)
{
    float inputs[N * N_BLEND_INPUTS], targets[N], weights[N];
    struct blend blend;
    make(inputs, targets, weights);
    blend_fit(&blend, inputs, targets, weights, N, BLEND_OF_CONFIDENCE);
    cr_assert(blend.present);
    cr_assert_lt(wrong(&blend, inputs, targets), 0.06);
    cr_assert(blend.weights[BLEND_QUESTION] > 1 && blend.weights[BLEND_LOGPROB_MEAN] > 1);
    cr_assert_lt(fabs(blend.weights[BLEND_MARGIN_MEAN]), 0.5);
    cr_assert_eq(blend.weights[BLEND_TEXT], 0);
    cr_assert_eq(blend.weights[BLEND_SELF_CHECK], 0, "never known");
}

Test(blend, an_input_that_is_not_known_counts_as_the_mean)
{
    float inputs[N * N_BLEND_INPUTS], targets[N], weights[N], row[N_BLEND_INPUTS], other[N_BLEND_INPUTS];
    struct blend blend;
    make(inputs, targets, weights);
    blend_fit(&blend, inputs, targets, weights, N, BLEND_OF_CONFIDENCE);
    memcpy(row, inputs, sizeof row);
    memcpy(other, inputs, sizeof other);
    row[BLEND_LOGPROB_MEAN] = NAN;
    other[BLEND_LOGPROB_MEAN] = (float)blend.means[BLEND_LOGPROB_MEAN];
    cr_assert_float_eq(blend_value(&blend, row), blend_value(&blend, other), 1e-5);
    other[BLEND_LOGPROB_MEAN] = 1e30f;
    cr_assert(isfinite(blend_value(&blend, other)));
}

Test(blend, rows_without_weight_change_nothing_and_the_fit_is_the_same_each_time)
{
    float inputs[N * N_BLEND_INPUTS], targets[N], weights[N];
    struct blend half, again, first;
    make(inputs, targets, weights);
    blend_fit(&first, inputs, targets, weights, N / 2, BLEND_OF_CONFIDENCE);
    for (int k = N / 2; k < N; k++) {
        weights[k] = 0;
        targets[k] = 1 - targets[k];
    }
    blend_fit(&half, inputs, targets, weights, N, BLEND_OF_CONFIDENCE);
    blend_fit(&again, inputs, targets, weights, N, BLEND_OF_CONFIDENCE);
    cr_assert_eq(memcmp(&half, &again, sizeof half), 0);
    for (int i = 0; i < N_BLEND_INPUTS; i++)
        cr_assert_float_eq(half.weights[i], first.weights[i], 1e-9);
}

Test(blend, with_the_question_alone_there_is_nothing_to_join)
{
    float inputs[N * N_BLEND_INPUTS], targets[N], weights[N];
    struct blend blend;
    make(inputs, targets, weights);
    for (int k = 0; k < N; k++)
        inputs[k * N_BLEND_INPUTS + BLEND_LOGPROB_MEAN] = inputs[k * N_BLEND_INPUTS + BLEND_MARGIN_MEAN] = NAN;
    blend_fit(&blend, inputs, targets, weights, N, BLEND_OF_CONFIDENCE);
    cr_assert_not(blend.present);
}

Test(blend, a_set_leaves_the_other_inputs_out)
{
    float inputs[N * N_BLEND_INPUTS], targets[N], weights[N];
    struct blend blend;
    make(inputs, targets, weights);
    for (int k = 0; k < N; k++)
        inputs[k * N_BLEND_INPUTS + BLEND_PROBE] = targets[k] > 0.5f ? 1 : -1;
    blend_fit(&blend, inputs, targets, weights, N, BLEND_OF_PROBE);
    cr_assert(blend.present && blend.weights[BLEND_PROBE] > 1 && blend.weights[BLEND_LOGPROB_MEAN] == 0);
}

Test(blend, perfectly_parted_rows_still_end_in_finite_numbers)
{
    float inputs[N * N_BLEND_INPUTS], targets[N], weights[N];
    struct blend blend;
    make(inputs, targets, weights);
    for (int k = 0; k < N; k++)
        inputs[k * N_BLEND_INPUTS + BLEND_TEXT] = targets[k] > 0.5f ? 9 : -9;
    blend_fit(&blend, inputs, targets, weights, N, BLEND_OF_TEXT);
    cr_assert(isfinite(blend.bias) && isfinite(blend.weights[BLEND_TEXT]));
    cr_assert_eq(wrong(&blend, inputs, targets), 0);
}
