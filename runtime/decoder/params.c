/* Hyperparameters by name. GGUF keys are "<architecture>.<key>"; config.json is walked by path. Every number is held
 * against the bounds its caller gives, so that what follows can multiply sizes without fear. */
#include "decoder/params.h"

#include <math.h>

void params_fail(struct params *params, const char *name, const char *format, ...)
{
    char text[256], where[192];
    va_list args;
    if (params->status < 0)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(where, sizeof where, "%.90s: %s%s%.60s", model_file_path(params->file), params->config == NULL ? "key " : "config.json: ",
             params->config == NULL ? params->prefix : "", name);
    params->status = error_set(params->err, WEIR_E_INVALID, where, "%s", text);
}

/* Weir's own keys stand as they are, all others belong to the architecture. */
static const char *gguf_key(const struct params *params, const char *name, char out[128])
{
    snprintf(out, 128, "%s%s", strncmp(name, "weir.", 5) == 0 ? "" : params->prefix, name);
    return out;
}

/* One path without alternatives. */
static const json_t *json_at(const json_t *object, str path)
{
    str name;
    char plain[64];
    while (str_split(&path, '.', &name)) {
        if (!str_copy(plain, sizeof plain, name))
            return NULL;
        object = json_object_get(object, plain);
    }
    return object == NULL || json_is_null(object) ? NULL : object;
}

const json_t *params_json(const struct params *params, const char *hf)
{
    str paths = str_of(hf), path;
    while (params->config != NULL && hf != NULL && str_split(&paths, '|', &path)) {
        const json_t *found = json_at(params->config, path);
        if (found != NULL)
            return found;
    }
    return NULL;
}

bool params_has(const struct params *params, const char *gguf, const char *hf)
{
    char key[128];
    if (params->config != NULL)
        return params_json(params, hf) != NULL;
    return gguf != NULL && gguf_find(model_file_gguf(params->file), str_of(gguf_key(params, gguf, key))) != NULL;
}

/* A value of GGUF metadata as a number: a scalar, or a list whose elements are all the same. */
static bool gguf_number(struct params *params, const char *gguf, double *out)
{
    char key[128];
    const struct gguf_value *value = gguf_find(model_file_gguf(params->file), str_of(gguf_key(params, gguf, key)));
    if (value == NULL)
        return false;
    bool good = value->n > 0;
    for (size_t i = 0; i < value->n && good; i++) {
        double element = 0;
        good = gguf_value_f64(value, i, &element) && (i == 0 || element == *out);
        *out = element;
    }
    if (!good)
        params_fail(params, gguf, "must be a number (or a list of one and the same)");
    return good;
}

static bool number(struct params *params, const char *gguf, const char *hf, double *out)
{
    if (params->config == NULL)
        return gguf != NULL && gguf_number(params, gguf, out);
    const json_t *value = params_json(params, hf);
    if (value == NULL)
        return false;
    if (!json_is_number(value))
        params_fail(params, hf, "must be a number");
    *out = json_number_value(value);
    return true;
}

int params_int(struct params *params, const char *gguf, const char *hf, int64_t fallback, int64_t min, int64_t max)
{
    double value = 0;
    const char *name = params->config == NULL ? gguf : hf;
    if (!number(params, gguf, hf, &value)) {
        if (fallback == PARAM_REQUIRED)
            params_fail(params, name, "is missing");
        return fallback == PARAM_REQUIRED ? (int)min : (int)fallback;
    }
    if (!(value >= (double)min && value <= (double)max) || value != floor(value)) {
        params_fail(params, name, "%g is not a whole number from %lld to %lld", value, (long long)min, (long long)max);
        return (int)min;
    }
    return (int)value;
}

double params_real(struct params *params, const char *gguf, const char *hf, double fallback)
{
    double value = 0;
    if (!number(params, gguf, hf, &value))
        return fallback;
    if (!isfinite(value))
        params_fail(params, params->config == NULL ? gguf : hf, "must be finite");
    return value;
}

bool params_bool(struct params *params, const char *gguf, const char *hf, bool fallback)
{
    if (params->config == NULL) {
        char key[128];
        bool value = fallback;
        if (gguf != NULL && gguf_bool(params->file, gguf_key(params, gguf, key), &value, NULL) < 0)
            params_fail(params, gguf, "must be a boolean");
        return value;
    }
    const json_t *value = params_json(params, hf);
    if (value != NULL && !json_is_boolean(value))
        params_fail(params, hf, "must be a boolean");
    return value == NULL ? fallback : json_is_true(value);
}

str params_str(struct params *params, const char *gguf, const char *hf)
{
    str value = {NULL, 0};
    if (params->config == NULL) {
        char key[128];
        if (gguf != NULL && gguf_str(params->file, gguf_key(params, gguf, key), &value, NULL) < 0)
            params_fail(params, gguf, "must be a string");
        return value;
    }
    const json_t *found = params_json(params, hf);
    if (found == NULL)
        return value;
    if (!json_is_string(found))
        params_fail(params, hf, "must be a string");
    return (str){json_string_value(found), json_string_length(found)};
}

const float *params_reals(struct params *params, const char *hf, int n)
{
    const json_t *list = params_json(params, hf);
    if (list == NULL)
        return NULL;
    float *out = arena_array(params->arena, (size_t)n, sizeof *out);
    if (!json_is_array(list) || json_array_size(list) != (size_t)n || out == NULL) {
        params_fail(params, hf, "must be a list of %d numbers", n);
        return NULL;
    }
    for (int i = 0; i < n; i++) {
        const json_t *element = json_array_get(list, (size_t)i);
        out[i] = (float)json_number_value(element);
        if (!json_is_number(element) || !(out[i] > 0) || !isfinite(out[i]))
            params_fail(params, hf, "element %d must be a number above 0", i);
    }
    return out;
}

const bool *params_flags(struct params *params, const char *gguf, int n)
{
    char key[128];
    const struct gguf_value *value = params->config != NULL ? NULL : gguf_find(model_file_gguf(params->file), str_of(gguf_key(params, gguf, key)));
    if (value == NULL || value->type != GGUF_ARRAY)
        return NULL;
    bool *out = arena_array(params->arena, (size_t)n, sizeof *out);
    if (value->n < (size_t)n || out == NULL) {
        params_fail(params, gguf, "must be a list of %d truth values", n);
        return NULL;
    }
    for (int i = 0; i < n; i++) {
        int64_t number = 0; /* Some files have numbers here. */
        if (gguf_value_i64(value, (size_t)i, &number))
            out[i] = number != 0;
        else if (!gguf_value_bool(value, (size_t)i, &out[i]))
            params_fail(params, gguf, "element %d is no truth value", i);
    }
    return out;
}

const float *params_tensor(struct params *params, const char *name, int n)
{
    const struct tensor *tensor = model_file_tensor(params->file, name);
    if (tensor == NULL)
        return NULL;
    float *out = arena_array(params->arena, (size_t)n, sizeof *out);
    if (tensor->type != TENSOR_F32 || tensor->n_dims != 1 || tensor->ne[0] != n || out == NULL) {
        params_fail(params, name, "must be a tensor of %d F32 numbers", n);
        return NULL;
    }
    memcpy(out, tensor->data, (size_t)n * sizeof *out);
    for (int i = 0; i < n; i++)
        if (out[i] == 0 || !isfinite(out[i])) /* Test models have negative ones. */
            params_fail(params, name, "element %d is zero or not finite", i);
    return out;
}

enum activation params_activation(struct params *params, const char *hf, const char *fallback)
{
    static const struct {
        const char *name;
        enum activation activation;
    } words[] = {
        {"silu", ACTIVATION_SILU},           {"swish", ACTIVATION_SILU},
        {"gelu", ACTIVATION_GELU},           {"gelu_new", ACTIVATION_GELU_TANH},
        {"gelu_fast", ACTIVATION_GELU_TANH}, {"gelu_pytorch_tanh", ACTIVATION_GELU_TANH},
        {"quick_gelu", ACTIVATION_GELU_QUICK}, {"relu", ACTIVATION_RELU},
        {"relu2", ACTIVATION_RELU2},         {"tanh", ACTIVATION_TANH},
    };
    str word = params_str(params, NULL, hf);
    if (word.data == NULL)
        word = str_of(fallback);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_equal(word, str_of(words[i].name)))
            return words[i].activation;
    params_fail(params, hf, "activation \"%.40s\" is not known", word.data);
    return ACTIVATION_SILU;
}

void params_shapes(struct params *params, struct decoder_config *config)
{
    config->n_embd = params_int(params, "embedding_length", "hidden_size|n_embd", PARAM_REQUIRED, 1, 1 << 17);
    config->n_layers = params_int(params, "block_count", "num_hidden_layers|n_layer", PARAM_REQUIRED, 1, DECODER_MAX_LAYERS);
    config->n_heads = params_int(params, "attention.head_count", "num_attention_heads|n_head", PARAM_REQUIRED, 1, 1024);
    config->n_kv_heads = params_int(params, "attention.head_count_kv", "num_key_value_heads", config->n_heads, 1, config->n_heads);
    config->n_context = params_int(params, "context_length", "max_position_embeddings|n_positions|n_ctx", PARAM_REQUIRED, 1, 1 << 26);
    config->head_dim = params_int(params, "attention.key_length", "head_dim", config->n_embd / config->n_heads, 1, 4096);
    int value_dim = params_int(params, "attention.value_length", NULL, config->head_dim, 1, 4096);
    config->n_ff = params_int(params, "feed_forward_length", "intermediate_size|n_inner", 4 * (int64_t)config->n_embd, 1, 1 << 20);
    if (params->config != NULL)
        config->n_vocab = params_int(params, NULL, "vocab_size", PARAM_REQUIRED, 1, 1 << 24);
    if (config->n_heads % config->n_kv_heads != 0)
        params_fail(params, "num_key_value_heads", "%d heads can't share %d of keys and values", config->n_heads, config->n_kv_heads);
    if (value_dim != config->head_dim)
        params_fail(params, "attention.value_length", "values of %d beside keys of %d are not supported", value_dim, config->head_dim);
    config->embedding_scale = 1;
    config->expert_scale = 1;
    config->attention_scale = 1.0f / sqrtf((float)config->head_dim);
    config->tied = params_bool(params, NULL, "tie_word_embeddings", false);
    config->untied = !params_bool(params, NULL, "tie_word_embeddings", true);
    if (params->status == 0)
        config->layers = arena_array(params->arena, (size_t)config->n_layers, sizeof *config->layers);
    if (params->status == 0 && config->layers == NULL)
        params->status = error_set(params->err, WEIR_E_MEMORY, model_file_path(params->file), "no memory for %d layers", config->n_layers);
}

int params_period(struct params *params, const char *hf, int fallback)
{
    if (params->status == 0 && params_flags(params, "attention.sliding_window_pattern", 1) != NULL)
        return fallback;
    return params_int(params, "attention.sliding_window_pattern", hf, fallback, 1, DECODER_MAX_LAYERS);
}

void params_windows(struct params *params, struct decoder_config *config, int window, bool (*local)(int layer, int period), int period)
{
    const json_t *types = params_json(params, "layer_types");
    const bool *flags = params->status < 0 ? NULL : params_flags(params, "attention.sliding_window_pattern", config->n_layers);
    if (params->status < 0)
        return;
    if (types != NULL && (!json_is_array(types) || json_array_size(types) < (size_t)config->n_layers)) {
        params_fail(params, "layer_types", "must be a list of %d words", config->n_layers);
        return;
    }
    for (int i = 0; i < config->n_layers; i++) {
        bool is_local = local == NULL || local(i, period);
        const char *type = json_string_value(json_array_get(types, (size_t)i));
        if (type != NULL && strcmp(type, "sliding_attention") != 0 && strcmp(type, "full_attention") != 0)
            params_fail(params, "layer_types", "\"%.40s\" is not known", type);
        if (type != NULL)
            is_local = strcmp(type, "sliding_attention") == 0;
        if (flags != NULL)
            is_local = flags[i];
        config->layers[i].window = is_local ? window : 0;
    }
}
