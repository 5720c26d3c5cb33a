/* The local model's answer to a query that left, in the background: the engine computes it only while no other session is there, and it rests while any
 * caller's request is being prepared or answered on this machine (what waits for its provider wants the loop alone). One at a time; the others
 * wait in the order in which they came, LONGEST_WAIT_US at most, and are lost then ("late").
 *
 * Invariant: no request ever waits for it but for the rest of a layer of the model. */
#include "request/shadow_job.h"

#include "ledger/shadowed.h"

static const int64_t LONGEST_WAIT_US = 600LL * 1000 * 1000;

/* Engine thread. */
static void on_engine(void *user)
{
    struct service *service = user;
    uv_async_send(&service->engine_wake);
}

static void on_part(void *user, enum answer_part part, str text)
{
    struct shadow_job *job = user;
    if (part == ANSWER_CONTENT)
        (void)buffer_append_str(&job->local, text); /* Too long: the buffer says so at the end. */
}

static int take_text(struct shadow_job *job, str text)
{
    return job->reader != NULL ? answer_reader_push(job->reader, text) : buffer_append_str(&job->local, text);
}

static bool submit(struct shadow_job *job)
{
    struct request *request = job->request;
    struct service *service = job->service;
    const struct ids *prompt = &request->prompts[0];
    const struct answer_format *format = model_answer_format_peek(service->chat.model);
    struct sampling sampling;
    struct error err = {0};
    local_sampling(request, &sampling);
    sampling.background = true;
    int status = 0;
    if (answer_format_has_reasoning(format))
        status = answer_reader_new(&job->reader, format, &(struct answer_reading){.part = on_part, .user = job});
    if (status == 0 && job->reader != NULL)
        status = answer_reader_push(job->reader, buffer_str(&request->begun.text));
    job->asked_us = clock_now_us();
    if (status == 0)
        status = engine_submit(service->chat.engine, prompt->data, prompt->n, &sampling, on_engine, service, &job->session, &err);
    if (status < 0)
        log_event(LOG_WARN, "shadow_local", "%s: %s", request->decision_id, err.text);
    return status == 0;
}

/* The oldest that waits is next, where none is being answered. */
static void begin_next(struct service *service)
{
    struct shadow_job *oldest = NULL;
    for (struct shadow_job *job = shadow_jobs(service); job != NULL; job = job->next) {
        if (job->session != NULL)
            return;
        if (job->asks_local && !job->waiting)
            oldest = job;
    }
    if (oldest == NULL)
        return;
    shadowing_yield(service);
    if (submit(oldest))
        shadowing_yield(service);
    else
        shadow_finish(oldest, SHADOW_UNJUDGED, "local_failed");
}

void shadow_ask_local(struct shadow_job *job)
{
    job->asks_local = true;
    job->deadline_us = clock_now_us() + LONGEST_WAIT_US;
    begin_next(job->service);
}

void shadow_leave_local(struct shadow_job *job)
{
    session_free(job->session);
    answer_reader_free(job->reader);
    job->session = NULL;
    job->reader = NULL;
    job->asks_local = false;
}

static void on_session_end(struct shadow_job *job, const struct session_event *event)
{
    struct service *service = job->service;
    bool whole = event->reason == FINISH_STOP && event->usage.dropped_tokens == 0 && (job->reader == NULL || answer_reader_finish(job->reader) == 0);
    bool failed = event->reason == FINISH_ERROR || event->reason == FINISH_CANCELLED;
    metrics_shadow_local(service->metrics, event->usage.completion_tokens);
    shadow_leave_local(job);
    if (failed)
        shadow_finish(job, SHADOW_UNJUDGED, "local_failed");
    else if (!whole || job->local.failed)
        shadow_finish(job, SHADOW_UNJUDGED, "local_unfit"); /* As an answer that stays and is cut off: there is nothing to compare. */
    else
        shadow_compare(job);
    begin_next(service);
}

void shadowing_pump(struct service *service)
{
    struct shadow_job *job = shadow_jobs(service);
    struct session_event event;
    while (job != NULL && job->session == NULL)
        job = job->next;
    while (job != NULL && session_next(job->session, &event) == 1) {
        if (event.kind == SESSION_END) {
            on_session_end(job, &event);
            return;
        }
        if (take_text(job, event.text) < 0) {
            shadow_finish(job, SHADOW_UNJUDGED, "local_unfit");
            begin_next(service);
            return;
        }
    }
}

void shadowing_tick(struct service *service)
{
    int64_t now = clock_now_us();
    for (struct shadow_job *job = shadow_jobs(service), *next; job != NULL; job = next) {
        next = job->next;
        if (job->asks_local && !job->waiting && now >= job->deadline_us)
            shadow_finish(job, SHADOW_UNJUDGED, "late");
    }
    begin_next(service);
}

void shadowing_yield(struct service *service)
{
    for (const struct shadow_job *job = service->shadowing != NULL ? shadow_jobs(service) : NULL; job != NULL; job = job->next)
        if (job->asks_local) {
            engine_hold(service->chat.engine, service->n_computing > 0);
            return;
        }
}
