/* BERT (Devlin et al. 2019), RoBERTa (Liu et al. 2019), which differs by how positions are counted and by its head, and both
 * as llama.cpp's converter writes them to GGUF ("bert"). */
#include "encoder/architecture.h"

struct bert {
    struct embeddings embeddings;
    struct heads heads;
    struct layer_shape shape;
    enum activation activation;
    int n_layers;
    struct layer *layers;
};

static const struct layer_names names_published = {
    .query = "attention.self.query",
    .key = "attention.self.key",
    .value = "attention.self.value",
    .output = "attention.output.dense",
    .attention_norm = "attention.output.LayerNorm",
    .up = "intermediate.dense",
    .down = "output.dense",
    .output_norm = "output.LayerNorm",
};
static const struct layer_names names_gguf = {
    .query = "attn_q",
    .key = "attn_k",
    .value = "attn_v",
    .output = "attn_output",
    .attention_norm = "attn_output_norm",
    .up = "ffn_up",
    .down = "ffn_down",
    .output_norm = "layer_output_norm",
};

static void bert_open_layers(struct weights *weights, struct bert *bert, const struct layer_names *names, const char *before)
{
    bert->layers = weights_alloc(weights, (size_t)bert->n_layers, sizeof *bert->layers);
    for (int i = 0; i < bert->n_layers && weights->status == 0; i++) {
        char at[64];
        snprintf(at, sizeof at, "%s.%d.", before, i);
        layer_open(weights, names, &bert->shape, at, &bert->layers[i]);
    }
}

static void bert_fill_body(const struct bert *bert, struct body *body)
{
    body->self = bert;
    body->n_vocab = bert->embeddings.words.n_rows;
    body->n_types = bert->embeddings.types.n_rows;
    body->n_positions = bert->embeddings.positions.n_rows - (bert->embeddings.pad + 1);
    body->width = bert->shape.width;
    body->n_layers = bert->n_layers;
    body->row_floats = layer_row_floats(&bert->shape);
    body->heads = &bert->heads;
}

/* pad: see struct embeddings. */
static void bert_open_with(struct weights *weights, struct body *body, int32_t pad, double eps)
{
    struct bert *bert = weights_alloc(weights, 1, sizeof *bert);
    if (bert == NULL)
        return;
    if (!str_equal(config_str(weights, "position_embedding_type", "absolute"), STR("absolute")))
        weights_fail(weights, WEIR_E_UNSUPPORTED, "position_embedding_type", "only \"absolute\" is supported");
    if (config_bool(weights, "is_decoder", false))
        weights_fail(weights, WEIR_E_UNSUPPORTED, "is_decoder", "a decoder of this kind is not supported");
    int width = config_int(weights, "hidden_size", 1, WIDEST, REQUIRED);
    int n_positions = config_int(weights, "max_position_embeddings", pad + 2, MOST_POSITIONS, REQUIRED);
    bert->shape = (struct layer_shape){width, config_int(weights, "intermediate_size", 1, WIDEST, REQUIRED),
                                       config_real(weights, "layer_norm_eps", eps)};
    bert->heads = heads_open(weights, "num_attention_heads", width);
    bert->activation = config_activation(weights, "hidden_act", "gelu");
    bert->n_layers = config_int(weights, "num_hidden_layers", 1, MOST_LAYERS, REQUIRED);
    bert->embeddings = (struct embeddings){
        .words = weights_table(weights, config_int(weights, "vocab_size", 1, LARGEST_VOCABULARY, REQUIRED), width, "embeddings.word_embeddings"),
        .positions = weights_table(weights, n_positions, width, "embeddings.position_embeddings"),
        .types = weights_table(weights, config_int(weights, "type_vocab_size", 1, WIDEST, 2), width, "embeddings.token_type_embeddings"),
        .norm = weights_norm(weights, width, bert->shape.eps, "embeddings.LayerNorm"),
        .pad = pad,
    };
    bert_open_layers(weights, bert, &names_published, "encoder.layer");
    bert_fill_body(bert, body);
}

static void bert_open(struct weights *weights, struct body *body)
{
    bert_open_with(weights, body, -1, 1e-12);
}

static void roberta_open(struct weights *weights, struct body *body)
{
    bert_open_with(weights, body, config_int(weights, "pad_token_id", 0, 1024, 1), 1e-12);
}

static void gguf_open(struct weights *weights, struct body *body)
{
    struct bert *bert = weights_alloc(weights, 1, sizeof *bert);
    if (bert == NULL)
        return;
    int width = config_int(weights, "embedding_length", 1, WIDEST, REQUIRED);
    bert->shape = (struct layer_shape){width, config_int(weights, "feed_forward_length", 1, WIDEST, REQUIRED),
                                       config_real(weights, "attention.layer_norm_epsilon", 1e-12)};
    bert->heads = heads_open(weights, "attention.head_count", width);
    bert->activation = ACTIVATION_GELU;
    bert->n_layers = config_int(weights, "block_count", 1, MOST_LAYERS, REQUIRED);
    bert->embeddings = (struct embeddings){
        .words = weights_table(weights, 0, width, "token_embd"),
        .positions = weights_table(weights, 0, width, "position_embd"),
        .norm = weights_norm(weights, width, bert->shape.eps, "token_embd_norm"),
        .pad = -1,
    };
    if (weights_has(weights, "token_types"))
        bert->embeddings.types = weights_table(weights, 0, width, "token_types");
    bert_open_layers(weights, bert, &names_gguf, "blk");
    bert_fill_body(bert, body);
    int n_context = config_int(weights, "context_length", 1, MOST_POSITIONS, body->n_positions);
    if (n_context < body->n_positions)
        body->n_positions = n_context;
}

static void bert_forward(const void *self, struct pass *pass, float *x)
{
    const struct bert *bert = self;
    embeddings_forward(&bert->embeddings, pass, x);
    struct layer_rows rows = layer_take(&bert->shape, pass);
    for (int i = 0; i < bert->n_layers; i++) {
        if (i == bert->n_layers - 1)
            pass_keep_inner(pass, x, bert->shape.width);
        layer_forward(&bert->layers[i], &bert->heads, NULL, bert->activation, &rows, pass, x);
    }
}

static void bert_open_head(struct weights *weights, const struct body *body, bool per_token, struct head *head)
{
    if (!per_token) {
        head->dense = weights_linear(weights, body->width, body->width, "pooler.dense");
        head->activated = true;
        head->activation = ACTIVATION_TANH;
    }
    head->out = weights_linear(weights, 0, body->width, "classifier");
}

static void roberta_open_head(struct weights *weights, const struct body *body, bool per_token, struct head *head)
{
    if (per_token) {
        head->out = weights_linear(weights, 0, body->width, "classifier");
        return;
    }
    head->dense = weights_linear(weights, body->width, body->width, "classifier.dense");
    head->activated = true;
    head->activation = ACTIVATION_TANH;
    head->out = weights_linear(weights, 0, body->width, "classifier.out_proj");
}

static void gguf_open_head(struct weights *weights, const struct body *body, bool per_token, struct head *head)
{
    if (!weights_has(weights, "cls.output")) {
        head->out = weights_linear(weights, 0, body->width, "cls");
        return;
    }
    if (weights_has(weights, "cls")) {
        head->dense = weights_linear(weights, body->width, body->width, "cls");
        head->activated = true;
        head->activation = ACTIVATION_TANH;
    }
    head->out = weights_linear(weights, 0, body->width, "cls.output");
}

const struct architecture architecture_bert = {
    .names = (const char *const[]){"bert", NULL},
    .prefix = "bert.",
    .open = bert_open,
    .open_head = bert_open_head,
    .forward = bert_forward,
};
const struct architecture architecture_roberta = {
    .names = (const char *const[]){"roberta", "xlm-roberta", "camembert", NULL},
    .prefix = "roberta.",
    .open = roberta_open,
    .open_head = roberta_open_head,
    .forward = bert_forward,
};
const struct architecture architecture_bert_gguf = {
    .names = (const char *const[]){"bert", NULL},
    .prefix = "",
    .open = gguf_open,
    .open_head = gguf_open_head,
    .forward = bert_forward,
};
