/* The writer: the only thread and the only connection that writes and checkpoints ledger.db.
 *
 * Groups form by themselves: while one commit is under way rows gather, and all of them (at most GROUP_ROWS) are the next
 * transaction. Invariant: the tree in memory is the tree of the committed rows; a failed commit restores it. A group that
 * fails stays whole and in order, its waiters are told at once, and it is tried again every RETRY_US. A row that breaks a
 * constraint is dropped with an error in the log, so that it cannot stop the others. */
#include "ledger/ledger_internal.h"

#include <errno.h>

/* ------------------------------------------------------------------ opening and recovery */

static int on_wal(void *user, sqlite3 *db, const char *name, int pages)
{
    ((struct ledger *)user)->wal_pages = pages;
    return SQLITE_OK;
}

static int prepare(struct ledger *ledger, struct error *err)
{
    for (int table = 0; table < ROW_TABLES; table++) {
        const struct table_spec *spec = &row_tables[table];
        struct buffer sql;
        buffer_init(&sql, 4096);
        buffer_printf(&sql, "INSERT %s INTO %s(%s%s) VALUES(?", spec->leafed ? "" : "OR IGNORE", spec->name, spec->leafed ? "leaf_index,leaf_hash," : "", spec->columns);
        int n = spec->leafed ? 3 : 1;
        for (const char *c = spec->columns; *c != '\0'; c++)
            n += *c == ',';
        for (int i = 1; i < n; i++)
            buffer_append_text(&sql, ",?");
        buffer_append_char(&sql, ')');
        int code = sql.failed ? SQLITE_NOMEM : sqlite3_prepare_v3(ledger->db, sql.data, -1, SQLITE_PREPARE_PERSISTENT, &ledger->insert[table], NULL);
        buffer_release(&sql);
        if (code != SQLITE_OK)
            return sqlite_fail(ledger->db, code, ledger->path, err);
    }
    int code = sqlite3_prepare_v3(ledger->db,
                                  "INSERT INTO key_usage VALUES(?1, strftime('%Y-%m-%d', ?2 / 1000000000, 'unixepoch'), 1, ?3, ?4, ?5, ?6)"
                                  " ON CONFLICT DO UPDATE SET requests = requests + 1, prompt_tokens = prompt_tokens + excluded.prompt_tokens,"
                                  " completion_tokens = completion_tokens + excluded.completion_tokens, cost_nusd = cost_nusd + excluded.cost_nusd,"
                                  " unpriced_requests = unpriced_requests + excluded.unpriced_requests",
                                  -1, SQLITE_PREPARE_PERSISTENT, &ledger->usage, NULL);
    return code == SQLITE_OK ? 0 : sqlite_fail(ledger->db, code, ledger->path, err);
}

static int write_group(struct ledger *ledger, struct error *err);
static void drop_written(struct ledger *ledger);

/* A row for each decision and shadow sample that a crash left without an outcome. */
static int recover(struct ledger *ledger, struct error *err)
{
    size_t n;
    int status = schema_interrupted(ledger->db, ledger->path, &ledger->group, &n, err);
    for (struct ledger_row *row = ledger->group; row != NULL; row = row->next) {
        ledger->n_group++;
        ledger->n_waiting++;
        ledger->n_accepted++;
    }
    if (status == 0 && n > 0) {
        log_event(LOG_WARN, "ledger_recovered", "%zu decisions or shadow samples had no outcome; they are recorded as interrupted", n);
        status = write_group(ledger, err);
    }
    drop_written(ledger);
    if (status == 0)
        status = sqlite_run(ledger->db, "BEGIN IMMEDIATE", ledger->path, err);
    if (status == 0) {
        status = schema_checkpoint(ledger->db, ledger->path, &ledger->tree, true, err);
        if (status == 0)
            status = sqlite_run(ledger->db, "COMMIT", ledger->path, err);
        ledger->checkpointed = ledger->tree.size;
    }
    return status;
}

int ledger_writer_open(struct ledger *ledger, const char *vfs, struct error *err)
{
    int code = sqlite3_open_v2(ledger->path, &ledger->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, vfs);
    if (code != SQLITE_OK)
        return sqlite_fail(ledger->db, code, ledger->path, err);
    sqlite3_busy_timeout(ledger->db, 2000);
    int status = sqlite_run(ledger->db, "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-8192", ledger->path, err);
    if (status == 0)
        status = sqlite_run(ledger->db, ledger->durability == DURABILITY_POWER ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", ledger->path, err);
    if (status == 0)
        status = schema_migrate(ledger->db, ledger->path, err);
    if (status == 0)
        status = schema_load_tree(ledger->db, ledger->path, &ledger->tree, err);
    if (status == 0)
        status = prepare(ledger, err);
    if (status < 0)
        return status;
    sqlite3_wal_hook(ledger->db, on_wal, ledger);
    status = recover(ledger, err);
    sqlite3_busy_timeout(ledger->db, BUSY_MS);
    return status;
}

void ledger_writer_close(struct ledger *ledger)
{
    for (int table = 0; table < ROW_TABLES; table++)
        sqlite3_finalize(ledger->insert[table]);
    sqlite3_finalize(ledger->usage);
    if (ledger->db != NULL)
        sqlite3_close(ledger->db);
    *ledger->group_tail = ledger->rows;
    for (struct ledger_row *row = ledger->group, *next; row != NULL; row = next) {
        next = row->next;
        ledger_complete(row, WEIR_E_STATE);
        free(row);
    }
    buffer_release(&ledger->canonical);
}

/* ------------------------------------------------------------------ writing a group */

static int insert_row(struct ledger *ledger, const struct ledger_row *row)
{
    sqlite3_stmt *statement = ledger->insert[row->table];
    int at = 1, code;
    uint8_t hash[SHA256_BYTES];
    bool leafed = row_tables[row->table].leafed;
    if (leafed) {
        row_canonical(row, &ledger->canonical);
        if (ledger->canonical.failed)
            return SQLITE_TOOBIG;
        merkle_leaf_hash(buffer_str(&ledger->canonical), hash);
        sqlite3_bind_int64(statement, at++, (int64_t)ledger->tree.size);
        sqlite3_bind_blob(statement, at++, hash, sizeof hash, SQLITE_STATIC);
    }
    for (int i = 0; i < row->n_values; i++, at++) {
        const struct row_value *value = &row->values[i];
        if (value->text != NULL)
            sqlite3_bind_text(statement, at, value->text, (int)value->integer, SQLITE_STATIC);
        else if (value->integer == LEDGER_NULL)
            sqlite3_bind_null(statement, at);
        else
            sqlite3_bind_int64(statement, at, value->integer);
    }
    code = sqlite3_step(statement);
    sqlite3_reset(statement);
    if (code != SQLITE_DONE)
        return code;
    if (leafed)
        merkle_append(&ledger->tree, hash);
    return SQLITE_OK;
}

/* Columns of an outcome that key_usage sums. */
enum { OUTCOME_TIME = 1, OUTCOME_KEY = 3, OUTCOME_PROMPT = 9, OUTCOME_COMPLETION = 11, OUTCOME_COST = 12 };

static int64_t known(int64_t value)
{
    return value == LEDGER_NULL ? 0 : value;
}

static int add_usage(struct ledger *ledger, const struct ledger_row *row)
{
    if (row->table != ROW_OUTCOME || row->values[OUTCOME_KEY].text == NULL)
        return SQLITE_OK;
    sqlite3_stmt *statement = ledger->usage;
    sqlite3_bind_text(statement, 1, row->values[OUTCOME_KEY].text, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, row->values[OUTCOME_TIME].integer);
    sqlite3_bind_int64(statement, 3, known(row->values[OUTCOME_PROMPT].integer));
    sqlite3_bind_int64(statement, 4, known(row->values[OUTCOME_COMPLETION].integer));
    sqlite3_bind_int64(statement, 5, known(row->values[OUTCOME_COST].integer));
    sqlite3_bind_int(statement, 6, row->values[OUTCOME_COST].integer == LEDGER_NULL);
    int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static bool is_constraint(int code)
{
    int primary = code & 0xff;
    return primary == SQLITE_CONSTRAINT || primary == SQLITE_MISMATCH || primary == SQLITE_TOOBIG;
}

/* One transaction with the whole group, a tree head where one is due. 0, or why nothing of it was written. */
static int write_group(struct ledger *ledger, struct error *err)
{
    const struct merkle before = ledger->tree;
    int code = sqlite3_exec(ledger->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    for (struct ledger_row *row = ledger->group; row != NULL && code == SQLITE_OK; row = row->next) {
        if (row->failed)
            continue;
        code = insert_row(ledger, row);
        if (code == SQLITE_OK)
            code = add_usage(ledger, row);
        if (is_constraint(code)) {
            log_event(LOG_ERROR, "ledger_row_refused", "a row of %s was refused: %s", row_tables[row->table].name, sqlite3_errstr(code));
            row->failed = true;
            code = SQLITE_OK;
        }
    }
    int status = code == SQLITE_OK ? 0 : sqlite_fail(ledger->db, code, ledger->path, err);
    bool head = ledger->tree.size - ledger->checkpointed >= CHECKPOINT_ROWS;
    if (status == 0 && head)
        status = schema_checkpoint(ledger->db, ledger->path, &ledger->tree, false, err);
    if (status == 0 && (code = sqlite3_exec(ledger->db, "COMMIT", NULL, NULL, NULL)) != SQLITE_OK)
        status = sqlite_fail(ledger->db, code, ledger->path, err);
    if (status < 0) {
        if (!sqlite3_get_autocommit(ledger->db))
            sqlite3_exec(ledger->db, "ROLLBACK", NULL, NULL, NULL);
        ledger->tree = before;
        return status;
    }
    if (head)
        ledger->checkpointed = ledger->tree.size;
    return 0;
}

/* After a commit: tells the waiters and frees the rows. */
static void drop_written(struct ledger *ledger)
{
    struct ledger_row *row = ledger->group;
    int n = ledger->n_group;
    ledger->group = NULL;
    ledger->group_tail = &ledger->group;
    ledger->n_group = 0;
    pthread_mutex_lock(&ledger->lock);
    ledger->n_waiting -= n;
    pthread_cond_broadcast(&ledger->job_done);
    pthread_mutex_unlock(&ledger->lock);
    for (struct ledger_row *next; row != NULL; row = next) {
        next = row->next;
        ledger_complete(row, row->failed ? WEIR_E_INVALID : 0);
        free(row);
    }
}

static void report_failure(struct ledger *ledger, int status, const struct error *err)
{
    pthread_mutex_lock(&ledger->lock);
    bool changed = ledger->stats.status != status;
    ledger->stats.status = status;
    ledger->stats.n_failures++;
    pthread_cond_broadcast(&ledger->job_done);
    pthread_mutex_unlock(&ledger->lock);
    if (changed)
        log_event(LOG_ERROR, "ledger_blocked", "%s: %s; rows wait in memory, nothing is sent to providers", err->where, err->text);
    for (struct ledger_row *row = ledger->group; row != NULL; row = row->next)
        ledger_complete(row, status);
}

/* A try at the group. True: it is in the file. */
static bool flush_group(struct ledger *ledger)
{
    struct error err = {0};
    int64_t begin = clock_now_us();
    int n = ledger->n_group;
    int status = write_group(ledger, &err);
    if (status < 0) {
        report_failure(ledger, status, &err);
        return false;
    }
    pthread_mutex_lock(&ledger->lock);
    bool was_blocked = ledger->stats.status < 0;
    ledger->stats.status = 0;
    ledger->stats.n_rows += n;
    ledger->stats.n_groups++;
    ledger->stats.last_commit_us = clock_now_us() - begin;
    pthread_mutex_unlock(&ledger->lock);
    if (was_blocked)
        log_event(LOG_INFO, "ledger_unblocked", "rows are written again");
    drop_written(ledger);
    return true;
}

/* ------------------------------------------------------------------ the thread */

static void run_jobs(struct ledger *ledger, struct ledger_job *job)
{
    for (struct ledger_job *next; job != NULL; job = next) {
        next = job->next;
        int status = sqlite_run(ledger->db, "BEGIN IMMEDIATE", ledger->path, job->err);
        if (status == 0) {
            status = job->fn(ledger->db, job->user, job->err);
            if (status >= 0) {
                int committed = sqlite_run(ledger->db, "COMMIT", ledger->path, job->err);
                status = committed < 0 ? committed : status;
            }
            if (!sqlite3_get_autocommit(ledger->db))
                sqlite3_exec(ledger->db, "ROLLBACK", NULL, NULL, NULL);
        }
        pthread_mutex_lock(&ledger->lock);
        job->status = status;
        job->finished = true;
        pthread_cond_broadcast(&ledger->job_done);
        pthread_mutex_unlock(&ledger->lock);
    }
}

/* Nothing waits: a tree head where enough has come since the last one, and the log moved into the file. */
static void tidy(struct ledger *ledger, bool last)
{
    struct error err = {0};
    uint64_t fresh = ledger->tree.size - ledger->checkpointed;
    if (fresh >= HEAD_ROWS_IDLE || (fresh > 0 && (last || clock_now_us() - ledger->checkpointed_us >= HEAD_EVERY_US))) {
        int status = sqlite_run(ledger->db, "BEGIN IMMEDIATE", ledger->path, &err);
        if (status == 0)
            status = schema_checkpoint(ledger->db, ledger->path, &ledger->tree, false, &err);
        if (status == 0)
            status = sqlite_run(ledger->db, "COMMIT", ledger->path, &err);
        if (!sqlite3_get_autocommit(ledger->db))
            sqlite3_exec(ledger->db, "ROLLBACK", NULL, NULL, NULL);
        if (status == 0) {
            ledger->checkpointed = ledger->tree.size;
            ledger->checkpointed_us = clock_now_us();
        }
    }
    if (ledger->wal_pages >= WAL_PAGES_IDLE || last) {
        sqlite3_wal_checkpoint_v2(ledger->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        ledger->wal_pages = 0;
    }
}

/* Waits for work, at most timeout_us (negative: for ever). ledger->lock is held. */
static void wait_for_work(struct ledger *ledger, int64_t timeout_us)
{
    if (timeout_us < 0) {
        pthread_cond_wait(&ledger->wake, &ledger->lock);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + timeout_us * 1000;
    until.tv_sec += ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    pthread_cond_timedwait(&ledger->wake, &ledger->lock, &until);
}

/* Moves queued rows into the group up to its size. ledger->lock is held. */
static void gather(struct ledger *ledger)
{
    while (ledger->rows != NULL && ledger->n_group < GROUP_ROWS) {
        struct ledger_row *row = ledger->rows;
        ledger->rows = row->next;
        if (ledger->rows == NULL)
            ledger->rows_tail = &ledger->rows;
        row->next = NULL;
        *ledger->group_tail = row;
        ledger->group_tail = &row->next;
        ledger->n_group++;
    }
}

/* While rows cannot be written, those who joined the queue since are told at once. ledger->lock is held. */
static void tell_waiters(struct ledger *ledger)
{
    for (struct ledger_row *row = ledger->rows; row != NULL; row = row->next)
        ledger_complete(row, ledger->stats.status);
}

void *ledger_writer_run(void *arg)
{
    struct ledger *ledger = arg;
    enum { TIDY_AFTER_US = 20000 };
    int64_t retry_at_us = 0; /* Not 0: rows cannot be written; the next try. */
    bool tidied = true;
    pthread_mutex_lock(&ledger->lock);
    for (;;) {
        struct ledger_job *jobs = ledger->jobs;
        ledger->jobs = NULL;
        ledger->jobs_tail = &ledger->jobs;
        bool due = retry_at_us == 0 || clock_now_us() >= retry_at_us;
        if (retry_at_us == 0 || due)
            gather(ledger);
        if (retry_at_us != 0)
            tell_waiters(ledger);
        bool work = ledger->group != NULL && (due || ledger->closing);
        bool last = ledger->closing && ledger->rows == NULL;
        if (jobs == NULL && !work && last && ledger->group == NULL)
            break;
        if (jobs == NULL && !work) {
            int64_t wait_us = retry_at_us != 0 ? retry_at_us - clock_now_us() : tidied ? -1 : TIDY_AFTER_US;
            if (retry_at_us != 0 && wait_us < 1000)
                wait_us = 1000;
            struct ledger_row *before = ledger->rows;
            bool closing = ledger->closing;
            wait_for_work(ledger, wait_us);
            bool idle = retry_at_us == 0 && !tidied && ledger->rows == before && ledger->jobs == NULL && ledger->closing == closing;
            if (idle) {
                pthread_mutex_unlock(&ledger->lock);
                tidy(ledger, false);
                tidied = true;
                pthread_mutex_lock(&ledger->lock);
            }
            continue;
        }
        bool closing = ledger->closing;
        pthread_mutex_unlock(&ledger->lock);
        run_jobs(ledger, jobs);
        if (work) {
            bool written = flush_group(ledger);
            retry_at_us = written ? 0 : clock_now_us() + RETRY_US;
            tidied = false;
            if (written && ledger->wal_pages >= WAL_PAGES_MAX) {
                sqlite3_wal_checkpoint_v2(ledger->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
                ledger->wal_pages = 0;
            }
            if (!written && closing) {
                pthread_mutex_lock(&ledger->lock);
                log_event(LOG_ERROR, "ledger_rows_lost", "%lld rows could not be written before the end", (long long)ledger->n_waiting);
                break;
            }
        }
        pthread_mutex_lock(&ledger->lock);
    }
    bool empty = ledger->group == NULL;
    pthread_mutex_unlock(&ledger->lock);
    if (empty)
        tidy(ledger, true);
    return NULL;
}
