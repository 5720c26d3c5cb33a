/* The ledger: accepted rows are kept, waiters are told the truth, a crash leaves one outcome for each decision, and tampering
 * is named. */
#include "ledger/history.h"
#include "ledger/ledger.h"
#include "ledger/rated.h"
#include "ledger/shadowed.h"
#include "ledger/verify.h"

#include "fault_vfs.h"

#include <criterion/criterion.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];
static char path[96];

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/weir-ledger-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/ledger.db", folder);
    log_set_level(LOG_ERROR);
}

static void teardown(void)
{
    char command[160];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

static struct ledger *open_ledger(int max_waiting, const char *vfs)
{
    struct ledger *ledger;
    struct error err = {0};
    struct ledger_options options = {.path = path, .durability = DURABILITY_PROCESS, .max_waiting = max_waiting, .vfs = vfs};
    cr_assert_eq(ledger_open(&ledger, &options, &err), 0, "%s: %s", err.where, err.text);
    return ledger;
}

static struct ledger_decision decision(const char *id)
{
    return (struct ledger_decision){.decision_id = id, .time_ns = clock_wall_ns(), .endpoint = "/v1/chat/completions", .model = "auto", .route = "remote:p/m",
                                    .reasons = "[]", .inputs = "{}", .prompt_tokens = LEDGER_NULL, .reserved_nusd = LEDGER_NULL};
}

static struct ledger_outcome outcome(const char *id)
{
    return (struct ledger_outcome){.decision_id = id, .time_ns = clock_wall_ns(), .key_id = "key_1", .route = "remote:p/m", .result = "ok", .status = 200,
                                   .prompt_tokens = 10, .cached_tokens = 0, .completion_tokens = 5, .cost_nusd = 123, .counterfactual_nusd = LEDGER_NULL,
                                   .first_token_us = 1, .total_us = 2};
}

static void judge(struct ledger *ledger, const char *id, bool escalated)
{
    struct ledger_judgement row = {.decision_id = id, .time_ns = clock_wall_ns(), .escalated = escalated, .reason = escalated ? "answer_weak" : "answer_good",
                                   .inputs = "{\"tokens\":24,\"gain\":0.75,\"p_local\":0.25}", .reserved_nusd = LEDGER_NULL};
    cr_assert_eq(ledger_append_judgement(ledger, &row, NULL, NULL, NULL), 0);
}

/* Waits for callbacks through a port. */
struct waiter {
    sem_t wake;
    int n, status;
};

static void on_notify(void *user)
{
    sem_post(&((struct waiter *)user)->wake);
}

static void on_done(void *user, int status)
{
    struct waiter *waiter = user;
    waiter->n++;
    waiter->status = status;
}

static void wait_for(struct ledger_port *port, struct waiter *waiter, int n)
{
    while (waiter->n < n) {
        sem_wait(&waiter->wake);
        ledger_port_poll(port);
    }
}

static void rate(struct ledger *ledger, const char *id, int64_t rating_ppm)
{
    struct ledger_feedback f = {.decision_id = id, .time_ns = clock_wall_ns(), .tenant = "t", .key_id = "key_1", .rating_ppm = rating_ppm, .correct = LEDGER_NULL};
    cr_assert_eq(ledger_append_feedback(ledger, &f, NULL, NULL, NULL), 0);
}

static struct ledger_shadow_plan plan(const char *id)
{
    return (struct ledger_shadow_plan){.decision_id = id, .time_ns = clock_wall_ns(), .tenant = "t", .probability_ppm = 20000, .provider = "p",
                                       .provider_model = "m", .judge_provider = "q", .judge_provider_model = "j", .effect = "allow",
                                       .reserved_nusd = 5000, .price_version = "1"};
}

static struct ledger_shadow shadow(const char *id, const char *outcome, int64_t cost_nusd)
{
    return (struct ledger_shadow){.decision_id = id, .time_ns = clock_wall_ns(), .tenant = "t", .probability_ppm = 20000, .outcome = outcome, .reason = "judge",
                                  .provider = "p", .provider_model = "m", .judge_provider = "q", .judge_provider_model = "j", .prompt_tokens = 9,
                                  .completion_tokens = 4, .judge_prompt_tokens = 90, .judge_completion_tokens = 2, .judge_calls = 2,
                                  .reserved_nusd = 5000, .cost_nusd = cost_nusd, .remote_us = 1, .judge_us = 2, .total_us = 3};
}

static void append_shadow(struct ledger *ledger, const char *id, const char *outcome, int64_t cost_nusd)
{
    struct ledger_shadow_plan p = plan(id);
    struct ledger_shadow s = shadow(id, outcome, cost_nusd);
    cr_assert_eq(ledger_append_shadow_plan(ledger, &p, NULL, NULL, NULL), 0);
    if (outcome != NULL)
        cr_assert_eq(ledger_append_shadow(ledger, &s, NULL, NULL, NULL), 0);
}

static int64_t ask(const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}

static int change(const char *sql)
{
    sqlite3 *db;
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_close(db);
    return code;
}

TestSuite(ledger, .init = setup, .fini = teardown);

Test(ledger, a_row_is_in_the_file_when_its_waiter_is_told)
{
    struct ledger *ledger = open_ledger(0, NULL);
    struct waiter waiter = {.n = 0};
    sem_init(&waiter.wake, 0, 0);
    struct ledger_port *port = ledger_port_open(ledger, on_notify, &waiter);
    for (int i = 1; i <= 250; i++) {
        char id[37];
        cr_assert_eq(uuid_v7(id), 0);
        struct ledger_decision d = decision(id);
        cr_assert_eq(ledger_append_decision(ledger, &d, port, on_done, &waiter), 0);
        if (i % 50 == 0) {
            wait_for(port, &waiter, i);
            cr_assert_eq(waiter.status, 0);
            cr_assert_eq(ask("SELECT count(*) FROM decision"), i);
        }
        struct ledger_attempt a = {.decision_id = id, .time_ns = 1, .provider = "p", .provider_model = "m", .result = "ok", .status = 200, .cost_nusd = 123};
        struct ledger_outcome o = outcome(id);
        cr_assert_eq(ledger_append_attempt(ledger, &a), 0);
        cr_assert_eq(ledger_append_outcome(ledger, &o), 0);
    }
    ledger_port_close(port);
    ledger_close(ledger);
    cr_assert_eq(ask("SELECT count(*) FROM request WHERE result = 'ok' AND attempts = 1"), 250);
    cr_assert_eq(ask("SELECT cost_nusd FROM key_usage WHERE key_id = 'key_1'"), 250 * 123);
    struct verify_report report;
    struct error err = {0};
    cr_assert_eq(ledger_verify(path, &report, &err), 0, "%s", err.text);
    cr_assert_eq(report.n_rows, 750);
    cr_assert_eq(report.verified_size, 750u, "the last head covers everything");
}

Test(ledger, a_second_process_is_kept_out)
{
    struct ledger *ledger = open_ledger(0, NULL), *second;
    struct error err = {0};
    struct ledger_options options = {.path = path};
    cr_assert_eq(ledger_open(&second, &options, &err), WEIR_E_STATE);
    cr_assert_not_null(strstr(err.text, "another Weir process"));
    ledger_close(ledger);
}

static void append_pair(struct ledger *ledger, const char *id, bool with_outcome)
{
    struct ledger_decision d = decision(id);
    struct ledger_outcome o = outcome(id);
    cr_assert_eq(ledger_append_decision(ledger, &d, NULL, NULL, NULL), 0);
    if (with_outcome)
        cr_assert_eq(ledger_append_outcome(ledger, &o), 0);
}

Test(ledger, a_killed_process_leaves_one_outcome_for_each_decision)
{
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        struct ledger *ledger;
        struct ledger_options options = {.path = path, .durability = DURABILITY_PROCESS};
        struct waiter waiter = {.n = 0};
        sem_init(&waiter.wake, 0, 0);
        if (ledger_open(&ledger, &options, NULL) != 0)
            _exit(1);
        struct ledger_port *port = ledger_port_open(ledger, on_notify, &waiter);
        append_pair(ledger, "finished", true);
        append_pair(ledger, "open-1", false);
        struct ledger_decision left = decision("left-1"), stayed = decision("stayed-1");
        left.route = stayed.route = "local";
        if (ledger_append_decision(ledger, &left, NULL, NULL, NULL) != 0 || ledger_append_decision(ledger, &stayed, NULL, NULL, NULL) != 0)
            _exit(1);
        judge(ledger, "left-1", true);
        judge(ledger, "stayed-1", false);
        struct ledger_decision d = decision("open-2");
        if (ledger_append_decision(ledger, &d, port, on_done, &waiter) != 0)
            _exit(1);
        wait_for(port, &waiter, 1);
        kill(getpid(), SIGKILL);
    }
    int state;
    cr_assert_eq(waitpid(child, &state, 0), child);
    cr_assert(WIFSIGNALED(state));
    for (int start = 0; start < 2; start++)
        ledger_close(open_ledger(0, NULL)); /* The second start finds nothing more to mend. */
    cr_assert_eq(ask("SELECT count(*) FROM decision"), 5);
    cr_assert_eq(ask("SELECT count(*) FROM outcome"), 5);
    cr_assert_eq(ask("SELECT count(*) FROM outcome WHERE decision_id = 'left-1' AND cost_nusd IS NULL"), 1, "it may have cost something");
    cr_assert_eq(ask("SELECT count(*) FROM outcome WHERE decision_id = 'stayed-1' AND cost_nusd = 0"), 1);
    cr_assert_eq(ask("SELECT count(*) FROM request WHERE judged = 'answer_weak' AND gain_after = 0.75 AND held_tokens = 24"), 1);
    cr_assert_eq(ask("SELECT count(*) FROM outcome WHERE result = 'interrupted' AND cost_nusd IS NULL AND decision_id LIKE 'open-%'"), 2);
    struct verify_report report;
    struct error err = {0};
    cr_assert_eq(ledger_verify(path, &report, &err), 0, "%s", err.text);
}

static void faults_come_and_go(int write_code, int sync_code, int expected)
{
    fault_vfs_register();
    struct ledger *ledger;
    struct error err = {0};
    struct ledger_options options = {.path = path, .durability = sync_code != 0 ? DURABILITY_POWER : DURABILITY_PROCESS, .max_waiting = 4, .vfs = "fault"};
    cr_assert_eq(ledger_open(&ledger, &options, &err), 0, "%s", err.text);
    struct waiter waiter = {.n = 0};
    sem_init(&waiter.wake, 0, 0);
    struct ledger_port *port = ledger_port_open(ledger, on_notify, &waiter);
    atomic_store(&fault_write, write_code);
    atomic_store(&fault_sync, sync_code);
    const char *ids[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) {
        struct ledger_decision d = decision(ids[i]);
        cr_assert_eq(ledger_append_decision(ledger, &d, port, on_done, &waiter), 0);
        wait_for(port, &waiter, i + 1);
        cr_assert_eq(waiter.status, expected, "told %d", waiter.status);
    }
    struct ledger_decision more = decision("e");
    cr_assert_eq(ledger_append_decision(ledger, &more, port, on_done, &waiter), WEIR_E_FULL, "the queue is bounded");
    struct ledger_outcome o = outcome("a");
    cr_assert_eq(ledger_append_outcome(ledger, &o), 0, "the outcome of an accepted decision finds room");
    struct ledger_stats stats;
    ledger_stats(ledger, &stats);
    cr_assert_eq(stats.status, expected);
    cr_assert_eq(stats.waiting, 5);
    atomic_store(&fault_write, 0);
    atomic_store(&fault_sync, 0);
    ledger_port_close(port);
    ledger_close(ledger);
    cr_assert_eq(ask("SELECT count(*) FROM decision"), 4, "accepted rows were kept");
    cr_assert_eq(ask("SELECT count(*) FROM outcome"), 1);
    struct verify_report report;
    cr_assert_eq(ledger_verify(path, &report, &err), 0, "%s", err.text);
}

Test(ledger, a_full_disk_closes_the_remote_path_and_loses_no_accepted_row)
{
    faults_come_and_go(SQLITE_FULL, 0, WEIR_E_FULL);
}

Test(ledger, a_failing_device_closes_the_remote_path_and_loses_no_accepted_row)
{
    faults_come_and_go(SQLITE_IOERR_WRITE, 0, WEIR_E_IO);
}

Test(ledger, a_failing_sync_is_not_durable)
{
    faults_come_and_go(0, SQLITE_IOERR_FSYNC, WEIR_E_IO);
}

Test(ledger, a_locked_database_is_told_and_overcome)
{
    struct ledger *ledger = open_ledger(0, NULL);
    struct waiter waiter = {.n = 0};
    sem_init(&waiter.wake, 0, 0);
    struct ledger_port *port = ledger_port_open(ledger, on_notify, &waiter);
    sqlite3 *other;
    cr_assert_eq(sqlite3_open(path, &other), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    struct ledger_decision d = decision("a");
    cr_assert_eq(ledger_append_decision(ledger, &d, port, on_done, &waiter), 0);
    wait_for(port, &waiter, 1);
    cr_assert_eq(waiter.status, WEIR_E_STATE);
    cr_assert_eq(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    ledger_port_close(port);
    ledger_close(ledger);
    cr_assert_eq(ask("SELECT count(*) FROM decision"), 1);
}

Test(ledger, a_row_that_breaks_a_rule_stops_no_other)
{
    struct ledger *ledger = open_ledger(0, NULL);
    struct waiter waiter = {.n = 0};
    sem_init(&waiter.wake, 0, 0);
    struct ledger_port *port = ledger_port_open(ledger, on_notify, &waiter);
    struct ledger_decision d = decision("same");
    cr_assert_eq(ledger_append_decision(ledger, &d, port, on_done, &waiter), 0);
    wait_for(port, &waiter, 1);
    log_set_level(LOG_ERROR + 1);
    cr_assert_eq(ledger_append_decision(ledger, &d, port, on_done, &waiter), 0);
    wait_for(port, &waiter, 2);
    cr_assert_eq(waiter.status, WEIR_E_INVALID, "a second row with the same id is refused");
    d.decision_id = "other";
    cr_assert_eq(ledger_append_decision(ledger, &d, port, on_done, &waiter), 0);
    wait_for(port, &waiter, 3);
    cr_assert_eq(waiter.status, 0);
    ledger_port_close(port);
    ledger_close(ledger);
    struct verify_report report;
    struct error err = {0};
    cr_assert_eq(ledger_verify(path, &report, &err), 0, "%s", err.text);
    cr_assert_eq(report.n_rows, 2);
}

Test(ledger, tampering_is_named)
{
    static const struct {
        const char *sql, *says;
    } cases[] = {
        {"UPDATE decision SET route = 'local' WHERE leaf_index = 4", "row 4, in decision, was changed"},
        {"UPDATE outcome SET cost_nusd = 0 WHERE leaf_index = 5", "row 5, in outcome, was changed"},
        {"UPDATE feedback SET rating_ppm = 1000000 WHERE leaf_index = 20", "row 20, in feedback, was changed"},
        {"UPDATE judgement SET escalated = 0", "in judgement, was changed"},
        {"DELETE FROM judgement", "is missing"},
        {"DELETE FROM feedback WHERE leaf_index = 20", "row 20 is missing"},
        {"UPDATE shadow_plan SET effect = 'allow' WHERE leaf_index = 23", "row 23, in shadow_plan, was changed"},
        {"UPDATE shadow SET outcome = 'tie' WHERE leaf_index = 24", "row 24, in shadow, was changed"},
        {"UPDATE shadow SET cost_nusd = NULL WHERE leaf_index = 24", "row 24, in shadow, was changed"},
        {"DELETE FROM shadow_plan WHERE leaf_index = 23", "row 23 is missing"},
        {"DELETE FROM outcome WHERE leaf_index = 5", "row 5 is missing"},
        {"DELETE FROM shadow", "dropped at the end"},
        {"UPDATE decision SET leaf_hash = zeroblob(32) WHERE leaf_index = 2", "row 2, in decision, was changed"},
        {"UPDATE decision SET leaf_index = 1000 WHERE leaf_index = 2", "row 2 is missing"},
        {"UPDATE checkpoint SET root_hash = zeroblob(32) WHERE tree_size > 0", "do not give the root"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ledger *ledger = open_ledger(0, NULL);
        char id[16];
        for (int k = 0; k < 10; k++) {
            snprintf(id, sizeof id, "d%d", k);
            append_pair(ledger, id, true);
        }
        rate(ledger, "d3", -1000000);
        judge(ledger, "d4", true);
        rate(ledger, "d3", 500000);
        struct ledger_shadow_plan p = plan("d4");
        p.effect = "redact";
        struct ledger_shadow s = shadow("d4", "remote_better", 700);
        cr_assert_eq(ledger_append_shadow_plan(ledger, &p, NULL, NULL, NULL), 0);
        cr_assert_eq(ledger_append_shadow(ledger, &s, NULL, NULL, NULL), 0);
        ledger_close(ledger);
        struct verify_report report;
        struct error err = {0};
        cr_assert_eq(ledger_verify(path, &report, &err), 0, "%s", err.text);
        cr_assert_eq(change(cases[i].sql), SQLITE_OK, "%s", cases[i].sql);
        cr_assert_eq(ledger_verify(path, &report, &err), WEIR_E_INVALID, "%s went unseen", cases[i].sql);
        cr_assert_not_null(strstr(err.text, cases[i].says), "%s: %s", cases[i].sql, err.text);
        teardown();
        setup();
    }
}

/* What a Weir of an older schema left: the same tables but for what came after. */
static void make_old(int version)
{
    struct ledger *ledger = open_ledger(0, NULL);
    append_pair(ledger, "old", true);
    ledger_close(ledger);
    cr_assert_eq(change("DROP VIEW shadowed; ALTER TABLE decision DROP COLUMN answers_id; ALTER TABLE shadow DROP COLUMN other_ppm;"
                        "ALTER TABLE shadow_plan DROP COLUMN other_ppm; ALTER TABLE threshold DROP COLUMN answers_id;"
                        "CREATE VIEW shadowed AS SELECT 1 AS x; PRAGMA user_version = 5"), SQLITE_OK);
    if (version <= 3)
        cr_assert_eq(change("DROP TABLE threshold; DROP TABLE judgement; PRAGMA user_version = 3"), SQLITE_OK);
    if (version <= 2)
        cr_assert_eq(change("DROP VIEW shadowed; DROP TABLE shadow; DROP TABLE shadow_plan; PRAGMA user_version = 2"), SQLITE_OK);
    if (version == 1)
        cr_assert_eq(change("DROP VIEW rating; DROP TABLE feedback; PRAGMA user_version = 1"), SQLITE_OK);
}

Test(ledger, an_old_file_is_verified_as_it_is_and_takes_new_rows_once_opened)
{
    for (int version = 1; version <= 5; version += version == 3 ? 2 : 1) {
        struct verify_report report;
        struct error err = {0};
        make_old(version);
        cr_assert_eq(ledger_verify(path, &report, &err), 0, "%s", err.text);
        cr_assert_eq(report.n_rows, 2);
        for (int start = 0; start < 2; start++) { /* The second start reads a tree with the new rows in it. */
            struct ledger *ledger = open_ledger(0, NULL);
            rate(ledger, "old", start == 0 ? -1000000 : 250000);
            if (start == 0)
                append_shadow(ledger, "old", "tie", 700);
            if (start == 0)
                judge(ledger, "old", true);
            ledger_close(ledger);
        }
        cr_assert_eq(ask("PRAGMA user_version"), 6);
        cr_assert_eq(ask("SELECT count(*) FROM feedback"), 2);
        cr_assert_eq(ask("SELECT rating = 0.25 AND route = 'remote:p/m' FROM rating WHERE decision_id = 'old'"), 1, "the last one counts");
        cr_assert_eq(ask("SELECT probability = 0.02 AND outcome = 'tie' AND remote = 'p/m' AND judge = 'q/j' FROM shadowed WHERE decision_id = 'old'"), 1);
        cr_assert_eq(ledger_verify(path, &report, &err), 0, "%s", err.text);
        cr_assert_eq(report.n_rows, 7);
        teardown();
        setup();
    }
}

Test(ledger, a_shadow_sample_that_was_cut_off_is_told_so_once_and_counts_what_was_reserved)
{
    struct ledger *ledger = open_ledger(0, NULL);
    for (int i = 0; i < 3; i++) {
        char id[16];
        snprintf(id, sizeof id, "d%d", i);
        append_pair(ledger, id, true);
        append_shadow(ledger, id, i == 0 ? NULL : i == 1 ? "tie" : "unjudged", i == 1 ? 700 : LEDGER_NULL);
    }
    ledger_close(ledger);
    for (int start = 0; start < 2; start++)
        ledger_close(open_ledger(0, NULL));
    cr_assert_eq(ask("SELECT count(*) FROM shadow"), 3);
    cr_assert_eq(ask("SELECT outcome = 'unjudged' AND reason = 'interrupted' AND cost_nusd IS NULL AND reserved_nusd = 5000 AND probability_ppm = 20000"
                     " AND tenant = 't' AND judge_provider_model = 'j' FROM shadow WHERE decision_id = 'd0'"), 1);
    struct verify_report report;
    struct error err = {0};
    cr_assert_eq(ledger_verify(path, &report, &err), 0, "%s", err.text);
    cr_assert_eq(report.n_rows, 12);
    int64_t spent;
    cr_assert_eq(shadowed_month_nusd(path, clock_wall_ns(), &spent, &err), 0, "%s", err.text);
    cr_assert_eq(spent, 5000 + 700 + 5000);
    cr_assert_eq(shadowed_month_nusd(path, clock_wall_ns() + (int64_t)40 * 86400 * 1000000000, &spent, &err), 0, "%s", err.text);
    cr_assert_eq(spent, 0, "another month");
}

static int add_up_shadows(void *user, const struct shadowed *shadowed)
{
    int *seen = user;
    cr_assert(shadowed->max_regret == 0.25 && shadowed->gain == 0.125 && shadowed->probability == 0.02);
    cr_assert_str_eq(shadowed->tenant, "t");
    seen[0]++;
    seen[1] += shadowed->remote_better;
    return 0;
}

Test(ledger, judged_samples_of_a_configuration_are_read_back)
{
    static const char *const outcomes[] = {"remote_better", "tie", "unjudged", "local_better", "remote_better"};
    struct ledger *ledger = open_ledger(0, NULL);
    struct error err = {0};
    int seen[2] = {0};
    for (int i = 0; i < 5; i++) {
        char id[16];
        snprintf(id, sizeof id, "d%d", i);
        struct ledger_decision d = decision(id);
        d.tenant = "t";
        d.head_id = "h";
        d.route = i == 3 ? "remote:p/m" : "local";
        d.config_sha256 = i == 4 ? "before" : "now";
        d.inputs = "{\"name\":\"auto\",\"max_regret\":0.25,\"score\":{\"gain\":0.125}}";
        cr_assert_eq(ledger_append_decision(ledger, &d, NULL, NULL, NULL), 0);
        append_shadow(ledger, id, outcomes[i], 1);
    }
    ledger_settle(ledger);
    struct ledger_scope scope = {.config_sha256 = "now", .head_id = "h", .answers_id = "", .judge = "q/j"};
    cr_assert_eq(shadowed_each(path, &scope, add_up_shadows, seen, &err), 0, "%s", err.text);
    cr_assert(seen[0] == 2 && seen[1] == 1, "what left is no local answer: %d %d", seen[0], seen[1]);
    scope.judge = "q/other";
    cr_assert_eq(shadowed_each(path, &scope, add_up_shadows, seen, &err), 0);
    cr_assert_eq(seen[0], 2, "another judge's samples");
    scope.judge = "";
    cr_assert_eq(shadowed_each(path, &scope, add_up_shadows, seen, &err), 0);
    cr_assert_eq(seen[0], 4, "nobody judges now: what was judged stays true");
    ledger_close(ledger);
}

static int see_label(void *user, const struct history_label *label)
{
    char *seen = user;
    size_t n = strlen(seen);
    snprintf(seen + n, 200 - n, "%s%s%s:%d/%d ", label->decision_id, label->worse ? "-" : "+", label->lost ? "?" : "", (int)label->probability_ppm, (int)label->other_ppm);
    return 0;
}

static int count_threshold(void *user, const struct history_threshold *row)
{
    ++*(int *)user;
    return row->new_ppm == 200000 ? 0 : WEIR_E_INVALID;
}

Test(ledger, labels_count_while_what_answers_is_the_same_whatever_else_is_configured)
{
    static const struct {
        const char *config, *answers, *head, *route, *outcome, *reason;
    } cases[] = {
        {"then", "pair", "h", "local", "tie", "judge"},                    /* d0: another configuration, the same pair. */
        {"now", "pair", "h", "remote:p/m", "remote_better", "judge"},      /* d1: what left. */
        {"now", "pair", "h", "remote:p/m", "unjudged", "late"},            /* d2: lost. */
        {"now", "pair", "h", "local", "unjudged", "judge_failed"},         /* d3: nobody was asked. */
        {"now", "other pair", "h", "local", "tie", "judge"},               /* d4 */
        {"now", "pair", "another", "local", "tie", "judge"},               /* d5 */
        {"now", NULL, "h", "local", "local_better", "judge"},              /* d6: of an older Weir, under this very configuration. */
        {"then", NULL, "h", "local", "local_better", "judge"},             /* d7 */
    };
    struct ledger *ledger = open_ledger(0, NULL);
    struct error err = {0};
    for (int i = 0; i < 8; i++) {
        char id[16];
        snprintf(id, sizeof id, "d%d", i);
        struct ledger_decision d = decision(id);
        d.route = cases[i].route;
        d.config_sha256 = cases[i].config;
        d.answers_id = cases[i].answers;
        d.head_id = cases[i].head;
        d.inputs = "{\"name\":\"auto\",\"max_regret\":0.25}";
        struct ledger_shadow s = shadow(id, cases[i].outcome, 1);
        s.reason = cases[i].reason;
        s.other_ppm = i == 1 ? 5000 : 0;
        cr_assert_eq(ledger_append_decision(ledger, &d, NULL, NULL, NULL), 0);
        cr_assert_eq(ledger_append_shadow(ledger, &s, NULL, NULL, NULL), 0);
    }
    struct ledger_threshold t = {.reason = "supported", .new_ppm = 200000, .config_sha256 = "then", .head_id = "h"};
    static const char *const ids[] = {"pair:q/j", "pair:", "pair:another/judge", "other pair:q/j", NULL};
    for (int i = 0; i < 5; i++) {
        t.answers_id = ids[i];
        cr_assert_eq(ledger_append_threshold(ledger, &t), 0);
    }
    ledger_settle(ledger);
    char seen[200] = "";
    int n = 0;
    struct ledger_scope scope = {.config_sha256 = "now", .head_id = "h", .answers_id = "pair", .judge = "q/j"};
    cr_assert_eq(history_labels(path, &scope, see_label, seen, &err), 0, "%s", err.text);
    cr_assert_str_eq(seen, "d0+:20000/0 d1-:20000/5000 d2+?:20000/0 d6+:20000/0 ");
    cr_assert_eq(history_thresholds(path, &scope, count_threshold, &n, &err), 0, "%s", err.text);
    cr_assert_eq(n, 2, "moved by samples of this judge, or by none");
    scope.judge = "";
    cr_assert_eq(history_thresholds(path, &scope, count_threshold, &n, &err), 0);
    cr_assert_eq(n, 5, "nobody judges now");
    cr_assert(ledger_scope_has(&scope, "then", "h", "pair") && !ledger_scope_has(&scope, "now", "h", "other") && !ledger_scope_has(&scope, "now", "", "pair") &&
              ledger_scope_has(&scope, "now", "h", "") && !ledger_scope_has(&scope, "then", "h", ""));
    struct verify_report report;
    ledger_close(ledger);
    cr_assert_eq(ledger_verify(path, &report, &err), 0, "%s", err.text);
    cr_assert_eq(change("UPDATE shadow SET other_ppm = 6000 WHERE decision_id = 'd1'"), SQLITE_OK);
    cr_assert_eq(ledger_verify(path, &report, &err), WEIR_E_INVALID);
    cr_assert_eq(change("UPDATE shadow SET other_ppm = 5000 WHERE decision_id = 'd1'; UPDATE shadow SET other_ppm = 5000 WHERE decision_id = 'd0'"), SQLITE_OK);
    cr_assert_eq(ledger_verify(path, &report, &err), WEIR_E_INVALID, "one that was not there is a change too");
}

Test(ledger, settled_rows_are_in_the_file)
{
    struct ledger *ledger = open_ledger(0, NULL);
    for (int i = 1; i <= 300; i++) {
        char id[16];
        snprintf(id, sizeof id, "d%d", i);
        append_pair(ledger, id, false);
        if (i % 100 == 0) {
            ledger_settle(ledger);
            cr_assert_eq(ask("SELECT count(*) FROM decision"), i);
        }
    }
    ledger_close(ledger);
}

static int add_up(void *user, const struct rated *rated)
{
    int *seen = user;
    cr_assert(rated->is_auto && rated->max_regret == 0.25);
    cr_assert_str_eq(rated->tenant, "t");
    seen[0]++;
    seen[1] += rated->down;
    seen[2] += rated->rated_before;
    seen[3] += rated->was_down;
    return 0;
}

Test(ledger, ratings_are_read_back_in_order_with_the_ones_they_replace)
{
    struct ledger *ledger = open_ledger(0, NULL);
    static const char *const routes[] = {"local", "remote:p/m", "local", "local"};
    static const char *const configs[] = {"now", "now", "before", "now"};
    struct error err = {0};
    struct rated rated;
    for (int i = 0; i < 4; i++) {
        char id[16];
        snprintf(id, sizeof id, "d%d", i);
        struct ledger_decision d = decision(id);
        d.tenant = "t";
        d.route = "local";
        d.config_sha256 = configs[i];
        d.inputs = i == 3 ? "{\"name\":\"local\",\"max_regret\":0.25}" : "{\"name\":\"auto\",\"max_regret\":0.25}";
        struct ledger_outcome o = outcome(id);
        o.route = routes[i];
        cr_assert_eq(ledger_append_decision(ledger, &d, NULL, NULL, NULL), 0);
        cr_assert_eq(ledger_append_outcome(ledger, &o), 0);
    }
    ledger_settle(ledger);
    cr_assert_eq(rated_find(path, "d9", &rated, &err), WEIR_E_NOT_FOUND);
    cr_assert_eq(rated_find(path, "d0", &rated, &err), 0);
    cr_assert(rated.is_auto && !rated.rated_before && rated.max_regret == 0.25);
    cr_assert_str_eq(rated.route, "local");
    cr_assert_eq(rated_find(path, "d1", &rated, &err), 0);
    cr_assert_str_eq(rated.route, "remote:p/m", "what answered, not what was decided");
    for (int i = 0; i < 4; i++) {
        char id[16];
        snprintf(id, sizeof id, "d%d", i);
        rate(ledger, id, -1000000);
        rate(ledger, id, 0);
    }
    ledger_settle(ledger);
    cr_assert_eq(rated_find(path, "d0", &rated, &err), 0);
    cr_assert(rated.rated_before && !rated.was_down);
    int seen[4] = {0};
    struct ledger_scope scope = {.config_sha256 = "now", .head_id = "", .answers_id = "", .judge = ""};
    cr_assert_eq(rated_each(path, &scope, add_up, seen, &err), 0, "%s", err.text);
    cr_assert(seen[0] == 2 && seen[1] == 1 && seen[2] == 1 && seen[3] == 1, "%d %d %d %d", seen[0], seen[1], seen[2], seen[3]);
    ledger_close(ledger);
}

Test(ledger, a_file_of_a_newer_weir_or_none_at_all_is_refused)
{
    ledger_close(open_ledger(0, NULL));
    cr_assert_eq(change("PRAGMA user_version = 99"), SQLITE_OK);
    struct ledger *ledger;
    struct error err = {0};
    struct ledger_options options = {.path = path};
    cr_assert_eq(ledger_open(&ledger, &options, &err), WEIR_E_UNSUPPORTED);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is not a database, whatever its name says\n", file);
    fclose(file);
    cr_assert_lt(ledger_open(&ledger, &options, &err), 0);
    cr_assert_str_eq(err.where, path);
}
