/* GGUF's names of pre-tokenizers (tokenizer.ggml.pre) and what each means. */
#ifndef WEIR_TOKENIZER_GGUF_PRETOKENIZER_H
#define WEIR_TOKENIZER_GGUF_PRETOKENIZER_H

#include "tokenizer/pretokenizer.h"

struct gguf_pretokenizer {
    const char *names[28]; /* Ended by NULL. */
    const char *patterns[6]; /* Run one after the other, every match alone; ended by NULL. "@gpt2", "@gpt4", "@qwen2", "@digits" are by hand. */
    bool ignore_merges;
    bool add_bos; /* Where the file says nothing. */
};
/* NULL: unknown. An empty name is "default". */
const struct gguf_pretokenizer *gguf_pretokenizer_find(str name);
/* Adds its steps, up to the bytes as characters. */
int gguf_pretokenizer_build(const struct gguf_pretokenizer *which, struct pretokenizer *out, struct error *err) WEIR_CHECKED;
/* The one that cuts texts of most kinds as this does; NULL: none. */
const struct gguf_pretokenizer *gguf_pretokenizer_match(const struct pretokenizer *pretokenizer, bool ignore_merges);

#endif
