/* GGUF, the single-file model format of ggml, versions 2 and 3, read from a mapping.
 *
 * Little-endian. Header: "GGUF", u32 version, u64 number of tensors, u64 number of metadata entries. An entry is a key
 * (u64 length, bytes), a u32 type and a value; a string value is u64 length and bytes; an array is u32 element type, u64
 * count and the elements. Then for each tensor: name (string), u32 number of dimensions, u64 for each dimension (the row
 * length first), u32 type, u64 offset from the start of the data, which begins at the next multiple of
 * general.alignment (32 when absent) after the last tensor's entry. Offsets are multiples of the alignment.
 *
 * Invariant: after a successful parse every string, array and tensor lies inside the file, no two keys and no two tensors
 * have one name, no two tensors overlap; nothing later has to check again. Every count is held against the bytes that are
 * left before anything is allocated for it. Nothing is copied but tensor names; of string arrays only offsets are kept.
 * Immutable afterwards. Left to others: what keys mean (decoder/, tokenizer/), split files (model_file.c). */
#include "model/gguf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MAX_TENSORS = 1 << 18,
    MAX_VALUES = 1 << 16,
    MAX_NAME = 255,
    MAX_KEY = 65535,
    MAX_ALIGNMENT = 1 << 20,
};

/* The place of reading: everything up to `at` has been checked. */
struct cursor {
    const char *file;
    const uint8_t *bytes;
    size_t n;
    size_t at;
    const char *what; /* "key" or "tensor" and its name, for errors; NULL in the header. */
    str name;
    struct error *err;
};

const char *model_where(char *out, size_t n_out, const char *path, const char *what, str name)
{
    enum { MAX_PATH_SHOWN = 100, MAX_NAME_SHOWN = 64 };
    char shown[MAX_NAME_SHOWN + 1];
    size_t n = name.n < MAX_NAME_SHOWN ? name.n : MAX_NAME_SHOWN, n_path = strlen(path);
    for (size_t i = 0; i < n; i++)
        shown[i] = name.data[i] >= 0x20 && name.data[i] < 0x7f ? name.data[i] : '?';
    shown[n] = '\0';
    const char *dots = n_path > MAX_PATH_SHOWN ? "..." : "";
    const char *tail = n_path > MAX_PATH_SHOWN ? path + n_path - MAX_PATH_SHOWN : path;
    if (what == NULL)
        snprintf(out, n_out, "%s%s", dots, tail);
    else
        snprintf(out, n_out, "%s%s: %s %s", dots, tail, what, shown);
    return out;
}

static int fail(const struct cursor *cursor, enum weir_status status, const char *format, ...) WEIR_PRINTF(3, 4);
static int fail(const struct cursor *cursor, enum weir_status status, const char *format, ...)
{
    char where[192], text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    model_where(where, sizeof where, cursor->file, cursor->what, cursor->name);
    return error_set(cursor->err, status, where, "%s (byte %zu)", text, cursor->at);
}

static int need(const struct cursor *cursor, uint64_t n_bytes, const char *what)
{
    if (n_bytes > cursor->n - cursor->at)
        return fail(cursor, WEIR_E_INVALID, "%s of %" PRIu64 " bytes runs past the end of the file (%zu bytes)", what, n_bytes, cursor->n);
    return 0;
}

static int read_u32(struct cursor *cursor, uint32_t *out, const char *what)
{
    int status = need(cursor, sizeof *out, what);
    if (status < 0)
        return status;
    memcpy(out, cursor->bytes + cursor->at, sizeof *out);
    cursor->at += sizeof *out;
    return 0;
}

static int read_u64(struct cursor *cursor, uint64_t *out, const char *what)
{
    int status = need(cursor, sizeof *out, what);
    if (status < 0)
        return status;
    memcpy(out, cursor->bytes + cursor->at, sizeof *out);
    cursor->at += sizeof *out;
    return 0;
}

static int read_string(struct cursor *cursor, str *out, const char *what)
{
    uint64_t n;
    int status = read_u64(cursor, &n, what);
    if (status == 0)
        status = need(cursor, n, what);
    if (status < 0)
        return status;
    *out = (str){(const char *)cursor->bytes + cursor->at, (size_t)n};
    cursor->at += (size_t)n;
    return 0;
}

/* Bytes of a fixed-size type, 0 for strings, arrays and unknown types. */
static size_t type_bytes(enum gguf_type type)
{
    switch (type) {
    case GGUF_U8:
    case GGUF_I8:
    case GGUF_BOOL:
        return 1;
    case GGUF_U16:
    case GGUF_I16:
        return 2;
    case GGUF_U32:
    case GGUF_I32:
    case GGUF_F32:
        return 4;
    case GGUF_U64:
    case GGUF_I64:
    case GGUF_F64:
        return 8;
    case GGUF_STRING:
    case GGUF_ARRAY:
        break;
    }
    return 0;
}

const char *gguf_type_name(enum gguf_type type)
{
    static const char *const names[] = {"u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};
    return (size_t)type < sizeof names / sizeof *names ? names[type] : "unknown";
}

/* The elements of a value of n strings: walks them once and keeps where each begins. */
static int read_strings(struct gguf *gguf, struct cursor *cursor, struct gguf_value *value)
{
    size_t *strings = arena_array(&gguf->arena, value->n, sizeof *strings);
    if (strings == NULL)
        return fail(cursor, WEIR_E_MEMORY, "no memory for %zu strings", value->n);
    size_t begin = cursor->at;
    for (size_t i = 0; i < value->n; i++) {
        str ignored;
        strings[i] = cursor->at - begin;
        int status = read_string(cursor, &ignored, "string");
        if (status < 0)
            return status;
    }
    value->strings = strings;
    return 0;
}

static int read_value(struct gguf *gguf, struct cursor *cursor, struct gguf_value *value)
{
    uint32_t type;
    int status = read_string(cursor, &value->key, "key");
    if (status < 0)
        return status;
    if (value->key.n == 0 || value->key.n > MAX_KEY)
        return fail(cursor, WEIR_E_INVALID, "a key of %zu bytes", value->key.n);
    cursor->what = "key";
    cursor->name = value->key;
    status = read_u32(cursor, &type, "type");
    if (status < 0)
        return status;
    value->type = value->element = (enum gguf_type)type;
    value->n = 1;
    if (type == GGUF_ARRAY) {
        uint32_t element;
        uint64_t n;
        status = read_u32(cursor, &element, "element type");
        if (status == 0)
            status = read_u64(cursor, &n, "element count");
        if (status < 0)
            return status;
        value->element = (enum gguf_type)element;
        if (element == GGUF_ARRAY)
            return fail(cursor, WEIR_E_UNSUPPORTED, "arrays of arrays are not supported");
        size_t least = element == GGUF_STRING ? sizeof(uint64_t) : type_bytes(value->element);
        if (least != 0 && n > (cursor->n - cursor->at) / least)
            return fail(cursor, WEIR_E_INVALID, "array of %" PRIu64 " elements runs past the end of the file (%zu bytes)", n, cursor->n);
        value->n = (size_t)n;
    }
    value->data = cursor->bytes + cursor->at;
    if (value->element == GGUF_STRING)
        return read_strings(gguf, cursor, value);
    size_t width = type_bytes(value->element);
    if (width == 0)
        return fail(cursor, WEIR_E_INVALID, "unknown value type %d", (int)value->element);
    status = need(cursor, (uint64_t)width * value->n, "value");
    if (status < 0)
        return status;
    if (value->element == GGUF_BOOL)
        for (size_t i = 0; i < value->n; i++)
            if (value->data[i] > 1)
                return fail(cursor, WEIR_E_INVALID, "a boolean that is neither 0 nor 1");
    cursor->at += width * value->n;
    return 0;
}

/* One tensor's entry; data is left as an offset until the place of the data is known. */
static int read_tensor(struct gguf *gguf, struct cursor *cursor, struct tensor *tensor, uint64_t *offset)
{
    str name;
    uint32_t n_dims, type;
    int status = read_string(cursor, &name, "tensor name");
    if (status < 0)
        return status;
    cursor->what = "tensor";
    cursor->name = name;
    if (name.n == 0 || name.n > MAX_NAME || memchr(name.data, '\0', name.n) != NULL)
        return fail(cursor, WEIR_E_INVALID, "not a tensor name (%zu bytes)", name.n);
    tensor->name = arena_strdup(&gguf->arena, name);
    if (tensor->name == NULL)
        return fail(cursor, WEIR_E_MEMORY, "no memory for the name");
    status = read_u32(cursor, &n_dims, "dimension count");
    if (status < 0)
        return status;
    if (n_dims < 1 || n_dims > 4)
        return fail(cursor, WEIR_E_INVALID, "%u dimensions (1 to 4 are allowed)", n_dims);
    tensor->n_dims = (int)n_dims;
    uint64_t rows = 1;
    for (int d = 0; d < 4; d++) {
        uint64_t ne = 1;
        status = d < tensor->n_dims ? read_u64(cursor, &ne, "dimension") : 0;
        if (status < 0)
            return status;
        if (ne < 1 || ne > INT32_MAX)
            return fail(cursor, WEIR_E_INVALID, "dimension %d is %" PRIu64, d, ne);
        if (d > 0 && __builtin_mul_overflow(rows, ne, &rows))
            return fail(cursor, WEIR_E_INVALID, "its size overflows");
        tensor->ne[d] = (int64_t)ne;
    }
    status = read_u32(cursor, &type, "tensor type");
    if (status == 0)
        status = read_u64(cursor, offset, "offset");
    if (status < 0)
        return status;
    tensor->type = (enum tensor_type)type;
    if (tensor_type_block(tensor->type) == 0)
        return fail(cursor, WEIR_E_UNSUPPORTED, "tensor type %u is not known", type);
    size_t row = tensor_row_bytes(tensor->type, tensor->ne[0]);
    if (row == 0)
        return fail(cursor, WEIR_E_INVALID, "rows of %" PRId64 " elements are no whole %s blocks", tensor->ne[0], tensor_type_name(tensor->type));
    if (__builtin_mul_overflow(row, rows, &tensor->n_bytes))
        return fail(cursor, WEIR_E_INVALID, "its size overflows");
    return 0;
}

static int compare_values(const void *a, const void *b)
{
    return str_compare(((const struct gguf_value *)a)->key, ((const struct gguf_value *)b)->key);
}

const struct gguf_value *gguf_find(const struct gguf *gguf, str key)
{
    const struct gguf_value wanted = {.key = key};
    return gguf->n_values > 0 ? bsearch(&wanted, gguf->values, gguf->n_values, sizeof wanted, compare_values) : NULL;
}

static int read_values(struct gguf *gguf, struct cursor *cursor, uint64_t n)
{
    enum { LEAST_BYTES = 8 + 1 + 4 + 1 };
    if (n > MAX_VALUES || n > (cursor->n - cursor->at) / LEAST_BYTES)
        return fail(cursor, WEIR_E_INVALID, "%" PRIu64 " metadata entries are more than the file can hold", n);
    gguf->values = arena_array(&gguf->arena, (size_t)n, sizeof *gguf->values);
    if (gguf->values == NULL)
        return fail(cursor, WEIR_E_MEMORY, "no memory for %" PRIu64 " metadata entries", n);
    for (; gguf->n_values < n; gguf->n_values++) {
        cursor->what = NULL;
        int status = read_value(gguf, cursor, &gguf->values[gguf->n_values]);
        if (status < 0)
            return status;
    }
    qsort(gguf->values, gguf->n_values, sizeof *gguf->values, compare_values);
    for (size_t i = 1; i < gguf->n_values; i++) {
        if (!str_equal(gguf->values[i - 1].key, gguf->values[i].key))
            continue;
        cursor->what = "key";
        cursor->name = gguf->values[i].key;
        return fail(cursor, WEIR_E_INVALID, "is there twice");
    }
    cursor->what = NULL;
    return 0;
}

/* Where the data begins: the alignment is a power of two. */
static int data_begin(const struct gguf *gguf, struct cursor *cursor, size_t *alignment, size_t *begin)
{
    int64_t configured = 32;
    const struct gguf_value *value = gguf_find(gguf, STR("general.alignment"));
    cursor->what = "key";
    cursor->name = STR("general.alignment");
    if (value != NULL && (value->type == GGUF_ARRAY || !gguf_value_i64(value, 0, &configured)))
        return fail(cursor, WEIR_E_INVALID, "must be an integer");
    if (configured < 1 || configured > MAX_ALIGNMENT || (configured & (configured - 1)) != 0)
        return fail(cursor, WEIR_E_INVALID, "%" PRId64 " is no power of two up to %d", configured, MAX_ALIGNMENT);
    cursor->what = NULL;
    *alignment = (size_t)configured;
    *begin = (cursor->at + *alignment - 1) & ~(*alignment - 1);
    return 0;
}

static int compare_places(const void *a, const void *b)
{
    const struct tensor *x = *(const struct tensor *const *)a, *y = *(const struct tensor *const *)b;
    return x->data < y->data ? -1 : x->data > y->data;
}

static int compare_names(const void *a, const void *b)
{
    const struct tensor *x = *(const struct tensor *const *)a, *y = *(const struct tensor *const *)b;
    return strcmp(x->name, y->name);
}

/* No two tensors of one name, and none that overlap. */
static int check_tensors(struct gguf *gguf, struct cursor *cursor)
{
    size_t n = gguf->n_tensors;
    const struct tensor **order = malloc((n + 1) * sizeof *order);
    if (order == NULL)
        return fail(cursor, WEIR_E_MEMORY, "no memory for %zu tensors", n);
    for (size_t i = 0; i < n; i++)
        order[i] = &gguf->tensors[i];
    int status = 0;
    cursor->what = "tensor";
    qsort(order, n, sizeof *order, compare_names);
    for (size_t i = 1; i < n && status == 0; i++) {
        cursor->name = str_of(order[i]->name);
        if (strcmp(order[i - 1]->name, order[i]->name) == 0)
            status = fail(cursor, WEIR_E_INVALID, "is there twice");
    }
    qsort(order, n, sizeof *order, compare_places);
    for (size_t i = 1; i < n && status == 0; i++) {
        const uint8_t *end = (const uint8_t *)order[i - 1]->data + order[i - 1]->n_bytes;
        cursor->name = str_of(order[i]->name);
        cursor->at = (size_t)((const uint8_t *)order[i]->data - cursor->bytes);
        if ((const uint8_t *)order[i]->data < end)
            status = fail(cursor, WEIR_E_INVALID, "its data overlaps tensor %.64s", order[i - 1]->name);
    }
    free(order);
    return status;
}

static int read_tensors(struct gguf *gguf, struct cursor *cursor, uint64_t n)
{
    enum { LEAST_BYTES = 8 + 1 + 4 + 8 + 4 + 8 };
    if (n > MAX_TENSORS || n > (cursor->n - cursor->at) / LEAST_BYTES)
        return fail(cursor, WEIR_E_INVALID, "%" PRIu64 " tensors are more than the file can hold", n);
    uint64_t *offsets = malloc(((size_t)n + 1) * sizeof *offsets);
    gguf->tensors = arena_array(&gguf->arena, (size_t)n, sizeof *gguf->tensors);
    int status = 0;
    if (offsets == NULL || gguf->tensors == NULL)
        status = fail(cursor, WEIR_E_MEMORY, "no memory for %" PRIu64 " tensors", n);
    while (status == 0 && gguf->n_tensors < n) {
        cursor->what = NULL;
        status = read_tensor(gguf, cursor, &gguf->tensors[gguf->n_tensors], &offsets[gguf->n_tensors]);
        gguf->n_tensors++;
    }
    size_t alignment = 1, begin = 0;
    if (status == 0)
        status = data_begin(gguf, cursor, &alignment, &begin);
    for (size_t i = 0; i < gguf->n_tensors && status == 0; i++) {
        struct tensor *tensor = &gguf->tensors[i];
        cursor->what = "tensor";
        cursor->name = str_of(tensor->name);
        if (offsets[i] % alignment != 0)
            status = fail(cursor, WEIR_E_INVALID, "offset %" PRIu64 " is no multiple of the alignment %zu", offsets[i], alignment);
        else if (begin > cursor->n || offsets[i] > cursor->n - begin || tensor->n_bytes > cursor->n - begin - offsets[i])
            status = fail(cursor, WEIR_E_INVALID, "offset %" PRIu64 " and size %zu past the end of the file (data begins at %zu, file ends at %zu)",
                          offsets[i], tensor->n_bytes, begin, cursor->n);
        else
            tensor->data = cursor->bytes + begin + offsets[i];
    }
    if (status == 0)
        status = check_tensors(gguf, cursor);
    free(offsets);
    return status;
}

static int parse(struct gguf *gguf, const char *name, struct error *err)
{
    struct cursor cursor = {.file = name, .bytes = gguf->bytes, .n = gguf->n_bytes, .err = err};
    uint64_t n_tensors, n_values;
    if (cursor.n < 4 || memcmp(cursor.bytes, "GGUF", 4) != 0)
        return fail(&cursor, WEIR_E_INVALID, "not a GGUF file: it does not begin with \"GGUF\"");
    cursor.at = 4;
    int status = read_u32(&cursor, &gguf->version, "version");
    if (status < 0)
        return status;
    if ((gguf->version & 0xffff) == 0)
        return fail(&cursor, WEIR_E_UNSUPPORTED, "a big-endian GGUF file");
    if (gguf->version < 2 || gguf->version > 3)
        return fail(&cursor, WEIR_E_UNSUPPORTED, "GGUF version %u (2 and 3 are supported)", gguf->version);
    status = read_u64(&cursor, &n_tensors, "tensor count");
    if (status == 0)
        status = read_u64(&cursor, &n_values, "metadata count");
    if (status == 0)
        status = read_values(gguf, &cursor, n_values);
    return status < 0 ? status : read_tensors(gguf, &cursor, n_tensors);
}

int gguf_parse(struct gguf **out, const char *name, const void *bytes, size_t n_bytes, struct error *err)
{
    *out = NULL;
    struct gguf *gguf = calloc(1, sizeof *gguf);
    if (gguf == NULL)
        return error_set(err, WEIR_E_MEMORY, name, "no memory");
    gguf->bytes = bytes;
    gguf->n_bytes = n_bytes;
    arena_init(&gguf->arena, 16 * n_bytes + (1 << 20));
    int status = parse(gguf, name, err);
    if (status < 0) {
        gguf_close(gguf);
        return status;
    }
    *out = gguf;
    return 0;
}

int gguf_open(struct gguf **out, const char *path, struct error *err)
{
    struct file_map map;
    *out = NULL;
    int status = file_map_open(&map, path, err);
    if (status < 0)
        return status;
    status = gguf_parse(out, path, map.data, map.n_bytes, err);
    if (status < 0)
        file_map_close(&map);
    else
        (*out)->map = map;
    return status;
}

void gguf_close(struct gguf *gguf)
{
    if (gguf == NULL)
        return;
    arena_release(&gguf->arena);
    file_map_close(&gguf->map);
    free(gguf);
}
