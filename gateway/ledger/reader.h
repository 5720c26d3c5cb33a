/* Reader: a statement over a connection of its own that only reads, for those who ask the ledger's file beside the writer. Only rows that are in
 * the file are seen: ledger_settle first. Any thread. */
#ifndef WEIR_LEDGER_READER_H
#define WEIR_LEDGER_READER_H

#include "ledger/ledger.h"

#include <sqlite3.h>

struct reader {
    sqlite3 *db;
    sqlite3_stmt *statement; /* NULL: the table is not there (a file of an older schema), and there are no rows. */
    const char *path;
    struct error *err;
};

/* Opens both; reader_close is called whatever comes of it. sql is constant; table: one that it reads. */
int reader_open(struct reader *reader, const char *path, const char *table, const char *sql, struct error *err) WEIR_CHECKED;
void reader_bind_integer(struct reader *reader, int at, int64_t value);
void reader_bind_text(struct reader *reader, int at, const char *value); /* Borrowed until reader_close. */
/* 1: a row; 0: no more. */
int reader_next(struct reader *reader) WEIR_CHECKED;
/* The loop that most readers are: row(user, reader) for each row; a negative status of it ends the loop and is returned. Closes. status: of
 * reader_open. */
typedef int reader_row_fn(void *user, struct reader *reader);
int reader_each(struct reader *reader, int status, reader_row_fn *row, void *user) WEIR_CHECKED;
void reader_close(struct reader *reader);

const char *reader_text(struct reader *reader, int column); /* "": NULL. Until the next row. */
void reader_copy(struct reader *reader, int column, char *out, size_t n_out);
int64_t reader_integer(struct reader *reader, int column);
double reader_number(struct reader *reader, int column);
bool reader_is_null(struct reader *reader, int column);

/* What is in force now. Labels count while they are of decisions that it made: with this head, about these answers (ledger_decision.answers_id;
 * of a decision without one, by this very configuration). */
struct ledger_scope {
    const char *config_sha256;
    const char *head_id;    /* "": none. */
    const char *answers_id; /* "": not known. */
    const char *judge;      /* Samples judged by it, as provider/model; "": by any. */
};
/* The condition on a decision, which has the parameters ?1, ?2 and ?3, on a sample, which has ?4, and on a threshold, which has all (its answers_id has
 * the judge behind it: LEDGER_THRESHOLD_ID). */
#define LEDGER_IN_SCOPE(table) "(coalesce(" table ".answers_id = ?3, " table ".config_sha256 = ?1) AND coalesce(" table ".head_id, '') = ?2)"
#define LEDGER_JUDGED_IN_SCOPE(table) "(?4 = '' OR " table ".judge_provider || '/' || " table ".judge_provider_model = ?4)"
#define LEDGER_THRESHOLD_IN_SCOPE(table) \
    "(coalesce(" table ".answers_id IN (?3 || ':', ?3 || ':' || ?4) OR (?4 = '' AND " table ".answers_id LIKE ?3 || ':%'), " table ".config_sha256 = ?1)" \
    " AND coalesce(" table ".head_id, '') = ?2)"
#define LEDGER_THRESHOLD_ID "%s:%s" /* answers_id, judge */
void reader_bind_scope(struct reader *reader, const struct ledger_scope *scope);
/* The same as a function. answers_id "": of a decision without one. */
bool ledger_scope_has(const struct ledger_scope *scope, const char *config_sha256, const char *head_id, const char *answers_id);

#endif
