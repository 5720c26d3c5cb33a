/* Queries over decision, outcome, feedback, shadow and threshold. Invariant: rows come in the order in which they were committed. */
#include "ledger/history.h"

#include "decide/decide.h"
#include "ledger/schema.h"

/* A statement over a connection of its own; both are closed by query_close. *statement NULL: the table is not there (an older file). */
struct query {
    sqlite3 *db;
    sqlite3_stmt *statement;
    const char *path;
    struct error *err;
};

static int query_open(struct query *query, const char *path, const char *table, const char *sql, struct error *err)
{
    *query = (struct query){.path = path, .err = err};
    int status = sqlite_open_reader(&query->db, path, err);
    if (status < 0 || !schema_has_table(query->db, table))
        return status;
    int code = sqlite3_prepare_v2(query->db, sql, -1, &query->statement, NULL);
    return code == SQLITE_OK ? 0 : sqlite_fail(query->db, code, path, err);
}

/* 1: a row; 0: no more. */
static int query_next(struct query *query)
{
    if (query->statement == NULL)
        return 0;
    int code = sqlite3_step(query->statement);
    return code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 : sqlite_fail(query->db, code, query->path, query->err);
}

static void query_close(struct query *query)
{
    sqlite3_finalize(query->statement);
    sqlite3_close(query->db);
}

static const char *text(struct query *query, int column)
{
    const char *value = (const char *)sqlite3_column_text(query->statement, column);
    return value != NULL ? value : "";
}

int history_decisions(const char *path, history_decision_fn *fn, void *user, struct error *err)
{
    static const char sql[] =
        "WITH since AS (SELECT coalesce((SELECT max(leaf_index) FROM decision), 0) - ?1 AS leaf)"
        " SELECT leaf_index, coalesce(tenant, ''), time_ns, 0, route, json_extract(reasons, '$[0]'), json_extract(inputs, '$.score.gain'),"
        " json_extract(inputs, '$.goal') FROM decision WHERE leaf_index > (SELECT leaf FROM since) AND json_extract(inputs, '$.goal') IS NOT NULL"
        " AND json_extract(inputs, '$.name') = 'auto' AND (route = 'local' OR route LIKE 'remote:%') AND json_extract(reasons, '$[0]') IS NOT 'tool_loop_kept'"
        " UNION ALL SELECT o.leaf_index, coalesce(o.tenant, ''), o.time_ns, 1, o.route, NULL, NULL, NULL FROM outcome o JOIN decision d USING (decision_id)"
        " WHERE o.leaf_index > (SELECT leaf FROM since) AND d.route = 'local' AND o.route LIKE 'remote:%' AND json_extract(d.inputs, '$.goal') IS NOT NULL"
        " ORDER BY 1";
    struct query query;
    int status = query_open(&query, path, "decision", sql, err);
    if (status == 0)
        sqlite3_bind_int64(query.statement, 1, HISTORY_ROWS);
    while (status == 0 && (status = query_next(&query)) > 0) {
        struct history_decision row = {.tenant = text(&query, 1), .time_ns = sqlite3_column_int64(query.statement, 2),
                                       .late = sqlite3_column_int(query.statement, 3) != 0, .left = text(&query, 4)[0] == 'r',
                                       .weighed = decide_weighed(str_of(text(&query, 5))) && sqlite3_column_type(query.statement, 6) != SQLITE_NULL,
                                       .gain = sqlite3_column_double(query.statement, 6)};
        json_t *goal = row.late ? NULL : json_parse(str_of(text(&query, 7)), NULL);
        row.goal = goal;
        status = row.late || goal != NULL ? fn(user, &row) : 0;
        json_decref(goal);
    }
    query_close(&query);
    return status;
}

int history_spent(const char *path, int64_t since_ns, history_spent_fn *fn, void *user, struct error *err)
{
    static const char sql[] =
        "SELECT coalesce(o.tenant, ''), sum(coalesce(o.cost_nusd, CASE WHEN o.route LIKE 'remote:%' THEN"
        " (SELECT coalesce(d.reserved_nusd, json_extract(d.inputs, '$.targets[0].worst_nusd')) FROM decision d WHERE d.decision_id = o.decision_id) END, 0))"
        " FROM outcome o WHERE o.time_ns >= ?1 GROUP BY 1";
    struct query query;
    int status = query_open(&query, path, "outcome", sql, err);
    if (status == 0)
        sqlite3_bind_int64(query.statement, 1, since_ns);
    while (status == 0 && (status = query_next(&query)) > 0)
        status = fn(user, text(&query, 0), sqlite3_column_int64(query.statement, 1));
    query_close(&query);
    return status;
}

int history_thresholds(const char *path, const char *config_sha256, const char *head_id, history_threshold_fn *fn, void *user, struct error *err)
{
    static const char sql[] = "SELECT leaf_index, coalesce(tenant, ''), reason, max_regret_ppm, new_ppm, n_labels FROM threshold"
                              " WHERE config_sha256 = ?1 AND coalesce(head_id, '') = ?2 ORDER BY leaf_index";
    struct query query;
    int status = query_open(&query, path, "threshold", sql, err);
    if (status == 0 && query.statement != NULL) {
        sqlite3_bind_text(query.statement, 1, config_sha256, -1, SQLITE_STATIC);
        sqlite3_bind_text(query.statement, 2, head_id, -1, SQLITE_STATIC);
    }
    while (status == 0 && (status = query_next(&query)) > 0) {
        struct history_threshold row = {.leaf_index = sqlite3_column_int64(query.statement, 0), .tenant = text(&query, 1),
                                        .refuted = strcmp(text(&query, 2), "refuted") == 0, .max_regret_ppm = sqlite3_column_int64(query.statement, 3),
                                        .new_ppm = sqlite3_column_int64(query.statement, 4), .n_labels = sqlite3_column_int64(query.statement, 5)};
        status = fn(user, &row);
    }
    query_close(&query);
    return status;
}

int history_labels(const char *path, const char *config_sha256, const char *head_id, history_label_fn *fn, void *user, struct error *err)
{
#define OF_A_REGRET "d.config_sha256 = ?1 AND coalesce(d.head_id, '') = ?2 AND json_extract(d.inputs, '$.name') = 'auto' AND json_extract(d.inputs, '$.goal') IS NULL"
    static const char sql[] =
        "SELECT f.leaf_index, coalesce(d.tenant, ''), d.decision_id, d.inputs, f.rating_ppm < 0 OR f.correct = 0 FROM feedback f JOIN decision d USING (decision_id)"
        " LEFT JOIN outcome o USING (decision_id) WHERE " OF_A_REGRET " AND coalesce(o.route, d.route) = 'local'"
        " UNION ALL SELECT s.leaf_index, coalesce(d.tenant, ''), d.decision_id, d.inputs, s.outcome = 'remote_better' FROM shadow s JOIN decision d USING (decision_id)"
        " WHERE " OF_A_REGRET " AND s.outcome <> 'unjudged' ORDER BY 1";
    struct query query;
    int status = query_open(&query, path, "threshold", sql, err); /* Of the schema that has all of them. */
    if (status == 0 && query.statement != NULL) {
        sqlite3_bind_text(query.statement, 1, config_sha256, -1, SQLITE_STATIC);
        sqlite3_bind_text(query.statement, 2, head_id, -1, SQLITE_STATIC);
    }
    while (status == 0 && (status = query_next(&query)) > 0) {
        struct history_label row = {.leaf_index = sqlite3_column_int64(query.statement, 0), .tenant = text(&query, 1), .decision_id = text(&query, 2),
                                    .inputs = text(&query, 3), .worse = sqlite3_column_int(query.statement, 4) != 0};
        status = fn(user, &row);
    }
    query_close(&query);
    return status;
}
