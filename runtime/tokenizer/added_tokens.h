/* Added tokens: texts that are one token wherever they stand, found before anything else is done to a text. */
#ifndef WEIR_TOKENIZER_ADDED_TOKENS_H
#define WEIR_TOKENIZER_ADDED_TOKENS_H

#include "tokenizer/prefix_index.h"

struct added_token {
    str text;
    int32_t id;
    bool special;     /* Found only where special-looking text is meant so. */
    bool single_word; /* Not inside a word. */
    bool left_strip;  /* Takes the white space before it along. */
    bool right_strip; /* … after it. */
    bool normalized;  /* Sought in the normalized text, by its normal form. */
};

struct added_tokens {
    struct added_token *list;
    size_t n;
    str *texts; /* What is sought: the text or its normal form. */
    struct prefix_index raw, normalized;
    bool begins_raw[256], begins_normalized[256];
};

/* list and texts (one a token) are borrowed from the arena. */
int added_tokens_init(struct added_tokens *added, struct added_token *list, str *texts, size_t n, struct arena *arena) WEIR_CHECKED;

struct added_match {
    size_t start, end; /* With the white space that it takes along. */
    int32_t id;
};
/* The first match at or after `at`, of those sought in raw or in normalized text; of several the longest. */
bool added_tokens_find(const struct added_tokens *added, str text, size_t at, bool normalized, bool special, struct added_match *out);

#endif
