/* Aiming: the tenant's target (goals/goals.h) in a request's life. Loop thread only. */
#ifndef WEIR_REQUEST_AIMING_H
#define WEIR_REQUEST_AIMING_H

#include "goals/goals.h"
#include "request/request.h"

struct rated;

/* After ledger and head are open, before drifting_open. */
int aiming_open(struct service *service, struct error *err) WEIR_CHECKED;
void aiming_close(struct service *service);
/* The configuration, or the ledger, is read again. */
void aiming_reload(struct service *service);

/* Sets request->limits, before it is scored. */
void aiming_limit(struct request *request);
/* prompt_tokens: counted or guessed; max_tokens: of the answer, negative: not limited. After decide_inputs_fill. */
void aiming_fill(struct request *request, int64_t prompt_tokens, int64_t max_tokens);
/* The decision's row is accepted. */
void aiming_decided(struct request *request);
/* The request ends; request->route and cost_nusd are final. */
void aiming_end(struct request *request);

/* A rating whose row is durable is a label, where it is one of a local answer that a gain decided. */
void aiming_rated(struct service *service, const struct rated *rated);
/* The local answer to a query that `inputs` decided was put beside the remote's, or was to be, and the row of it is durable. */
struct aiming_sample {
    const char *tenant, *decision_id; /* tenant NULL or "": callers without a key. */
    const struct decide_inputs *inputs;
    bool worse, lost;                 /* The local answer was; nobody knows. */
    int64_t probability_ppm, other_ppm; /* Of being drawn, and of one on the other side of the threshold (0: none is). */
};
void aiming_sampled(struct service *service, const struct aiming_sample *sample);
/* One that was told as lost, while it was to come, has no label. */
void aiming_unsampled(struct service *service, const char *tenant, const char *decision_id);

#endif
