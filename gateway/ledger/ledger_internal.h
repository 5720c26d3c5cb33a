/* What the two halves of the ledger share: ledger.c takes rows in on any thread, writer.c writes them on its own.
 * Order of locks where they nest: ledger.lock, then port.lock. */
#ifndef WEIR_LEDGER_LEDGER_INTERNAL_H
#define WEIR_LEDGER_LEDGER_INTERNAL_H

#include "ledger/row.h"
#include "ledger/schema.h"

#include <stdatomic.h>

enum {
    GROUP_ROWS = 100,         /* At most, in one commit. */
    RETRY_US = 100000,        /* Between tries while rows cannot be written. */
    BUSY_MS = 100,            /* Waited for another process's lock before a try fails. */
    CHECKPOINT_ROWS = 4096,   /* A tree head at least this often, … */
    HEAD_ROWS_IDLE = 256,     /* … when the writer falls idle after this many, */
    HEAD_EVERY_US = 60000000, /* or this long after the last one; and at the end. */
    WAL_PAGES_IDLE = 256,     /* The log is moved into the file when idle and this long … */
    WAL_PAGES_MAX = 8192,     /* … or busy and this long (32 MiB). */
    OTHERS_PER_DECISION = 10, /* Attempts and outcomes that find room for each decision that does. */
};

struct ledger_port {
    pthread_mutex_t lock; /* Guards done, tail, closed. */
    struct completion *done, **tail;
    bool closed;
    atomic_int refs;      /* The owner's, and one for each completion on its way. */
    ledger_notify_fn *notify;
    void *user;
};

struct ledger_job {
    struct ledger_job *next;
    ledger_job_fn *fn;
    void *user;
    struct error *err;
    int status;
    bool finished;
};

struct ledger {
    char *path;
    int lock_fd;
    enum ledger_durability durability;
    pthread_t writer;
    bool writing;          /* The thread runs. */

    pthread_mutex_t lock;  /* Guards all below up to the writer's part. */
    pthread_cond_t wake;   /* The writer waits here. */
    pthread_cond_t job_done; /* Broadcast after jobs, commits and failed commits. */
    struct ledger_row *rows, **rows_tail;
    struct ledger_job *jobs, **jobs_tail;
    int64_t n_waiting;     /* Rows not yet written, the writer's included. */
    int64_t n_accepted;    /* Since the start, those of n_waiting included. */
    int64_t max_waiting;
    bool closing;
    struct ledger_stats stats;

    /* The writer's own. */
    sqlite3 *db;
    sqlite3_stmt *insert[ROW_TABLES];
    sqlite3_stmt *usage;
    struct merkle tree;
    uint64_t checkpointed; /* tree.size of the last checkpoint row, and when. */
    int64_t checkpointed_us;
    int wal_pages;
    struct ledger_row *group, **group_tail; /* Taken from rows, not yet committed. */
    int n_group;
    struct buffer canonical;
};

void *ledger_writer_run(void *ledger);
/* Opens the database, migrates, recovers: on the opening thread, before the writer starts. */
int ledger_writer_open(struct ledger *ledger, const char *vfs, struct error *err) WEIR_CHECKED;
void ledger_writer_close(struct ledger *ledger);
/* Hands a row's completion to its port; *woken collects the port so that one batch notifies once. */
void ledger_complete(struct ledger_row *row, int status);
void port_unref(struct ledger_port *port);

#endif
