/* Weights: settings and tensors by name, checked, with errors that name the file and the key or tensor. */
#include "encoder/weights.h"

#include <assert.h>
#include <math.h>

/* Below SMALL_MATRIX elements floats stay in the caches anyway, and 8 bits would gain nothing for what they cost. */
enum { LONGEST_NAME = 160, TABLE_PIECE = 256, LARGEST_SIDE = 1 << 24, SMALL_MATRIX = 1 << 16 };

void weights_init(struct weights *weights, const struct model_file *file, enum precision precision, struct error *err)
{
    *weights = (struct weights){.file = file, .precision = precision, .prefix = "", .err = err};
    arena_init(&weights->arena, 0);
}

void weights_release(struct weights *weights)
{
    for (size_t i = 0; i < weights->n_linears; i++)
        linear_free(weights->linears[i]);
    free(weights->linears);
    arena_release(&weights->arena);
    *weights = (struct weights){0};
}

size_t weights_bytes(const struct weights *weights)
{
    size_t n_bytes = weights->n_bytes;
    for (size_t i = 0; i < weights->n_linears; i++)
        n_bytes += linear_bytes(weights->linears[i]);
    return n_bytes;
}

void weights_fail(struct weights *weights, enum weir_status status, const char *what, const char *format, ...)
{
    if (weights->status < 0)
        return;
    char where[sizeof weights->err->where], text[sizeof weights->err->text];
    snprintf(where, sizeof where, "%s: %s", model_file_path(weights->file), what);
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    weights->status = error_set(weights->err, status, where, "%s", text);
}

void *weights_alloc(struct weights *weights, size_t n, size_t size)
{
    if (weights->status < 0)
        return NULL;
    void *memory = arena_array(&weights->arena, n, size);
    if (memory == NULL)
        weights_fail(weights, WEIR_E_MEMORY, "weights", "no memory for %zu x %zu bytes", n, size);
    return memory;
}

/* ---- settings */

/* "<architecture>.<key>" of a GGUF file. */
static const char *gguf_key(const struct weights *weights, const char *key, char out[static LONGEST_NAME])
{
    snprintf(out, LONGEST_NAME, STR_FMT ".%s", STR_ARG(model_file_architecture(weights->file)), key);
    return out;
}

/* What reading a setting came to: true when it is there. An error of the reader gets the file's name. */
static bool config_found(struct weights *weights, const char *key, int status, bool required, const struct error *err)
{
    if (status < 0)
        weights_fail(weights, err->status, err->where, "%s", err->text);
    else if (status == 0 && required)
        weights_fail(weights, WEIR_E_INVALID, key, "is missing");
    return status > 0;
}

int config_int(struct weights *weights, const char *key, int64_t min, int64_t max, int64_t otherwise)
{
    if (weights->status < 0)
        return (int)min;
    char name[LONGEST_NAME];
    int64_t value = otherwise;
    struct error err = {0};
    int status = model_file_is_gguf(weights->file) ? gguf_i64(weights->file, gguf_key(weights, key, name), &value, &err)
                                                   : json_member_i64(model_file_config(weights->file), key, &value, &err);
    if (!config_found(weights, key, status, otherwise == REQUIRED, &err))
        return weights->status < 0 ? (int)min : (int)otherwise;
    if (value >= min && value <= max)
        return (int)value;
    weights_fail(weights, WEIR_E_INVALID, key, "%lld is not in %lld … %lld", (long long)value, (long long)min, (long long)max);
    return (int)min;
}

double config_real(struct weights *weights, const char *key, double otherwise)
{
    char name[LONGEST_NAME];
    double value = otherwise;
    struct error err = {0};
    int status = model_file_is_gguf(weights->file) ? gguf_f64(weights->file, gguf_key(weights, key, name), &value, &err)
                                                   : json_member_f64(model_file_config(weights->file), key, &value, &err);
    if (!config_found(weights, key, status, false, &err))
        return otherwise;
    if (!isfinite(value))
        weights_fail(weights, WEIR_E_INVALID, key, "is not a finite number");
    return value;
}

bool config_bool(struct weights *weights, const char *key, bool otherwise)
{
    char name[LONGEST_NAME];
    bool value = otherwise;
    struct error err = {0};
    int status = model_file_is_gguf(weights->file) ? gguf_bool(weights->file, gguf_key(weights, key, name), &value, &err)
                                                   : json_member_bool(model_file_config(weights->file), key, &value, &err);
    return config_found(weights, key, status, false, &err) ? value : otherwise;
}

str config_str(struct weights *weights, const char *key, const char *otherwise)
{
    char name[LONGEST_NAME];
    str value = str_of(otherwise);
    struct error err = {0};
    int status = model_file_is_gguf(weights->file) ? gguf_str(weights->file, gguf_key(weights, key, name), &value, &err)
                                                   : json_member_str(model_file_config(weights->file), key, &value, &err);
    return config_found(weights, key, status, false, &err) ? value : str_of(otherwise);
}

enum activation config_activation(struct weights *weights, const char *key, const char *otherwise)
{
    static const struct {
        const char *name;
        enum activation activation;
    } known[] = {
        {"gelu", ACTIVATION_GELU},          {"gelu_python", ACTIVATION_GELU},
        {"gelu_new", ACTIVATION_GELU_TANH}, {"gelu_pytorch_tanh", ACTIVATION_GELU_TANH},
        {"gelu_fast", ACTIVATION_GELU_TANH}, {"quick_gelu", ACTIVATION_GELU_QUICK},
        {"relu", ACTIVATION_RELU},          {"relu2", ACTIVATION_RELU2},
        {"silu", ACTIVATION_SILU},          {"swish", ACTIVATION_SILU},
        {"tanh", ACTIVATION_TANH},
    };
    str name = config_str(weights, key, otherwise);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_equal(name, str_of(known[i].name)))
            return known[i].activation;
    weights_fail(weights, WEIR_E_UNSUPPORTED, key, "activation \"%.*s\" is not supported", (int)(name.n < 40 ? name.n : 40), name.data);
    return ACTIVATION_GELU;
}

/* ---- tensors */

/* The tensor "<prefix><name><suffix>", or without the prefix. */
static const struct tensor *find(const struct weights *weights, const char *name, const char *suffix)
{
    char whole[2 * LONGEST_NAME];
    snprintf(whole, sizeof whole, "%s%s%s", weights->prefix, name, suffix);
    const struct tensor *tensor = model_file_tensor(weights->file, whole);
    return tensor != NULL ? tensor : model_file_tensor(weights->file, whole + strlen(weights->prefix));
}

static const struct tensor *find_matrix(struct weights *weights, int n_out, int n_in, const char *name)
{
    const struct tensor *tensor = find(weights, name, ".weight");
    if (tensor == NULL)
        weights_fail(weights, WEIR_E_INVALID, name, "tensor %s.weight is missing", name);
    else if (!tensor_type_is_weight(tensor->type))
        weights_fail(weights, WEIR_E_UNSUPPORTED, tensor->name, "weights of type %s are not supported", tensor_type_name(tensor->type));
    else if (tensor->n_dims != 2 || tensor->ne[0] != n_in || (n_out > 0 && tensor->ne[1] != n_out) || tensor->ne[1] < 1 ||
             tensor->ne[1] > LARGEST_SIDE)
        weights_fail(weights, WEIR_E_INVALID, tensor->name, "shape [%lld, %lld] where [%d, %d] is expected", (long long)tensor->ne[1],
                     (long long)tensor->ne[0], n_out, n_in);
    else if (tensor_row_bytes(tensor->type, n_in) == 0 || tensor->n_bytes / tensor_row_bytes(tensor->type, n_in) < (size_t)tensor->ne[1])
        weights_fail(weights, WEIR_E_INVALID, tensor->name, "has fewer bytes than its shape asks for");
    else
        return tensor;
    return NULL;
}

/* A vector of n values as f32 in the arena; NULL when it is absent and may be. */
static const float *vector(struct weights *weights, int n, const char *name, const char *suffix, const char *old_suffix, bool required)
{
    if (weights->status < 0)
        return NULL;
    const struct tensor *tensor = find(weights, name, suffix);
    if (tensor == NULL && old_suffix != NULL)
        tensor = find(weights, name, old_suffix);
    if (tensor == NULL && required)
        weights_fail(weights, WEIR_E_INVALID, name, "tensor %s%s is missing", name, suffix);
    if (tensor == NULL)
        return NULL;
    size_t n_bytes = tensor_type_is_weight(tensor->type) ? tensor_row_bytes(tensor->type, n) : 0;
    if (tensor->n_dims != 1 || tensor->ne[0] != n || n_bytes == 0 || tensor->n_bytes < n_bytes) {
        weights_fail(weights, WEIR_E_INVALID, tensor->name, "is not a vector of %d numbers", n);
        return NULL;
    }
    float *values = weights_alloc(weights, (size_t)n, sizeof *values);
    if (values == NULL)
        return NULL;
    dequantize_row(tensor->type, tensor->data, values, n);
    weights->n_parameters += n;
    weights->n_bytes += (size_t)n * sizeof *values;
    return values;
}

bool weights_has(struct weights *weights, const char *format, ...)
{
    char name[LONGEST_NAME];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    return find(weights, name, ".weight") != NULL;
}

/* Makes the linear and keeps it for release. */
static const struct linear *keep_linear(struct weights *weights, const struct tensor *tensor, const float *bias)
{
    if (weights->status < 0)
        return NULL;
    if (weights->n_linears == weights->capacity) {
        size_t capacity = weights->capacity > 0 ? 2 * weights->capacity : 64;
        struct linear **grown = realloc(weights->linears, capacity * sizeof(struct linear *));
        if (grown == NULL) {
            weights_fail(weights, WEIR_E_MEMORY, tensor->name, "out of memory");
            return NULL;
        }
        weights->linears = grown;
        weights->capacity = capacity;
    }
    struct error err = {0};
    struct linear *linear = NULL;
    bool small = tensor->ne[0] * tensor->ne[1] < SMALL_MATRIX;
    if ((small ? linear_new : linear_new_int8)(&linear, tensor, 0, bias, 1, weights->precision, &err) < 0) {
        weights_fail(weights, err.status, tensor->name, "%s", err.text);
        return NULL;
    }
    weights->linears[weights->n_linears++] = linear;
    weights->n_parameters += tensor->ne[0] * tensor->ne[1];
    return linear;
}

const struct linear *weights_linear(struct weights *weights, int n_out, int n_in, const char *format, ...)
{
    if (weights->status < 0)
        return NULL;
    char name[LONGEST_NAME];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    const struct tensor *tensor = find_matrix(weights, n_out, n_in, name);
    if (tensor == NULL)
        return NULL;
    const float *bias = vector(weights, (int)tensor->ne[1], name, ".bias", NULL, false);
    return keep_linear(weights, tensor, bias);
}

const struct linear *weights_linear_part(struct weights *weights, int first, int n_out, int n_whole, int n_in, const char *format, ...)
{
    if (weights->status < 0)
        return NULL;
    assert(first >= 0 && n_out > 0 && first <= n_whole - n_out);
    char name[LONGEST_NAME];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    const struct tensor *whole = find_matrix(weights, n_whole, n_in, name);
    if (whole == NULL)
        return NULL;
    const float *bias = vector(weights, n_whole, name, ".bias", NULL, false);
    size_t row_bytes = tensor_row_bytes(whole->type, n_in);
    struct tensor *part = weights_alloc(weights, 1, sizeof *part);
    if (part == NULL)
        return NULL;
    *part = *whole;
    part->ne[1] = n_out;
    part->data = (const uint8_t *)whole->data + (size_t)first * row_bytes;
    part->n_bytes = (size_t)n_out * row_bytes;
    return keep_linear(weights, part, bias != NULL ? bias + first : NULL);
}

struct norm weights_norm(struct weights *weights, int n, double eps, const char *format, ...)
{
    char name[LONGEST_NAME];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    struct norm norm = {.eps = (float)eps, .n = n};
    norm.w = vector(weights, n, name, ".weight", ".gamma", true);
    norm.b = vector(weights, n, name, ".bias", ".beta", false);
    return norm;
}

struct table weights_table(struct weights *weights, int n_rows, int width, const char *format, ...)
{
    struct table table = {.width = width, .n_rows = n_rows};
    if (weights->status < 0)
        return table;
    char name[LONGEST_NAME];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    table.tensor = find_matrix(weights, n_rows, width, name);
    if (table.tensor == NULL)
        return table;
    table.n_rows = (int)table.tensor->ne[1];
    table.row_bytes = tensor_row_bytes(table.tensor->type, width);
    weights->n_parameters += table.tensor->ne[1] * width;
    weights->n_bytes += table.tensor->n_bytes;
    return table;
}

void table_row(const struct table *table, int64_t id, float *out)
{
    assert(id >= 0 && id < table->n_rows);
    dequantize_row(table->tensor->type, (const uint8_t *)table->tensor->data + (size_t)id * table->row_bytes, out, table->width);
}

void table_add(const struct table *table, int64_t id, float *out)
{
    assert(id >= 0 && id < table->n_rows);
    enum tensor_type type = table->tensor->type;
    const uint8_t *row = (const uint8_t *)table->tensor->data + (size_t)id * table->row_bytes;
    float piece[TABLE_PIECE]; /* A multiple of every format's block. */
    for (int from = 0; from < table->width; from += TABLE_PIECE) {
        int n = table->width - from < TABLE_PIECE ? table->width - from : TABLE_PIECE;
        dequantize_row(type, row + (from > 0 ? tensor_row_bytes(type, from) : 0), piece, n);
        for (int i = 0; i < n; i++)
            out[from + i] += piece[i];
    }
}
