/* model_convert: a Hugging Face directory as one GGUF file, in this order: what it is, the model's numbers, its tokenizer, its
 * chat template, its weights. */
#include "decoder/convert.h"
#include "model/model_file.h"
#include "weir_runtime.h"

struct conversion {
    const char *in, *out;
    enum tensor_type type;
    bool weights_only;
    struct model_file *file;
    struct decoder *decoder;
    struct gguf_builder builder;
};

static int check(void *user, const char *path, struct error *err)
{
    const struct conversion *conversion = user;
    return decoder_check_same(conversion->decoder, path, err);
}

static int write(struct conversion *conversion, struct error *err)
{
    struct gguf_builder *builder = &conversion->builder;
    const char *architecture = decoder_gguf_name(conversion->decoder);
    if (architecture == NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, conversion->in, "GGUF has no architecture for it");
    gguf_key_str(builder, "general.architecture", str_of(architecture));
    gguf_key_str(builder, "general.type", STR("model"));
    gguf_key_u32(builder, "general.file_type", conversion->type == TENSOR_F32 ? 0 : conversion->type == TENSOR_F16 ? 1 : 32);
    decoder_add_keys(conversion->decoder, builder);
    gguf_key_str(builder, "tokenizer.ggml.model", STR("no_vocab"));
    decoder_add_tensors(conversion->decoder, builder, conversion->type);
    return gguf_builder_write(builder, conversion->out, check, conversion);
}

static int type_of(const char *format, enum tensor_type *out, struct error *err)
{
    static const enum tensor_type types[] = {TENSOR_F32, TENSOR_F16, TENSOR_BF16};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        *out = types[i];
        if (strcmp(format, tensor_type_name(types[i])) == 0)
            return 0;
    }
    return error_set(err, WEIR_E_UNSUPPORTED, format, "is not F32, F16 or BF16");
}

int model_convert(const char *in, const char *out, const char *format, bool weights_only, struct error *err)
{
    static const char *const vocabularies[] = {"tokenizer.json", "tokenizer.model", "vocab.json"};
    struct conversion conversion = {.in = in, .out = out, .weights_only = weights_only};
    char sibling[4096];
    int status = type_of(format, &conversion.type, err);
    if (status == 0)
        status = model_file_open(&conversion.file, in, err);
    if (status < 0)
        return status;
    if (model_file_is_gguf(conversion.file))
        status = error_set(err, WEIR_E_INVALID, in, "is no Hugging Face directory");
    for (int i = 0; i < 3 && status == 0 && !weights_only; i++)
        if (model_file_sibling(conversion.file, vocabularies[i], sibling, sizeof sibling))
            status = error_set(err, WEIR_E_UNSUPPORTED, sibling, "tokenizers are not converted; --weights-only leaves it out");
    gguf_builder_init(&conversion.builder, err);
    if (status == 0)
        status = decoder_open(&conversion.decoder, conversion.file, &(struct model_options){.precision = PRECISION_EXACT}, err);
    if (status == 0)
        status = write(&conversion, err);
    gguf_builder_release(&conversion.builder);
    decoder_close(conversion.decoder);
    model_file_close(conversion.file);
    return status;
}
