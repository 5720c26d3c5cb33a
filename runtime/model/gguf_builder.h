/* GGUF builder: a file put together from keys and tensors, then written whole. Errors stick: the first one is kept, what follows
 * does nothing, and gguf_builder_write returns it, so that a caller reads as a list of what its file consists of. */
#ifndef WEIR_MODEL_GGUF_BUILDER_H
#define WEIR_MODEL_GGUF_BUILDER_H

#include "model/gguf.h"

/* Writes row `row` of a tensor as f32 (ne[0] of them). Rows of all its matrices are counted through. */
typedef int gguf_rows_fn(void *user, int64_t row, float *out);

struct gguf_builder {
    struct arena arena;  /* Names, and what callers keep with the file. */
    struct buffer keys;  /* As they will stand in the file. */
    uint64_t n_keys;
    struct gguf_planned {
        struct tensor tensor; /* data: bytes that go over as they are; NULL: rows give them. */
        gguf_rows_fn *rows;
        void *user;
    } *tensors;
    size_t n_tensors, capacity;
    struct error *err;
    int status;
};

void gguf_builder_init(struct gguf_builder *builder, struct error *err);
void gguf_builder_release(struct gguf_builder *builder);
/* Keeps an error of the caller's own. */
void gguf_builder_fail(struct gguf_builder *builder, enum weir_status status, const char *where, const char *format, ...) WEIR_PRINTF(4, 5);

void gguf_key_str(struct gguf_builder *builder, const char *key, str value);
void gguf_key_u32(struct gguf_builder *builder, const char *key, uint32_t value);
void gguf_key_f32(struct gguf_builder *builder, const char *key, double value);
void gguf_key_bool(struct gguf_builder *builder, const char *key, bool value);
/* An array: its head, to be followed by n elements of that type. */
void gguf_key_array(struct gguf_builder *builder, const char *key, enum gguf_type element, size_t n);
void gguf_element_str(struct gguf_builder *builder, str value);
void gguf_element(struct gguf_builder *builder, const void *value, size_t n_bytes);
/* A key of another file as it is. */
void gguf_key_copy(struct gguf_builder *builder, const struct gguf_value *value);

/* All keys of another file in their old order, but for those that say how it lies on the disk and those named in `but` (n_but),
 * where a name that ends in '.' stands for all that begin so. */
void gguf_keys_copy(struct gguf_builder *builder, const struct gguf *from, const char *const *but, size_t n_but);

/* A tensor of n_dims sizes ne whose rows come from rows, as type. The name is copied. */
void gguf_add_rows(struct gguf_builder *builder, const char *name, enum tensor_type type, int n_dims, const int64_t *ne, gguf_rows_fn *rows,
                   void *user);
/* A vector of F32 numbers, copied, with `added` to each. */
void gguf_add_vector(struct gguf_builder *builder, const char *name, const float *values, int n, float added);
/* A tensor whose bytes go over as they are; they are borrowed. */
void gguf_add_copy(struct gguf_builder *builder, const struct tensor *tensor);

/* The file as far as its keys, without tensors, into out. */
int gguf_builder_head(const struct gguf_builder *builder, struct buffer *out) WEIR_CHECKED;

/* Writes "<out>.partial", syncs it, asks check (may be NULL) about it, and renames it: out is replaced whole or left as it was. */
typedef int gguf_check_fn(void *user, const char *path, struct error *err);
int gguf_builder_write(struct gguf_builder *builder, const char *out, gguf_check_fn *check, void *user) WEIR_CHECKED;

#endif
