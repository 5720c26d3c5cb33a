/* Builds GGUF images in memory for tests: header counts are filled in by gguf_build_end, and every part may be made wrong
 * on purpose by appending raw bytes. */
#ifndef WEIR_TESTS_GGUF_BUILD_H
#define WEIR_TESTS_GGUF_BUILD_H

#include "weir_base.h"

struct gguf_build {
    struct buffer out;
    uint64_t n_tensors;
    uint64_t n_values;
};

static inline void gguf_build_u32(struct gguf_build *build, uint32_t value)
{
    buffer_append(&build->out, &value, sizeof value);
}

static inline void gguf_build_u64(struct gguf_build *build, uint64_t value)
{
    buffer_append(&build->out, &value, sizeof value);
}

static inline void gguf_build_string(struct gguf_build *build, const char *text)
{
    gguf_build_u64(build, strlen(text));
    buffer_append_text(&build->out, text);
}

static inline void gguf_build_begin(struct gguf_build *build)
{
    *build = (struct gguf_build){0};
    buffer_init(&build->out, 1 << 24);
    buffer_append_text(&build->out, "GGUF");
    gguf_build_u32(build, 3);
    gguf_build_u64(build, 0);
    gguf_build_u64(build, 0);
}

static inline void gguf_build_key(struct gguf_build *build, const char *key, uint32_t type)
{
    gguf_build_string(build, key);
    gguf_build_u32(build, type);
    build->n_values++;
}

static inline void gguf_build_key_u32(struct gguf_build *build, const char *key, uint32_t value)
{
    gguf_build_key(build, key, 4);
    gguf_build_u32(build, value);
}

static inline void gguf_build_key_f32(struct gguf_build *build, const char *key, float value)
{
    gguf_build_key(build, key, 6);
    buffer_append(&build->out, &value, sizeof value);
}

static inline void gguf_build_key_string(struct gguf_build *build, const char *key, const char *value)
{
    gguf_build_key(build, key, 8);
    gguf_build_string(build, value);
}

static inline void gguf_build_tensor(struct gguf_build *build, const char *name, int n_dims, const uint64_t *ne, uint32_t type, uint64_t offset)
{
    gguf_build_string(build, name);
    gguf_build_u32(build, (uint32_t)n_dims);
    for (int d = 0; d < n_dims; d++)
        gguf_build_u64(build, ne[d]);
    gguf_build_u32(build, type);
    gguf_build_u64(build, offset);
    build->n_tensors++;
}

/* Sets the counts and pads to the data, of which n_bytes zeros follow. */
static inline void gguf_build_end(struct gguf_build *build, size_t n_bytes)
{
    memcpy(build->out.data + 8, &build->n_tensors, 8);
    memcpy(build->out.data + 16, &build->n_values, 8);
    while (build->out.n % 32 != 0)
        buffer_append_char(&build->out, '\0');
    for (size_t i = 0; i < n_bytes; i++)
        buffer_append_char(&build->out, '\0');
}

#endif
