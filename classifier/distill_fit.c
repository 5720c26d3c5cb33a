/* Fit of a static table by conjugate gradients (Hestenes and Stiefel 1952) with the diagonal as preconditioner. The numbers of a
 * vector are independent of each other, so slices of FIT_SLICE of them are jobs of their own.
 *
 * Threads: a slice is one thread's; the result does not depend on how many there are. */
#include "distill_fit.h"

#include <stdlib.h>

struct fit {
    const struct corpus *corpus;
    const float *targets, *weights, *prior;
    size_t n_tokens, n_dims;
    float penalty;
    int n_steps;
    float *rows, *diagonal;
    bool failed; /* Set by any thread, read after the job. */
};

typedef float lanes[FIT_SLICE];

/* out += Aᵀ weight (A x - target), A the means over texts; x NULL: zero, target NULL: zero. */
static void add_normal(const struct fit *fit, const lanes *x, const float *targets, lanes *out)
{
    const struct corpus *corpus = fit->corpus;
    for (size_t i = 0; i < corpus->n; i++) {
        size_t from = corpus->starts[i], to = corpus->starts[i + 1];
        if (to == from || fit->weights[i] == 0)
            continue;
        lanes sum = {0};
        float share = 1 / (float)(to - from), scale = share * fit->weights[i];
        for (size_t t = from; t < to && x != NULL; t++)
            for (int k = 0; k < FIT_SLICE; k++)
                sum[k] += x[corpus->ids[t]][k];
        for (int k = 0; k < FIT_SLICE; k++)
            sum[k] = scale * (sum[k] * share - (targets != NULL ? targets[i * fit->n_dims + (size_t)k] : 0));
        for (size_t t = from; t < to; t++)
            for (int k = 0; k < FIT_SLICE; k++)
                out[corpus->ids[t]][k] += sum[k];
    }
}

static void products(const lanes *a, const lanes *b, size_t n, double out[FIT_SLICE])
{
    for (int k = 0; k < FIT_SLICE; k++)
        out[k] = 0;
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < FIT_SLICE; k++)
            out[k] += (double)a[i][k] * (double)b[i][k];
}

static void slice_chunk(void *arg, int chunk, int thread)
{
    (void)thread;
    struct fit *fit = arg;
    size_t n = fit->n_tokens, first = (size_t)chunk * FIT_SLICE;
    lanes *x = malloc(5 * n * sizeof *x), *r = x + n, *z = r + n, *p = z + n, *q = p + n;
    if (x == NULL) {
        __atomic_store_n(&fit->failed, true, __ATOMIC_RELAXED);
        return;
    }
    double rz[FIT_SLICE], pq[FIT_SLICE], next[FIT_SLICE];
    memset(r, 0, n * sizeof *r);
    for (size_t i = 0; i < n; i++)
        memcpy(x[i], fit->rows + i * fit->n_dims + first, sizeof *x);
    add_normal(fit, x, fit->targets + first, r);
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < FIT_SLICE; k++) {
            r[i][k] = -r[i][k] - fit->penalty * (x[i][k] - fit->prior[i * fit->n_dims + first + (size_t)k]);
            p[i][k] = z[i][k] = r[i][k] / fit->diagonal[i];
        }
    products(r, z, n, rz);
    for (int step = 0; step < fit->n_steps; step++) {
        float along[FIT_SLICE], turn[FIT_SLICE];
        memset(q, 0, n * sizeof *q);
        add_normal(fit, p, NULL, q);
        for (size_t i = 0; i < n; i++)
            for (int k = 0; k < FIT_SLICE; k++)
                q[i][k] += fit->penalty * p[i][k];
        products(p, q, n, pq);
        for (int k = 0; k < FIT_SLICE; k++)
            along[k] = pq[k] > 0 ? (float)(rz[k] / pq[k]) : 0;
        for (size_t i = 0; i < n; i++)
            for (int k = 0; k < FIT_SLICE; k++) {
                x[i][k] += along[k] * p[i][k];
                r[i][k] -= along[k] * q[i][k];
                z[i][k] = r[i][k] / fit->diagonal[i];
            }
        products(r, z, n, next);
        for (int k = 0; k < FIT_SLICE; k++) {
            turn[k] = rz[k] > 0 ? (float)(next[k] / rz[k]) : 0;
            rz[k] = next[k];
        }
        for (size_t i = 0; i < n; i++)
            for (int k = 0; k < FIT_SLICE; k++)
                p[i][k] = z[i][k] + turn[k] * p[i][k];
    }
    for (size_t i = 0; i < n; i++)
        memcpy(fit->rows + i * fit->n_dims + first, x[i], sizeof *x);
    free(x);
}

int distill_fit(const struct corpus *corpus, const float *targets, const float *weights, const float *prior, size_t n_tokens, size_t n_dims,
                float penalty, int n_steps, float *rows, struct pool *pool)
{
    struct fit fit = {corpus, targets, weights, prior, n_tokens, n_dims, penalty, n_steps, rows, malloc((n_tokens + 1) * sizeof *fit.diagonal), false};
    if (fit.diagonal == NULL)
        return WEIR_E_MEMORY;
    for (size_t i = 0; i < n_tokens; i++)
        fit.diagonal[i] = penalty;
    for (size_t i = 0; i < corpus->n; i++) {
        size_t n = corpus->starts[i + 1] - corpus->starts[i];
        for (size_t t = corpus->starts[i]; t < corpus->starts[i + 1]; t++)
            fit.diagonal[corpus->ids[t]] += weights[i] / (float)(n * n);
    }
    pool_run(pool, (int)(n_dims / FIT_SLICE), slice_chunk, &fit);
    free(fit.diagonal);
    return fit.failed ? WEIR_E_MEMORY : 0;
}
