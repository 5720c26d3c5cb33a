/* Linear: the exact form. A row of W is brought to f32 in pieces on the stack and multiplied with every row of x, so that no
 * f32 copy of the weights exists unless the caller gave one.
 *
 * The sum of an output element: pieces of PIECE columns in order; inside a piece LANES running sums, added pairwise. */
#include "kernels/linear.h"

#include <assert.h>

enum { PIECE = 512, LANES = 16, ROWS_AT_ONCE = 64, OUT_CHUNK = 16 };

struct linear {
    int n_in;
    int n_out;
    enum tensor_type type;
    size_t row_bytes;
    const uint8_t *rows;
    float *owned;
    const float *bias;
    float scale;
};

static int linear_check(const struct tensor *w, int expert, struct error *err)
{
    if (!tensor_type_is_weight(w->type))
        return error_set(err, WEIR_E_UNSUPPORTED, w->name, "weights of type %s are not supported", tensor_type_name(w->type));
    if (w->n_dims > 3 || w->ne[3] != 1 || expert < 0 || expert >= w->ne[2])
        return error_set(err, WEIR_E_INVALID, w->name, "no matrix %d in a tensor of %d dimensions", expert, w->n_dims);
    if (w->ne[0] < 1 || w->ne[0] > 1 << 24 || w->ne[1] < 1 || w->ne[1] > 1 << 24)
        return error_set(err, WEIR_E_LIMIT, w->name, "a matrix of %lld x %lld is out of bounds", (long long)w->ne[1], (long long)w->ne[0]);
    size_t row = tensor_row_bytes(w->type, w->ne[0]);
    if (row == 0)
        return error_set(err, WEIR_E_INVALID, w->name, "rows of %lld are no multiple of %s's block", (long long)w->ne[0], tensor_type_name(w->type));
    if (w->data == NULL || w->n_bytes / row / (size_t)w->ne[1] < (size_t)expert + 1)
        return error_set(err, WEIR_E_INVALID, w->name, "has fewer bytes than its shape asks for");
    return 0;
}

int linear_new(struct linear **out, const struct tensor *w, int expert, const float *bias, float scale,
               enum precision precision, struct error *err)
{
    int status = linear_check(w, expert, err);
    if (status < 0)
        return status;
    struct linear *linear = calloc(1, sizeof *linear);
    if (linear == NULL)
        return error_set(err, WEIR_E_MEMORY, w->name, "no memory");
    linear->n_in = (int)w->ne[0];
    linear->n_out = (int)w->ne[1];
    linear->type = w->type;
    linear->row_bytes = tensor_row_bytes(w->type, w->ne[0]);
    linear->rows = (const uint8_t *)w->data + (size_t)expert * linear->row_bytes * (size_t)linear->n_out;
    linear->bias = bias;
    linear->scale = scale;
    *out = linear;
    return 0;
}

int linear_new_f32(struct linear **out, const float *w, int n_out, int n_in, const float *bias, enum precision precision,
                   struct error *err)
{
    struct linear *linear = calloc(1, sizeof *linear);
    float *owned = malloc((size_t)n_out * (size_t)n_in * sizeof *owned);
    if (linear == NULL || owned == NULL) {
        free(linear);
        free(owned);
        return error_set(err, WEIR_E_MEMORY, "linear", "no memory for %d x %d weights", n_out, n_in);
    }
    memcpy(owned, w, (size_t)n_out * (size_t)n_in * sizeof *owned);
    *linear = (struct linear){.n_in = n_in, .n_out = n_out, .type = TENSOR_F32, .row_bytes = (size_t)n_in * sizeof *w,
                              .rows = (const uint8_t *)owned, .owned = owned, .bias = bias, .scale = 1};
    *out = linear;
    return 0;
}

void linear_free(struct linear *linear)
{
    if (linear == NULL)
        return;
    free(linear->owned);
    free(linear);
}

int linear_n_in(const struct linear *linear)
{
    return linear->n_in;
}

int linear_n_out(const struct linear *linear)
{
    return linear->n_out;
}

size_t linear_bytes(const struct linear *linear)
{
    return linear->row_bytes * (size_t)linear->n_out;
}

static float dot(const float *a, const float *b, int n)
{
    float sums[LANES] = {0};
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int lane = 0; lane < LANES; lane++)
            sums[lane] += a[i + lane] * b[i + lane];
    for (int lane = 0; i < n; i++, lane++)
        sums[lane] += a[i] * b[i];
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int lane = 0; lane < width; lane++)
            sums[lane] += sums[lane + width];
    return sums[0];
}

struct exact_job {
    const struct linear *linear;
    const float *x;
    float *y;
    int n_rows;
};

/* One weight row against up to ROWS_AT_ONCE rows of x. */
static void exact_row(const struct exact_job *job, int out, int first, int n_rows)
{
    const struct linear *linear = job->linear;
    float sums[ROWS_AT_ONCE] = {0}, piece[PIECE];
    for (int from = 0; from < linear->n_in; from += PIECE) {
        int n = linear->n_in - from < PIECE ? linear->n_in - from : PIECE;
        const uint8_t *row = linear->rows + (size_t)out * linear->row_bytes;
        dequantize_row(linear->type, row + tensor_row_bytes(linear->type, from), piece, n);
        for (int r = 0; r < n_rows; r++)
            sums[r] += dot(piece, job->x + (size_t)(first + r) * (size_t)linear->n_in + from, n);
    }
    for (int r = 0; r < n_rows; r++)
        job->y[(size_t)(first + r) * (size_t)linear->n_out + out] =
            linear->scale * sums[r] + (linear->bias == NULL ? 0 : linear->bias[out]);
}

static void exact_chunk(void *arg, int chunk, int thread)
{
    const struct exact_job *job = arg;
    int end = (chunk + 1) * OUT_CHUNK < job->linear->n_out ? (chunk + 1) * OUT_CHUNK : job->linear->n_out;
    for (int first = 0; first < job->n_rows; first += ROWS_AT_ONCE) {
        int n_rows = job->n_rows - first < ROWS_AT_ONCE ? job->n_rows - first : ROWS_AT_ONCE;
        for (int out = chunk * OUT_CHUNK; out < end; out++)
            exact_row(job, out, first, n_rows);
    }
}

void linear_apply(const struct linear *linear, struct pool *pool, const float *x, int n_rows, float *y)
{
    struct exact_job job = {linear, x, y, n_rows};
    pool_run(pool, (linear->n_out + OUT_CHUNK - 1) / OUT_CHUNK, exact_chunk, &job);
}

void linear_apply_many(const struct linear *const *linears, int n_linears, struct pool *pool, const float *x, int n_rows, float *const *y)
{
    for (int i = 0; i < n_linears; i++)
        linear_apply(linears[i], pool, x, n_rows, y[i]);
}

void linear_row(const struct linear *linear, int64_t id, float *out)
{
    assert(id >= 0 && id < linear->n_out);
    dequantize_row(linear->type, linear->rows + (size_t)id * linear->row_bytes, out, linear->n_in);
}
