/* Principal directions: orthogonal iteration (Bauer 1957) on the second moment. The vectors are not centred: what is sought
 * keeps their cosines.
 *
 * Threads: each number is computed by one thread in one order, so the result does not depend on how many there are. */
#include "principal.h"

#include <math.h>
#include <stdlib.h>

enum { N_STEPS = 60, ROWS_PER_CHUNK = 16 };

struct moment {
    const float *vectors, *weights;
    size_t n, width, n_dims;
    float *square;     /* width × width */
    float *directions; /* n_dims × width */
    float *products;
};

static void moment_chunk(void *arg, int chunk, int thread)
{
    (void)thread;
    struct moment *m = arg;
    size_t first = (size_t)chunk * ROWS_PER_CHUNK, last = first + ROWS_PER_CHUNK < m->width ? first + ROWS_PER_CHUNK : m->width;
    for (size_t i = 0; i < m->n; i++) {
        const float *x = m->vectors + i * m->width;
        float weight = m->weights != NULL ? m->weights[i] : 1;
        for (size_t r = first; r < last; r++) {
            float *row = m->square + r * m->width, a = weight * x[r];
            for (size_t k = 0; k < m->width; k++)
                row[k] += a * x[k];
        }
    }
}

static void product_chunk(void *arg, int chunk, int thread)
{
    (void)thread;
    struct moment *m = arg;
    const float *x = m->directions + (size_t)chunk * m->width;
    float *out = m->products + (size_t)chunk * m->width;
    memset(out, 0, m->width * sizeof *out);
    for (size_t r = 0; r < m->width; r++)
        for (size_t k = 0; k < m->width; k++)
            out[k] += x[r] * m->square[r * m->width + k];
}

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* Gram and Schmidt, twice over for the sake of rounding. A direction that vanishes becomes an axis. */
static void orthonormalise(float *rows, size_t n_rows, size_t width)
{
    for (size_t i = 0; i < n_rows; i++) {
        float *row = rows + i * width;
        for (size_t axis = i, pass = 0; pass < 2; pass++) {
            for (size_t j = 0; j < i; j++) {
                float along = (float)dot(row, rows + j * width, width);
                for (size_t k = 0; k < width; k++)
                    row[k] -= along * rows[j * width + k];
            }
            double length = sqrt(dot(row, row, width));
            if (length < 1e-12 && axis < width) {
                memset(row, 0, width * sizeof *row);
                row[axis++] = 1;
                pass = (size_t)-1;
                continue;
            }
            for (size_t k = 0; k < width; k++)
                row[k] = (float)((double)row[k] / length);
        }
    }
}

int principal_fit(const float *vectors, const float *weights, size_t n, size_t width, size_t n_dims, float *out, struct pool *pool)
{
    struct moment m = {vectors, weights, n, width, n_dims, calloc(width * width, sizeof(float)), out, malloc(n_dims * width * sizeof(float))};
    if (m.square == NULL || m.products == NULL) {
        free(m.square);
        free(m.products);
        return WEIR_E_MEMORY;
    }
    pool_run(pool, (int)((width + ROWS_PER_CHUNK - 1) / ROWS_PER_CHUNK), moment_chunk, &m);
    uint64_t state = 0x9e3779b97f4a7c15ULL;
    for (size_t i = 0; i < n_dims * width; i++) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        out[i] = (float)(state >> 40) / (float)(1 << 24) - 0.5F;
    }
    orthonormalise(out, n_dims, width);
    for (int step = 0; step < N_STEPS; step++) {
        pool_run(pool, (int)n_dims, product_chunk, &m);
        memcpy(out, m.products, n_dims * width * sizeof *out);
        orthonormalise(out, n_dims, width);
    }
    free(m.square);
    free(m.products);
    return 0;
}
