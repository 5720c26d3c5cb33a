/* model_prune: a model without the layers, heads and MLP columns that do least on a text.
 *
 * A layer is judged by how much it turns the residual stream (Block Influence; Men et al. 2024); those that turn it least go. A head is
 * judged by the squares of what it puts into the attention's output matrix times the squares of the columns there that take it up,
 * a column of the MLP likewise by the second matrix (after Sun et al. 2024, by whole columns). Heads go in groups that share keys and
 * values, and as many of each layer, so that the file says one number for all. What remains is not trained anew.
 *
 * Whole layers are dropped from any file; heads and columns from F32, F16 and BF16 matrices, whose rows can be cut anywhere. */
#include "model/rewrite.h"

#include <math.h>
#include <stdlib.h>

enum { COLUMNS_STEP = 32 }; /* Columns that stay are a multiple of the shorter formats' block. */

/* What stays of each layer, in rising order; layers that go have neither. */
struct keep {
    int *layers, n_layers;
    int **groups, n_groups;
    int **columns, n_columns;
};

struct prune {
    struct rewrite rewrite;
    struct keep keep;
    const struct prune_options *options;
};

/* A tensor's rows and columns that stay; NULL: all. */
struct cut {
    const struct tensor *tensor;
    const int *rows, *columns;
    int64_t n_columns;
    float *row;
};

static int cut_row(void *user, int64_t row, float *out)
{
    const struct cut *cut = user;
    const struct tensor *tensor = cut->tensor;
    size_t from = (size_t)(cut->rows != NULL ? cut->rows[row] : row);
    dequantize_row(tensor->type, (const uint8_t *)tensor->data + from * tensor_row_bytes(tensor->type, tensor->ne[0]), cut->row, tensor->ne[0]);
    for (int64_t i = 0; i < cut->n_columns; i++)
        out[i] = cut->row[cut->columns != NULL ? cut->columns[i] : i];
    return 0;
}

/* ------------------------------------------------------------------ what stays */

struct scored {
    double score;
    int index;
};

static int lowest_first(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    return x->score != y->score ? (x->score > y->score) - (x->score < y->score) : (x->index > y->index) - (x->index < y->index);
}

/* The n_keep of n with the highest scores, in rising order. */
static int *best(struct prune *prune, const double *scores, int n, int n_keep)
{
    struct arena *arena = &prune->rewrite.builder.arena;
    struct scored *order = arena_array(arena, (size_t)n, sizeof *order);
    bool *stays = arena_array(arena, (size_t)n, sizeof *stays);
    int *kept = arena_array(arena, (size_t)n_keep + 1, sizeof *kept), k = 0;
    if (order == NULL || stays == NULL || kept == NULL) {
        gguf_builder_fail(&prune->rewrite.builder, WEIR_E_MEMORY, prune->rewrite.in, "no memory");
        return NULL;
    }
    for (int i = 0; i < n; i++)
        order[i] = (struct scored){scores[i], i};
    qsort(order, (size_t)n, sizeof *order, lowest_first);
    for (int i = n - n_keep; i < n; i++)
        stays[order[i].index] = true;
    for (int i = 0; i < n; i++)
        if (stays[i])
            kept[k++] = i;
    return kept;
}

/* Of each input column of a matrix: the squares that came in times the squares of its weights. */
static void weigh_columns(const struct linear *linear, const double *activity, double *scores, float *row)
{
    int n_in = linear_n_in(linear);
    memset(scores, 0, (size_t)n_in * sizeof *scores);
    for (int i = 0; i < linear_n_out(linear); i++) {
        linear_row(linear, i, row);
        for (int k = 0; k < n_in; k++)
            scores[k] += (double)row[k] * (double)row[k];
    }
    for (int k = 0; k < n_in; k++)
        scores[k] *= activity[k];
}

static void choose_in_layer(struct prune *prune, int layer, double *scores, float *row)
{
    const struct rewrite *rewrite = &prune->rewrite;
    const struct decoder_config *config = &rewrite->decoder->config;
    const struct layer *weights = &rewrite->decoder->layers[layer];
    struct keep *keep = &prune->keep;
    if (keep->n_groups < config->n_kv_heads) {
        int width = config->n_heads / config->n_kv_heads * config->head_dim;
        double *groups = arena_array(&prune->rewrite.builder.arena, (size_t)config->n_kv_heads, sizeof *groups);
        weigh_columns(weights->o, activity_columns(&rewrite->activity, W_O, layer), scores, row);
        for (int i = 0; groups != NULL && i < config->n_kv_heads * width; i++)
            groups[i / width] += scores[i];
        keep->groups[layer] = groups != NULL ? best(prune, groups, config->n_kv_heads, keep->n_groups) : NULL;
    }
    if (keep->n_columns < config->n_ff) {
        weigh_columns(weights->down, activity_columns(&rewrite->activity, W_DOWN, layer), scores, row);
        keep->columns[layer] = best(prune, scores, config->n_ff, keep->n_columns);
    }
}

static int choose(struct prune *prune, struct error *err)
{
    struct rewrite *rewrite = &prune->rewrite;
    const struct decoder_config *config = &rewrite->decoder->config;
    const struct prune_options *options = prune->options;
    struct arena *arena = &rewrite->builder.arena;
    struct keep *keep = &prune->keep;
    size_t n = (size_t)config->n_layers, widest = (size_t)(config->n_ff > config->n_heads * config->head_dim ? config->n_ff : config->n_heads * config->head_dim);
    keep->n_layers = config->n_layers - options->n_layers;
    keep->n_groups = config->n_kv_heads - (int)lround(options->heads * config->n_kv_heads);
    keep->n_columns = (int)lround((1 - options->columns) * config->n_ff);
    if (keep->n_columns < config->n_ff)
        keep->n_columns = keep->n_columns / COLUMNS_STEP * COLUMNS_STEP;
    if (keep->n_layers < 1 || keep->n_groups < 1 || keep->n_columns < COLUMNS_STEP)
        return error_set(err, WEIR_E_INVALID, rewrite->in, "of %d layers, %d groups of heads and %d columns none would stay", config->n_layers,
                         config->n_kv_heads, config->n_ff);
    if (keep->n_layers == config->n_layers && keep->n_groups == config->n_kv_heads && keep->n_columns == config->n_ff)
        return error_set(err, WEIR_E_INVALID, rewrite->in, "nothing would go: %d layers, %d groups of heads, %d columns", config->n_layers, config->n_kv_heads,
                         config->n_ff);
    if (keep->n_columns < config->n_ff && config->n_experts > 0)
        return error_set(err, WEIR_E_UNSUPPORTED, rewrite->in, "columns of experts are not pruned");
    double *scores = arena_array(arena, n > widest ? n : widest, sizeof *scores);
    float *row = arena_array(arena, widest, sizeof *row);
    keep->groups = arena_array(arena, n, sizeof *keep->groups);
    keep->columns = arena_array(arena, n, sizeof *keep->columns);
    if (scores == NULL || row == NULL || keep->groups == NULL || keep->columns == NULL)
        return error_set(err, WEIR_E_MEMORY, rewrite->in, "no memory");
    for (int i = 0; i < config->n_layers; i++)
        scores[i] = activity_influence(&rewrite->activity, i);
    keep->layers = best(prune, scores, config->n_layers, keep->n_layers);
    for (int i = 0; i < keep->n_layers && rewrite->builder.status == 0; i++)
        choose_in_layer(prune, keep->layers[i], scores, row);
    return rewrite->builder.status;
}

/* ------------------------------------------------------------------ the new file */

static int *indices(struct prune *prune, size_t n)
{
    int *list = arena_array(&prune->rewrite.builder.arena, n, sizeof *list);
    if (list == NULL)
        gguf_builder_fail(&prune->rewrite.builder, WEIR_E_MEMORY, prune->rewrite.in, "no memory");
    return list;
}

/* Appends the numbers of the groups that stay, each of `width`, behind `first`. */
static int *put_groups(int *list, const int *groups, int n_groups, int width, int first)
{
    for (int i = 0; i < n_groups; i++)
        for (int k = 0; k < width; k++)
            *list++ = first + groups[i] * width + k;
    return list;
}

/* The outputs of a matrix that stay (rows, or numbers of its bias), and its inputs; both NULL: the tensor is whole. */
static void selection(struct prune *prune, int layer, str stem, int64_t n_rows, const int **rows, int *n_out, const int **columns, int *n_in)
{
    const struct decoder_config *config = &prune->rewrite.decoder->config;
    const struct keep *keep = &prune->keep;
    const int *groups = keep->groups[layer], *kept = keep->columns[layer];
    int n = keep->n_groups, d = config->head_dim, share = config->n_heads / config->n_kv_heads * d, n_q = config->n_heads * d, n_kv = config->n_kv_heads * d;
    bool q = str_equal(stem, STR("attn_q")), all = str_equal(stem, STR("attn_qkv")), o = str_equal(stem, STR("attn_output"));
    bool up = str_equal(stem, STR("ffn_up")) || str_equal(stem, STR("ffn_gate"));
    *rows = *columns = NULL;
    if (groups != NULL && (q || o || all || str_equal(stem, STR("attn_k")) || str_equal(stem, STR("attn_v")))) {
        int *list = indices(prune, (size_t)(n * (share + 2 * d))), *end = list;
        if (list == NULL)
            return;
        end = put_groups(end, groups, n, q || o || all ? share : d, 0);
        if (all)
            end = put_groups(put_groups(end, groups, n, d, n_q), groups, n, d, n_q + n_kv);
        *(o ? columns : rows) = list;
        *(o ? n_in : n_out) = (int)(end - list);
    }
    if (kept != NULL && up) {
        bool fused = n_rows == 2 * config->n_ff;
        int *list = indices(prune, (size_t)keep->n_columns * 2);
        for (int i = 0; list != NULL && i < keep->n_columns; i++) {
            list[i] = kept[i];
            list[keep->n_columns + i] = config->n_ff + kept[i];
        }
        *rows = list;
        *n_out = keep->n_columns * (fused ? 2 : 1);
    }
    if (kept != NULL && str_equal(stem, STR("ffn_down"))) {
        *columns = kept;
        *n_in = keep->n_columns;
    }
}

static void fail(struct prune *prune, const struct tensor *tensor, const char *what)
{
    char where[192];
    model_where(where, sizeof where, prune->rewrite.in, "tensor", str_of(tensor->name));
    gguf_builder_fail(&prune->rewrite.builder, WEIR_E_UNSUPPORTED, where, "%s", what);
}

static void add_cut(struct prune *prune, const struct tensor *tensor, const char *name, const int *rows, int n_out, const int *columns, int n_in)
{
    struct gguf_builder *builder = &prune->rewrite.builder;
    bool vector = tensor->n_dims == 1; /* A bias: its one row is cut like the matrix's rows. */
    struct cut *cut = arena_alloc(&builder->arena, sizeof *cut);
    float *row = arena_array(&builder->arena, (size_t)tensor->ne[0], sizeof *row);
    if (cut == NULL || row == NULL) {
        gguf_builder_fail(builder, WEIR_E_MEMORY, name, "no memory");
        return;
    }
    if (tensor_type_block(tensor->type) > 1) {
        char what[128];
        snprintf(what, sizeof what, "is %s: heads and columns are pruned from F32, F16 and BF16; quantize afterwards", tensor_type_name(tensor->type));
        fail(prune, tensor, what);
        return;
    }
    *cut = (struct cut){tensor, vector ? NULL : rows, vector ? rows : columns, vector ? n_out : columns != NULL ? n_in : tensor->ne[0], row};
    int64_t ne[2] = {cut->n_columns, rows != NULL ? n_out : tensor->ne[1]};
    gguf_add_rows(builder, name, tensor->type, tensor->n_dims, ne, cut_row, cut);
}

static void add_tensor(struct prune *prune, const struct tensor *tensor)
{
    struct gguf_builder *builder = &prune->rewrite.builder;
    const char *rest;
    const int *rows = NULL, *columns = NULL;
    int layer = rewrite_layer_of(tensor->name, &rest), n_out = 0, n_in = 0, place = 0;
    char name[128];
    if (layer < 0) {
        gguf_add_copy(builder, tensor);
        return;
    }
    while (place < prune->keep.n_layers && prune->keep.layers[place] != layer)
        place++;
    if (place == prune->keep.n_layers)
        return;
    snprintf(name, sizeof name, "blk.%d.%s", place, rest);
    str suffix = str_of(rest), stem;
    (void)!str_split(&suffix, '.', &stem);
    bool bias = str_equal(suffix, STR("bias")), factorised = str_starts(suffix, STR("low_"));
    if (factorised && (prune->keep.groups[layer] != NULL || prune->keep.columns[layer] != NULL)) {
        fail(prune, tensor, "has been factorised: heads and columns are pruned first");
        return;
    }
    if (bias || str_equal(suffix, STR("weight")))
        selection(prune, layer, stem, bias ? tensor->ne[0] : tensor->ne[1], &rows, &n_out, &columns, &n_in);
    if (rows == NULL && (columns == NULL || bias)) {
        struct tensor moved = *tensor;
        moved.name = name;
        gguf_add_copy(builder, &moved);
        return;
    }
    add_cut(prune, tensor, name, rows, n_out, columns, n_in);
}

static void edit(struct prune *prune)
{
    struct rewrite *rewrite = &prune->rewrite;
    const struct decoder_config *before = &rewrite->decoder->config;
    struct decoder_config *config = &rewrite->edited.config;
    const struct keep *keep = &prune->keep;
    config->n_layers = keep->n_layers;
    config->n_kv_heads = keep->n_groups;
    config->n_heads = before->n_heads / before->n_kv_heads * keep->n_groups;
    config->n_ff = keep->n_columns;
    config->layers = arena_array(&rewrite->builder.arena, (size_t)keep->n_layers, sizeof *config->layers);
    rewrite->edited.layers = arena_array(&rewrite->builder.arena, (size_t)keep->n_layers, sizeof *rewrite->edited.layers);
    if (config->layers == NULL || rewrite->edited.layers == NULL) {
        gguf_builder_fail(&rewrite->builder, WEIR_E_MEMORY, rewrite->in, "no memory");
        return;
    }
    for (int i = 0; i < keep->n_layers; i++) {
        config->layers[i] = before->layers[keep->layers[i]];
        rewrite->edited.layers[i] = rewrite->decoder->layers[keep->layers[i]];
    }
}

static json_t *report_of(const struct prune *prune, double perplexity)
{
    const struct rewrite *rewrite = &prune->rewrite;
    json_t *removed = json_array(), *influence = json_array();
    for (int i = 0, k = 0; i < rewrite->decoder->config.n_layers; i++) {
        json_array_append_new(influence, json_real(activity_influence(&rewrite->activity, i)));
        if (k < prune->keep.n_layers && prune->keep.layers[k] == i)
            k++;
        else
            json_array_append_new(removed, json_integer(i));
    }
    return json_pack("{s:f, s:o, s:o, s:i, s:i, s:i}", "perplexity", perplexity, "layer_influence", influence, "layers_removed", removed, "layers",
                     prune->keep.n_layers, "heads", rewrite->edited.config.n_heads, "columns", prune->keep.n_columns);
}

int model_prune(const char *in, const char *out, str text, const struct prune_options *options, json_t **report, struct error *err)
{
    struct prune prune = {.options = options};
    double perplexity = 0;
    if (options->n_layers < 0 || !(options->heads >= 0 && options->heads < 1) || !(options->columns >= 0 && options->columns < 1))
        return error_set(err, WEIR_E_INVALID, in, "layers must be a number from 0, heads and columns shares from 0 to below 1");
    int status = rewrite_open(&prune.rewrite, in, out, text, &perplexity, err);
    if (status == 0)
        status = choose(&prune, err);
    if (status == 0) {
        edit(&prune);
        rewrite_add_keys(&prune.rewrite);
        for (size_t i = 0; i < model_file_n_tensors(prune.rewrite.file); i++)
            add_tensor(&prune, model_file_tensor_at(prune.rewrite.file, i));
        status = rewrite_write(&prune.rewrite, out, err);
    }
    if (status == 0 && (*report = report_of(&prune, perplexity)) == NULL)
        status = error_set(err, WEIR_E_MEMORY, in, "no memory");
    rewrite_close(&prune.rewrite);
    return status;
}
