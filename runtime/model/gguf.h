/* GGUF: one mapped file, parsed. See gguf.c for the format. Immutable once parsed, any number of threads may read. */
#ifndef WEIR_MODEL_GGUF_H
#define WEIR_MODEL_GGUF_H

#include "kernels/tensor.h"

enum gguf_type {
    GGUF_U8 = 0,
    GGUF_I8 = 1,
    GGUF_U16 = 2,
    GGUF_I16 = 3,
    GGUF_U32 = 4,
    GGUF_I32 = 5,
    GGUF_F32 = 6,
    GGUF_BOOL = 7,
    GGUF_STRING = 8,
    GGUF_ARRAY = 9,
    GGUF_U64 = 10,
    GGUF_I64 = 11,
    GGUF_F64 = 12,
};

/* One metadata entry. Scalars are arrays of one to everything but the type check. */
struct gguf_value {
    str key;
    enum gguf_type type;    /* As in the file. */
    enum gguf_type element; /* Of an array; otherwise type. */
    size_t n;               /* Elements; 1 for a scalar. */
    const uint8_t *data;    /* First element. */
    const size_t *strings;  /* Where each string's length begins, as an offset from data; of string elements only. */
};

struct gguf {
    struct file_map map;
    const uint8_t *bytes;
    size_t n_bytes;
    uint32_t version;
    struct gguf_value *values; /* Sorted by key. */
    size_t n_values;
    struct tensor *tensors; /* In the file's order. */
    size_t n_tensors;
    struct arena arena;
};

/* Maps and parses path. The arena's cap is a small multiple of the file's size: a file cannot ask for more. */
int gguf_open(struct gguf **out, const char *path, struct error *err) WEIR_CHECKED;
/* From memory, for tests and fuzzing: bytes are borrowed, name stands for the path in errors. */
int gguf_parse(struct gguf **out, const char *name, const void *bytes, size_t n_bytes, struct error *err) WEIR_CHECKED;
void gguf_close(struct gguf *gguf); /* NULL is fine. */
const struct gguf_value *gguf_find(const struct gguf *gguf, str key); /* NULL: absent. */

/* Element index of a value (0 of a scalar). False: not of that kind, or a number that does not fit. */
bool gguf_value_str(const struct gguf_value *value, size_t index, str *out);
bool gguf_value_i64(const struct gguf_value *value, size_t index, int64_t *out);
bool gguf_value_f64(const struct gguf_value *value, size_t index, double *out);
bool gguf_value_bool(const struct gguf_value *value, size_t index, bool *out);
size_t gguf_value_bytes(const struct gguf_value *value); /* Of its elements. */
const char *gguf_type_name(enum gguf_type type);

/* "path: what name" for an error, with name's odd bytes as '?' and a long path cut at its front. */
const char *model_where(char *out, size_t n_out, const char *path, const char *what, str name);

#endif
