/* Linear: which form a matrix takes, and how its work is spread over threads.
 *
 * Exact precision, and float weights as a rule, keep the mapped rows and multiply in f32 (rows.h). Fast precision packs
 * integer formats (packed.h) and quantizes activations once for all matrices that read them (gemm.h). Packing happens in
 * parallel at the first use, or when linear_pack asks for it, so that opening a model costs nothing that its threads could
 * share; after it only linear_row still reads the file's rows.
 *
 * The pool's chunks are runs of output groups of all matrices of a call; a thread takes the next one when it is done. */
#include "kernels/linear.h"
#include "kernels/cpu.h"
#include "kernels/gemm.h"
#include "kernels/rows.h"
#include "kernels/scratch.h"

#include <assert.h>
#include <stdatomic.h>

enum { MAX_TOGETHER = 8, MAX_SIDE = 1 << 24 };

struct packing {
    struct packed packed;
    _Atomic bool is_ready;
    pthread_mutex_t lock; /* Held while packing. */
};

struct linear {
    struct rows rows;
    float *owned;            /* f32 rows of linear_new_f32 where the form keeps them. */
    struct packing *packing; /* NULL: the form of rows. */
    struct linear *inner;    /* What its input goes through first, NULL: nothing. */
};

static int tensor_check(const struct tensor *w, int expert, struct error *err)
{
    if (!tensor_type_is_weight(w->type))
        return error_set(err, WEIR_E_UNSUPPORTED, w->name, "weights of type %s are not supported", tensor_type_name(w->type));
    if (w->n_dims > 3 || w->ne[3] != 1 || expert < 0 || expert >= w->ne[2])
        return error_set(err, WEIR_E_INVALID, w->name, "no matrix %d in a tensor of %d dimensions", expert, w->n_dims);
    if (w->ne[0] < 1 || w->ne[0] > MAX_SIDE || w->ne[1] < 1 || w->ne[1] > MAX_SIDE)
        return error_set(err, WEIR_E_LIMIT, w->name, "a matrix of %lld x %lld is out of bounds", (long long)w->ne[1], (long long)w->ne[0]);
    size_t row = tensor_row_bytes(w->type, w->ne[0]);
    if (row == 0)
        return error_set(err, WEIR_E_INVALID, w->name, "rows of %lld are no multiple of %s's block", (long long)w->ne[0], tensor_type_name(w->type));
    if (w->data == NULL || w->n_bytes / row / (size_t)w->ne[1] < (size_t)expert + 1)
        return error_set(err, WEIR_E_INVALID, w->name, "has fewer bytes than its shape asks for");
    return 0;
}

static int packing_new(struct linear *linear)
{
    struct packing *packing = calloc(1, sizeof *packing);
    if (packing == NULL)
        return WEIR_E_MEMORY;
    if (packed_init(&packing->packed, linear->rows.type, linear->rows.n_out, linear->rows.n_in) < 0) {
        free(packing);
        return WEIR_E_MEMORY;
    }
    pthread_mutex_init(&packing->lock, NULL);
    linear->packing = packing;
    return 0;
}

static int linear_make(struct linear **out, const struct tensor *w, int expert, const float *bias, float scale, bool pack, struct error *err)
{
    int status = tensor_check(w, expert, err);
    if (status < 0)
        return status;
    struct linear *linear = calloc(1, sizeof *linear);
    if (linear == NULL)
        return error_set(err, WEIR_E_MEMORY, w->name, "no memory");
    size_t row_bytes = tensor_row_bytes(w->type, w->ne[0]);
    linear->rows = (struct rows){
        .type = w->type,
        .n_in = (int)w->ne[0],
        .n_out = (int)w->ne[1],
        .row_bytes = row_bytes,
        .data = (const uint8_t *)w->data + (size_t)expert * row_bytes * (size_t)w->ne[1],
        .bias = bias,
        .scale = scale,
    };
    if (pack && packing_new(linear) < 0) {
        free(linear);
        return error_set(err, WEIR_E_MEMORY, w->name, "no memory for packed weights");
    }
    *out = linear;
    return 0;
}

int linear_new(struct linear **out, const struct tensor *w, int expert, const float *bias, float scale,
               enum precision precision, struct error *err)
{
    return linear_make(out, w, expert, bias, scale, precision == PRECISION_FAST && packed_takes(w->type, false), err);
}

int linear_new_int8(struct linear **out, const struct tensor *w, int expert, const float *bias, float scale,
                    enum precision precision, struct error *err)
{
    return linear_make(out, w, expert, bias, scale, precision == PRECISION_FAST && packed_takes(w->type, true), err);
}

int linear_new_f32(struct linear **out, const float *w, int n_out, int n_in, const float *bias, enum precision precision,
                   struct error *err)
{
    struct tensor tensor = {.name = "linear", .type = TENSOR_F32, .n_dims = 2, .ne = {n_in, n_out, 1, 1}, .data = w,
                            .n_bytes = (size_t)n_in * (size_t)n_out * sizeof *w};
    int status = linear_make(out, &tensor, 0, bias, 1, false, err);
    if (status < 0)
        return status;
    struct linear *linear = *out;
    linear->owned = malloc(tensor.n_bytes);
    if (linear->owned == NULL) {
        linear_free(linear);
        return error_set(err, WEIR_E_MEMORY, "linear", "no memory for %d x %d weights", n_out, n_in);
    }
    memcpy(linear->owned, w, tensor.n_bytes);
    linear->rows.data = (const uint8_t *)linear->owned;
    return 0;
}

int linear_new_product(struct linear **out, const struct tensor *w, struct linear *inner_take, const float *bias, enum precision precision,
                       struct error *err)
{
    int status = linear_new(out, w, 0, bias, 1, precision, err);
    if (status == 0 && (*out)->rows.n_in != inner_take->rows.n_out) {
        status = error_set(err, WEIR_E_INVALID, w->name, "reads %d columns of a matrix that gives %d", (*out)->rows.n_in, inner_take->rows.n_out);
        linear_free(*out);
    }
    if (status < 0)
        linear_free(inner_take);
    else
        (*out)->inner = inner_take;
    return status;
}

void linear_free(struct linear *linear)
{
    if (linear == NULL)
        return;
    linear_free(linear->inner);
    if (linear->packing != NULL) {
        packed_release(&linear->packing->packed);
        pthread_mutex_destroy(&linear->packing->lock);
        free(linear->packing);
    }
    free(linear->owned);
    free(linear);
}

int linear_n_in(const struct linear *linear)
{
    return linear->inner != NULL ? linear->inner->rows.n_in : linear->rows.n_in;
}

int linear_n_out(const struct linear *linear)
{
    return linear->rows.n_out;
}

size_t linear_bytes(const struct linear *linear)
{
    size_t inner = linear->inner != NULL ? linear_bytes(linear->inner) : 0;
    if (linear->packing != NULL)
        return inner + linear->packing->packed.group_bytes * (size_t)linear->packing->packed.n_groups;
    return inner + linear->rows.row_bytes * (size_t)linear->rows.n_out;
}

static void read_row(const struct rows *rows, int64_t id, float *out)
{
    assert(id >= 0 && id < rows->n_out);
    dequantize_row(rows->type, rows->data + (size_t)id * rows->row_bytes, out, rows->n_in);
}

void linear_row(const struct linear *linear, int64_t id, float *out)
{
    const struct linear *inner = linear->inner;
    if (inner == NULL) {
        read_row(&linear->rows, id, out);
        return;
    }
    size_t n_in = (size_t)inner->rows.n_in, rank = (size_t)linear->rows.n_in;
    float *weights = scratch_take(SCRATCH_INNER, (rank + n_in) * sizeof *weights), *row = weights + rank;
    read_row(&linear->rows, id, weights);
    memset(out, 0, n_in * sizeof *out);
    for (size_t r = 0; r < rank; r++) {
        read_row(&inner->rows, (int64_t)r, row);
        for (size_t i = 0; i < n_in; i++)
            out[i] += weights[r] * row[i];
    }
}

enum { PACK_CHUNK = 4 };

static void pack_chunk(void *arg, int chunk, int thread)
{
    const struct linear *linear = arg;
    struct packed *packed = &linear->packing->packed;
    int end = (chunk + 1) * PACK_CHUNK < packed->n_groups ? (chunk + 1) * PACK_CHUNK : packed->n_groups;
    for (int group = chunk * PACK_CHUNK; group < end; group++)
        packed_fill(packed, group, linear->rows.type, linear->rows.data, linear->rows.row_bytes);
}

void linear_pack(const struct linear *linear, struct pool *pool)
{
    struct packing *packing = linear->packing;
    if (linear->inner != NULL)
        linear_pack(linear->inner, pool);
    if (packing == NULL || atomic_load_explicit(&packing->is_ready, memory_order_acquire))
        return;
    pthread_mutex_lock(&packing->lock);
    if (!atomic_load_explicit(&packing->is_ready, memory_order_relaxed)) {
        pool_run(pool, (packing->packed.n_groups + PACK_CHUNK - 1) / PACK_CHUNK, pack_chunk, (void *)(uintptr_t)linear);
        atomic_store_explicit(&packing->is_ready, true, memory_order_release);
        file_pages_forget(linear->rows.data, linear->rows.row_bytes * (size_t)linear->rows.n_out);
    }
    pthread_mutex_unlock(&packing->lock);
}

/* A call's work: a part per matrix, cut into chunks of `step` groups (or of four rows each). */
struct part {
    const struct linear *linear;
    struct gemm gemm;
    float *y;
    int n_units;
    int step;
    int first_chunk;
};

struct job {
    struct part parts[MAX_TOGETHER];
    int n_parts;
    const float *x;
    int n_rows;
    struct activations activations[2]; /* With scales of one block and of eight; n_blocks 0: not asked for. */
    gemm_groups_fn *gemm_groups;
    bool is_gated; /* A chunk is the same groups of both parts, and their activation into the first. */
    enum activation activation;
};

static gemm_groups_fn *gemm_for_cpu(void)
{
#if defined(__x86_64__)
    if (cpu_level() == CPU_VNNI)
        return gemm_groups_vnni;
    if (cpu_level() == CPU_AVX2)
        return gemm_groups_avx2;
#elif defined(__aarch64__)
    if (cpu_level() == CPU_NEON)
        return gemm_groups_neon;
#endif
    return gemm_groups_scalar;
}

static void quantize_chunk(void *arg, int chunk, int thread)
{
    const struct job *job = arg;
    int from = chunk * ACTIVATION_ROWS, end = from + ACTIVATION_ROWS < job->n_rows ? from + ACTIVATION_ROWS : job->n_rows;
    for (int i = 0; i < 2; i++)
        if (job->activations[i].n_blocks > 0)
            activations_fill(&job->activations[i], job->x, from, end);
}

static void multiply_units(const struct job *job, const struct part *part, int first, int end)
{
    if (part->linear->packing == NULL) {
        for (int unit = first; unit < end; unit++)
            rows_multiply(&part->linear->rows, unit * ROWS_AT_ONCE, job->x, job->n_rows, part->y);
        return;
    }
    void *scratch = scratch_take(SCRATCH_UNPACKED, gemm_scratch_bytes(part->gemm.w, job->n_rows));
    job->gemm_groups(&part->gemm, first, end, scratch);
}

static void apply_chunk(void *arg, int chunk, int thread)
{
    const struct job *job = arg;
    const struct part *part = &job->parts[0];
    while (part + 1 < job->parts + job->n_parts && chunk >= part[1].first_chunk)
        part++;
    int first = (chunk - part->first_chunk) * part->step;
    int end = first + part->step < part->n_units ? first + part->step : part->n_units;
    multiply_units(job, part, first, end);
}

/* The activation is made while the products are in the nearest cache. */
static void gated_chunk(void *arg, int chunk, int thread)
{
    const struct job *job = arg;
    const struct part *gate = &job->parts[0], *up = &job->parts[1];
    int first = chunk * gate->step, end = first + gate->step < gate->n_units ? first + gate->step : gate->n_units;
    multiply_units(job, gate, first, end);
    multiply_units(job, up, first, end);
    int unit = gate->linear->packing == NULL ? ROWS_AT_ONCE : PACKED_ROWS, n_out = gate->linear->rows.n_out;
    int from = first * unit, to = end * unit < n_out ? end * unit : n_out;
    for (int row = 0; row < job->n_rows; row++) {
        size_t at = (size_t)row * (size_t)n_out + (size_t)from;
        activate_gate(job->activation, gate->y + at, up->y + at, to - from);
    }
}

/* Which of a job's activations a matrix reads. */
static int activations_of(const struct linear *linear)
{
    return tensor_type_block(linear->rows.type) == 256;
}

/* Lays out the activations that are asked for and quantizes x into them. */
static void quantize_input(struct job *job, struct pool *pool, const bool asked[2])
{
    enum { SHARED_WORK = 12000 }; /* Elements: what other threads would take off costs as much as calling them. */
    int n_in = job->parts[0].linear->rows.n_in;
    size_t n_bytes = activations_bytes(job->n_rows, n_in);
    uint8_t *scratch = scratch_take(SCRATCH_ACTIVATIONS, n_bytes * (asked[0] && asked[1] ? 2 : 1));
    for (int i = 0; i < 2; i++)
        if (asked[i]) {
            activations_init(&job->activations[i], scratch, job->n_rows, n_in, i == 0 ? 1 : 8);
            scratch += n_bytes;
        }
    bool worth_it = (int64_t)job->n_rows * n_in >= SHARED_WORK;
    pool_run(worth_it ? pool : NULL, (job->n_rows + ACTIVATION_ROWS - 1) / ACTIVATION_ROWS, quantize_chunk, job);
}

/* Chunks small enough to balance, large enough that taking one costs little beside doing it. */
static int chunk_step(const struct linear *linear, int n_units, int n_rows, int n_threads)
{
    enum { LEAST_WORK = 1 << 19, MOST_LEAST = 4 };
    int64_t work = (int64_t)linear->rows.n_in * (linear->packing == NULL ? ROWS_AT_ONCE : PACKED_ROWS) * (n_rows + 4);
    int64_t least = LEAST_WORK / work + 1, step = n_units / (n_threads * 8);
    step = step < least ? least : step > MOST_LEAST * least ? MOST_LEAST * least : step;
    return (int)(step + step % 2); /* Groups go in pairs. */
}

/* activation: NULL, or what two matrices of one form are joined by. */
static void apply_together(const struct linear *const *linears, int n_linears, struct pool *pool, const float *x, int n_rows,
                           float *const *y, const enum activation *activation)
{
    struct job job = {.n_parts = n_linears, .x = x, .n_rows = n_rows, .gemm_groups = gemm_for_cpu(), .is_gated = activation != NULL};
    if (job.is_gated)
        job.activation = *activation;
    int n_chunks = 0, n_in = linears[0]->rows.n_in, n_threads = pool == NULL ? 1 : pool_threads(pool);
    bool asked[2] = {false, false};
    for (int i = 0; i < n_linears; i++) {
        const struct linear *linear = linears[i];
        assert(linear->rows.n_in == n_in);
        linear_pack(linear, pool);
        struct part *part = &job.parts[i];
        *part = (struct part){.linear = linear, .y = y[i], .first_chunk = n_chunks};
        if (linear->packing != NULL) {
            int which = activations_of(linear);
            asked[which] = true;
            part->n_units = linear->packing->packed.n_groups;
            part->gemm = (struct gemm){&linear->packing->packed, &job.activations[which], linear->rows.bias, linear->rows.scale, y[i]};
        } else {
            part->n_units = (linear->rows.n_out + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
        }
        part->step = chunk_step(linear, part->n_units, n_rows, n_threads);
        n_chunks += (part->n_units + part->step - 1) / part->step;
    }
    if (asked[0] || asked[1])
        quantize_input(&job, pool, asked);
    if (job.is_gated)
        pool_run(pool, job.parts[1].first_chunk, gated_chunk, &job);
    else
        pool_run(pool, n_chunks, apply_chunk, &job);
}

/* The inner product into memory of the calling thread, then the outer one. */
static void apply_product(const struct linear *linear, struct pool *pool, const float *x, int n_rows, float *y)
{
    const struct linear *inner = linear->inner;
    float *between = scratch_take(SCRATCH_INNER, (size_t)n_rows * (size_t)inner->rows.n_out * sizeof *between);
    apply_together(&inner, 1, pool, x, n_rows, &between, NULL);
    apply_together(&linear, 1, pool, between, n_rows, &y, NULL);
}

void linear_apply_many(const struct linear *const *linears, int n_linears, struct pool *pool, const float *x, int n_rows, float *const *y)
{
    const struct linear *whole[MAX_TOGETHER];
    float *to[MAX_TOGETHER];
    int n = 0;
    for (int i = 0; i < n_linears && n_rows > 0; i++) {
        if (linears[i]->inner != NULL) {
            apply_product(linears[i], pool, x, n_rows, y[i]);
        } else {
            whole[n] = linears[i];
            to[n++] = y[i];
        }
        if (n == MAX_TOGETHER || (n > 0 && i == n_linears - 1)) {
            apply_together(whole, n, pool, x, n_rows, to, NULL);
            n = 0;
        }
    }
}

void linear_apply_gated(const struct linear *gate, const struct linear *up, enum activation activation, struct pool *pool, const float *x,
                        int n_rows, float *y_gate, float *y_up)
{
    assert(gate->rows.n_out == up->rows.n_out);
    const struct linear *const both[] = {gate, up};
    float *const y[] = {y_gate, y_up};
    bool whole = gate->inner == NULL && up->inner == NULL, same_form = whole && (gate->packing == NULL) == (up->packing == NULL);
    if (!whole)
        linear_apply_many(both, 2, pool, x, n_rows, y);
    else if (n_rows > 0)
        apply_together(both, 2, pool, x, n_rows, y, same_form ? &activation : NULL);
    if (!same_form)
        activate_gate(activation, y_gate, y_up, (int64_t)n_rows * gate->rows.n_out);
}

void linear_apply(const struct linear *linear, struct pool *pool, const float *x, int n_rows, float *y)
{
    linear_apply_many(&linear, 1, pool, x, n_rows, &y);
}
