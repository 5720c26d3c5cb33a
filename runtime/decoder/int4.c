/* Int4 packing. Beside a matrix "X" of [out, in] lie, as I32 words of eight nibbles:
 *
 * GPTQ: X.qweight [in/8, out], eight inputs to a word, lowest nibble first; X.qzeros [groups, out/8], each zero less one
 * (but as it is in checkpoint_format "gptq_v2"); X.scales [groups, out]; X.g_idx [in], the group of each input (absent: in
 * order).
 * AWQ: X.qweight [in, out/8] and X.qzeros [groups, out/8], nibble k of a word belonging to the output 8 w + order[k];
 * X.scales [groups, out]; groups of consecutive inputs.
 *
 * A weight is (q - zero) · scale. Every shape and every group index is checked before use. */
#include "decoder/int4.h"
#include "model/gguf.h"

#include <inttypes.h>
#include <stdlib.h>

static const int awq_place[8] = {0, 4, 1, 5, 2, 6, 3, 7}; /* Where output 8 w + i stands: the inverse of 0 2 4 6 1 3 5 7. */

struct int4 {
    const struct tensor *words, *zeros, *scales, *groups;
    int n_in, n_rows, n_groups;
    bool awq;
    int zero_offset;
};

static int fail(const struct loader *loader, const char *name, const char *format, ...) WEIR_PRINTF(3, 4);
static int fail(const struct loader *loader, const char *name, const char *format, ...)
{
    char where[192], text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    model_where(where, sizeof where, model_file_path(loader->file), "tensor", str_of(name));
    return error_set(loader->err, WEIR_E_INVALID, where, "%s", text);
}

/* What config.json says of the packing. */
static int read_method(const struct loader *loader, struct int4 *packed)
{
    const json_t *about = json_object_get(model_file_config(loader->file), "quantization_config");
    const char *path = model_file_path(loader->file);
    str method = {NULL, 0}, format = {NULL, 0};
    int64_t bits = 4;
    if (json_member_str(about, "quant_method", &method, loader->err) < 0 || json_member_str(about, "checkpoint_format", &format, loader->err) < 0 ||
        json_member_i64(about, "bits", &bits, loader->err) < 0) {
        error_prefix(loader->err, "config.json: quantization_config");
        return error_prefix(loader->err, path);
    }
    if (bits != 4)
        return error_set(loader->err, WEIR_E_UNSUPPORTED, path, "quantization_config: %" PRId64 " bits are not supported (4 are)", bits);
    packed->awq = str_equal(method, STR("awq"));
    if (!packed->awq && !str_equal(method, STR("gptq")))
        return error_set(loader->err, WEIR_E_UNSUPPORTED, path, "quantization_config: quant_method must be \"gptq\" or \"awq\"");
    packed->zero_offset = packed->awq || str_equal(format, STR("gptq_v2")) ? 0 : 1;
    return 0;
}

static bool shaped(const struct tensor *tensor, enum tensor_type type, int64_t columns, int64_t rows)
{
    return tensor != NULL && tensor->type == type && tensor->ne[0] == columns && tensor->ne[1] == rows && tensor->ne[2] == 1 && tensor->ne[3] == 1;
}

static int read_parts(const struct loader *loader, const struct matrix *matrix, struct int4 *packed)
{
    packed->words = loader_find(loader, matrix->weight, matrix->layer, matrix->expert, ".qweight");
    packed->zeros = loader_find(loader, matrix->weight, matrix->layer, matrix->expert, ".qzeros");
    packed->scales = loader_find(loader, matrix->weight, matrix->layer, matrix->expert, ".scales");
    packed->groups = loader_find(loader, matrix->weight, matrix->layer, matrix->expert, ".g_idx");
    const char *name = packed->words->name;
    int n_in = packed->n_in, n_rows = packed->n_rows;
    if (n_in % 8 != 0 || n_rows % 8 != 0)
        return fail(loader, name, "%d x %d is no multiple of 8 either way", n_rows, n_in);
    if (!(packed->awq ? shaped(packed->words, TENSOR_I32, n_rows / 8, n_in) : shaped(packed->words, TENSOR_I32, n_rows, n_in / 8)))
        return fail(loader, name, "has not the shape of %d x %d packed weights", n_rows, n_in);
    if (packed->scales == NULL || packed->zeros == NULL)
        return fail(loader, name, "has no scales or qzeros beside it");
    packed->n_groups = (int)packed->scales->ne[1];
    if ((packed->scales->type != TENSOR_F16 && packed->scales->type != TENSOR_BF16 && packed->scales->type != TENSOR_F32) ||
        !shaped(packed->scales, packed->scales->type, n_rows, packed->n_groups) || packed->n_groups > n_in || n_in % packed->n_groups != 0)
        return fail(loader, packed->scales->name, "has not the shape of scales for %d x %d weights", n_rows, n_in);
    if (!shaped(packed->zeros, TENSOR_I32, n_rows / 8, packed->n_groups))
        return fail(loader, packed->zeros->name, "has not the shape of zeros for %d groups of %d", packed->n_groups, n_rows);
    if (packed->groups != NULL && !packed->awq && (packed->groups->type != TENSOR_I32 || packed->groups->ne[0] != n_in))
        return fail(loader, packed->groups->name, "must hold %d I32 groups", n_in);
    return 0;
}

static uint32_t word_at(const struct tensor *tensor, size_t index)
{
    uint32_t word;
    memcpy(&word, (const uint8_t *)tensor->data + index * sizeof word, sizeof word);
    return word;
}

int int4_unpack(const struct loader *loader, const struct matrix *matrix, float *out)
{
    struct int4 packed = {.n_in = matrix->n_in, .n_rows = matrix->n_rows > 0 ? matrix->n_rows : matrix->n_out};
    int status = read_method(loader, &packed);
    if (status == 0)
        status = read_parts(loader, matrix, &packed);
    if (status < 0)
        return status;
    size_t n_rows = (size_t)packed.n_rows;
    float *scales = malloc((size_t)packed.n_groups * n_rows * sizeof *scales);
    if (scales == NULL)
        return error_set(loader->err, WEIR_E_MEMORY, packed.scales->name, "no memory");
    dequantize_row(packed.scales->type, packed.scales->data, scales, packed.n_groups * (int64_t)packed.n_rows);
    for (int in = 0; in < matrix->n_in; in++) {
        uint32_t group = packed.groups != NULL && !packed.awq ? word_at(packed.groups, (size_t)in) : (uint32_t)(in / (packed.n_in / packed.n_groups));
        if (group >= (uint32_t)packed.n_groups) {
            status = fail(loader, packed.groups->name, "input %d is in group %u of %d", in, group, packed.n_groups);
            break;
        }
        for (int row = 0; row < matrix->n_out; row++) {
            size_t at = (size_t)(matrix->first_row + row);
            int place = packed.awq ? awq_place[at % 8] : (int)(at % 8);
            uint32_t q = packed.awq ? word_at(packed.words, (size_t)in * (n_rows / 8) + at / 8) >> 4 * place
                                    : word_at(packed.words, (size_t)(in / 8) * n_rows + at) >> 4 * (in % 8);
            uint32_t zero = word_at(packed.zeros, group * (n_rows / 8) + at / 8) >> 4 * place;
            int value = (int)(q & 15) - (int)((zero + (uint32_t)packed.zero_offset) & 15);
            out[(size_t)row * (size_t)matrix->n_in + (size_t)in] = (float)value * scales[group * n_rows + at];
        }
    }
    free(scales);
    return status;
}
