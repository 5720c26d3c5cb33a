/* A request's body, parsed once into typed fields. What Weir does not know stays in `body` and goes to a provider untouched;
 * what the local model cannot honour is named in `local_unsupported`, so that nothing is dropped in silence. */
#ifndef WEIR_API_API_REQUEST_H
#define WEIR_API_API_REQUEST_H

#include "api/api_error.h"
#include "weir_runtime.h"

enum tool_choice { TOOL_CHOICE_AUTO, TOOL_CHOICE_NONE, TOOL_CHOICE_REQUIRED, TOOL_CHOICE_NAMED };

enum api_kind { API_CHAT, API_COMPLETIONS, API_EMBEDDINGS, API_RERANK };

enum {
    API_MAX_CHOICES = 128,   /* n, and prompts × n. */
    API_MAX_PROMPTS = 128,
    API_MAX_INPUTS = 2048,   /* Of one embeddings request, as OpenAI's. */
    API_MAX_MESSAGES = 4096,
    API_MAX_STOPS = 4,
};

/* A prompt or an input: text, or token ids. */
struct api_text {
    str text;           /* Borrowed from the body. */
    const int32_t *ids; /* NULL: it is text. */
    size_t n_ids;
};

struct api_request {
    enum api_kind kind;
    json_t *body;       /* The whole object, owned. */
    str model;
    bool stream;
    bool include_usage;
    int n;
    int best_of;
    bool echo;
    bool logprobs;
    int n_top_logprobs;
    bool has_max_tokens;
    int64_t max_tokens;
    bool names_sampling;      /* temperature or top_p is in the body. */
    bool names_shift;         /* context_shift is. */
    struct sampling sampling; /* stops and bias point into the arena. */
    json_t *messages;         /* Chat: borrowed from the body. */
    str grounded;             /* Chat: stands for the last message's text before the local model; NULL data: it stands for itself. */
    bool called_afar;         /* Chat: the last assistant message calls tools, and a remote model made the calls. */
    bool tool_loop;           /* Chat: what came last is a tool's result. */
    const json_t *tools;      /* Chat: functions that may be called, borrowed from the body; NULL: none may. */
    enum tool_choice tool_choice;
    const char *tool_name;    /* TOOL_CHOICE_NAMED. */
    bool one_call;            /* parallel_tool_calls is false. */
    bool by_schema;           /* A tool that may be called is strict. */
    const json_t *template_variables; /* chat_template_kwargs, borrowed; NULL: none. */
    const char *reasoning_effort;     /* Chat; NULL: not said. */
    struct api_text *texts;   /* Completions: prompts; embeddings: inputs; rerank: the query, then the documents. */
    size_t n_texts;
    bool token_input;         /* Some of texts are ids: nobody can scan them. */
    int64_t top_n;            /* Rerank. */
    bool return_documents;
    bool base64;              /* Embeddings. */
    int64_t dimensions;       /* Embeddings: asked for; 0: not. */
    struct grammar *grammar;  /* What the answer must look like, NULL: nothing. sampling.grammar is the same. */
    char local_unsupported[160]; /* The first field that the local model cannot honour; empty: none. */
    char local_why[200];         /* Why not, when there is more to say. */
};

/* Does an endpoint's answer come out of a generating model? */
bool api_kind_generates(enum api_kind kind);
/* Parses body for an endpoint. Everything is in arena, but for request->body, which api_request_release drops. On failure
 * error is the answer. */
int api_request_parse(struct api_request *request, enum api_kind kind, str body, struct arena *arena, struct api_error *error) WEIR_CHECKED;
void api_request_release(struct api_request *request);
/* Remembers a field that only a remote model can honour; the first one stays. */
void api_request_mark_remote_only(struct api_request *request, const char *field);
/* Ids of calls that local models made begin with this. */
#define API_LOCAL_CALL "call_local_"

/* The messages as a local chat template takes them: content as one string, `developer` as `system`, calls, results and reasoning as
 * they are. New reference. */
json_t *api_local_messages(const struct api_request *request);
/* Ids of the conversation's prompt for a local model; see model_chat_prompt. Where it fails, err->where is the request's field. */
int api_local_prompt(const struct api_request *request, const struct model *model, struct ids *out, struct chat_begun *begun, struct error *err) WEIR_CHECKED;

/* The text of the last message, where that is a human's and one plain text; else empty (NULL data). Borrowed from the body. */
str api_last_turn(const struct api_request *request);

/* Parts of api_request_parse, one file each. */
int chat_fields_parse(struct api_request *request, struct arena *arena, struct api_error *error) WEIR_CHECKED;
int completion_fields_parse(struct api_request *request, struct arena *arena, struct api_error *error) WEIR_CHECKED;
int rerank_fields_parse(struct api_request *request, struct arena *arena, struct api_error *error) WEIR_CHECKED;
int embedding_fields_parse(struct api_request *request, struct arena *arena, struct api_error *error) WEIR_CHECKED;
/* tools, tool_choice, parallel_tool_calls: what a local model can be given of them. Other shapes are for remote models. */
int tool_fields_parse(struct api_request *request, struct api_error *error) WEIR_CHECKED;
/* Can a local template take this member of a message (tool_calls, tool_call_id, reasoning_content)? */
bool message_member_is_local(const char *role, const char *name, const json_t *value);
/* Fields that chat and completions share: sampling, stops, bias, n, stream, the answer's shape. */
int sampling_fields_parse(struct api_request *request, struct arena *arena, struct api_error *error) WEIR_CHECKED;
/* Fails on, or marks as remote-only, every member of the body that `known` (ended by NULL) does not name. */
void unknown_fields_mark(struct api_request *request, const char *const *known);
/* A list of token ids (integers ≥ 0) into the arena. */
int token_ids_parse(const json_t *array, const char *param, struct arena *arena, struct api_text *out, struct api_error *error) WEIR_CHECKED;

#endif
