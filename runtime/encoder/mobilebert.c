/* MobileBERT (Sun et al. 2020): wide rows between layers, narrow ones inside. Each layer squeezes its input through a
 * bottleneck, attends, goes through several small feed-forward networks and widens again. As published: keys and queries
 * share a bottleneck of their own, values come from the wide rows, a norm is only a scale and a shift, and a word's embedding
 * is projected together with its neighbours'. Each of these is a setting. */
#include "encoder/architecture.h"

enum { MOST_NETWORKS = 64 };

/* x = norm(down(act(up(x))) + x) */
struct network {
    const struct linear *up, *down;
    struct norm norm;
};
struct squeeze {
    const struct linear *dense;
    struct norm norm;
};
struct mobile_layer {
    struct squeeze input, shared; /* Bottlenecks: of the layer, and of keys and queries. */
    const struct linear *query, *key, *value, *output;
    struct norm attention_norm;
    struct network *networks; /* n_networks, the last is the layer's own. */
    struct squeeze widen;     /* norm(dense(x) + the layer's input) */
};

struct mobilebert {
    struct table words, positions, types;
    const struct linear *transformation; /* NULL: none. */
    struct norm embedding_norm;
    bool trigrams;
    bool plain_norm;
    bool bottleneck, bottleneck_attention, shared_bottleneck;
    bool pooler_dense;
    int width; /* Between layers. */
    int inside; /* In them. */
    int inner; /* Of a feed-forward network. */
    int n_layers, n_networks;
    double eps;
    enum activation activation;
    struct heads heads;
    struct mobile_layer *layers;
};

/* The reference gives the embeddings' norm and the last network's PyTorch's default, whatever the file sets. */
static const float unset_eps = 1e-5f;

static struct norm norm_open(struct weights *weights, const struct mobilebert *bert, int n, const char *at, const char *name)
{
    struct norm norm = weights_norm(weights, n, bert->eps, "%s%s", at, name);
    norm.plain = bert->plain_norm;
    return norm;
}

static struct squeeze squeeze_open(struct weights *weights, const struct mobilebert *bert, int n_out, int n_in, const char *at, const char *name)
{
    char before[96];
    snprintf(before, sizeof before, "%s%s.", at, name);
    return (struct squeeze){weights_linear(weights, n_out, n_in, "%sdense", before), norm_open(weights, bert, n_out, before, "LayerNorm")};
}

static void layer_read(struct weights *weights, const struct mobilebert *bert, int index, struct mobile_layer *layer)
{
    char at[64];
    snprintf(at, sizeof at, "encoder.layer.%d.", index);
    int inside = bert->inside;
    bool squeezed_keys = bert->bottleneck && (bert->bottleneck_attention || bert->shared_bottleneck);
    int key_width = squeezed_keys ? inside : bert->width, value_width = bert->bottleneck_attention ? inside : bert->width;
    if (bert->bottleneck)
        layer->input = squeeze_open(weights, bert, inside, bert->width, at, "bottleneck.input");
    if (bert->bottleneck && bert->shared_bottleneck && !bert->bottleneck_attention)
        layer->shared = squeeze_open(weights, bert, inside, bert->width, at, "bottleneck.attention");
    layer->query = weights_linear(weights, inside, key_width, "%sattention.self.query", at);
    layer->key = weights_linear(weights, inside, key_width, "%sattention.self.key", at);
    layer->value = weights_linear(weights, inside, value_width, "%sattention.self.value", at);
    layer->output = weights_linear(weights, inside, inside, "%sattention.output.dense", at);
    layer->attention_norm = norm_open(weights, bert, inside, at, "attention.output.LayerNorm");
    layer->networks = weights_alloc(weights, (size_t)bert->n_networks, sizeof *layer->networks);
    for (int i = 0; i < bert->n_networks && weights->status == 0; i++) {
        char before[96];
        snprintf(before, sizeof before, i < bert->n_networks - 1 ? "%sffn.%d." : "%s", at, i);
        layer->networks[i] = (struct network){weights_linear(weights, bert->inner, inside, "%sintermediate.dense", before),
                                              weights_linear(weights, inside, bert->inner, "%soutput.dense", before),
                                              norm_open(weights, bert, inside, before, "output.LayerNorm")};
    }
    if (weights->status == 0)
        layer->networks[bert->n_networks - 1].norm.eps = unset_eps;
    if (bert->bottleneck)
        layer->widen = squeeze_open(weights, bert, bert->width, inside, at, "output.bottleneck");
}

static void settings_read(struct weights *weights, struct mobilebert *bert)
{
    bert->width = config_int(weights, "hidden_size", 1, WIDEST, 512);
    bert->bottleneck = config_bool(weights, "use_bottleneck", true);
    bert->bottleneck_attention = bert->bottleneck && config_bool(weights, "use_bottleneck_attention", false);
    bert->shared_bottleneck = config_bool(weights, "key_query_shared_bottleneck", true);
    bert->inside = bert->bottleneck ? config_int(weights, "intra_bottleneck_size", 1, WIDEST, 128) : bert->width;
    bert->inner = config_int(weights, "intermediate_size", 1, WIDEST, 512);
    bert->n_layers = config_int(weights, "num_hidden_layers", 1, MOST_LAYERS, 24);
    bert->n_networks = config_int(weights, "num_feedforward_networks", 1, MOST_NETWORKS, 4);
    bert->eps = config_real(weights, "layer_norm_eps", 1e-12);
    bert->activation = config_activation(weights, "hidden_act", "relu");
    bert->trigrams = config_bool(weights, "trigram_input", true);
    bert->pooler_dense = config_bool(weights, "classifier_activation", true);
    bert->heads = heads_open(weights, "num_attention_heads", bert->inside);
    str norm = config_str(weights, "normalization_type", "no_norm");
    bert->plain_norm = str_equal(norm, STR("no_norm"));
    if (!bert->plain_norm && !str_equal(norm, STR("layer_norm")))
        weights_fail(weights, WEIR_E_UNSUPPORTED, "normalization_type", "only \"no_norm\" and \"layer_norm\" are supported");
}

static void mobilebert_open(struct weights *weights, struct body *body)
{
    struct mobilebert *bert = weights_alloc(weights, 1, sizeof *bert);
    if (bert == NULL)
        return;
    settings_read(weights, bert);
    int n_positions = config_int(weights, "max_position_embeddings", 1, MOST_POSITIONS, 512);
    int narrow = config_int(weights, "embedding_size", 1, WIDEST, 128), width = bert->width;
    bert->words = weights_table(weights, config_int(weights, "vocab_size", 1, LARGEST_VOCABULARY, REQUIRED), narrow, "embeddings.word_embeddings");
    bert->positions = weights_table(weights, n_positions, width, "embeddings.position_embeddings");
    bert->types = weights_table(weights, config_int(weights, "type_vocab_size", 1, WIDEST, 2), width, "embeddings.token_type_embeddings");
    if (bert->trigrams || narrow != width)
        bert->transformation = weights_linear(weights, width, bert->trigrams ? 3 * narrow : narrow, "embeddings.embedding_transformation");
    bert->embedding_norm = norm_open(weights, bert, width, "embeddings.", "LayerNorm");
    bert->embedding_norm.eps = unset_eps;
    bert->layers = weights_alloc(weights, (size_t)bert->n_layers, sizeof *bert->layers);
    for (int i = 0; i < bert->n_layers && weights->status == 0; i++)
        layer_read(weights, bert, i, &bert->layers[i]);
    *body = (struct body){.self = bert, .n_vocab = bert->words.n_rows, .n_types = bert->types.n_rows, .n_positions = n_positions,
                          .width = width, .n_layers = bert->n_layers, .heads = &bert->heads};
    body->row_floats = 3 * (size_t)narrow + (size_t)width + 6 * (size_t)bert->inside + (size_t)bert->inner;
}

/* ---- forward */

struct words_job {
    const struct mobilebert *bert;
    const struct pass *pass;
    float *x;
};

/* Each row: the embeddings of the next token, this one and the one before, zeros beyond the text's ends. */
static void trigram_rows(void *arg, int first, int end)
{
    const struct words_job *job = arg;
    const struct table *words = &job->bert->words;
    size_t narrow = (size_t)words->width;
    for (int row = first; row < end; row++) {
        float *x = job->x + (size_t)row * 3 * narrow;
        bool last = row + 1 == job->pass->n_rows || pass_position(job->pass, row + 1) == 0;
        memset(x, 0, 3 * narrow * sizeof *x);
        if (!last)
            table_row(words, job->pass->ids[row + 1], x);
        table_row(words, job->pass->ids[row], x + narrow);
        if (pass_position(job->pass, row) > 0)
            table_row(words, job->pass->ids[row - 1], x + 2 * narrow);
    }
}

static void word_rows(void *arg, int first, int end)
{
    const struct words_job *job = arg;
    for (int row = first; row < end; row++)
        table_row(&job->bert->words, job->pass->ids[row], job->x + (size_t)row * (size_t)job->bert->words.width);
}

static void finish_rows(void *arg, int first, int end)
{
    const struct words_job *job = arg;
    for (int row = first; row < end; row++) {
        float *x = job->x + (size_t)row * (size_t)job->bert->width;
        table_add(&job->bert->positions, pass_position(job->pass, row), x);
        table_add(&job->bert->types, job->pass->types[row], x);
        norm_apply(&job->bert->embedding_norm, x, x);
    }
}

static void embed(const struct mobilebert *bert, struct pass *pass, float *words, float *x)
{
    struct words_job job = {bert, pass, bert->transformation != NULL ? words : x};
    pass_rows(pass, 3 * bert->words.width, bert->trigrams ? trigram_rows : word_rows, &job);
    if (bert->transformation != NULL)
        linear_apply(bert->transformation, pass->pool, words, pass->n_rows, x);
    job.x = x;
    pass_rows(pass, bert->width, finish_rows, &job);
}

struct mobile_rows {
    float *words;  /* Also q, k, v's sources before attention. */
    float *wide;   /* The layer's output before it replaces its input. */
    float *bottle; /* Inside rows. */
    float *shared, *q, *k, *v, *mixed;
    float *inner;
};

static void squeeze_forward(const struct squeeze *squeeze, struct pass *pass, const float *x, float *y)
{
    linear_apply(squeeze->dense, pass->pool, x, pass->n_rows, y);
    pass_norm(pass, &squeeze->norm, NULL, y);
}

/* Attention on top of the bottleneck's rows; leaves the result in rows->bottle. */
static void attend(const struct mobilebert *bert, const struct mobile_layer *layer, const struct mobile_rows *rows, struct pass *pass, const float *x)
{
    const float *keys = x, *values = x;
    if (bert->bottleneck_attention)
        keys = values = rows->bottle;
    if (layer->shared.dense != NULL) {
        squeeze_forward(&layer->shared, pass, x, rows->shared);
        keys = rows->shared;
    }
    const struct linear *qk[] = {layer->query, layer->key};
    linear_apply_many(qk, 2, pass->pool, keys, pass->n_rows, (float *const[]){rows->q, rows->k});
    linear_apply(layer->value, pass->pool, values, pass->n_rows, rows->v);
    heads_attend(&bert->heads, NULL, pass, rows->q, rows->k, rows->v, rows->mixed);
    linear_apply(layer->output, pass->pool, rows->mixed, pass->n_rows, rows->q);
    pass_norm(pass, &layer->attention_norm, rows->q, rows->bottle);
}

static void layer_run(const struct mobilebert *bert, const struct mobile_layer *layer, const struct mobile_rows *rows, struct pass *pass, float *x)
{
    if (bert->bottleneck)
        squeeze_forward(&layer->input, pass, x, rows->bottle);
    else
        memcpy(rows->bottle, x, (size_t)pass->n_rows * (size_t)bert->width * sizeof *x);
    attend(bert, layer, rows, pass, x);
    for (int i = 0; i < bert->n_networks; i++) {
        const struct network *network = &layer->networks[i];
        linear_apply(network->up, pass->pool, rows->bottle, pass->n_rows, rows->inner);
        pass_activate(pass, bert->activation, rows->inner, bert->inner);
        linear_apply(network->down, pass->pool, rows->inner, pass->n_rows, rows->q);
        pass_norm(pass, &network->norm, rows->q, rows->bottle);
    }
    if (!bert->bottleneck) {
        memcpy(x, rows->bottle, (size_t)pass->n_rows * (size_t)bert->width * sizeof *x);
        return;
    }
    linear_apply(layer->widen.dense, pass->pool, rows->bottle, pass->n_rows, rows->wide);
    pass_norm(pass, &layer->widen.norm, rows->wide, x);
}

static void mobilebert_forward(const void *self, struct pass *pass, float *x)
{
    const struct mobilebert *bert = self;
    struct mobile_rows rows = {
        .words = pass_take(pass, 3 * bert->words.width), .wide = pass_take(pass, bert->width),    .bottle = pass_take(pass, bert->inside),
        .shared = pass_take(pass, bert->inside),         .q = pass_take(pass, bert->inside),      .k = pass_take(pass, bert->inside),
        .v = pass_take(pass, bert->inside),              .mixed = pass_take(pass, bert->inside),  .inner = pass_take(pass, bert->inner),
    };
    embed(bert, pass, rows.words, x);
    for (int i = 0; i < bert->n_layers; i++)
        layer_run(bert, &bert->layers[i], &rows, pass, x);
}

static void mobilebert_open_head(struct weights *weights, const struct body *body, bool per_token, struct head *head)
{
    const struct mobilebert *bert = body->self;
    if (!per_token && bert->pooler_dense) {
        head->dense = weights_linear(weights, body->width, body->width, "pooler.dense");
        head->activated = true;
        head->activation = ACTIVATION_TANH;
    }
    head->out = weights_linear(weights, 0, body->width, "classifier");
}

const struct architecture architecture_mobilebert = {
    .names = (const char *const[]){"mobilebert", NULL},
    .prefix = "mobilebert.",
    .open = mobilebert_open,
    .open_head = mobilebert_open_head,
    .forward = mobilebert_forward,
};
