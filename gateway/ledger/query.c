/* Invariant: a query that failed to open, or whose table is not there, can be bound, read (no rows, or the failure) and closed all the same. */
#include "ledger/query.h"

#include "ledger/schema.h"

int query_open(struct query *query, const char *path, const char *table, const char *sql, struct error *err)
{
    *query = (struct query){.path = path, .err = err};
    int status = sqlite_open_reader(&query->db, path, err);
    if (status < 0 || !schema_has_table(query->db, table))
        return status;
    int code = sqlite3_prepare_v2(query->db, sql, -1, &query->statement, NULL);
    return code == SQLITE_OK ? 0 : sqlite_fail(query->db, code, path, err);
}

void query_bind_integer(struct query *query, int at, int64_t value)
{
    if (query->statement != NULL)
        sqlite3_bind_int64(query->statement, at, value);
}

void query_bind_text(struct query *query, int at, const char *value)
{
    if (query->statement != NULL)
        sqlite3_bind_text(query->statement, at, value, -1, SQLITE_STATIC);
}

void query_bind_scope(struct query *query, const struct ledger_scope *scope)
{
    query_bind_text(query, 1, scope->config_sha256);
    query_bind_text(query, 2, scope->head_id);
    query_bind_text(query, 3, scope->answers_id);
    if (query->statement != NULL && sqlite3_bind_parameter_count(query->statement) >= 4)
        query_bind_text(query, 4, scope->judge);
}

bool ledger_scope_has(const struct ledger_scope *scope, const char *config_sha256, const char *head_id, const char *answers_id)
{
    bool same = answers_id[0] != '\0' ? strcmp(answers_id, scope->answers_id) == 0 : strcmp(config_sha256, scope->config_sha256) == 0;
    return same && strcmp(head_id, scope->head_id) == 0;
}

int query_next(struct query *query)
{
    if (query->statement == NULL)
        return 0;
    int code = sqlite3_step(query->statement);
    return code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 : sqlite_fail(query->db, code, query->path, query->err);
}

int query_each(struct query *query, int status, query_row_fn *row, void *user)
{
    while (status >= 0 && (status = query_next(query)) > 0)
        status = row(user, query);
    query_close(query);
    return status;
}

void query_close(struct query *query)
{
    sqlite3_finalize(query->statement);
    sqlite3_close(query->db);
}

const char *query_text(struct query *query, int column)
{
    const char *value = (const char *)sqlite3_column_text(query->statement, column);
    return value != NULL ? value : "";
}

void query_copy(struct query *query, int column, char *out, size_t n_out)
{
    str_copy(out, n_out, str_of(query_text(query, column)));
}

int64_t query_integer(struct query *query, int column)
{
    return sqlite3_column_int64(query->statement, column);
}

double query_number(struct query *query, int column)
{
    return sqlite3_column_double(query->statement, column);
}

bool query_is_null(struct query *query, int column)
{
    return sqlite3_column_type(query->statement, column) == SQLITE_NULL;
}
