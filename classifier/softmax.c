/* Softmax regression by L-BFGS (Liu and Nocedal 1989) with a backtracking line search.
 *
 * Threads: logits and probabilities are cut by rows, the gradient by classes, and every number is summed by one thread in one
 * order, so the result does not depend on how many there are. */
#include "softmax.h"
#include "matrix.h"

#include <math.h>
#include <stdlib.h>

enum { MEMORY = 10, ROWS_PER_CHUNK = 256, CLASSES_PER_CHUNK = 4 };

int softmax_init(struct softmax *softmax, int n_classes, int n_inputs)
{
    *softmax = (struct softmax){n_classes, n_inputs, calloc((size_t)n_classes * ((size_t)n_inputs + 1), sizeof(float))};
    return softmax->weights == NULL ? WEIR_E_MEMORY : 0;
}

void softmax_release(struct softmax *softmax)
{
    free(softmax->weights);
    *softmax = (struct softmax){0};
}

static void logits(const struct matrix_kernels *kernels, const struct softmax *softmax, const float *weights, const float *x, float *out)
{
    size_t k = (size_t)softmax->n_classes, n = (size_t)softmax->n_inputs;
    kernels->apply(weights, k, x, n, out);
    for (size_t c = 0; c < k; c++)
        out[c] += weights[k * n + c];
}

void softmax_apply(const struct softmax *softmax, const float *x, float *out)
{
    struct matrix_kernels kernels = matrix_kernels();
    logits(&kernels, softmax, softmax->weights, x, out);
}

/* One evaluation: loss and gradient at `weights`. */
struct evaluation {
    const struct softmax *softmax;
    const struct softmax_rows *rows;
    struct matrix_kernels kernels;
    const float *weights;
    float *errors;   /* n × n_classes: probabilities minus targets. */
    double *losses;  /* Per chunk of rows. */
    float *gradient;
};

static void rows_chunk(void *arg, int chunk, int thread)
{
    (void)thread;
    struct evaluation *e = arg;
    size_t k = (size_t)e->softmax->n_classes, end = ((size_t)chunk + 1) * ROWS_PER_CHUNK;
    double loss = 0;
    for (size_t i = (size_t)chunk * ROWS_PER_CHUNK; i < end && i < e->rows->n; i++) {
        float *p = e->errors + i * k, most = -INFINITY;
        double sum = 0;
        if (e->rows->classes[i] < 0) {
            memset(p, 0, k * sizeof *p);
            continue;
        }
        logits(&e->kernels, e->softmax, e->weights, e->rows->x[i], p);
        for (size_t c = 0; c < k; c++)
            most = p[c] > most ? p[c] : most;
        float own = p[e->rows->classes[i]] - most;
        for (size_t c = 0; c < k; c++) {
            p[c] = expf(p[c] - most);
            sum += (double)p[c];
        }
        float weight = e->rows->weights != NULL ? e->rows->weights[e->rows->classes[i]] : 1;
        for (size_t c = 0; c < k; c++)
            p[c] *= weight / (float)sum;
        p[e->rows->classes[i]] -= weight;
        loss += (double)weight * (log(sum) - (double)own);
    }
    e->losses[chunk] = loss;
}

static void classes_chunk(void *arg, int chunk, int thread)
{
    (void)thread;
    struct evaluation *e = arg;
    size_t k = (size_t)e->softmax->n_classes, n = (size_t)e->softmax->n_inputs, first = (size_t)chunk * CLASSES_PER_CHUNK;
    size_t end = first + CLASSES_PER_CHUNK < k ? first + CLASSES_PER_CHUNK : k;
    for (size_t c = first; c < end; c++) {
        memcpy(e->gradient + c * n, e->weights + c * n, n * sizeof(float)); /* Of ½ |w|². */
        e->gradient[k * n + c] = 0;
    }
    for (size_t i = 0; i < e->rows->n; i += 4) {
        const float *x[4];
        for (size_t j = 0; j < 4; j++)
            x[j] = e->rows->x[i + j < e->rows->n ? i + j : i];
        for (size_t c = first; c < end; c++) {
            float a[4];
            for (size_t j = 0; j < 4; j++)
                a[j] = i + j < e->rows->n ? e->errors[(i + j) * k + c] : 0;
            e->kernels.add4(e->gradient + c * n, a, x, n);
            e->gradient[k * n + c] += (a[0] + a[1]) + (a[2] + a[3]);
        }
    }
}

static double product(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static double evaluate(struct evaluation *e, const float *weights, float *gradient, struct pool *pool)
{
    int n_chunks = (int)((e->rows->n + ROWS_PER_CHUNK - 1) / ROWS_PER_CHUNK);
    size_t n_weights = (size_t)e->softmax->n_classes * (size_t)e->softmax->n_inputs;
    double loss = 0;
    e->weights = weights;
    e->gradient = gradient;
    pool_run(pool, n_chunks, rows_chunk, e);
    pool_run(pool, (e->softmax->n_classes + CLASSES_PER_CHUNK - 1) / CLASSES_PER_CHUNK, classes_chunk, e);
    for (int i = 0; i < n_chunks; i++)
        loss += e->losses[i];
    return loss + 0.5 * product(weights, weights, n_weights);
}

/* The last steps and changes of gradient, oldest overwritten. */
struct history {
    float *steps[MEMORY];
    float *changes[MEMORY];
    double scale[MEMORY];
    int n;
};

/* direction = -H gradient by the two loops. */
static void choose_direction(const struct history *history, const float *gradient, float *direction, size_t n)
{
    double alpha[MEMORY];
    int kept = history->n < MEMORY ? history->n : MEMORY;
    for (size_t i = 0; i < n; i++)
        direction[i] = -gradient[i];
    for (int j = history->n - 1; j >= history->n - kept; j--) {
        int m = j % MEMORY;
        alpha[m] = history->scale[m] * product(history->steps[m], direction, n);
        for (size_t i = 0; i < n; i++)
            direction[i] -= (float)alpha[m] * history->changes[m][i];
    }
    if (kept > 0) {
        int m = (history->n - 1) % MEMORY;
        float factor = (float)(1 / (history->scale[m] * product(history->changes[m], history->changes[m], n)));
        for (size_t i = 0; i < n; i++)
            direction[i] *= factor;
    }
    for (int j = history->n - kept; j < history->n; j++) {
        int m = j % MEMORY;
        float beta = (float)(alpha[m] - history->scale[m] * product(history->changes[m], direction, n));
        for (size_t i = 0; i < n; i++)
            direction[i] += beta * history->steps[m][i];
    }
}

static void remember(struct history *history, const float *from, const float *to, const float *old, const float *new_gradient, size_t n)
{
    int m = history->n % MEMORY;
    for (size_t i = 0; i < n; i++) {
        history->steps[m][i] = to[i] - from[i];
        history->changes[m][i] = new_gradient[i] - old[i];
    }
    double curvature = product(history->steps[m], history->changes[m], n);
    if (curvature > 1e-10) {
        history->scale[m] = 1 / curvature;
        history->n++;
    }
}

int softmax_fit(struct softmax *softmax, const struct softmax_rows *rows, int n_steps, struct pool *pool)
{
    size_t k = (size_t)softmax->n_classes, n = k * ((size_t)softmax->n_inputs + 1);
    struct history history = {0};
    struct evaluation e = {softmax, rows, matrix_kernels(), NULL, NULL, NULL, NULL};
    float *block = malloc((4 + 2 * MEMORY) * n * sizeof *block);
    e.errors = malloc((rows->n * k + 1) * sizeof *e.errors);
    e.losses = malloc((rows->n / ROWS_PER_CHUNK + 1) * sizeof *e.losses);
    int status = block == NULL || e.errors == NULL || e.losses == NULL ? WEIR_E_MEMORY : 0;
    if (status < 0)
        goto done;
    float *gradient = block, *next_gradient = block + n, *direction = block + 2 * n, *next = block + 3 * n, *at = softmax->weights;
    for (size_t m = 0; m < MEMORY; m++) {
        history.steps[m] = block + (4 + m) * n;
        history.changes[m] = block + (4 + MEMORY + m) * n;
    }
    double loss = evaluate(&e, at, gradient, pool);
    for (int step = 0; step < n_steps; step++) {
        choose_direction(&history, gradient, direction, n);
        double slope = product(direction, gradient, n), length = step == 0 ? 1 / sqrt(1e-12 + product(gradient, gradient, n)) : 1, trial = 0;
        int tries = 0;
        for (; tries < 20; tries++, length /= 2) {
            for (size_t i = 0; i < n; i++)
                next[i] = at[i] + (float)length * direction[i];
            trial = evaluate(&e, next, next_gradient, pool);
            if (trial <= loss + 1e-4 * length * slope)
                break;
        }
        if (tries == 20)
            break;
        remember(&history, at, next, gradient, next_gradient, n);
        memcpy(at, next, n * sizeof *at);
        memcpy(gradient, next_gradient, n * sizeof *gradient);
        if (loss - trial < 1e-5 * (loss + 1))
            break;
        loss = trial;
    }
done:
    free(block);
    free(e.errors);
    free(e.losses);
    return status;
}
