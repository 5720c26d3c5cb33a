/* LoRA adapters. PEFT names its tensors "base_model.model.<module>.lora_A.weight" (rank × in) and ".lora_B.weight"
 * (out × rank); the scale is alpha / rank, or alpha / sqrt(rank) with use_rslora, where alpha_pattern may give a module its
 * own alpha and the tensors show the rank. GGUF names them "<tensor>.lora_a" and ".lora_b" with adapter.lora.alpha.
 *
 * Invariant: every tensor of the adapter finds its matrix or opening fails (adapter_check_used): an adapter is never
 * applied in part. What would need more than that sum (DoRA, trained embeddings, saved modules, biases) is refused. */
#include "decoder/adapter.h"
#include "model/gguf.h"
#include "model/safetensors.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

struct adapter {
    char *path;
    struct gguf *gguf;
    struct safetensors *peft;
    json_t *config;
    double alpha;
    bool rank_stabilised;
    bool interleaved;
    bool *used; /* A tensor's mark, set when a matrix takes it. */
};

enum { MAX_RANK = 4096 };

static size_t n_tensors(const struct adapter *adapter)
{
    return adapter->gguf != NULL ? adapter->gguf->n_tensors : safetensors_n(adapter->peft);
}

static const struct tensor *tensor_at(const struct adapter *adapter, size_t index)
{
    return adapter->gguf != NULL ? &adapter->gguf->tensors[index] : safetensors_at(adapter->peft, index);
}

static int unsupported(const struct adapter *adapter, struct error *err, const char *what)
{
    return error_set(err, WEIR_E_UNSUPPORTED, adapter->path, "%s", what);
}

/* A member that must be absent, null, false, empty, or the given word. */
static bool is_plain(const json_t *config, const char *name, const char *word)
{
    const json_t *value = json_object_get(config, name);
    return value == NULL || json_is_null(value) || json_is_false(value) || (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0) ||
           (word != NULL && json_is_string(value) && strcmp(json_string_value(value), word) == 0);
}

static int open_peft(struct adapter *adapter, struct error *err)
{
    static const char *const refused[] = {"use_dora", "modules_to_save", "lora_bias", "trainable_token_indices", "layer_replication",
                                          "use_qalora", "use_bdlora", "target_parameters", "alora_invocation_tokens"};
    char path[PATH_MAX];
    struct buffer text;
    str kind = {NULL, 0};
    buffer_init(&text, 1 << 20);
    snprintf(path, sizeof path, "%s/adapter_config.json", adapter->path);
    int status = file_read(path, &text, err);
    if (status == 0 && (adapter->config = json_parse(str_after_mark(buffer_str(&text)), err)) == NULL)
        status = error_prefix(err, path);
    buffer_release(&text);
    if (status < 0)
        return status;
    adapter->alpha = 8;
    if (json_member_f64(adapter->config, "lora_alpha", &adapter->alpha, err) < 0 ||
        json_member_bool(adapter->config, "use_rslora", &adapter->rank_stabilised, err) < 0 || json_member_str(adapter->config, "peft_type", &kind, err) < 0)
        return error_prefix(err, path);
    if (kind.data != NULL && !str_equal(kind, STR("LORA")))
        return unsupported(adapter, err, "adapter_config.json: peft_type must be \"LORA\"");
    if (!is_plain(adapter->config, "bias", "none"))
        return unsupported(adapter, err, "adapter_config.json: bias must be \"none\"");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char what[128];
        snprintf(what, sizeof what, "adapter_config.json: %s is not supported", refused[i]);
        if (!is_plain(adapter->config, refused[i], NULL))
            return unsupported(adapter, err, what);
    }
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", adapter->path);
    return safetensors_open(&adapter->peft, path, err);
}

static int open_gguf(struct adapter *adapter, struct error *err)
{
    static const char *const interleaving[] = {"llama", "mistral3", "smollm3"};
    int status = gguf_open(&adapter->gguf, adapter->path, err);
    if (status < 0)
        return status;
    const struct gguf_value *type = gguf_find(adapter->gguf, STR("general.type")), *kind = gguf_find(adapter->gguf, STR("adapter.type")),
                            *alpha = gguf_find(adapter->gguf, STR("adapter.lora.alpha")), *architecture = gguf_find(adapter->gguf, STR("general.architecture"));
    str word;
    if (type == NULL || !gguf_value_str(type, 0, &word) || !str_equal(word, STR("adapter")))
        return error_set(err, WEIR_E_INVALID, adapter->path, "is no adapter: key general.type is not \"adapter\"");
    if (kind == NULL || !gguf_value_str(kind, 0, &word) || !str_equal(word, STR("lora")))
        return unsupported(adapter, err, "key adapter.type must be \"lora\"");
    if (alpha != NULL && !gguf_value_f64(alpha, 0, &adapter->alpha))
        return error_set(err, WEIR_E_INVALID, adapter->path, "key adapter.lora.alpha must be a number");
    for (size_t i = 0; architecture != NULL && i < sizeof interleaving / sizeof *interleaving; i++)
        if (gguf_value_str(architecture, 0, &word) && str_equal(word, str_of(interleaving[i])))
            adapter->interleaved = true;
    return 0;
}

int adapter_open(struct adapter **out, const char *path, struct error *err)
{
    *out = NULL;
    struct adapter *adapter = calloc(1, sizeof *adapter);
    if (adapter == NULL || (adapter->path = strdup(path)) == NULL) {
        free(adapter);
        return error_set(err, WEIR_E_MEMORY, path, "no memory");
    }
    int status = file_is_directory(path) ? open_peft(adapter, err) : open_gguf(adapter, err);
    if (status == 0 && (!isfinite(adapter->alpha) || n_tensors(adapter) == 0))
        status = error_set(err, WEIR_E_INVALID, path, "has no tensors, or an alpha that is no number");
    if (status == 0 && (adapter->used = calloc(n_tensors(adapter), sizeof *adapter->used)) == NULL)
        status = error_set(err, WEIR_E_MEMORY, path, "no memory");
    if (status < 0) {
        adapter_close(adapter);
        return status;
    }
    *out = adapter;
    return 0;
}

void adapter_close(struct adapter *adapter)
{
    if (adapter == NULL)
        return;
    gguf_close(adapter->gguf);
    safetensors_close(adapter->peft);
    json_decref(adapter->config);
    free(adapter->used);
    free(adapter->path);
    free(adapter);
}

/* Does name end in ".<stem><suffix>", or equal it? */
static bool names(const char *name, const char *stem, const char *suffix)
{
    size_t n = strlen(name), n_stem = strlen(stem), n_suffix = strlen(suffix);
    if (n_stem == 0 || n < n_stem + n_suffix || strcmp(name + n - n_suffix, suffix) != 0 || memcmp(name + n - n_suffix - n_stem, stem, n_stem) != 0)
        return false;
    return n == n_stem + n_suffix || name[n - n_suffix - n_stem - 1] == '.';
}

static const struct tensor *take(const struct adapter *adapter, const char *stem, const char *suffix)
{
    for (size_t i = 0; i < n_tensors(adapter); i++) {
        const struct tensor *tensor = tensor_at(adapter, i);
        if (names(tensor->name, stem, suffix)) {
            adapter->used[i] = true;
            return tensor;
        }
    }
    return NULL;
}

/* A module's alpha: its own where alpha_pattern names it by the end of its path. */
static double alpha_of(const struct adapter *adapter, const char *module)
{
    json_t *patterns = json_object_get(adapter->config, "alpha_pattern"), *value;
    const char *key;
    json_object_foreach(patterns, key, value) {
        if (json_is_number(value) && names(module, key, ""))
            return json_number_value(value);
    }
    return adapter->alpha;
}

int adapter_find(const struct adapter *adapter, const char *gguf, const char *hf, int n_rows, int n_in, struct adapter_delta *delta,
                 struct error *err)
{
    const char *stem = adapter->gguf != NULL ? gguf : hf;
    *delta = (struct adapter_delta){
        .a = take(adapter, stem, adapter->gguf != NULL ? ".weight.lora_a" : ".lora_A.weight"),
        .b = take(adapter, stem, adapter->gguf != NULL ? ".weight.lora_b" : ".lora_B.weight"),
        .interleaved = adapter->interleaved,
    };
    if (delta->a == NULL && delta->b == NULL)
        return 0;
    char where[192];
    snprintf(where, sizeof where, "%.100s: %.80s", adapter->path, stem);
    if (delta->a == NULL || delta->b == NULL)
        return error_set(err, WEIR_E_INVALID, where, "one half of the change is missing");
    int64_t rank = delta->a->ne[1];
    if (!tensor_type_is_weight(delta->a->type) || !tensor_type_is_weight(delta->b->type) || delta->a->n_dims != 2 || delta->b->n_dims != 2)
        return error_set(err, WEIR_E_INVALID, where, "the halves of the change must be matrices");
    if (delta->a->ne[0] != n_in || delta->b->ne[1] != n_rows || delta->b->ne[0] != rank || rank > MAX_RANK)
        return error_set(err, WEIR_E_INVALID, where, "a change of %lld x %lld x %lld does not fit a matrix of %d x %d", (long long)delta->b->ne[1],
                         (long long)rank, (long long)delta->a->ne[0], n_rows, n_in);
    double alpha = alpha_of(adapter, stem);
    delta->scale = (float)(adapter->gguf != NULL && alpha == 0 ? 1 : alpha / (adapter->rank_stabilised ? sqrt((double)rank) : (double)rank));
    return 1;
}

/* Where row `row` of the model's order stands in the adapter's. */
static size_t source_row(const struct adapter_delta *delta, size_t row)
{
    size_t d = (size_t)delta->head_dim;
    if (d == 0)
        return row;
    size_t head = row / d, at = row % d;
    return head * d + (delta->interleaved ? 2 * (at % (d / 2)) + at / (d / 2) : at % 2 * (d / 2) + at / 2);
}

int adapter_add(const struct adapter_delta *delta, int first_row, int n_out, float *w)
{
    size_t rank = (size_t)delta->a->ne[1], n_in = (size_t)delta->a->ne[0];
    size_t a_bytes = delta->a->n_bytes / rank, b_bytes = delta->b->n_bytes / (size_t)delta->b->ne[1];
    float *a = malloc(rank * n_in * sizeof *a), *b = malloc(rank * sizeof *b), *sum = malloc(n_in * sizeof *sum);
    bool good = a != NULL && b != NULL && sum != NULL;
    for (size_t r = 0; r < rank && good; r++)
        dequantize_row(delta->a->type, (const uint8_t *)delta->a->data + r * a_bytes, a + r * n_in, (int64_t)n_in);
    for (int row = 0; row < n_out && good; row++) {
        size_t source = source_row(delta, (size_t)(first_row + row));
        dequantize_row(delta->b->type, (const uint8_t *)delta->b->data + source * b_bytes, b, (int64_t)rank);
        memset(sum, 0, n_in * sizeof *sum);
        for (size_t r = 0; r < rank; r++)
            for (size_t i = 0; i < n_in; i++)
                sum[i] += b[r] * a[r * n_in + i];
        for (size_t i = 0; i < n_in; i++)
            w[(size_t)row * n_in + i] += delta->scale * sum[i];
    }
    free(a);
    free(b);
    free(sum);
    return good ? 0 : WEIR_E_MEMORY;
}

void adapter_read(const struct adapter_delta *delta, int first_row, int n_out, float *a, float *b)
{
    size_t rank = (size_t)delta->a->ne[1], n_in = (size_t)delta->a->ne[0];
    size_t a_bytes = delta->a->n_bytes / rank, b_bytes = delta->b->n_bytes / (size_t)delta->b->ne[1];
    for (size_t r = 0; r < rank; r++)
        dequantize_row(delta->a->type, (const uint8_t *)delta->a->data + r * a_bytes, a + r * n_in, (int64_t)n_in);
    for (size_t row = 0; row < (size_t)n_out; row++) {
        size_t source = source_row(delta, (size_t)first_row + row);
        dequantize_row(delta->b->type, (const uint8_t *)delta->b->data + source * b_bytes, b + row * rank, (int64_t)rank);
        for (size_t r = 0; r < rank; r++)
            b[row * rank + r] *= delta->scale;
    }
}

int adapter_check_used(const struct adapter *adapter, struct error *err)
{
    for (size_t i = 0; i < n_tensors(adapter); i++) {
        char where[192];
        if (adapter->used[i])
            continue;
        model_where(where, sizeof where, adapter->path, "tensor", str_of(tensor_at(adapter, i)->name));
        return error_set(err, WEIR_E_INVALID, where, "has no place in this model");
    }
    return 0;
}
