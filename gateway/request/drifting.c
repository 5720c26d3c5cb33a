/* Invariant: what the tests have counted is what rated_each and shadowed_each would give them; where that is in doubt they are read anew before
 * anything else is counted. */
#include "request/drifting.h"

#include "feedback/drift.h"
#include "ledger/rated.h"
#include "ledger/shadowed.h"
#include "request/aiming.h"

struct drifting {
    struct drift *ratings;
    struct drift *samples;    /* A test of its own, for these are a random sample and ratings are not. */
    unsigned epoch;
    bool unsure;
    char path[4096];          /* Of the ledger. */
};

static const char *shown(const char *tenant)
{
    return tenant[0] != '\0' ? tenant : "(no key)";
}

bool drifting_counts(const struct service *service, const struct rated *rated)
{
    struct standing standing;
    service_standing(service, &standing);
    return rated->is_auto && strcmp(rated->route, "local") == 0 &&
           ledger_scope_has(&standing.scope, rated->config_sha256, rated->head_id, rated->answers_id) &&
           standing_is_target(service->snapshot->config, rated->tenant, rated->max_regret, rated->config_sha256);
}

static int count_rating(void *user, const struct rated *rated)
{
    struct service *service = user;
    struct drift *drift = service->drifting->ratings;
    if (!drifting_counts(service, rated))
        return 0;
    enum drift_before before = !rated->rated_before ? DRIFT_UNRATED : rated->was_down ? DRIFT_WAS_DOWN : DRIFT_WAS_FINE;
    int change = drift_rate(drift, rated->tenant, rated->max_regret, before, rated->down);
    if (change < 0)
        return change;
    int64_t n_rated, n_down;
    double wealth = drift_wealth(drift, rated->tenant, &n_rated, &n_down);
    if (change == DRIFT_RAISED)
        log_event(LOG_WARN, "drift_alarm", "tenant %s: %lld of %lld rated local answers are down, which speaks %.3g to 1 against max_regret %g; auto goes by half of it until the evidence has fallen back",
                  shown(rated->tenant), (long long)n_down, (long long)n_rated, wealth, rated->max_regret);
    else if (change == DRIFT_LOWERED)
        log_event(LOG_INFO, "drift_over", "tenant %s: %lld of %lld rated local answers are down; max_regret %g holds again", shown(rated->tenant),
                  (long long)n_down, (long long)n_rated, rated->max_regret);
    return change;
}

static int count_sample(struct service *service, const char *tenant, double max_regret, bool remote_better)
{
    struct drift *drift = service->drifting->samples;
    int change = drift_rate(drift, tenant, max_regret, DRIFT_UNRATED, remote_better);
    int64_t n_judged, n_worse;
    double wealth = drift_wealth(drift, tenant, &n_judged, &n_worse);
    if (change == DRIFT_RAISED)
        log_event(LOG_WARN, "drift_alarm", "tenant %s: of %lld local answers judged against the remote's %lld are worse, which speaks %.3g to 1 against max_regret %g; auto goes by half of it until the evidence has fallen back",
                  shown(tenant), (long long)n_judged, (long long)n_worse, wealth, max_regret);
    else if (change == DRIFT_LOWERED)
        log_event(LOG_INFO, "drift_over", "tenant %s: of %lld local answers judged against the remote's %lld are worse; max_regret %g holds again", shown(tenant),
                  (long long)n_judged, (long long)n_worse, max_regret);
    return change;
}

static int count_sample_row(void *user, const struct shadowed *shadowed)
{
    const struct service *service = user;
    if (!standing_is_target(service->snapshot->config, shadowed->tenant, shadowed->max_regret, shadowed->config_sha256))
        return 0;
    return count_sample(user, shadowed->tenant, shadowed->max_regret, shadowed->remote_better);
}

/* What cannot be read keeps no Weir from routing. */
static void read_all(struct service *service)
{
    struct drifting *drifting = service->drifting;
    struct standing standing;
    struct error err = {0};
    service_standing(service, &standing);
    drift_reset(drifting->ratings);
    drift_reset(drifting->samples);
    if (shadowed_each(drifting->path, &standing.scope, count_sample_row, service, &err) < 0)
        log_event(LOG_ERROR, "feedback_unread", "%s: %s; the drift tests begin with the shadow samples before that", err.where, err.text);
    if (rated_each(drifting->path, &standing.scope, count_rating, service, &err) < 0)
        log_event(LOG_ERROR, "feedback_unread", "%s: %s; the drift tests begin with the ratings before that", err.where, err.text);
}

int drifting_open(struct service *service, struct error *err)
{
    struct drifting *drifting = service->drifting = calloc(1, sizeof *drifting);
    if (drifting == NULL || (drifting->ratings = drift_new()) == NULL || (drifting->samples = drift_new()) == NULL)
        return error_set(err, WEIR_E_MEMORY, "feedback", "out of memory");
    snprintf(drifting->path, sizeof drifting->path, "%s/ledger.db", service->snapshot->config->data_dir);
    read_all(service);
    return 0;
}

void drifting_close(struct service *service)
{
    struct drifting *drifting = service->drifting;
    if (drifting == NULL)
        return;
    drift_free(drifting->ratings);
    drift_free(drifting->samples);
    free(drifting);
    service->drifting = NULL;
}

void drifting_reload(struct service *service)
{
    aiming_reload(service);
    service->drifting->epoch++;
    service->drifting->unsure = false;
    read_all(service);
}

unsigned drifting_epoch(const struct service *service)
{
    return service->drifting->epoch;
}

void drifting_unsure(struct service *service)
{
    service->drifting->unsure = true;
}

bool drifting_alarmed(const struct service *service, const char *tenant)
{
    return drift_alarmed(service->drifting->ratings, tenant) || drift_alarmed(service->drifting->samples, tenant);
}

void drifting_rated(struct service *service, const struct rated *rated, unsigned epoch)
{
    struct drifting *drifting = service->drifting;
    bool was = drift_alarmed(drifting->ratings, rated->tenant);
    if (epoch != drifting->epoch || drifting->unsure)
        drifting_reload(service);
    else if (count_rating(service, rated) < 0)
        log_event(LOG_ERROR, "rating_untested", "%s: the drift tests have no room for it", rated->decision_id);
    if (!was && drift_alarmed(drifting->ratings, rated->tenant))
        metrics_drift_alarm(service->metrics);
}

void drifting_sampled(struct service *service, const struct drifting_sample *sample, int recorded)
{
    struct drifting *drifting = service->drifting;
    const char *tenant = sample->tenant != NULL ? sample->tenant : "";
    if (recorded < 0) {
        drifting->unsure = true;
        return;
    }
    bool was = drift_alarmed(drifting->samples, tenant);
    if (drifting->unsure)
        drifting_reload(service);
    else if (sample->in_force && count_sample(service, tenant, sample->max_regret, sample->remote_better) < 0)
        log_event(LOG_ERROR, "sample_untested", "the drift tests have no room for a shadow sample");
    if (!was && drift_alarmed(drifting->samples, tenant))
        metrics_drift_alarm(service->metrics);
}
