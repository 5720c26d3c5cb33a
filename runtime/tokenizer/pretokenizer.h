/* Pre-tokenizer: cuts a text into words by a list of steps, and rewrites it where a step says so. */
#ifndef WEIR_TOKENIZER_PRETOKENIZER_H
#define WEIR_TOKENIZER_PRETOKENIZER_H

#include "tokenizer/regex.h"

enum { PRETOKENIZER_MAX_STEPS = 32 };

enum split_kind {
    SPLIT_GPT2,
    SPLIT_GPT4,          /* At most `number` digits. */
    SPLIT_REGEX,
    SPLIT_TEXT,          /* Every occurrence of `text`. */
    SPLIT_CLASS,         /* Every character of a class (`number`: CLASS_… bits). */
    SPLIT_PUNCTUATION,
    SPLIT_WORDS,         /* \w+|[^\w\s]+ */
    SPLIT_BERT,          /* Blanks off, punctuation alone. */
    SPLIT_FIXED,         /* Every `number` characters. */
    MAP_FRONT,           /* A blank in front of a piece that has none. */
    MAP_BYTES,           /* Each byte to its printing character. */
    MAP_METASPACE,       /* Blanks to `text`; `prefix` says whether one is put in front. */
};

/* What becomes of the matches of a split. */
enum split_behaviour { SPLIT_REMOVED, SPLIT_ISOLATED, SPLIT_WITH_PREVIOUS, SPLIT_WITH_NEXT, SPLIT_CONTIGUOUS };

enum split_prefix { PREFIX_NEVER, PREFIX_FIRST, PREFIX_ALWAYS };

struct split_step {
    enum split_kind kind;
    enum split_behaviour behaviour;
    bool invert;
    enum split_prefix prefix;
    int number;
    str text;
    struct regex *regex; /* Owned by the pretokenizer. */
};

struct pretokenizer {
    struct split_step steps[PRETOKENIZER_MAX_STEPS];
    int n_steps;
};
/* NULL when there are too many. */
struct split_step *pretokenizer_add(struct pretokenizer *pretokenizer, enum split_kind kind);
void pretokenizer_release(struct pretokenizer *pretokenizer);

struct piece {
    size_t start, n;
};

/* A text and the pieces it is cut into; the caller's storage, used again from call to call. */
struct pieces {
    struct buffer text, spare_text;
    struct piece *list, *spare;
    size_t n, capacity;
    size_t n_spare, spare_capacity;
    bool first; /* The text begins where the whole input begins. */
};
void pieces_init(struct pieces *pieces, size_t max_bytes);
void pieces_release(struct pieces *pieces);

/* Makes text one piece and runs the steps over it. WEIR_E_LIMIT: a pattern took too long, or the text grew too large. */
int pretokenizer_run(const struct pretokenizer *pretokenizer, struct pieces *pieces, str text, bool first) WEIR_CHECKED;

#endif
