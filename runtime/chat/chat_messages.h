/* Chat messages: an API's messages in the shape that a template expects. */
#ifndef WEIR_CHAT_CHAT_MESSAGES_H
#define WEIR_CHAT_CHAT_MESSAGES_H

#include "chat/answer_format.h"

enum { CHAT_MAX_BYTES = 16 << 20 };

/* Checks roles and changes messages, a private copy: parts of text are joined, members that are null go, a developer is a system to
 * templates that don't know the word, calls, their ids and reasoning take the form that the template wants. Errors name the message. */
int chat_messages_shape(const struct answer_format *format, bool knows_developer, json_t *messages, struct error *err) WEIR_CHECKED;
/* Where a template shows no calls: writes them into their message's content as the model itself writes them. */
int chat_messages_write_calls(const struct answer_format *format, json_t *messages, struct error *err) WEIR_CHECKED;

#endif
