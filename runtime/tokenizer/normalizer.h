/* Normalizer: rewrites a text, by a list of steps, before it is cut into words. */
#ifndef WEIR_TOKENIZER_NORMALIZER_H
#define WEIR_TOKENIZER_NORMALIZER_H

#include "tokenizer/charsmap.h"
#include "tokenizer/regex.h"

enum { NORMALIZER_MAX_STEPS = 32 };

enum normalize_kind {
    NORMALIZE_NFC,
    NORMALIZE_NFD,
    NORMALIZE_NFKC,
    NORMALIZE_NFKD,
    NORMALIZE_LOWER,
    NORMALIZE_STRIP_MARKS,    /* Category M, or (nonspacing) Mn alone. */
    NORMALIZE_BERT_CLEAN,     /* Control characters off, every white space a blank. */
    NORMALIZE_BERT_IDEOGRAPHS, /* Blanks around CJK ideographs. */
    NORMALIZE_BASE_LETTERS,   /* Each character by the first of its canonical decomposition, as llama.cpp takes WordPiece text. */
    NORMALIZE_REPLACE,        /* `text` or `regex` by `content`. */
    NORMALIZE_PREPEND,        /* `content` before a text that is not empty. */
    NORMALIZE_STRIP,          /* White space off the left, the right. */
    NORMALIZE_NMT,
    NORMALIZE_CHARSMAP,       /* By grapheme, as the tokenizers library applies it. */
    NORMALIZE_SENTENCEPIECE,  /* charsmap by longest prefix, blanks collapsed (`left`) and escaped, one put in front (`right`). */
    NORMALIZE_BYTES,          /* Each byte to its printing character. */
};

struct normalize_step {
    enum normalize_kind kind;
    bool left, right, nonspacing;
    str text, content;
    struct regex *regex; /* Owned by the normalizer. */
    struct charsmap charsmap;
};

struct normalizer {
    struct normalize_step steps[NORMALIZER_MAX_STEPS];
    int n_steps;
};
/* NULL when there are too many. */
struct normalize_step *normalizer_add(struct normalizer *normalizer, enum normalize_kind kind);
void normalizer_release(struct normalizer *normalizer);
/* Leaves the normal form of text in *text, for which spare is used too. text must be UTF-8. */
int normalizer_run(const struct normalizer *normalizer, struct buffer *text, struct buffer *spare) WEIR_CHECKED;

#endif
