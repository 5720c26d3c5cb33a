/* Converting: a Hugging Face directory's weights, published floats or GPTQ and AWQ int4 alike, as a GGUF file (version 3).
 *
 * The directory is opened as for exact computing, so that every matrix is there by its role with its shape checked, and is
 * written row by row under GGUF's name. The Llama family's q and k change the order of rows inside each head: row 2i + h
 * of the file is row h · n / 2 + i of the published form, since llama.cpp turns neighbouring pairs. Gemma's norms get their one
 * added. Llama 3's stretched frequencies become the tensor rope_freqs. The tokenizer is not part of it. */
#include "decoder/convert.h"
#include "decoder/stack.h"
#include "model/gguf_writer.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

enum { ALIGNMENT = 32, PER_LAYER = 16 };

struct item {
    char name[64];
    const struct linear *linear; /* A matrix; otherwise a vector. */
    const float *vector;
    float added;                 /* To each number of the vector. */
    int n;                       /* Of the vector. */
    int head_dim;                /* Rows change their order within heads of it; 0: they don't. */
};

struct conversion {
    const struct decoder *decoder;
    struct gguf_writer writer;
    str architecture;
    bool pairs;                  /* The Llama family's order of q and k. */
    enum tensor_type type;
    struct item *items;
    size_t n_items;
    uint64_t n_keys;
    bool counting;               /* Keys are counted, not written. */
    int status;
};

static struct item *add(struct conversion *conversion, enum weight weight, int layer, const char *suffix)
{
    struct item *item = &conversion->items[conversion->n_items++];
    *item = (struct item){0};
    if (layer < 0)
        snprintf(item->name, sizeof item->name, "%s%s", gguf_names[weight], suffix);
    else
        snprintf(item->name, sizeof item->name, "blk.%d%s%s", layer, gguf_names[weight] + strlen("blk.#"), suffix);
    return item;
}

static void add_vector(struct conversion *conversion, enum weight weight, int layer, const char *suffix, const float *vector, int n, float added)
{
    if (vector == NULL)
        return;
    struct item *item = add(conversion, weight, layer, suffix);
    item->vector = vector;
    item->n = n;
    item->added = added;
}

static int add_matrix(struct conversion *conversion, enum weight weight, int layer, const struct linear *linear, int head_dim)
{
    struct item *item = add(conversion, weight, layer, ".weight");
    const float *bias;
    /* The loader reads again what the linear keeps to itself. */
    struct loader loader = conversion->decoder->loader;
    loader.err = conversion->writer.err;
    item->linear = linear;
    item->head_dim = head_dim;
    int status = loader_vector(&loader, &bias, weight, layer, ".bias", linear_n_out(linear), false);
    if (status < 0 || bias == NULL)
        return status;
    add_vector(conversion, weight, layer, ".bias", bias, linear_n_out(linear), 0);
    conversion->items[conversion->n_items - 1].head_dim = head_dim;
    return 0;
}

static int add_layer(struct conversion *conversion, int index)
{
    const struct decoder_config *config = &conversion->decoder->config;
    const struct layer *layer = &conversion->decoder->layers[index];
    float offset = config->norm_offset;
    int head_dim = conversion->pairs ? config->head_dim : 0;
    add_vector(conversion, W_ATTN_NORM, index, ".weight", layer->attn_norm.w, config->n_embd, offset);
    add_vector(conversion, W_FFN_NORM, index, ".weight", layer->ffn_norm.w, config->n_embd, offset);
    add_vector(conversion, W_Q_NORM, index, ".weight", layer->q_norm.w, config->head_dim, offset);
    add_vector(conversion, W_K_NORM, index, ".weight", layer->k_norm.w, config->head_dim, offset);
    int status = add_matrix(conversion, W_Q, index, layer->q, head_dim);
    if (status == 0)
        status = add_matrix(conversion, W_K, index, layer->k, head_dim);
    if (status == 0)
        status = add_matrix(conversion, W_V, index, layer->v, 0);
    if (status == 0)
        status = add_matrix(conversion, W_O, index, layer->o, 0);
    if (status == 0)
        status = add_matrix(conversion, W_GATE, index, layer->gate, 0);
    if (status == 0)
        status = add_matrix(conversion, W_UP, index, layer->up, 0);
    return status < 0 ? status : add_matrix(conversion, W_DOWN, index, layer->down, 0);
}

static void key(struct conversion *conversion, const char *name, uint32_t type, const void *value, size_t n)
{
    char full[96];
    bool own = strchr(name, '/') == NULL; /* "/general.x" stands as it is. */
    if (conversion->counting) {
        conversion->n_keys++;
        return;
    }
    if (own)
        snprintf(full, sizeof full, "%.*s.%s", (int)conversion->architecture.n, conversion->architecture.data, name);
    else
        snprintf(full, sizeof full, "%s", name + 1);
    if (conversion->status == 0)
        conversion->status = gguf_put_str(&conversion->writer, str_of(full));
    if (conversion->status == 0)
        conversion->status = gguf_put_u32(&conversion->writer, type);
    if (conversion->status == 0)
        conversion->status = type == GGUF_STRING ? gguf_put_str(&conversion->writer, (str){value, n}) : gguf_put(&conversion->writer, value, n);
}

static void key_str(struct conversion *conversion, const char *name, str value)
{
    key(conversion, name, GGUF_STRING, value.data, value.n);
}

static void key_u32(struct conversion *conversion, const char *name, int value)
{
    uint32_t number = (uint32_t)value;
    key(conversion, name, GGUF_U32, &number, sizeof number);
}

static void key_f32(struct conversion *conversion, const char *name, double value)
{
    float number = (float)value;
    key(conversion, name, GGUF_F32, &number, sizeof number);
}

static void put_keys(struct conversion *conversion)
{
    const struct decoder_config *config = &conversion->decoder->config;
    const struct rope_config *rope = &config->rope[ROPE_GLOBAL];
    key_str(conversion, "/general.architecture", conversion->architecture);
    key_u32(conversion, "/general.file_type", conversion->type == TENSOR_F32 ? 0 : conversion->type == TENSOR_F16 ? 1 : 32);
    key_str(conversion, "/tokenizer.ggml.model", STR("no_vocab"));
    key_u32(conversion, "vocab_size", config->n_vocab);
    key_u32(conversion, "context_length", config->n_context);
    key_u32(conversion, "embedding_length", config->n_embd);
    key_u32(conversion, "block_count", config->n_layers);
    key_u32(conversion, "feed_forward_length", config->n_ff);
    key_u32(conversion, "attention.head_count", config->n_heads);
    key_u32(conversion, "attention.head_count_kv", config->n_kv_heads);
    key_u32(conversion, "attention.key_length", config->head_dim);
    key_u32(conversion, "attention.value_length", config->head_dim);
    key_f32(conversion, "attention.layer_norm_rms_epsilon", (double)config->norm_eps);
    key_u32(conversion, "rope.dimension_count", rope->n_rot);
    key_f32(conversion, "rope.freq_base", rope->base);
    if (config->layers[0].window > 0)
        key_u32(conversion, "attention.sliding_window", config->layers[0].window);
    if (rope->linear != 1) {
        key_str(conversion, "rope.scaling.type", STR("linear"));
        key_f32(conversion, "rope.scaling.factor", rope->linear);
    }
}

static int row_of(const struct item *item, int row)
{
    if (item->head_dim == 0)
        return row;
    int at = row % item->head_dim;
    return row - at + at % 2 * (item->head_dim / 2) + at / 2;
}

static size_t item_bytes(const struct conversion *conversion, const struct item *item)
{
    if (item->linear == NULL)
        return (size_t)item->n * sizeof(float);
    return tensor_row_bytes(conversion->type, linear_n_in(item->linear)) * (size_t)linear_n_out(item->linear);
}

static size_t padding(size_t at)
{
    return (ALIGNMENT - at % ALIGNMENT) % ALIGNMENT;
}

static int put_entry(struct conversion *conversion, const struct item *item, size_t offset)
{
    struct gguf_writer *writer = &conversion->writer;
    bool matrix = item->linear != NULL;
    int status = gguf_put_str(writer, str_of(item->name));
    if (status == 0)
        status = gguf_put_u32(writer, matrix ? 2 : 1);
    if (status == 0)
        status = gguf_put_u64(writer, (uint64_t)(matrix ? linear_n_in(item->linear) : item->n));
    if (status == 0 && matrix)
        status = gguf_put_u64(writer, (uint64_t)linear_n_out(item->linear));
    if (status == 0)
        status = gguf_put_u32(writer, matrix ? conversion->type : TENSOR_F32);
    return status < 0 ? status : gguf_put_u64(writer, offset);
}

static int put_item(struct conversion *conversion, const struct item *item)
{
    int n_in = item->linear != NULL ? linear_n_in(item->linear) : 1, n_rows = item->linear != NULL ? linear_n_out(item->linear) : item->n;
    enum tensor_type type = item->linear != NULL ? conversion->type : TENSOR_F32;
    float *row = malloc((size_t)n_in * 2 * sizeof *row);
    int status = row == NULL ? error_set(conversion->writer.err, WEIR_E_MEMORY, item->name, "no memory for a row") : 0;
    for (int i = 0; i < n_rows && status == 0; i++) {
        if (item->linear != NULL)
            linear_row(item->linear, row_of(item, i), row);
        else
            row[0] = item->vector[row_of(item, i)] + item->added;
        status = quantize_row(type, row, row + n_in, n_in, NULL);
        if (status == 0)
            status = gguf_put(&conversion->writer, row + n_in, tensor_row_bytes(type, n_in));
    }
    free(row);
    return status < 0 ? status : gguf_put_zeros(&conversion->writer, padding(conversion->writer.at));
}

static int put_file(struct conversion *conversion)
{
    struct gguf_writer *writer = &conversion->writer;
    conversion->counting = true;
    put_keys(conversion);
    conversion->counting = false;
    int status = gguf_put(writer, "GGUF", 4);
    if (status == 0)
        status = gguf_put_u32(writer, 3);
    if (status == 0)
        status = gguf_put_u64(writer, conversion->n_items);
    if (status == 0)
        status = gguf_put_u64(writer, conversion->n_keys);
    conversion->status = status;
    put_keys(conversion);
    status = conversion->status;
    size_t offset = 0;
    for (size_t i = 0; i < conversion->n_items && status == 0; i++) {
        status = put_entry(conversion, &conversion->items[i], offset);
        offset += item_bytes(conversion, &conversion->items[i]);
        offset += padding(offset);
    }
    if (status == 0)
        status = gguf_put_zeros(writer, padding(writer->at));
    for (size_t i = 0; i < conversion->n_items && status == 0; i++)
        status = put_item(conversion, &conversion->items[i]);
    return status;
}

/* Only what GGUF's keys for the architecture can say, and llama.cpp reads the same. */
static int check(struct conversion *conversion, const char *path)
{
    static const struct {
        const struct architecture *from;
        const char *to;
        bool pairs;
    } known[] = {{&arch_llama, "llama", true}, {&arch_mistral, "llama", true}, {&arch_qwen2, "qwen2", false}, {&arch_qwen3, "qwen3", false}, {&arch_gemma, "gemma", false}};
    const struct decoder_config *config = &conversion->decoder->config;
    const struct rope_config *rope = &config->rope[ROPE_GLOBAL];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].from == conversion->decoder->architecture) {
            conversion->architecture = str_of(known[i].to);
            conversion->pairs = known[i].pairs;
        }
    if (conversion->architecture.n == 0)
        return error_set(conversion->writer.err, WEIR_E_UNSUPPORTED, path, "only Llama, Mistral, Qwen2, Qwen3 and Gemma 1 are converted");
    if (config->n_experts > 0)
        return error_set(conversion->writer.err, WEIR_E_UNSUPPORTED, path, "models of experts are not converted");
    if (rope->yarn.on || rope->border > 0 || rope->scale[0] != 1 || config->temperature_scale != 0)
        return error_set(conversion->writer.err, WEIR_E_UNSUPPORTED, path, "YaRN and LongRoPE are not converted");
    for (int i = 1; i < config->n_layers; i++)
        if (config->layers[i].window != config->layers[0].window)
            return error_set(conversion->writer.err, WEIR_E_UNSUPPORTED, path, "layers with windows of their own are not converted");
    return 0;
}

static int collect(struct conversion *conversion, float *divisors)
{
    const struct decoder *decoder = conversion->decoder;
    const struct decoder_config *config = &decoder->config;
    const struct rope_config *rope = &config->rope[ROPE_GLOBAL];
    bool own = loader_find(&decoder->loader, W_OUTPUT, -1, -1, ".weight") != NULL && !config->tied;
    int status = 0;
    struct linear *embedding = NULL;
    struct loader *loader = (struct loader *)(uintptr_t)&decoder->loader;
    loader->err = conversion->writer.err;
    status = loader_linear(loader, &embedding, &(struct matrix){W_TOKEN_EMBD, -1, -1, config->n_vocab, config->n_embd});
    if (status == 0)
        status = add_matrix(conversion, W_TOKEN_EMBD, -1, embedding, 0);
    add_vector(conversion, W_OUTPUT_NORM, -1, ".weight", decoder->output_norm.w, config->n_embd, config->norm_offset);
    if (status == 0 && own)
        status = add_matrix(conversion, W_OUTPUT, -1, decoder->output, 0);
    if (rope->llama3.on) {
        for (int i = 0; i < rope->n_rot / 2; i++)
            divisors[i] = (float)(pow(rope->base, -2.0 * i / rope->n_rot) / (double)decoder->rotary[ROPE_GLOBAL].inv_freq[0][i]);
        add_vector(conversion, W_TOKEN_EMBD, -1, ".weight", divisors, rope->n_rot / 2, 0);
        snprintf(conversion->items[conversion->n_items - 1].name, sizeof conversion->items[0].name, "rope_freqs.weight");
    }
    for (int i = 0; i < config->n_layers && status == 0; i++)
        status = add_layer(conversion, i);
    return status;
}

int decoder_convert(struct decoder *decoder, const char *path, const char *out, enum tensor_type type, struct error *err)
{
    char partial[PATH_MAX];
    if (snprintf(partial, sizeof partial, "%s.partial", out) >= (int)sizeof partial)
        return error_set(err, WEIR_E_INVALID, out, "path too long");
    struct conversion conversion = {.decoder = decoder, .type = type, .writer = {.path = partial, .err = err}};
    int status = check(&conversion, path);
    if (status < 0)
        return status;
    float *divisors = calloc((size_t)decoder->config.head_dim, sizeof *divisors);
    conversion.items = calloc((size_t)decoder->config.n_layers * PER_LAYER + 8, sizeof *conversion.items);
    if (divisors == NULL || conversion.items == NULL)
        status = error_set(err, WEIR_E_MEMORY, path, "no memory");
    if (status == 0)
        status = collect(&conversion, divisors);
    if (status == 0 && (conversion.writer.file = fopen(partial, "wbe")) == NULL)
        status = error_set(err, WEIR_E_IO, partial, "%s", strerror(errno));
    if (status == 0)
        status = put_file(&conversion);
    if (status == 0 && (fflush(conversion.writer.file) != 0 || fsync(fileno(conversion.writer.file)) < 0))
        status = error_set(err, WEIR_E_IO, partial, "%s", strerror(errno));
    if (conversion.writer.file != NULL && fclose(conversion.writer.file) != 0 && status == 0)
        status = error_set(err, WEIR_E_IO, partial, "%s", strerror(errno));
    if (status == 0 && rename(partial, out) < 0)
        status = error_set(err, WEIR_E_IO, out, "%s", strerror(errno));
    if (status < 0 && conversion.writer.file != NULL)
        unlink(partial);
    free(conversion.items);
    free(divisors);
    return status;
}
