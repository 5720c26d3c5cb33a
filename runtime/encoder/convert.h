/* Convert: an encoder's directory as keys and tensors of GGUF's architecture "bert". */
#ifndef WEIR_ENCODER_CONVERT_H
#define WEIR_ENCODER_CONVERT_H

#include "model/gguf_builder.h"
#include "model/model_file.h"

/* Adds the keys, from the architecture's own on, and all weights: matrices as type, embeddings' positions and types, norms and biases as F32.
 * BERT, RoBERTa and DistilBERT, with a head for whole texts where the first two have one; others, and what GGUF fixes otherwise, are
 * WEIR_E_UNSUPPORTED. The file outlives the builder's writing. *n_vocab: of the embedding. */
int encoder_add_gguf(const struct model_file *file, enum tensor_type type, struct gguf_builder *builder, int *n_vocab, struct error *err) WEIR_CHECKED;

#endif
