/* The OpenAI dialect towards providers: request bodies, and what answers and errors mean. */
#ifndef WEIR_UPSTREAM_DIALECT_OPENAI_H
#define WEIR_UPSTREAM_DIALECT_OPENAI_H

#include "upstream/relay.h"

const char *openai_path(enum relay_api api); /* "/chat/completions" … */

/* Appends the body for one attempt: the caller's with the provider's model name, streaming and usage as asked, and (chat)
 * prefix as a last assistant message when its data is not NULL. body is not changed. */
int openai_body(const json_t *body, enum relay_api api, const char *model, bool stream, str prefix, struct buffer *out,
                struct error *err) WEIR_CHECKED;

/* The "usage" member of an answer or a chunk. False: it has none. */
bool openai_usage(const json_t *answer, struct token_usage *out);

/* What an HTTP status with its body means for the next step. */
enum refusal {
    REFUSAL_CREDENTIALS, /* 401, 403: Weir's own. */
    REFUSAL_RATE,        /* 429 */
    REFUSAL_SERVER,      /* 5xx */
    REFUSAL_TIMEOUT,     /* 408 */
    REFUSAL_CONTEXT,     /* The prompt is too long for this model. */
    REFUSAL_CONTENT,     /* A content filter. */
    REFUSAL_OTHER,       /* Another 4xx (or a redirect: REFUSAL_SERVER). */
};
/* error: the "error" object of the body, NULL when there is none. */
enum refusal openai_refusal(int status, const json_t *error);

#endif
