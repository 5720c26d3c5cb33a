/* The bytes of a GGUF file as they are written one after the other. Errors name the path. */
#ifndef WEIR_MODEL_GGUF_WRITER_H
#define WEIR_MODEL_GGUF_WRITER_H

#include "weir_base.h"

#include <stdio.h>

struct gguf_writer {
    FILE *file;
    const char *path;
    size_t at; /* Bytes written. */
    struct error *err;
};

/* Of a file that is to be written at out: where it really lies, and the file beside it that is written first. Each has PATH_MAX bytes. */
int gguf_partial(const char *out, char *real, char *partial, struct error *err) WEIR_CHECKED;
int gguf_put(struct gguf_writer *writer, const void *data, size_t n) WEIR_CHECKED;
int gguf_put_u32(struct gguf_writer *writer, uint32_t value) WEIR_CHECKED;
int gguf_put_u64(struct gguf_writer *writer, uint64_t value) WEIR_CHECKED;
int gguf_put_str(struct gguf_writer *writer, str s) WEIR_CHECKED;
int gguf_put_zeros(struct gguf_writer *writer, size_t n) WEIR_CHECKED;

#endif
