/* BERT and its near relatives under GGUF's names. RoBERTa's positions begin past the padding token's id: the rows before them are left
 * out. The head for texts becomes cls (its dense layer, with tanh) and cls.output. Pooling is a key; that embeddings are not brought to
 * length 1, for which GGUF has none, is weir.embedding_as_pooled, and where texts are cut before their positions end weir.max_tokens. */
#include "encoder/convert.h"
#include "encoder/pooling.h"

struct family {
    const char *model_type, *prefix;
    const char *width, *n_ff, *n_layers, *n_heads, *activation; /* Settings. */
    const char *layers;                                         /* Before a layer's number. */
    const char *names[8][2];                                    /* Of a layer: published, GGUF's. */
    const char *dense, *out;                                    /* Of the head; NULL: not in GGUF. */
};

#define BERT_SETTINGS "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act"
#define BERT_LAYER \
    "encoder.layer", {{"attention.self.query", "attn_q"}, {"attention.self.key", "attn_k"}, {"attention.self.value", "attn_v"}, \
                      {"attention.output.dense", "attn_output"}, {"attention.output.LayerNorm", "attn_output_norm"}, {"intermediate.dense", "ffn_up"}, \
                      {"output.dense", "ffn_down"}, {"output.LayerNorm", "layer_output_norm"}}

static const struct family families[] = {
    {"bert", "bert.", BERT_SETTINGS, BERT_LAYER, "pooler.dense", "classifier"},
    {"roberta", "roberta.", BERT_SETTINGS, BERT_LAYER, "classifier.dense", "classifier.out_proj"},
    {"xlm-roberta", "roberta.", BERT_SETTINGS, BERT_LAYER, "classifier.dense", "classifier.out_proj"},
    {"camembert", "roberta.", BERT_SETTINGS, BERT_LAYER, "classifier.dense", "classifier.out_proj"},
    {"distilbert", "distilbert.", "dim", "hidden_dim", "n_layers", "n_heads", "activation", "transformer.layer",
     {{"attention.q_lin", "attn_q"}, {"attention.k_lin", "attn_k"}, {"attention.v_lin", "attn_v"}, {"attention.out_lin", "attn_output"},
      {"sa_layer_norm", "attn_output_norm"}, {"ffn.lin1", "ffn_up"}, {"ffn.lin2", "ffn_down"}, {"output_layer_norm", "layer_output_norm"}}, NULL, NULL},
};

struct conversion {
    const struct family *family;
    struct weights weights; /* For settings and errors. */
    struct gguf_builder *builder;
    enum tensor_type type;
};

/* Rows of a tensor from `first` on. */
struct rows_from {
    const struct tensor *tensor;
    int64_t first;
};

static int row_from(void *user, int64_t row, float *out)
{
    const struct rows_from *from = user;
    const struct tensor *tensor = from->tensor;
    dequantize_row(tensor->type, (const uint8_t *)tensor->data + (size_t)(from->first + row) * tensor_row_bytes(tensor->type, tensor->ne[0]), out, tensor->ne[0]);
    return 0;
}

/* The tensor by name and suffix, with the prefix or without; old files say gamma and beta. */
static const struct tensor *find(const struct conversion *conversion, const char *name, const char *suffix)
{
    static const char *const prefixes[] = {NULL, ""};
    const char *other = strcmp(suffix, ".weight") == 0 ? ".gamma" : ".beta";
    for (int i = 0; i < 4; i++) {
        char full[256];
        const char *prefix = i % 2 == 0 ? conversion->family->prefix : prefixes[1];
        snprintf(full, sizeof full, "%s%s%s", prefix, name, i < 2 ? suffix : other);
        const struct tensor *tensor = model_file_tensor(conversion->weights.file, full);
        if (tensor != NULL)
            return tensor;
    }
    return NULL;
}

static void add_from(struct conversion *conversion, const struct tensor *tensor, int64_t first, const char *to, enum tensor_type type)
{
    struct rows_from *from = arena_alloc(&conversion->builder->arena, sizeof *from);
    if (from == NULL || !tensor_type_is_weight(tensor->type) || tensor->n_dims > 2) {
        weights_fail(&conversion->weights, WEIR_E_INVALID, tensor->name, "is no matrix or vector of weights");
        return;
    }
    *from = (struct rows_from){tensor, first};
    gguf_add_rows(conversion->builder, to, tensor->n_dims == 1 ? TENSOR_F32 : type, tensor->n_dims, (const int64_t[]){tensor->ne[0], tensor->ne[1] - first}, row_from, from);
}

/* A matrix or norm with its bias, where it has one. */
static void add(struct conversion *conversion, const char *name, const char *to)
{
    char full[128];
    const struct tensor *weight = find(conversion, name, ".weight"), *bias = find(conversion, name, ".bias");
    if (weight == NULL) {
        weights_fail(&conversion->weights, WEIR_E_INVALID, name, "tensor %s.weight is missing", name);
        return;
    }
    snprintf(full, sizeof full, "%s.weight", to);
    add_from(conversion, weight, 0, full, conversion->type);
    snprintf(full, sizeof full, "%s.bias", to);
    if (bias != NULL)
        add_from(conversion, bias, 0, full, TENSOR_F32);
}

static void add_embeddings(struct conversion *conversion, int n_before)
{
    const struct tensor *positions = find(conversion, "embeddings.position_embeddings", ".weight"), *types = find(conversion, "embeddings.token_type_embeddings", ".weight");
    add(conversion, "embeddings.word_embeddings", "token_embd");
    if (positions == NULL || positions->n_dims != 2 || positions->ne[1] <= n_before)
        weights_fail(&conversion->weights, WEIR_E_INVALID, "embeddings.position_embeddings", "is missing, or has no more than %d rows", n_before);
    else
        add_from(conversion, positions, n_before, "position_embd.weight", TENSOR_F32);
    gguf_key_u32(conversion->builder, "tokenizer.ggml.token_type_count", types != NULL ? (uint32_t)types->ne[1] : 1);
    if (types != NULL)
        add_from(conversion, types, 0, "token_types.weight", TENSOR_F32);
    add(conversion, "embeddings.LayerNorm", "token_embd_norm");
}

static void add_layers(struct conversion *conversion, int n_layers)
{
    for (int layer = 0; layer < n_layers && conversion->weights.status == 0; layer++)
        for (int i = 0; i < 8; i++) {
            char from[128], to[64];
            snprintf(from, sizeof from, "%s.%d.%s", conversion->family->layers, layer, conversion->family->names[i][0]);
            snprintf(to, sizeof to, "blk.%d.%s", layer, conversion->family->names[i][1]);
            add(conversion, from, to);
        }
}

static void add_labels(struct conversion *conversion, int n)
{
    const json_t *names = json_object_get(model_file_config(conversion->weights.file), "id2label");
    gguf_key_array(conversion->builder, "bert.classifier.output_labels", GGUF_STRING, (size_t)n);
    for (int i = 0; i < n; i++) {
        char key[32];
        snprintf(key, sizeof key, "%d", i);
        const json_t *name = json_object_get(names, key);
        snprintf(key, sizeof key, "LABEL_%d", i);
        gguf_element_str(conversion->builder, str_of(json_is_string(name) ? json_string_value(name) : key));
    }
}

/* The head named by the class in config.json. */
static void add_head(struct conversion *conversion)
{
    const json_t *classes = json_object_get(model_file_config(conversion->weights.file), "architectures");
    str class = str_of(json_string_value(json_array_get(classes, 0)));
    bool per_token = str_ends(class, STR("ForTokenClassification"));
    if (!per_token && !str_ends(class, STR("ForSequenceClassification")))
        return;
    if (per_token || conversion->family->out == NULL) {
        weights_fail(&conversion->weights, WEIR_E_UNSUPPORTED, "architectures", "GGUF has no head like that of " STR_FMT, STR_ARG(class));
        return;
    }
    const struct tensor *out = find(conversion, conversion->family->out, ".weight");
    add(conversion, conversion->family->dense, "cls");
    add(conversion, conversion->family->out, "cls.output");
    if (out != NULL)
        add_labels(conversion, (int)out->ne[1]);
}

static void add_keys(struct conversion *conversion, int n_layers, int n_positions)
{
    static const int types[] = {[POOL_MEAN] = 1, [POOL_FIRST] = 2, [POOL_LAST] = 3};
    struct weights *weights = &conversion->weights;
    struct gguf_builder *builder = conversion->builder;
    const struct family *family = conversion->family;
    struct pooling pooling;
    pooling_open(weights, &pooling);
    if (pooling.rows != POOL_MEAN && pooling.rows != POOL_FIRST && pooling.rows != POOL_LAST)
        weights_fail(weights, WEIR_E_UNSUPPORTED, "modules.json", "GGUF can't say this kind of pooling");
    gguf_key_u32(builder, "bert.context_length", (uint32_t)n_positions);
    if (pooling.max_tokens > 0)
        gguf_key_u32(builder, "weir.max_tokens", (uint32_t)pooling.max_tokens);
    gguf_key_u32(builder, "bert.embedding_length", (uint32_t)config_int(weights, family->width, 1, 1 << 20, REQUIRED));
    gguf_key_u32(builder, "bert.feed_forward_length", (uint32_t)config_int(weights, family->n_ff, 1, 1 << 20, REQUIRED));
    gguf_key_u32(builder, "bert.block_count", (uint32_t)n_layers);
    gguf_key_u32(builder, "bert.attention.head_count", (uint32_t)config_int(weights, family->n_heads, 1, 1 << 16, REQUIRED));
    gguf_key_f32(builder, "bert.attention.layer_norm_epsilon", config_real(weights, "layer_norm_eps", 1e-12));
    gguf_key_bool(builder, "bert.attention.causal", false);
    if (weights->status == 0)
        gguf_key_u32(builder, "bert.pooling_type", (uint32_t)types[pooling.rows]);
    if (!pooling.normalised)
        gguf_key_bool(builder, "weir.embedding_as_pooled", true);
}

static const struct family *family_of(const struct model_file *file)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (str_equal(model_file_architecture(file), str_of(families[i].model_type)))
            return &families[i];
    return NULL;
}

int encoder_add_gguf(const struct model_file *file, enum tensor_type type, struct gguf_builder *builder, int *n_vocab, struct error *err)
{
    struct conversion conversion = {.family = family_of(file), .builder = builder, .type = type};
    struct weights *weights = &conversion.weights;
    if (conversion.family == NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, model_file_path(file), "of encoders only BERT, RoBERTa and DistilBERT are converted");
    weights_init(weights, file, PRECISION_EXACT, err);
    bool counted = strcmp(conversion.family->prefix, "roberta.") == 0;
    int n_before = counted ? config_int(weights, "pad_token_id", 0, 1024, 1) + 1 : 0;
    int n_layers = config_int(weights, conversion.family->n_layers, 1, 1024, REQUIRED);
    int n_positions = config_int(weights, "max_position_embeddings", n_before + 1, 1 << 20, REQUIRED) - n_before;
    *n_vocab = config_int(weights, "vocab_size", 1, 1 << 24, REQUIRED);
    if (config_activation(weights, conversion.family->activation, "gelu") != ACTIVATION_GELU && weights->status == 0)
        weights_fail(weights, WEIR_E_UNSUPPORTED, conversion.family->activation, "GGUF's bert files can't say another activation than gelu");
    if (!str_equal(config_str(weights, "position_embedding_type", "absolute"), STR("absolute")))
        weights_fail(weights, WEIR_E_UNSUPPORTED, "position_embedding_type", "only \"absolute\" is converted");
    if (weights->status == 0)
        add_keys(&conversion, n_layers, n_positions);
    if (weights->status == 0)
        add_embeddings(&conversion, n_before);
    if (weights->status == 0)
        add_layers(&conversion, n_layers);
    if (weights->status == 0)
        add_head(&conversion);
    int status = weights->status;
    weights_release(weights);
    return status;
}
