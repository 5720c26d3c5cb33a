/* A sample's beginning and end: the coin, the money, the plan's row, and the row of what came of it.
 *
 * Invariant: every sampled answer that came out whole leaves exactly one row in `shadow`; one for which anything may have left has a
 * row in `shadow_plan` that was durable before. A row that the ledger does not take is counted and logged. */
#include "request/shadow_job.h"

#include "request/aiming.h"
#include "request/cascade.h"
#include "request/feedback.h"
#include "request/knowing.h"
#include "request/scoring.h"
#include "ledger/shadowed.h"

enum { LONGEST_SAMPLE_US = 120000000 };

static const char account[] = "shadow";

struct shadowing {
    uint8_t key[SHA256_BYTES];   /* Of the coins. */
    struct budget_table *budget; /* One account. */
    struct shadow_job *jobs;
    int n_jobs;
    bool budget_told;            /* That the month's money is used up. */
};

const uint8_t *shadow_key(const struct service *service)
{
    return service->shadowing->key;
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
    return (struct shadowing_stats){.n_running = shadowing_running(service),
                                    .month_nusd = budget_spent_nusd(service->shadowing->budget, account, clock_wall_ns()),
                                    .budget_nusd = config->shadow.share_ppm > 0 ? config->shadow.budget_nusd : 0};
}

/* ------------------------------------------------------------------ what is sampled */

static const struct decide_target *first_target(const struct request *request)
{
    return &request->inputs->targets[request->decision.targets[0]];
}

/* Worst case of all calls of the judge. */
static int64_t judge_worst_nusd(const struct request *request, size_t conversation_bytes)
{
    const struct config *config = request->snapshot->config;
    const struct config_target *judge = &config->shadow.judge;
    const struct price *price = prices_find(request->snapshot->prices, config->providers[judge->provider].name, judge->model);
    /* A token is a byte at the least. */
    struct token_usage usage = {.prompt_tokens = (int64_t)conversation_bytes + 2 * SHADOW_ANSWER_BYTES + JUDGE_FRAME_BYTES,
                                .completion_tokens = JUDGE_TOKENS};
    int64_t each = price_cost_nusd(price, &usage);
    return each == MONEY_UNKNOWN || each > INT64_MAX / 4 ? MONEY_UNKNOWN : 2 * each;
}

static int64_t worst_nusd(const struct request *request, size_t conversation_bytes)
{
    int64_t remote = first_target(request)->worst_nusd, judge = judge_worst_nusd(request, conversation_bytes);
    return remote == MONEY_UNKNOWN || judge == MONEY_UNKNOWN || remote > INT64_MAX / 2 ? MONEY_UNKNOWN : remote + judge;
}

/* May what the judge reads go there, as far as the question says? What the answers say is scanned later. */
static bool judge_permitted(const struct request *request)
{
    const struct config *config = request->snapshot->config;
    const struct verdict *verdict = request->verdict;
    int provider = config->shadow.judge.provider;
    return verdict->effect <= EFFECT_REDACT && (verdict->permitted >> provider & 1) != 0 && config->providers[provider].usable;
}

void shadowing_consider(struct request *request)
{
    const struct config *config = request->snapshot->config;
    size_t conversation_bytes;
    request->shadow_ppm = 0;
    if (config->shadow.share_ppm == 0 || request->name.kind != NAME_AUTO || request->decision.kind != ROUTE_LOCAL || request->decision.n_targets == 0)
        return;
    /* An answer from documents is about what the remote was not shown, and its text is theirs. */
    if (!request->scored || knowing_used(request) || !shadow_fits(&request->api, &conversation_bytes))
        return;
    if (!judge_permitted(request) || worst_nusd(request, conversation_bytes) == MONEY_UNKNOWN)
        return;
    if (request->verdict->effect == EFFECT_REDACT && request->redacted_body == NULL)
        return;
    if (shadow_sampled(request->service->shadowing->key, request->decision_id, config->shadow.share_ppm))
        request->shadow_ppm = config->shadow.share_ppm;
}

/* ------------------------------------------------------------------ the end */

static void release(struct shadow_job *job)
{
    struct shadowing *shadowing = job->service->shadowing;
    if (job->link != NULL) {
        if (job->next != NULL)
            job->next->link = job->link;
        *job->link = job->next;
        shadowing->n_jobs--;
    }
    for (int i = 0; i < 2; i++)
        json_decref(job->calls[i].body);
    struct buffer *texts[] = {&job->local, &job->answer, &job->said};
    for (int i = 0; i < 3; i++) {
        if (texts[i]->data != NULL)
            bytes_wipe(texts[i]->data, texts[i]->n);
        buffer_release(texts[i]);
    }
    arena_release(&job->arena);
    struct request *request = job->link != NULL ? job->request : NULL;
    free(job);
    if (request != NULL)
        request_unpin(request);
}

/* The one place from which verdicts go to whatever learns from them. */
static void learn(const struct shadow_job *job, int recorded)
{
    const struct request *request = job->request;
    const char *head = scoring_head(request);
    double probability = (double)job->probability_ppm / 1e6;
    if (request->inputs->goal.kind != GOAL_MAX_REGRET)
        return; /* No max_regret is asked for: the row is all there is to it. */
    struct shadow_verdict verdict = {
        .tenant = request->has_key ? request->key.tenant : NULL,
        .config_sha256 = request->snapshot->config->sha256,
        .head_id = head != NULL ? head : "",
        .max_regret = request->inputs->max_regret,
        .remote_better = job->outcome == SHADOW_REMOTE_BETTER,
    };
    feedback_shadowed(job->service, &verdict, recorded);
    struct aiming_sample sample = {.tenant = verdict.tenant, .decision_id = request->decision_id, .inputs = request->inputs, .regret = verdict.remote_better,
                                   .probability = probability, .least_probability = probability};
    if (recorded == 0 && strcmp(verdict.config_sha256, job->service->snapshot->config->sha256) == 0)
        aiming_sampled(job->service, &sample);
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

static int append(struct shadow_job *job, const char *reason)
{
    struct request *request = job->request;
    const struct config *config = request->snapshot->config;
    bool judged = job->outcome != SHADOW_UNJUDGED;
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
    };
    return ledger_append_shadow(job->service->ledger, &row, judged ? job->service->port : NULL, judged ? on_recorded : NULL, job);
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
    job->outcome = outcome;
    int status = append(job, reason);
    if (job->reserved)
        budget_settle(service->shadowing->budget, account, job->reserved_nusd, job->cost_nusd, clock_wall_ns());
    metrics_shadow(service->metrics, metric[outcome], job->cost_nusd);
    if (status < 0)
        log_event(LOG_ERROR, "shadow_unrecorded", "%s: the ledger takes no row for its shadow sample", job->request->decision_id);
    else
        log_event(LOG_INFO, "shadowed", "%s: %s (%s), remote %s/%s, %d calls of the judge", job->request->decision_id, shadow_outcome_name(outcome), reason,
                  job->remote.provider, job->remote.model, job->n_called);
    if (status == 0 && outcome != SHADOW_UNJUDGED)
        job->waiting = true; /* on_recorded lets it go. */
    else
        release(job);
}

/* ------------------------------------------------------------------ the beginning */

static void on_planned(void *user, int status)
{
    struct shadow_job *job = user;
    job->waiting = false;
    if (job->stopped != NULL)
        shadow_finish(job, SHADOW_UNJUDGED, job->stopped);
    else if (status < 0)
        shadow_finish(job, SHADOW_UNJUDGED, "ledger");
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
    };
    return ledger_append_shadow_plan(job->service->ledger, &plan, job->service->port, on_planned, job);
}

/* Is it over before it has begun? NULL: no. */
static const char *obstacle(struct shadow_job *job)
{
    struct service *service = job->service;
    struct shadowing *shadowing = service->shadowing;
    const struct request *request = job->request;
    const struct config *config = request->snapshot->config;
    const struct breaker *breaker = upstream_breaker(service->upstream, config->providers[job->judge.provider].name);
    if (service->drain_until_us > 0)
        return "draining";
    if (request->snapshot != service->snapshot)
        return "reloaded";
    if (shadowing->n_jobs >= SHADOW_MAX_JOBS || service->n_requests - shadowing->n_jobs > 1 + config->limits.max_requests / 2)
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

static struct shadow_job *job_new(struct request *request)
{
    struct shadow_job *job = calloc(1, sizeof *job);
    size_t conversation_bytes = 0;
    if (job == NULL)
        return NULL;
    job->service = request->service;
    job->request = request;
    job->remote = *first_target(request);
    job->judge = request->snapshot->config->shadow.judge;
    job->probability_ppm = request->shadow_ppm;
    job->local_first = shadow_local_first(job->service->shadowing->key, request->decision_id);
    job->remote_us = job->judge_us = -1;
    job->begun_us = clock_now_us();
    job->deadline_us = job->begun_us + LONGEST_SAMPLE_US;
    (void)shadow_fits(&request->api, &conversation_bytes);
    job->reserved_nusd = worst_nusd(request, conversation_bytes);
    arena_init(&job->arena, (size_t)16 << 20);
    buffer_init(&job->local, SHADOW_ANSWER_BYTES);
    buffer_init(&job->answer, SHADOW_ANSWER_BYTES);
    buffer_init(&job->said, 1024);
    return job;
}

void shadowing_begin(struct request *request, const char *result, int64_t status, const char *finish_reason)
{
    bool whole = strcmp(result, "ok") == 0 && status == 200 && finish_reason != NULL && strcmp(finish_reason, "stop") == 0;
    if (request->shadow_ppm == 0 || !whole || strcmp(request->route, "local") != 0 || request->seams > 0 || request->n_choices != 1 ||
        cascade_left(request)) /* It was sent for want of a better. */
        return;
    struct choice *choice = &request->choices[0];
    if (choice->text.failed || choice->text.n > SHADOW_ANSWER_BYTES || request->usage.dropped_tokens > 0)
        return;
    struct shadow_job *job = job_new(request);
    if (job == NULL || buffer_append_str(&job->local, buffer_str(&choice->text)) < 0) {
        log_event(LOG_ERROR, "shadow_unrecorded", "%s: no memory for its shadow sample", request->decision_id);
        free(job);
        return;
    }
    const char *reason = obstacle(job);
    if (reason == NULL && append_plan(job) < 0)
        reason = "ledger";
    if (reason != NULL) {
        shadow_finish(job, SHADOW_UNJUDGED, reason);
        return;
    }
    struct shadowing *shadowing = job->service->shadowing;
    job->waiting = true;
    job->next = shadowing->jobs;
    job->link = &shadowing->jobs;
    if (job->next != NULL)
        job->next->link = &job->next;
    shadowing->jobs = job;
    shadowing->n_jobs++;
    request->n_pins++;
}
