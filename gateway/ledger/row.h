/* One row on its way to the ledger: a table, its values, their texts, all in one allocation. */
#ifndef WEIR_LEDGER_ROW_H
#define WEIR_LEDGER_ROW_H

#include "ledger/ledger.h"

#include <sqlite3.h>

/* The first ROW_LEAFED are leaves of the tree. */
enum row_table { ROW_DECISION, ROW_ATTEMPT, ROW_OUTCOME, ROW_FEEDBACK, ROW_SHADOW_PLAN, ROW_SHADOW, ROW_JUDGEMENT, ROW_THRESHOLD, ROW_PACK, ROW_PRICE, ROW_TABLES };
enum { ROW_LEAFED = ROW_PACK, ROW_MAX_VALUES = 32 };

struct row_value {
    const char *text; /* NULL: an integer. */
    int64_t integer;  /* LEDGER_NULL: NULL. Of a text: its length. */
};

struct completion {
    struct completion *next;
    struct ledger_port *port;
    ledger_done_fn *done;
    void *user;
    int status;
};

struct ledger_row {
    struct ledger_row *next;
    enum row_table table;
    bool failed; /* Refused by a constraint: not written, not tried again. */
    struct completion *completion; /* NULL: nobody waits, or has been told. */
    int n_values;
    struct row_value values[];
};

struct table_spec {
    const char *name;
    const char *columns; /* Comma-separated, in the order of the values. */
    bool leafed;         /* Has leaf_index and leaf_hash before the columns. */
    int n_later;         /* Of the columns so many, the last ones, came with a later schema. */
};
extern const struct table_spec row_tables[ROW_TABLES];

/* All NULL on lack of memory. Freed with free(). */
struct ledger_row *row_of_decision(const struct ledger_decision *decision);
struct ledger_row *row_of_attempt(const struct ledger_attempt *attempt);
struct ledger_row *row_of_outcome(const struct ledger_outcome *outcome);
struct ledger_row *row_of_feedback(const struct ledger_feedback *feedback);
struct ledger_row *row_of_shadow_plan(const struct ledger_shadow_plan *plan);
struct ledger_row *row_of_shadow(const struct ledger_shadow *shadow);
struct ledger_row *row_of_judgement(const struct ledger_judgement *judgement);
struct ledger_row *row_of_threshold(const struct ledger_threshold *threshold);
struct ledger_row *row_of_pack(const char *sha256, const char *name, const char *version);
struct ledger_row *row_of_price(const char *version, const struct price *price);

/* The row as its leaf hash covers it: a JSON array of the table's name and the values in order of the columns. Columns of a later schema that are
 * NULL at the end are left out, so that a row of before hashes as it did. */
void row_canonical(const struct ledger_row *row, struct buffer *out);
/* The same of a row read back: statement's columns from `first` on are the table's columns. */
void row_canonical_statement(enum row_table table, sqlite3_stmt *statement, int first, struct buffer *out);

#endif
