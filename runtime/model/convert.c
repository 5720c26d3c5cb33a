/* model_convert: the directory's decoder and what must not get lost without a word. */
#include "decoder/convert.h"
#include "model/model_file.h"
#include "weir_runtime.h"

int model_convert(const char *in, const char *out, const char *format, bool weights_only, struct error *err)
{
    static const enum tensor_type types[] = {TENSOR_F32, TENSOR_F16, TENSOR_BF16};
    static const char *const vocabularies[] = {"tokenizer.json", "tokenizer.model", "vocab.json"};
    struct model_file *file;
    struct decoder *decoder = NULL;
    char sibling[4096];
    size_t which = 0;
    while (which < 3 && strcmp(format, tensor_type_name(types[which])) != 0)
        which++;
    if (which == 3)
        return error_set(err, WEIR_E_UNSUPPORTED, format, "is not F32, F16 or BF16");
    int status = model_file_open(&file, in, err);
    if (status < 0)
        return status;
    if (model_file_is_gguf(file))
        status = error_set(err, WEIR_E_INVALID, in, "is no Hugging Face directory");
    for (int i = 0; i < 3 && status == 0 && !weights_only; i++)
        if (model_file_sibling(file, vocabularies[i], sibling, sizeof sibling))
            status = error_set(err, WEIR_E_UNSUPPORTED, sibling, "tokenizers are not converted; --weights-only leaves it out");
    if (status == 0)
        status = decoder_open(&decoder, file, &(struct model_options){.precision = PRECISION_EXACT}, err);
    if (status == 0)
        status = decoder_convert(decoder, in, out, types[which], err);
    decoder_close(decoder);
    model_file_close(file);
    return status;
}
