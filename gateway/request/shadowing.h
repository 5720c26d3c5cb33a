/* Shadow samples: a random share of the local answers to `auto` is put beside the answer that the remote target `auto` would have taken
 * gives to the same question, and a judge says which is better. That is what max_regret promises something about, and bandit feedback
 * never shows it. Private to request/.
 *
 * A sample is begun when the local answer has gone out whole, so its caller waits for nothing. The answered request is held until
 * it is over; at most SHADOW_MAX_JOBS are, what comes beyond that is given up, and so is everything at a drain or a reload.
 *
 * Nothing about it is outside the gate: the question leaves under the request's own verdict and in its redacted form, what the judge
 * reads (conversation, local answer, remote answer) is a text of its own that is scanned, judged by the policy and redacted on a
 * worker; each send mints a clearance, passes the breaker and leaves an attempt's row; the plan's row is durable before the first of
 * them; the month's budget is reserved for all of them before, and settled after. No text is written anywhere. Loop thread. */
#ifndef WEIR_REQUEST_SHADOWING_H
#define WEIR_REQUEST_SHADOWING_H

#include "request/request.h"

enum { SHADOW_MAX_JOBS = 8 };

/* After the ledger is open: what this month's samples have cost is read from it. */
int shadowing_open(struct service *service, struct error *err) WEIR_CHECKED;
void shadowing_close(struct service *service);
/* A new configuration or pack is in force: nothing more leaves under the old one. */
void shadowing_reload(struct service *service);
/* Gives up what runs; reason: a constant word for the rows. */
void shadowing_stop(struct service *service, const char *reason);

/* When a local answer was decided: is it sampled? Throws the coin for what can be sampled at all (README) and sets request->shadow_ppm. */
void shadowing_consider(struct request *request);
/* A recorded request has ended: begins the sample, where it is one and its answer is whole. */
void shadowing_begin(struct request *request, const char *result, int64_t status, const char *finish_reason);

/* Answered requests that samples hold: they are no load of callers. */
int shadowing_running(const struct service *service);
struct shadowing_stats {
    int n_running;
    int64_t month_nusd, budget_nusd; /* budget 0: off. */
};
struct shadowing_stats shadowing_stats(const struct service *service);

#endif
