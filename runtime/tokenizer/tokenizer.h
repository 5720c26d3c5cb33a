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

/* Is the id a piece of text, not a special token or a hole? */
bool tokenizer_is_text(const struct tokenizer *tokenizer, int32_t id);
/* Appends the bytes, not always whole characters, that an id adds to an answer; first: it begins it. */
int tokenizer_token_bytes(const struct tokenizer *tokenizer, int32_t id, bool first, struct buffer *out) WEIR_CHECKED;

#endif
