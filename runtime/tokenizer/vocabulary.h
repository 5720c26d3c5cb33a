/* Vocabulary: the text of each id, and the id of each text. */
#ifndef WEIR_TOKENIZER_VOCABULARY_H
#define WEIR_TOKENIZER_VOCABULARY_H

#include "weir_base.h"

/* GGUF's words for tokens (tokenizer.ggml.token_type), used for every source. */
enum token_kind {
    TOKEN_ABSENT = 0, /* A hole in the ids. */
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN = 2,
    TOKEN_CONTROL = 3,
    TOKEN_USER_DEFINED = 4,
    TOKEN_UNUSED = 5,
    TOKEN_BYTE = 6,
};

enum { VOCABULARY_MAX_TOKENS = 4 << 20, VOCABULARY_MAX_TOKEN_BYTES = 1 << 16 };

struct vocabulary {
    size_t n;         /* Ids are 0 … n - 1. */
    str *texts;       /* Borrowed: they point into the file's mapping or the tokenizer's arena. */
    uint8_t *kinds;   /* enum token_kind. */
    float *scores;    /* NULL: the format has none. */
    uint64_t *slots;  /* Hash in the upper half, id + 1 in the lower; 0: free. */
    size_t mask;      /* Slots - 1. */
    size_t longest;   /* Bytes of the longest text. */
    int32_t bytes[256]; /* Id of <0xXX>, -1: none. */
};

/* Takes n ids' worth of storage from the arena; texts are then set by vocabulary_set, in any order. */
int vocabulary_init(struct vocabulary *vocabulary, struct arena *arena, size_t n, bool scored, struct error *err) WEIR_CHECKED;
/* Gives an id its text. A text that two ids share belongs to the later call. */
void vocabulary_set(struct vocabulary *vocabulary, int32_t id, str text, enum token_kind kind);
/* Finds the <0xXX> tokens: once, after the last vocabulary_set. */
void vocabulary_find_bytes(struct vocabulary *vocabulary);
/* The id of a text, -1 when there is none. */
int32_t vocabulary_find(const struct vocabulary *vocabulary, str text);
/* The id of a text given as two parts. */
int32_t vocabulary_find_joined(const struct vocabulary *vocabulary, str head, str tail);
static inline bool vocabulary_has(const struct vocabulary *vocabulary, int64_t id)
{
    return id >= 0 && (uint64_t)id < vocabulary->n;
}

#endif
