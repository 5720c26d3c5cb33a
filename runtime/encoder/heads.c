/* Heads: the attention of one head over one text is one job. Keys are packed transposed and values side by side in the
 * thread's memory, then queries go through four at a time: scores, mask, softmax, mixture. */
#include "encoder/heads.h"
#include "kernels/cpu.h"

#include <assert.h>
#include <math.h>

static int round_up(int n, int tile)
{
    return (n + tile - 1) / tile * tile;
}

size_t heads_thread_floats(const struct heads *heads, int n_buckets, int n_longest)
{
    size_t n = (size_t)round_up(n_longest, HEADS_KEY_TILE), dim = (size_t)heads->head_dim;
    size_t dim_padded = (size_t)round_up(heads->head_dim, HEADS_DIM_TILE);
    size_t buckets = (size_t)round_up(n_buckets, HEADS_KEY_TILE);
    return dim * n + dim_padded * n + HEADS_QUERIES * (n + dim_padded) + (n_buckets > 0 ? (2 * dim + HEADS_QUERIES + n) * buckets : 0);
}

void heads_scores_scalar(const float *keys, int dim, int n_columns, const float *const *queries, int n_queries, int first, int end,
                         float *scores)
{
    for (int r = 0; r < n_queries; r++) {
        float *row = scores + (size_t)r * (size_t)n_columns;
        for (int j = first; j < end; j++)
            row[j] = 0;
        for (int d = 0; d < dim; d++)
            for (int j = first; j < end; j++)
                row[j] += queries[r][d] * keys[(size_t)d * (size_t)n_columns + (size_t)j];
    }
}

void heads_mix_scalar(const float *values, int n_columns, const float *weights, int n_weights, int n_queries, int first, int end, float *out)
{
    for (int r = 0; r < n_queries; r++) {
        float *row = out + (size_t)r * (size_t)n_columns;
        for (int d = 0; d < n_columns; d++)
            row[d] = 0;
        for (int j = first; j < end; j++)
            for (int d = 0; d < n_columns; d++)
                row[d] += weights[(size_t)r * (size_t)n_weights + (size_t)j] * values[(size_t)j * (size_t)n_columns + (size_t)d];
    }
}

struct heads_job {
    const struct heads *heads;
    const struct relative *relative;
    struct pass *pass;
    const float *q, *k, *v;
    float *out;
    heads_scores_fn *scores;
    heads_mix_fn *mix;
};

/* One head of one text, with its memory. */
struct head_text {
    int n;             /* Rows. */
    int n_padded;      /* Columns of keys and scores. */
    int dim_padded;    /* Columns of values and mixed. */
    int buckets_padded;
    size_t at;         /* Offset of the head in the text's first row. */
    size_t stride;     /* Floats a row. */
    float *keys, *values, *scores, *mixed;
    float *position_keys, *position_queries; /* dim × buckets_padded. */
    float *to_position;                      /* HEADS_QUERIES × buckets_padded: q_i · position keys. */
    float *from_position;                    /* n × buckets_padded: k_j · position queries. */
};

/* out[d][j] = in[j][d]; columns n … n_columns - 1 are zero. */
static void pack_transposed(const float *in, size_t stride, int n, int dim, int n_columns, float *out)
{
    for (int d = 0; d < dim; d++) {
        for (int j = 0; j < n; j++)
            out[(size_t)d * (size_t)n_columns + (size_t)j] = in[(size_t)j * stride + (size_t)d];
        for (int j = n; j < n_columns; j++)
            out[(size_t)d * (size_t)n_columns + (size_t)j] = 0;
    }
}

static void pack_values(const float *in, size_t stride, int n, int dim, int n_columns, float *out)
{
    for (int j = 0; j < n; j++)
        for (int d = 0; d < n_columns; d++)
            out[(size_t)j * (size_t)n_columns + (size_t)d] = d < dim ? in[(size_t)j * stride + (size_t)d] : 0;
}

static void head_place(const struct heads_job *job, int text, int head, float *memory, struct head_text *at)
{
    const struct pass *pass = job->pass;
    int dim = job->heads->head_dim, n_buckets = job->relative != NULL ? job->relative->n_buckets : 0;
    *at = (struct head_text){.n = pass->starts[text + 1] - pass->starts[text], .stride = (size_t)job->heads->n_heads * (size_t)dim};
    at->n_padded = round_up(at->n, HEADS_KEY_TILE);
    at->dim_padded = round_up(dim, HEADS_DIM_TILE);
    at->buckets_padded = round_up(n_buckets, HEADS_KEY_TILE);
    at->at = (size_t)pass->starts[text] * at->stride + (size_t)head * (size_t)dim;
    at->keys = memory;
    at->values = at->keys + (size_t)dim * (size_t)at->n_padded;
    at->scores = at->values + (size_t)at->dim_padded * (size_t)at->n_padded;
    at->mixed = at->scores + HEADS_QUERIES * (size_t)at->n_padded;
    at->position_keys = at->mixed + HEADS_QUERIES * (size_t)at->dim_padded;
    at->position_queries = at->position_keys + (size_t)dim * (size_t)at->buckets_padded;
    at->to_position = at->position_queries + (size_t)dim * (size_t)at->buckets_padded;
    at->from_position = at->to_position + HEADS_QUERIES * (size_t)at->buckets_padded;
}

/* Scores of up to HEADS_QUERIES rows from `row` on against packed columns. */
static void score_rows(const struct heads_job *job, const struct head_text *at, const float *rows, int row, int n_queries,
                       const float *columns, int n_columns, int first, int end, float *scores)
{
    const float *queries[HEADS_QUERIES];
    for (int r = 0; r < n_queries; r++)
        queries[r] = rows + at->at + (size_t)(row + r) * at->stride;
    job->scores(columns, job->heads->head_dim, n_columns, queries, n_queries, first, end, scores);
}

/* Packs the positions of one head and multiplies them with all of the text's keys. */
static void place_positions(const struct heads_job *job, const struct head_text *at, int head)
{
    const struct relative *relative = job->relative;
    size_t column = (size_t)head * (size_t)job->heads->head_dim;
    if (relative->keys != NULL)
        pack_transposed(relative->keys + column, at->stride, relative->n_buckets, job->heads->head_dim, at->buckets_padded, at->position_keys);
    if (relative->queries == NULL)
        return;
    pack_transposed(relative->queries + column, at->stride, relative->n_buckets, job->heads->head_dim, at->buckets_padded,
                    at->position_queries);
    for (int j = 0; j < at->n; j += HEADS_QUERIES)
        score_rows(job, at, job->k, j, at->n - j < HEADS_QUERIES ? at->n - j : HEADS_QUERIES, at->position_queries, at->buckets_padded, 0,
                   at->buckets_padded, at->from_position + (size_t)j * (size_t)at->buckets_padded);
}

static void add_positions(const struct heads_job *job, const struct head_text *at, int row, int n_queries)
{
    const struct relative *relative = job->relative;
    if (relative->keys != NULL)
        score_rows(job, at, job->q, row, n_queries, at->position_keys, at->buckets_padded, 0, at->buckets_padded, at->to_position);
    for (int r = 0; r < n_queries; r++)
        for (int j = 0; j < at->n; j++) {
            int bucket = relative->bucket[row + r - j];
            float sum = 0;
            if (relative->keys != NULL)
                sum += at->to_position[(size_t)r * (size_t)at->buckets_padded + (size_t)bucket];
            if (relative->queries != NULL)
                sum += at->from_position[(size_t)j * (size_t)at->buckets_padded + (size_t)bucket];
            at->scores[(size_t)r * (size_t)at->n_padded + (size_t)j] += sum;
        }
}

/* Attention of rows row … row + n_queries - 1. */
static void attend_rows(const struct heads_job *job, const struct head_text *at, int row, int n_queries)
{
    int window = job->heads->window > 0 ? job->heads->window : at->n;
    int low = row > window ? row - window : 0;
    int high = at->n - (row + n_queries) > window ? row + n_queries + window : at->n;
    int first = low / HEADS_KEY_TILE * HEADS_KEY_TILE, end = round_up(high, HEADS_KEY_TILE);
    score_rows(job, at, job->q, row, n_queries, at->keys, at->n_padded, first, end, at->scores);
    if (job->relative != NULL)
        add_positions(job, at, row, n_queries);
    for (int r = 0; r < n_queries; r++) {
        float *scores = at->scores + (size_t)r * (size_t)at->n_padded;
        for (int j = first; j < high; j++) {
            bool seen = j >= row + r - window && j <= row + r + window;
            scores[j] = seen ? scores[j] * job->heads->scale : -INFINITY;
        }
        softmax(scores + first, high - first);
    }
    job->mix(at->values, at->dim_padded, at->scores, at->n_padded, n_queries, first, high, at->mixed);
    for (int r = 0; r < n_queries; r++)
        memcpy(job->out + at->at + (size_t)(row + r) * at->stride, at->mixed + (size_t)r * (size_t)at->dim_padded,
               (size_t)job->heads->head_dim * sizeof *job->out);
}

static void attend_head(void *arg, int chunk, int thread)
{
    const struct heads_job *job = arg;
    struct pass *pass = job->pass;
    int text = chunk / job->heads->n_heads, head = chunk % job->heads->n_heads;
    struct head_text at;
    head_place(job, text, head, pass->thread_floats + (size_t)thread * pass->n_thread_floats, &at);
    pack_transposed(job->k + at.at, at.stride, at.n, job->heads->head_dim, at.n_padded, at.keys);
    pack_values(job->v + at.at, at.stride, at.n, job->heads->head_dim, at.dim_padded, at.values);
    if (job->relative != NULL)
        place_positions(job, &at, head);
    for (int row = 0; row < at.n; row += HEADS_QUERIES)
        attend_rows(job, &at, row, at.n - row < HEADS_QUERIES ? at.n - row : HEADS_QUERIES);
}

void heads_attend(const struct heads *heads, const struct relative *relative, struct pass *pass, const float *q, const float *k,
                  const float *v, float *out)
{
    assert(heads_thread_floats(heads, relative != NULL ? relative->n_buckets : 0, pass->n_longest) <= pass->n_thread_floats);
    struct heads_job job = {heads, relative, pass, q, k, v, out, heads_scores_scalar, heads_mix_scalar};
#if defined(__x86_64__)
    if (cpu_level() >= CPU_AVX2) {
        job.scores = heads_scores_avx2;
        job.mix = heads_mix_avx2;
    }
#endif
    pool_run(pass->pool, pass->n_texts * heads->n_heads, attend_head, &job);
}
