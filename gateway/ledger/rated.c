/* Queries over decision, outcome and feedback. The decision's kind and max_regret are read from its recorded inputs.
 *
 * Invariant: what rated_each gives for a rating is what rated_find gave before that rating was appended, but for an outcome that
 * came after it. */
#include "ledger/rated.h"

#include "decide/decide.h"
#include "ledger/schema.h"

#define RATED_COLUMNS \
    "d.tenant, coalesce(o.route, d.route), d.config_sha256, d.head_id, json_extract(d.inputs, '$.name') IS 'auto'" \
    " AND json_extract(d.inputs, '$.goal') IS NULL, json_extract(d.inputs, '$.max_regret'), d.decision_id, json_extract(d.reasons, '$[0]')," \
    " d.inputs"
enum { TENANT, ROUTE, CONFIG, HEAD, IS_AUTO, MAX_REGRET, DECISION, REASON, INPUTS, BEFORE_RATING, BEFORE_CORRECT, RATING, CORRECT };

static void copy_text(sqlite3_stmt *row, int column, char *out, size_t n_out)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    str_copy(out, n_out, str_of(text != NULL ? text : ""));
}

static bool column_down(sqlite3_stmt *row, int rating, int correct)
{
    bool said = sqlite3_column_type(row, correct) != SQLITE_NULL;
    return rating_is_down(sqlite3_column_int64(row, rating), said ? sqlite3_column_int64(row, correct) : LEDGER_NULL);
}

/* What decide() weighed: asked again, as it is a function of the recorded inputs. */
static void read_weights(sqlite3_stmt *row, struct rated *out)
{
    const char *reason = (const char *)sqlite3_column_text(row, REASON), *text = (const char *)sqlite3_column_text(row, INPUTS);
    if (!out->is_auto || reason == NULL || text == NULL || !decide_weighed(str_of(reason)))
        return;
    struct decide_inputs *inputs = malloc(sizeof *inputs);
    json_t *json = json_parse(str_of(text), NULL);
    if (inputs != NULL && json != NULL && decide_inputs_parse(json, inputs, NULL) == 0) {
        struct decision decision;
        decide(inputs, &decision);
        out->weighed = decision.weighed;
        out->gain = (double)inputs->gain;
        out->threshold = decision.threshold;
    }
    json_decref(json);
    free(inputs);
}

static void read_row(sqlite3_stmt *row, struct rated *out)
{
    *out = (struct rated){.is_auto = sqlite3_column_int(row, IS_AUTO) != 0, .max_regret = sqlite3_column_double(row, MAX_REGRET)};
    copy_text(row, TENANT, out->tenant, sizeof out->tenant);
    copy_text(row, ROUTE, out->route, sizeof out->route);
    copy_text(row, CONFIG, out->config_sha256, sizeof out->config_sha256);
    copy_text(row, HEAD, out->head_id, sizeof out->head_id);
    copy_text(row, DECISION, out->decision_id, sizeof out->decision_id);
    read_weights(row, out);
    out->rated_before = sqlite3_column_type(row, BEFORE_RATING) != SQLITE_NULL;
    out->was_down = out->rated_before && column_down(row, BEFORE_RATING, BEFORE_CORRECT);
}

int rated_find(const char *path, const char *decision_id, struct rated *out, struct error *err)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    int status = sqlite_open_reader(&db, path, err), code;
    if (status == 0) {
        code = sqlite3_prepare_v2(db,
                                  "SELECT " RATED_COLUMNS ", f.rating_ppm, f.correct FROM decision d LEFT JOIN outcome o USING (decision_id)"
                                  " LEFT JOIN feedback f ON f.leaf_index = (SELECT max(leaf_index) FROM feedback WHERE decision_id = ?1)"
                                  " WHERE d.decision_id = ?1",
                                  -1, &statement, NULL);
        if (code == SQLITE_OK)
            code = sqlite3_bind_text(statement, 1, decision_id, -1, SQLITE_STATIC);
        if (code == SQLITE_OK)
            code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
            read_row(statement, out);
        else
            status = code == SQLITE_DONE ? error_set(err, WEIR_E_NOT_FOUND, path, "no such decision") : sqlite_fail(db, code, path, err);
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return status;
}

int rated_each(const char *path, const char *config_sha256, rated_fn *fn, void *user, struct error *err)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    int status = sqlite_open_reader(&db, path, err), code;
    if (status == 0) {
        /* The window is over all ratings of a decision, so that each knows the one it replaces. */
        code = sqlite3_prepare_v2(db,
                                  "SELECT " RATED_COLUMNS ", f.before_rating, f.before_correct, f.rating_ppm, f.correct FROM (SELECT leaf_index, decision_id,"
                                  " rating_ppm, correct, lag(rating_ppm) OVER one AS before_rating, lag(correct) OVER one AS before_correct"
                                  " FROM feedback WINDOW one AS (PARTITION BY decision_id ORDER BY leaf_index)) f JOIN decision d USING (decision_id)"
                                  " LEFT JOIN outcome o USING (decision_id) WHERE d.config_sha256 = ?1 AND json_extract(d.inputs, '$.name') = 'auto'"
                                  " AND coalesce(o.route, d.route) = 'local' ORDER BY f.leaf_index",
                                  -1, &statement, NULL);
        if (code == SQLITE_OK)
            code = sqlite3_bind_text(statement, 1, config_sha256, -1, SQLITE_STATIC);
        while (status >= 0 && code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
            struct rated rated;
            read_row(statement, &rated);
            rated.down = column_down(statement, RATING, CORRECT);
            status = fn(user, &rated);
            code = SQLITE_OK;
        }
        if (status >= 0)
            status = code == SQLITE_DONE ? 0 : sqlite_fail(db, code, path, err);
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return status;
}
