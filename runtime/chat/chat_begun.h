/* Chat begun: the beginning of an answer that stands in its prompt. */
#ifndef WEIR_CHAT_CHAT_BEGUN_H
#define WEIR_CHAT_CHAT_BEGUN_H

#include "chat/answer_format.h"

/* After a rendered prompt: appends the ids of what is begun in the model's stead, and fills begun (may be NULL). */
int chat_begin(const struct answer_format *format, const struct tokenizer *tokenizer, const struct chat_settings *settings, str prompt,
               struct ids *out, struct chat_begun *begun, struct error *err) WEIR_CHECKED;

#endif
