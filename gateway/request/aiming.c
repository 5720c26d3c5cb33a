/* Requests, ratings and samples to goals. What the ledger's file does not give up keeps no Weir from starting: until it does, nothing that can
 * stay leaves under a share or a budget (closed on failure). */
#include "request/aiming.h"

#include "ledger/rated.h"

static struct goals_context context_of(const struct service *service, const struct snapshot *snapshot)
{
    return (struct goals_context){.config = snapshot->config, .head = snapshot_head(snapshot), .ledger = service->ledger, .wall_ns = clock_wall_ns()};
}

static void read_ledger(struct service *service)
{
    struct goals_context context = context_of(service, service->snapshot);
    struct standing standing;
    service_standing(service, &standing);
    context.scope = &standing.scope;
    struct error err = {0};
    char path[4096];
    snprintf(path, sizeof path, "%s/ledger.db", service->snapshot->config->data_dir);
    ledger_settle(service->ledger);
    if (goals_read(service->goals, &context, path, &err) < 0)
        log_event(LOG_ERROR, "targets_unread", "%s: %s; under a share or a budget `auto` stays here until a reload can read it", err.where, err.text);
}

int aiming_open(struct service *service, struct error *err)
{
    service->goals = goals_new();
    if (service->goals == NULL)
        return error_set(err, WEIR_E_MEMORY, "targets", "out of memory");
    read_ledger(service);
    return 0;
}

void aiming_close(struct service *service)
{
    goals_free(service->goals);
    service->goals = NULL;
}

void aiming_reload(struct service *service)
{
    read_ledger(service);
}

static const char *tenant_of(const struct request *request)
{
    return request->has_key ? request->key.tenant : NULL;
}

void aiming_limit(struct request *request)
{
    struct goals_context context = context_of(request->service, request->snapshot);
    struct goals_query query = {.tenant = tenant_of(request), .regret_named = request->name.regret_named, .view = &request->view};
    double band = request->snapshot->config->probe_band; /* Who is near enough to be probed is told by all tiers too. */
    request->view = goals_view(request->service->goals, query.tenant);
    request->limits = goals_limits(request->service->goals, &context, &query, request->name.max_regret);
    request->limits.low -= band;
    request->limits.high += band;
}

void aiming_fill(struct request *request, int64_t prompt_tokens, int64_t max_tokens)
{
    struct goals_context context = context_of(request->service, request->snapshot);
    struct goals_query query = {.tenant = tenant_of(request), .regret_named = request->name.regret_named, .prompt_tokens = prompt_tokens, .max_tokens = max_tokens,
                                .view = &request->view};
    goals_fill(request->service->goals, &context, &query, request->inputs);
}

void aiming_decided(struct request *request)
{
    struct goals_context context = context_of(request->service, request->snapshot);
    request->committed_nusd = goals_decided(request->service->goals, &context, tenant_of(request), request->inputs, &request->decision);
}

void aiming_end(struct request *request)
{
    struct goals_context context = context_of(request->service, request->service->snapshot);
    bool auto_local = request->name.kind == NAME_AUTO && request->decision.kind == ROUTE_LOCAL;
    struct goals_end end = {
        .tenant = tenant_of(request),
        .committed_nusd = request->committed_nusd,
        .cost_nusd = request->cost_nusd,
        .completion_tokens = request->usage_known ? request->usage.completion_tokens : -1,
        .left_late = auto_local && str_starts(str_of(request->route), STR("remote:")),
    };
    goals_end(request->service->goals, &context, &end);
}

static void label(struct service *service, const struct goals_label *label)
{
    struct goals_context context = context_of(service, service->snapshot);
    struct standing standing;
    service_standing(service, &standing);
    context.scope = &standing.scope;
    if (goals_label(service->goals, &context, label) < 0)
        log_event(LOG_ERROR, "label_lost", "%s: there is no room for its label", label->decision_id);
}

void aiming_rated(struct service *service, const struct rated *rated)
{
    struct goals_label of = {.tenant = rated->tenant, .decision_id = rated->decision_id, .max_regret = rated->max_regret, .gain = rated->gain,
                             .regret = rated->down};
    goals_label_drawn(&of, 0, 0, rated->threshold);
    if (rated->weighed)
        label(service, &of);
}

void aiming_sampled(struct service *service, const struct aiming_sample *sample)
{
    const struct decide_inputs *inputs = sample->inputs;
    struct decision decision;
    decide(inputs, &decision);
    struct goals_label of = {.tenant = sample->tenant, .decision_id = sample->decision_id, .max_regret = inputs->max_regret, .gain = (double)inputs->gain,
                             .regret = sample->worse, .lost = sample->lost};
    goals_label_drawn(&of, sample->probability_ppm, sample->other_ppm, decision.threshold);
    if (decision.weighed && inputs->goal.kind == GOAL_MAX_REGRET)
        label(service, &of);
}

void aiming_unsampled(struct service *service, const char *tenant, const char *decision_id)
{
    goals_unlabel(service->goals, tenant, decision_id);
}
