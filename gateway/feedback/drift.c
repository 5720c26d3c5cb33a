/* The bets of each tenant, as logarithms, in an array ordered by tenant.
 *
 * Invariant: log_wealth[i] is the sum of the counted ratings' factors under the i-th stake, and nothing else is kept of them, so a
 * rating can be taken back by subtracting what it added. */
#include "feedback/drift.h"

#include <math.h>

struct tested {
    char tenant[64]; /* "": callers without a key. */
    double log_wealth[DRIFT_BETS];
    int64_t n_rated, n_down;
    bool alarmed;
};

struct drift {
    struct tested *tenants;
    size_t n, capacity;
};

/* Stakes from .01 to .9, each a constant factor above the one before: for shifts from hardly any to everything down. */
static double stake(int i)
{
    return 0.01 * pow(90, (double)i / (DRIFT_BETS - 1));
}

struct drift *drift_new(void)
{
    return calloc(1, sizeof(struct drift));
}

void drift_free(struct drift *drift)
{
    if (drift != NULL)
        free(drift->tenants);
    free(drift);
}

void drift_reset(struct drift *drift)
{
    drift->n = 0;
}

/* Where the tenant is, or would be. */
static size_t place_of(const struct drift *drift, const char *tenant, bool *found)
{
    size_t low = 0, high = drift->n;
    *found = false;
    while (low < high && !*found) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(drift->tenants[middle].tenant, tenant);
        *found = order == 0;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return *found ? high : low;
}

static const struct tested *find(const struct drift *drift, const char *tenant)
{
    bool found;
    size_t at = place_of(drift, tenant != NULL ? tenant : "", &found);
    return found ? &drift->tenants[at] : NULL;
}

static int insert(struct drift *drift, const char *tenant, size_t at)
{
    if (drift->n >= DRIFT_MAX_TENANTS || strlen(tenant) >= sizeof drift->tenants->tenant)
        return WEIR_E_LIMIT;
    if (drift->n == drift->capacity) {
        size_t capacity = drift->capacity > 0 ? 2 * drift->capacity : 16;
        struct tested *more = realloc(drift->tenants, capacity * sizeof *more);
        if (more == NULL)
            return WEIR_E_MEMORY;
        drift->tenants = more;
        drift->capacity = capacity;
    }
    memmove(&drift->tenants[at + 1], &drift->tenants[at], (drift->n - at) * sizeof *drift->tenants);
    drift->n++;
    drift->tenants[at] = (struct tested){.n_rated = 0};
    str_copy(drift->tenants[at].tenant, sizeof drift->tenants[at].tenant, str_of(tenant));
    return 0;
}

/* sign -1 takes a rating back. */
static void bet(struct tested *tested, double max_regret, bool down, int sign)
{
    for (int i = 0; i < DRIFT_BETS; i++)
        tested->log_wealth[i] += sign * log1p(down ? stake(i) * (1 - max_regret) / max_regret : -stake(i));
    tested->n_rated += sign;
    tested->n_down += down ? sign : 0;
}

/* The mean of the gamblers' wealth; as a logarithm, for it may be beyond a double's range. */
static double log_mean(const struct tested *tested)
{
    double most = tested->log_wealth[0], sum = 0;
    for (int i = 1; i < DRIFT_BETS; i++)
        most = fmax(most, tested->log_wealth[i]);
    for (int i = 0; i < DRIFT_BETS; i++)
        sum += exp(tested->log_wealth[i] - most);
    return most + log(sum / DRIFT_BETS);
}

int drift_rate(struct drift *drift, const char *tenant, double max_regret, enum drift_before before, bool down)
{
    const double least = DRIFT_LEAST;
    if (!(max_regret < 1))
        return DRIFT_SAME;
    max_regret = fmax(max_regret, least);
    bool found;
    size_t at = place_of(drift, tenant != NULL ? tenant : "", &found);
    int status = found ? 0 : insert(drift, tenant != NULL ? tenant : "", at);
    if (status < 0)
        return status;
    struct tested *tested = &drift->tenants[at];
    if (before != DRIFT_UNRATED)
        bet(tested, max_regret, before == DRIFT_WAS_DOWN, -1);
    bet(tested, max_regret, down, 1);
    double now = log_mean(tested);
    bool was = tested->alarmed;
    tested->alarmed = was ? now >= 0 : now >= -log(DRIFT_ALPHA);
    return tested->alarmed == was ? DRIFT_SAME : was ? DRIFT_LOWERED : DRIFT_RAISED;
}

bool drift_alarmed(const struct drift *drift, const char *tenant)
{
    const struct tested *tested = find(drift, tenant);
    return tested != NULL && tested->alarmed;
}

double drift_wealth(const struct drift *drift, const char *tenant, int64_t *n_rated, int64_t *n_down)
{
    const struct tested *tested = find(drift, tenant);
    *n_rated = tested != NULL ? tested->n_rated : 0;
    *n_down = tested != NULL ? tested->n_down : 0;
    return tested != NULL ? exp(log_mean(tested)) : 1;
}
