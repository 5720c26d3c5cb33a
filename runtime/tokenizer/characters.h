/* Characters: classes of code points as the tokenizers' definitions name them, and bytes written as characters. */
#ifndef WEIR_TOKENIZER_CHARACTERS_H
#define WEIR_TOKENIZER_CHARACTERS_H

#include "weir_base.h"

enum {
    CLASS_LETTER = 1,      /* L* */
    CLASS_NUMBER = 2,      /* N* */
    CLASS_SPACE = 4,       /* Unicode White_Space. */
    CLASS_PUNCTUATION = 8, /* P* */
    CLASS_SYMBOL = 16,     /* S* */
    CLASS_MARK = 32,       /* M* */
    CLASS_CONTROL = 64,    /* Cc, Cf, Co, Cs; not unassigned ones. */
    CLASS_NONSPACING = 128, /* Mn */
};

/* CLASS_… bits of a code point. O(1) from a table for ASCII. */
unsigned character_class(uint32_t code_point);
/* The full lower-case mapping of one code point without context: 1 or 2 code points. */
int character_lower(uint32_t code_point, uint32_t out[2]);
/* ASCII punctuation or category P. */
bool character_is_punctuation(uint32_t code_point);
/* \w as Unicode's regular expressions define it (UTS #18): alphabetic, marks, decimal digits, connectors, joiners. */
bool character_is_word(uint32_t code_point);
/* The CJK ideograph blocks that BERT surrounds with blanks. */
bool character_is_ideograph(uint32_t code_point);

/* GPT-2's bytes-to-unicode: bytes that print stand for themselves, the others for U+0100 and up. */
int byte_characters_append(struct buffer *out, str bytes) WEIR_CHECKED;
/* The byte that a code point stands for, -1: none. */
int byte_of_character(uint32_t code_point);

#endif
