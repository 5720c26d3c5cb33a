/* One request of a generating or embedding endpoint, from its key to its outcome row.
 *
 *   AUTHENTICATE → PARSE → ADMIT → [LOAD (worker)] → PREPARE (worker) → [PROBE →] DECIDE → RECORD (ledger) → CACHE | LOCAL | REMOTE | COMPUTE → ENDED
 *
 * All transitions go through request_enter, which leaves a trace line. The loop thread owns the request, but in PREPARE and
 * COMPUTE, when the worker has it and the loop touches nothing of it but `gone`. It is freed when it has ENDED and nothing
 * refers to it any more (n_pins: a worker's job, a ledger callback).
 *
 * Invariant: from the accepted decision row on there is exactly one outcome row; request_end writes it, once. */
#ifndef WEIR_REQUEST_REQUEST_H
#define WEIR_REQUEST_REQUEST_H

#include "api/answer.h"
#include "api/api_request.h"
#include "decide/decide.h"
#include "goals/goals.h"
#include "request/service.h"
#include "weir_policies.h"

enum request_state {
    REQUEST_AUTHENTICATE,
    REQUEST_PARSE,
    REQUEST_ADMIT,
    REQUEST_LOAD, /* Waits for a model of models.others. */
    REQUEST_PREPARE,
    REQUEST_PROBE, /* The answering model is asked whether it can answer. */
    REQUEST_DECIDE,
    REQUEST_RECORD,
    REQUEST_CACHE,
    REQUEST_LOCAL,
    REQUEST_REMOTE,
    REQUEST_COMPUTE, /* A worker runs a forward pass beside the engine: embeddings, an echoed prompt's log-probabilities. */
    REQUEST_ENDED,
};

/* One answer being made: a choice of the caller's, or one of several to choose from (best_of). */
struct choice {
    struct session *session;
    bool ended;
    bool role_sent;
    const char *finish_reason;
    struct buffer text;
    struct logprob_lists logprobs;
    double sum_logprob;
    int n_tokens;
    struct restorer restorer;
    struct spoken *spoken; /* spoken.c; NULL: a local answer is plain text, or it is not from here. */
};

struct request {
    struct request *next, **link;
    struct service *service;
    struct snapshot *snapshot;
    struct reply *reply;          /* NULL: the client has left, or was answered. */
    struct arena arena;
    enum request_state state;
    int n_pins;
    bool gone;                    /* The client left while a worker had the request. */
    bool dry_run;                 /* POST /v1/route: explains, records nothing, sends nothing. */
    const char *endpoint;
    char decision_id[37];
    char request_id[129];
    int64_t started_us, deadline_us;
    /* Who asks. */
    bool has_key;
    struct key_info key;
    /* What is asked. */
    struct api_request api;
    struct api_error error;
    struct name name;
    struct local_model *chat;     /* What would answer here: the service's own, or one taken from the pool; NULL: none. */
    int other;                    /* Its index in the pool, -1: the service's own. */
    /* PREPARE's results. */
    uv_work_t work;
    struct policy_field *fields;
    size_t n_fields;
    struct verdict *verdict;
    struct goals_view view;       /* What it sees of its tenant's labels, from here on: */
    struct score_limits limits;   /* Of the thresholds that the score will be compared with. */
    struct score score;
    bool scored;
    float p_question;             /* score.p_local before any probe. */
    float probe;                  /* NAN: the answering model was not asked. */
    struct session *probe_session;
    int64_t probe_started_us;
    bool conversing;              /* A turn of a conversation under auto: `conversation` is set. */
    struct conversation_keys conversation;
    /* The cache: set by PREPARE, but for the first three, which are the caller's wish and the moment of its coming. */
    bool cache_no_look, cache_no_keep;
    uint64_t cache_epoch;
    bool looked;                  /* The scan and the look-up are done. */
    bool cacheable;               /* It has a key: `question` is set. */
    struct cache_question question;
    enum cache_hit cached;
    float likeness;
    struct cached_answer cached_answer; /* Unless CACHE_NONE. */
    str citations;                 /* Of a choice that is finished, as answer_message.annotations. */
    struct knowledge_found *known; /* Passages of the documents for it; NULL: none were searched. */
    struct ids *prompts;          /* One for each text (chat: one). */
    size_t n_prompts;
    struct chat_begun begun;      /* What a chat's prompt has begun of the answer. */
    enum local_state local;
    char local_detail[DECIDE_NAME_BYTES];
    struct error prepare_error;   /* Of the local side; the remote side closes by itself. */
    struct redaction *redaction;
    json_t *redacted_body;        /* Owned. */
    int64_t policy_us, score_us, decide_us;
    /* DECIDE's. */
    struct decide_inputs *inputs;
    struct decision decision;
    int64_t reserved_nusd;
    bool reserved, recorded;
    struct shadow_job *shadow;    /* It was drawn for a sample (shadowing.h); NULL: it was not. */
    int64_t committed_nusd;       /* Of the tenant's month (goals/goals.h). */
    /* The answer. */
    struct relay *relay;
    int n_attempts;               /* Made so far, by relays that have ended. */
    struct cascade *cascade;      /* Of an answer that is or was held back; NULL: none. */
    struct choice *choices;
    int n_choices;
    struct answer_head head;
    struct buffer out;
    bool streaming;               /* The head of a streamed answer is out. */
    bool paused;
    struct answer_usage usage;
    bool usage_known;
    int64_t cost_nusd;
    int64_t first_token_us;
    char route[256];              /* What answers, as outcome.route. */
    int seams;
    struct error compute_error;
    struct restorer *call_restorers; /* Of tool-call arguments; one for each (choice, call). */
    int *call_keys;
    int n_call_restorers;
    bool calls_sent;              /* A remote stream has called tools: nobody else can carry it on. */
};

/* Opens a request for an endpoint and runs it as far as it goes at once. */
void request_open(struct service *service, struct reply *reply, enum api_kind kind, const char *endpoint, bool dry_run);
/* The only way from state to state. */
void request_enter(struct request *request, enum request_state state);
/* Answers with an error object (or ends a begun stream with an error event) and ends. result: outcome.result. */
void request_fail(struct request *request, const struct api_error *error, const char *result);
/* Ends it: cancels what runs, writes the outcome row, settles, observes. status: the HTTP status given, or LEDGER_NULL. */
void request_end(struct request *request, const char *result, int64_t status, const char *finish_reason, const char *error_code);
void request_unpin(struct request *request);
const char *request_state_name(enum request_state state);
/* The answer's head: x-request-id and x-weir-*. cost_known: x-weir-cost-usd is given. */
void request_headers(struct request *request, bool cost_known);
/* A bearer to its key: 0 (with *found), or WEIR_E_INVALID with the 401 in error. */
int request_authenticate(struct service *service, const struct snapshot *snapshot, const struct http_request *http, struct key_info *key,
                         bool *found, struct api_error *error) WEIR_CHECKED;
/* x-request-id as sent, when it is harmless, else a new one. */
void request_id_take(const struct http_request *http, char out[129]);

/* fields.c: every text of a body that could leave, and the same body with those texts redacted. */
int body_fields_collect(const json_t *body, struct arena *arena, struct policy_field **out, size_t *n, struct error *err) WEIR_CHECKED;
json_t *body_redact(const json_t *body, struct redaction *redaction, const struct findings *findings, const struct policy_field *fields,
                    size_t n_fields, struct error *err); /* New reference, NULL on failure. */

/* prepare.c: the key of the pseudonyms of who asks. */
void request_tenant_key(const struct request *request, uint8_t out[32]);
/* prepare.c: what may take long: scan, verdict, redaction, score, tokens. Calls request_prepared when done. */
void request_prepare(struct request *request);
/* choose.c: decide, reserve, record. */
void request_prepared(struct request *request);
/* After the inputs are complete. */
void request_decide(struct request *request);
/* Reserves the worst case of the decision's targets, where a key pays. False: there is no money. */
bool request_reserve(struct request *request);
/* New reference: the decision with everything it came from, as the ledger holds it. */
json_t *request_explain(const struct request *request);

/* local.c, remote.c, embed.c: the three ways of answering. choose.c decides which; request_answer_here takes the local one. */
void request_answer_here(struct request *request);
void request_answer_local(struct request *request);
/* Carries on with what a remote answer left off (relay_text of each choice). */
void request_finish_locally(struct request *request);
void local_pump(struct request *request);
/* How an answer to it is drawn here. */
void local_sampling(const struct request *request, struct sampling *out);
void local_cancel(struct request *request);
void request_answer_remote(struct request *request);
void remote_cancel(struct request *request);
void request_embed(struct request *request); /* Embeddings and reranking. */
/* rerank.c: on a worker. */
int rerank_compute(struct request *request, struct error *err);

/* spoken.c: reasoning and tool calls of a local chat answer told apart. Readers for all choices, where the model's answers have parts.
 * resumed: goes on with text that was sent before. */
int spoken_open(struct request *request, bool resumed) WEIR_CHECKED;
void spoken_close(struct choice *choice);
/* Text and the tokens it is made of: into the stream, or the choice. */
int spoken_push(struct request *request, int index, str text, const int32_t *tokens, int n_tokens) WEIR_CHECKED;
/* whole: the answer has ended by itself. */
int spoken_finish(struct request *request, int index, bool whole) WEIR_CHECKED;
/* The choice's whole message. */
struct answer_message spoken_message(const struct choice *choice);
bool spoken_has_calls(const struct choice *choice);
bool spoken_is_done(const struct choice *choice); /* All calls that were wanted are there. */
/* Has the prompt opened reasoning? *closing: text that closes it. */
bool spoken_opened_reasoning(const struct request *request, struct buffer *closing);

/* echo.c: log-probabilities of the prompts of a completion that echoes them, on a worker; then local_begin. */
void request_echo(struct request *request);
void local_begin(struct request *request);

/* stream.c: choices, and bytes of a streamed answer to the client. */
int choices_open(struct request *request, int n);
void stream_begin(struct request *request);
void stream_roles(struct request *request);
/* Sends what is in request->out. False: the client is slow: stop producing until `writable`. */
bool stream_flush(struct request *request);
/* Usage where it was asked for, the end mark, the outcome. */
void stream_finish(struct request *request, const char *finish_reason);

#endif
