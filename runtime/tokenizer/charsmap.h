/* Charsmap: SentencePiece's precompiled normalisation rules, as ALBERT, XLM-R and T5 carry them. */
#ifndef WEIR_TOKENIZER_CHARSMAP_H
#define WEIR_TOKENIZER_CHARSMAP_H

#include "weir_base.h"

struct charsmap {
    const uint8_t *units; /* n_units little-endian 32-bit words, unaligned. */
    size_t n_units;
    str replacements;     /* NUL-terminated strings, addressed by offset. */
};

/* Checks the blob and borrows it. An empty blob gives a map without rules. */
int charsmap_init(struct charsmap *map, str blob, struct error *err) WEIR_CHECKED;
/* The rule for a prefix of text: its length, 0: none. longest, or else the shortest one. */
size_t charsmap_find(const struct charsmap *map, str text, bool longest, str *replacement);
/* Base64 (RFC 4648, padding wanted) into out. */
int base64_append(struct buffer *out, str text) WEIR_CHECKED;

#endif
