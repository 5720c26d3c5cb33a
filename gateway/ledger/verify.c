/* Verification: the rows of decision, attempt, outcome, feedback, shadow_plan, shadow, judgement and threshold in the order of leaf_index against their own leaf_hash and against
 * each checkpoint's root.
 *
 * Invariant: reads only; uses nothing of the writer's but the canonical form and the tree. A reader of any process. */
#include "ledger/verify.h"

#include "ledger/schema.h"

struct cursor {
    sqlite3_stmt *statement;
    enum row_table table;
    bool there;
};

/* The statement's next row: *there says whether there is one. What cannot be read is no end. */
static int step(sqlite3_stmt *statement, bool *there, const char *path, struct error *err)
{
    int code = statement != NULL ? sqlite3_step(statement) : SQLITE_DONE;
    *there = code == SQLITE_ROW;
    return *there || code == SQLITE_DONE ? 0 : sqlite_fail(sqlite3_db_handle(statement), code, path, err);
}

/* Length of the table's columns as the file has them: one of an older schema lacks the last ones. */
static int columns_length(sqlite3 *db, const struct table_spec *spec)
{
    size_t n = strlen(spec->columns);
    for (int i = 0; i < spec->n_later && schema_version(db) < SCHEMA_VERSION; i++)
        while (spec->columns[--n] != ',')
            continue;
    return (int)n;
}

static int cursor_open(sqlite3 *db, struct cursor *cursor, enum row_table table, const char *path, struct error *err)
{
    char sql[1024];
    const struct table_spec *spec = &row_tables[table];
    snprintf(sql, sizeof sql, "SELECT leaf_index, leaf_hash, %.*s FROM %s ORDER BY leaf_index", columns_length(db, spec), spec->columns, spec->name);
    cursor->table = table;
    int code = sqlite3_prepare_v2(db, sql, -1, &cursor->statement, NULL);
    return code == SQLITE_OK ? 0 : sqlite_fail(db, code, path, err);
}

static int check_checkpoint(sqlite3_stmt *checkpoint, const struct merkle *tree, const char *path, struct verify_report *report, struct error *err)
{
    uint8_t root[SHA256_BYTES];
    merkle_root(tree, root);
    if (sqlite3_column_bytes(checkpoint, 1) != SHA256_BYTES || memcmp(sqlite3_column_blob(checkpoint, 1), root, SHA256_BYTES) != 0)
        return error_set(err, WEIR_E_INVALID, path, "the rows before %llu do not give the root of the checkpoint there: a row or its hash was changed",
                         (unsigned long long)tree->size);
    report->n_checkpoints++;
    report->verified_size = tree->size;
    return 0;
}

static int check_row(struct cursor *cursor, struct merkle *tree, struct buffer *canonical, const char *path, struct error *err)
{
    uint8_t hash[SHA256_BYTES];
    sqlite3_stmt *row = cursor->statement;
    int64_t index = sqlite3_column_int64(row, 0);
    if (index != (int64_t)tree->size)
        return error_set(err, WEIR_E_INVALID, path, "row %llu is missing (the next is %lld, in %s)", (unsigned long long)tree->size, (long long)index,
                         row_tables[cursor->table].name);
    row_canonical_statement(cursor->table, row, 2, canonical);
    if (canonical->failed)
        return error_set(err, WEIR_E_LIMIT, path, "row %lld of %s is too large", (long long)index, row_tables[cursor->table].name);
    merkle_leaf_hash(buffer_str(canonical), hash);
    if (sqlite3_column_bytes(row, 1) != SHA256_BYTES || memcmp(sqlite3_column_blob(row, 1), hash, sizeof hash) != 0)
        return error_set(err, WEIR_E_INVALID, path, "row %lld, in %s, was changed: its content is not what its hash was made of", (long long)index,
                         row_tables[cursor->table].name);
    merkle_append(tree, hash);
    return 0;
}

static int verify_all(sqlite3 *db, struct cursor cursors[ROW_LEAFED], sqlite3_stmt *checkpoint, const char *path, struct verify_report *report, struct error *err)
{
    struct merkle *tree = calloc(1, sizeof *tree);
    struct buffer canonical;
    int status = tree == NULL ? error_set(err, WEIR_E_MEMORY, path, "out of memory") : 0;
    buffer_init(&canonical, 16 << 20);
    bool due = false;
    for (int i = 0; i < ROW_LEAFED && status == 0; i++)
        status = step(cursors[i].statement, &cursors[i].there, path, err);
    if (status == 0)
        status = step(checkpoint, &due, path, err);
    while (status == 0) {
        while (status == 0 && due && sqlite3_column_int64(checkpoint, 0) == (int64_t)tree->size) {
            status = check_checkpoint(checkpoint, tree, path, report, err);
            if (status == 0)
                status = step(checkpoint, &due, path, err);
        }
        struct cursor *next = NULL;
        for (int i = 0; i < ROW_LEAFED; i++)
            if (cursors[i].there && (next == NULL || sqlite3_column_int64(cursors[i].statement, 0) < sqlite3_column_int64(next->statement, 0)))
                next = &cursors[i];
        if (status < 0 || next == NULL)
            break;
        status = check_row(next, tree, &canonical, path, err);
        if (status == 0)
            status = step(next->statement, &next->there, path, err);
        report->n_rows++;
    }
    if (status == 0 && due)
        status = error_set(err, WEIR_E_INVALID, path, "a checkpoint covers %lld rows and there are %llu: rows were dropped at the end",
                           (long long)sqlite3_column_int64(checkpoint, 0), (unsigned long long)tree->size);
    if (status == 0) {
        uint8_t root[SHA256_BYTES];
        merkle_root(tree, root);
        hex_encode(root, sizeof root, report->root);
    }
    buffer_release(&canonical);
    free(tree);
    return status;
}

int ledger_verify(const char *path, struct verify_report *report, struct error *err)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *checkpoint = NULL;
    struct cursor cursors[ROW_LEAFED] = {{NULL}};
    memset(report, 0, sizeof *report);
    int code, status = sqlite_open_still(&db, path, &report->unread_bytes, err);
    if (status == 0)
        status = sqlite_run(db, "BEGIN", path, err); /* One moment of the file for all cursors. */
    for (int table = 0; table < ROW_LEAFED && status == 0; table++) {
        if (table >= ROW_FEEDBACK && !schema_has_table(db, row_tables[table].name))
            continue; /* An older schema. */
        status = cursor_open(db, &cursors[table], (enum row_table)table, path, err);
    }
    if (status == 0 && (code = sqlite3_prepare_v2(db, "SELECT tree_size, root_hash FROM checkpoint ORDER BY tree_size", -1, &checkpoint, NULL)) != SQLITE_OK)
        status = sqlite_fail(db, code, path, err);
    if (status == 0)
        status = verify_all(db, cursors, checkpoint, path, report, err);
    for (int i = 0; i < ROW_LEAFED; i++)
        sqlite3_finalize(cursors[i].statement);
    sqlite3_finalize(checkpoint);
    sqlite3_close(db);
    return status;
}
