/* Causal attention over pages: the rows of a batch cut into tiles, tiles and, when there are few, spans of positions
 * spread over threads. attention_forms.h says why the answer depends on none of it. */
#include "kernels/attention_forms.h"
#include "kernels/cpu.h"
#include "kernels/scratch.h"

#include <assert.h>
#include <math.h>

enum { INLINE_WORK = 1 << 16 }; /* Multiplications below which waking threads costs more than they bring. */

struct attention_job {
    const struct attention *attention;
    attention_span_fn *span;
    const struct kv_shape *shape;
    struct kv *const *kv;
    const int32_t *positions;
    const float *q;
    float *out;
    int layer;
    int group;           /* Query heads of a KV head. */
    int heads_per_tile;
    int n_parts;         /* Tiles that a KV head's query heads take. */
    const int *tile_rows; /* First row of each tile of rows, and n_rows. */
    int n_spans;         /* Of split work; 0: a chunk does all spans of its tile. */
    float *partial;      /* Split work: the states of all spans. */
};

static void state_at(struct attention_state *state, float *memory)
{
    state->max = memory;
    state->sum = memory + ATTENTION_QUERIES;
    state->values = memory + 2 * ATTENTION_QUERIES;
}

static size_t state_floats(int dim)
{
    return 2 * ATTENTION_QUERIES + (size_t)ATTENTION_QUERIES * (size_t)dim;
}

/* Tile `index` (of rows, KV head and part of its query heads), and where each query's answer goes. */
static void tile_at(const struct attention_job *job, int index, struct attention_tile *tile, float **out)
{
    int part = index % job->n_parts, kv_head = index / job->n_parts % job->shape->n_kv_heads;
    int row_tile = index / job->n_parts / job->shape->n_kv_heads;
    int first_head = part * job->heads_per_tile;
    int n_heads = job->group - first_head < job->heads_per_tile ? job->group - first_head : job->heads_per_tile;
    tile->attention = job->attention;
    tile->kv = job->kv[job->tile_rows[row_tile]];
    tile->layer = job->layer;
    tile->kv_head = kv_head;
    tile->n_queries = 0;
    for (int row = job->tile_rows[row_tile]; row < job->tile_rows[row_tile + 1]; row++)
        for (int i = 0; i < n_heads; i++) {
            size_t head = (size_t)row * (size_t)job->attention->n_heads + (size_t)(kv_head * job->group + first_head + i);
            int at = tile->n_queries++, last = job->positions[row], window = job->attention->window;
            tile->q[at] = job->q + head * (size_t)job->shape->head_dim_k;
            tile->last[at] = last;
            tile->first[at] = window > 0 && last >= window ? last - window + 1 : 0;
            out[at] = job->out + head * (size_t)job->shape->head_dim_v;
        }
}

static void tile_spans(const struct attention_tile *tile, int *first, int *end)
{
    *first = tile->first[0] / ATTENTION_SPAN;
    *end = tile->last[tile->n_queries - 1] / ATTENTION_SPAN + 1;
}

void attention_merge(const struct attention_state *into, const struct attention_state *span, int n_queries, int dim)
{
    for (int i = 0; i < n_queries; i++) {
        if (span->max[i] == -INFINITY)
            continue;
        float *values = into->values + (size_t)i * (size_t)dim;
        const float *more = span->values + (size_t)i * (size_t)dim;
        float max = into->max[i] > span->max[i] ? into->max[i] : span->max[i];
        float keep = into->max[i] == -INFINITY ? 0 : expf(into->max[i] - max), add = expf(span->max[i] - max);
        into->sum[i] = into->sum[i] * keep + span->sum[i] * add;
        for (int d = 0; d < dim; d++)
            values[d] = values[d] * keep + more[d] * add;
        into->max[i] = max;
    }
}

static void state_clear(struct attention_state *state, int n_queries, int dim)
{
    for (int i = 0; i < n_queries; i++) {
        state->max[i] = -INFINITY;
        state->sum[i] = 0;
    }
    memset(state->values, 0, (size_t)n_queries * (size_t)dim * sizeof *state->values);
}

static void state_finish(const struct attention_state *state, int n_queries, int dim, float *const *out)
{
    for (int i = 0; i < n_queries; i++) {
        float by = 1.0f / state->sum[i];
        for (int d = 0; d < dim; d++)
            out[i][d] = state->values[(size_t)i * (size_t)dim + (size_t)d] * by;
    }
}

static void whole_chunk(void *arg, int chunk, int thread)
{
    const struct attention_job *job = arg;
    int dim = job->shape->head_dim_v, first, end;
    size_t n_state = state_floats(dim);
    float *memory = scratch_take(SCRATCH_ATTENTION, (2 * n_state + attention_page_floats(job->shape)) * sizeof *memory);
    struct attention_state state, span_state;
    struct attention_tile tile;
    float *out[ATTENTION_QUERIES];
    tile_at(job, chunk, &tile, out);
    state_at(&state, memory);
    state_at(&span_state, memory + n_state);
    tile_spans(&tile, &first, &end);
    state_clear(&state, tile.n_queries, dim);
    for (int span = first; span < end; span++) {
        job->span(&tile, span, &span_state, memory + 2 * n_state);
        attention_merge(&state, &span_state, tile.n_queries, dim);
    }
    state_finish(&state, tile.n_queries, dim, out);
}

static void span_chunk(void *arg, int chunk, int thread)
{
    const struct attention_job *job = arg;
    int first, end, span = chunk % job->n_spans;
    struct attention_state state;
    struct attention_tile tile;
    float *out[ATTENTION_QUERIES];
    tile_at(job, chunk / job->n_spans, &tile, out);
    tile_spans(&tile, &first, &end);
    if (span < first || span >= end)
        return;
    float *page = scratch_take(SCRATCH_ATTENTION, attention_page_floats(job->shape) * sizeof *page);
    state_at(&state, job->partial + (size_t)chunk * state_floats(job->shape->head_dim_v));
    job->span(&tile, span, &state, page);
}

static void merge_tile(const struct attention_job *job, int index, float *memory)
{
    int dim = job->shape->head_dim_v, first, end;
    struct attention_state state, span_state;
    struct attention_tile tile;
    float *out[ATTENTION_QUERIES];
    tile_at(job, index, &tile, out);
    tile_spans(&tile, &first, &end);
    state_at(&state, memory);
    state_clear(&state, tile.n_queries, dim);
    for (int span = first; span < end; span++) {
        state_at(&span_state, job->partial + (size_t)(index * job->n_spans + span) * state_floats(dim));
        attention_merge(&state, &span_state, tile.n_queries, dim);
    }
    state_finish(&state, tile.n_queries, dim, out);
}

static attention_span_fn *span_for_cpu(void)
{
#if defined(__x86_64__)
    if (cpu_level() == CPU_VNNI)
        return attention_span_vnni;
    if (cpu_level() == CPU_AVX2)
        return attention_span_avx2;
#elif defined(__aarch64__)
    if (cpu_level() == CPU_NEON)
        return attention_span_neon;
#endif
    return attention_span_scalar;
}

void attention_apply(const struct attention *attention, struct pool *pool, struct kv *const *kv, const int32_t *positions,
                     int n_rows, int layer, const float *q, float *out)
{
    if (n_rows == 0)
        return;
    const struct kv_shape *shape = &kv[0]->store->shape;
    assert(attention->n_heads % shape->n_kv_heads == 0);
    struct attention_job job = {.attention = attention, .span = span_for_cpu(), .shape = shape, .kv = kv, .positions = positions,
                                .q = q, .out = out, .layer = layer, .group = attention->n_heads / shape->n_kv_heads};
    job.heads_per_tile = job.group < ATTENTION_QUERIES ? job.group : ATTENTION_QUERIES;
    job.n_parts = (job.group + job.heads_per_tile - 1) / job.heads_per_tile;
    int rows_per_tile = ATTENTION_QUERIES / job.heads_per_tile, n_row_tiles = 0, longest = 0;
    int *tile_rows = scratch_take(SCRATCH_TILES, ((size_t)n_rows + 1) * sizeof *tile_rows);
    int64_t work = 0;
    for (int row = 0; row < n_rows; row++) {
        if (row == 0 || kv[row] != kv[row - 1] || positions[row] <= positions[row - 1] || row - tile_rows[n_row_tiles - 1] == rows_per_tile)
            tile_rows[n_row_tiles++] = row;
        int seen = attention->window > 0 && positions[row] >= attention->window ? attention->window : positions[row] + 1;
        work += (int64_t)seen * attention->n_heads * (shape->head_dim_k + shape->head_dim_v);
        longest = positions[row] > longest ? positions[row] : longest;
    }
    tile_rows[n_row_tiles] = n_rows;
    job.tile_rows = tile_rows;
    int n_tiles = n_row_tiles * shape->n_kv_heads * job.n_parts;
    if (pool == NULL || work < INLINE_WORK) {
        pool_run(NULL, n_tiles, whole_chunk, &job);
        return;
    }
    if (n_tiles >= 4 * pool_threads(pool) || longest < ATTENTION_SPAN) {
        pool_run(pool, n_tiles, whole_chunk, &job);
        return;
    }
    job.n_spans = longest / ATTENTION_SPAN + 1;
    size_t n_state = state_floats(shape->head_dim_v);
    job.partial = scratch_take(SCRATCH_PARTIAL, ((size_t)n_tiles * (size_t)job.n_spans + 1) * n_state * sizeof(float));
    pool_run(pool, n_tiles * job.n_spans, span_chunk, &job);
    for (int i = 0; i < n_tiles; i++)
        merge_tile(&job, i, job.partial + (size_t)n_tiles * (size_t)job.n_spans * n_state);
}
