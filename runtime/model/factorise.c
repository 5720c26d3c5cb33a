/* model_factorise: chosen matrices as products of two thinner ones, W = B A. Where columns of an input are worked more, errors there count
 * more (Yuan et al. 2023): they are weighed by the root of the mean square that came into them on a text.
 *
 * The two stand in the file as NAME.low_a.weight (rank x inputs) and NAME.low_b.weight (outputs x rank) in place of NAME.weight, which
 * loader.c puts together; llama.cpp has no such form. */
#include "model/low_rank.h"
#include "model/model.h"
#include "model/rewrite.h"

#include <math.h>
#include <stdlib.h>

enum { RANK_STEP = 32, MAX_NAMES = 16 }; /* Ranks are a multiple of the shorter formats' block, so that the halves can be quantized. */

static const struct {
    const char *name;
    enum weight input; /* Whose activity its columns have. */
} known[] = {{"attn_q", W_Q}, {"attn_k", W_Q}, {"attn_v", W_Q}, {"attn_qkv", W_Q}, {"attn_output", W_O}, {"ffn_gate", W_UP}, {"ffn_up", W_UP}, {"ffn_down", W_DOWN}};
enum { N_KNOWN = sizeof known / sizeof *known };

struct factorise {
    struct rewrite rewrite;
    const struct factorise_options *options;
    bool wanted[N_KNOWN];
    int n_done;
    int64_t n_before, n_after; /* Weights of the matrices taken apart. */
    double lost;               /* Sum of shares. */
};

/* Rows of a half, kept till they are written. */
struct half {
    const float *values;
    int n; /* Numbers a row. */
    bool by_columns;
    int n_rows;
};

static int half_row(void *user, int64_t row, float *out)
{
    const struct half *half = user;
    for (int i = 0; i < half->n; i++)
        out[i] = half->by_columns ? half->values[(size_t)i * (size_t)half->n_rows + (size_t)row] : half->values[(size_t)row * (size_t)half->n + (size_t)i];
    return 0;
}

static int read_names(struct factorise *factorise, struct error *err)
{
    str rest = str_of(factorise->options->matrices != NULL ? factorise->options->matrices : "ffn_gate,ffn_up,ffn_down"), name;
    while (str_split(&rest, ',', &name)) {
        size_t i = 0;
        while (i < N_KNOWN && !str_equal(name, str_of(known[i].name)))
            i++;
        if (i == N_KNOWN)
            return error_set(err, WEIR_E_INVALID, "matrices", "\"%.*s\" is none of attn_q, attn_k, attn_v, attn_qkv, attn_output, ffn_gate, ffn_up, ffn_down",
                             (int)(name.n < 40 ? name.n : 40), name.data);
        factorise->wanted[i] = true;
    }
    return 0;
}

/* Which of the known matrices a tensor is, -1: none that is wanted. */
static int which(const struct factorise *factorise, const char *rest)
{
    str suffix = str_of(rest), stem;
    if (!str_split(&suffix, '.', &stem) || !str_equal(suffix, STR("weight")))
        return -1;
    for (int i = 0; i < N_KNOWN; i++)
        if (str_equal(stem, str_of(known[i].name)))
            return factorise->wanted[i] ? i : -1;
    return -1;
}

/* The rank asked for, or the one that keeps the share of the weights asked for. */
static int rank_of(const struct factorise_options *options, int64_t n_out, int64_t n_in)
{
    if (options->rank > 0)
        return options->rank;
    int rank = (int)(options->keep * (double)(n_out * n_in) / (double)(n_out + n_in));
    return rank > RANK_STEP ? rank / RANK_STEP * RANK_STEP : RANK_STEP;
}

static float *importance_of(struct factorise *factorise, int layer, enum weight input, int n)
{
    float *importance = malloc((size_t)n * sizeof *importance);
    const double *sums = activity_columns(&factorise->rewrite.activity, input, layer);
    double mean = 0;
    for (int i = 0; i < n; i++)
        mean += sqrt(sums[i]) / n;
    for (int i = 0; i < n && importance != NULL; i++) /* None is left out wholly: another text may need it. */
        importance[i] = mean > 0 ? (float)fmax(sqrt(sums[i]) / mean, 1e-2) : 1;
    return importance;
}

static void add_half(struct factorise *factorise, const char *name, const struct tensor *tensor, int64_t n_in, int64_t n_out, const float *values, bool by_columns)
{
    struct gguf_builder *builder = &factorise->rewrite.builder;
    struct half *half = arena_alloc(&builder->arena, sizeof *half);
    if (half == NULL) {
        gguf_builder_fail(builder, WEIR_E_MEMORY, name, "no memory");
        return;
    }
    *half = (struct half){values, (int)n_in, by_columns, (int)n_out};
    enum tensor_type type = tensor->type == TENSOR_F32 || tensor->type == TENSOR_BF16 ? tensor->type : TENSOR_F16;
    gguf_add_rows(builder, name, type, 2, (const int64_t[]){n_in, n_out}, half_row, half);
}

static int take_apart(struct factorise *factorise, const struct tensor *tensor, int layer, enum weight input, struct error *err)
{
    struct rewrite *rewrite = &factorise->rewrite;
    struct arena *arena = &rewrite->builder.arena;
    int n_in = (int)tensor->ne[0], n_out = (int)tensor->ne[1], rank = rank_of(factorise->options, n_out, n_in);
    char where[192];
    model_where(where, sizeof where, rewrite->in, "tensor", str_of(tensor->name));
    size_t n_stem = strlen(tensor->name) - strlen(".weight"), row_bytes = tensor_row_bytes(tensor->type, n_in);
    if ((int64_t)rank * (n_in + n_out) >= (int64_t)n_in * n_out)
        return error_set(err, WEIR_E_INVALID, where, "is %d x %d: two matrices of rank %d would be no smaller", n_out, n_in, rank);
    char name[128];
    snprintf(name, sizeof name, "%.*s.scale", (int)n_stem, tensor->name);
    if (tensor->n_dims != 2 || model_file_tensor(rewrite->file, name) != NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, where, "is no single matrix, or has a scale beside it");
    float *w = malloc((size_t)n_out * (size_t)n_in * sizeof *w), *importance = importance_of(factorise, layer, input, n_in);
    float *a = arena_array(arena, (size_t)rank * (size_t)n_in, sizeof *a), *b = arena_array(arena, (size_t)rank * (size_t)n_out, sizeof *b);
    double lost = 0;
    int status = w == NULL || importance == NULL || a == NULL || b == NULL ? error_set(err, WEIR_E_MEMORY, where, "no memory") : 0;
    for (int row = 0; row < n_out && status == 0; row++)
        dequantize_row(tensor->type, (const uint8_t *)tensor->data + (size_t)row * row_bytes, w + (size_t)row * (size_t)n_in, n_in);
    if (status == 0) {
        status = low_rank(w, n_out, n_in, rank, importance, model_lock(rewrite->model), b, a, &lost, err);
        model_unlock(rewrite->model);
    }
    free(w);
    free(importance);
    if (status < 0)
        return status;
    snprintf(name, sizeof name, "%.*s.low_a.weight", (int)n_stem, tensor->name);
    add_half(factorise, name, tensor, n_in, rank, a, false);
    snprintf(name, sizeof name, "%.*s.low_b.weight", (int)n_stem, tensor->name);
    add_half(factorise, name, tensor, rank, n_out, b, true);
    factorise->n_done++;
    factorise->lost += lost;
    factorise->n_before += (int64_t)n_in * n_out;
    factorise->n_after += (int64_t)rank * (n_in + n_out);
    return 0;
}

static int add_tensors(struct factorise *factorise, struct error *err)
{
    const struct rewrite *rewrite = &factorise->rewrite;
    int status = 0;
    for (size_t i = 0; i < model_file_n_tensors(rewrite->file) && status == 0; i++) {
        const struct tensor *tensor = model_file_tensor_at(rewrite->file, i);
        const char *rest;
        int layer = rewrite_layer_of(tensor->name, &rest), matrix = layer >= 0 ? which(factorise, rest) : -1;
        bool chosen = matrix >= 0 && layer >= factorise->options->first_layer && (factorise->options->end_layer == 0 || layer < factorise->options->end_layer);
        if (chosen)
            status = take_apart(factorise, tensor, layer, known[matrix].input, err);
        else
            gguf_add_copy(&factorise->rewrite.builder, tensor);
    }
    if (status == 0 && factorise->n_done == 0)
        status = error_set(err, WEIR_E_INVALID, rewrite->in, "has no such matrices in these layers");
    return status;
}

int model_factorise(const char *in, const char *out, str text, const struct factorise_options *options, json_t **report, struct error *err)
{
    struct factorise factorise = {.options = options};
    double perplexity = 0;
    if (options->rank < 0 || options->rank > 1 << 20 || (options->rank == 0 && !(options->keep > 0 && options->keep < 1)))
        return error_set(err, WEIR_E_INVALID, in, "a rank above 0, or a share to keep between 0 and 1, must be given");
    int status = read_names(&factorise, err);
    if (status < 0)
        return status;
    status = rewrite_open(&factorise.rewrite, in, out, text, &perplexity, err);
    if (status == 0) {
        rewrite_add_keys(&factorise.rewrite);
        status = add_tensors(&factorise, err);
    }
    if (status == 0)
        status = rewrite_write(&factorise.rewrite, out, err);
    if (status == 0) {
        *report = json_pack("{s:f, s:i, s:I, s:I, s:f}", "perplexity", perplexity, "matrices", factorise.n_done, "weights_before", (json_int_t)factorise.n_before,
                            "weights_after", (json_int_t)factorise.n_after, "lost", factorise.lost / factorise.n_done);
        if (*report == NULL)
            status = error_set(err, WEIR_E_MEMORY, in, "no memory");
    }
    rewrite_close(&factorise.rewrite);
    return status;
}
