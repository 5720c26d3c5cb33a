/* Fitting is Newton's method on at most N_BLEND_INPUTS + 1 numbers with a little ridge on standardised inputs: convex, so that a few
 * steps from zero end at the one optimum. The same rows give the same numbers. */
#include "blend.h"

#include <math.h>

enum { N_NUMBERS = N_BLEND_INPUTS + 1, MOST_STEPS = 40, LEAST_KNOWN = 20 }; /* The bias comes last. */
static const double RIDGE = 1;

const char *const blend_input_names[N_BLEND_INPUTS] = {"text", "question", "logprob_mean", "logprob_min", "entropy_mean", "margin_mean", "self_check", "probe"};

float blend_logit(float p)
{
    if (isnan(p))
        return NAN;
    p = p < 1e-4F ? 1e-4F : p > 1 - 1e-4F ? 1 - 1e-4F : p;
    return logf(p / (1 - p));
}

void blend_inputs(const struct answer *answer, float p_local, float out[N_BLEND_INPUTS])
{
    out[BLEND_TEXT] = NAN;
    out[BLEND_QUESTION] = blend_logit(p_local);
    out[BLEND_LOGPROB_MEAN] = answer->logprob_mean;
    out[BLEND_LOGPROB_MIN] = answer->logprob_min;
    out[BLEND_ENTROPY_MEAN] = answer->entropy_mean;
    out[BLEND_MARGIN_MEAN] = answer->margin_mean;
    out[BLEND_SELF_CHECK] = blend_logit(answer->self_check);
    out[BLEND_PROBE] = blend_logit(answer->probe);
}

static double standard(const struct blend *blend, int i, float input)
{
    if (!isfinite(input))
        return 0;
    double x = ((double)input - blend->means[i]) * blend->inverse_sds[i];
    return x > 6 ? 6 : x < -6 ? -6 : x;
}

static double sum(const struct blend *blend, const float *inputs)
{
    double value = blend->bias;
    for (int i = 0; i < N_BLEND_INPUTS; i++)
        value += blend->weights[i] * standard(blend, i, inputs[i]);
    return value;
}

float blend_value(const struct blend *blend, const float inputs[N_BLEND_INPUTS])
{
    return (float)(1 / (1 + exp(-sum(blend, inputs))));
}

/* Means and deviations of the known; an input that does not vary gets no say. True: one that is no mere question varies. */
static bool standardise(struct blend *blend, const float *inputs, const float *weights, size_t n, unsigned set)
{
    bool any = false;
    for (int i = 0; i < N_BLEND_INPUTS; i++) {
        double total = 0, squares = 0, known = 0;
        for (size_t k = 0; k < n; k++) {
            double x = (double)inputs[k * N_BLEND_INPUTS + (size_t)i];
            if (weights[k] <= 0 || !isfinite(x))
                continue;
            known++;
            total += x;
            squares += x * x;
        }
        if (known < LEAST_KNOWN || (set >> i & 1) == 0)
            continue;
        blend->means[i] = total / known;
        double variance = squares / known - blend->means[i] * blend->means[i];
        blend->inverse_sds[i] = variance > 1e-10 ? 1 / sqrt(variance) : 0;
        any |= variance > 1e-10 && i != BLEND_QUESTION;
    }
    return any;
}

/* Solves a x = b in place by elimination; a is symmetric and positive. */
static void solve(double a[N_NUMBERS][N_NUMBERS], double b[N_NUMBERS])
{
    for (int i = 0; i < N_NUMBERS; i++)
        for (int r = i + 1; r < N_NUMBERS; r++) {
            double factor = a[r][i] / a[i][i];
            for (int c = i; c < N_NUMBERS; c++)
                a[r][c] -= factor * a[i][c];
            b[r] -= factor * b[i];
        }
    for (int i = N_NUMBERS - 1; i >= 0; i--) {
        for (int c = i + 1; c < N_NUMBERS; c++)
            b[i] -= a[i][c] * b[c];
        b[i] /= a[i][i];
    }
}

/* One Newton step; the length of it. */
static double newton(struct blend *blend, const float *inputs, const float *targets, const float *weights, size_t n)
{
    double hessian[N_NUMBERS][N_NUMBERS] = {{0}}, gradient[N_NUMBERS], x[N_NUMBERS], length = 0;
    for (int i = 0; i < N_BLEND_INPUTS; i++) {
        hessian[i][i] = RIDGE;
        gradient[i] = -RIDGE * blend->weights[i];
    }
    hessian[N_BLEND_INPUTS][N_BLEND_INPUTS] = 1e-6;
    gradient[N_BLEND_INPUTS] = 0;
    for (size_t k = 0; k < n; k++) {
        const float *row = inputs + k * N_BLEND_INPUTS;
        if (weights[k] <= 0)
            continue;
        double p = 1 / (1 + exp(-sum(blend, row))), w = (double)weights[k];
        for (int i = 0; i < N_BLEND_INPUTS; i++)
            x[i] = standard(blend, i, row[i]);
        x[N_BLEND_INPUTS] = 1;
        for (int i = 0; i < N_NUMBERS; i++) {
            gradient[i] += w * ((double)targets[k] - p) * x[i];
            for (int j = 0; j < N_NUMBERS; j++)
                hessian[i][j] += w * (p * (1 - p) + 1e-6) * x[i] * x[j];
        }
    }
    solve(hessian, gradient);
    for (int i = 0; i < N_BLEND_INPUTS; i++)
        blend->weights[i] += gradient[i];
    blend->bias += gradient[N_BLEND_INPUTS];
    for (int i = 0; i < N_NUMBERS; i++)
        length += gradient[i] * gradient[i];
    return sqrt(length);
}

void blend_fit(struct blend *out, const float *inputs, const float *targets, const float *weights, size_t n, unsigned set)
{
    *out = (struct blend){0};
    if (!standardise(out, inputs, weights, n, set))
        return;
    for (int step = 0; step < MOST_STEPS && newton(out, inputs, targets, weights, n) > 1e-9; step++)
        ;
    out->present = true;
}
