/* The forward pass of every decoder here: a batch of rows of one or more sequences through the layers, over their KV caches.
 *
 * Invariant: a row's result depends on its own sequence only, bit for bit, not on what else is in the batch or on how many
 * threads there are: every step works on whole rows, and linears and attention keep one order of summation. The cancel flag
 * is looked at between layers; what has been written to the caches by then lies beyond their lengths and means nothing.
 * Runs on the thread that holds the model's lock; its helpers get rows. */
#include "decoder/lora.h"
#include "decoder/stack.h"

#include <math.h>
#include <stdlib.h>

struct pass {
    struct decoder *decoder;
    struct pool *pool;
    const struct layer *layer;
    const struct layer_config *plan;
    const struct norm *post, *norm; /* Of the step at hand. */
    int index; /* Of the layer. */
    int n_rows;
    bool has_lora; /* Some row has an adapter. */
};

/* ------------------------------------------------------------------ rows */

struct rows_job {
    row_fn *fn;
    void *user;
    int n_rows;
    int per_chunk;
};

static void rows_chunk(void *arg, int chunk, int thread)
{
    const struct rows_job *job = arg;
    int end = (chunk + 1) * job->per_chunk < job->n_rows ? (chunk + 1) * job->per_chunk : job->n_rows;
    for (int row = chunk * job->per_chunk; row < end; row++)
        job->fn(job->user, row);
}

void rows_run(struct pool *pool, int n_rows, row_fn *fn, void *user)
{
    enum { FEW = 4 };
    struct rows_job job = {fn, user, n_rows, n_rows <= 8 ? 1 : n_rows <= 32 ? 2 : 4}; /* Even shares of a few. */
    if (pool != NULL && n_rows >= FEW) {
        pool_run(pool, (n_rows + job.per_chunk - 1) / job.per_chunk, rows_chunk, &job);
        return;
    }
    for (int row = 0; row < n_rows; row++)
        fn(user, row);
}

void decoder_norm(const struct decoder_config *config, const struct norm *norm, const float *x, int n, float *y)
{
    if (config->norm == NORM_LAYER) {
        layer_norm(x, norm->w, norm->b, config->norm_eps, n, y);
        return;
    }
    rms_norm(x, norm->w, config->norm_offset, config->norm_eps, n, y);
    for (int i = 0; i < n && norm->b != NULL; i++)
        y[i] += norm->b[i];
}

static size_t at(const struct pass *pass, int row)
{
    return (size_t)row * (size_t)pass->decoder->config.n_embd;
}

/* h = norm(x) */
static void norm_row(void *user, int row)
{
    const struct pass *pass = user;
    const struct scratch *scratch = &pass->decoder->scratch;
    decoder_norm(&pass->decoder->config, pass->norm, scratch->x + at(pass, row), pass->decoder->config.n_embd, scratch->h + at(pass, row));
}

static void norm_rows(struct pass *pass, const struct norm *norm)
{
    pass->norm = norm;
    rows_run(pass->pool, pass->n_rows, norm_row, pass);
}

/* x += y, or x += norm(y) where the layer has a norm after the block; then h = norm(x) for what comes next. */
static void add_row(void *user, int row)
{
    const struct pass *pass = user;
    const struct decoder_config *config = &pass->decoder->config;
    float *x = pass->decoder->scratch.x + at(pass, row), *y = pass->decoder->scratch.y + at(pass, row);
    if (pass->post->w != NULL)
        decoder_norm(config, pass->post, y, config->n_embd, y);
    vector_add(x, y, config->n_embd);
    if (pass->norm != NULL)
        norm_row(user, row);
}

/* next: NULL leaves h as it is. */
static void add_rows(struct pass *pass, const struct norm *post, const struct norm *next)
{
    pass->post = post;
    pass->norm = next;
    rows_run(pass->pool, pass->n_rows, add_row, pass);
}

static void observe(const struct pass *pass, enum weight weight, int layer, const float *x, int width)
{
    if (pass->decoder->observer != NULL)
        pass->decoder->observer(pass->decoder->observer_user, weight, layer, x, pass->n_rows, width);
}

/* ------------------------------------------------------------------ scratch */

/* Floats of a row's parts. */
struct row {
    size_t n_embd, n_q, n_kv, n_ff, n_experts, n_gathered, all;
};

static struct row row_of(const struct decoder_config *config)
{
    struct row row = {.n_embd = (size_t)config->n_embd, .n_q = (size_t)config->n_heads * (size_t)config->head_dim,
                      .n_kv = (size_t)config->n_kv_heads * (size_t)config->head_dim, .n_ff = (size_t)config->n_ff, .n_experts = (size_t)config->n_experts};
    row.n_ff = row.n_ff > (size_t)config->n_ff_expert ? row.n_ff : (size_t)config->n_ff_expert;
    row.n_ff = row.n_ff > (size_t)config->n_ff_shared ? row.n_ff : (size_t)config->n_ff_shared;
    row.n_gathered = row.n_experts > 0 ? row.n_embd : 0;
    row.all = 3 * row.n_embd + 2 * row.n_q + 2 * row.n_kv + 2 * row.n_ff + (size_t)config->rope[0].n_rot + (size_t)config->rope[1].n_rot + row.n_experts +
              row.n_gathered;
    return row;
}

size_t decoder_row_bytes(const struct decoder *decoder)
{
    return row_of(&decoder->config).all * sizeof(float);
}

static int scratch_reserve(struct decoder *decoder, int n_rows, struct error *err)
{
    const struct decoder_config *config = &decoder->config;
    struct scratch *scratch = &decoder->scratch;
    if (n_rows <= scratch->n_rows)
        return 0;
    struct row row = row_of(config);
    size_t rows = (size_t)n_rows;
    float *memory = malloc(rows * row.all * sizeof *memory), *next = memory;
    struct kv **kv = malloc(rows * sizeof *kv);
    struct lora **lora = malloc(rows * sizeof *lora);
    int32_t *positions = malloc(2 * rows * sizeof *positions);
    if (memory == NULL || kv == NULL || lora == NULL || positions == NULL) {
        free(memory);
        free(kv);
        free(lora);
        free(positions);
        return error_set(err, WEIR_E_MEMORY, "forward pass", "no memory for %d rows", n_rows);
    }
    free(scratch->memory);
    free(scratch->kv);
    free(scratch->lora);
    free(scratch->positions);
    *scratch = (struct scratch){.n_rows = n_rows, .memory = memory, .kv = kv, .lora = lora, .positions = positions, .reach = positions + rows};
    const struct {
        float **place;
        size_t n;
    } parts[] = {
        {&scratch->x, row.n_embd}, {&scratch->h, row.n_embd}, {&scratch->y, row.n_embd}, {&scratch->q, row.n_q}, {&scratch->a, row.n_q}, {&scratch->k, row.n_kv},
        {&scratch->v, row.n_kv}, {&scratch->gate, row.n_ff}, {&scratch->up, row.n_ff}, {&scratch->angles[0], (size_t)config->rope[0].n_rot},
        {&scratch->angles[1], (size_t)config->rope[1].n_rot}, {&scratch->router, row.n_experts}, {&scratch->gathered, row.n_gathered},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *parts[i].place = next;
        next += rows * parts[i].n;
    }
    return 0;
}

/* ------------------------------------------------------------------ the pass */

/* x = scale · E[token] + P[position], and the row's angles. */
struct embedding {
    const struct pass *pass;
    const int32_t *tokens;
};

static void embed_row(void *user, int row)
{
    const struct embedding *job = user;
    const struct pass *pass = job->pass;
    struct decoder *decoder = pass->decoder;
    const struct decoder_config *config = &decoder->config;
    struct scratch *scratch = &decoder->scratch;
    const struct tensor *table = &decoder->token_embd;
    float *x = scratch->x + at(pass, row), *position = scratch->y + at(pass, row);
    size_t token = (size_t)job->tokens[row];
    dequantize_row(table->type, (const uint8_t *)table->data + token * (table->n_bytes / (size_t)table->ne[1]), x, config->n_embd);
    for (int i = 0; i < config->n_embd && config->embedding_scale != 1; i++)
        x[i] *= config->embedding_scale;
    if (config->learned_positions) {
        table = &decoder->position_embd;
        dequantize_row(table->type, (const uint8_t *)table->data + (size_t)scratch->positions[row] * (table->n_bytes / (size_t)table->ne[1]), position, config->n_embd);
        for (int i = 0; i < config->n_embd; i++)
            x[i] += position[i];
    }
    for (int which = 0; which < N_ROPES; which++)
        if (config->rope[which].n_rot > 0)
            rotary_angles(&decoder->rotary[which], scratch->positions[row], scratch->reach[row], scratch->angles[which] + (size_t)row * (size_t)config->rope[which].n_rot);
}

/* Norms of the heads of q and k, rotation, and the keys and values into the cache. */
static void heads_row(void *user, int row)
{
    const struct pass *pass = user;
    const struct decoder_config *config = &pass->decoder->config;
    const struct scratch *scratch = &pass->decoder->scratch;
    const struct layer *layer = pass->layer;
    int d = config->head_dim;
    kv_write_soon(scratch->kv[row], pass->index, scratch->positions[row]);
    float *q = scratch->q + (size_t)row * (size_t)(config->n_heads * d), *k = scratch->k + (size_t)row * (size_t)(config->n_kv_heads * d);
    for (int head = 0; head < config->n_heads && layer->q_norm.w != NULL; head++)
        decoder_norm(config, &layer->q_norm, q + head * d, d, q + head * d);
    for (int head = 0; head < config->n_kv_heads && layer->k_norm.w != NULL; head++)
        decoder_norm(config, &layer->k_norm, k + head * d, d, k + head * d);
    if (pass->plan->rope != ROPE_NONE) {
        const struct rotary *rotary = &pass->decoder->rotary[pass->plan->rope];
        const float *angles = scratch->angles[pass->plan->rope] + (size_t)row * (size_t)rotary->n_rot;
        rotary_apply(rotary, angles, q, config->n_heads, d);
        rotary_apply(rotary, angles, k, config->n_kv_heads, d);
    }
    if (config->temperature_scale != 0) {
        double growth = 1 + config->temperature_scale * log(1 + floor(scratch->positions[row] / config->temperature_length));
        for (int i = 0; i < config->n_heads * d; i++)
            q[i] *= (float)growth;
    }
    kv_write(scratch->kv[row], pass->index, scratch->positions[row], k, scratch->v + (size_t)row * (size_t)(config->n_kv_heads * d));
}

/* After the last layer's keys are written only the rows whose logits are wanted matter. */
static void keep_wanted(struct pass *pass, const bool *want)
{
    const struct decoder_config *config = &pass->decoder->config;
    struct scratch *scratch = &pass->decoder->scratch;
    size_t n_embd = (size_t)config->n_embd, n_q = (size_t)(config->n_heads * config->head_dim);
    int n = 0;
    for (int row = 0; row < pass->n_rows; row++) {
        if (!want[row])
            continue;
        if (n != row) {
            memcpy(scratch->x + (size_t)n * n_embd, scratch->x + (size_t)row * n_embd, n_embd * sizeof(float));
            memcpy(scratch->h + (size_t)n * n_embd, scratch->h + (size_t)row * n_embd, n_embd * sizeof(float));
            memcpy(scratch->q + (size_t)n * n_q, scratch->q + (size_t)row * n_q, n_q * sizeof(float));
            scratch->kv[n] = scratch->kv[row];
            if (pass->has_lora)
                scratch->lora[n] = scratch->lora[row];
            scratch->positions[n] = scratch->positions[row];
        }
        n++;
    }
    pass->n_rows = n;
}

/* y += what the rows' adapters add to this matrix. */
static void adapt(const struct pass *pass, const struct linear *linear, const float *x, float *y)
{
    if (pass->has_lora)
        lora_add(pass->decoder->scratch.lora, pass->n_rows, linear, pass->pool, x, y);
}

static void gate_row(void *user, int row)
{
    const struct pass *pass = user;
    const struct decoder_config *config = &pass->decoder->config;
    size_t from = (size_t)row * (size_t)config->n_ff;
    activate_gate(config->activation, pass->decoder->scratch.gate + from, pass->decoder->scratch.up + from, config->n_ff);
}

static void activate_row(void *user, int row)
{
    const struct pass *pass = user;
    const struct decoder_config *config = &pass->decoder->config;
    activate(config->activation, pass->decoder->scratch.up + (size_t)row * (size_t)config->n_ff, config->n_ff);
}

/* y = the MLP's answer to h. */
static void feed_forward(struct pass *pass)
{
    const struct decoder_config *config = &pass->decoder->config;
    struct scratch *scratch = &pass->decoder->scratch;
    const struct layer *layer = pass->layer;
    if (layer->experts != NULL) {
        experts_apply(pass->decoder, pass->pool, layer->experts, scratch->h, pass->n_rows, scratch->y);
        return;
    }
    observe(pass, W_UP, pass->index, scratch->h, config->n_embd);
    if (config->gated && layer->gate != NULL && pass->has_lora) {
        linear_apply_many((const struct linear *const[]){layer->gate, layer->up}, 2, pass->pool, scratch->h, pass->n_rows,
                          (float *const[]){scratch->gate, scratch->up});
        adapt(pass, layer->gate, scratch->h, scratch->gate);
        adapt(pass, layer->up, scratch->h, scratch->up);
        rows_run(pass->pool, pass->n_rows, gate_row, pass);
    } else if (config->gated && layer->gate != NULL) {
        linear_apply_gated(layer->gate, layer->up, config->activation, pass->pool, scratch->h, pass->n_rows, scratch->gate, scratch->up);
    } else {
        linear_apply(layer->up, pass->pool, scratch->h, pass->n_rows, scratch->up);
        adapt(pass, layer->up, scratch->h, scratch->up);
        rows_run(pass->pool, pass->n_rows, activate_row, pass);
    }
    const float *inner = layer->gate != NULL ? scratch->gate : scratch->up;
    observe(pass, W_DOWN, pass->index, inner, config->n_ff);
    linear_apply(layer->down, pass->pool, inner, pass->n_rows, scratch->y);
    adapt(pass, layer->down, inner, scratch->y);
}

/* h holds the layer's norm of x, and next's afterwards. */
static void layer_run(struct pass *pass, const bool *want, const struct norm *next)
{
    const struct decoder_config *config = &pass->decoder->config;
    struct scratch *scratch = &pass->decoder->scratch;
    const struct layer *layer = pass->layer;
    observe(pass, W_ATTN_NORM, pass->index, scratch->x, config->n_embd);
    observe(pass, W_Q, pass->index, scratch->h, config->n_embd);
    linear_apply_many((const struct linear *const[]){layer->q, layer->k, layer->v}, 3, pass->pool, scratch->h, pass->n_rows,
                      (float *const[]){scratch->q, scratch->k, scratch->v});
    adapt(pass, layer->q, scratch->h, scratch->q);
    adapt(pass, layer->k, scratch->h, scratch->k);
    adapt(pass, layer->v, scratch->h, scratch->v);
    rows_run(pass->pool, pass->n_rows, heads_row, pass);
    if (want != NULL)
        keep_wanted(pass, want);
    if (pass->n_rows == 0)
        return;
    struct attention attention = {config->n_heads, config->attention_scale, config->attention_soft_cap, pass->plan->window};
    attention_apply(&attention, pass->pool, scratch->kv, scratch->positions, pass->n_rows, pass->index, scratch->q, scratch->a);
    observe(pass, W_O, pass->index, scratch->a, config->n_heads * config->head_dim);
    linear_apply(layer->o, pass->pool, scratch->a, pass->n_rows, scratch->y);
    adapt(pass, layer->o, scratch->a, scratch->y);
    add_rows(pass, &layer->attn_post_norm, config->parallel ? NULL : &layer->ffn_norm);
    feed_forward(pass);
    add_rows(pass, &layer->ffn_post_norm, next);
}

static int check_batch(const struct decoder *decoder, const struct batch *batch, struct error *err)
{
    if (batch->n_rows < 1 || batch->n_rows > DECODER_MAX_ROWS)
        return error_set(err, WEIR_E_INVALID, "batch", "%d rows (1 to %d are allowed)", batch->n_rows, DECODER_MAX_ROWS);
    for (int row = 0; row < batch->n_rows; row++) {
        if (batch->tokens[row] < 0 || batch->tokens[row] >= decoder->config.n_vocab)
            return error_set(err, WEIR_E_INVALID, "token", "id %d is not in the vocabulary of %d", batch->tokens[row], decoder->config.n_vocab);
        if (batch->positions[row] < 0 || batch->positions[row] >= decoder->config.n_context)
            return error_set(err, WEIR_E_LIMIT, "position", "%d is past the context of %d", batch->positions[row], decoder->config.n_context);
    }
    return 0;
}

/* How long each row's sequence gets: as the caller says, else up to its last row here. */
static void set_reach(struct scratch *scratch, const struct batch *batch)
{
    for (int row = batch->n_rows - 1; row >= 0; row--) {
        bool last = row + 1 == batch->n_rows || batch->kv[row + 1] != batch->kv[row];
        scratch->reach[row] = batch->reach != NULL ? batch->reach[row] : last ? batch->positions[row] + 1 : scratch->reach[row + 1];
    }
}

int decoder_forward(struct decoder *decoder, struct pool *pool, const struct batch *batch, float *logits, float *hidden, struct error *err)
{
    const struct decoder_config *config = &decoder->config;
    struct scratch *scratch = &decoder->scratch;
    int status = check_batch(decoder, batch, err);
    if (status == 0)
        status = scratch_reserve(decoder, batch->n_rows, err);
    if (status < 0)
        return status;
    memcpy(scratch->kv, batch->kv, (size_t)batch->n_rows * sizeof *scratch->kv);
    memcpy(scratch->positions, batch->positions, (size_t)batch->n_rows * sizeof *scratch->positions);
    set_reach(scratch, batch);

    struct pass pass = {.decoder = decoder, .pool = pool, .n_rows = batch->n_rows};
    for (int row = 0; batch->lora != NULL && row < batch->n_rows; row++)
        pass.has_lora |= (scratch->lora[row] = batch->lora[row]) != NULL;
    struct embedding job = {&pass, batch->tokens};
    rows_run(pool, batch->n_rows, embed_row, &job);
    norm_rows(&pass, &decoder->layers[0].attn_norm);
    for (int i = 0; i < config->n_layers && pass.n_rows > 0; i++) {
        if (batch->cancel != NULL && atomic_load_explicit(batch->cancel, memory_order_relaxed))
            return error_set(err, WEIR_E_CANCELLED, "forward pass", "cancelled");
        pass.index = i;
        pass.layer = &decoder->layers[i];
        pass.plan = &config->layers[i];
        bool is_last = i == config->n_layers - 1;
        layer_run(&pass, is_last && hidden == NULL ? batch->want : NULL, is_last ? &decoder->output_norm : &decoder->layers[i + 1].attn_norm);
    }
    observe(&pass, W_OUTPUT_NORM, config->n_layers, scratch->x, config->n_embd);
    if (hidden != NULL) {
        memcpy(hidden, scratch->h, (size_t)batch->n_rows * (size_t)config->n_embd * sizeof *hidden);
        keep_wanted(&pass, batch->want);
    }
    if (pass.n_rows == 0)
        return 0;
    linear_apply(decoder->output, pool, scratch->h, pass.n_rows, logits);
    adapt(&pass, decoder->output, scratch->h, logits);
    for (size_t i = 0; config->logit_soft_cap > 0 && i < (size_t)pass.n_rows * (size_t)config->n_vocab; i++)
        logits[i] = config->logit_soft_cap * tanhf(logits[i] / config->logit_soft_cap);
    return 0;
}
