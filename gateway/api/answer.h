/* Answers in OpenAI's form: whole objects, and the chunks of a stream. Writers only: they append JSON to a buffer. */
#ifndef WEIR_API_ANSWER_H
#define WEIR_API_ANSWER_H

#include "api/api_request.h"

/* What all objects and chunks of one answer share. */
struct answer_head {
    enum api_kind kind;
    char id[64];        /* "chatcmpl-…" */
    int64_t created_s;
    str model;
    bool include_usage; /* Chunks then carry `usage: null`, as OpenAI's do. */
};

struct answer_usage {
    int64_t prompt_tokens, cached_tokens, completion_tokens;
    int64_t dropped_tokens;   /* By a context shift. */
    int64_t reasoning_tokens; /* Of the completion. */
};

/* What a choice says. */
struct answer_message {
    str text;
    str reasoning; /* Empty: none. */
    str calls;     /* JSON objects of tool calls, comma between them; empty: none. */
    str annotations; /* A JSON array of OpenAI's url_citation; empty: none. */
};

/* "chatcmpl-" or "cmpl-" and the decision's id. */
void answer_head_init(struct answer_head *head, enum api_kind kind, const char *decision_id, str model, bool include_usage);

/* Log-probabilities gathered for one choice; zero is empty. Chat: lists[0] holds the items of `content`. Completions: the
 * four parallel arrays tokens, token_logprobs, top_logprobs, text_offset. */
struct logprob_lists {
    struct buffer lists[4];
    int n;
    int64_t text_offset; /* Code points before the next token (completions). */
};
void logprob_lists_init(struct logprob_lists *lists);
void logprob_lists_release(struct logprob_lists *lists);
void logprob_lists_clear(struct logprob_lists *lists); /* Keeps text_offset. */
/* n tokens with their n × n_top alternatives (both may be NULL: log-probabilities are then null, as of a first token). */
void logprob_lists_append(struct logprob_lists *lists, enum api_kind kind, const struct tokenizer *tokenizer, const int32_t *tokens,
                          const struct token_logprob *chosen, const struct token_logprob *top, int n, int n_top);
/* The object, or null when nothing was gathered. */
void logprob_lists_write(const struct logprob_lists *lists, enum api_kind kind, struct buffer *out);

/* ------------------------------------------------------------------ whole answers */

void answer_begin(const struct answer_head *head, struct buffer *out);
/* logprobs NULL: null. */
void answer_choice(const struct answer_head *head, int index, const struct answer_message *message, const struct logprob_lists *logprobs,
                   const char *finish_reason, struct buffer *out);
/* A tool call as answers have it. */
void answer_call(const char *id, str name, str arguments, struct buffer *out);
void answer_end(const struct answer_head *head, const struct answer_usage *usage, struct buffer *out);

/* ------------------------------------------------------------------ streams: `data: …` events */

/* The first chunk of a chat choice: the role and nothing else. */
void chunk_role(const struct answer_head *head, int index, struct buffer *out);
/* Text of a choice, with its own log-probabilities (NULL: null). */
void chunk_text(const struct answer_head *head, int index, str text, const struct logprob_lists *logprobs, struct buffer *out);
/* Reasoning of a chat choice, as chunk_text. */
void chunk_reasoning(const struct answer_head *head, int index, str text, const struct logprob_lists *logprobs, struct buffer *out);
/* The first chunk of a choice's tool call: its id and name; then its arguments piece by piece. */
void chunk_call(const struct answer_head *head, int index, int call, const char *id, str name, struct buffer *out);
void chunk_arguments(const struct answer_head *head, int index, int call, str text, struct buffer *out);
void chunk_finish(const struct answer_head *head, int index, const char *finish_reason, struct buffer *out);
/* A provider's change of a choice: its delta's other members with the text in place (NULL delta: text alone), its log-probabilities. */
void chunk_delta(const struct answer_head *head, int index, const json_t *delta, bool has_text, str text, const json_t *logprobs,
                 struct buffer *out);
/* Annotations of a choice, a JSON array; empty: writes nothing. */
void chunk_annotations(const struct answer_head *head, int index, str annotations, struct buffer *out);
void chunk_usage(const struct answer_head *head, const struct answer_usage *usage, struct buffer *out);
void chunk_done(struct buffer *out);
/* The end of a stream that cannot be saved. */
void chunk_error(const struct api_error *error, struct buffer *out);

/* ------------------------------------------------------------------ embeddings */

/* n vectors of n_embd floats, as numbers or base64 of little-endian float32. */
void embeddings_write(const float *vectors, size_t n, int n_embd, bool base64, str model, int64_t n_tokens, struct buffer *out);

#endif
