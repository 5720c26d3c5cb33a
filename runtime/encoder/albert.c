/* ALBERT (Lan et al. 2020): embeddings narrower than the layers and projected up to them; layers shared: layer i of L uses
 * group i / (L / groups), whose inner layers are all applied. */
#include "encoder/architecture.h"

struct albert {
    struct embeddings embeddings;
    const struct linear *projection;
    struct heads heads;
    struct layer_shape shape;
    enum activation activation;
    int n_layers;
    int n_groups;
    int n_inner; /* Layers of a group. */
    struct layer *layers; /* n_groups × n_inner. */
};

static const struct layer_names names = {
    .query = "attention.query",
    .key = "attention.key",
    .value = "attention.value",
    .output = "attention.dense",
    .attention_norm = "attention.LayerNorm",
    .up = "ffn",
    .down = "ffn_output",
    .output_norm = "full_layer_layer_norm",
};

static void albert_open_layers(struct weights *weights, struct albert *albert)
{
    albert->layers = weights_alloc(weights, (size_t)albert->n_groups * (size_t)albert->n_inner, sizeof *albert->layers);
    for (int i = 0; i < albert->n_groups * albert->n_inner && weights->status == 0; i++) {
        char at[96];
        snprintf(at, sizeof at, "encoder.albert_layer_groups.%d.albert_layers.%d.", i / albert->n_inner, i % albert->n_inner);
        layer_open(weights, &names, &albert->shape, at, &albert->layers[i]);
    }
}

static void albert_open(struct weights *weights, struct body *body)
{
    struct albert *albert = weights_alloc(weights, 1, sizeof *albert);
    if (albert == NULL)
        return;
    int width = config_int(weights, "hidden_size", 1, WIDEST, REQUIRED);
    int narrow = config_int(weights, "embedding_size", 1, WIDEST, 128);
    int n_positions = config_int(weights, "max_position_embeddings", 1, MOST_POSITIONS, 512);
    if (!str_equal(config_str(weights, "position_embedding_type", "absolute"), STR("absolute")))
        weights_fail(weights, WEIR_E_UNSUPPORTED, "position_embedding_type", "only \"absolute\" is supported");
    albert->shape = (struct layer_shape){width, config_int(weights, "intermediate_size", 1, WIDEST, REQUIRED),
                                         config_real(weights, "layer_norm_eps", 1e-12)};
    albert->heads = heads_open(weights, "num_attention_heads", width);
    albert->activation = config_activation(weights, "hidden_act", "gelu_new");
    albert->n_layers = config_int(weights, "num_hidden_layers", 1, MOST_LAYERS, REQUIRED);
    albert->n_groups = config_int(weights, "num_hidden_groups", 1, albert->n_layers, 1);
    albert->n_inner = config_int(weights, "inner_group_num", 1, MOST_LAYERS, 1);
    albert->embeddings = (struct embeddings){
        .words = weights_table(weights, config_int(weights, "vocab_size", 1, LARGEST_VOCABULARY, REQUIRED), narrow, "embeddings.word_embeddings"),
        .positions = weights_table(weights, n_positions, narrow, "embeddings.position_embeddings"),
        .types = weights_table(weights, config_int(weights, "type_vocab_size", 1, WIDEST, 2), narrow, "embeddings.token_type_embeddings"),
        .norm = weights_norm(weights, narrow, albert->shape.eps, "embeddings.LayerNorm"),
        .pad = -1,
    };
    albert->projection = weights_linear(weights, width, narrow, "encoder.embedding_hidden_mapping_in");
    albert_open_layers(weights, albert);
    *body = (struct body){.self = albert, .n_vocab = albert->embeddings.words.n_rows, .n_types = albert->embeddings.types.n_rows,
                          .n_positions = n_positions, .width = width, .n_layers = albert->n_layers,
                          .row_floats = layer_row_floats(&albert->shape) + (size_t)narrow, .heads = &albert->heads};
}

static void albert_forward(const void *self, struct pass *pass, float *x)
{
    const struct albert *albert = self;
    float *narrow = pass_take(pass, albert->embeddings.words.width);
    embeddings_forward(&albert->embeddings, pass, narrow);
    linear_apply(albert->projection, pass->pool, narrow, pass->n_rows, x);
    struct layer_rows rows = layer_take(&albert->shape, pass);
    for (int i = 0; i < albert->n_layers; i++) {
        const struct layer *group = albert->layers + (size_t)((int64_t)i * albert->n_groups / albert->n_layers) * (size_t)albert->n_inner;
        for (int k = 0; k < albert->n_inner; k++)
            layer_forward(&group[k], &albert->heads, NULL, albert->activation, &rows, pass, x);
    }
}

static void albert_open_head(struct weights *weights, const struct body *body, bool per_token, struct head *head)
{
    if (!per_token) {
        head->dense = weights_linear(weights, body->width, body->width, "pooler");
        head->activated = true;
        head->activation = ACTIVATION_TANH;
    }
    head->out = weights_linear(weights, 0, body->width, "classifier");
}

const struct architecture architecture_albert = {
    .names = (const char *const[]){"albert", NULL},
    .prefix = "albert.",
    .open = albert_open,
    .open_head = albert_open_head,
    .forward = albert_forward,
};
