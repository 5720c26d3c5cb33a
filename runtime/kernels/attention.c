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
    attention_merge_fn *merge;
    attention_finish_fn *finish;
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
    int n_tiles;
    bool is_uneven; /* One sequence, and several tiles of rows. */
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

/* The page where a tile that begins with this row starts to read. */
static int first_page(const struct attention_job *job, int row)
{
    int last = job->positions[row], window = job->attention->window;
    return window > 0 && last >= window ? (last - window + 1) / KV_PAGE : 0;
}

/* Tile `index` (of rows, KV head and part of its query heads), and where each query's answer goes. next: the tile after it. */
static void tile_at(const struct attention_job *job, int index, int next, struct attention_tile *tile, float **out)
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
    next = next < job->n_tiles ? next : index;
    int next_row = job->tile_rows[next / job->n_parts / job->shape->n_kv_heads];
    tile->next = job->kv[next_row];
    tile->next_head = next / job->n_parts % job->shape->n_kv_heads;
    tile->next_page = first_page(job, next_row);
}

/* Which tile a chunk is. The rows of one prompt cost more the later they are: the first tile, the last, the second, the last but
 * one and so on, so that any run of chunks costs about the same. */
static int tile_of(const struct attention_job *job, int chunk)
{
    return !job->is_uneven ? chunk : chunk % 2 == 0 ? chunk / 2 : job->n_tiles - 1 - chunk / 2;
}

static void tile_spans(const struct attention_tile *tile, int *first, int *end)
{
    *first = tile->first[0] / ATTENTION_SPAN;
    *end = tile->last[tile->n_queries - 1] / ATTENTION_SPAN + 1;
}

static void whole_chunk(void *arg, int chunk, int thread)
{
    const struct attention_job *job = arg;
    int dim = job->shape->head_dim_v, first, end;
    size_t n_state = state_floats(dim);
    float *memory = scratch_take(SCRATCH_ATTENTION, (2 * n_state + attention_room_floats(job->shape)) * sizeof *memory), *room = memory + 2 * n_state;
    struct attention_state state, span_state;
    struct attention_tile tile;
    float *out[ATTENTION_QUERIES];
    tile_at(job, tile_of(job, chunk), tile_of(job, chunk + 1), &tile, out);
    state_at(&state, memory);
    state_at(&span_state, memory + n_state);
    tile_spans(&tile, &first, &end);
    job->span(&tile, first, &state, room);
    for (int span = first + 1; span < end; span++) {
        job->span(&tile, span, &span_state, room);
        job->merge(&state, &span_state, tile.n_queries, dim);
    }
    job->finish(&state, tile.n_queries, dim, out);
}

static void span_chunk(void *arg, int chunk, int thread)
{
    const struct attention_job *job = arg;
    int first, end, span = chunk % job->n_spans;
    struct attention_state state;
    struct attention_tile tile;
    float *out[ATTENTION_QUERIES];
    tile_at(job, chunk / job->n_spans, chunk / job->n_spans + 1, &tile, out);
    tile_spans(&tile, &first, &end);
    if (span < first || span >= end)
        return;
    state_at(&state, job->partial + (size_t)chunk * state_floats(job->shape->head_dim_v));
    job->span(&tile, span, &state, scratch_take(SCRATCH_ATTENTION, attention_room_floats(job->shape) * sizeof(float)));
}

/* The spans of tile `index` into its first one, in order. */
static void merge_tile(const struct attention_job *job, int index)
{
    int dim = job->shape->head_dim_v, first, end;
    struct attention_state state, span_state;
    struct attention_tile tile;
    float *out[ATTENTION_QUERIES];
    tile_at(job, index, index, &tile, out);
    tile_spans(&tile, &first, &end);
    float *partial = job->partial + (size_t)(index * job->n_spans) * state_floats(dim);
    state_at(&state, partial + (size_t)first * state_floats(dim));
    for (int span = first + 1; span < end; span++) {
        state_at(&span_state, partial + (size_t)span * state_floats(dim));
        job->merge(&state, &span_state, tile.n_queries, dim);
    }
    job->finish(&state, tile.n_queries, dim, out);
}

static void choose_form(struct attention_job *job)
{
    job->span = attention_span_scalar;
    job->merge = attention_merge_scalar;
    job->finish = attention_finish_scalar;
#if defined(__x86_64__)
    if (cpu_level() == CPU_VNNI) {
        job->span = attention_span_vnni;
        job->merge = attention_merge_vnni;
        job->finish = attention_finish_vnni;
    } else if (cpu_level() == CPU_AVX2) {
        job->span = attention_span_avx2;
        job->merge = attention_merge_avx2;
        job->finish = attention_finish_avx2;
    }
#elif defined(__aarch64__)
    if (cpu_level() == CPU_NEON) {
        job->span = attention_span_neon;
        job->merge = attention_merge_neon;
        job->finish = attention_finish_neon;
    }
#endif
}

void attention_apply(const struct attention *attention, struct pool *pool, struct kv *const *kv, const int32_t *positions,
                     int n_rows, int layer, const float *q, float *out)
{
    if (n_rows == 0)
        return;
    const struct kv_shape *shape = &kv[0]->store->shape;
    assert(attention->n_heads % shape->n_kv_heads == 0);
    struct attention_job job = {.attention = attention, .shape = shape, .kv = kv, .positions = positions, .q = q, .out = out, .layer = layer,
                                .group = attention->n_heads / shape->n_kv_heads};
    choose_form(&job);
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
    int n_tiles = job.n_tiles = n_row_tiles * shape->n_kv_heads * job.n_parts;
    job.is_uneven = n_row_tiles > 1 && kv[0] == kv[n_rows - 1];
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
    job.partial = scratch_take(SCRATCH_PARTIAL, (size_t)n_tiles * (size_t)job.n_spans * n_state * sizeof(float));
    pool_run(pool, n_tiles * job.n_spans, span_chunk, &job);
    for (int i = 0; i < n_tiles; i++)
        merge_tile(&job, i);
}
