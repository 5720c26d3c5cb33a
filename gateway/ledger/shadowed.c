/* Queries over shadow and decision. */
#include "ledger/shadowed.h"

#include "ledger/schema.h"

#include <math.h>

static void copy_text(sqlite3_stmt *row, int column, char *out, size_t n_out)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    str_copy(out, n_out, str_of(text != NULL ? text : ""));
}

int shadowed_each(const char *path, const char *config_sha256, shadowed_fn *fn, void *user, struct error *err)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    int status = sqlite_open_reader(&db, path, err), code;
    if (status == 0) {
        code = sqlite3_prepare_v2(db,
                                  "SELECT s.tenant, d.head_id, json_extract(d.inputs, '$.max_regret'), json_extract(d.inputs, '$.score.gain'),"
                                  " s.probability_ppm / 1e6, s.outcome = 'remote_better' FROM shadow s JOIN decision d USING (decision_id)"
                                  " WHERE s.outcome <> 'unjudged' AND d.config_sha256 = ?1 AND json_extract(d.inputs, '$.goal') IS NULL ORDER BY s.leaf_index",
                                  -1, &statement, NULL);
        if (code == SQLITE_OK)
            code = sqlite3_bind_text(statement, 1, config_sha256, -1, SQLITE_STATIC);
        while (status >= 0 && code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
            struct shadowed shadowed = {.max_regret = sqlite3_column_double(statement, 2),
                                        .gain = sqlite3_column_type(statement, 3) != SQLITE_NULL ? sqlite3_column_double(statement, 3) : NAN,
                                        .probability = sqlite3_column_double(statement, 4), .remote_better = sqlite3_column_int(statement, 5) != 0};
            copy_text(statement, 0, shadowed.tenant, sizeof shadowed.tenant);
            copy_text(statement, 1, shadowed.head_id, sizeof shadowed.head_id);
            status = fn(user, &shadowed);
            code = SQLITE_OK;
        }
        if (status >= 0)
            status = code == SQLITE_DONE ? 0 : sqlite_fail(db, code, path, err);
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return status;
}

int shadowed_month_nusd(const char *path, int64_t wall_ns, int64_t *out, struct error *err)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    int status = sqlite_open_reader(&db, path, err), code;
    *out = 0;
    if (status == 0) {
        code = sqlite3_prepare_v2(db,
                                  "SELECT coalesce(sum(coalesce(cost_nusd, reserved_nusd)), 0) FROM shadow WHERE time_ns >="
                                  " CAST(strftime('%s', ?1 / 1000000000, 'unixepoch', 'start of month') AS INTEGER) * 1000000000",
                                  -1, &statement, NULL);
        if (code == SQLITE_OK)
            code = sqlite3_bind_int64(statement, 1, wall_ns);
        if (code == SQLITE_OK)
            code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
            *out = sqlite3_column_int64(statement, 0);
        else
            status = sqlite_fail(db, code, path, err);
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return status;
}
