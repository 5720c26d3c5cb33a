/* Goals: what each tenant's `auto` aims at (config: classifier, tenants), and the state by which it gets there: a share's credit and recent
 * gains (share.h), a month's money (pace.h), labels of local answers and the threshold they support (evidence.h).
 *
 * A decision's row holds what it was given of all this, so that decide() can be replayed and a start can go on from the ledger: credit,
 * recent gains and rates from the newest decisions, the month's money from the outcomes, thresholds and labels from their own rows.
 *
 * Bounded: GOALS_MAX_TENANTS tenants, of whom GOALS_MAX_LABELLED have labels. A tenant beyond the first has no credit and no money, so
 * what can stay stays; labels beyond the second are not taken.
 * One thread. */
#ifndef WEIR_GOALS_GOALS_H
#define WEIR_GOALS_GOALS_H

#include "decide/decide.h"
#include "goals/evidence.h"
#include "ledger/reader.h"

enum { GOALS_MAX_TENANTS = 10000, GOALS_MAX_LABELLED = 1000, GOALS_MAX_SHOWN = 64 };

struct goals;

struct goals *goals_new(void); /* NULL: no memory. */
void goals_free(struct goals *goals);

/* What all calls are about; borrowed for the call. */
struct goals_context {
    const struct config *config;
    const struct head *head;  /* NULL: none. */
    struct ledger *ledger;    /* Where moved thresholds are written; NULL: nowhere. */
    const struct ledger_scope *scope; /* Which labels are in force; NULL: those under this configuration and head. */
    int64_t wall_ns;
};

/* At start, and after a reload: takes over from the ledger's file what is not known yet. Labels that are not in force any more (context->scope; of
 * another target) are forgotten, which the log tells with the reason, and those of the ledger are taken, which move nothing. After an error nothing that can stay leaves under a share or a budget, until
 * the file has been read. */
int goals_read(struct goals *goals, const struct goals_context *context, const char *ledger_path, struct error *err) WEIR_CHECKED;

/* What labels have made of a tenant's threshold, at one moment. A query keeps the one that it was scored for, so that a label that moves the
 * threshold meanwhile cannot put it where a cheap tier's gain was never meant to be compared. */
struct goals_view {
    bool moved;
    double threshold;
    int64_t n_labels;
};
struct goals_view goals_view(const struct goals *goals, const char *tenant);

/* A request about to be decided; tenant NULL: a caller without a key. */
struct goals_query {
    const char *tenant;
    bool regret_named;
    const struct goals_view *view; /* NULL: as it is now. */
    int64_t prompt_tokens;    /* Counted or guessed. */
    int64_t max_tokens;       /* Of the answer; negative: not limited. */
};
/* Between which thresholds decide() will compare the query's gain, known before it is scored; any, under a share or a budget. max_regret:
 * the named one. */
struct score_limits goals_limits(const struct goals *goals, const struct goals_context *context, const struct goals_query *query, double max_regret);
/* Fills inputs->goal, and of a max_regret that the request does not name also inputs->max_regret with its promise. After
 * decide_inputs_fill. */
void goals_fill(struct goals *goals, const struct goals_context *context, const struct goals_query *query, struct decide_inputs *inputs);
/* The decision is taken and its row accepted. Returns the worst case that is committed to it: for goals_end. */
int64_t goals_decided(struct goals *goals, const struct goals_context *context, const char *tenant, const struct decide_inputs *inputs,
                      const struct decision *decision);
/* Such a request has ended. */
struct goals_end {
    const char *tenant;
    int64_t committed_nusd;
    int64_t cost_nusd;         /* Negative: unknown. */
    int64_t completion_tokens; /* Negative: unknown. */
    bool left_late;            /* auto was to stay, and a remote one has answered. */
};
void goals_end(struct goals *goals, const struct goals_context *context, const struct goals_end *end);

/* A local answer of `auto` under the tenant's max_regret was labelled: by a rating, or by a sample put beside the remote's answer. */
struct goals_label {
    const char *tenant;        /* NULL or "": callers without a key. */
    const char *decision_id;   /* A later label of it takes the earlier one's place. */
    double max_regret;         /* Of the decision; labels for another one than the tenant's are left out. */
    double gain;               /* As recorded in the decision. */
    double reach;              /* threshold of the struct decision; EVIDENCE_ALL for samples that take queries which left as well. */
    double regret;             /* 0 … 1; 1: the local answer was worse. */
    bool lost;                 /* Nobody knows, and it may be anything (evidence.h). */
    double probability;        /* Of being labelled, and … */
    double least_probability;  /* … the least one that any query has. Ratings, and samples at one rate: 1 and 1. */
};
/* Fills reach, probability and least_probability: of a sample drawn with a chance of so many millionths, where one on the other side of the
 * threshold has the other chance (0: none); or of a rating, both 0. threshold: of the decision. */
void goals_label_drawn(struct goals_label *label, int64_t probability_ppm, int64_t other_ppm, double threshold);
/* Takes the label and moves the threshold where the labels support another: an enum evidence_move; a moved one is written to the ledger and
 * the log. WEIR_E_LIMIT, WEIR_E_MEMORY: it was not taken. */
int goals_label(struct goals *goals, const struct goals_context *context, const struct goals_label *label) WEIR_CHECKED;
/* Takes back a label of a sample that was to come (lost) and whose answers nobody compares. */
void goals_unlabel(struct goals *goals, const char *tenant, const char *decision_id);
/* Gauges of the first GOALS_MAX_SHOWN tenants, as Prometheus text. */
void goals_write_metrics(const struct goals *goals, const struct config *config, struct buffer *out);

#endif
