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

static int sample_row(void *user, struct reader *reader)
{
    const struct reading *reading = user;
    struct shadowed shadowed = {.max_regret = reader_number(reader, 1), .gain = reader_is_null(reader, 2) ? (double)NAN : reader_number(reader, 2),
                                .probability = reader_number(reader, 3), .remote_better = reader_integer(reader, 4) != 0};
    reader_copy(reader, 0, shadowed.tenant, sizeof shadowed.tenant);
    reader_copy(reader, 5, shadowed.config_sha256, sizeof shadowed.config_sha256);
    return reading->fn(reading->user, &shadowed);
}

int shadowed_each(const char *path, const struct ledger_scope *scope, shadowed_fn *fn, void *user, struct error *err)
{
    static const char sql[] = "SELECT s.tenant, json_extract(d.inputs, '$.max_regret'), json_extract(d.inputs, '$.score.gain'), s.probability_ppm / 1e6,"
                              " s.outcome = 'remote_better', d.config_sha256 FROM shadow s JOIN decision d USING (decision_id) WHERE s.outcome <> 'unjudged' AND d.route = 'local'"
                              " AND " LEDGER_IN_SCOPE("d") " AND " LEDGER_JUDGED_IN_SCOPE("s") " AND json_extract(d.inputs, '$.goal') IS NULL ORDER BY s.leaf_index";
    struct reader reader;
    struct reading reading = {fn, user};
    int status = reader_open(&reader, path, "shadow", sql, err);
    reader_bind_scope(&reader, scope);
    return reader_each(&reader, status, sample_row, &reading);
}

int shadowed_month_nusd(const char *path, int64_t wall_ns, int64_t *out, struct error *err)
{
    static const char sql[] = "SELECT coalesce(sum(coalesce(cost_nusd, reserved_nusd)), 0) FROM shadow WHERE time_ns >="
                              " CAST(strftime('%s', ?1 / 1000000000, 'unixepoch', 'start of month') AS INTEGER) * 1000000000";
    struct reader reader;
    int status = reader_open(&reader, path, "shadow", sql, err);
    *out = 0;
    reader_bind_integer(&reader, 1, wall_ns);
    if (status == 0 && (status = reader_next(&reader)) > 0) {
        *out = reader_integer(&reader, 0);
        status = 0;
    }
    reader_close(&reader);
    return status;
}
