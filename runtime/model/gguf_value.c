/* Metadata values of a GGUF file: typed reading of elements (gguf.h) and by key for a model file (model_file.h). Integers
 * of any width read as one another where the number fits, and as floats; nothing else converts. */
#include "model/gguf.h"
#include "model/model_file.h"

bool gguf_value_str(const struct gguf_value *value, size_t index, str *out)
{
    if (value->element != GGUF_STRING || index >= value->n)
        return false;
    const uint8_t *at = value->data + value->strings[index];
    uint64_t n;
    memcpy(&n, at, sizeof n);
    *out = (str){(const char *)at + sizeof n, (size_t)n};
    return true;
}

#define READ_AS(c_type)                                                     \
    do {                                                                    \
        c_type element;                                                     \
        memcpy(&element, value->data + index * sizeof element, sizeof element); \
        *out = element;                                                     \
        return true;                                                        \
    } while (0)

bool gguf_value_i64(const struct gguf_value *value, size_t index, int64_t *out)
{
    if (index >= value->n)
        return false;
    switch (value->element) {
    case GGUF_U8:
        READ_AS(uint8_t);
    case GGUF_I8:
        READ_AS(int8_t);
    case GGUF_U16:
        READ_AS(uint16_t);
    case GGUF_I16:
        READ_AS(int16_t);
    case GGUF_U32:
        READ_AS(uint32_t);
    case GGUF_I32:
        READ_AS(int32_t);
    case GGUF_I64:
        READ_AS(int64_t);
    case GGUF_U64: {
        uint64_t element;
        memcpy(&element, value->data + index * sizeof element, sizeof element);
        *out = (int64_t)element;
        return element <= INT64_MAX;
    }
    case GGUF_F32:
    case GGUF_F64:
    case GGUF_BOOL:
    case GGUF_STRING:
    case GGUF_ARRAY:
        break;
    }
    return false;
}

bool gguf_value_f64(const struct gguf_value *value, size_t index, double *out)
{
    if (index >= value->n)
        return false;
    if (value->element == GGUF_F32)
        READ_AS(float);
    if (value->element == GGUF_F64)
        READ_AS(double);
    int64_t integer;
    if (!gguf_value_i64(value, index, &integer))
        return false;
    *out = (double)integer;
    return true;
}

bool gguf_value_bool(const struct gguf_value *value, size_t index, bool *out)
{
    if (value->element != GGUF_BOOL || index >= value->n)
        return false;
    *out = value->data[index] != 0;
    return true;
}

/* ------------------------------------------------------------------ by key */

/* From model_file.c: the first part of a GGUF model, NULL for a directory. */
static const struct gguf_value *find(const struct model_file *file, const char *key)
{
    const struct gguf *gguf = model_file_gguf(file);
    return gguf != NULL ? gguf_find(gguf, str_of(key)) : NULL;
}

static int wrong_type(const struct model_file *file, const struct gguf_value *value, const char *wanted, struct error *err)
{
    char where[192];
    model_where(where, sizeof where, model_file_path(file), "key", value->key);
    return error_set(err, WEIR_E_INVALID, where, "must be %s, is %s", wanted, gguf_type_name(value->type));
}

#define READ_KEY(reader, wanted)                                       \
    const struct gguf_value *value = find(file, key);                  \
    if (value == NULL)                                                 \
        return 0;                                                      \
    if (value->type == GGUF_ARRAY || !reader(value, 0, out))           \
        return wrong_type(file, value, wanted, err);                   \
    return 1

int gguf_str(const struct model_file *file, const char *key, str *out, struct error *err)
{
    READ_KEY(gguf_value_str, "a string");
}

int gguf_i64(const struct model_file *file, const char *key, int64_t *out, struct error *err)
{
    READ_KEY(gguf_value_i64, "an integer");
}

int gguf_f64(const struct model_file *file, const char *key, double *out, struct error *err)
{
    READ_KEY(gguf_value_f64, "a number");
}

int gguf_bool(const struct model_file *file, const char *key, bool *out, struct error *err)
{
    READ_KEY(gguf_value_bool, "a boolean");
}

int gguf_array_n(const struct model_file *file, const char *key, size_t *n, struct error *err)
{
    const struct gguf_value *value = find(file, key);
    if (value == NULL)
        return 0;
    if (value->type != GGUF_ARRAY)
        return wrong_type(file, value, "an array", err);
    *n = value->n;
    return 1;
}

#define READ_ELEMENT(reader)                                           \
    const struct gguf_value *value = find(file, key);                  \
    if (value == NULL)                                                 \
        return 0;                                                      \
    return value->type == GGUF_ARRAY && reader(value, index, out) ? 1 : WEIR_E_INVALID

int gguf_array_str(const struct model_file *file, const char *key, size_t index, str *out)
{
    READ_ELEMENT(gguf_value_str);
}

int gguf_array_i64(const struct model_file *file, const char *key, size_t index, int64_t *out)
{
    READ_ELEMENT(gguf_value_i64);
}

int gguf_array_f64(const struct model_file *file, const char *key, size_t index, double *out)
{
    READ_ELEMENT(gguf_value_f64);
}

size_t gguf_value_bytes(const struct gguf_value *value)
{
    static const size_t widths[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    str last;
    if (value->element != GGUF_STRING)
        return widths[value->element] * value->n;
    if (value->n == 0 || !gguf_value_str(value, value->n - 1, &last))
        return 0;
    return (size_t)((const uint8_t *)last.data + last.n - value->data);
}
