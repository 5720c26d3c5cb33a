/* Tokenizer: what model files need of it; the rest is in weir_runtime.h. */
#ifndef WEIR_TOKENIZER_TOKENIZER_H
#define WEIR_TOKENIZER_TOKENIZER_H

#include "model/model_file.h"
#include "weir_runtime.h"

/* Reads tokenizer.ggml.* of a GGUF file, or tokenizer.json / vocab.txt / tokenizer.model (and tokenizer_config.json,
 * special_tokens_map.json) of a directory. *out is NULL with status 0 when the file has no vocabulary. The file is borrowed
 * for the tokenizer's life. */
int tokenizer_open(struct tokenizer **out, const struct model_file *file, struct error *err) WEIR_CHECKED;
void tokenizer_close(struct tokenizer *tokenizer);

#endif
