/* The relay's two halves: relay.c decides what is tried next, relay_answer.c reads what one attempt brings. */
#ifndef WEIR_UPSTREAM_RELAY_INTERNAL_H
#define WEIR_UPSTREAM_RELAY_INTERNAL_H

#include "upstream/dialect_openai.h"
#include "upstream/sse.h"

enum {
    RELAY_MAX_CHOICES = 128,
    RELAY_EVENT_BYTES = 4 << 20,   /* One event of a stream. */
    RELAY_ANSWER_BYTES = 64 << 20, /* A whole answer. */
    RELAY_ERROR_BYTES = 256 << 10, /* An error's body. */
    RELAY_TEXT_BYTES = 8 << 20,    /* Text of one choice kept for carrying on. */
    RELAY_BODY_BYTES = 256 << 20,
    RELAY_MAX_ATTEMPTS = 200,
};

/* How an attempt begins. */
enum attempt_mode { ATTEMPT_FIRST, ATTEMPT_PREFIX, ATTEMPT_AFRESH };

struct choice {
    struct buffer text;  /* Sent so far. */
    size_t matched;      /* AFRESH: of text, found again. */
    bool seen, finished; /* In this attempt. */
};

/* What an attempt came to. */
enum attempt_end {
    END_GOOD,
    END_EXCHANGE,  /* The exchange failed: exchange_result.failure. */
    END_STATUS,    /* An HTTP status that is no answer: refusal. */
    END_ERROR_BODY, /* 200, and an error in it. */
    END_BAD_JSON,  /* 200, and nothing that can be read. */
    END_CUT,       /* A stream without its end. */
    END_DIVERGED,  /* Asked afresh, and another answer began. */
    END_DENIED,    /* No clearance. */
    END_BUSY,      /* No connection free there, or its breaker is open. */
};

struct relay {
    struct relay_options options;
    struct relay_target *targets;
    char decision_id[64], tenant[64];
    uv_timer_t timer;          /* The wait before a retry, and the start. */
    struct exchange *exchange; /* Running, or NULL. */
    int target;                /* Index into targets. */
    int tries;                 /* At this target. */
    int n_attempts;
    enum attempt_mode mode;
    int n_wanted;              /* Choices asked for. */
    bool paused, ended, freed, announced;
    struct {                   /* What to tell the caller when no target is left: of the last failure. */
        int status;
        const char *code, *message;
        int64_t retry_after_us;
    } last;
    bool seam;                 /* The next attempt carries a broken stream on. */
    bool attempt_sent;         /* The attempt gave the owner something. */
    bool tools_sent, any_sent; /* Something that cannot be said twice; anything at all. */
    int64_t target_begun_us;

    /* The attempt. */
    struct sse_parser sse;
    struct buffer body;        /* An answer or error that is no stream. */
    bool streaming, body_is_error, done_seen;
    int status;
    int64_t retry_after_us, attempt_begun_us, attempt_begun_ns;
    int64_t n_bad_events;
    bool usage_known;
    struct token_usage usage;
    char body_sha256[2 * SHA256_BYTES + 1];
    size_t n_body;
    struct exchange_result result; /* total_us -1: the exchange did not report. */

    struct choice *choices;    /* RELAY_MAX_CHOICES, made when the first is needed. */
    int n_choices;

    struct token_usage total;
    bool total_known;
    int64_t cost_nusd;         /* MONEY_UNKNOWN once one part is. */
};

extern const struct exchange_callbacks relay_callbacks; /* relay_answer.c */
/* Gives the owner an event. False: the owner freed the relay; touch nothing more but return. */
bool relay_emit(struct relay *relay, struct relay_event *event);
/* The attempt is over (its exchange gone or to be dropped): books it and takes the next step. */
void relay_attempt_end(struct relay *relay, enum attempt_end end, enum exchange_failure failure, const json_t *error);
void relay_attempt_reset(struct relay *relay);

#endif
