/* POST /v1/feedback: a rating of a decision's answer, and what ratings and shadow samples say of max_regret.
 *
 *   {"decision_id": "…", "rating": "up" | "down" | -1 … 1, "correct": true | false}
 *
 * Only the tenant that asked may rate (callers without a key: what was asked without one); anything else is 404, so that ids cannot
 * be tried out. A rating is answered with 200 when its row is durable. No text is taken: unknown fields are an error.
 * Loop thread only; the ledger's file is read on a worker, one rating after another, so that each knows the one it replaces. */
#ifndef WEIR_REQUEST_FEEDBACK_H
#define WEIR_REQUEST_FEEDBACK_H

#include "request/request.h"

/* After the ledger and the head are open: the tests of each tenant from the ratings and shadow samples in the ledger, for the configuration and head as
 * they are. */
int feedback_open(struct service *service, struct error *err) WEIR_CHECKED;
void feedback_close(struct service *service);
/* The configuration was read again: ratings of decisions made under another one no longer count. Reads the ledger. */
void feedback_reload(struct service *service);
/* A shadow sample was judged (request/shadowing.h). recorded: 0, its row is durable; negative: it waits in memory. */
struct shadow_verdict {
    const char *tenant;        /* NULL: callers without a key. */
    const char *config_sha256; /* Of the decision. */
    const char *head_id;
    double max_regret;
    bool remote_better;
};
void feedback_shadowed(struct service *service, const struct shadow_verdict *verdict, int recorded);
/* Decide's input: is the tenant's drift alarm raised, by ratings or by shadow samples? tenant NULL: callers without a key. */
bool feedback_drift(const struct service *service, const char *tenant);
void feedback_post(struct service *service, struct reply *reply, const char *path);

#endif
