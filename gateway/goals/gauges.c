/* Gauges of the tenants' targets. The first GOALS_MAX_SHOWN tenants have series of their own, so that their number stays bounded. */
#include "goals/goals_internal.h"

enum gauge { THRESHOLD, SHARE, CREDIT, LABELS, SPENT, N_GAUGES };
static const struct {
    const char *name, *help;
} gauges[N_GAUGES] = {
    [THRESHOLD] = {"weir_target_threshold", "Threshold of gain at the tenant's last routed query."},
    [SHARE] = {"weir_target_remote_share", "Share of the tenant's routed queries that have left since the start, under max_remote_share."},
    [CREDIT] = {"weir_target_credit", "Queries that may leave at once, under max_remote_share."},
    [LABELS] = {"weir_target_labels", "Labels of local answers that the threshold of max_regret is judged by."},
    [SPENT] = {"weir_target_spent_usd", "What the tenant's requests have cost this month, under budget_usd_per_month."},
};

static bool value_of(const struct goal_tenant *tenant, enum gauge gauge, double *out)
{
    switch (gauge) {
    case THRESHOLD:
        *out = tenant->shown_threshold;
        return true;
    case SHARE:
        *out = tenant->share != NULL && tenant->share->n > 0 ? (double)tenant->share->n_left / (double)tenant->share->n : 0;
        return tenant->share != NULL;
    case CREDIT:
        *out = tenant->share != NULL ? (double)tenant->share->credit_ppm / SHARE_PPM : 0;
        return tenant->share != NULL;
    case LABELS:
        *out = tenant->evidence.n;
        return tenant->evidence.capacity > 0;
    case SPENT:
        *out = tenant->pace != NULL ? (double)tenant->pace->spent_nusd / 1e9 : 0;
        return tenant->pace != NULL;
    case N_GAUGES:
        break;
    }
    return false;
}

static void write_label(struct buffer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\' || *text == '"')
            buffer_append_char(out, '\\');
        buffer_append_char(out, *text);
    }
}

void goals_write_metrics(const struct goals *goals, const struct config *config, struct buffer *out)
{
    for (int g = 0; g < N_GAUGES; g++) {
        buffer_printf(out, "# HELP %s %s\n# TYPE %s gauge\n", gauges[g].name, gauges[g].help, gauges[g].name);
        for (int i = 0; i < goals->tenants.n; i++) {
            const struct goal_tenant *tenant = goals->tenants.sorted[i];
            double value;
            if (tenant->number >= GOALS_MAX_SHOWN || !value_of(tenant, (enum gauge)g, &value))
                continue;
            buffer_printf(out, "%s{tenant=\"", gauges[g].name);
            write_label(out, tenant->name);
            buffer_printf(out, "\",target=\"%s\"} %.17g\n", goal_kind_name(config_goal_of(config, tenant->name)->kind), value);
        }
    }
    buffer_printf(out, "# HELP weir_target_tenants Tenants with a state of their target, shown or not.\n# TYPE weir_target_tenants gauge\nweir_target_tenants %d\n",
                  goals->tenants.n);
}
