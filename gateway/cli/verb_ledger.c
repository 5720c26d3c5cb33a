/* weir ledger: questions to the decision log, and its verification. Read-only. */
#include "cli/cli.h"
#include "config/config.h"
#include "ledger/schema.h"
#include "ledger/verify.h"

#include <sqlite3.h>
#include <math.h>
#include <stdio.h>

static const char help[] =
    "usage: weir ledger query [SQL] [--limit N]\n"
    "       weir ledger verify\n\n"
    "query prints rows of the ledger as JSON, one a line. Without SQL: the view `request`, newest first. The tables are\n"
    "decision, attempt, outcome, feedback, judgement (local answers held back and judged), shadow_plan and shadow (all joined by\n"
    "decision_id), price, pack, key_usage, checkpoint; views to start with are request, rating, shadowed, day and provider_day.\n"
    "Money is in nano-USD (_nusd), times in ns since 1970 or in microseconds. The ledger\n"
    "may be read while Weir runs, with sqlite3 too.\n\n"
    "  weir ledger query \"SELECT answered, count(*), sum(cost_nusd)/1e9 FROM request GROUP BY 1\"\n\n"
    "verify recomputes the hash of every row and the root of every checkpoint, and names the first row that was changed,\n"
    "dropped or moved. Exit code 1: the ledger does not verify. A copy on read-only media is taken as it is: where a -wal file lies beside\n"
    "it that SQLite cannot read there, unread_wal_bytes says so, and its rows are not among those that were verified.\n\n"
    "  --config FILE   the weir.yaml whose data folder is meant\n"
    "  --file F        this ledger.db\n"
    "  --limit N       without SQL: at most this many rows [20]\n";

static void print_row(sqlite3_stmt *statement, struct buffer *out)
{
    buffer_clear(out);
    buffer_append_char(out, '{');
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
        jsonl_name(out, sqlite3_column_name(statement, i));
        switch (sqlite3_column_type(statement, i)) {
        case SQLITE_INTEGER:
            buffer_printf(out, "%lld", (long long)sqlite3_column_int64(statement, i));
            break;
        case SQLITE_FLOAT:
            if (isfinite(sqlite3_column_double(statement, i)))
                buffer_printf(out, "%.15g", sqlite3_column_double(statement, i));
            else
                buffer_append_text(out, "null"); /* JSON has no infinities. */
            break;
        case SQLITE_NULL:
            buffer_append_text(out, "null");
            break;
        case SQLITE_BLOB: {
            const uint8_t *bytes = sqlite3_column_blob(statement, i);
            buffer_append_char(out, '"');
            for (int k = 0; k < sqlite3_column_bytes(statement, i); k++)
                buffer_printf(out, "%02x", bytes[k]);
            buffer_append_char(out, '"');
            break;
        }
        default:
            buffer_append_json_string(out, (str){(const char *)sqlite3_column_text(statement, i), (size_t)sqlite3_column_bytes(statement, i)});
        }
    }
    buffer_append_text(out, "}\n");
}

static void say_unread(const char *path, int64_t n_bytes)
{
    if (n_bytes > 0)
        fprintf(stderr, "weir ledger: %s-wal: its %lld bytes were not read: SQLite can do so only where it may write beside them. What they add is not "
                        "in this answer; with a copy of both files in a folder that can be written it is\n", path, (long long)n_bytes);
}

static int query(const char *path, const char *sql, struct error *err)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    int64_t unread_bytes;
    if (sqlite_open_still(&db, path, &unread_bytes, err) < 0) {
        sqlite3_close(db);
        return err->status;
    }
    say_unread(path, unread_bytes);
    const char *rest = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, &rest);
    if (code == SQLITE_OK && statement == NULL) {
        sqlite3_close(db);
        return error_set(err, WEIR_E_INVALID, "SQL", "has no statement");
    }
    if (code == SQLITE_OK && rest != NULL && str_trim(str_of(rest)).n > 0) {
        sqlite3_finalize(statement);
        sqlite3_close(db);
        return error_set(err, WEIR_E_INVALID, "SQL", "one statement at a time");
    }
    struct buffer out;
    buffer_init(&out, 64 << 20);
    while (code == SQLITE_OK && statement != NULL && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        print_row(statement, &out);
        fwrite(out.data, 1, out.n, stdout);
        code = SQLITE_OK;
    }
    int status = code == SQLITE_DONE || code == SQLITE_OK ? 0 : error_set(err, WEIR_E_INVALID, path, "%s", db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(code));
    buffer_release(&out);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return status;
}

static int run(int argc, char **argv)
{
    extern const struct verb verb_ledger;
    const char *config_path = NULL, *file = NULL;
    int64_t limit = 20;
    int n = 0;
    const struct cli_option options[] = {{.name = "config", .text = &config_path}, {.name = "file", .text = &file}, {.name = "limit", .number = &limit, .most = INT32_MAX}, {0}};
    int parsed = cli_parse(&verb_ledger, argc, argv, options, &n);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    bool asks = n >= 1 && n <= 2 && strcmp(argv[1], "query") == 0, verifies = n == 1 && strcmp(argv[1], "verify") == 0;
    if (!asks && !verifies) {
        fputs(help, stderr);
        return EXIT_USAGE;
    }
    struct error err = {0};
    char path[4096], sql[128];
    if (file == NULL) {
        const struct config *config;
        if (config_open(&config, config_path, &err) < 0)
            return cli_fail("ledger", &err);
        snprintf(path, sizeof path, "%s/ledger.db", config->data_dir);
        config_drop(config);
        file = path;
    }
    if (!file_exists(file)) {
        error_set(&err, WEIR_E_NOT_FOUND, file, "there is no ledger here yet: it is made when Weir first starts");
        return cli_fail("ledger", &err);
    }
    if (verifies) {
        struct verify_report report;
        int status = ledger_verify(file, &report, &err);
        say_unread(file, report.unread_bytes);
        if (status < 0)
            return cli_fail("ledger", &err);
        printf("{\"ok\":true,\"rows\":%lld,\"checkpoints\":%lld,\"rows_under_checkpoint\":%llu,\"root\":\"%s\"", (long long)report.n_rows,
               (long long)report.n_checkpoints, (unsigned long long)report.verified_size, report.root);
        if (report.unread_bytes > 0)
            printf(",\"unread_wal_bytes\":%lld", (long long)report.unread_bytes);
        printf("}\n");
        return EXIT_DONE;
    }
    snprintf(sql, sizeof sql, "SELECT * FROM request ORDER BY decision_id DESC LIMIT %lld", (long long)limit);
    return query(file, n == 2 ? argv[2] : sql, &err) < 0 ? cli_fail("ledger", &err) : EXIT_DONE;
}

const struct verb verb_ledger = {.name = "ledger", .summary = "ask the decision log, verify it", .help = help, .run = run};
