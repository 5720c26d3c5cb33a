/* Calibration by Platt's sigmoid (1999; with Newton's method as Lin, Lin and Weng 2007) and by temperature (Guo et al. 2017). */
#include "calibrate.h"

#include <math.h>

enum { N_BINS = 15 };

static double sigmoid(double v)
{
    return 1 / (1 + exp(-v));
}

static double log_loss(const float *scores, const float *targets, const float *weights, size_t n, double slope, double shift)
{
    double loss = 0;
    for (size_t i = 0; i < n; i++) {
        double f = slope * (double)scores[i] + shift, t = (double)targets[i], w = weights != NULL ? (double)weights[i] : 1;
        loss += w * (fmax(f, 0) - f * t + log1p(exp(-fabs(f))));
    }
    return loss;
}

struct platt platt_fit(const float *scores, const float *targets, const float *weights, size_t n)
{
    double total = 1, sum = 0.5, low = INFINITY, high = -INFINITY; /* One half more of each kind: never a certain 0 or 1. */
    for (size_t i = 0; i < n; i++) {
        double w = weights != NULL ? (double)weights[i] : 1;
        total += w;
        sum += w * (double)targets[i];
        low = fmin(low, (double)scores[i]);
        high = fmax(high, (double)scores[i]);
    }
    double mean = sum / total, base = log(mean / (1 - mean));
    struct platt at = {0, base};
    if (n < 2 || !(high - low > 1e-9))
        return at;
    double loss = log_loss(scores, targets, weights, n, at.slope, at.shift);
    for (int step = 0; step < 100; step++) {
        double g0 = 0, g1 = 0, h00 = 1e-9, h01 = 0, h11 = 1e-9;
        for (size_t i = 0; i < n; i++) {
            double s = (double)scores[i], p = sigmoid(at.slope * s + at.shift), w = weights != NULL ? (double)weights[i] : 1;
            double d = w * (p - (double)targets[i]), h = w * p * (1 - p);
            g0 += d * s;
            g1 += d;
            h00 += h * s * s;
            h01 += h * s;
            h11 += h;
        }
        double determinant = h00 * h11 - h01 * h01, length = 1, trial = loss;
        if (!(determinant > 0))
            break;
        double d0 = -(h11 * g0 - h01 * g1) / determinant, d1 = -(h00 * g1 - h01 * g0) / determinant;
        for (; length > 1e-6; length /= 2) {
            trial = log_loss(scores, targets, weights, n, at.slope + length * d0, at.shift + length * d1);
            if (trial < loss)
                break;
        }
        if (length <= 1e-6)
            break;
        at = (struct platt){at.slope + length * d0, at.shift + length * d1};
        if (loss - trial < 1e-10 * (loss + 1))
            break;
        loss = trial;
    }
    if (!isfinite(at.slope) || !isfinite(at.shift) || at.slope < 0)
        return (struct platt){0, base};
    return at;
}

float gain_value(float remote, float local)
{
    return (float)(sigmoid((double)remote) - sigmoid((double)local));
}

float platt_apply(struct platt platt, float score)
{
    return (float)sigmoid(platt.slope * (double)score + platt.shift);
}

static double temperature_loss(const float *const *rows, const int *classes, size_t n, int n_classes, double temperature)
{
    double loss = 0;
    for (size_t i = 0; i < n; i++) {
        if (classes[i] < 0)
            continue;
        double most = -INFINITY, sum = 0;
        for (int c = 0; c < n_classes; c++)
            most = fmax(most, (double)rows[i][c]);
        for (int c = 0; c < n_classes; c++)
            sum += exp(((double)rows[i][c] - most) / temperature);
        loss += log(sum) - ((double)rows[i][classes[i]] - most) / temperature;
    }
    return loss;
}

double temperature_fit(const float *const *rows, const int *classes, size_t n, int n_classes)
{
    size_t used = 0;
    for (size_t i = 0; i < n; i++)
        used += classes[i] >= 0;
    if (used == 0 || n_classes < 2)
        return 1;
    double low = log(0.05), high = log(20);
    const double ratio = 0.6180339887498949; /* Golden section on the logarithm. */
    double a = high - ratio * (high - low), b = low + ratio * (high - low);
    double at_a = temperature_loss(rows, classes, n, n_classes, exp(a)), at_b = temperature_loss(rows, classes, n, n_classes, exp(b));
    for (int i = 0; i < 20; i++) {
        if (at_a < at_b) {
            high = b;
            b = a;
            at_b = at_a;
            a = high - ratio * (high - low);
            at_a = temperature_loss(rows, classes, n, n_classes, exp(a));
        } else {
            low = a;
            a = b;
            at_a = at_b;
            b = low + ratio * (high - low);
            at_b = temperature_loss(rows, classes, n, n_classes, exp(b));
        }
    }
    return exp((low + high) / 2);
}

struct bins {
    size_t n[N_BINS];
    double said[N_BINS], was[N_BINS]; /* Sums. */
};

static struct bins bins_fill(const float *probabilities, const float *targets, size_t n)
{
    struct bins bins = {{0}, {0}, {0}};
    for (size_t i = 0; i < n; i++) {
        int bin = (int)(probabilities[i] * N_BINS);
        bin = bin < 0 ? 0 : bin >= N_BINS ? N_BINS - 1 : bin;
        bins.n[bin]++;
        bins.said[bin] += (double)probabilities[i];
        bins.was[bin] += (double)targets[i];
    }
    return bins;
}

double calibration_error(const float *probabilities, const float *targets, size_t n)
{
    struct bins bins = bins_fill(probabilities, targets, n);
    double error = 0;
    for (int bin = 0; bin < N_BINS; bin++)
        error += fabs(bins.said[bin] - bins.was[bin]);
    return n > 0 ? error / (double)n : 0;
}

json_t *reliability_json(const float *probabilities, const float *targets, size_t n)
{
    struct bins bins = bins_fill(probabilities, targets, n);
    json_t *out = json_array();
    for (int bin = 0; bin < N_BINS; bin++)
        if (bins.n[bin] > 0)
            json_array_append_new(out, json_pack("{s:I,s:f,s:f}", "n", (json_int_t)bins.n[bin], "said", bins.said[bin] / (double)bins.n[bin], "was",
                                                 bins.was[bin] / (double)bins.n[bin]));
    return out;
}

double brier_score(const float *probabilities, const float *targets, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)probabilities[i] - (double)targets[i];
        sum += d * d;
    }
    return n > 0 ? sum / (double)n : 0;
}
