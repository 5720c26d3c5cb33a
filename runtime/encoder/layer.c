/* The parts of BERT that its relatives share: embeddings and the post-norm layer (Devlin et al. 2019). */
#include "encoder/architecture.h"

#include <math.h>

struct embeddings_job {
    const struct embeddings *embeddings;
    const struct pass *pass;
    float *x;
};

/* Position of a row in its text, as the table of positions counts. */
static int32_t position_of(const struct embeddings *embeddings, const struct pass *pass, int row)
{
    int start = row - pass_position(pass, row);
    if (embeddings->pad < 0)
        return row - start;
    if (pass->ids[row] == embeddings->pad)
        return embeddings->pad;
    int32_t n_real = 0;
    for (int i = start; i <= row; i++)
        n_real += pass->ids[i] != embeddings->pad;
    return embeddings->pad + n_real;
}

static void embed_rows(void *arg, int first, int end)
{
    const struct embeddings_job *job = arg;
    const struct embeddings *embeddings = job->embeddings;
    for (int row = first; row < end; row++) {
        float *x = job->x + (size_t)row * (size_t)embeddings->words.width;
        table_row(&embeddings->words, job->pass->ids[row], x);
        if (embeddings->types.tensor != NULL)
            table_add(&embeddings->types, job->pass->types[row], x);
        if (embeddings->positions.tensor != NULL)
            table_add(&embeddings->positions, position_of(embeddings, job->pass, row), x);
        if (embeddings->norm.w != NULL)
            norm_apply(&embeddings->norm, x, x);
    }
}

void embeddings_forward(const struct embeddings *embeddings, struct pass *pass, float *x)
{
    struct embeddings_job job = {embeddings, pass, x};
    pass_rows(pass, embeddings->words.width, embed_rows, &job);
}

struct heads heads_open(struct weights *weights, const char *key, int width)
{
    struct heads heads = {.n_heads = config_int(weights, key, 1, MOST_HEADS, REQUIRED)};
    if (width % heads.n_heads != 0)
        weights_fail(weights, WEIR_E_INVALID, key, "a width of %d can't be shared by %d heads", width, heads.n_heads);
    heads.head_dim = width / heads.n_heads > 0 ? width / heads.n_heads : 1;
    heads.scale = 1.0f / sqrtf((float)heads.head_dim);
    return heads;
}

void layer_open(struct weights *weights, const struct layer_names *names, const struct layer_shape *shape, const char *at, struct layer *layer)
{
    int width = shape->width;
    layer->query = weights_linear(weights, width, width, "%s%s", at, names->query);
    layer->key = weights_linear(weights, width, width, "%s%s", at, names->key);
    layer->value = weights_linear(weights, width, width, "%s%s", at, names->value);
    layer->output = weights_linear(weights, width, width, "%s%s", at, names->output);
    layer->attention_norm = weights_norm(weights, width, shape->eps, "%s%s", at, names->attention_norm);
    layer->up = weights_linear(weights, shape->inner, width, "%s%s", at, names->up);
    layer->down = weights_linear(weights, width, shape->inner, "%s%s", at, names->down);
    layer->output_norm = weights_norm(weights, width, shape->eps, "%s%s", at, names->output_norm);
}

size_t layer_row_floats(const struct layer_shape *shape)
{
    return 4 * (size_t)shape->width + (size_t)shape->inner;
}

struct layer_rows layer_take(const struct layer_shape *shape, struct pass *pass)
{
    return (struct layer_rows){.q = pass_take(pass, shape->width), .k = pass_take(pass, shape->width), .v = pass_take(pass, shape->width),
                               .mixed = pass_take(pass, shape->width), .inner = pass_take(pass, shape->inner)};
}

void layer_forward(const struct layer *layer, const struct heads *heads, const struct relative *relative, enum activation activation,
                   const struct layer_rows *rows, struct pass *pass, float *x)
{
    const struct linear *qkv[] = {layer->query, layer->key, layer->value};
    linear_apply_many(qkv, 3, pass->pool, x, pass->n_rows, (float *const[]){rows->q, rows->k, rows->v});
    heads_attend(heads, relative, pass, rows->q, rows->k, rows->v, rows->mixed);
    linear_apply(layer->output, pass->pool, rows->mixed, pass->n_rows, rows->q);
    pass_norm(pass, &layer->attention_norm, rows->q, x);

    linear_apply(layer->up, pass->pool, x, pass->n_rows, rows->inner);
    pass_activate(pass, activation, rows->inner, linear_n_out(layer->up));
    linear_apply(layer->down, pass->pool, rows->inner, pass->n_rows, rows->q);
    pass_norm(pass, &layer->output_norm, rows->q, x);
}
