/* Chat: a model's template with what it needs, and messages to ids through it. */
#ifndef WEIR_CHAT_CHAT_H
#define WEIR_CHAT_CHAT_H

#include "model/model_file.h"
#include "weir_runtime.h"

struct chat;

/* *out is NULL with status 0 when the file has no template. A template that does not compile is kept as its error, which
 * chat_prompt gives: the model is of use without it. The tokenizer may be NULL and is borrowed. */
int chat_open(struct chat **out, const struct model_file *file, const struct tokenizer *tokenizer, struct error *err) WEIR_CHECKED;
/* Appends the source of a directory's template; nothing where it has none. */
int chat_read_source(const struct model_file *file, struct buffer *source, struct error *err) WEIR_CHECKED;
void chat_close(struct chat *chat); /* NULL is fine. */
const struct chat_template *chat_template_peek(const struct chat *chat);
/* NULL: there is no template that compiles. */
const struct answer_format *chat_format_peek(const struct chat *chat);
/* See model_template_knows and model_chat_prompt. */
bool chat_knows(const struct chat *chat, const char *variable);
int chat_prompt(const struct chat *chat, const json_t *messages, const struct chat_settings *settings, struct ids *out, struct chat_begun *begun,
                struct error *err) WEIR_CHECKED;

#endif
