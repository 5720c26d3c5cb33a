/* What the ledger's file knows of the past that targets stand on. Reads only, over a connection of its own: at start and reload. Only rows
 * that are in the file are seen: ledger_settle first. */
#ifndef WEIR_LEDGER_HISTORY_H
#define WEIR_LEDGER_HISTORY_H

#include "ledger/reader.h"
#include "ledger/shadowed.h"

/* How far back decisions are read: so many rows of the tree. */
enum { HISTORY_ROWS = 100000 };

/* A decision of `auto` under a target that is not max_regret; or, `late`, the outcome of one that was to stay and left after all. */
struct history_decision {
    const char *tenant;   /* "": callers without a key. */
    int64_t time_ns;
    bool late, left;
    bool weighed;         /* By the target's threshold. */
    double gain;
    const json_t *goal;   /* decide/goal.h; NULL of a late one. */
};
typedef int history_decision_fn(void *user, const struct history_decision *decision);
/* The newest HISTORY_ROWS rows' decisions, in the order of the tree. A negative status of fn ends it and is returned, as below. */
int history_decisions(const char *path, history_decision_fn *fn, void *user, struct error *err) WEIR_CHECKED;

/* What each tenant's requests have cost since a time. An unknown cost counts as what was reserved, or the first target's worst case. */
typedef int history_spent_fn(void *user, const char *tenant, int64_t spent_nusd);
int history_spent(const char *path, int64_t since_ns, history_spent_fn *fn, void *user, struct error *err) WEIR_CHECKED;

/* Rows of `threshold` that are in force, in their order. */
struct history_threshold {
    const char *tenant;   /* "": callers without a key. */
    int64_t leaf_index;
    bool refuted;
    int64_t max_regret_ppm, new_ppm, n_labels;
};
typedef int history_threshold_fn(void *user, const struct history_threshold *threshold);
int history_thresholds(const char *path, const struct ledger_scope *scope, history_threshold_fn *fn, void *user, struct error *err) WEIR_CHECKED;

/* Ratings of local answers to `auto` under the target max_regret, and samples that were judged or lost, as far as they are in force, in the order
 * of the tree: ratings by their rows, samples by those of their plans. */
struct history_label {
    int64_t leaf_index;
    const char *tenant;   /* "": callers without a key. */
    const char *decision_id;
    const char *inputs;   /* JSON of the decision's. */
    bool worse;           /* Rated down, or found worse than the remote's. */
    bool lost;            /* Nobody knows: shadowed_is_lost. */
    int64_t probability_ppm; /* Of being sampled, and of one on the other side of the threshold; 0 and 0: a rating. */
    int64_t other_ppm;
};
typedef int history_label_fn(void *user, const struct history_label *label);
int history_labels(const char *path, const struct ledger_scope *scope, history_label_fn *fn, void *user, struct error *err) WEIR_CHECKED;

#endif
