/* Model file: a GGUF file (or its split parts) or a Hugging Face directory behind one face: metadata and tensors.
 *
 * Keys are GGUF's for GGUF files ("llama.block_count") and config.json's for directories; an architecture's file asks
 * for the one it needs by model_file_is_gguf. Everything handed out points into the mapping and lives as long as the file. */
#ifndef WEIR_MODEL_MODEL_FILE_H
#define WEIR_MODEL_MODEL_FILE_H

#include "kernels/tensor.h"

struct model_file;
struct gguf;

int model_file_open(struct model_file **out, const char *path, struct error *err) WEIR_CHECKED;
/* A parsed GGUF file without its other parts; it is closed with the file, or at once on failure. */
int model_file_of_gguf(struct model_file **out, struct gguf *gguf_take, const char *name, struct error *err) WEIR_CHECKED;
void model_file_close(struct model_file *file);
bool model_file_is_gguf(const struct model_file *file);
const char *model_file_path(const struct model_file *file);
/* The parsed GGUF file (the first part of a split one), NULL for a directory. */
const struct gguf *model_file_gguf(const struct model_file *file);
/* general.architecture, or config.json's model_type. */
str model_file_architecture(const struct model_file *file);

/* Tensors. NULL when absent. */
const struct tensor *model_file_tensor(const struct model_file *file, const char *name);
size_t model_file_n_tensors(const struct model_file *file);
const struct tensor *model_file_tensor_at(const struct model_file *file, size_t index);

/* GGUF metadata. 1 found, 0 absent, WEIR_E_INVALID another type (err names file and key). */
int gguf_str(const struct model_file *file, const char *key, str *out, struct error *err) WEIR_CHECKED;
int gguf_i64(const struct model_file *file, const char *key, int64_t *out, struct error *err) WEIR_CHECKED;
int gguf_f64(const struct model_file *file, const char *key, double *out, struct error *err) WEIR_CHECKED;
int gguf_bool(const struct model_file *file, const char *key, bool *out, struct error *err) WEIR_CHECKED;
/* Arrays: the number of elements, then one by one. Integer and float arrays of any width; checked at open. */
int gguf_array_n(const struct model_file *file, const char *key, size_t *n, struct error *err) WEIR_CHECKED;
int gguf_array_str(const struct model_file *file, const char *key, size_t index, str *out) WEIR_CHECKED; /* O(1). */
int gguf_array_i64(const struct model_file *file, const char *key, size_t index, int64_t *out) WEIR_CHECKED;
int gguf_array_f64(const struct model_file *file, const char *key, size_t index, double *out) WEIR_CHECKED;

/* config.json of a directory, NULL for GGUF. */
const json_t *model_file_config(const struct model_file *file);
/* "<directory>/<name>" when that file exists in the directory. False for GGUF. */
bool model_file_sibling(const struct model_file *file, const char *name, char *out, size_t n_out);

#endif
