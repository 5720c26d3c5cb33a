/* Quantizing: a GGUF file written anew with its matrices in another weight format.
 *
 * Metadata goes over byte by byte in its old order but for general.file_type and general.quantization_version, which are set.
 * Every tensor of two or more dimensions whose name ends in ".weight" is rewritten, as llama-quantize --pure does, except
 * norms, routers and position tables; where a row is no whole number of blocks it becomes F16. All others stay as they are.
 * The result is written beside the target, synced and renamed, so that the target is whole or untouched. One row is in memory
 * at a time. */
#include "model/gguf.h"
#include "weir_runtime.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct writer {
    FILE *file;
    const char *path;
    size_t at; /* Bytes written. */
    struct error *err;
};

static int put(struct writer *writer, const void *data, size_t n)
{
    if (n > 0 && fwrite(data, 1, n, writer->file) != n)
        return error_set(writer->err, WEIR_E_IO, writer->path, "%s", strerror(errno));
    writer->at += n;
    return 0;
}

static int put_u32(struct writer *writer, uint32_t value)
{
    return put(writer, &value, sizeof value);
}

static int put_u64(struct writer *writer, uint64_t value)
{
    return put(writer, &value, sizeof value);
}

static int put_str(struct writer *writer, str s)
{
    int status = put_u64(writer, s.n);
    return status < 0 ? status : put(writer, s.data, s.n);
}

static int put_zeros(struct writer *writer, size_t n)
{
    static const char zeros[64];
    int status = 0;
    for (; n > 0 && status == 0; n -= n < sizeof zeros ? n : sizeof zeros)
        status = put(writer, zeros, n < sizeof zeros ? n : sizeof zeros);
    return status;
}

/* ------------------------------------------------------------------ what becomes of what */

/* Formats that can be written, with llama.cpp's number for a file of each. */
static const struct {
    enum tensor_type type;
    uint32_t file_type;
} formats[] = {{TENSOR_F32, 0}, {TENSOR_F16, 1}, {TENSOR_Q4_0, 2}, {TENSOR_Q4_1, 3}, {TENSOR_Q8_0, 7}, {TENSOR_Q5_0, 8}, {TENSOR_Q5_1, 9}, {TENSOR_BF16, 32}};

static enum tensor_type type_after(const struct tensor *tensor, enum tensor_type wanted)
{
    static const char *const kept[] = {"_norm.weight", "ffn_gate_inp.weight", "ffn_gate_inp_shexp.weight", "position_embd.weight", "token_types.weight"};
    str name = str_of(tensor->name);
    bool rewritten = tensor->n_dims >= 2 && str_ends(name, STR(".weight"));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        rewritten = rewritten && !str_ends(name, str_of(kept[i]));
    if (!rewritten)
        return tensor->type;
    return tensor->ne[0] % tensor_type_block(wanted) == 0 ? wanted : TENSOR_F16;
}

static size_t bytes_after(const struct tensor *tensor, enum tensor_type type)
{
    return tensor_row_bytes(type, tensor->ne[0]) * (size_t)(tensor->ne[1] * tensor->ne[2] * tensor->ne[3]);
}

/* ------------------------------------------------------------------ metadata */

/* Bytes of a value's elements. */
static size_t value_bytes(const struct gguf_value *value)
{
    static const size_t widths[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    str last;
    if (value->element != GGUF_STRING)
        return widths[value->element] * value->n;
    if (value->n == 0 || !gguf_value_str(value, value->n - 1, &last))
        return 0;
    return (size_t)((const uint8_t *)last.data + last.n - value->data);
}

static int put_value(struct writer *writer, const struct gguf_value *value)
{
    int status = put_str(writer, value->key);
    if (status == 0)
        status = put_u32(writer, value->type);
    if (status == 0 && value->type == GGUF_ARRAY) {
        status = put_u32(writer, value->element);
        if (status == 0)
            status = put_u64(writer, value->n);
    }
    return status < 0 ? status : put(writer, value->data, value_bytes(value));
}

static int put_number(struct writer *writer, str key, uint32_t number)
{
    int status = put_str(writer, key);
    if (status == 0)
        status = put_u32(writer, GGUF_U32);
    return status < 0 ? status : put_u32(writer, number);
}

static int compare_places(const void *a, const void *b)
{
    const uint8_t *x = (*(const struct gguf_value *const *)a)->data, *y = (*(const struct gguf_value *const *)b)->data;
    return x < y ? -1 : x > y;
}

static bool is_set_here(const struct gguf_value *value)
{
    return str_equal(value->key, STR("general.file_type")) || str_equal(value->key, STR("general.quantization_version"));
}

static int put_metadata(struct writer *writer, const struct gguf *gguf, uint32_t file_type)
{
    const struct gguf_value **order = malloc((gguf->n_values + 1) * sizeof *order);
    size_t n = 0;
    if (order == NULL)
        return error_set(writer->err, WEIR_E_MEMORY, writer->path, "no memory");
    for (size_t i = 0; i < gguf->n_values; i++)
        if (!is_set_here(&gguf->values[i]))
            order[n++] = &gguf->values[i];
    qsort(order, n, sizeof *order, compare_places);
    int status = put(writer, "GGUF", 4);
    if (status == 0)
        status = put_u32(writer, 3);
    if (status == 0)
        status = put_u64(writer, gguf->n_tensors);
    if (status == 0)
        status = put_u64(writer, n + 2);
    for (size_t i = 0; i < n && status == 0; i++)
        status = put_value(writer, order[i]);
    if (status == 0)
        status = put_number(writer, STR("general.quantization_version"), 2);
    if (status == 0)
        status = put_number(writer, STR("general.file_type"), file_type);
    free(order);
    return status;
}

/* ------------------------------------------------------------------ tensors */

static size_t alignment_of(const struct gguf *gguf)
{
    int64_t alignment = 32;
    const struct gguf_value *value = gguf_find(gguf, STR("general.alignment"));
    if (value != NULL)
        (void)!gguf_value_i64(value, 0, &alignment); /* Checked by the parser. */
    return (size_t)alignment;
}

static size_t padding(size_t at, size_t alignment)
{
    return (alignment - at % alignment) % alignment;
}

static int put_entries(struct writer *writer, const struct gguf *gguf, enum tensor_type wanted, size_t alignment)
{
    size_t offset = 0;
    int status = 0;
    for (size_t i = 0; i < gguf->n_tensors && status == 0; i++) {
        const struct tensor *tensor = &gguf->tensors[i];
        enum tensor_type type = type_after(tensor, wanted);
        status = put_str(writer, str_of(tensor->name));
        if (status == 0)
            status = put_u32(writer, (uint32_t)tensor->n_dims);
        for (int d = 0; d < tensor->n_dims && status == 0; d++)
            status = put_u64(writer, (uint64_t)tensor->ne[d]);
        if (status == 0)
            status = put_u32(writer, type);
        if (status == 0)
            status = put_u64(writer, offset);
        offset += bytes_after(tensor, type);
        offset += padding(offset, alignment);
    }
    return status;
}

static int put_rows(struct writer *writer, const struct tensor *tensor, enum tensor_type type)
{
    size_t from_bytes = tensor_row_bytes(tensor->type, tensor->ne[0]), to_bytes = tensor_row_bytes(type, tensor->ne[0]);
    int64_t n_rows = tensor->ne[1] * tensor->ne[2] * tensor->ne[3];
    float *row = malloc((size_t)tensor->ne[0] * sizeof *row);
    uint8_t *packed = malloc(to_bytes);
    int status = row == NULL || packed == NULL ? error_set(writer->err, WEIR_E_MEMORY, writer->path, "no memory for a row of %lld", (long long)tensor->ne[0]) : 0;
    for (int64_t i = 0; i < n_rows && status == 0; i++) {
        dequantize_row(tensor->type, (const uint8_t *)tensor->data + (size_t)i * from_bytes, row, tensor->ne[0]);
        status = quantize_row(type, row, packed, tensor->ne[0], NULL);
        if (status < 0)
            error_set(writer->err, status, tensor->name, "can't be written as %s", tensor_type_name(type));
        else
            status = put(writer, packed, to_bytes);
    }
    free(row);
    free(packed);
    return status;
}

static int put_tensors(struct writer *writer, const struct gguf *gguf, enum tensor_type wanted, size_t alignment)
{
    int status = put_zeros(writer, padding(writer->at, alignment));
    for (size_t i = 0; i < gguf->n_tensors && status == 0; i++) {
        const struct tensor *tensor = &gguf->tensors[i];
        enum tensor_type type = type_after(tensor, wanted);
        status = type == tensor->type ? put(writer, tensor->data, tensor->n_bytes) : put_rows(writer, tensor, type);
        if (status == 0)
            status = put_zeros(writer, padding(writer->at, alignment));
    }
    return status;
}

/* Only from formats that lose nothing: a second rounding would be worse than the first. */
static int check_source(const struct gguf *gguf, const char *path, enum tensor_type wanted, struct error *err)
{
    for (size_t i = 0; i < gguf->n_tensors; i++) {
        const struct tensor *tensor = &gguf->tensors[i];
        char where[192];
        if (type_after(tensor, wanted) == tensor->type || tensor->type == TENSOR_F32 || tensor->type == TENSOR_F16 || tensor->type == TENSOR_BF16)
            continue;
        model_where(where, sizeof where, path, "tensor", str_of(tensor->name));
        return error_set(err, WEIR_E_INVALID, where, "is %s: only F32, F16 and BF16 are quantized", tensor_type_name(tensor->type));
    }
    return 0;
}

int model_quantize(const char *in, const char *out, const char *format, struct error *err)
{
    char partial[PATH_MAX];
    size_t which = 0, n_formats = sizeof formats / sizeof *formats;
    struct gguf *gguf;
    while (which < n_formats && strcmp(format, tensor_type_name(formats[which].type)) != 0)
        which++;
    if (which == n_formats)
        return error_set(err, WEIR_E_UNSUPPORTED, format, "is no format that can be written (F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1)");
    if (snprintf(partial, sizeof partial, "%s.partial", out) >= (int)sizeof partial)
        return error_set(err, WEIR_E_INVALID, out, "path too long");
    int status = gguf_open(&gguf, in, err);
    if (status < 0)
        return status;
    enum tensor_type wanted = formats[which].type;
    size_t alignment = alignment_of(gguf);
    struct writer writer = {.path = partial, .err = err};
    if (gguf_find(gguf, STR("split.count")) != NULL)
        status = error_set(err, WEIR_E_UNSUPPORTED, in, "is one part of a split model");
    if (status == 0)
        status = check_source(gguf, in, wanted, err);
    if (status == 0 && (writer.file = fopen(partial, "wbe")) == NULL)
        status = error_set(err, WEIR_E_IO, partial, "%s", strerror(errno));
    if (status == 0)
        status = put_metadata(&writer, gguf, formats[which].file_type);
    if (status == 0)
        status = put_entries(&writer, gguf, wanted, alignment);
    if (status == 0)
        status = put_tensors(&writer, gguf, wanted, alignment);
    if (status == 0 && (fflush(writer.file) != 0 || fsync(fileno(writer.file)) < 0))
        status = error_set(err, WEIR_E_IO, partial, "%s", strerror(errno));
    if (writer.file != NULL && fclose(writer.file) != 0 && status == 0)
        status = error_set(err, WEIR_E_IO, partial, "%s", strerror(errno));
    if (status == 0 && rename(partial, out) < 0)
        status = error_set(err, WEIR_E_IO, out, "%s", strerror(errno));
    if (status < 0 && writer.file != NULL)
        unlink(partial);
    gguf_close(gguf);
    return status;
}
