/* Invariant: a reader that failed to open, or whose table is not there, can be bound, read (no rows, or the failure) and closed all the same. */
#include "ledger/reader.h"

#include "ledger/schema.h"

int reader_open(struct reader *reader, const char *path, const char *table, const char *sql, struct error *err)
{
    *reader = (struct reader){.path = path, .err = err};
    int status = sqlite_open_reader(&reader->db, path, err);
    if (status < 0 || !schema_has_table(reader->db, table))
        return status;
    int code = sqlite3_prepare_v2(reader->db, sql, -1, &reader->statement, NULL);
    return code == SQLITE_OK ? 0 : sqlite_fail(reader->db, code, path, err);
}

void reader_bind_integer(struct reader *reader, int at, int64_t value)
{
    if (reader->statement != NULL)
        sqlite3_bind_int64(reader->statement, at, value);
}

void reader_bind_text(struct reader *reader, int at, const char *value)
{
    if (reader->statement != NULL)
        sqlite3_bind_text(reader->statement, at, value, -1, SQLITE_STATIC);
}

void reader_bind_scope(struct reader *reader, const struct ledger_scope *scope)
{
    reader_bind_text(reader, 1, scope->config_sha256);
    reader_bind_text(reader, 2, scope->head_id);
    reader_bind_text(reader, 3, scope->answers_id);
    if (reader->statement != NULL && sqlite3_bind_parameter_count(reader->statement) >= 4)
        reader_bind_text(reader, 4, scope->judge);
}

bool ledger_scope_has(const struct ledger_scope *scope, const char *config_sha256, const char *head_id, const char *answers_id)
{
    bool same = answers_id[0] != '\0' ? strcmp(answers_id, scope->answers_id) == 0 : strcmp(config_sha256, scope->config_sha256) == 0;
    return same && strcmp(head_id, scope->head_id) == 0;
}

int reader_next(struct reader *reader)
{
    if (reader->statement == NULL)
        return 0;
    int code = sqlite3_step(reader->statement);
    return code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 : sqlite_fail(reader->db, code, reader->path, reader->err);
}

int reader_each(struct reader *reader, int status, reader_row_fn *row, void *user)
{
    while (status >= 0 && (status = reader_next(reader)) > 0)
        status = row(user, reader);
    reader_close(reader);
    return status;
}

void reader_close(struct reader *reader)
{
    sqlite3_finalize(reader->statement);
    sqlite3_close(reader->db);
}

const char *reader_text(struct reader *reader, int column)
{
    const char *value = (const char *)sqlite3_column_text(reader->statement, column);
    return value != NULL ? value : "";
}

void reader_copy(struct reader *reader, int column, char *out, size_t n_out)
{
    str_copy(out, n_out, str_of(reader_text(reader, column)));
}

int64_t reader_integer(struct reader *reader, int column)
{
    return sqlite3_column_int64(reader->statement, column);
}

double reader_number(struct reader *reader, int column)
{
    return sqlite3_column_double(reader->statement, column);
}

bool reader_is_null(struct reader *reader, int column)
{
    return sqlite3_column_type(reader->statement, column) == SQLITE_NULL;
}
