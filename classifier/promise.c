/* Promise: risk control on calibration lines.
 *
 * A threshold chosen because it looks right on the calibration lines breaks its promise about every second time. Here each
 * threshold is a hypothesis, "what stays local has a mean loss above max_regret", and one is used only when its hypothesis is
 * refused. Thresholds are tested from strict to loose and the first that isn't refused ends the sequence: then no correction
 * for their number is needed. As a sequence may begin with bad luck, there are several starts, which share the error evenly;
 * each begins where a fixed share of the lines stays local, but not before refusal is possible at all. */
#include "promise.h"

#include <math.h>
#include <stdlib.h>

static const double STARTS[] = {0, 0.1, 0.25, 0.45, 0.7};
enum { N_STARTS = sizeof STARTS / sizeof *STARTS, MOST_STEPS = 200 };

/* P(Binomial(n, p) <= k), summed downwards from k. */
static double binomial_tail(size_t k, size_t n, double p)
{
    if (k >= n || p <= 0)
        return 1;
    if (p >= 1)
        return 0;
    double log_term = lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1) + (double)k * log(p) + (double)(n - k) * log1p(-p);
    double term = 1, sum = 0;
    if ((double)k > (double)n * p) { /* Downwards the terms would grow: sum the other side. */
        for (size_t i = k + 1; i <= n; i++) {
            term *= (double)(n - i + 1) / (double)i * p / (1 - p);
            sum += term;
            if (term < 1e-16 * sum)
                break;
        }
        return fmax(0, 1 - exp(log_term) * sum);
    }
    for (size_t i = k + 1; i-- > 0;) {
        sum += term;
        term *= (double)i / (double)(n - i + 1) * (1 - p) / p;
        if (term < 1e-16 * sum)
            break;
    }
    return fmin(1, exp(log_term) * sum);
}

double promise_p_value(double mean, size_t n, double risk, bool binary)
{
    if (n == 0 || risk >= 1)
        return n == 0 ? 1 : 0;
    if (binary)
        return binomial_tail((size_t)llround(mean * (double)n), n, risk);
    if (mean >= risk)
        return 1;
    double bentkus = 2.718281828459045 * binomial_tail((size_t)ceil(mean * (double)n - 1e-9), n, risk);
    double relative = (mean > 0 ? mean * log(mean / risk) : 0) + (1 - mean) * log((1 - mean) / (1 - risk));
    return fmin(1, fmin(bentkus, exp(-(double)n * relative)));
}

struct line {
    float gain;
    float loss;
};

static int compare_lines(const void *a, const void *b)
{
    float x = ((const struct line *)a)->gain, y = ((const struct line *)b)->gain;
    return x < y ? -1 : x > y;
}

/* Lines that stay when the first `least` do: all of equal gain go together. */
static size_t with_ties(const struct line *lines, size_t n, size_t least)
{
    while (least > 0 && least < n && lines[least].gain == lines[least - 1].gain)
        least++;
    return least;
}

int promise_find(const float *gains, const float *losses, size_t n, double max_regret, double confidence, struct promise *out)
{
    struct line *lines = malloc((n + 1) * sizeof *lines);
    double *sums = malloc((n + 1) * sizeof *sums), error = (1 - confidence) / N_STARTS;
    bool binary = true;
    *out = (struct promise){.threshold = PROMISE_NOTHING};
    if (lines == NULL || sums == NULL) {
        free(lines);
        free(sums);
        return WEIR_E_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        lines[i] = (struct line){gains[i], losses[i]};
        binary = binary && (losses[i] == 0 || losses[i] == 1);
    }
    if (n > 0)
        qsort(lines, n, sizeof *lines, compare_lines);
    sums[0] = 0;
    for (size_t i = 0; i < n; i++)
        sums[i + 1] = sums[i] + (double)lines[i].loss;
    size_t possible = 1, step = n / MOST_STEPS + 1;
    while (possible < n && promise_p_value(0, possible, max_regret, binary) > error)
        possible++;
    for (size_t start = 0; start < N_STARTS && n > 0; start++) {
        size_t at = (size_t)(STARTS[start] * (double)n);
        for (at = at > possible ? at : possible; at <= n; at = at == n ? n + 1 : at + step < n ? at + step : n) {
            size_t kept = with_ties(lines, n, at);
            double mean = sums[kept] / (double)kept;
            if (promise_p_value(mean, kept, max_regret, binary) > error)
                break;
            if (kept > out->n_local)
                *out = (struct promise){lines[kept - 1].gain, kept, mean};
            at = kept > at ? kept : at;
        }
    }
    free(lines);
    free(sums);
    return 0;
}
