/* Shadow samples: a random share of what `auto` answers is put beside the answer that it did not take, and a judge says which is better: of what
 * stayed beside the remote target's, of what left (classifier.shadow.left_share) beside the local model's. That is what max_regret promises
 * something about, and bandit feedback never shows it. Private to request/.
 *
 * A sample is begun when the caller's answer has gone out whole, so its caller waits for nothing. The answered request is held until
 * it is over; at most SHADOW_MAX_JOBS of each side are, what comes beyond that is given up, and so is everything at a drain or a reload.
 * The local model answers in the background (shadow_local.c): while nobody asks it, or is about to.
 *
 * Nothing about it is outside the gate: the question leaves under the request's own verdict and in its redacted form, what the judge
 * reads (conversation, local answer, remote answer) is a text of its own that is scanned, judged by the policy and redacted on a
 * worker; each send mints a clearance, passes the breaker and leaves an attempt's row; the plan's row is durable before the first of
 * them; the month's budget is reserved for all of them before, and settled after. No text is written anywhere. Loop thread.
 *
 * Whether a query is drawn, and whether there is money and room for a sample at all, is settled when it has been decided and before anything is known
 * of its answers, by a rule that asks for nothing that differs between the two sides; what is drawn and then lost for a reason of Weir's own is
 * told as lost (ledger/shadowed.h). So the labels are a random sample of all queries, with known chances. */
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

/* shadow_drawing.c: the decision's row is accepted. Throws the coin for what can be sampled at all (README) and sets request->shadow. */
void shadowing_consider(struct request *request);
/* The whole answer of a provider to a request that may be sampled. */
void shadowing_take_answer(struct request *request, const json_t *answer);
/* A recorded request has ended: begins the sample, where it is one and its answer is whole, and lets go of request->shadow. */
void shadowing_begin(struct request *request, const char *result, int64_t status, const char *finish_reason);

/* shadow_local.c: something is new in a session; time has passed; the number of requests that want the machine now is another one. */
void shadowing_pump(struct service *service);
void shadowing_tick(struct service *service);
void shadowing_yield(struct service *service);

/* Answered requests that samples hold: they are no load of callers. */
int shadowing_running(const struct service *service);
struct shadowing_stats {
    int n_running, n_waiting_local; /* Of these: waiting for the local model. */
    int64_t month_nusd, budget_nusd; /* budget 0: off. */
};
struct shadowing_stats shadowing_stats(const struct service *service);

#endif
