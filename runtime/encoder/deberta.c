/* DeBERTa v2 and v3 (He et al. 2021): BERT's layers with disentangled attention: beside content with content, a query's
 * content is matched with the relative position of a key (c2p) and a key's content with that of a query (p2c). Relative
 * positions have a table of their own, projected per layer; distant ones share buckets whose width grows with distance.
 *
 * The projections of the table don't depend on the input: they are made once, at open. */
#include "encoder/architecture.h"

#include <math.h>

struct deberta {
    struct embeddings embeddings;
    const struct linear *projection; /* Of narrower embeddings; NULL: none. */
    struct norm projection_norm;
    struct heads heads;
    struct layer_shape shape;
    enum activation activation, head_activation;
    bool relative, norm_positions, share_keys, from_content, to_content; /* c2p, p2c. */
    int span;      /* Half the number of buckets. */
    int n_buckets; /* Wide buckets begin here; 0: none are wide. */
    int n_positions;
    int n_layers;
    struct layer *layers;
    struct relative *positions; /* Of each layer. */
};

static const struct layer_names names = {
    .query = "attention.self.query_proj",
    .key = "attention.self.key_proj",
    .value = "attention.self.value_proj",
    .output = "attention.output.dense",
    .attention_norm = "attention.output.LayerNorm",
    .up = "intermediate.dense",
    .down = "output.dense",
    .output_norm = "output.LayerNorm",
};

/* Distance → bucket: itself up to half of the buckets, logarithmic beyond, so that `farthest` - 1 falls into the last. In
 * float32, as the reference computes it: the borders depend on it. */
static int bucket_of(int distance, int n_buckets, int farthest)
{
    int middle = n_buckets / 2, size = distance < 0 ? -distance : distance;
    if (n_buckets <= 0 || farthest <= 0 || size <= middle)
        return distance;
    float steps = logf((float)size / (float)middle) / logf((float)(farthest - 1) / (float)middle) * (float)(middle - 1);
    int bucket = (int)fminf(ceilf(steps), (float)(1 << 24)) + middle;
    return distance < 0 ? -bucket : bucket;
}

/* Bucket of each distance as an index into the table; the middle of the array is distance 0. */
static const int32_t *buckets_open(struct weights *weights, const struct deberta *bert, int farthest)
{
    int32_t *buckets = weights_alloc(weights, 2 * (size_t)bert->n_positions, sizeof *buckets);
    if (buckets == NULL)
        return NULL;
    for (int distance = 1 - bert->n_positions; distance < bert->n_positions; distance++) {
        int index = bucket_of(distance, bert->n_buckets, farthest) + bert->span;
        buckets[distance + bert->n_positions] = index < 0 ? 0 : index > 2 * bert->span - 1 ? 2 * bert->span - 1 : index;
    }
    return buckets + bert->n_positions;
}

static float *project(struct weights *weights, const struct linear *linear, const float *rows, int n_rows)
{
    float *out = linear != NULL ? weights_alloc(weights, (size_t)n_rows * (size_t)linear_n_out(linear), sizeof *out) : NULL;
    if (out != NULL) {
        linear_apply(linear, NULL, rows, n_rows, out);
        weights->n_bytes += (size_t)n_rows * (size_t)linear_n_out(linear) * sizeof *out;
    }
    return out;
}

/* The table of relative positions, normed if so set. The caller frees it. */
static float *positions_read(struct weights *weights, const struct deberta *bert)
{
    int width = bert->shape.width, n = 2 * bert->span;
    struct table table = weights_table(weights, n, width, "encoder.rel_embeddings");
    struct norm norm = {0};
    if (bert->norm_positions)
        norm = weights_norm(weights, width, bert->shape.eps, "encoder.LayerNorm");
    if (weights->status < 0)
        return NULL;
    float *rows = malloc((size_t)n * (size_t)width * sizeof *rows);
    if (rows == NULL)
        weights_fail(weights, WEIR_E_MEMORY, "encoder.rel_embeddings", "out of memory");
    for (int i = 0; rows != NULL && i < n; i++) {
        float *row = rows + (size_t)i * (size_t)width;
        table_row(&table, i, row);
        if (bert->norm_positions)
            norm_apply(&norm, row, row);
    }
    return rows;
}

static void positions_open(struct weights *weights, struct deberta *bert)
{
    int farthest = config_int(weights, "max_relative_positions", -1, MOST_POSITIONS, -1);
    if (farthest < 1)
        farthest = bert->n_positions;
    bert->n_buckets = config_int(weights, "position_buckets", -1, WIDEST, -1);
    if (bert->n_buckets > 0 && bert->n_buckets < 4)
        weights_fail(weights, WEIR_E_INVALID, "position_buckets", "%d are too few", bert->n_buckets);
    bert->span = bert->n_buckets > 0 ? bert->n_buckets : farthest;
    const int32_t *bucket = buckets_open(weights, bert, farthest);
    float *rows = positions_read(weights, bert);
    bert->positions = weights_alloc(weights, (size_t)bert->n_layers, sizeof *bert->positions);
    int width = bert->shape.width;
    for (int i = 0; i < bert->n_layers && weights->status == 0; i++) {
        const struct linear *key = bert->layers[i].key, *query = bert->layers[i].query;
        if (!bert->share_keys && bert->from_content)
            key = weights_linear(weights, width, width, "encoder.layer.%d.attention.self.pos_key_proj", i);
        if (!bert->share_keys && bert->to_content)
            query = weights_linear(weights, width, width, "encoder.layer.%d.attention.self.pos_query_proj", i);
        bert->positions[i] = (struct relative){.keys = bert->from_content ? project(weights, key, rows, 2 * bert->span) : NULL,
                                               .queries = bert->to_content ? project(weights, query, rows, 2 * bert->span) : NULL,
                                               .n_buckets = 2 * bert->span,
                                               .bucket = bucket};
    }
    free(rows);
}

/* pos_att_type is a list, or one string with bars. */
static bool position_kind(struct weights *weights, const char *kind)
{
    const json_t *value = json_object_get(model_file_config(weights->file), "pos_att_type");
    for (size_t i = 0; i < json_array_size(value); i++)
        if (str_equal(str_of(json_string_value(json_array_get(value, i))), str_of(kind)))
            return true;
    str whole = str_of(json_string_value(value));
    for (str part; str_split(&whole, '|', &part);)
        if (str_equal_nocase(str_trim(part), str_of(kind)))
            return true;
    return false;
}

static void embeddings_open(struct weights *weights, struct deberta *bert)
{
    int width = bert->shape.width, narrow = config_int(weights, "embedding_size", 1, WIDEST, width);
    int n_types = config_int(weights, "type_vocab_size", 0, WIDEST, 0);
    bert->embeddings.pad = -1;
    bert->embeddings.words = weights_table(weights, config_int(weights, "vocab_size", 1, LARGEST_VOCABULARY, REQUIRED), narrow,
                                           "embeddings.word_embeddings");
    if (config_bool(weights, "position_biased_input", true))
        bert->embeddings.positions = weights_table(weights, bert->n_positions, narrow, "embeddings.position_embeddings");
    if (n_types > 0)
        bert->embeddings.types = weights_table(weights, n_types, narrow, "embeddings.token_type_embeddings");
    struct norm norm = weights_norm(weights, width, bert->shape.eps, "embeddings.LayerNorm");
    if (narrow == width) {
        bert->embeddings.norm = norm;
        return;
    }
    bert->projection = weights_linear(weights, width, narrow, "embeddings.embed_proj");
    bert->projection_norm = norm;
}

static void deberta_open(struct weights *weights, struct body *body)
{
    struct deberta *bert = weights_alloc(weights, 1, sizeof *bert);
    if (bert == NULL)
        return;
    int width = config_int(weights, "hidden_size", 1, WIDEST, REQUIRED);
    bert->n_positions = config_int(weights, "max_position_embeddings", 1, MOST_POSITIONS, 512);
    bert->shape = (struct layer_shape){width, config_int(weights, "intermediate_size", 1, WIDEST, REQUIRED),
                                       config_real(weights, "layer_norm_eps", 1e-7)};
    bert->heads = heads_open(weights, "num_attention_heads", width);
    bert->activation = config_activation(weights, "hidden_act", "gelu");
    bert->head_activation = config_activation(weights, "pooler_hidden_act", "gelu");
    bert->n_layers = config_int(weights, "num_hidden_layers", 1, MOST_LAYERS, REQUIRED);
    bert->relative = config_bool(weights, "relative_attention", false);
    bert->from_content = bert->relative && position_kind(weights, "c2p");
    bert->to_content = bert->relative && position_kind(weights, "p2c");
    bert->share_keys = config_bool(weights, "share_att_key", false);
    bert->norm_positions = str_find(config_str(weights, "norm_rel_ebd", "none"), STR("layer_norm")) >= 0;
    bert->heads.scale = 1.0f / sqrtf((float)bert->heads.head_dim * (float)(1 + bert->from_content + bert->to_content));
    if (config_int(weights, "conv_kernel_size", 0, 1024, 0) > 0)
        weights_fail(weights, WEIR_E_UNSUPPORTED, "conv_kernel_size", "the convolution beside the first layer is not supported");
    embeddings_open(weights, bert);
    bert->layers = weights_alloc(weights, (size_t)bert->n_layers, sizeof *bert->layers);
    for (int i = 0; i < bert->n_layers && weights->status == 0; i++) {
        char at[64];
        snprintf(at, sizeof at, "encoder.layer.%d.", i);
        layer_open(weights, &names, &bert->shape, at, &bert->layers[i]);
    }
    if (bert->relative)
        positions_open(weights, bert);
    *body = (struct body){.self = bert, .n_vocab = bert->embeddings.words.n_rows, .n_types = bert->embeddings.types.n_rows,
                          .n_positions = bert->n_positions, .width = width, .n_layers = bert->n_layers, .heads = &bert->heads,
                          .n_buckets = 2 * bert->span,
                          .row_floats = layer_row_floats(&bert->shape) + (bert->projection != NULL ? (size_t)bert->embeddings.words.width : 0)};
}

static void deberta_forward(const void *self, struct pass *pass, float *x)
{
    const struct deberta *bert = self;
    if (bert->projection == NULL) {
        embeddings_forward(&bert->embeddings, pass, x);
    } else {
        float *narrow = pass_take(pass, bert->embeddings.words.width);
        embeddings_forward(&bert->embeddings, pass, narrow);
        linear_apply(bert->projection, pass->pool, narrow, pass->n_rows, x);
        pass_norm(pass, &bert->projection_norm, NULL, x);
    }
    struct layer_rows rows = layer_take(&bert->shape, pass);
    for (int i = 0; i < bert->n_layers; i++)
        layer_forward(&bert->layers[i], &bert->heads, bert->relative ? &bert->positions[i] : NULL, bert->activation, &rows, pass, x);
}

static void deberta_open_head(struct weights *weights, const struct body *body, bool per_token, struct head *head)
{
    const struct deberta *bert = body->self;
    if (!per_token) {
        head->dense = weights_linear(weights, body->width, body->width, "pooler.dense");
        head->activated = true;
        head->activation = bert->head_activation;
    }
    head->out = weights_linear(weights, 0, body->width, "classifier");
}

const struct architecture architecture_deberta = {
    .names = (const char *const[]){"deberta-v2", NULL},
    .prefix = "deberta.",
    .open = deberta_open,
    .open_head = deberta_open_head,
    .forward = deberta_forward,
};
