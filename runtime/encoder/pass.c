/* Pass: what happens to each row by itself between the matrices, shared out among threads in runs of rows. */
#include "encoder/pass.h"

#include <assert.h>

enum { FLOATS_A_CHUNK = 8192 }; /* Below two of these waking a helper costs more than it saves. */

float *pass_take(struct pass *pass, int width)
{
    size_t n = (size_t)pass->n_rows * (size_t)width;
    assert(pass->n_used + n <= pass->n_floats);
    float *taken = pass->floats + pass->n_used;
    pass->n_used += n;
    return taken;
}

void pass_keep_inner(struct pass *pass, const float *x, int width)
{
    if (pass->inner == NULL)
        return;
    memcpy(pass->inner, x, (size_t)pass->n_rows * (size_t)width * sizeof *x);
    pass->inner_kept = true;
}

int32_t pass_position(const struct pass *pass, int row)
{
    int low = 0, high = pass->n_texts; /* starts[low] <= row < starts[high] */
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        if (pass->starts[middle] <= row)
            low = middle;
        else
            high = middle;
    }
    return row - pass->starts[low];
}

struct rows_job {
    pass_rows_fn *fn;
    void *arg;
    int n_rows;
    int rows_a_chunk;
};

static void rows_chunk(void *arg, int chunk, int thread)
{
    const struct rows_job *job = arg;
    int first = chunk * job->rows_a_chunk, end = first + job->rows_a_chunk;
    job->fn(job->arg, first, end < job->n_rows ? end : job->n_rows);
}

void pass_rows(struct pass *pass, int width, pass_rows_fn *fn, void *arg)
{
    int rows = FLOATS_A_CHUNK / (width < FLOATS_A_CHUNK ? width : FLOATS_A_CHUNK);
    struct rows_job job = {fn, arg, pass->n_rows, rows};
    pool_run(pass->pool, (pass->n_rows + rows - 1) / rows, rows_chunk, &job);
}

void norm_apply(const struct norm *norm, const float *x, float *y)
{
    if (!norm->plain) {
        layer_norm(x, norm->w, norm->b, norm->eps, norm->n, y);
        return;
    }
    for (int i = 0; i < norm->n; i++)
        y[i] = x[i] * norm->w[i] + (norm->b != NULL ? norm->b[i] : 0);
}

struct element_job {
    const struct norm *norm;
    enum activation activation;
    const float *other; /* Residual, gate or addend. */
    const float *in;
    float *x;
    int width;
};

static void norm_rows(void *arg, int first, int end)
{
    const struct element_job *job = arg;
    for (size_t row = (size_t)first; row < (size_t)end; row++) {
        size_t at = row * (size_t)job->norm->n;
        for (int i = 0; job->other != NULL && i < job->norm->n; i++)
            job->x[at + (size_t)i] += job->other[at + (size_t)i];
        norm_apply(job->norm, job->in + at, job->x + at);
    }
}

void pass_norm(struct pass *pass, const struct norm *norm, const float *residual, float *x)
{
    struct element_job job = {.norm = norm, .other = residual, .in = x, .x = x};
    pass_rows(pass, norm->n, norm_rows, &job);
}

void pass_norm_to(struct pass *pass, const struct norm *norm, const float *x, float *y)
{
    struct element_job job = {.norm = norm, .in = x, .x = y};
    pass_rows(pass, norm->n, norm_rows, &job);
}

static void activate_rows(void *arg, int first, int end)
{
    const struct element_job *job = arg;
    size_t at = (size_t)first * (size_t)job->width;
    int64_t n = (int64_t)(end - first) * job->width;
    if (job->other != NULL)
        activate_gate(job->activation, job->x + at, job->other + at, n);
    else
        activate(job->activation, job->x + at, n);
}

void pass_activate(struct pass *pass, enum activation activation, float *x, int width)
{
    struct element_job job = {.activation = activation, .x = x, .width = width};
    pass_rows(pass, width, activate_rows, &job);
}

void pass_activate_gate(struct pass *pass, enum activation activation, float *x, const float *y, int width)
{
    struct element_job job = {.activation = activation, .other = y, .x = x, .width = width};
    pass_rows(pass, width, activate_rows, &job);
}

static void add_rows(void *arg, int first, int end)
{
    const struct element_job *job = arg;
    for (size_t i = (size_t)first * (size_t)job->width; i < (size_t)end * (size_t)job->width; i++)
        job->x[i] += job->other[i];
}

void pass_add(struct pass *pass, const float *y, float *x, int width)
{
    struct element_job job = {.other = y, .x = x, .width = width};
    pass_rows(pass, width, add_rows, &job);
}
