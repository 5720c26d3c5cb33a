/* A sample's beginning and end: the money, the plan's row, and the row of what came of it.
 *
 * Invariant: every drawn query whose answer came out whole leaves exactly one row in `shadow`; one for which anything may have left has a
 * row in `shadow_plan` that was durable before. A row that the ledger does not take is counted and logged. */
#include "request/shadow_job.h"

#include "request/aiming.h"
#include "request/cascade.h"
#include "request/drifting.h"
#include "request/scoring.h"

#include "ledger/shadowed.h"

enum { LONGEST_SAMPLE_US = 120000000 };

static const char account[] = "shadow";

struct shadowing {
    uint8_t key[SHA256_BYTES];   /* Of the coins. */
    struct budget_table *budget; /* One account. */
    struct shadow_job *jobs;
    int n_jobs, n_left;          /* All of them, and those of queries that left. */
    bool budget_told;            /* That the month's money is used up. */
};

const uint8_t *shadow_key(const struct service *service)
{
    return service->shadowing->key;
}

struct shadow_job *shadow_jobs(const struct service *service)
{
    return service->shadowing->jobs;
}

static int set_budget(struct service *service, int64_t spent_nusd)
{
    const struct config *config = service->snapshot->config;
    service->shadowing->budget_told = false;
    return budget_account_set(service->shadowing->budget, account, config->shadow.budget_nusd, BUDGET_MONTH, spent_nusd, -1);
}

int shadowing_open(struct service *service, struct error *err)
{
    char path[4096];
    int64_t spent_nusd;
    struct shadowing *shadowing = service->shadowing = calloc(1, sizeof *shadowing);
    if (shadowing == NULL || (shadowing->budget = budget_new(1)) == NULL)
        return error_set(err, WEIR_E_MEMORY, "classifier.shadow", "out of memory");
    hmac_sha256(service->pseudonym_key, sizeof service->pseudonym_key, "shadow", 6, shadowing->key);
    snprintf(path, sizeof path, "%s/ledger.db", service->snapshot->config->data_dir);
    int status = shadowed_month_nusd(path, clock_wall_ns(), &spent_nusd, err);
    if (status == 0 && set_budget(service, spent_nusd) < 0)
        status = error_set(err, WEIR_E_MEMORY, "classifier.shadow", "out of memory");
    return status;
}

void shadowing_close(struct service *service)
{
    struct shadowing *shadowing = service->shadowing;
    if (shadowing == NULL)
        return;
    budget_free(shadowing->budget);
    bytes_wipe(shadowing->key, sizeof shadowing->key);
    free(shadowing);
    service->shadowing = NULL;
}

void shadowing_stop(struct service *service, const char *reason)
{
    for (struct shadow_job *job = service->shadowing->jobs, *next; job != NULL; job = next) {
        next = job->next;
        job->stopped = reason;
        if (!job->waiting)
            shadow_finish(job, SHADOW_UNJUDGED, reason);
    }
}

void shadowing_reload(struct service *service)
{
    shadowing_stop(service, "reloaded");
    if (set_budget(service, budget_spent_nusd(service->shadowing->budget, account, clock_wall_ns())) < 0)
        log_event(LOG_ERROR, "shadow_budget", "the new budget of shadow samples is not in force: out of memory");
}

int shadowing_running(const struct service *service)
{
    return service->shadowing->n_jobs;
}

struct shadowing_stats shadowing_stats(const struct service *service)
{
    const struct config *config = service->snapshot->config;
    int n_waiting_local = 0;
    for (const struct shadow_job *job = service->shadowing->jobs; job != NULL; job = job->next)
        n_waiting_local += job->asks_local;
    return (struct shadowing_stats){.n_running = shadowing_running(service),
                                    .n_waiting_local = n_waiting_local,
                                    .month_nusd = budget_spent_nusd(service->shadowing->budget, account, clock_wall_ns()),
                                    .budget_nusd = config->shadow.share_ppm > 0 ? config->shadow.budget_nusd : 0};
}

/* ------------------------------------------------------------------ the end */

void shadow_free(struct shadow_job *job)
{
    shadow_leave_local(job);
    for (int i = 0; i < 2; i++)
        json_decref(job->calls[i].body);
    struct buffer *texts[] = {&job->local, &job->answer, &job->said};
    for (int i = 0; i < 3; i++) {
        if (texts[i]->data != NULL)
            bytes_wipe(texts[i]->data, texts[i]->n);
        buffer_release(texts[i]);
    }
    arena_release(&job->arena);
    free(job);
}

static void release(struct shadow_job *job)
{
    struct shadowing *shadowing = job->service->shadowing;
    struct request *request = job->link != NULL ? job->request : NULL;
    if (job->link != NULL) {
        if (job->next != NULL)
            job->next->link = job->link;
        *job->link = job->next;
        shadowing->n_jobs--;
        shadowing->n_left -= job->left;
    }
    shadow_free(job);
    if (request != NULL)
        request_unpin(request);
}

/* Is what the sample says about what answers now, in the eyes of the one who judges now? */
static bool is_in_force(const struct shadow_job *job)
{
    const struct request *request = job->request;
    const struct config *config = request->snapshot->config;
    const char *head = scoring_head(request);
    struct standing standing;
    char judge[sizeof standing.judge];
    service_standing(job->service, &standing);
    snprintf(judge, sizeof judge, "%s/%s", config->providers[job->judge.provider].name, job->judge.model);
    return ledger_scope_has(&standing.scope, config->sha256, head != NULL ? head : "", request->snapshot->answers_id) &&
           (standing.judge[0] == '\0' || strcmp(standing.judge, judge) == 0);
}

/* To the tenant's target; lost: nobody knows, or nobody knows yet. */
static void label(const struct shadow_job *job, bool lost)
{
    const struct request *request = job->request;
    struct aiming_sample sample = {.tenant = request->has_key ? request->key.tenant : NULL, .decision_id = request->decision_id, .inputs = request->inputs,
                                   .worse = job->outcome == SHADOW_REMOTE_BETTER, .lost = lost,
                                   .probability_ppm = job->probability_ppm, .other_ppm = job->other_ppm};
    aiming_sampled(job->service, &sample);
}

/* From the durable plan on it is known that a label is to come. */
static void expect_label(struct shadow_job *job)
{
    job->expected = job->request->inputs->goal.kind == GOAL_MAX_REGRET && is_in_force(job);
    if (job->expected)
        label(job, true);
}

/* The one place from which verdicts go to whatever learns from them. */
static void learn(const struct shadow_job *job, int recorded)
{
    const struct request *request = job->request;
    const char *tenant = request->has_key ? request->key.tenant : NULL;
    bool in_force = is_in_force(job), lost = job->outcome == SHADOW_UNJUDGED, worse = job->outcome == SHADOW_REMOTE_BETTER;
    if (request->inputs->goal.kind != GOAL_MAX_REGRET)
        return; /* No max_regret is asked for: the row is all there is to it. */
    bool is_target = standing_is_target(job->service->snapshot->config, tenant, request->inputs->max_regret, request->snapshot->config->sha256);
    struct drifting_sample tested = {.tenant = tenant, .in_force = in_force && is_target, .max_regret = request->inputs->max_regret, .remote_better = worse};
    if (!job->left && !lost)
        drifting_sampled(job->service, &tested, recorded);
    else if (recorded < 0)
        drifting_unsure(job->service);
    if (recorded == 0 && in_force)
        label(job, lost);
}

static void on_recorded(void *user, int status)
{
    struct shadow_job *job = user;
    job->waiting = false;
    learn(job, status);
    release(job);
}

static const char *price_version_of(const struct request *request)
{
    return request->snapshot->prices != NULL ? prices_version(request->snapshot->prices) : NULL;
}

static int append(struct shadow_job *job, const char *reason, bool learns)
{
    struct request *request = job->request;
    const struct config *config = request->snapshot->config;
    struct ledger_shadow row = {
        .decision_id = request->decision_id,
        .time_ns = clock_wall_ns(),
        .tenant = request->has_key ? request->key.tenant : NULL,
        .probability_ppm = job->probability_ppm,
        .outcome = shadow_outcome_name(job->outcome),
        .reason = reason,
        .provider = job->remote.provider,
        .provider_model = job->remote.model,
        .judge_provider = config->providers[job->judge.provider].name,
        .judge_provider_model = job->judge.model,
        .prompt_tokens = job->remote_usage_known ? job->remote_usage.prompt_tokens : LEDGER_NULL,
        .completion_tokens = job->remote_usage_known ? job->remote_usage.completion_tokens : LEDGER_NULL,
        .judge_prompt_tokens = job->judge_usage_known ? job->judge_usage.prompt_tokens : LEDGER_NULL,
        .judge_completion_tokens = job->judge_usage_known ? job->judge_usage.completion_tokens : LEDGER_NULL,
        .judge_calls = job->n_called,
        .reserved_nusd = job->reserved ? job->reserved_nusd : LEDGER_NULL,
        .cost_nusd = job->cost_nusd,
        .price_version = price_version_of(request),
        .remote_us = job->remote_us >= 0 ? job->remote_us : LEDGER_NULL,
        .judge_us = job->judge_us >= 0 ? job->judge_us : LEDGER_NULL,
        .total_us = clock_now_us() - job->begun_us,
        .other_ppm = job->other_ppm,
    };
    return ledger_append_shadow(job->service->ledger, &row, learns ? job->service->port : NULL, learns ? on_recorded : NULL, job);
}

/* Reserved when it was drawn, whatever came of it. */
static void settle(struct shadow_job *job)
{
    if (job->reserved)
        budget_settle(job->service->shadowing->budget, account, job->reserved_nusd, job->cost_nusd, clock_wall_ns());
    job->reserved = false;
}

void shadow_finish(struct shadow_job *job, enum shadow_outcome outcome, const char *reason)
{
    static const enum metric_shadow metric[SHADOW_OUTCOMES] = {METRIC_LOCAL_BETTER, METRIC_TIE, METRIC_REMOTE_BETTER, METRIC_UNJUDGED};
    struct service *service = job->service;
    if (job->relay != NULL) {
        job->cost_nusd = MONEY_UNKNOWN; /* Broken off: nobody says what it has cost. */
        relay_free(job->relay);
        job->relay = NULL;
    }
    shadow_leave_local(job);
    job->outcome = outcome;
    bool lost = outcome == SHADOW_UNJUDGED && shadowed_is_lost(reason), learns = outcome != SHADOW_UNJUDGED || lost;
    int status = append(job, reason, learns);
    settle(job);
    metrics_shadow(service->metrics, metric[outcome], job->left, lost, job->cost_nusd);
    if (status < 0)
        log_event(LOG_ERROR, "shadow_unrecorded", "%s: the ledger takes no row for its shadow sample", job->request->decision_id);
    else
        log_event(LOG_INFO, "shadowed", "%s: %s (%s), %s, remote %s/%s, %d calls of the judge", job->request->decision_id, shadow_outcome_name(outcome), reason,
                  job->left ? "left" : "stayed", job->remote.provider, job->remote.model, job->n_called);
    if (job->expected && !learns)
        aiming_unsampled(service, job->request->has_key ? job->request->key.tenant : NULL, job->request->decision_id);
    if (status == 0 && learns)
        job->waiting = true; /* on_recorded lets it go. */
    else
        release(job);
}

/* ------------------------------------------------------------------ the beginning */

static void on_planned(void *user, int status)
{
    struct shadow_job *job = user;
    job->waiting = false;
    if (status == 0)
        expect_label(job);
    if (job->stopped != NULL)
        shadow_finish(job, SHADOW_UNJUDGED, job->stopped);
    else if (status < 0)
        shadow_finish(job, SHADOW_UNJUDGED, "ledger");
    else if (job->left)
        shadow_ask_local(job);
    else
        shadow_ask(job);
}

static int append_plan(struct shadow_job *job)
{
    const struct request *request = job->request;
    struct ledger_shadow_plan plan = {
        .decision_id = request->decision_id,
        .time_ns = clock_wall_ns(),
        .tenant = request->has_key ? request->key.tenant : NULL,
        .probability_ppm = job->probability_ppm,
        .provider = job->remote.provider,
        .provider_model = job->remote.model,
        .judge_provider = request->snapshot->config->providers[job->judge.provider].name,
        .judge_provider_model = job->judge.model,
        .effect = effect_name(request->verdict->effect),
        .reserved_nusd = job->reserved_nusd,
        .price_version = price_version_of(request),
        .other_ppm = job->other_ppm,
    };
    return ledger_append_shadow_plan(job->service->ledger, &plan, job->service->port, on_planned, job);
}

const char *shadow_gate(struct shadow_job *job)
{
    struct service *service = job->service;
    struct shadowing *shadowing = service->shadowing;
    const struct config *config = job->request->snapshot->config;
    const struct breaker *breaker = upstream_breaker(service->upstream, config->providers[job->judge.provider].name);
    if (service->drain_until_us > 0)
        return "draining";
    if (service->n_requests - shadowing->n_jobs > 1 + config->limits.max_requests / 2)
        return "load";
    if (breaker == NULL || !breaker_allows(breaker, clock_now_us()))
        return "judge_down";
    job->reserved = budget_reserve(shadowing->budget, account, job->reserved_nusd, clock_wall_ns()) == 0;
    if (job->reserved)
        return NULL;
    if (!shadowing->budget_told)
        log_event(LOG_WARN, "shadow_budget", "what is left of this month's budget for shadow samples is less than one may cost");
    shadowing->budget_told = true;
    return "budget";
}

void shadowing_take_answer(struct request *request, const json_t *answer)
{
    str text;
    bool stopped;
    struct shadow_job *job = request->shadow;
    if (job != NULL && job->left)
        job->good = shadow_read_answer(answer, &text, &stopped) && stopped && shadow_keep_answer(job, text);
}

/* The caller's own answer as the sample's, and no second copy of it. False: it is no whole text, or is not from where it was decided. */
static bool take_own_answer(struct shadow_job *job)
{
    struct request *request = job->request;
    struct choice *choice = &request->choices[0];
    char route[DECIDE_ROUTE_BYTES] = "local";
    if (job->left)
        snprintf(route, sizeof route, "remote:%s/%s", job->remote.provider, job->remote.model);
    if (strcmp(request->route, route) != 0 || request->calls_sent || request->usage.dropped_tokens > 0 || choice->text.failed ||
        choice->text.n > SHADOW_ANSWER_BYTES)
        return false;
    bool whole_remote = job->left && !request->api.stream; /* shadowing_take_answer has it. */
    bool good = whole_remote ? job->good : buffer_append_str(job->left ? &job->answer : &job->local, buffer_str(&choice->text)) == 0;
    struct buffer *copies[] = {&choice->text, &request->out};
    for (int i = 0; i < 2; i++) {
        if (copies[i]->data != NULL)
            bytes_wipe(copies[i]->data, copies[i]->n);
        buffer_clear(copies[i]);
    }
    return good;
}

void shadowing_begin(struct request *request, const char *result, int64_t status, const char *finish_reason)
{
    struct shadow_job *job = request->shadow;
    bool whole = strcmp(result, "ok") == 0 && status == 200 && finish_reason != NULL && strcmp(finish_reason, "stop") == 0;
    request->shadow = NULL;
    if (job == NULL)
        return;
    /* What the cascade got back was sent for want of a better. */
    if (!whole || request->seams > 0 || request->n_choices != 1 || cascade_left(request) || !take_own_answer(job)) {
        settle(job);
        shadow_free(job);
        return;
    }
    struct shadowing *shadowing = job->service->shadowing;
    job->begun_us = clock_now_us();
    job->deadline_us = job->begun_us + LONGEST_SAMPLE_US;
    job->n_attempts = request->n_attempts;
    const char *reason = job->gate;
    if (reason == NULL && job->service->drain_until_us > 0)
        reason = "draining";
    if (reason == NULL && request->snapshot != job->service->snapshot)
        reason = "reloaded";
    if (reason == NULL && (job->left ? shadowing->n_left : shadowing->n_jobs - shadowing->n_left) >= SHADOW_MAX_JOBS)
        reason = "busy";
    if (reason == NULL && append_plan(job) < 0)
        reason = "ledger";
    job->waiting = reason == NULL;
    job->next = shadowing->jobs;
    job->link = &shadowing->jobs;
    if (job->next != NULL)
        job->next->link = &job->next;
    shadowing->jobs = job;
    shadowing->n_jobs++;
    shadowing->n_left += job->left;
    request->n_pins++;
    if (reason != NULL)
        shadow_finish(job, SHADOW_UNJUDGED, reason);
}
