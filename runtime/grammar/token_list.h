/* Token list: a vocabulary in the order of its tokens' bytes, for asking which of them may come next. Neighbours share their
 * beginnings, so each byte is looked at once for all tokens that share it. Immutable once made. */
#ifndef WEIR_GRAMMAR_TOKEN_LIST_H
#define WEIR_GRAMMAR_TOKEN_LIST_H

#include "grammar/matcher.h"

struct token_list {
    int n;               /* Tokens with a text: no special ones, nothing empty. */
    int n_vocab;
    struct token_entry {
        int32_t id;
        uint32_t at;     /* Of its bytes in text. */
        uint16_t length;
        uint16_t shared; /* Bytes that the one before it begins with too. */
    } *entries;
    int32_t *place;      /* Of each id among the entries, -1: none. n_vocab. */
    char *text;
    int longest;
    bool blank_first;    /* A blank at the beginning of an answer's first token is taken off. */
};

/* n_vocab: rows of logits, at least the tokenizer's ids. WEIR_E_MEMORY. */
int token_list_new(struct token_list **out, const struct tokenizer *tokenizer, int n_vocab) WEIR_CHECKED;
void token_list_free(struct token_list *list);

/* Where a text stands in a grammar, moved on by tokens. */
struct constraint {
    struct grammar *grammar;       /* A share of it. */
    const struct token_list *list; /* Borrowed. */
    struct matcher matcher;
    int32_t state;
    bool failed;                   /* Memory or a cap ran out: no token fits any more. */
    int32_t *path;                 /* States after each byte of a token: longest + 1. */
};

int constraint_init(struct constraint *constraint, struct grammar *grammar, const struct token_list *list, struct error *err) WEIR_CHECKED;
/* Moves on by text that stands already. WEIR_E_INVALID: the grammar has no such beginning. */
int constraint_begin(struct constraint *constraint, str text, struct error *err) WEIR_CHECKED;
void constraint_release(struct constraint *constraint);
/* May this token come next? */
bool constraint_allows(struct constraint *constraint, int32_t id);
/* One bit for each id, set for those that may come next, valid until the next call; NULL when a cap or memory ran out. */
const uint32_t *constraint_mask(struct constraint *constraint);
/* A token was chosen that the constraint allows. */
void constraint_accept(struct constraint *constraint, int32_t id);
bool constraint_may_end(const struct constraint *constraint);
bool constraint_must_end(const struct constraint *constraint);

#endif
