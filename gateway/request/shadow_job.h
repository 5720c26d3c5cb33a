/* One shadow sample under way: what shadowing.c (its beginning and end) and shadow_asking.c (what is asked) share.
 *
 *   PLANNED (ledger) → REMOTE (relay) → same? finished : CLEARING (worker) → JUDGE, JUDGE again (relay) → RECORDING (ledger) → gone
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
    struct request *request;  /* Pinned: it has ended. */
    const char *stopped;      /* Not NULL: it is to be given up, for this reason, as soon as nobody else has it. */
    bool waiting;             /* The ledger or a worker has it. */
    bool reserved;
    int64_t reserved_nusd, cost_nusd, probability_ppm;
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

/* shadow_asking.c: from the durable plan on. */
void shadow_ask(struct shadow_job *job);

#endif
