/* Convert: a decoder opened from a Hugging Face directory, in exact precision, as the keys and tensors of a GGUF file. */
#ifndef WEIR_DECODER_CONVERT_H
#define WEIR_DECODER_CONVERT_H

#include "decoder/stack.h"
#include "model/gguf_builder.h"

/* The name GGUF has for the decoder's architecture, NULL when it has none. */
const char *decoder_gguf_name(const struct decoder *decoder);
/* Does GGUF keep the rotated pairs of q and k side by side for this architecture (the Llama family)? */
bool decoder_gguf_pairs(const struct decoder *decoder);

/* Adds the hyperparameters under GGUF's names ("llama.block_count"), and what GGUF has no name for under "weir.". */
void decoder_add_keys(const struct decoder *decoder, struct gguf_builder *builder);
/* Adds all weights, matrices as type (F32, F16, BF16), vectors, routers and position tables as F32. The decoder outlives the
 * builder's writing. */
void decoder_add_tensors(struct decoder *decoder, struct gguf_builder *builder, enum tensor_type type);
/* 0 when the GGUF file says of the decoder what the directory said, by opening it; else WEIR_E_UNSUPPORTED with what it can't say. */
int decoder_check_same(const struct decoder *decoder, const char *gguf, struct error *err) WEIR_CHECKED;

#endif
