/* Scoring: what the classifier expects of the local and of a remote answer. Without a head nothing is scored, and no score
 * keeps the query here (decide(): closed on failure). */
#include "request/scoring.h"

int scoring_open(struct service *service, struct error *err)
{
    (void)err;
    if (service->snapshot->config->head_path != NULL)
        log_event(LOG_WARN, "not_scored", "this build has no classifier: `auto` stays with the local model");
    return 0;
}

void scoring_close(struct service *service)
{
    (void)service;
}

bool scoring_wanted(const struct request *request)
{
    (void)request;
    return false;
}

void scoring_run(struct request *request)
{
    request->scored = false;
}

const char *scoring_head(const struct request *request)
{
    (void)request;
    return NULL;
}

json_t *scoring_json(const struct request *request)
{
    (void)request;
    return json_null();
}
