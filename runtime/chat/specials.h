/* Specials: the texts of a vocabulary's special tokens, and keeping them out of what messages say.
 *
 * How: a noncharacter that occurs in no message is put inside every text of the messages that is spelled like a special token ("<",
 * mark, "|im_end|>"). After rendering, what is spelled like a special token comes from the template alone. The stretches between the
 * template's special tokens lose the marks and are encoded as plain text where they had one. Immutable once open. */
#ifndef WEIR_CHAT_SPECIALS_H
#define WEIR_CHAT_SPECIALS_H

#include "weir_runtime.h"

enum { SPECIALS_MARK_BYTES = 3 };

struct specials {
    const struct tokenizer *tokenizer; /* Borrowed, may be NULL: there are none then. */
    char **texts;
    size_t n;
};

int specials_open(struct specials *specials, const struct tokenizer *tokenizer, struct error *err) WEIR_CHECKED;
void specials_close(struct specials *specials); /* Also after a failed open. */
/* A noncharacter (U+FDD0 … U+FDEF) that is nowhere in the text. False: all are. */
bool specials_pick_mark(str text, char mark[SPECIALS_MARK_BYTES + 1]);
/* A copy of a JSON value with all its strings marked; *marked is set when there was something to mark. NULL: no memory. */
json_t *specials_mark(const struct specials *specials, const json_t *value, const char *mark, bool *marked);
/* Appends the ids of a rendered text without its marks. */
int specials_encode(const struct specials *specials, str text, const char *mark, struct ids *out, struct error *err) WEIR_CHECKED;

#endif
