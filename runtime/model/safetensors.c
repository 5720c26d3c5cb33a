/* Safetensors reader: one mapped file, its header checked as a whole before anything is handed out.
 *
 * Format: 8 bytes of header length n (little-endian), n bytes of JSON, the data. The JSON is an object of
 * name → {"dtype": "F32", "shape": [out, in], "data_offsets": [begin, end]}, offsets counted from the end of the header;
 * the member "__metadata__" holds strings and is no tensor. The tensors' ranges, put in order, cover the data without
 * overlap, hole or remainder.
 *
 * Invariant: a struct tensor that leaves this file has data and n_bytes inside the mapping, n_bytes equal to the product
 * of its shape and its type's size. BOOL and U8 come out as I8, their bytes as they are. A type that no kernel here reads
 * (F8, unsigned words) refuses the file by the tensor's name. Immutable once open; any thread may read. */
#include "model/safetensors.h"

#include <stdlib.h>

enum { LONGEST_HEADER = 100000000, N_DIMS_MAX = 4 };

struct safetensors {
    struct file_map map; /* data NULL when parsed from memory. */
    const char *name;    /* For errors, only while parsing. */
    const uint8_t *data;
    size_t n_data;
    json_t *header; /* Owns the tensors' names. */
    struct tensor *tensors; /* Sorted by name. */
    size_t n_tensors;
};

static const struct dtype {
    const char *name;
    enum tensor_type type;
    size_t n_bytes;
} dtypes[] = {
    {"F32", TENSOR_F32, 4}, {"F16", TENSOR_F16, 2}, {"BF16", TENSOR_BF16, 2}, {"F64", TENSOR_F64, 8},
    {"I64", TENSOR_I64, 8}, {"I32", TENSOR_I32, 4}, {"I16", TENSOR_I16, 2},   {"I8", TENSOR_I8, 1},
    {"U8", TENSOR_I8, 1},   {"BOOL", TENSOR_I8, 1},
};

/* Fills err with "<file>: tensor <name>" and returns WEIR_E_INVALID. */
static int bad_tensor(const struct safetensors *file, const char *tensor, struct error *err, const char *format, ...)
    WEIR_PRINTF(4, 5);
static int bad_tensor(const struct safetensors *file, const char *tensor, struct error *err, const char *format, ...)
{
    char where[sizeof err->where], text[sizeof err->text];
    snprintf(where, sizeof where, "%s: tensor %.80s", file->name, tensor);
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(err, WEIR_E_INVALID, where, "%s", text);
}

/* NULL with err filled when there is none or it is not known. */
static const struct dtype *read_dtype(const struct safetensors *file, const char *name, const json_t *entry, struct error *err)
{
    const json_t *dtype = json_object_get(entry, "dtype");
    for (size_t i = 0; json_is_string(dtype) && i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(json_string_value(dtype), dtypes[i].name) == 0)
            return &dtypes[i];
    if (json_is_string(dtype))
        bad_tensor(file, name, err, "dtype \"%.24s\" is not supported", json_string_value(dtype));
    else
        bad_tensor(file, name, err, "dtype: must be a string");
    return NULL;
}

/* A JSON integer in 0 … SIZE_MAX / 2, so that sums of two can't wrap. */
static bool is_size(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= 0 && (uint64_t)json_integer_value(value) <= SIZE_MAX / 2;
}

/* The shape [out, in] becomes ne {in, out}; a scalar's shape [] becomes {1}. */
static int read_shape(const struct safetensors *file, const char *name, const json_t *entry, size_t element_bytes,
                      struct tensor *tensor, struct error *err)
{
    const json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape))
        return bad_tensor(file, name, err, "shape: must be an array");
    size_t n_dims = json_array_size(shape);
    if (n_dims > N_DIMS_MAX)
        return bad_tensor(file, name, err, "shape: %zu dimensions, at most %d are supported", n_dims, N_DIMS_MAX);
    tensor->n_dims = n_dims > 0 ? (int)n_dims : 1;
    bool empty = false;
    size_t n_bytes = element_bytes;
    for (size_t i = 0; i < N_DIMS_MAX; i++)
        tensor->ne[i] = 1;
    for (size_t i = 0; i < n_dims; i++) {
        const json_t *dim = json_array_get(shape, i);
        if (!is_size(dim))
            return bad_tensor(file, name, err, "shape: element %zu is not a size", i);
        tensor->ne[n_dims - 1 - i] = json_integer_value(dim);
        empty |= json_integer_value(dim) == 0;
        /* The zeros are left out, so that no partial product of a shape overflows later either. */
        if (json_integer_value(dim) > 0 && __builtin_mul_overflow(n_bytes, (size_t)json_integer_value(dim), &n_bytes))
            return bad_tensor(file, name, err, "shape: the product of the sizes overflows");
    }
    tensor->n_bytes = empty ? 0 : n_bytes;
    return 0;
}

static int read_range(const struct safetensors *file, const char *name, const json_t *entry, struct tensor *tensor,
                      struct error *err)
{
    const json_t *offsets = json_object_get(entry, "data_offsets");
    if (!json_is_array(offsets) || json_array_size(offsets) != 2)
        return bad_tensor(file, name, err, "data_offsets: must be [begin, end]");
    const json_t *first = json_array_get(offsets, 0), *second = json_array_get(offsets, 1);
    if (!is_size(first) || !is_size(second))
        return bad_tensor(file, name, err, "data_offsets: not sizes");
    size_t begin = (size_t)json_integer_value(first), end = (size_t)json_integer_value(second);
    if (begin > end)
        return bad_tensor(file, name, err, "data_offsets: begin %zu lies after end %zu", begin, end);
    if (end > file->n_data)
        return bad_tensor(file, name, err, "data_offsets: end %zu lies past the %zu bytes of data", end, file->n_data);
    if (end - begin != tensor->n_bytes)
        return bad_tensor(file, name, err, "data_offsets: %zu bytes, but dtype and shape need %zu", end - begin, tensor->n_bytes);
    tensor->data = file->data + begin;
    return 0;
}

static int check_metadata(const struct safetensors *file, json_t *metadata, struct error *err)
{
    if (!json_is_object(metadata))
        return error_set(err, WEIR_E_INVALID, file->name, "__metadata__: must be an object");
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value)
        if (!json_is_string(value))
            return error_set(err, WEIR_E_INVALID, file->name, "__metadata__: %.80s: must be a string", key);
    return 0;
}

static int read_entry(struct safetensors *file, const char *name, json_t *entry, struct error *err)
{
    if (!json_is_object(entry))
        return bad_tensor(file, name, err, "must be an object");
    struct tensor *tensor = &file->tensors[file->n_tensors];
    const struct dtype *dtype = read_dtype(file, name, entry, err);
    if (dtype == NULL)
        return WEIR_E_INVALID;
    int status = read_shape(file, name, entry, dtype->n_bytes, tensor, err);
    if (status == 0)
        status = read_range(file, name, entry, tensor, err);
    if (status < 0)
        return status;
    tensor->name = name;
    tensor->type = dtype->type;
    file->n_tensors++;
    return 0;
}

static int by_offset(const void *a, const void *b)
{
    const struct tensor *left = a, *right = b;
    if (left->data != right->data)
        return (const uint8_t *)left->data < (const uint8_t *)right->data ? -1 : 1;
    return left->n_bytes < right->n_bytes ? -1 : left->n_bytes > right->n_bytes;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tensor *)a)->name, ((const struct tensor *)b)->name);
}

/* The ranges in order must join without overlap or hole and end where the data ends. */
static int check_cover(struct safetensors *file, struct error *err)
{
    size_t covered = 0;
    qsort(file->tensors, file->n_tensors, sizeof *file->tensors, by_offset);
    for (size_t i = 0; i < file->n_tensors; i++) {
        const struct tensor *tensor = &file->tensors[i];
        size_t begin = (size_t)((const uint8_t *)tensor->data - file->data);
        if (begin < covered)
            return bad_tensor(file, tensor->name, err, "begins at byte %zu of the data, inside the tensor before it", begin);
        if (begin > covered)
            return bad_tensor(file, tensor->name, err, "begins at byte %zu of the data and leaves a hole from %zu", begin, covered);
        covered += tensor->n_bytes;
    }
    if (covered != file->n_data)
        return error_set(err, WEIR_E_INVALID, file->name, "%zu bytes after the last tensor", file->n_data - covered);
    return 0;
}

static int read_tensors(struct safetensors *file, struct error *err)
{
    size_t n = json_object_size(file->header);
    file->tensors = calloc(n > 0 ? n : 1, sizeof *file->tensors);
    if (file->tensors == NULL)
        return error_set(err, WEIR_E_MEMORY, file->name, "no memory for %zu tensors", n);
    const char *name;
    json_t *entry;
    json_object_foreach(file->header, name, entry) {
        int status = strcmp(name, "__metadata__") == 0 ? check_metadata(file, entry, err) : read_entry(file, name, entry, err);
        if (status < 0)
            return status;
    }
    int status = check_cover(file, err);
    if (status < 0)
        return status;
    qsort(file->tensors, file->n_tensors, sizeof *file->tensors, by_name);
    return 0;
}

static int parse(struct safetensors *file, const uint8_t *bytes, size_t n_bytes, struct error *err)
{
    if (n_bytes < 8)
        return error_set(err, WEIR_E_INVALID, file->name, "%zu bytes are too few for a safetensors file", n_bytes);
    uint64_t n_header = 0;
    for (int i = 0; i < 8; i++)
        n_header |= (uint64_t)bytes[i] << (8 * i);
    if (n_header > LONGEST_HEADER)
        return error_set(err, WEIR_E_INVALID, file->name, "header length %llu at byte 0 exceeds the limit of %d",
                         (unsigned long long)n_header, LONGEST_HEADER);
    if (n_header > n_bytes - 8)
        return error_set(err, WEIR_E_INVALID, file->name, "header length %llu at byte 0 reaches past the end of the file (%zu bytes)",
                         (unsigned long long)n_header, n_bytes);
    file->data = bytes + 8 + n_header;
    file->n_data = n_bytes - 8 - (size_t)n_header;
    file->header = json_parse((str){(const char *)bytes + 8, (size_t)n_header}, err);
    if (file->header == NULL) {
        char prefix[sizeof err->where];
        snprintf(prefix, sizeof prefix, "%s: header", file->name);
        error_prefix(err, prefix);
        return err != NULL ? (int)err->status : WEIR_E_INVALID;
    }
    if (!json_is_object(file->header))
        return error_set(err, WEIR_E_INVALID, file->name, "the header is not a JSON object");
    return read_tensors(file, err);
}

int safetensors_parse(struct safetensors **out, const char *name, const void *bytes, size_t n_bytes, struct error *err)
{
    *out = NULL;
    struct safetensors *file = calloc(1, sizeof *file);
    if (file == NULL)
        return error_set(err, WEIR_E_MEMORY, name, "out of memory");
    file->name = name;
    int status = parse(file, bytes, n_bytes, err);
    file->name = NULL;
    if (status < 0) {
        safetensors_close(file);
        return status;
    }
    *out = file;
    return 0;
}

int safetensors_open(struct safetensors **out, const char *path, struct error *err)
{
    *out = NULL;
    struct file_map map;
    int status = file_map_open(&map, path, err);
    if (status < 0)
        return status;
    status = safetensors_parse(out, path, map.data, map.n_bytes, err);
    if (status < 0) {
        file_map_close(&map);
        return status;
    }
    (*out)->map = map;
    return 0;
}

void safetensors_close(struct safetensors *file)
{
    if (file == NULL)
        return;
    free(file->tensors);
    json_decref(file->header);
    if (file->map.data != NULL)
        file_map_close(&file->map);
    free(file);
}

const struct tensor *safetensors_find(const struct safetensors *file, const char *name)
{
    struct tensor key = {.name = name};
    return bsearch(&key, file->tensors, file->n_tensors, sizeof key, by_name);
}

size_t safetensors_n(const struct safetensors *file)
{
    return file->n_tensors;
}

const struct tensor *safetensors_at(const struct safetensors *file, size_t index)
{
    return index < file->n_tensors ? &file->tensors[index] : NULL;
}
