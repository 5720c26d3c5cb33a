/* Networks: values and their training. */
#include "network.h"

#include <math.h>
#include <stdlib.h>

enum { HIDDEN = 64, BATCH = 64, PASSES = 40, LEAST_STEPS = 1500, MOST_STEPS = 10000 };
static const float RATE = 2e-3F, BETA1 = 0.9F, BETA2 = 0.999F; /* The last two: how slowly Adam's moments forget. */

/* Of ½ penalty |w|² beside the summed loss, for each input of unit variance. With few lines a hidden layer would go out altogether. */
static const float PENALTY[N_NETWORK_KINDS] = {[NETWORK_LOGISTIC] = 5.3F, [NETWORK_FACTORS] = 0.64F, [NETWORK_MLP] = 0.64F}, MOST_A_LINE = 0.2F;

const char *const network_kind_names[N_NETWORK_KINDS] = {[NETWORK_LOGISTIC] = "logistic", [NETWORK_FACTORS] = "factors", [NETWORK_MLP] = "mlp"};

/* Numbers that the output rows look at. */
static size_t width_of(const struct network *network)
{
    return (size_t)(network->kind == NETWORK_LOGISTIC ? network->n_inputs : network->n_hidden);
}

size_t network_n_weights(const struct network *network)
{
    return (size_t)network->n_hidden * ((size_t)network->n_inputs + 1) + NETWORK_OUTPUTS * (width_of(network) + 1);
}

int network_init(struct network *network, enum network_kind kind, int n_inputs)
{
    *network = (struct network){.kind = kind, .n_inputs = n_inputs, .n_hidden = kind == NETWORK_LOGISTIC ? 0 : HIDDEN};
    network->weights = calloc(network_n_weights(network), sizeof *network->weights);
    return network->weights == NULL ? WEIR_E_MEMORY : 0;
}

void network_release(struct network *network)
{
    free(network->weights);
    *network = (struct network){0};
}

static float row_value(const float *row, const float *x, size_t n)
{
    float lanes[8] = {0}, sum = row[n];
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t k = 0; k < 8; k++)
            lanes[k] += row[i + k] * x[i + k];
    for (; i < n; i++)
        sum += row[i] * x[i];
    for (size_t k = 0; k < 8; k++)
        sum += lanes[k];
    return sum;
}

/* *seen: what the output rows look at, the input or hidden. */
static void forward(const struct network *network, const float *input, float *hidden, const float **seen, float out[NETWORK_OUTPUTS])
{
    size_t n = (size_t)network->n_inputs, width = width_of(network);
    const float *row = network->weights;
    for (int i = 0; i < network->n_hidden; i++, row += n + 1) {
        float value = row_value(row, input, n);
        hidden[i] = network->kind == NETWORK_MLP && value < 0 ? 0 : value;
    }
    *seen = network->n_hidden > 0 ? hidden : input;
    for (int t = 0; t < NETWORK_OUTPUTS; t++, row += width + 1)
        out[t] = row_value(row, *seen, width);
}

void network_values(const struct network *network, const float *input, float out[NETWORK_OUTPUTS])
{
    float hidden[NETWORK_MOST_HIDDEN];
    const float *seen;
    forward(network, input, hidden, &seen, out);
}

/* ------------------------------------------------------------------ training */

struct fit {
    struct network *network;
    const struct network_lines *lines;
    float *gradient, *first, *second; /* Adam's moments. */
    uint32_t *order;
    uint64_t random;
};

static uint64_t draw(struct fit *fit)
{
    uint64_t z = fit->random += 0x9e3779b97f4a7c15ULL;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

/* Uniform with this standard deviation. */
static float draw_weight(struct fit *fit, double deviation)
{
    return (float)(((double)(draw(fit) >> 11) * 0x1p-53 * 2 - 1) * deviation * sqrt(3));
}

/* Where an output begins: the log-odds of its targets' mean. */
static float base_rate(const struct network_lines *lines, int target)
{
    double sum = 0.5, n = 1;
    for (size_t i = 0; i < lines->n; i++) {
        if (isnan(lines->targets[target][i]))
            continue;
        sum += (double)(lines->weights[target][i] * lines->targets[target][i]);
        n += (double)lines->weights[target][i];
    }
    return (float)log(fmax(sum, 1e-6) / fmax(n - sum, 1e-6));
}

static void begin(struct fit *fit)
{
    struct network *network = fit->network;
    size_t n = (size_t)network->n_inputs, width = width_of(network);
    float *row = network->weights;
    for (int i = 0; i < network->n_hidden; i++, row += n + 1)
        for (size_t k = 0; k <= n; k++)
            row[k] = k < n ? draw_weight(fit, sqrt((network->kind == NETWORK_MLP ? 2.0 : 1.0) / (double)n)) : 0;
    for (int t = 0; t < NETWORK_OUTPUTS; t++, row += width + 1)
        for (size_t k = 0; k <= width; k++)
            row[k] = k == width ? base_rate(fit->lines, t) : network->n_hidden > 0 ? draw_weight(fit, 0.5 / sqrt((double)width)) : 0;
}

/* Adds one line's part of the gradient. */
static void learn(struct fit *fit, size_t line)
{
    const struct network *network = fit->network;
    size_t n = (size_t)network->n_inputs, width = width_of(network), outputs = (size_t)network->n_hidden * (n + 1);
    const float *input = fit->lines->inputs + line * n, *seen;
    float hidden[NETWORK_MOST_HIDDEN], back[NETWORK_MOST_HIDDEN] = {0}, out[NETWORK_OUTPUTS];
    forward(network, input, hidden, &seen, out);
    for (int t = 0; t < NETWORK_OUTPUTS; t++) {
        float weight = fit->lines->weights[t][line];
        if (isnan(fit->lines->targets[t][line]) || weight == 0)
            continue;
        float error = weight * (1 / (1 + expf(-out[t])) - fit->lines->targets[t][line]);
        float *gradient = fit->gradient + outputs + (size_t)t * (width + 1);
        const float *row = network->weights + outputs + (size_t)t * (width + 1);
        for (size_t k = 0; k < width; k++)
            gradient[k] += error * seen[k];
        gradient[width] += error;
        for (int k = 0; k < network->n_hidden; k++)
            back[k] += error * row[k];
    }
    for (int i = 0; i < network->n_hidden; i++) {
        float *gradient = fit->gradient + (size_t)i * (n + 1);
        if (back[i] == 0 || (network->kind == NETWORK_MLP && hidden[i] <= 0))
            continue;
        for (size_t k = 0; k < n; k++)
            gradient[k] += back[i] * input[k];
        gradient[n] += back[i];
    }
}

struct pace {
    float rate, decay, correct1, correct2;
};

/* One row's step; its last number, the bias, does not decay. */
static void step_row(struct fit *fit, size_t at, size_t n, struct pace pace)
{
    static const float tiny = 1e-8F;
    for (size_t i = at; i < at + n; i++) {
        float *weight = &fit->network->weights[i], g = fit->gradient[i] + (i + 1 < at + n ? pace.decay * *weight : 0);
        fit->first[i] = BETA1 * fit->first[i] + (1 - BETA1) * g;
        fit->second[i] = BETA2 * fit->second[i] + (1 - BETA2) * g * g;
        *weight -= pace.rate * (fit->first[i] / pace.correct1 / (sqrtf(fit->second[i] / pace.correct2) + tiny));
    }
}

static void step(struct fit *fit, int64_t n_steps, int64_t most_steps, size_t batch)
{
    const struct network *network = fit->network;
    size_t n = (size_t)network->n_inputs + 1, width = width_of(network) + 1, at = 0;
    struct pace pace = {
        .rate = RATE * (float)(0.5 * (1 + cos((double)n_steps / (double)most_steps * 3.14159265358979))), /* To zero along a cosine. */
        .decay = PENALTY[network->kind] * (float)network->n_inputs / (float)fit->lines->n,
        .correct1 = 1 - powf(BETA1, (float)n_steps),
        .correct2 = 1 - powf(BETA2, (float)n_steps),
    };
    if (network->kind != NETWORK_LOGISTIC && pace.decay > MOST_A_LINE)
        pace.decay = MOST_A_LINE;
    for (size_t i = 0; i < network_n_weights(network); i++)
        fit->gradient[i] /= (float)batch;
    for (int i = 0; i < network->n_hidden; i++, at += n)
        step_row(fit, at, n, pace);
    for (int t = 0; t < NETWORK_OUTPUTS; t++, at += width)
        step_row(fit, at, width, pace);
}

int network_fit(struct network *network, const struct network_lines *lines, uint64_t seed)
{
    size_t n_weights = network_n_weights(network);
    struct fit fit = {.network = network, .lines = lines, .random = seed};
    fit.gradient = calloc(3 * n_weights, sizeof *fit.gradient);
    fit.order = malloc((lines->n + 1) * sizeof *fit.order);
    int status = fit.gradient == NULL || fit.order == NULL ? WEIR_E_MEMORY : 0;
    if (status == 0) {
        fit.first = fit.gradient + n_weights;
        fit.second = fit.first + n_weights;
        begin(&fit);
        for (size_t i = 0; i < lines->n; i++)
            fit.order[i] = (uint32_t)i;
        int64_t most = (int64_t)((lines->n + BATCH - 1) / BATCH) * PASSES, n_steps = 0;
        most = most < LEAST_STEPS ? LEAST_STEPS : most > MOST_STEPS ? MOST_STEPS : most;
        while (n_steps < most) {
            for (size_t i = lines->n; i > 1; i--) { /* Fisher and Yates. */
                size_t k = (size_t)(draw(&fit) % i);
                uint32_t swap = fit.order[i - 1];
                fit.order[i - 1] = fit.order[k];
                fit.order[k] = swap;
            }
            for (size_t at = 0; at < lines->n && n_steps < most; at += BATCH) {
                size_t batch = lines->n - at < BATCH ? lines->n - at : BATCH;
                memset(fit.gradient, 0, n_weights * sizeof *fit.gradient);
                for (size_t i = 0; i < batch; i++)
                    learn(&fit, fit.order[at + i]);
                step(&fit, ++n_steps, most, batch);
            }
        }
    }
    free(fit.gradient);
    free(fit.order);
    return status;
}
