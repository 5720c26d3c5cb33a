/* Decoder: opens the stack of layers of any architecture: hyperparameters through its arch_*.c file, weights by role.
 *
 * Invariant: after decoder_open every linear and vector has the shape the configuration says, so that the forward pass
 * checks nothing but token ids and positions. Immutable afterwards but for the scratch memory of the pass, which the
 * model's lock guards. */
#include "decoder/adapter.h"
#include "decoder/lora.h"
#include "decoder/stack.h"
#include "model/gguf.h"

#include <stdlib.h>

static int open_norm(struct decoder *decoder, struct norm *norm, enum weight weight, int layer, int n, bool required)
{
    int status = loader_vector(&decoder->loader, &norm->w, weight, layer, ".weight", n, required);
    return status < 0 ? status : loader_vector(&decoder->loader, &norm->b, weight, layer, ".bias", n, false);
}

static int open_attention(struct decoder *decoder, int index, struct layer *layer)
{
    const struct decoder_config *config = &decoder->config;
    int n_q = config->n_heads * config->head_dim, n_kv = config->n_kv_heads * config->head_dim, n_all = n_q + 2 * n_kv;
    bool fused = loader_has(&decoder->loader, W_QKV, index, -1);
    struct matrix q = {W_Q, index, -1, n_q, config->n_embd}, k = {W_K, index, -1, n_kv, config->n_embd}, v = {W_V, index, -1, n_kv, config->n_embd};
    if (fused) {
        q = (struct matrix){W_QKV, index, -1, n_q, config->n_embd, 0, n_all};
        k = (struct matrix){W_QKV, index, -1, n_kv, config->n_embd, n_q, n_all};
        v = (struct matrix){W_QKV, index, -1, n_kv, config->n_embd, n_q + n_kv, n_all};
    }
    int status = loader_linear(&decoder->loader, &layer->q, &q);
    if (status == 0)
        status = loader_linear(&decoder->loader, &layer->k, &k);
    if (status == 0)
        status = loader_linear(&decoder->loader, &layer->v, &v);
    if (status == 0)
        status = loader_linear(&decoder->loader, &layer->o, &(struct matrix){W_O, index, -1, config->n_embd, n_q});
    if (status == 0)
        status = open_norm(decoder, &layer->q_norm, W_Q_NORM, index, config->head_dim, false);
    if (status == 0)
        status = open_norm(decoder, &layer->k_norm, W_K_NORM, index, config->head_dim, false);
    return status;
}

static int open_mlp(struct decoder *decoder, int index, struct layer *layer)
{
    const struct decoder_config *config = &decoder->config;
    int n_embd = config->n_embd, n_ff = config->n_ff;
    enum scale_use scale = config->gated ? SCALE_ALL : SCALE_NOTHING;
    bool fused = config->gated && config->fused_gate_up && !loader_has(&decoder->loader, W_GATE, index, -1);
    struct matrix gate = {W_GATE, index, -1, n_ff, n_embd, .scale = scale}, up = {W_UP, index, -1, n_ff, n_embd, .scale = scale};
    if (fused) {
        gate = (struct matrix){W_GATE_UP, index, -1, n_ff, n_embd, 0, 2 * n_ff, scale};
        up = (struct matrix){W_GATE_UP, index, -1, n_ff, n_embd, n_ff, 2 * n_ff, scale};
    }
    int status = config->gated ? loader_linear(&decoder->loader, &layer->gate, &gate) : 0;
    if (status == 0)
        status = loader_linear(&decoder->loader, &layer->up, &up);
    if (status == 0)
        status = loader_linear(&decoder->loader, &layer->down, &(struct matrix){W_DOWN, index, -1, n_embd, n_ff, .scale = scale});
    return status;
}

static int open_layer(struct decoder *decoder, int index)
{
    struct layer *layer = &decoder->layers[index];
    int n_embd = decoder->config.n_embd;
    int status = open_norm(decoder, &layer->attn_norm, W_ATTN_NORM, index, n_embd, true);
    if (status == 0)
        status = open_attention(decoder, index, layer);
    if (status == 0)
        status = open_norm(decoder, &layer->attn_post_norm, W_ATTN_POST_NORM, index, n_embd, false);
    if (status == 0 && !decoder->config.parallel)
        status = open_norm(decoder, &layer->ffn_norm, W_FFN_NORM, index, n_embd, true);
    if (status == 0)
        status = open_norm(decoder, &layer->ffn_post_norm, W_FFN_POST_NORM, index, n_embd, false);
    if (status < 0)
        return status;
    if (decoder->config.n_experts > 0 && loader_has(&decoder->loader, W_ROUTER, index, -1))
        return experts_open(decoder, index, &layer->experts);
    return open_mlp(decoder, index, layer);
}

/* An embedding table whose rows are read one by one. */
static int open_table(struct decoder *decoder, struct tensor *out, enum weight weight, int n_rows)
{
    const struct tensor *tensor = loader_find(&decoder->loader, weight, -1, -1, ".weight");
    if (tensor == NULL)
        return loader_missing(&decoder->loader, weight, -1, ".weight");
    char where[192];
    model_where(where, sizeof where, model_file_path(decoder->loader.file), "tensor", str_of(tensor->name));
    if (tensor->n_dims != 2 || tensor->ne[0] != decoder->config.n_embd || tensor->ne[1] < n_rows || tensor->ne[1] > 1 << 24 ||
        !tensor_type_is_weight(tensor->type))
        return error_set(decoder->loader.err, WEIR_E_INVALID, where, "is %lld x %lld of %s, must be at least %d x %d numbers",
                         (long long)tensor->ne[1], (long long)tensor->ne[0], tensor_type_name(tensor->type), n_rows, decoder->config.n_embd);
    *out = *tensor;
    decoder->loader.n_parameters += tensor->ne[0] * tensor->ne[1];
    return 0;
}

/* The matrix of logits: its own, or the embedding again. */
static int open_output(struct decoder *decoder)
{
    struct decoder_config *config = &decoder->config;
    bool own = !config->tied && (config->untied || loader_has(&decoder->loader, W_OUTPUT, -1, -1));
    struct matrix matrix = {own ? W_OUTPUT : W_TOKEN_EMBD, -1, -1, config->n_vocab, config->n_embd};
    int64_t before = decoder->loader.n_parameters;
    int status = open_norm(decoder, &decoder->output_norm, W_OUTPUT_NORM, -1, config->n_embd, true);
    if (status == 0)
        status = loader_linear(&decoder->loader, &decoder->output, &matrix);
    if (!own)
        decoder->loader.n_parameters = before + config->n_embd;
    return status;
}

static int open_weights(struct decoder *decoder)
{
    struct decoder_config *config = &decoder->config;
    int status = loader_init(&decoder->loader);
    if (status == 0)
        status = open_table(decoder, &decoder->token_embd, W_TOKEN_EMBD, 1);
    if (status < 0)
        return status;
    if (config->n_vocab == 0)
        config->n_vocab = (int)decoder->token_embd.ne[1];
    else if (config->n_vocab != decoder->token_embd.ne[1])
        return error_set(decoder->loader.err, WEIR_E_INVALID, model_file_path(decoder->loader.file), "config.json: vocab_size: is %d, the embedding has %lld rows",
                         config->n_vocab, (long long)decoder->token_embd.ne[1]);
    if (config->learned_positions)
        status = open_table(decoder, &decoder->position_embd, W_POSITION_EMBD, config->n_context);
    decoder->layers = arena_array(&decoder->arena, (size_t)config->n_layers, sizeof *decoder->layers);
    if (decoder->layers == NULL)
        return error_set(decoder->loader.err, WEIR_E_MEMORY, model_file_path(decoder->loader.file), "no memory");
    for (int i = 0; i < config->n_layers && status == 0; i++)
        status = open_layer(decoder, i);
    if (status == 0)
        status = open_output(decoder);
    if (status == 0 && decoder->adapter != NULL)
        status = adapter_check_used(decoder->adapter, decoder->loader.err);
    return status;
}

/* config.json of a model inside another one (vision, speech) keeps the decoder's part in text_config. */
static int read_config(struct decoder *decoder, const struct model_file *file, struct error *err)
{
    struct params params = {.file = file, .config = model_file_config(file), .arena = &decoder->arena, .err = err};
    str word = model_file_architecture(file);
    const json_t *inner = json_object_get(params.config, "text_config");
    if (json_is_object(inner)) {
        str inner_word = {NULL, 0};
        params.config = inner;
        if (json_member_str(inner, "model_type", &inner_word, NULL) == 1)
            word = inner_word;
    }
    decoder->architecture = architecture_find(params.config == NULL, word);
    if (decoder->architecture == NULL && word.n == 0)
        return error_set(err, WEIR_E_INVALID, model_file_path(file), "%s is missing", params.config == NULL ? "key general.architecture" : "config.json: model_type");
    if (decoder->architecture == NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, model_file_path(file), "architecture \"%.*s\" is not supported", (int)(word.n < 60 ? word.n : 60), word.data);
    snprintf(params.prefix, sizeof params.prefix, "%.*s.", (int)word.n, word.data);
    decoder->architecture->configure(&params, &decoder->config);
    return params.status;
}

int decoder_open(struct decoder **out, const struct model_file *file, const struct model_options *options, struct error *err)
{
    *out = NULL;
    struct decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder == NULL)
        return error_set(err, WEIR_E_MEMORY, model_file_path(file), "no memory");
    arena_init(&decoder->arena, 0);
    struct decoder_config *config = &decoder->config;
    int status = read_config(decoder, file, err);
    if (status == 0 && options->adapter != NULL)
        status = adapter_open(&decoder->adapter, options->adapter, err);
    if (status == 0) {
        bool gguf = model_file_is_gguf(file);
        /* Mixtral goes under Llama's name in GGUF; adapters call its experts by their own. */
        const struct architecture *published = gguf && decoder->architecture == &arch_llama && config->n_experts > 0 ? &arch_mixtral : decoder->architecture;
        decoder->loader = (struct loader){.file = file, .config = config, .names = gguf ? gguf_names : decoder->architecture->names,
                                            .hf_names = published->names, .adapter = decoder->adapter,
                                            .precision = options->precision, .arena = &decoder->arena, .err = err};
        status = open_weights(decoder);
    }
    for (int i = 0; i < N_ROPES && status == 0; i++)
        if (config->rope[i].n_rot > 0 && rotary_init(&decoder->rotary[i], &config->rope[i], &decoder->arena) < 0)
            status = error_set(err, WEIR_E_MEMORY, model_file_path(file), "no memory");
    if (status < 0) {
        decoder_close(decoder);
        return status;
    }
    decoder->loader.err = NULL;
    enum kv_type type = options->kv_type != KV_DEFAULT ? options->kv_type : options->precision == PRECISION_EXACT ? KV_F32 : KV_F16;
    decoder->kv_shape = (struct kv_shape){config->n_layers, config->n_kv_heads, config->head_dim, config->head_dim, type};
    *out = decoder;
    return 0;
}

void decoder_close(struct decoder *decoder)
{
    if (decoder == NULL)
        return;
    loader_release(&decoder->loader);
    adapter_close(decoder->adapter);
    free(decoder->scratch.memory);
    free(decoder->scratch.kv);
    free(decoder->scratch.lora);
    free(decoder->scratch.positions);
    arena_release(&decoder->arena);
    free(decoder);
}

int decoder_lora_open(const struct decoder *decoder, const char *path, struct lora **out, struct error *err)
{
    return lora_open(out, &decoder->loader, path, err);
}

void decoder_describe(const struct decoder *decoder, struct model_info *info)
{
    info->kind = MODEL_DECODER;
    info->n_vocab = decoder->config.n_vocab;
    info->n_layers = decoder->config.n_layers;
    info->n_embd = decoder->config.n_embd;
    info->n_context = decoder->config.n_context;
    info->n_parameters = decoder->loader.n_parameters;
    info->weight_bytes = loader_bytes(&decoder->loader);
    const struct kv_shape *shape = &decoder->kv_shape;
    info->kv_token_bytes = kv_shape_token_bytes(shape);
    info->row_bytes = decoder_row_bytes(decoder);
}

const struct kv_shape *decoder_kv_shape(const struct decoder *decoder)
{
    return &decoder->kv_shape;
}

int decoder_rope_border(const struct decoder *decoder)
{
    return decoder->config.rope[ROPE_GLOBAL].border;
}
