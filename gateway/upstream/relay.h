/* Relay: one question to the remote side, over as many attempts as it takes. Tries the targets in order with the failure
 * rules of the design: one retry at the same provider after 429, 5xx or a reset (Retry-After where it fits the deadline),
 * none after a time-out; a context-length refusal moves on; a content-filter refusal or another 4xx ends; 401 and 403 for
 * Weir's own credentials move on and end as 502. A stream that breaks goes on at the next target with the text sent so far
 * as an assistant prefix; refused, it is asked afresh and the identical beginning skipped. Every attempt mints its own
 * clearance for its own bytes and leaves a row in `attempt`.
 *
 * Loop thread. Callbacks never come from inside relay_start. */
#ifndef WEIR_UPSTREAM_RELAY_H
#define WEIR_UPSTREAM_RELAY_H

#include "ledger/ledger.h"
#include "money/prices.h"
#include "upstream/upstream.h"

struct relay;

enum relay_api { RELAY_CHAT, RELAY_COMPLETIONS, RELAY_EMBEDDINGS };

enum relay_event_kind {
    RELAY_STARTED,   /* The first good answer head of a target is there (once for each that answers): provider is set. */
    RELAY_DELTA,     /* A stream: one choice's change. */
    RELAY_ANSWER,    /* Not a stream: the whole answer object, in json. RELAY_END follows. */
    RELAY_SEAM,      /* The stream broke and is carried on: provider is the next one. Nothing to send. */
    RELAY_END,       /* Complete. usage is set where the provider gave it (usage_known). Last event. */
    RELAY_EXHAUSTED, /* All targets failed in a way another could mend: the local model may answer, or go on from
                        relay_text. failure, status, code and message say what to tell the caller otherwise. Last event. */
    RELAY_REFUSED,   /* A provider's refusal that ends it (content filter, another 4xx): status, error. Last event. */
};

/* Valid during the call. */
struct relay_event {
    enum relay_event_kind kind;
    int provider;             /* Index in the configuration of who answers now. */
    const char *model;        /* Its model name there. */
    int choice;               /* RELAY_DELTA */
    str text;                 /* delta.content, or a completion's text; empty: none in this chunk. */
    const json_t *delta;      /* The choice's delta (chat) for all else: role, tool_calls, refusal. NULL: none. */
    const json_t *logprobs;   /* Raw, NULL: none. */
    const char *finish_reason; /* NULL: not finished. */
    const json_t *json;       /* RELAY_ANSWER: the object. RELAY_DELTA: the whole chunk. RELAY_REFUSED: the provider's
                                 "error" object or NULL. */
    bool usage_known;
    struct token_usage usage; /* RELAY_END: of all attempts that cost something. RELAY_DELTA never. */
    int64_t cost_nusd;        /* RELAY_END and the other last events: so far; MONEY_UNKNOWN. */
    int status;               /* What to tell the caller: 400…, 502, 503, 504. */
    const char *code;         /* "provider_unavailable", "provider_timeout", "context_length_exceeded", … */
    const char *message;      /* Weir's own words, no provider text. */
    int64_t retry_after_us;   /* -1: none. */
};

typedef void relay_event_fn(void *user, const struct relay_event *event);

struct relay_target {
    int provider;
    const char *model;
};

/* Everything is borrowed until the last event or relay_free, except config, which is held. */
struct relay_options {
    struct upstream *upstream;
    const struct config *config;
    const struct prices *prices;     /* NULL: costs are unknown. */
    struct ledger *ledger;           /* NULL: no rows (tests). */
    const char *decision_id;
    enum relay_api api;
    const struct relay_target *targets;
    int n_targets;
    const json_t *body;              /* The request as it may leave (already redacted); model, stream and stream_options
                                        are set for each attempt in a copy. */
    bool stream;
    bool include_usage;              /* The caller asked for the usage chunk: then it is passed on as RELAY_DELTA's json with no choice (choice -1). */
    const struct verdict *verdict;
    bool redacted;
    const struct pack *pack;         /* Scans text sent so far before it goes to another provider. NULL: never resumed with a prefix. */
    const char *tenant;
    int64_t deadline_us;             /* 0: none. */
    int n_before;                    /* Attempts that the decision has rows of already: numbers go on from there. */
    size_t max_answer_bytes;         /* Of an answer that is no stream; 0: 64 MiB. */
    relay_event_fn *event;
    void *user;
};

int relay_start(struct relay **out, const struct relay_options *options, struct error *err) WEIR_CHECKED;
/* Backpressure: after relay_pause at most the events of one piece already read still come. */
void relay_pause(struct relay *relay);
void relay_resume(struct relay *relay);
/* Cancels what runs and frees. May be called from inside the last event, from other events too. No event follows. */
void relay_free(struct relay *relay);
/* Content sent so far of a choice (as the provider wrote it, pseudonyms not turned back). */
str relay_text(const struct relay *relay, int choice);
int relay_attempts(const struct relay *relay);

#endif
