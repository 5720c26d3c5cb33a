/* model_convert: a Hugging Face directory as one GGUF file, in this order: what it is, the model's numbers, its tokenizer, its
 * chat template, its weights. */
#include "model/convert.h"
#include "decoder/adapter.h"
#include "decoder/convert.h"
#include "chat/chat.h"
#include "encoder/convert.h"
#include "encoder/encoder.h"
#include "model/model_file.h"
#include "tokenizer/gguf_keys.h"
#include "weir_runtime.h"

enum { MAX_TEMPLATE_BYTES = 4 << 20 };

struct conversion {
    const char *in, *out;
    enum tensor_type type;
    struct model_file *file;
    struct decoder *decoder;
    struct tokenizer *tokenizer; /* NULL: none, or not wanted. */
    struct gguf_builder builder;
};

static int check(void *user, const char *path, struct error *err)
{
    const struct conversion *conversion = user;
    return decoder_check_same(conversion->decoder, path, err);
}

static void add_template(struct conversion *conversion)
{
    struct gguf_builder *builder = &conversion->builder;
    struct buffer source;
    buffer_init(&source, MAX_TEMPLATE_BYTES);
    int status = chat_read_source(conversion->file, &source, builder->err);
    if (status < 0 && builder->status == 0)
        builder->status = status;
    if (status == 0 && source.failed)
        gguf_builder_fail(builder, WEIR_E_LIMIT, conversion->in, "the chat template is larger than %d bytes", MAX_TEMPLATE_BYTES);
    if (status == 0 && source.n > 0)
        gguf_key_str(builder, "tokenizer.chat_template", buffer_str(&source));
    buffer_release(&source);
}

/* The last part of the path, which a model is known by. */
static str name_of(const char *path)
{
    str name = str_of(path);
    while (name.n > 1 && name.data[name.n - 1] == '/')
        name.n--;
    for (size_t i = name.n; i > 0; i--)
        if (name.data[i - 1] == '/')
            return (str){name.data + i, name.n - i};
    return name;
}

static void add_head(struct conversion *conversion, const char *architecture)
{
    struct gguf_builder *builder = &conversion->builder;
    gguf_key_str(builder, "general.architecture", str_of(architecture));
    gguf_key_str(builder, "general.type", STR("model"));
    gguf_key_str(builder, "general.name", name_of(conversion->in));
    gguf_key_u32(builder, "general.file_type", conversion->type == TENSOR_F32 ? 0 : conversion->type == TENSOR_F16 ? 1 : 32);
}

static void add_tokenizer(struct conversion *conversion, int n_vocab)
{
    if (conversion->tokenizer != NULL) {
        tokenizer_add_keys(conversion->tokenizer, conversion->file, n_vocab, &conversion->builder);
        add_template(conversion);
    } else {
        gguf_key_str(&conversion->builder, "tokenizer.ggml.model", STR("no_vocab"));
    }
}

static int write_decoder(struct conversion *conversion, struct error *err)
{
    struct gguf_builder *builder = &conversion->builder;
    const char *architecture = decoder_gguf_name(conversion->decoder);
    if (architecture == NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, conversion->in, "GGUF has no architecture for it");
    add_head(conversion, architecture);
    decoder_add_keys(conversion->decoder, builder);
    add_tokenizer(conversion, conversion->decoder->config.n_vocab);
    decoder_add_tensors(conversion->decoder, builder, conversion->type);
    return gguf_builder_write(builder, conversion->out, check, conversion);
}

static int check_encoder(void *user, const char *path, struct error *err)
{
    struct model *model;
    int status = model_open(&model, path, &(struct model_options){.precision = PRECISION_EXACT, .n_threads = 1}, err);
    model_close(status == 0 ? model : NULL);
    return status;
}

static int write_encoder(struct conversion *conversion, struct error *err)
{
    int n_vocab;
    add_head(conversion, "bert");
    int status = encoder_add_gguf(conversion->file, conversion->type, &conversion->builder, &n_vocab, err);
    if (status < 0)
        return status;
    add_tokenizer(conversion, n_vocab);
    return gguf_builder_write(&conversion->builder, conversion->out, check_encoder, conversion);
}

int convert_type(const char *format, enum tensor_type *out, struct error *err)
{
    static const enum tensor_type types[] = {TENSOR_F32, TENSOR_F16, TENSOR_BF16};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        *out = types[i];
        if (strcmp(format, tensor_type_name(types[i])) == 0)
            return 0;
    }
    return error_set(err, WEIR_E_UNSUPPORTED, format, "is not F32, F16 or BF16");
}

/* The look-up in a tied embedding reads the file's own rows, which an adapter of the head must not change. */
static int check_adapter(const struct conversion *conversion, struct error *err)
{
    const struct decoder *decoder = conversion->decoder;
    const struct decoder_config *config = &decoder->config;
    struct adapter_delta delta;
    if (decoder->adapter == NULL)
        return 0;
    int changed = loader_adapter(&decoder->loader, &(struct matrix){W_TOKEN_EMBD, -1, -1, config->n_vocab, config->n_embd}, decoder->adapter, &delta, err);
    return changed <= 0 ? changed : error_set(err, WEIR_E_UNSUPPORTED, conversion->in, "the adapter changes the embedding, which can't be merged");
}

int convert_directory(const char *in, const char *adapter, const char *out, enum tensor_type type, bool weights_only, struct error *err)
{
    struct conversion conversion = {.in = in, .out = out, .type = type};
    int status = model_file_open(&conversion.file, in, err);
    if (status < 0)
        return status;
    bool encoder = encoder_knows(model_file_architecture(conversion.file));
    if (model_file_is_gguf(conversion.file))
        status = error_set(err, WEIR_E_INVALID, in, "is no Hugging Face directory");
    else if (encoder && adapter != NULL)
        status = error_set(err, WEIR_E_UNSUPPORTED, in, "adapters are for generating models");
    gguf_builder_init(&conversion.builder, err);
    if (status == 0 && !encoder)
        status = decoder_open(&conversion.decoder, conversion.file, &(struct model_options){.precision = PRECISION_EXACT, .adapter = adapter}, err);
    if (status == 0 && !encoder)
        status = check_adapter(&conversion, err);
    if (status == 0 && !weights_only)
        status = tokenizer_open(&conversion.tokenizer, conversion.file, err);
    if (status == 0)
        status = encoder ? write_encoder(&conversion, err) : write_decoder(&conversion, err);
    gguf_builder_release(&conversion.builder);
    tokenizer_close(conversion.tokenizer);
    decoder_close(conversion.decoder);
    model_file_close(conversion.file);
    return status;
}

int model_convert(const char *in, const char *out, const char *format, bool weights_only, struct error *err)
{
    enum tensor_type type;
    int status = convert_type(format, &type, err);
    return status < 0 ? status : convert_directory(in, NULL, out, type, weights_only, err);
}
