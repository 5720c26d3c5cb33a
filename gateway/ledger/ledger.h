/* Ledger: the SQLite log of decisions, judgements, attempts, outcomes, feedback and shadow samples (ledger.db in the data folder). One thread and one connection
 * write and checkpoint; appends are queued, never block, and are committed in natural groups: at once when the writer is
 * idle, and what arrives meanwhile (at most 100 rows) is the next group.
 *
 * A row is *accepted* when its append returns 0: from then on the ledger keeps it until it is written. When the disk is
 * full, the database locked or the device failing, accepted rows stay queued and are tried again, and their callbacks get
 * the error at once: a remote route then must not be taken (nothing leaves without a durable row), a local answer may be
 * given, since its rows wait in memory. When the queue is full, ledger_append_decision returns WEIR_E_FULL and the request
 * is refused (503). Outcomes, judgements and attempts of accepted decisions always find room.
 *
 * Never any text of prompts or answers, no keys, no findings' values: types and counts only. */
#ifndef WEIR_LEDGER_LEDGER_H
#define WEIR_LEDGER_LEDGER_H

#include "config/config.h"
#include "money/prices.h"

struct ledger;
struct ledger_port;

struct ledger_options {
    const char *path;                  /* ".../ledger.db"; its folder must exist. */
    enum ledger_durability durability;
    int max_waiting;                   /* Decisions queued [8192]. */
    const char *vfs;                   /* SQLite VFS by name, NULL: the default. For fault tests. */
};

/* Opens or creates the file, takes the lock that keeps a second writing process out (WEIR_E_STATE names it), migrates the
 * schema, writes `interrupted` outcomes for decisions without one, and starts the writer. */
int ledger_open(struct ledger **out, const struct ledger_options *options, struct error *err) WEIR_CHECKED;
/* Writes what is queued (as far as the disk lets it), checkpoints, joins the writer, closes. Ports must be closed. */
void ledger_close(struct ledger *ledger);

/* Where completions arrive: one for each thread that wants callbacks. notify is called from the writer's thread and must
 * only wake the owner (uv_async_send), who then calls ledger_port_poll; callbacks run inside that. */
typedef void ledger_notify_fn(void *user);
struct ledger_port *ledger_port_open(struct ledger *ledger, ledger_notify_fn *notify, void *user); /* NULL: no memory. */
/* Callbacks not yet delivered are dropped; the rows are written all the same. */
void ledger_port_close(struct ledger_port *port);
void ledger_port_poll(struct ledger_port *port);

/* Called once, from ledger_port_poll: status 0: the row is durable as configured; negative: it is not (yet): WEIR_E_FULL
 * (the disk), WEIR_E_STATE (locked), WEIR_E_IO. */
typedef void ledger_done_fn(void *user, int status);

/* An integer that may be unknown: LEDGER_NULL is written as NULL. */
#define LEDGER_NULL INT64_MIN
_Static_assert(LEDGER_NULL == MONEY_UNKNOWN, "an unknown amount is written as NULL");

/* Strings may be NULL and are copied, as the JSON is. */
struct ledger_decision {
    const char *decision_id;   /* uuid_v7. */
    int64_t time_ns;
    const char *request_id;
    const char *tenant;
    const char *key_id;
    const char *endpoint;      /* "/v1/chat/completions" */
    bool stream;
    const char *model;         /* As asked for. */
    const char *route;         /* "local", "remote:<provider>/<model>", "refuse", "cache". */
    const char *provider;      /* Of a remote route. */
    const char *provider_model;
    const char *reasons;       /* JSON array of reason codes. */
    const char *inputs;        /* JSON: decide_inputs_json, so that the decision can be replayed. */
    const char *verdict;       /* JSON: verdict_json. */
    const char *data_class;
    const char *effect;
    const char *pack_sha256;
    const char *head_id;
    const char *config_sha256;
    const char *prices_version;
    int64_t prompt_tokens;     /* Estimate or count before sending; LEDGER_NULL. */
    int64_t reserved_nusd;     /* LEDGER_NULL: nothing was reserved. */
    int64_t policy_us, score_us, decide_us;
    const char *answers_id;    /* Of what would answer, here and there: labels of one such pair speak of no other. NULL: not known. */
};

struct ledger_attempt {
    const char *decision_id;
    int n;                     /* 0, 1, … within the decision. */
    int64_t time_ns;           /* When it began. */
    const char *provider;
    const char *provider_model;
    const char *region;
    const char *body_sha256;   /* Of the bytes cleared and sent. */
    int64_t request_bytes;
    const char *result;        /* "ok", "refused", "timeout_first_byte", …: relay_failure_name. */
    int64_t status;            /* HTTP, LEDGER_NULL: none came. */
    int64_t connect_us, first_byte_us, total_us; /* LEDGER_NULL where it did not get there. */
    int64_t prompt_tokens, cached_tokens, completion_tokens;
    int64_t cost_nusd;         /* LEDGER_NULL: unknown. */
    const char *price_version;
    int64_t bad_events;        /* Skipped. */
    bool resumed;              /* It carried on a stream cut elsewhere. */
};

struct ledger_outcome {
    const char *decision_id;
    int64_t time_ns;
    const char *tenant, *key_id; /* For key_usage. */
    const char *route;         /* What answered in the end. */
    const char *result;        /* "ok", "error", "cancelled", "refused", "interrupted". */
    int64_t status;            /* HTTP status given to the caller; LEDGER_NULL: none. */
    const char *finish_reason;
    const char *error_code;
    int64_t prompt_tokens, cached_tokens, completion_tokens;
    int64_t cost_nusd;         /* LEDGER_NULL: unknown. Local answers: 0. */
    int64_t counterfactual_nusd; /* What the first remote target would have cost; LEDGER_NULL: unknown. */
    int64_t first_token_us, total_us;
    int seams;                 /* Times the stream was carried on elsewhere. */
    const char *price_version;
};

/* What became of a local answer that was held back until it was judged: at most one a decision. */
struct ledger_judgement {
    const char *decision_id;
    int64_t time_ns;
    bool escalated;            /* It was to leave after all. Whether it did, attempts and outcome say. */
    const char *reason;        /* "answer_good", "answer_weak", …: judgement_escalates. */
    const char *inputs;        /* JSON: judgement_json, so that it can be judged again. */
    int64_t reserved_nusd;     /* LEDGER_NULL: nothing was reserved. */
};

/* A rating of a decision's answer. The last one of a decision counts. */
struct ledger_feedback {
    const char *decision_id;
    int64_t time_ns;
    const char *tenant, *key_id; /* Who rated. */
    int64_t rating_ppm;        /* -1,000,000 (down) … 1,000,000 (up). */
    int64_t correct;           /* 1, 0; LEDGER_NULL: not said. */
};

/* A local answer is about to be put beside the remote's: the row that must be durable before its question leaves for that. */
struct ledger_shadow_plan {
    const char *decision_id;
    int64_t time_ns;
    const char *tenant;
    int64_t probability_ppm;   /* Of being sampled. */
    const char *provider, *provider_model;             /* What `auto` would have asked. */
    const char *judge_provider, *judge_provider_model;
    const char *effect;        /* Of the decision's verdict. */
    int64_t reserved_nusd;
    const char *price_version;
    int64_t other_ppm;         /* Of a query on the other side (what left, or what stayed) being sampled; 0: none is. */
};

/* What came of a sample. One with no plan was given up before anything left. */
struct ledger_shadow {
    const char *decision_id;
    int64_t time_ns;
    const char *tenant;
    int64_t probability_ppm;
    const char *outcome;       /* "local_better", "tie", "remote_better", "unjudged". */
    const char *reason;        /* "judge", "same", "judge_disagrees"; of unjudged: why. */
    const char *provider, *provider_model;
    const char *judge_provider, *judge_provider_model;
    int64_t prompt_tokens, completion_tokens;             /* Of the remote answer; LEDGER_NULL: unknown, or not asked. */
    int64_t judge_prompt_tokens, judge_completion_tokens; /* Of all calls of the judge. */
    int64_t judge_calls;
    int64_t reserved_nusd;
    int64_t cost_nusd;         /* Of all that was asked; LEDGER_NULL: unknown, the month is charged reserved_nusd. */
    const char *price_version;
    int64_t remote_us, judge_us, total_us;
    int64_t other_ppm;         /* As the plan's. */
};

/* A tenant's labels have moved the threshold that stands for its max_regret (goals/evidence.h). */
struct ledger_threshold {
    int64_t time_ns;
    const char *tenant;        /* NULL: callers without a key. */
    const char *reason;        /* "supported", "refuted" */
    int64_t max_regret_ppm, old_ppm, new_ppm; /* Millionths; of the gain. */
    int64_t n_labels;          /* That speak of it: of the new one when it is supported, of the old one when it is refuted, … */
    int64_t regret_ppm;        /* … and their mean loss. */
    int64_t confidence_ppm;
    const char *config_sha256, *head_id;
    const char *answers_id;    /* As a decision's, and the judge of the samples behind it (ledger/reader.h); NULL: not known. */
};

/* All thread-safe. port and done may be NULL (no callback). Errors: WEIR_E_FULL, WEIR_E_MEMORY, WEIR_E_STATE (closing);
 * with an error done is not called and nothing was accepted. */
int ledger_append_decision(struct ledger *ledger, const struct ledger_decision *row, struct ledger_port *port,
                           ledger_done_fn *done, void *user) WEIR_CHECKED;
int ledger_append_attempt(struct ledger *ledger, const struct ledger_attempt *row) WEIR_CHECKED;
int ledger_append_outcome(struct ledger *ledger, const struct ledger_outcome *row) WEIR_CHECKED;
int ledger_append_judgement(struct ledger *ledger, const struct ledger_judgement *row, struct ledger_port *port,
                            ledger_done_fn *done, void *user) WEIR_CHECKED;
/* As many wait as decisions do: WEIR_E_FULL. */
int ledger_append_feedback(struct ledger *ledger, const struct ledger_feedback *row, struct ledger_port *port,
                           ledger_done_fn *done, void *user) WEIR_CHECKED;
/* As feedback: they wait for no room that decisions need. */
int ledger_append_shadow_plan(struct ledger *ledger, const struct ledger_shadow_plan *row, struct ledger_port *port,
                              ledger_done_fn *done, void *user) WEIR_CHECKED;
/* Of a plan it finds room as outcomes do. */
int ledger_append_shadow(struct ledger *ledger, const struct ledger_shadow *row, struct ledger_port *port,
                         ledger_done_fn *done, void *user) WEIR_CHECKED;
int ledger_append_threshold(struct ledger *ledger, const struct ledger_threshold *row) WEIR_CHECKED;
/* Waits until the rows accepted before are in the file, or cannot be written now: for a worker that reads them there. */
void ledger_settle(struct ledger *ledger);
/* A row of `pack` and of `price`: what a sha256 or a version in a decision stands for. Known ones are left alone. */
int ledger_append_pack(struct ledger *ledger, const char *sha256, const char *name, const char *version) WEIR_CHECKED;
int ledger_append_prices(struct ledger *ledger, const struct prices *prices) WEIR_CHECKED;

/* Work for the writer's own connection, in its thread, inside a transaction of its own; db is a sqlite3 *. Waits for the
 * result: for start-up and the admin socket, never for a request. fn's status is returned. */
typedef int ledger_job_fn(void *db, void *user, struct error *err);
int ledger_run(struct ledger *ledger, ledger_job_fn *fn, void *user, struct error *err) WEIR_CHECKED;

struct ledger_stats {
    int64_t n_rows;        /* Written since start. */
    int64_t n_groups;      /* Commits. */
    int64_t n_failures;    /* Commits that failed. */
    int64_t waiting;       /* Queued now. */
    int status;            /* 0, or why rows cannot be written now. */
    int64_t last_commit_us; /* Time of the last commit. */
};
void ledger_stats(struct ledger *ledger, struct ledger_stats *out); /* Thread-safe. */

#endif
