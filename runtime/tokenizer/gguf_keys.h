/* A directory's tokenizer as GGUF's keys. */
#ifndef WEIR_TOKENIZER_GGUF_KEYS_H
#define WEIR_TOKENIZER_GGUF_KEYS_H

#include "model/gguf_builder.h"
#include "tokenizer/parts.h"

/* Adds tokenizer.ggml.*, for a model of n_vocab ids, as llama.cpp's own files have them. Where these alone would cut some texts
 * otherwise than the directory does, tokenizer.huggingface.json is added too, if the directory has one. A kind of tokenizer
 * that GGUF has no word for is WEIR_E_UNSUPPORTED. */
void tokenizer_add_keys(const struct tokenizer *tokenizer, const struct model_file *directory, int n_vocab, struct gguf_builder *builder);

/* Do two tokenizers give every text the same ids, as far as their parts tell? Different parts may still mean the same. */
bool tokenizer_same(const struct tokenizer *a, const struct tokenizer *b);

#endif
