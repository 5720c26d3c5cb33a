/* Agreement of short vectors with an encoder's, on texts that neither was fitted to. */
#include "agreement.h"
#include "matrix.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_PAIRS = 20000 };

void project(const float *directions, const float *x, size_t n_dims, size_t width, float *out)
{
    matrix_kernels().apply(directions, n_dims, x, width, out);
}

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

struct ranked {
    double value;
    size_t place;
};

static int compare_ranked(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* Values become ranks, equal ones their mean. */
static int rank(double *values, size_t n)
{
    struct ranked *ranked = malloc((n + 1) * sizeof *ranked);
    if (ranked == NULL)
        return WEIR_E_MEMORY;
    for (size_t i = 0; i < n; i++)
        ranked[i] = (struct ranked){values[i], i};
    qsort(ranked, n, sizeof *ranked, compare_ranked);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && ranked[end].value == ranked[i].value; end++)
            ;
        for (size_t k = i; k < end; k++)
            values[ranked[k].place] = (double)(i + end - 1) / 2;
    }
    free(ranked);
    return 0;
}

static double correlation(const double *a, const double *b, size_t n)
{
    double sa = 0, sb = 0, aa = 0, bb = 0, ab = 0;
    for (size_t i = 0; i < n; i++) {
        sa += a[i];
        sb += b[i];
    }
    sa /= (double)n;
    sb /= (double)n;
    for (size_t i = 0; i < n; i++) {
        aa += (a[i] - sa) * (a[i] - sa);
        bb += (b[i] - sb) * (b[i] - sb);
        ab += (a[i] - sa) * (b[i] - sb);
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : NAN;
}

int agreement_measure(const float *vectors, const float *embeddings, const float *directions, size_t n, size_t n_dims, size_t width, uint64_t seed,
                      struct agreement *out)
{
    double *ours = malloc(2 * MOST_PAIRS * sizeof *ours), *theirs = ours + MOST_PAIRS;
    float *projected = malloc(n_dims * sizeof *projected);
    size_t n_pairs = 0;
    int status = ours == NULL || projected == NULL ? WEIR_E_MEMORY : 0;
    *out = (struct agreement){.n = n, .cosine = NAN, .limit = NAN, .rank_correlation = NAN};
    if (status < 0 || n < 2)
        goto done;
    out->cosine = out->limit = 0;
    for (size_t i = 0; i < n; i++) {
        project(directions, embeddings + i * width, n_dims, width, projected);
        out->cosine += dot(vectors + i * n_dims, projected, n_dims) / (double)n;
        out->limit += sqrt(dot(projected, projected, n_dims)) / (double)n;
    }
    for (uint64_t state = seed + 1; n_pairs < MOST_PAIRS; n_pairs++) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        size_t a = (size_t)(state >> 33) % n;
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        size_t b = (a + 1 + (size_t)(state >> 33) % (n - 1)) % n;
        ours[n_pairs] = dot(vectors + a * n_dims, vectors + b * n_dims, n_dims);
        theirs[n_pairs] = dot(embeddings + a * width, embeddings + b * width, width);
    }
    status = rank(ours, n_pairs);
    if (status == 0)
        status = rank(theirs, n_pairs);
    if (status == 0)
        out->rank_correlation = correlation(ours, theirs, n_pairs);
done:
    free(ours);
    free(projected);
    return status;
}
