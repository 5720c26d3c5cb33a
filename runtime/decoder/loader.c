/* Weights by role. A matrix goes through these steps, most of which most files don't need: find it by its name; unpack
 * int4; turn it round; take the rows wanted; add the adapter; hand it to a linear with its bias and scale.
 *
 * Invariant: a linear has exactly the shape its caller asked for; a file with another shape, a missing tensor or an
 * unreadable type is an error that names the tensor. All memory is held here until loader_release. */
#include "decoder/loader.h"
#include "decoder/adapter.h"
#include "decoder/int4.h"
#include "model/gguf.h"

#include <stdlib.h>

weight_names gguf_names = {
    [W_TOKEN_EMBD] = "token_embd",
    [W_POSITION_EMBD] = "position_embd",
    [W_OUTPUT_NORM] = "output_norm",
    [W_OUTPUT] = "output",
    [W_ATTN_NORM] = "blk.#.attn_norm",
    [W_ATTN_POST_NORM] = "blk.#.post_attention_norm",
    [W_FFN_NORM] = "blk.#.ffn_norm",
    [W_FFN_POST_NORM] = "blk.#.post_ffw_norm",
    [W_QKV] = "blk.#.attn_qkv",
    [W_Q] = "blk.#.attn_q",
    [W_K] = "blk.#.attn_k",
    [W_V] = "blk.#.attn_v",
    [W_O] = "blk.#.attn_output",
    [W_Q_NORM] = "blk.#.attn_q_norm",
    [W_K_NORM] = "blk.#.attn_k_norm",
    [W_GATE_UP] = "blk.#.ffn_up",
    [W_GATE] = "blk.#.ffn_gate",
    [W_UP] = "blk.#.ffn_up",
    [W_DOWN] = "blk.#.ffn_down",
    [W_ROUTER] = "blk.#.ffn_gate_inp",
    [W_EXPERT_GATE] = "blk.#.ffn_gate_exps",
    [W_EXPERT_UP] = "blk.#.ffn_up_exps",
    [W_EXPERT_DOWN] = "blk.#.ffn_down_exps",
    [W_SHARED_ROUTER] = "blk.#.ffn_gate_inp_shexp",
    [W_SHARED_GATE] = "blk.#.ffn_gate_shexp",
    [W_SHARED_UP] = "blk.#.ffn_up_shexp",
    [W_SHARED_DOWN] = "blk.#.ffn_down_shexp",
};

enum { MAX_STEM = 200 };

/* A matrix W of low rank as two, W = B A: A and B under the name of W. Only files of `weir factorise` have them. */
#define LOW_INNER ".low_a.weight"
#define LOW_OUTER ".low_b.weight"

/* Writes a pattern with the layer and the expert in their places. */
static void expand(const char *pattern, int layer, int expert, char *out, size_t n_out)
{
    size_t n = 0;
    for (; *pattern != '\0' && n + 12 < n_out; pattern++) {
        if (*pattern == '#' || *pattern == '*')
            n += (size_t)snprintf(out + n, n_out - n, "%d", *pattern == '#' ? layer : expert);
        else
            out[n++] = *pattern;
    }
    out[n] = '\0';
}

/* The name of a weight in this file, without its suffix; false when the architecture has none. */
static bool stem_of(const struct loader *loader, enum weight weight, int layer, int expert, char out[MAX_STEM])
{
    const char *pattern = loader->names[weight];
    if (pattern == NULL)
        return false;
    bool bare = weight == W_OUTPUT; /* The head stands outside the model. */
    size_t n = bare ? 0 : strlen(loader->prefix);
    memcpy(out, loader->prefix, n);
    expand(pattern, layer, expert, out + n, MAX_STEM - n);
    return true;
}

const struct tensor *loader_find(const struct loader *loader, enum weight weight, int layer, int expert, const char *suffix)
{
    char name[MAX_STEM + 16];
    if (!stem_of(loader, weight, layer, expert, name))
        return NULL;
    size_t n = strlen(name);
    snprintf(name + n, sizeof name - n, "%s", suffix);
    const struct tensor *tensor = model_file_tensor(loader->file, name);
    if (tensor == NULL && weight == W_OUTPUT && loader->prefix[0] != '\0') {
        /* Models inside others keep their head with them. */
        char other[MAX_STEM + 48];
        snprintf(other, sizeof other, "language_model.%s", name);
        tensor = model_file_tensor(loader->file, other);
    }
    return tensor;
}

bool loader_has(const struct loader *loader, enum weight weight, int layer, int expert)
{
    return loader_find(loader, weight, layer, expert, ".weight") != NULL || loader_find(loader, weight, layer, expert, ".qweight") != NULL ||
           loader_find(loader, weight, layer, expert, LOW_INNER) != NULL;
}

int loader_missing(const struct loader *loader, enum weight weight, int layer, const char *suffix)
{
    char where[192], name[MAX_STEM + 16];
    if (!stem_of(loader, weight, layer, 0, name))
        name[0] = '\0';
    size_t n = strlen(name);
    snprintf(name + n, sizeof name - n, "%s", suffix);
    model_where(where, sizeof where, model_file_path(loader->file), "tensor", str_of(name));
    return error_set(loader->err, WEIR_E_NOT_FOUND, where, "is missing");
}

int loader_init(struct loader *loader)
{
    static const char *const prefixes[] = {"model.", "", "transformer.", "language_model.model.", "model.language_model."};
    if (model_file_is_gguf(loader->file))
        return loader_has(loader, W_TOKEN_EMBD, -1, -1) ? 0 : loader_missing(loader, W_TOKEN_EMBD, -1, ".weight");
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        snprintf(loader->prefix, sizeof loader->prefix, "%s", prefixes[i]);
        if (loader_has(loader, W_TOKEN_EMBD, -1, -1))
            return 0;
    }
    loader->prefix[0] = '\0';
    if (model_file_n_tensors(loader->file) == 0)
        return error_set(loader->err, WEIR_E_NOT_FOUND, model_file_path(loader->file), "has no weights: model.safetensors (or its index) is missing");
    return loader_missing(loader, W_TOKEN_EMBD, -1, ".weight");
}

void loader_release(struct loader *loader)
{
    for (size_t i = 0; i < loader->n_linears; i++)
        linear_free(loader->linears[i]);
    for (size_t i = 0; i < loader->n_blocks; i++)
        free(loader->blocks[i]);
    free(loader->linears);
    free(loader->matrices);
    free(loader->blocks);
}

size_t loader_bytes(const struct loader *loader)
{
    size_t n = 0;
    for (size_t i = 0; i < loader->n_linears; i++)
        n += linear_bytes(loader->linears[i]);
    return n;
}

static int bad_tensor(const struct loader *loader, const struct tensor *tensor, const char *format, ...) WEIR_PRINTF(3, 4);
static int bad_tensor(const struct loader *loader, const struct tensor *tensor, const char *format, ...)
{
    char where[192], text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    model_where(where, sizeof where, model_file_path(loader->file), "tensor", str_of(tensor->name));
    return error_set(loader->err, WEIR_E_INVALID, where, "%s", text);
}

static int no_memory(const struct loader *loader)
{
    return error_set(loader->err, WEIR_E_MEMORY, model_file_path(loader->file), "no memory for weights");
}

static bool is_readable(const struct tensor *tensor)
{
    return tensor_type_is_weight(tensor->type);
}

int loader_vector(struct loader *loader, const float **out, enum weight weight, int layer, const char *suffix, int n, bool required)
{
    const struct tensor *tensor = loader_find(loader, weight, layer, -1, suffix);
    *out = NULL;
    if (tensor == NULL)
        return required ? loader_missing(loader, weight, layer, suffix) : 0;
    int64_t elements = tensor->ne[0] * tensor->ne[1] * tensor->ne[2] * tensor->ne[3];
    if (tensor->ne[0] != n || elements != n || !is_readable(tensor))
        return bad_tensor(loader, tensor, "must be a vector of %d numbers", n);
    float *values = arena_array(loader->arena, (size_t)n, sizeof *values);
    if (values == NULL)
        return no_memory(loader);
    dequantize_row(tensor->type, tensor->data, values, n);
    loader->n_parameters += n;
    *out = values;
    return 0;
}

/* ------------------------------------------------------------------ matrices */

static int keep_block(struct loader *loader, void *block)
{
    void **blocks = realloc(loader->blocks, (loader->n_blocks + 1) * sizeof *blocks);
    if (block == NULL || blocks == NULL) {
        free(block);
        return no_memory(loader);
    }
    loader->blocks = blocks;
    loader->blocks[loader->n_blocks++] = block;
    return 0;
}

static int keep_linear(struct loader *loader, struct linear *linear, const struct matrix *matrix)
{
    if (loader->n_linears == loader->capacity) {
        size_t capacity = loader->capacity == 0 ? 256 : 2 * loader->capacity;
        struct linear **linears = realloc(loader->linears, capacity * sizeof *linears);
        if (linears == NULL) {
            linear_free(linear);
            return no_memory(loader);
        }
        loader->linears = linears;
        struct matrix *matrices = realloc(loader->matrices, capacity * sizeof *matrices);
        if (matrices == NULL) {
            linear_free(linear);
            return no_memory(loader);
        }
        loader->matrices = matrices;
        loader->capacity = capacity;
    }
    loader->matrices[loader->n_linears] = *matrix;
    loader->linears[loader->n_linears++] = linear;
    return 0;
}

/* [in, out] to [out, in], kept in the same 16- or 32-bit form. */
static int transpose(struct loader *loader, struct tensor *view)
{
    size_t width = tensor_type_block(view->type) == 1 ? tensor_type_bytes(view->type) : 0;
    size_t n_in = (size_t)view->ne[1], n_out = (size_t)view->ne[0];
    if (width != 2 && width != 4)
        return bad_tensor(loader, view, "is stored the other way round in a type (%s) that can't be turned", tensor_type_name(view->type));
    uint8_t *turned = malloc(view->n_bytes);
    int status = keep_block(loader, turned);
    if (status < 0)
        return status;
    const uint8_t *data = view->data;
    for (size_t in = 0; in < n_in; in++)
        for (size_t out = 0; out < n_out; out++)
            memcpy(turned + (out * n_in + in) * width, data + (in * n_out + out) * width, width);
    view->data = turned;
    view->ne[0] = (int64_t)n_in;
    view->ne[1] = (int64_t)n_out;
    return 0;
}

/* A view of the rows wanted of a matrix that the file holds as it is. */
static int view_rows(struct loader *loader, const struct matrix *matrix, const struct tensor *tensor, struct tensor *view)
{
    int n_rows = matrix->n_rows > 0 ? matrix->n_rows : matrix->n_out;
    *view = *tensor;
    if (!is_readable(tensor))
        return bad_tensor(loader, tensor, "type %s can't be a weight", tensor_type_name(tensor->type));
    if (matrix->expert >= 0 && tensor->n_dims == 3) { /* All experts in one tensor. */
        if (tensor->ne[2] != loader->config->n_experts)
            return bad_tensor(loader, tensor, "holds %lld experts, not %d", (long long)tensor->ne[2], loader->config->n_experts);
        view->n_bytes = tensor->n_bytes / (size_t)tensor->ne[2];
        view->data = (const uint8_t *)tensor->data + (size_t)matrix->expert * view->n_bytes;
        view->n_dims = 2;
        view->ne[2] = 1;
    }
    if (view->ne[2] != 1 || view->ne[3] != 1)
        return bad_tensor(loader, tensor, "must be a matrix");
    int status = loader->config->transposed && matrix->weight != W_OUTPUT && matrix->weight != W_TOKEN_EMBD ? transpose(loader, view) : 0;
    if (status < 0)
        return status;
    if (view->ne[0] != matrix->n_in || view->ne[1] != n_rows)
        return bad_tensor(loader, tensor, "is %lld x %lld, must be %d x %d", (long long)view->ne[1], (long long)view->ne[0], n_rows, matrix->n_in);
    size_t row_bytes = view->n_bytes / (size_t)n_rows;
    view->data = (const uint8_t *)view->data + (size_t)matrix->first_row * row_bytes;
    view->ne[1] = matrix->n_out;
    view->n_bytes = (size_t)matrix->n_out * row_bytes;
    view->n_dims = 2;
    return 0;
}

/* The scale beside a matrix, or 1. */
static int read_scale(struct loader *loader, const struct matrix *matrix, float *scale)
{
    const struct tensor *tensor = loader_find(loader, matrix->weight, matrix->layer, matrix->expert, ".scale");
    *scale = 1;
    if (tensor == NULL || matrix->scale == SCALE_NOTHING)
        return 0;
    int64_t index = tensor->ne[0] > 1 && matrix->expert >= 0 ? matrix->expert : 0;
    if (tensor->type != TENSOR_F32 || index >= tensor->ne[0])
        return bad_tensor(loader, tensor, "must hold F32 scales");
    memcpy(scale, (const uint8_t *)tensor->data + (size_t)index * sizeof *scale, sizeof *scale);
    return 0;
}

static int read_bias(struct loader *loader, const struct matrix *matrix, float scale, const float **out)
{
    const float *whole;
    int n_rows = matrix->n_rows > 0 ? matrix->n_rows : matrix->n_out;
    *out = NULL;
    if (matrix->expert >= 0)
        return 0;
    int status = loader_vector(loader, &whole, matrix->weight, matrix->layer, ".bias", n_rows, false);
    if (status < 0 || whole == NULL)
        return status;
    whole += matrix->first_row;
    if (scale != 1 && matrix->scale == SCALE_ALL) {
        float *scaled = arena_array(loader->arena, (size_t)matrix->n_out, sizeof *scaled);
        if (scaled == NULL)
            return no_memory(loader);
        for (int i = 0; i < matrix->n_out; i++)
            scaled[i] = scale * whole[i];
        whole = scaled;
    }
    *out = whole;
    return 0;
}

/* The names under which an adapter may know a matrix: GGUF's and Hugging Face's, without a prefix. */
static void adapter_names(const struct loader *loader, const struct matrix *matrix, char gguf[MAX_STEM], char hf[MAX_STEM])
{
    gguf[0] = hf[0] = '\0';
    if (gguf_names[matrix->weight] != NULL)
        expand(gguf_names[matrix->weight], matrix->layer, matrix->expert, gguf, MAX_STEM);
    if (loader->hf_names[matrix->weight] != NULL)
        expand(loader->hf_names[matrix->weight], matrix->layer, matrix->expert, hf, MAX_STEM);
}

/* Both halves of a matrix of low rank, with the rows of B that are wanted. */
static int make_product(struct loader *loader, struct linear **out, const struct matrix *matrix, const float *bias)
{
    const struct tensor *a = loader_find(loader, matrix->weight, matrix->layer, matrix->expert, LOW_INNER),
                        *b = loader_find(loader, matrix->weight, matrix->layer, matrix->expert, LOW_OUTER);
    if (b == NULL)
        return bad_tensor(loader, a, "has no other half beside it");
    if (a->ne[1] < 1 || a->ne[1] > matrix->n_in)
        return bad_tensor(loader, a, "has a rank of %lld, more than %d columns can have", (long long)a->ne[1], matrix->n_in);
    struct matrix inner = *matrix, outer = *matrix;
    struct tensor inner_view, outer_view;
    struct linear *linear;
    inner.n_out = outer.n_in = (int)a->ne[1];
    inner.first_row = inner.n_rows = 0;
    int status = view_rows(loader, &inner, a, &inner_view);
    if (status == 0)
        status = view_rows(loader, &outer, b, &outer_view);
    if (status == 0)
        status = linear_new(&linear, &inner_view, 0, NULL, 1, loader->precision, loader->err);
    if (status == 0)
        status = linear_new_product(out, &outer_view, linear, bias, loader->precision, loader->err);
    return status;
}

/* A matrix that must be worked out in f32: unpacked, or with an adapter added. product: a matrix of low rank, freed. */
static int make_f32(struct loader *loader, struct linear **out, const struct matrix *matrix, const struct tensor *view, struct linear *product,
                    const struct adapter_delta *delta, float scale, const float *bias)
{
    size_t n_out = (size_t)matrix->n_out, n_in = (size_t)matrix->n_in;
    float *w = malloc(n_out * n_in * sizeof *w);
    if (w == NULL) {
        linear_free(product);
        return no_memory(loader);
    }
    int status = 0;
    if (product != NULL) {
        for (size_t row = 0; row < n_out; row++)
            linear_row(product, (int64_t)row, w + row * n_in);
    } else if (view != NULL) {
        for (size_t row = 0; row < n_out; row++)
            dequantize_row(view->type, (const uint8_t *)view->data + row * (view->n_bytes / n_out), w + row * n_in, matrix->n_in);
    } else {
        status = int4_unpack(loader, matrix, w);
    }
    for (size_t i = 0; i < n_out * n_in && status == 0 && scale != 1; i++)
        w[i] *= scale;
    if (status == 0 && delta != NULL && adapter_add(delta, matrix->first_row, matrix->n_out, w) < 0)
        status = no_memory(loader);
    if (status == 0)
        status = linear_new_f32(out, w, matrix->n_out, matrix->n_in, bias, loader->precision, loader->err);
    linear_free(product);
    free(w);
    return status;
}

int loader_adapter(const struct loader *loader, const struct matrix *matrix, const struct adapter *adapter, struct adapter_delta *delta,
                   struct error *err)
{
    char gguf[MAX_STEM], hf[MAX_STEM];
    adapter_names(loader, matrix, gguf, hf);
    int n_rows = matrix->n_rows > 0 ? matrix->n_rows : matrix->n_out;
    int found = adapter_find(adapter, gguf, hf, n_rows, matrix->n_in, delta, err);
    /* Files of the Llama family in GGUF have the rows of q and k in another order than their published form has. */
    if (found > 0)
        delta->head_dim = loader->config->rope[0].interleaved != delta->interleaved && (matrix->weight == W_Q || matrix->weight == W_K)
                              ? loader->config->head_dim : 0;
    return found;
}

int loader_linear(struct loader *loader, struct linear **out, const struct matrix *matrix)
{
    const struct tensor *tensor = loader_find(loader, matrix->weight, matrix->layer, matrix->expert, ".weight");
    bool packed = tensor == NULL && loader_find(loader, matrix->weight, matrix->layer, matrix->expert, ".qweight") != NULL;
    bool low = tensor == NULL && !packed && loader_find(loader, matrix->weight, matrix->layer, matrix->expert, LOW_INNER) != NULL;
    if (tensor == NULL && !packed && !low)
        return loader_missing(loader, matrix->weight, matrix->layer, ".weight");
    struct tensor view = {0};
    struct linear *product = NULL;
    const float *bias;
    float scale;
    int status = packed || low ? 0 : view_rows(loader, matrix, tensor, &view);
    if (status == 0)
        status = read_scale(loader, matrix, &scale);
    if (status == 0)
        status = read_bias(loader, matrix, scale, &bias);
    if (status < 0)
        return status;

    struct adapter_delta delta;
    int adapted = loader->adapter == NULL ? 0 : loader_adapter(loader, matrix, loader->adapter, &delta, loader->err);
    if (adapted < 0)
        return adapted;
    if (low && (status = make_product(loader, adapted ? &product : out, matrix, adapted ? NULL : bias)) < 0)
        return status;
    if (packed || adapted)
        status = make_f32(loader, out, matrix, packed || low ? NULL : &view, product, adapted ? &delta : NULL, scale, bias);
    else if (!low)
        status = linear_new(out, &view, 0, bias, scale, loader->precision, loader->err);
    if (status < 0)
        return status;
    int64_t rank = low ? loader_find(loader, matrix->weight, matrix->layer, matrix->expert, LOW_INNER)->ne[1] : 0;
    loader->n_parameters += low ? rank * (matrix->n_out + (matrix->first_row == 0 ? matrix->n_in : 0)) : (int64_t)matrix->n_out * matrix->n_in;
    return keep_linear(loader, *out, matrix);
}
