/* DistilBERT (Sanh et al. 2019): BERT of half the layers without token types and pooler, under other names. */
#include "encoder/architecture.h"

struct distilbert {
    struct embeddings embeddings;
    struct heads heads;
    struct layer_shape shape;
    enum activation activation;
    int n_layers;
    struct layer *layers;
};

static const double eps = 1e-12; /* Not a setting. */

static const struct layer_names names = {
    .query = "attention.q_lin",
    .key = "attention.k_lin",
    .value = "attention.v_lin",
    .output = "attention.out_lin",
    .attention_norm = "sa_layer_norm",
    .up = "ffn.lin1",
    .down = "ffn.lin2",
    .output_norm = "output_layer_norm",
};

static void distilbert_open(struct weights *weights, struct body *body)
{
    struct distilbert *bert = weights_alloc(weights, 1, sizeof *bert);
    if (bert == NULL)
        return;
    int width = config_int(weights, "dim", 1, WIDEST, REQUIRED);
    int n_positions = config_int(weights, "max_position_embeddings", 1, MOST_POSITIONS, REQUIRED);
    bert->shape = (struct layer_shape){width, config_int(weights, "hidden_dim", 1, WIDEST, REQUIRED), eps};
    bert->heads = heads_open(weights, "n_heads", width);
    bert->activation = config_activation(weights, "activation", "gelu");
    bert->n_layers = config_int(weights, "n_layers", 1, MOST_LAYERS, REQUIRED);
    bert->embeddings = (struct embeddings){
        .words = weights_table(weights, config_int(weights, "vocab_size", 1, LARGEST_VOCABULARY, REQUIRED), width, "embeddings.word_embeddings"),
        .positions = weights_table(weights, n_positions, width, "embeddings.position_embeddings"),
        .norm = weights_norm(weights, width, eps, "embeddings.LayerNorm"),
        .pad = -1,
    };
    bert->layers = weights_alloc(weights, (size_t)bert->n_layers, sizeof *bert->layers);
    for (int i = 0; i < bert->n_layers && weights->status == 0; i++) {
        char at[64];
        snprintf(at, sizeof at, "transformer.layer.%d.", i);
        layer_open(weights, &names, &bert->shape, at, &bert->layers[i]);
    }
    *body = (struct body){.self = bert, .n_vocab = bert->embeddings.words.n_rows, .n_positions = n_positions, .width = width,
                          .n_layers = bert->n_layers, .row_floats = layer_row_floats(&bert->shape), .heads = &bert->heads};
}

static void distilbert_forward(const void *self, struct pass *pass, float *x)
{
    const struct distilbert *bert = self;
    embeddings_forward(&bert->embeddings, pass, x);
    struct layer_rows rows = layer_take(&bert->shape, pass);
    for (int i = 0; i < bert->n_layers; i++) {
        if (i == bert->n_layers - 1)
            pass_keep_inner(pass, x, bert->shape.width);
        layer_forward(&bert->layers[i], &bert->heads, NULL, bert->activation, &rows, pass, x);
    }
}

static void distilbert_open_head(struct weights *weights, const struct body *body, bool per_token, struct head *head)
{
    if (!per_token) {
        head->dense = weights_linear(weights, body->width, body->width, "pre_classifier");
        head->activated = true;
        head->activation = ACTIVATION_RELU;
    }
    head->out = weights_linear(weights, 0, body->width, "classifier");
}

const struct architecture architecture_distilbert = {
    .names = (const char *const[]){"distilbert", NULL},
    .prefix = "distilbert.",
    .open = distilbert_open,
    .open_head = distilbert_open_head,
    .forward = distilbert_forward,
};
