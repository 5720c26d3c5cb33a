/* Quantizing: a GGUF file written anew with its matrices in another weight format.
 *
 * Metadata goes over byte by byte in its old order but for general.file_type and general.quantization_version, which are set.
 * gguf_mix.c says which tensor takes which format; the others go over as they are. Columns count by the importance matrix
 * where there is one.
 * The result is written beside the target, synced and renamed, so that the target is whole or untouched. One row is in memory
 * at a time. */
#include "model/gguf_mix.h"
#include "model/gguf_writer.h"
#include "model/imatrix.h"
#include "weir_runtime.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What is done with which file. */
struct plan {
    const struct gguf *gguf;
    const struct mix *mix;
    struct mix_model model;
    const struct imatrix *imatrix; /* NULL: every column counts the same. */
    size_t alignment;
};

static size_t bytes_after(const struct tensor *tensor, enum tensor_type type)
{
    return tensor_row_bytes(type, tensor->ne[0]) * (size_t)(tensor->ne[1] * tensor->ne[2] * tensor->ne[3]);
}

static int put_value(struct gguf_writer *writer, const struct gguf_value *value)
{
    int status = gguf_put_str(writer, value->key);
    if (status == 0)
        status = gguf_put_u32(writer, value->type);
    if (status == 0 && value->type == GGUF_ARRAY) {
        status = gguf_put_u32(writer, value->element);
        if (status == 0)
            status = gguf_put_u64(writer, value->n);
    }
    return status < 0 ? status : gguf_put(writer, value->data, gguf_value_bytes(value));
}

static int put_number(struct gguf_writer *writer, str key, uint32_t number)
{
    int status = gguf_put_str(writer, key);
    if (status == 0)
        status = gguf_put_u32(writer, GGUF_U32);
    return status < 0 ? status : gguf_put_u32(writer, number);
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

static int put_metadata(struct gguf_writer *writer, const struct gguf *gguf, uint32_t file_type)
{
    const struct gguf_value **order = malloc((gguf->n_values + 1) * sizeof *order);
    size_t n = 0;
    if (order == NULL)
        return error_set(writer->err, WEIR_E_MEMORY, writer->path, "no memory");
    for (size_t i = 0; i < gguf->n_values; i++)
        if (!is_set_here(&gguf->values[i]))
            order[n++] = &gguf->values[i];
    qsort(order, n, sizeof *order, compare_places);
    int status = gguf_put(writer, "GGUF", 4);
    if (status == 0)
        status = gguf_put_u32(writer, 3);
    if (status == 0)
        status = gguf_put_u64(writer, gguf->n_tensors);
    if (status == 0)
        status = gguf_put_u64(writer, n + 2);
    for (size_t i = 0; i < n && status == 0; i++)
        status = put_value(writer, order[i]);
    if (status == 0)
        status = put_number(writer, STR("general.quantization_version"), 2);
    if (status == 0)
        status = put_number(writer, STR("general.file_type"), file_type);
    free(order);
    return status;
}

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

static enum tensor_type type_after(const struct plan *plan, const struct tensor *tensor)
{
    return mix_type(plan->mix, &plan->model, tensor);
}

static int put_entries(struct gguf_writer *writer, const struct plan *plan)
{
    const struct gguf *gguf = plan->gguf;
    size_t offset = 0;
    int status = 0;
    for (size_t i = 0; i < gguf->n_tensors && status == 0; i++) {
        const struct tensor *tensor = &gguf->tensors[i];
        enum tensor_type type = type_after(plan, tensor);
        status = gguf_put_str(writer, str_of(tensor->name));
        if (status == 0)
            status = gguf_put_u32(writer, (uint32_t)tensor->n_dims);
        for (int d = 0; d < tensor->n_dims && status == 0; d++)
            status = gguf_put_u64(writer, (uint64_t)tensor->ne[d]);
        if (status == 0)
            status = gguf_put_u32(writer, type);
        if (status == 0)
            status = gguf_put_u64(writer, offset);
        offset += bytes_after(tensor, type);
        offset += padding(offset, plan->alignment);
    }
    return status;
}

static int put_rows(struct gguf_writer *writer, const struct plan *plan, const struct tensor *tensor, enum tensor_type type)
{
    size_t from_bytes = tensor_row_bytes(tensor->type, tensor->ne[0]), to_bytes = tensor_row_bytes(type, tensor->ne[0]);
    int64_t n_rows = tensor->ne[1] * tensor->ne[2] * tensor->ne[3];
    float *row = malloc((size_t)tensor->ne[0] * 2 * sizeof *row);
    const float *importance = NULL;
    uint8_t *packed = malloc(to_bytes);
    int status = row == NULL || packed == NULL ? error_set(writer->err, WEIR_E_MEMORY, writer->path, "no memory for a row of %lld", (long long)tensor->ne[0]) : 0;
    for (int64_t i = 0; i < n_rows && status == 0; i++) {
        if (plan->imatrix != NULL && i % tensor->ne[1] == 0) {
            float *columns = row + tensor->ne[0];
            importance = imatrix_row(plan->imatrix, tensor, i / tensor->ne[1], columns) ? columns : NULL;
        }
        dequantize_row(tensor->type, (const uint8_t *)tensor->data + (size_t)i * from_bytes, row, tensor->ne[0]);
        status = quantize_row(type, row, packed, tensor->ne[0], importance);
        if (status < 0)
            error_set(writer->err, status, tensor->name, "can't be written as %s", tensor_type_name(type));
        else
            status = gguf_put(writer, packed, to_bytes);
    }
    free(row);
    free(packed);
    return status;
}

static int put_tensors(struct gguf_writer *writer, const struct plan *plan)
{
    const struct gguf *gguf = plan->gguf;
    int status = gguf_put_zeros(writer, padding(writer->at, plan->alignment));
    for (size_t i = 0; i < gguf->n_tensors && status == 0; i++) {
        const struct tensor *tensor = &gguf->tensors[i];
        enum tensor_type type = type_after(plan, tensor);
        status = type == tensor->type ? gguf_put(writer, tensor->data, tensor->n_bytes) : put_rows(writer, plan, tensor, type);
        if (status == 0)
            status = gguf_put_zeros(writer, padding(writer->at, plan->alignment));
    }
    return status;
}

/* Only from formats that lose nothing: a second rounding would be worse than the first. */
static int check_source(const struct plan *plan, const char *path, struct error *err)
{
    const struct gguf *gguf = plan->gguf;
    for (size_t i = 0; i < gguf->n_tensors; i++) {
        const struct tensor *tensor = &gguf->tensors[i];
        char where[192];
        if (type_after(plan, tensor) == tensor->type || tensor->type == TENSOR_F32 || tensor->type == TENSOR_F16 || tensor->type == TENSOR_BF16)
            continue;
        model_where(where, sizeof where, path, "tensor", str_of(tensor->name));
        return error_set(err, WEIR_E_INVALID, where, "is %s: only F32, F16 and BF16 are quantized", tensor_type_name(tensor->type));
    }
    return 0;
}

int model_quantize(const char *in, const char *out, const char *format, const char *imatrix_path, struct error *err)
{
    char partial[PATH_MAX], real[PATH_MAX];
    struct plan plan = {.mix = mix_find(format)};
    struct gguf *gguf;
    struct imatrix *imatrix = NULL;
    if (plan.mix == NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, format, "is no format that can be written (%s)", mix_names());
    int status = gguf_partial(out, real, partial, err);
    if (status == 0)
        status = gguf_open(&gguf, in, err);
    if (status < 0)
        return status;
    plan.gguf = gguf;
    plan.alignment = alignment_of(gguf);
    mix_model_read(&plan.model, gguf);
    struct gguf_writer writer = {.path = partial, .err = err};
    if (gguf_find(gguf, STR("split.count")) != NULL)
        status = error_set(err, WEIR_E_UNSUPPORTED, in, "is one part of a split model");
    if (status == 0)
        status = check_source(&plan, in, err);
    if (status == 0 && imatrix_path != NULL)
        status = imatrix_open(&imatrix, imatrix_path, err);
    plan.imatrix = imatrix;
    if (status == 0 && (writer.file = fopen(partial, "wbe")) == NULL)
        status = error_set(err, WEIR_E_IO, partial, "%s", strerror(errno));
    if (status == 0)
        status = put_metadata(&writer, gguf, mix_file_type(plan.mix));
    if (status == 0)
        status = put_entries(&writer, &plan);
    if (status == 0)
        status = put_tensors(&writer, &plan);
    if (status == 0 && (fflush(writer.file) != 0 || fsync(fileno(writer.file)) < 0))
        status = error_set(err, WEIR_E_IO, partial, "%s", strerror(errno));
    if (writer.file != NULL && fclose(writer.file) != 0 && status == 0)
        status = error_set(err, WEIR_E_IO, partial, "%s", strerror(errno));
    if (status == 0 && rename(partial, real) < 0)
        status = error_set(err, WEIR_E_IO, out, "%s", strerror(errno));
    if (status < 0 && writer.file != NULL)
        unlink(partial);
    imatrix_close(imatrix);
    gguf_close(gguf);
    return status;
}
