/* Safetensors: 8 bytes of header length (little-endian), a JSON object name → {dtype, shape, data_offsets}, then the data
 * (github.com/huggingface/safetensors, format). Mapped; every offset, size and product checked; overlaps, holes that the
 * offsets leave, unknown dtypes and trailing bytes are errors. */
#ifndef WEIR_MODEL_SAFETENSORS_H
#define WEIR_MODEL_SAFETENSORS_H

#include "kernels/tensor.h"

struct safetensors;

int safetensors_open(struct safetensors **out, const char *path, struct error *err) WEIR_CHECKED;
/* From memory, for tests and fuzzing; bytes are borrowed. name stands for the path in errors. */
int safetensors_parse(struct safetensors **out, const char *name, const void *bytes, size_t n_bytes, struct error *err) WEIR_CHECKED;
void safetensors_close(struct safetensors *file);
const struct tensor *safetensors_find(const struct safetensors *file, const char *name); /* NULL: absent. */
size_t safetensors_n(const struct safetensors *file);
const struct tensor *safetensors_at(const struct safetensors *file, size_t index);

#endif
