/* ModernBERT (Warner et al. 2024): pre-norm layers without biases as a rule, rotary positions, gated feed-forward networks,
 * and full attention in some layers only, a window of neighbours in the others, with a rotary base of its own. */
#include "encoder/architecture.h"

#include <math.h>

struct modern_layer {
    bool global;
    struct norm attention_norm; /* The first layer has none. */
    const struct linear *query, *key, *value, *output;
    struct norm mlp_norm;
    const struct linear *input, *gate, *down;
};

struct modernbert {
    struct embeddings embeddings;
    struct heads heads_global, heads_local;
    struct rope rope_global, rope_local;
    enum activation activation;
    enum activation head_activation;
    bool mean_pooled;
    double eps;
    int width;
    int inner;
    int n_layers;
    struct modern_layer *layers;
    struct norm final_norm;
};

static struct rope rope_open(struct weights *weights, double theta, int head_dim)
{
    float *inv_freq = weights_alloc(weights, (size_t)head_dim / 2 + 1, sizeof *inv_freq);
    for (int i = 0; inv_freq != NULL && i < head_dim / 2; i++)
        inv_freq[i] = (float)(1.0 / pow(theta, 2.0 * i / head_dim));
    if (theta <= 0 || head_dim % 2 != 0)
        weights_fail(weights, WEIR_E_INVALID, "rope_theta", "%g with heads of %d is no rotary base", theta, head_dim);
    return (struct rope){.inv_freq = inv_freq, .n_rot = head_dim, .scale = 1};
}

/* rope_parameters.<kind>.rope_theta as written today, else the older key; a rope_type other than "default" is refused. */
static double theta_read(struct weights *weights, const char *kind, const char *key, double otherwise)
{
    const json_t *entry = json_object_get(json_object_get(model_file_config(weights->file), "rope_parameters"), kind);
    double theta = config_real(weights, key, otherwise);
    str type = STR("default");
    struct error err = {0};
    if (json_is_object(entry) &&
        (json_member_f64(entry, "rope_theta", &theta, &err) < 0 || json_member_str(entry, "rope_type", &type, &err) < 0))
        weights_fail(weights, err.status, "rope_parameters", "%s: %s", err.where, err.text);
    if (!str_equal(type, STR("default")) || (!json_is_object(entry) && json_is_object(json_object_get(model_file_config(weights->file), "rope_scaling"))))
        weights_fail(weights, WEIR_E_UNSUPPORTED, "rope_parameters", "scaled rotary positions are not supported for this architecture");
    return theta;
}

/* Does the layer see everything? layer_types says, else every n-th layer does. */
static bool is_global(struct weights *weights, int index)
{
    const json_t *types = json_object_get(model_file_config(weights->file), "layer_types");
    if (!json_is_array(types))
        return index % config_int(weights, "global_attn_every_n_layers", 1, MOST_LAYERS, 3) == 0;
    const char *type = json_string_value(json_array_get(types, (size_t)index));
    if (type == NULL || (strcmp(type, "full_attention") != 0 && strcmp(type, "sliding_attention") != 0))
        weights_fail(weights, WEIR_E_INVALID, "layer_types", "element %d is neither full_attention nor sliding_attention", index);
    return type != NULL && strcmp(type, "full_attention") == 0;
}

static void layer_read(struct weights *weights, const struct modernbert *bert, int index, struct modern_layer *layer)
{
    char at[64];
    int width = bert->width, inner = bert->inner;
    snprintf(at, sizeof at, "layers.%d.", index);
    layer->global = is_global(weights, index);
    if (index > 0 || weights_has(weights, "%sattn_norm", at))
        layer->attention_norm = weights_norm(weights, width, bert->eps, "%sattn_norm", at);
    layer->query = weights_linear_part(weights, 0, width, 3 * width, width, "%sattn.Wqkv", at);
    layer->key = weights_linear_part(weights, width, width, 3 * width, width, "%sattn.Wqkv", at);
    layer->value = weights_linear_part(weights, 2 * width, width, 3 * width, width, "%sattn.Wqkv", at);
    layer->output = weights_linear(weights, width, width, "%sattn.Wo", at);
    layer->mlp_norm = weights_norm(weights, width, bert->eps, "%smlp_norm", at);
    layer->input = weights_linear_part(weights, 0, inner, 2 * inner, width, "%smlp.Wi", at);
    layer->gate = weights_linear_part(weights, inner, inner, 2 * inner, width, "%smlp.Wi", at);
    layer->down = weights_linear(weights, width, inner, "%smlp.Wo", at);
}

static void modernbert_open(struct weights *weights, struct body *body)
{
    struct modernbert *bert = weights_alloc(weights, 1, sizeof *bert);
    if (bert == NULL)
        return;
    bert->width = config_int(weights, "hidden_size", 1, WIDEST, REQUIRED);
    bert->inner = config_int(weights, "intermediate_size", 1, WIDEST, REQUIRED);
    bert->n_layers = config_int(weights, "num_hidden_layers", 1, MOST_LAYERS, REQUIRED);
    bert->eps = config_real(weights, "norm_eps", 1e-5);
    bert->activation = config_activation(weights, "hidden_activation", "gelu");
    bert->head_activation = config_activation(weights, "classifier_activation", "gelu");
    bert->mean_pooled = str_equal(config_str(weights, "classifier_pooling", "cls"), STR("mean"));
    bert->heads_global = bert->heads_local = heads_open(weights, "num_attention_heads", bert->width);
    bert->heads_local.window = config_int(weights, "local_attention", 2, MOST_POSITIONS, 128) / 2;
    double theta = theta_read(weights, "full_attention", "global_rope_theta", 160000);
    bert->rope_global = rope_open(weights, theta, bert->heads_global.head_dim);
    bert->rope_local = rope_open(weights, theta_read(weights, "sliding_attention", "local_rope_theta", 10000), bert->heads_local.head_dim);
    bert->embeddings = (struct embeddings){
        .words = weights_table(weights, config_int(weights, "vocab_size", 1, LARGEST_VOCABULARY, REQUIRED), bert->width, "embeddings.tok_embeddings"),
        .norm = weights_norm(weights, bert->width, bert->eps, "embeddings.norm"),
        .pad = -1,
    };
    bert->layers = weights_alloc(weights, (size_t)bert->n_layers, sizeof *bert->layers);
    for (int i = 0; i < bert->n_layers && weights->status == 0; i++)
        layer_read(weights, bert, i, &bert->layers[i]);
    bert->final_norm = weights_norm(weights, bert->width, bert->eps, "final_norm");
    *body = (struct body){.self = bert, .n_vocab = bert->embeddings.words.n_rows, .width = bert->width, .n_layers = bert->n_layers,
                          .n_positions = config_int(weights, "max_position_embeddings", 1, MOST_POSITIONS, 8192),
                          .row_floats = 5 * (size_t)bert->width + 2 * (size_t)bert->inner, .heads = &bert->heads_global};
}

struct rotate_job {
    const struct rope *rope;
    const struct heads *heads;
    const struct pass *pass;
    float *q, *k;
};

static void rotate_rows(void *arg, int first, int end)
{
    const struct rotate_job *job = arg;
    int n_heads = job->heads->n_heads, head_dim = job->heads->head_dim;
    for (int row = first; row < end; row++) {
        int32_t position = pass_position(job->pass, row);
        size_t at = (size_t)row * (size_t)(n_heads * head_dim);
        rope_apply(job->rope, job->q + at, n_heads, head_dim, position);
        rope_apply(job->rope, job->k + at, n_heads, head_dim, position);
    }
}

struct modern_rows {
    float *normed, *q, *k, *v, *mixed, *inner, *gate;
};

static void layer_run(const struct modernbert *bert, const struct modern_layer *layer, const struct modern_rows *rows, struct pass *pass, float *x)
{
    const struct heads *heads = layer->global ? &bert->heads_global : &bert->heads_local;
    const float *in = x;
    if (layer->attention_norm.w != NULL) {
        pass_norm_to(pass, &layer->attention_norm, x, rows->normed);
        in = rows->normed;
    }
    const struct linear *qkv[] = {layer->query, layer->key, layer->value};
    linear_apply_many(qkv, 3, pass->pool, in, pass->n_rows, (float *const[]){rows->q, rows->k, rows->v});
    struct rotate_job rotation = {layer->global ? &bert->rope_global : &bert->rope_local, heads, pass, rows->q, rows->k};
    pass_rows(pass, 2 * bert->width, rotate_rows, &rotation);
    heads_attend(heads, NULL, pass, rows->q, rows->k, rows->v, rows->mixed);
    linear_apply(layer->output, pass->pool, rows->mixed, pass->n_rows, rows->q);
    pass_add(pass, rows->q, x, bert->width);

    pass_norm_to(pass, &layer->mlp_norm, x, rows->normed);
    const struct linear *up[] = {layer->input, layer->gate};
    linear_apply_many(up, 2, pass->pool, rows->normed, pass->n_rows, (float *const[]){rows->inner, rows->gate});
    pass_activate_gate(pass, bert->activation, rows->inner, rows->gate, bert->inner);
    linear_apply(layer->down, pass->pool, rows->inner, pass->n_rows, rows->q);
    pass_add(pass, rows->q, x, bert->width);
}

static void modernbert_forward(const void *self, struct pass *pass, float *x)
{
    const struct modernbert *bert = self;
    struct modern_rows rows = {
        .normed = pass_take(pass, bert->width), .q = pass_take(pass, bert->width),     .k = pass_take(pass, bert->width),
        .v = pass_take(pass, bert->width),      .mixed = pass_take(pass, bert->width), .inner = pass_take(pass, bert->inner),
        .gate = pass_take(pass, bert->inner),
    };
    embeddings_forward(&bert->embeddings, pass, x);
    for (int i = 0; i < bert->n_layers; i++)
        layer_run(bert, &bert->layers[i], &rows, pass, x);
    pass_norm(pass, &bert->final_norm, NULL, x);
}

static void modernbert_open_head(struct weights *weights, const struct body *body, bool per_token, struct head *head)
{
    const struct modernbert *bert = body->self;
    if (!per_token && bert->mean_pooled)
        head->rows = HEAD_MEAN;
    head->dense = weights_linear(weights, body->width, body->width, "head.dense");
    head->activated = true;
    head->activation = bert->head_activation;
    head->norm = weights_norm(weights, body->width, bert->eps, "head.norm");
    head->out = weights_linear(weights, 0, body->width, "classifier");
}

const struct architecture architecture_modernbert = {
    .names = (const char *const[]){"modernbert", NULL},
    .prefix = "model.",
    .open = modernbert_open,
    .open_head = modernbert_open_head,
    .forward = modernbert_forward,
};
