/* The ledger's tables and views, their migration, and what a start has to mend. Writer's connection only. */
#ifndef WEIR_LEDGER_SCHEMA_H
#define WEIR_LEDGER_SCHEMA_H

#include "ledger/merkle.h"
#include "ledger/row.h"

enum { SCHEMA_VERSION = 6 };

/* err from the connection's last error; the status says what kind it is: WEIR_E_FULL, WEIR_E_STATE (locked), WEIR_E_IO,
 * WEIR_E_INVALID (a constraint; not a database). */
int sqlite_fail(sqlite3 *db, int code, const char *where, struct error *err);
int sqlite_run(sqlite3 *db, const char *sql, const char *where, struct error *err) WEIR_CHECKED;
/* A connection that only reads, for other threads than the writer's; the caller closes *db on failure too. */
int sqlite_open_reader(sqlite3 **db, const char *path, struct error *err) WEIR_CHECKED;
/* The same of a file that perhaps lies where nothing can be written: SQLite then cannot read what is in its -wal file, and takes the file alone
 * as it is. *unread_bytes: of that -wal file, 0 where all was read. */
int sqlite_open_still(sqlite3 **db, const char *path, int64_t *unread_bytes, struct error *err) WEIR_CHECKED;
/* The schema's version that the file has; 0: none, or it can't be read. */
int schema_version(sqlite3 *db);
/* Is there such a table? A reader may meet a file that was last written by an older Weir. */
bool schema_has_table(sqlite3 *db, const char *name);
/* Creates or migrates. WEIR_E_UNSUPPORTED: the file is from a newer Weir. */
int schema_migrate(sqlite3 *db, const char *where, struct error *err) WEIR_CHECKED;
/* Rebuilds the tree's edge from the last checkpoint and the rows after it. */
int schema_load_tree(sqlite3 *db, const char *where, struct merkle *tree, struct error *err) WEIR_CHECKED;
/* The decisions that have no outcome: an `interrupted` row for each into a list; and the shadow plans of which nothing came: an
 * `unjudged` row for each. */
int schema_interrupted(sqlite3 *db, const char *where, struct ledger_row **out, size_t *n, struct error *err) WEIR_CHECKED;
/* A checkpoint row for the tree as it is; settled: every decision before it has its outcome. */
int schema_checkpoint(sqlite3 *db, const char *where, const struct merkle *tree, bool settled, struct error *err) WEIR_CHECKED;

#endif
