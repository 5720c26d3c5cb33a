/* What the ledger's file knows about rated decisions. Reads only, over a connection of its own: on a worker, at start, and on the loop
 * only where a reload makes all tests begin anew. Only rows that are in the file are seen: ledger_settle first. */
#ifndef WEIR_LEDGER_RATED_H
#define WEIR_LEDGER_RATED_H

#include "ledger/reader.h"

struct rated {
    char tenant[64];           /* Who asked; "": nobody with a key. */
    char route[256];           /* What answered; while there is no outcome yet: what was decided. */
    char config_sha256[65];    /* Of the decision; "": none. */
    char head_id[129];
    char answers_id[24];
    bool is_auto;              /* Routed under the target max_regret. */
    double max_regret;         /* Of the decision. */
    char decision_id[64];
    bool weighed;              /* The gain decided. */
    double gain, threshold;    /* Of the decision; gains above the threshold left. 0 where no gain decided. */
    bool rated_before;
    bool was_down;             /* That rating. */
    bool down;                 /* rated_each: this one. */
};

/* An answer counts as rated down when its rating is below 0 or it is said not to be correct. */
static inline bool rating_is_down(int64_t rating_ppm, int64_t correct)
{
    return rating_ppm < 0 || correct == 0;
}

/* WEIR_E_NOT_FOUND: no such decision. */
int rated_find(const char *path, const char *decision_id, struct rated *out, struct error *err) WEIR_CHECKED;
/* Each rating of a local answer to `auto` that is in force, in the order in which they were given. A negative status of fn
 * ends it and is returned. */
typedef int rated_fn(void *user, const struct rated *rated);
int rated_each(const char *path, const struct ledger_scope *scope, rated_fn *fn, void *user, struct error *err) WEIR_CHECKED;

#endif
