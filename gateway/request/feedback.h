/* POST /v1/feedback: a rating of a decision's answer.
 *
 *   {"decision_id": "…", "rating": "up" | "down" | -1 … 1, "correct": true | false}
 *
 * Only the tenant that asked may rate (callers without a key: what was asked without one); anything else is 404, so that ids cannot
 * be tried out. A rating is answered with 200 when its row is durable. No text is taken: unknown fields are an error.
 * Loop thread only; the ledger's file is read on a worker, one rating after another, so that each knows the one it replaces. */
#ifndef WEIR_REQUEST_FEEDBACK_H
#define WEIR_REQUEST_FEEDBACK_H

#include "request/request.h"

int feedback_open(struct service *service, struct error *err) WEIR_CHECKED;
void feedback_close(struct service *service);
void feedback_post(struct service *service, struct reply *reply, const char *path);

#endif
