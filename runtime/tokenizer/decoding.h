/* Decoding: what a token's text is turned into, by a list of steps. */
#ifndef WEIR_TOKENIZER_DECODING_H
#define WEIR_TOKENIZER_DECODING_H

#include "tokenizer/regex.h"

enum { DECODING_MAX_STEPS = 16 };

enum decode_kind {
    DECODE_BYTES,     /* Printing characters back to the bytes they stand for. */
    DECODE_FALLBACK,  /* <0xXX> to its byte. */
    DECODE_METASPACE, /* `text` to a blank, of the first token (`first`) to nothing. */
    DECODE_REPLACE,   /* `text` or `regex` to `content`. */
    DECODE_WORDPIECE, /* A blank before every token but those that begin with `text`; `clean`: none before punctuation. */
    DECODE_SUFFIX,    /* `text` at the end to a blank. */
    DECODE_STRIP,     /* At most `left` times `text` off a token's beginning, `right` times off its end; `whole`: off the answer's beginning. */
};

struct decode_step {
    enum decode_kind kind;
    bool first, clean, whole;
    int left, right;
    str text, content;
    struct regex *regex;
};

struct decoding {
    struct decode_step steps[DECODING_MAX_STEPS];
    int n_steps;
};
struct decode_step *decoding_add(struct decoding *decoding, enum decode_kind kind); /* NULL: too many. */
void decoding_release(struct decoding *decoding);
/* Turns a token's text, in *text, into the bytes it adds to an answer; first: nothing came before. */
int decoding_run(const struct decoding *decoding, bool first, struct buffer *text, struct buffer *spare) WEIR_CHECKED;

#endif
