/* WordPiece (Devlin et al. 2019) and plain word vocabularies: longest match first. */
#ifndef WEIR_TOKENIZER_WORDPIECE_H
#define WEIR_TOKENIZER_WORDPIECE_H

#include "tokenizer/vocabulary.h"
#include "weir_runtime.h"

struct wordpiece {
    const struct vocabulary *vocabulary;
    int32_t unknown;   /* -1: an unknown word gives nothing. */
    str start;         /* Before a word's first piece: "" or GGUF's "▁". */
    str continuation;  /* Before its other pieces: "##" or "". */
    size_t max_chars;  /* A longer word is unknown; 0: none is too long. */
    bool whole;        /* Words are not cut: WordLevel. */
};
int wordpiece_encode(const struct wordpiece *wordpiece, str word, struct ids *out) WEIR_CHECKED;

#endif
