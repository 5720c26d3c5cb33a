/* See low_rank.h. With M = W diag(importance): an orthonormal basis Q of rank columns is turned towards the space in which M is largest by
 * multiplying with M and its transpose in turn; then b = Q and a = Qᵀ M diag(importance)⁻¹. Bases are kept as rows, so that products
 * with M are those of the forward pass (linear.h). */
#include "model/low_rank.h"
#include "kernels/linear.h"

#include <math.h>
#include <stdlib.h>

enum { TURNS = 4 };

static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u; /* SplitMix64 (Steele et al. 2014). */
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static double dot(const float *a, const float *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* Makes the rows orthonormal, twice, since once leaves what rounding left (Björck 1967); a row that is nothing but the others' becomes 0. */
static void orthonormalise(float *rows, int n_rows, int n)
{
    for (int i = 0; i < n_rows; i++) {
        float *row = rows + (size_t)i * (size_t)n;
        double length = sqrt(dot(row, row, n)), left = length;
        for (int pass = 0; pass < 2; pass++) {
            for (int k = 0; k < i; k++) {
                const float *other = rows + (size_t)k * (size_t)n;
                double along = dot(row, other, n);
                for (int j = 0; j < n; j++)
                    row[j] -= (float)(along * (double)other[j]);
            }
            left = sqrt(dot(row, row, n));
        }
        double by = left > 1e-6 * length ? 1 / left : 0;
        for (int j = 0; j < n; j++)
            row[j] = (float)(by * (double)row[j]);
    }
}

int low_rank(const float *w, int n_out, int n_in, int rank, const float *importance, struct pool *pool, float *b, float *a, double *lost,
             struct error *err)
{
    size_t n = (size_t)n_out * (size_t)n_in;
    float *weighed = malloc(n * sizeof *weighed), *turned = malloc(n * sizeof *turned);
    struct linear *m = NULL, *transposed = NULL;
    int status = weighed == NULL || turned == NULL ? error_set(err, WEIR_E_MEMORY, "factorise", "no memory for %d x %d weights", n_out, n_in) : 0;
    for (size_t i = 0; i < n && status == 0; i++) {
        weighed[i] = w[i] * importance[i % (size_t)n_in];
        turned[i % (size_t)n_in * (size_t)n_out + i / (size_t)n_in] = weighed[i];
    }
    if (status == 0)
        status = linear_new_f32(&m, weighed, n_out, n_in, NULL, PRECISION_EXACT, err);
    if (status == 0)
        status = linear_new_f32(&transposed, turned, n_in, n_out, NULL, PRECISION_EXACT, err);
    uint64_t state = 1;
    for (size_t i = 0; i < (size_t)rank * (size_t)n_in && status == 0; i++)
        a[i] = (float)((double)(next(&state) >> 11) * 0x1p-52 - 1);
    for (int turn = 0; turn < TURNS && status == 0; turn++) {
        linear_apply(m, pool, a, rank, b);
        orthonormalise(b, rank, n_out);
        linear_apply(transposed, pool, b, rank, a);
        if (turn + 1 < TURNS)
            orthonormalise(a, rank, n_in);
    }
    if (status == 0) {
        double all = 0, kept = 0;
        for (int i = 0; i < n_out; i++)
            all += dot(weighed + (size_t)i * (size_t)n_in, weighed + (size_t)i * (size_t)n_in, n_in);
        for (int r = 0; r < rank; r++)
            kept += dot(a + (size_t)r * (size_t)n_in, a + (size_t)r * (size_t)n_in, n_in);
        *lost = all > 0 && kept < all ? 1 - kept / all : 0;
        for (size_t i = 0; i < (size_t)rank * (size_t)n_in; i++)
            a[i] /= importance[i % (size_t)n_in];
    }
    linear_free(m);
    linear_free(transposed);
    free(weighed);
    free(turned);
    return status;
}
