/* Converting: a decoder's weights, published floats or GPTQ and AWQ int4 alike, under GGUF's names.
 *
 * The directory is opened as for exact computing, so that every matrix is there by its role with its shape checked; a tensor of
 * the file is one or more of these one below the other: q, k and v, or gate and up, where GGUF has them fused, and the experts
 * of a layer. The Llama family's q and k change the order of rows inside each head: row 2i + h of the file is row
 * h · n / 2 + i of the published form, since llama.cpp turns neighbouring pairs. Gemma's norms get their one added. Llama 3's
 * stretched frequencies become the tensor rope_freqs, LongRoPE's lists rope_factors_short and _long. */
#include "decoder/convert.h"

#include <math.h>

struct conversion {
    struct decoder *decoder;
    struct gguf_builder *builder;
    enum tensor_type type;
    bool pairs; /* The Llama family's order of q and k. */
};

/* Matrices one below the other, all as wide. */
struct stack_rows {
    const struct linear *const *linears;
    int n;
    int head_dim; /* Rows change their order within heads of it; 0: they don't. */
};

static int row_of(int head_dim, int row)
{
    if (head_dim == 0)
        return row;
    int at = row % head_dim;
    return row - at + at % 2 * (head_dim / 2) + at / 2;
}

static int stack_row(void *user, int64_t row, float *out)
{
    const struct stack_rows *stack = user;
    int i = 0;
    while (i < stack->n && row >= linear_n_out(stack->linears[i]))
        row -= linear_n_out(stack->linears[i++]);
    if (i == stack->n)
        return WEIR_E_INVALID;
    linear_row(stack->linears[i], row_of(stack->head_dim, (int)row), out);
    return 0;
}

static int table_row(void *user, int64_t row, float *out)
{
    const struct tensor *table = user;
    dequantize_row(table->type, (const uint8_t *)table->data + (size_t)row * (table->n_bytes / (size_t)table->ne[1]), out, table->ne[0]);
    return 0;
}

static const char *name_of(const struct conversion *conversion, enum weight weight, int layer, const char *suffix)
{
    struct arena *arena = &conversion->builder->arena;
    const char *name = layer < 0 ? arena_printf(arena, "%s%s", gguf_names[weight], suffix)
                                 : arena_printf(arena, "blk.%d%s%s", layer, gguf_names[weight] + strlen("blk.#"), suffix);
    if (name == NULL)
        gguf_builder_fail(conversion->builder, WEIR_E_MEMORY, "tensor", "no memory for a name");
    return name != NULL ? name : "";
}

static void add_vector(struct conversion *conversion, enum weight weight, int layer, const char *suffix, const float *vector, int n, float added)
{
    if (vector != NULL)
        gguf_add_vector(conversion->builder, name_of(conversion, weight, layer, suffix), vector, n, added);
}

static void add_norm(struct conversion *conversion, enum weight weight, int layer, const struct norm *norm, int n)
{
    add_vector(conversion, weight, layer, ".weight", norm->w, n, conversion->decoder->config.norm_offset);
    add_vector(conversion, weight, layer, ".bias", norm->b, n, 0);
}

/* The bias beside a matrix, which the linear keeps to itself: the loader reads it again. */
static void add_bias(struct conversion *conversion, enum weight weight, int layer, int n, int head_dim)
{
    struct loader loader = conversion->decoder->loader;
    const float *bias;
    loader.err = conversion->builder->err;
    int status = loader_vector(&loader, &bias, weight, layer, ".bias", n, false);
    if (status < 0 && conversion->builder->status == 0)
        conversion->builder->status = status;
    if (status < 0 || bias == NULL)
        return;
    float *ordered = arena_array(&conversion->builder->arena, (size_t)n, sizeof *ordered);
    if (ordered == NULL) {
        gguf_builder_fail(conversion->builder, WEIR_E_MEMORY, "tensor", "no memory for a bias");
        return;
    }
    for (int i = 0; i < n; i++)
        ordered[i] = bias[row_of(head_dim, i)];
    add_vector(conversion, weight, layer, ".bias", ordered, n, 0);
}

/* n matrices as one tensor; n_matrices above 0: a third dimension, one of them each. */
static void add_stack(struct conversion *conversion, enum weight weight, int layer, const struct linear *const *linears, int n, int n_matrices, int head_dim)
{
    bool kept_exact = weight == W_ROUTER || weight == W_SHARED_ROUTER;
    struct stack_rows *stack = arena_alloc(&conversion->builder->arena, sizeof *stack);
    const struct linear **copy = arena_array(&conversion->builder->arena, (size_t)n, sizeof *copy);
    if (stack == NULL || copy == NULL) {
        gguf_builder_fail(conversion->builder, WEIR_E_MEMORY, "tensor", "no memory");
        return;
    }
    int64_t n_rows = 0, n_in = linear_n_in(linears[0]);
    for (int i = 0; i < n; i++) {
        copy[i] = linears[i];
        n_rows += linear_n_out(linears[i]);
    }
    *stack = (struct stack_rows){copy, n, head_dim};
    int64_t ne[3] = {n_in, n_matrices > 0 ? n_rows / n_matrices : n_rows, n_matrices};
    int n_dims = n_matrices > 0 ? 3 : weight == W_SHARED_ROUTER ? 1 : 2; /* One row is a vector in GGUF. */
    gguf_add_rows(conversion->builder, name_of(conversion, weight, layer, ".weight"), kept_exact ? TENSOR_F32 : conversion->type, n_dims, ne, stack_row, stack);
    if (n_matrices == 0)
        add_bias(conversion, weight, layer, (int)n_rows, head_dim);
}

static void add_matrix(struct conversion *conversion, enum weight weight, int layer, const struct linear *linear, int head_dim)
{
    if (linear != NULL)
        add_stack(conversion, weight, layer, &linear, 1, 0, head_dim);
}

static void add_experts(struct conversion *conversion, int index, const struct experts *experts)
{
    int n = conversion->decoder->config.n_experts;
    add_matrix(conversion, W_ROUTER, index, experts->router, 0);
    add_stack(conversion, W_EXPERT_GATE, index, (const struct linear *const *)experts->gate, n, n, 0);
    add_stack(conversion, W_EXPERT_UP, index, (const struct linear *const *)experts->up, n, n, 0);
    add_stack(conversion, W_EXPERT_DOWN, index, (const struct linear *const *)experts->down, n, n, 0);
    add_matrix(conversion, W_SHARED_ROUTER, index, experts->shared_router, 0);
    add_matrix(conversion, W_SHARED_GATE, index, experts->shared_gate, 0);
    add_matrix(conversion, W_SHARED_UP, index, experts->shared_up, 0);
    add_matrix(conversion, W_SHARED_DOWN, index, experts->shared_down, 0);
}

static void add_layer(struct conversion *conversion, int index)
{
    const struct decoder *decoder = conversion->decoder;
    const struct decoder_config *config = &decoder->config;
    const struct layer *layer = &decoder->layers[index];
    int head_dim = conversion->pairs ? config->head_dim : 0;
    add_norm(conversion, W_ATTN_NORM, index, &layer->attn_norm, config->n_embd);
    add_norm(conversion, W_ATTN_POST_NORM, index, &layer->attn_post_norm, config->n_embd);
    add_norm(conversion, W_FFN_NORM, index, &layer->ffn_norm, config->n_embd);
    add_norm(conversion, W_FFN_POST_NORM, index, &layer->ffn_post_norm, config->n_embd);
    add_norm(conversion, W_Q_NORM, index, &layer->q_norm, config->head_dim);
    add_norm(conversion, W_K_NORM, index, &layer->k_norm, config->head_dim);
    if (loader_has(&decoder->loader, W_QKV, index, -1)) {
        add_stack(conversion, W_QKV, index, (const struct linear *const[]){layer->q, layer->k, layer->v}, 3, 0, 0);
    } else {
        add_matrix(conversion, W_Q, index, layer->q, head_dim);
        add_matrix(conversion, W_K, index, layer->k, head_dim);
        add_matrix(conversion, W_V, index, layer->v, 0);
    }
    add_matrix(conversion, W_O, index, layer->o, 0);
    if (layer->experts != NULL) {
        add_experts(conversion, index, layer->experts);
        return;
    }
    if (config->fused_gate_up && !loader_has(&decoder->loader, W_GATE, index, -1)) {
        add_stack(conversion, W_GATE_UP, index, (const struct linear *const[]){layer->gate, layer->up}, 2, 0, 0);
    } else {
        add_matrix(conversion, W_GATE, index, layer->gate, 0);
        add_matrix(conversion, W_UP, index, layer->up, 0);
    }
    add_matrix(conversion, W_DOWN, index, layer->down, 0);
}

/* The ratio of plain frequencies to those in use, for Llama 3; LongRoPE's own lists. */
static void add_rope(struct conversion *conversion)
{
    const struct decoder *decoder = conversion->decoder;
    const struct rope_config *rope = &decoder->config.rope[ROPE_GLOBAL];
    int n = rope->n_rot / 2;
    if (rope->border > 0) {
        gguf_add_vector(conversion->builder, "rope_factors_short.weight", rope->divisors[0], n, 0);
        gguf_add_vector(conversion->builder, "rope_factors_long.weight", rope->divisors[1], n, 0);
    }
    if (!rope->llama3.on)
        return;
    float *divisors = arena_array(&conversion->builder->arena, (size_t)n, sizeof *divisors);
    if (divisors == NULL) {
        gguf_builder_fail(conversion->builder, WEIR_E_MEMORY, "rope_freqs.weight", "no memory");
        return;
    }
    for (int i = 0; i < n; i++)
        divisors[i] = (float)(pow(rope->base, -2.0 * i / rope->n_rot) / (double)decoder->rotary[ROPE_GLOBAL].inv_freq[0][i]);
    gguf_add_vector(conversion->builder, "rope_freqs.weight", divisors, n, 0);
}

void decoder_add_tensors(struct decoder *decoder, struct gguf_builder *builder, enum tensor_type type)
{
    struct conversion conversion = {decoder, builder, type, decoder_gguf_pairs(decoder)};
    const struct decoder_config *config = &decoder->config;
    struct linear *embedding;
    decoder->loader.err = builder->err;
    if (builder->status == 0)
        builder->status = loader_linear(&decoder->loader, &embedding, &(struct matrix){W_TOKEN_EMBD, -1, -1, config->n_vocab, config->n_embd});
    decoder->loader.err = NULL;
    if (builder->status < 0)
        return;
    add_matrix(&conversion, W_TOKEN_EMBD, -1, embedding, 0);
    if (config->learned_positions) /* As many as the context has: others could not be told from a longer one. */
        gguf_add_rows(builder, "position_embd.weight", TENSOR_F32, 2, (const int64_t[]){config->n_embd, config->n_context}, table_row, &decoder->position_embd);
    add_norm(&conversion, W_OUTPUT_NORM, -1, &decoder->output_norm, config->n_embd);
    if (!config->tied && loader_has(&decoder->loader, W_OUTPUT, -1, -1))
        add_matrix(&conversion, W_OUTPUT, -1, decoder->output, 0);
    add_rope(&conversion);
    for (int i = 0; i < config->n_layers; i++)
        add_layer(&conversion, i);
}
