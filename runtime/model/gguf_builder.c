/* See gguf_builder.h. The layout is gguf.c's: header, keys, tensor entries, then the tensors' bytes, each at a multiple of 32.
 *
 * Invariant: at most one row of floats is in memory at a time; the keys are, whole. */
#include "model/gguf_builder.h"
#include "model/gguf_writer.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

enum { ALIGNMENT = 32, MAX_KEY_BYTES = 1 << 30 };

void gguf_builder_init(struct gguf_builder *builder, struct error *err)
{
    *builder = (struct gguf_builder){.err = err};
    arena_init(&builder->arena, 0);
    buffer_init(&builder->keys, MAX_KEY_BYTES);
}

void gguf_builder_release(struct gguf_builder *builder)
{
    free(builder->tensors);
    buffer_release(&builder->keys);
    arena_release(&builder->arena);
}

void gguf_builder_fail(struct gguf_builder *builder, enum weir_status status, const char *where, const char *format, ...)
{
    char text[320];
    va_list args;
    if (builder->status < 0)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    builder->status = error_set(builder->err, status, where, "%s", text);
}

/* ------------------------------------------------------------------ keys */

static void put(struct gguf_builder *builder, const void *data, size_t n)
{
    if (buffer_append(&builder->keys, data, n) < 0)
        gguf_builder_fail(builder, WEIR_E_MEMORY, "keys", "no memory for %zu bytes of them", builder->keys.n + n);
}

static void put_u32(struct gguf_builder *builder, uint32_t value)
{
    put(builder, &value, sizeof value);
}

static void put_str(struct gguf_builder *builder, str value)
{
    uint64_t n = value.n;
    put(builder, &n, sizeof n);
    put(builder, value.data, value.n);
}

static void key(struct gguf_builder *builder, str name, enum gguf_type type)
{
    builder->n_keys++;
    put_str(builder, name);
    put_u32(builder, type);
}

void gguf_key_str(struct gguf_builder *builder, const char *name, str value)
{
    key(builder, str_of(name), GGUF_STRING);
    put_str(builder, value);
}

void gguf_key_u32(struct gguf_builder *builder, const char *name, uint32_t value)
{
    key(builder, str_of(name), GGUF_U32);
    put_u32(builder, value);
}

void gguf_key_f32(struct gguf_builder *builder, const char *name, double value)
{
    float number = (float)value;
    key(builder, str_of(name), GGUF_F32);
    put(builder, &number, sizeof number);
}

void gguf_key_bool(struct gguf_builder *builder, const char *name, bool value)
{
    uint8_t byte = value;
    key(builder, str_of(name), GGUF_BOOL);
    put(builder, &byte, sizeof byte);
}

void gguf_key_array(struct gguf_builder *builder, const char *name, enum gguf_type element, size_t n)
{
    uint64_t count = n;
    key(builder, str_of(name), GGUF_ARRAY);
    put_u32(builder, element);
    put(builder, &count, sizeof count);
}

void gguf_element_str(struct gguf_builder *builder, str value)
{
    put_str(builder, value);
}

void gguf_element(struct gguf_builder *builder, const void *value, size_t n_bytes)
{
    put(builder, value, n_bytes);
}

void gguf_key_copy(struct gguf_builder *builder, const struct gguf_value *value)
{
    uint64_t count = value->n;
    key(builder, value->key, value->type);
    if (value->type == GGUF_ARRAY) {
        put_u32(builder, value->element);
        put(builder, &count, sizeof count);
    }
    put(builder, value->data, gguf_value_bytes(value));
}

static int compare_places(const void *a, const void *b)
{
    const uint8_t *x = (*(const struct gguf_value *const *)a)->data, *y = (*(const struct gguf_value *const *)b)->data;
    return (x > y) - (x < y);
}

static bool is_left_out(str name, const char *const *but, size_t n_but)
{
    for (size_t i = 0; i < n_but; i++)
        if (str_equal(name, str_of(but[i])) || (str_ends(str_of(but[i]), STR(".")) && str_starts(name, str_of(but[i]))))
            return true;
    return str_starts(name, STR("split.")) || str_equal(name, STR("general.alignment"));
}

void gguf_keys_copy(struct gguf_builder *builder, const struct gguf *from, const char *const *but, size_t n_but)
{
    const struct gguf_value **order = arena_array(&builder->arena, from->n_values + 1, sizeof *order);
    if (order == NULL) {
        gguf_builder_fail(builder, WEIR_E_MEMORY, "keys", "no memory");
        return;
    }
    for (size_t i = 0; i < from->n_values; i++)
        order[i] = &from->values[i];
    qsort(order, from->n_values, sizeof *order, compare_places);
    for (size_t i = 0; i < from->n_values; i++)
        if (!is_left_out(order[i]->key, but, n_but))
            gguf_key_copy(builder, order[i]);
}

/* ------------------------------------------------------------------ tensors */

static struct gguf_planned *plan(struct gguf_builder *builder)
{
    if (builder->status < 0)
        return NULL;
    if (builder->n_tensors == builder->capacity) {
        size_t capacity = builder->capacity == 0 ? 256 : 2 * builder->capacity;
        struct gguf_planned *tensors = realloc(builder->tensors, capacity * sizeof *tensors);
        if (tensors == NULL) {
            gguf_builder_fail(builder, WEIR_E_MEMORY, "tensors", "no memory for a list of %zu", capacity);
            return NULL;
        }
        builder->tensors = tensors;
        builder->capacity = capacity;
    }
    return &builder->tensors[builder->n_tensors++];
}

void gguf_add_rows(struct gguf_builder *builder, const char *name, enum tensor_type type, int n_dims, const int64_t *ne, gguf_rows_fn *rows,
                   void *user)
{
    struct gguf_planned *planned = plan(builder);
    if (planned == NULL)
        return;
    *planned = (struct gguf_planned){.tensor = {.name = arena_strdup(&builder->arena, str_of(name)), .type = type, .n_dims = n_dims, .ne = {1, 1, 1, 1}},
                                     .rows = rows, .user = user};
    for (int d = 0; d < n_dims; d++)
        planned->tensor.ne[d] = ne[d];
    size_t row_bytes = tensor_row_bytes(type, ne[0]);
    planned->tensor.n_bytes = row_bytes * (size_t)(planned->tensor.ne[1] * planned->tensor.ne[2] * planned->tensor.ne[3]);
    if (planned->tensor.name == NULL)
        gguf_builder_fail(builder, WEIR_E_MEMORY, name, "no memory");
    if (row_bytes == 0)
        gguf_builder_fail(builder, WEIR_E_INVALID, name, "rows of %lld are no whole number of blocks of %s", (long long)ne[0], tensor_type_name(type));
}

void gguf_add_vector(struct gguf_builder *builder, const char *name, const float *values, int n, float added)
{
    float *kept = arena_array(&builder->arena, (size_t)n, sizeof *kept);
    if (kept == NULL) {
        gguf_builder_fail(builder, WEIR_E_MEMORY, name, "no memory for %d numbers", n);
        return;
    }
    for (int i = 0; i < n; i++)
        kept[i] = values[i] + added;
    gguf_add_copy(builder, &(struct tensor){.name = name, .type = TENSOR_F32, .n_dims = 1, .ne = {n, 1, 1, 1}, .data = kept, .n_bytes = (size_t)n * sizeof *kept});
}

void gguf_add_copy(struct gguf_builder *builder, const struct tensor *tensor)
{
    struct gguf_planned *planned = plan(builder);
    if (planned == NULL)
        return;
    *planned = (struct gguf_planned){.tensor = *tensor};
    planned->tensor.name = arena_strdup(&builder->arena, str_of(tensor->name));
    if (planned->tensor.name == NULL)
        gguf_builder_fail(builder, WEIR_E_MEMORY, tensor->name, "no memory");
}

/* ------------------------------------------------------------------ the file */

static size_t padding(size_t at)
{
    return (ALIGNMENT - at % ALIGNMENT) % ALIGNMENT;
}

int gguf_builder_head(const struct gguf_builder *builder, struct buffer *out)
{
    uint32_t version = 3;
    uint64_t none = 0;
    buffer_append(out, "GGUF", 4);
    buffer_append(out, &version, sizeof version);
    buffer_append(out, &none, sizeof none);
    buffer_append(out, &builder->n_keys, sizeof builder->n_keys);
    buffer_append(out, builder->keys.data, builder->keys.n);
    if (builder->status < 0)
        return builder->status;
    return out->failed ? error_set(builder->err, WEIR_E_MEMORY, "keys", "no memory for %zu bytes of them", builder->keys.n) : 0;
}

static int write_head(const struct gguf_builder *builder, struct gguf_writer *writer)
{
    int status = gguf_put(writer, "GGUF", 4);
    if (status == 0)
        status = gguf_put_u32(writer, 3);
    if (status == 0)
        status = gguf_put_u64(writer, builder->n_tensors);
    if (status == 0)
        status = gguf_put_u64(writer, builder->n_keys);
    return status < 0 ? status : gguf_put(writer, builder->keys.data, builder->keys.n);
}

static int write_entries(const struct gguf_builder *builder, struct gguf_writer *writer)
{
    size_t offset = 0;
    int status = 0;
    for (size_t i = 0; i < builder->n_tensors && status == 0; i++) {
        const struct tensor *tensor = &builder->tensors[i].tensor;
        status = gguf_put_str(writer, str_of(tensor->name));
        if (status == 0)
            status = gguf_put_u32(writer, (uint32_t)tensor->n_dims);
        for (int d = 0; d < tensor->n_dims && status == 0; d++)
            status = gguf_put_u64(writer, (uint64_t)tensor->ne[d]);
        if (status == 0)
            status = gguf_put_u32(writer, tensor->type);
        if (status == 0)
            status = gguf_put_u64(writer, offset);
        offset += tensor->n_bytes;
        offset += padding(offset);
    }
    return status;
}

static int write_rows(const struct gguf_planned *planned, struct gguf_writer *writer)
{
    const struct tensor *tensor = &planned->tensor;
    size_t row_bytes = tensor_row_bytes(tensor->type, tensor->ne[0]);
    int64_t n_rows = tensor->ne[1] * tensor->ne[2] * tensor->ne[3];
    float *row = malloc((size_t)tensor->ne[0] * sizeof *row);
    void *packed = malloc(row_bytes);
    int status = row == NULL || packed == NULL ? error_set(writer->err, WEIR_E_MEMORY, tensor->name, "no memory for a row") : 0;
    for (int64_t i = 0; i < n_rows && status == 0; i++) {
        status = planned->rows(planned->user, i, row);
        if (status < 0)
            error_set(writer->err, status, tensor->name, "row %lld could not be computed", (long long)i);
        else if ((status = quantize_row(tensor->type, row, packed, tensor->ne[0], NULL)) < 0)
            error_set(writer->err, status, tensor->name, "can't be written as %s", tensor_type_name(tensor->type));
        else
            status = gguf_put(writer, packed, row_bytes);
    }
    free(row);
    free(packed);
    return status;
}

static int write_file(const struct gguf_builder *builder, struct gguf_writer *writer)
{
    int status = write_head(builder, writer);
    if (status == 0)
        status = write_entries(builder, writer);
    if (status == 0)
        status = gguf_put_zeros(writer, padding(writer->at));
    for (size_t i = 0; i < builder->n_tensors && status == 0; i++) {
        const struct gguf_planned *planned = &builder->tensors[i];
        status = planned->tensor.data != NULL ? gguf_put(writer, planned->tensor.data, planned->tensor.n_bytes) : write_rows(planned, writer);
        if (status == 0)
            status = gguf_put_zeros(writer, padding(writer->at));
    }
    return status;
}

int gguf_builder_write(struct gguf_builder *builder, const char *out, gguf_check_fn *check, void *user)
{
    char partial[PATH_MAX], real[PATH_MAX];
    struct gguf_writer writer = {.path = partial, .err = builder->err};
    if (builder->status < 0)
        return builder->status;
    int status = gguf_partial(out, real, partial, builder->err);
    if (status < 0)
        return status;
    if ((writer.file = fopen(partial, "wbe")) == NULL)
        return error_set(builder->err, WEIR_E_IO, partial, "%s", strerror(errno));
    status = write_file(builder, &writer);
    if (status == 0 && (fflush(writer.file) != 0 || fsync(fileno(writer.file)) < 0))
        status = error_set(builder->err, WEIR_E_IO, partial, "%s", strerror(errno));
    if (fclose(writer.file) != 0 && status == 0)
        status = error_set(builder->err, WEIR_E_IO, partial, "%s", strerror(errno));
    if (status == 0 && check != NULL)
        status = check(user, partial, builder->err);
    if (status == 0 && rename(partial, real) < 0)
        status = error_set(builder->err, WEIR_E_IO, out, "%s", strerror(errno));
    if (status < 0)
        unlink(partial);
    return status;
}
