/* Query: which text of a message list is scored. */
#ifndef WEIR_CLASSIFIER_QUERY_H
#define WEIR_CLASSIFIER_QUERY_H

#include "weir_base.h"

enum { QUERY_MOST_BYTES = 64 << 10, QUERY_SHORT_BYTES = 40 };

/* The last human turn with what it leans on, in the arena. Errors: WEIR_E_INVALID for what is no message list, by place. */
int query_text(const json_t *messages, struct arena *arena, str *out, struct error *err) WEIR_CHECKED;

/* The question in a prompt that is a template around one (query_template.c); another text is itself. Part of text. */
str query_in_template(str text);

#endif
