/* Mix: which format each matrix of a quantized file takes. Immutable. */
#ifndef WEIR_MODEL_GGUF_MIX_H
#define WEIR_MODEL_GGUF_MIX_H

#include "model/gguf.h"

struct mix;

/* What the choice depends on beside the tensor. */
struct mix_model {
    int64_t n_layers;
    int64_t n_shared; /* Query heads to a KV head. */
    int64_t n_experts;
    bool has_output;  /* A head of its own; otherwise the embedding is the head. */
};

/* By a name such as "Q4_K_M" (a mix) or "Q4_K" (every matrix the same), NULL when there is none. */
const struct mix *mix_find(const char *name);
const char *mix_names(void);               /* All names, for messages. */
uint32_t mix_file_type(const struct mix *mix); /* llama.cpp's number for such a file. */
void mix_model_read(struct mix_model *model, const struct gguf *gguf);
/* The tensor's type afterwards: its own where it is not rewritten. */
enum tensor_type mix_type(const struct mix *mix, const struct mix_model *model, const struct tensor *tensor);

#endif
