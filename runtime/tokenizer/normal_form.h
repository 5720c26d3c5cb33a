/* Unicode's normal forms of a whole text. */
#ifndef WEIR_TOKENIZER_NORMAL_FORM_H
#define WEIR_TOKENIZER_NORMAL_FORM_H

#include "weir_base.h"

/* Appends the normal form (UAX #15) of UTF-8 text: compose: C, else D; compatible: with the compatibility mappings. */
int normal_form_append(struct buffer *out, str text, bool compose, bool compatible) WEIR_CHECKED;

#endif
