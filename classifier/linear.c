/* Linear heads by Newton's method; each step's system (ΦᵀHΦ + λ) δ = g is solved by conjugate gradients (Hestenes and Stiefel
 * 1952), which needs only products with Φ. Squared loss is quadratic, so one Newton step is the whole fit. */
#include "linear.h"
#include "matrix.h"

#include <math.h>

enum { NEWTON_STEPS = 8, CG_STEPS = 80 };
static const double CG_RESIDUAL = 1e-4, NEWTON_TOLERANCE = 1e-3;

int linear_init(struct linear *linear, int n_dense)
{
    *linear = (struct linear){.n_dense = n_dense};
    linear->dense = calloc((size_t)n_dense + 1, sizeof *linear->dense);
    linear->buckets = calloc(N_BUCKETS, sizeof *linear->buckets);
    return linear->dense == NULL || linear->buckets == NULL ? WEIR_E_MEMORY : 0;
}

void linear_release(struct linear *linear)
{
    free(linear->dense);
    free(linear->buckets);
    *linear = (struct linear){0};
}

static float dot(const float *a, const float *b, int n)
{
    float lanes[8] = {0}, sum = 0;
    int i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++)
            lanes[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        sum += a[i] * b[i];
    for (int k = 0; k < 8; k++)
        sum += lanes[k];
    return sum;
}

float linear_value(const struct linear *linear, const float *dense, const struct grams *grams)
{
    float sum = linear->bias + dot(linear->dense, dense, linear->n_dense), sparse = 0;
    for (size_t i = 0; i < grams->n; i++)
        sparse += linear->buckets[grams->items[i].bucket] * grams->items[i].value;
    return sum + sparse;
}

static void clear(struct linear *v)
{
    memset(v->dense, 0, (size_t)v->n_dense * sizeof *v->dense);
    memset(v->buckets, 0, N_BUCKETS * sizeof *v->buckets);
    v->bias = 0;
}

static double product(const struct linear *a, const struct linear *b)
{
    double sum = (double)a->bias * (double)b->bias;
    for (int i = 0; i < a->n_dense; i++)
        sum += (double)a->dense[i] * (double)b->dense[i];
    for (int i = 0; i < N_BUCKETS; i++)
        sum += (double)a->buckets[i] * (double)b->buckets[i];
    return sum;
}

/* a = scale × a + factor × b */
static void combine(struct linear *a, float scale, float factor, const struct linear *b)
{
    for (int i = 0; i < a->n_dense; i++)
        a->dense[i] = scale * a->dense[i] + factor * b->dense[i];
    for (int i = 0; i < N_BUCKETS; i++)
        a->buckets[i] = scale * a->buckets[i] + factor * b->buckets[i];
    a->bias = scale * a->bias + factor * b->bias;
}

/* values[i] = v · row i, without the bias. */
static void apply_rows(const struct design *design, const struct linear *v, float *values)
{
    matrix_kernels().apply(design->dense, design->n, v->dense, (size_t)design->n_dense, values);
    for (size_t i = 0; i < design->n; i++) {
        const struct grams *grams = &design->grams[i];
        float sparse = 0;
        for (size_t k = 0; k < grams->n; k++)
            sparse += v->buckets[grams->items[k].bucket] * grams->items[k].value;
        values[i] += sparse;
    }
}

/* out = Σ factors[i] × row i. */
static void add_rows(struct linear *out, const struct design *design, const float *factors)
{
    size_t n = (size_t)design->n_dense, whole = design->n & ~(size_t)3;
    struct matrix_kernels kernels = matrix_kernels();
    memset(out->dense, 0, n * sizeof *out->dense);
    memset(out->buckets, 0, N_BUCKETS * sizeof *out->buckets);
    out->bias = 0;
    for (size_t i = 0; i < whole; i += 4) {
        const float *row = design->dense + i * n, *const rows[4] = {row, row + n, row + 2 * n, row + 3 * n};
        kernels.add4(out->dense, factors + i, rows, n);
    }
    for (size_t i = whole; i < design->n; i++)
        for (size_t k = 0; k < n; k++)
            out->dense[k] += factors[i] * design->dense[i * n + k];
    for (size_t i = 0; i < design->n; i++) {
        const struct grams *grams = &design->grams[i];
        out->bias += factors[i];
        if (factors[i] != 0)
            for (size_t k = 0; k < grams->n; k++)
                out->buckets[grams->items[k].bucket] += factors[i] * grams->items[k].value;
    }
}

/* out = (ΦᵀHΦ + λ) v, the bias without λ. scratch: n floats. */
static void apply_hessian(const struct design *design, const float *curvature, double penalty, const struct linear *v, struct linear *out,
                          float *scratch)
{
    apply_rows(design, v, scratch);
    for (size_t i = 0; i < design->n; i++)
        scratch[i] = curvature[i] * (scratch[i] + v->bias);
    add_rows(out, design, scratch);
    float bias = out->bias;
    combine(out, 1, (float)penalty, v);
    out->bias = bias;
}

/* step = (ΦᵀHΦ + λ)⁻¹ residual; residual is used up. */
static void solve(const struct design *design, const float *curvature, double penalty, struct linear *residual, struct linear *direction,
                  struct linear *image, struct linear *step, float *scratch)
{
    clear(step);
    clear(direction);
    combine(direction, 0, 1, residual);
    double square = product(residual, residual), goal = square * CG_RESIDUAL * CG_RESIDUAL;
    for (int i = 0; i < CG_STEPS && square > goal && square > 0; i++) {
        apply_hessian(design, curvature, penalty, direction, image, scratch);
        double bend = product(direction, image);
        if (!(bend > 0))
            break;
        float length = (float)(square / bend);
        combine(step, 1, length, direction);
        combine(residual, 1, -length, image);
        double next = product(residual, residual);
        combine(direction, (float)(next / square), 1, residual);
        square = next;
    }
}

int linear_fit(struct linear *out, const struct design *design, const float *targets, const float *weights, enum linear_loss loss,
               double penalty)
{
    struct linear residual = {0}, direction = {0}, image = {0}, step = {0};
    float *curvature = malloc(3 * (design->n + 1) * sizeof *curvature), *values = curvature + design->n + 1, *scratch = values + design->n + 1;
    int status = curvature == NULL ? WEIR_E_MEMORY : linear_init(out, design->n_dense);
    if (status < 0 || linear_init(&residual, design->n_dense) < 0 || linear_init(&direction, design->n_dense) < 0 ||
        linear_init(&image, design->n_dense) < 0 || linear_init(&step, design->n_dense) < 0) {
        status = WEIR_E_MEMORY;
        goto done;
    }
    for (int newton = 0; newton < (loss == LOSS_SQUARED ? 1 : NEWTON_STEPS); newton++) {
        apply_rows(design, out, values);
        for (size_t i = 0; i < design->n; i++) {
            float f = values[i] + out->bias, mean = loss == LOSS_SQUARED ? f : 1 / (1 + expf(-f));
            curvature[i] = weights[i] > 0 ? weights[i] * (loss == LOSS_SQUARED ? 1 : fmaxf(mean * (1 - mean), 1e-5F)) : 0;
            values[i] = weights[i] > 0 ? weights[i] * (targets[i] - mean) : 0;
        }
        add_rows(&residual, design, values);
        float bias = residual.bias;
        combine(&residual, 1, (float)-penalty, out);
        residual.bias = bias;
        solve(design, curvature, penalty, &residual, &direction, &image, &step, scratch);
        combine(out, 1, 1, &step);
        if (product(&step, &step) < NEWTON_TOLERANCE * NEWTON_TOLERANCE * (product(out, out) + 1e-12))
            break;
    }
done:
    free(curvature);
    linear_release(&residual);
    linear_release(&direction);
    linear_release(&image);
    linear_release(&step);
    return status;
}
