/* One shadow sample, from the coin on: what shadow_drawing.c (which queries), shadowing.c (its beginning and end), shadow_asking.c (the remote and
 * the judge) and shadow_local.c (the local model) share.
 *
 *   DRAWN (the caller's own answer is made) → PLANNED (ledger) → of what stayed: REMOTE (relay), of what left: LOCAL (engine, in the background)
 *   → same? finished : CLEARING (worker) → JUDGE, JUDGE again (relay) → RECORDING (ledger) → gone
 *
 * The loop thread owns it, but in CLEARING, when the worker has it and the loop touches nothing of it but `stopped`. */
#ifndef WEIR_REQUEST_SHADOW_JOB_H
#define WEIR_REQUEST_SHADOW_JOB_H

#include "request/shadowing.h"
#include "shadow/judge.h"
#include "shadow/sample.h"
#include "upstream/relay.h"

/* One call of the judge, cleared. */
struct judge_call {
    json_t *body;            /* As it may leave; owned. */
    struct verdict *verdict; /* In the job's arena. */
    bool redacted;
    enum judge_word word;
};

struct shadow_job {
    struct shadow_job *next, **link;
    struct service *service;
    struct request *request;  /* Whose it is; from PLANNED on pinned: it has ended. */
    bool left;                /* The query did: the remote answer is the caller's, and the local one is to be made. */
    const char *gate;         /* Not NULL: it was drawn, and is given up for this reason, which has nothing to do with the query. */
    const char *stopped;      /* Not NULL: it is to be given up, for this reason, as soon as nobody else has it. */
    bool waiting;             /* The ledger or a worker has it. */
    bool reserved;
    bool expected;            /* A label stands for it that says so. */
    int64_t reserved_nusd, cost_nusd;
    int64_t probability_ppm, other_ppm; /* Of being drawn, and of one on the other side of the threshold. */
    int64_t begun_us, deadline_us;
    struct decide_target remote;
    struct config_target judge;
    struct relay *relay;
    struct relay_target target; /* Of the relay. */
    int n_attempts;
    uv_work_t work;
    struct arena arena;       /* Of the judge's questions. */
    struct buffer local, answer; /* The two answers, as their reader would see them. */
    struct buffer said;       /* What the judge said last. */
    bool good;                /* The relay's answer is a whole text. */
    bool asks_local;          /* LOCAL: it waits for the background, or has it. */
    struct session *session;
    struct answer_reader *reader; /* Of a model whose answers have parts; NULL: plain text. */
    bool local_first;
    struct judge_call calls[2];
    int n_called;
    const char *denied;       /* The worker's: why the judge may not be asked. */
    struct token_usage remote_usage, judge_usage;
    bool remote_usage_known, judge_usage_known;
    int64_t remote_us, judge_us, asked_us;
    enum shadow_outcome outcome; /* RECORDING. */
};

/* shadowing.c: writes the row, settles the money, and lets it go. reason: a constant word. Not while it is `waiting`. */
void shadow_finish(struct shadow_job *job, enum shadow_outcome outcome, const char *reason);
const uint8_t *shadow_key(const struct service *service);

struct shadow_job *shadow_jobs(const struct service *service); /* All from PLANNED on; the youngest first. */
/* Is no more begun, and why? The month's money is reserved then. */
const char *shadow_gate(struct shadow_job *job);
/* Lets go of one that was never begun. */
void shadow_free(struct shadow_job *job);

/* shadow_asking.c: from the durable plan on. */
void shadow_ask(struct shadow_job *job);
/* Both answers are there. */
void shadow_compare(struct shadow_job *job);
/* The text of a whole answer that is nothing but one; *stopped: and that ended by itself. */
bool shadow_read_answer(const json_t *answer, str *text, bool *stopped);
/* The remote's text as its caller gets it, pseudonyms turned back, into job->answer. False: it is too long. */
bool shadow_keep_answer(struct shadow_job *job, str text);

/* shadow_local.c: the same of a query that left. */
void shadow_ask_local(struct shadow_job *job);
/* Ends what it has in the engine, at the job's end. */
void shadow_leave_local(struct shadow_job *job);

#endif
