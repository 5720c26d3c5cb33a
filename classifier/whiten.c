/* Whitening of kernel rows by the Cholesky factor of the landmarks' kernel (Williams and Seeger 2001). */
#include "whiten.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS_PER_CHUNK = 32 };
static const float JITTER = 1e-3F;

int whiten_init(struct whiten *whiten, const float *dense, const size_t *places, size_t n)
{
    float *l = malloc((n * n + 1) * sizeof *l);
    *whiten = (struct whiten){n, l};
    if (l == NULL)
        return WEIR_E_MEMORY;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++)
            l[i * n + j] = dense[places[i] * n + j] + (i == j ? JITTER : 0);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            double lanes[4] = {0}, sum;
            size_t k = 0;
            for (; k + 4 <= j; k += 4)
                for (size_t q = 0; q < 4; q++)
                    lanes[q] += (double)l[i * n + k + q] * (double)l[j * n + k + q];
            sum = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
            for (; k < j; k++)
                sum += (double)l[i * n + k] * (double)l[j * n + k];
            double rest = (double)l[i * n + j] - sum;
            l[i * n + j] = i == j ? (float)sqrt(rest > 1e-6 ? rest : 1e-6) : (float)(rest / (double)l[j * n + j]);
        }
    }
    return 0;
}

void whiten_release(struct whiten *whiten)
{
    free(whiten->factor);
    *whiten = (struct whiten){0};
}

struct job {
    const struct whiten *whiten;
    float *dense;
    size_t n_rows;
};

static void rows_chunk(void *arg, int chunk, int thread)
{
    (void)thread;
    struct job *job = arg;
    size_t n = job->whiten->n, end = ((size_t)chunk + 1) * ROWS_PER_CHUNK;
    for (size_t r = (size_t)chunk * ROWS_PER_CHUNK; r < end && r < job->n_rows; r++) {
        float *x = job->dense + r * n;
        for (size_t i = 0; i < n; i++) {
            const float *row = job->whiten->factor + i * n;
            float lanes[8] = {0}, sum = 0;
            size_t k = 0;
            for (; k + 8 <= i; k += 8)
                for (size_t q = 0; q < 8; q++)
                    lanes[q] += row[k + q] * x[k + q];
            for (; k < i; k++)
                sum += row[k] * x[k];
            for (size_t q = 0; q < 8; q++)
                sum += lanes[q];
            x[i] = (x[i] - sum) / row[i];
        }
    }
}

void whiten_rows(const struct whiten *whiten, float *dense, size_t n_rows, struct pool *pool)
{
    struct job job = {whiten, dense, n_rows};
    pool_run(pool, (int)((n_rows + ROWS_PER_CHUNK - 1) / ROWS_PER_CHUNK), rows_chunk, &job);
}

void whiten_undo(const struct whiten *whiten, float *weights)
{
    size_t n = whiten->n;
    for (size_t i = n; i-- > 0;) {
        weights[i] /= whiten->factor[i * n + i];
        for (size_t k = 0; k < i; k++)
            weights[k] -= whiten->factor[i * n + k] * weights[i];
    }
}
