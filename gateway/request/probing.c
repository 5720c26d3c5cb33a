/* One token of the answering model behind the very prompt that it will answer, and a few words (api/probe.h): the prompt's cache is what
 * the answer then goes on from, so that the words alone are extra. Asked only where the gain is within classifier.probe of the threshold that
 * it would be compared with; what comes out joins the score (tier "probe"), and the decision is made on that. A model that does not
 * answer, or an engine that is full, leaves the score as it was. */
#include "request/probing.h"

#include "api/probe.h"

#include <math.h>

/* Engine thread. */
static void on_engine(void *user)
{
    struct service *service = user;
    uv_async_send(&service->engine_wake);
}

static bool is_unsure(const struct request *request)
{
    double band = request->snapshot->config->probe_band;
    return band > 0 && request->scored && request->local == LOCAL_READY && request->chat != NULL && request->n_prompts == 1 &&
           api_kind_generates(request->api.kind) && head_judges_probe(snapshot_head(request->snapshot)) && decide_is_unsure(request->inputs, band);
}

bool probing_begin(struct request *request)
{
    const struct ids *prompt = &request->prompts[0];
    struct sampling sampling = {.adapter = request->api.sampling.adapter};
    struct ids ids = {0};
    struct error err = {0};
    int status = 0;
    if (!is_unsure(request))
        return false;
    for (size_t i = 0; i < prompt->n && status == 0; i++)
        status = ids_append(&ids, prompt->data[i]);
    if (status == 0)
        status = probe_make(PROBE_QUESTION, request->chat->model, &ids, &sampling, &err);
    if (status == 0)
        status = engine_submit(request->chat->engine, ids.data, ids.n, &sampling, on_engine, request->service, &request->probe_session, &err);
    ids_release(&ids);
    if (status == 0) {
        request->probe_started_us = clock_now_us();
        request_enter(request, REQUEST_PROBE);
    }
    return status == 0;
}

void probing_pump(struct request *request)
{
    struct session_event event;
    while (session_next(request->probe_session, &event) == 1) {
        if (event.kind == SESSION_TOKEN) {
            request->probe = probe_read(&event);
            continue;
        }
        probing_cancel(request);
        request->score_us += clock_now_us() - request->probe_started_us;
        if (!isnan(request->probe)) {
            scorer_score_probe(request->snapshot->classifier->scorer, request->probe, &request->score);
            decide_inputs_score(request->inputs, &request->score, request->probe);
            request->service->n_probed++;
        }
        request_enter(request, REQUEST_DECIDE);
        request_decide(request);
        return;
    }
}

void probing_cancel(struct request *request)
{
    if (request->probe_session != NULL)
        session_free(request->probe_session);
    request->probe_session = NULL;
}

const char *probing_lacks(const struct config *config, const struct head *head)
{
    if (config->probe_band <= 0)
        return NULL;
    if (head == NULL)
        return "classifier.probe: the answering model is not asked: there is no classifier head";
    if (!head_judges_probe(head))
        return "classifier.probe: the answering model is not asked: the classifier's head was trained without probes (`weir generate --train-lines --probe`)";
    return NULL;
}

void probing_open(const struct service *service)
{
    const char *lacks = probing_lacks(service->snapshot->config, snapshot_head(service->snapshot));
    if (lacks != NULL)
        log_event(LOG_WARN, "probe", "%s", lacks);
}
