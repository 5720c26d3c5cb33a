/* Queries over shadow and decision. */
#include "ledger/shadowed.h"

#include <math.h>

struct reading {
    shadowed_fn *fn;
    void *user;
};

bool shadowed_is_lost(const char *reason)
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "'%s'", reason);
    return strstr(SHADOWED_LOST, quoted) != NULL;
}

static int sample_row(void *user, struct query *query)
{
    const struct reading *reading = user;
    struct shadowed shadowed = {.max_regret = query_number(query, 1), .gain = query_is_null(query, 2) ? (double)NAN : query_number(query, 2),
                                .probability = query_number(query, 3), .remote_better = query_integer(query, 4) != 0};
    query_copy(query, 0, shadowed.tenant, sizeof shadowed.tenant);
    return reading->fn(reading->user, &shadowed);
}

int shadowed_each(const char *path, const struct ledger_scope *scope, shadowed_fn *fn, void *user, struct error *err)
{
    static const char sql[] = "SELECT s.tenant, json_extract(d.inputs, '$.max_regret'), json_extract(d.inputs, '$.score.gain'), s.probability_ppm / 1e6,"
                              " s.outcome = 'remote_better' FROM shadow s JOIN decision d USING (decision_id) WHERE s.outcome <> 'unjudged' AND d.route = 'local'"
                              " AND " QUERY_IN_SCOPE("d") " AND " QUERY_JUDGED_IN_SCOPE("s") " AND json_extract(d.inputs, '$.goal') IS NULL ORDER BY s.leaf_index";
    struct query query;
    struct reading reading = {fn, user};
    int status = query_open(&query, path, "shadow", sql, err);
    query_bind_scope(&query, scope);
    return query_each(&query, status, sample_row, &reading);
}

int shadowed_month_nusd(const char *path, int64_t wall_ns, int64_t *out, struct error *err)
{
    static const char sql[] = "SELECT coalesce(sum(coalesce(cost_nusd, reserved_nusd)), 0) FROM shadow WHERE time_ns >="
                              " CAST(strftime('%s', ?1 / 1000000000, 'unixepoch', 'start of month') AS INTEGER) * 1000000000";
    struct query query;
    int status = query_open(&query, path, "shadow", sql, err);
    *out = 0;
    query_bind_integer(&query, 1, wall_ns);
    if (status == 0 && (status = query_next(&query)) > 0) {
        *out = query_integer(&query, 0);
        status = 0;
    }
    query_close(&query);
    return status;
}
