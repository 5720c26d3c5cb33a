/* What the ledger's file knows about shadow samples. Reads only, over a connection of its own: at start, and on the loop where a reload
 * makes the tests begin anew. Only rows that are in the file are seen. */
#ifndef WEIR_LEDGER_SHADOWED_H
#define WEIR_LEDGER_SHADOWED_H

#include "ledger/reader.h"

struct shadowed {
    char tenant[64];     /* "": nobody with a key. */
    char config_sha256[65]; /* Of the decision, as: */
    double max_regret;
    double gain;         /* As it was scored; NAN: it was not. */
    double probability;  /* Of being sampled. */
    bool remote_better;
};

/* Each sample of what stayed that was judged, as far as it is in force, under the target max_regret, in the order in which they were written. A
 * negative status of fn ends it and is returned. */
typedef int shadowed_fn(void *user, const struct shadowed *shadowed);
int shadowed_each(const char *path, const struct ledger_scope *scope, shadowed_fn *fn, void *user, struct error *err) WEIR_CHECKED;
/* What the samples of wall_ns' month (UTC) have cost; one of unknown cost counts what was reserved for it. */
int shadowed_month_nusd(const char *path, int64_t wall_ns, int64_t *out, struct error *err) WEIR_CHECKED;

/* Reasons of samples that were drawn and given up by Weir itself: whether they would have been is not independent of what they would have shown (a
 * long answer is cut off sooner), so they count as the worst that they could be. Other unjudged ones are of a pair of answers that has no
 * judgement, or of an hour in which nobody was asked. */
#define SHADOWED_LOST "'busy', 'late', 'draining', 'reloaded', 'interrupted', 'local_failed', 'memory'"
bool shadowed_is_lost(const char *reason);

#endif
