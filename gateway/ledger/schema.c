/* The schema of ledger.db, version 6 (1 has no feedback, 2 no shadow samples, 3 no judgements, 4 no thresholds, 5 no answers_id and no other_ppm), and the work of a start: migration, the tree's edge, interrupted decisions.
 *
 * decision, attempt, outcome, feedback, shadow_plan, shadow, judgement and threshold share one sequence, leaf_index (their rowid): the order in which rows were committed and
 * the leaf's number in the RFC 6962 tree. leaf_hash is SHA-256(0x00 || canonical row), see row_canonical. Rows are never
 * changed after their insert. checkpoint holds tree heads: the root over leaves 0 … tree_size - 1, and in edge the roots of
 * the perfect subtrees (largest first) from which appending goes on. Money is in nano-USD (price: per million tokens), times in ns since 1970 or in us.
 *
 * Runs on the writer's connection only, inside its transactions. */
#include "ledger/schema.h"

#include <sys/stat.h>
#include <unistd.h>

static const char schema_1[] =
    "CREATE TABLE decision(leaf_index INTEGER PRIMARY KEY, leaf_hash BLOB NOT NULL, decision_id TEXT NOT NULL UNIQUE,"
    " time_ns INTEGER NOT NULL, request_id TEXT, tenant TEXT, key_id TEXT, endpoint TEXT NOT NULL, stream INTEGER NOT NULL,"
    " model TEXT, route TEXT NOT NULL, provider TEXT, provider_model TEXT, reasons TEXT NOT NULL, inputs TEXT NOT NULL,"
    " verdict TEXT, data_class TEXT, effect TEXT, pack_sha256 TEXT, head_id TEXT, config_sha256 TEXT, price_version TEXT,"
    " prompt_tokens INTEGER, reserved_nusd INTEGER, policy_us INTEGER, score_us INTEGER, decide_us INTEGER) STRICT;"
    "CREATE TABLE attempt(leaf_index INTEGER PRIMARY KEY, leaf_hash BLOB NOT NULL, decision_id TEXT NOT NULL, n INTEGER NOT NULL,"
    " time_ns INTEGER NOT NULL, provider TEXT NOT NULL, provider_model TEXT NOT NULL, region TEXT, body_sha256 TEXT,"
    " request_bytes INTEGER, result TEXT NOT NULL, status INTEGER, connect_us INTEGER, first_byte_us INTEGER, total_us INTEGER,"
    " prompt_tokens INTEGER, cached_tokens INTEGER, completion_tokens INTEGER, cost_nusd INTEGER, price_version TEXT,"
    " bad_events INTEGER NOT NULL, resumed INTEGER NOT NULL) STRICT;"
    "CREATE INDEX attempt_decision ON attempt(decision_id);"
    "CREATE TABLE outcome(leaf_index INTEGER PRIMARY KEY, leaf_hash BLOB NOT NULL, decision_id TEXT NOT NULL UNIQUE,"
    " time_ns INTEGER NOT NULL, tenant TEXT, key_id TEXT, route TEXT NOT NULL, result TEXT NOT NULL, status INTEGER,"
    " finish_reason TEXT, error_code TEXT, prompt_tokens INTEGER, cached_tokens INTEGER, completion_tokens INTEGER,"
    " cost_nusd INTEGER, counterfactual_nusd INTEGER, price_version TEXT, first_token_us INTEGER, total_us INTEGER,"
    " seams INTEGER NOT NULL) STRICT;"
    "CREATE TABLE checkpoint(tree_size INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, root_hash BLOB NOT NULL, edge BLOB NOT NULL,"
    " settled INTEGER NOT NULL, signature BLOB) STRICT;"
    "CREATE TABLE pack(pack_sha256 TEXT PRIMARY KEY, name TEXT, version TEXT, time_ns INTEGER NOT NULL) STRICT;"
    "CREATE TABLE price(price_version TEXT NOT NULL, model TEXT NOT NULL, provider TEXT NOT NULL, input_nusd INTEGER NOT NULL,"
    " cached_input_nusd INTEGER, output_nusd INTEGER NOT NULL, PRIMARY KEY(price_version, model, provider)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE api_key(key_id TEXT PRIMARY KEY, key_sha256 BLOB NOT NULL UNIQUE, tenant TEXT NOT NULL, name TEXT NOT NULL,"
    " created_ns INTEGER NOT NULL, revoked_ns INTEGER, budget_nusd INTEGER, budget_period TEXT NOT NULL, per_minute INTEGER) STRICT;"
    "CREATE TABLE key_usage(key_id TEXT NOT NULL, day TEXT NOT NULL, requests INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,"
    " completion_tokens INTEGER NOT NULL, cost_nusd INTEGER NOT NULL, unpriced_requests INTEGER NOT NULL,"
    " PRIMARY KEY(key_id, day)) STRICT, WITHOUT ROWID;"
    "CREATE VIEW request AS SELECT d.decision_id, strftime('%Y-%m-%dT%H:%M:%fZ', d.time_ns / 1e9, 'unixepoch') AS time, d.tenant,"
    " d.key_id, d.endpoint, d.stream, d.model, d.route AS decided, o.route AS answered, o.result, o.status, o.error_code,"
    " d.data_class, d.effect, d.reasons, o.prompt_tokens, o.completion_tokens, o.cost_nusd, o.counterfactual_nusd, o.first_token_us,"
    " o.total_us, (SELECT count(*) FROM attempt a WHERE a.decision_id = d.decision_id) AS attempts"
    " FROM decision d LEFT JOIN outcome o USING (decision_id);"
    "CREATE VIEW day AS SELECT strftime('%Y-%m-%d', time_ns / 1000000000, 'unixepoch') AS day, tenant,"
    " CASE WHEN route LIKE 'remote:%' THEN 'remote' ELSE route END AS route, count(*) AS requests, sum(result <> 'ok') AS not_ok,"
    " sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens, sum(cost_nusd) AS cost_nusd,"
    " sum(counterfactual_nusd) AS counterfactual_nusd FROM outcome GROUP BY 1, 2, 3;"
    "CREATE VIEW provider_day AS SELECT strftime('%Y-%m-%d', time_ns / 1000000000, 'unixepoch') AS day, provider, provider_model, result,"
    " count(*) AS attempts, sum(request_bytes) AS request_bytes, sum(prompt_tokens) AS prompt_tokens,"
    " sum(completion_tokens) AS completion_tokens, sum(cost_nusd) AS cost_nusd, avg(first_byte_us) AS mean_first_byte_us"
    " FROM attempt GROUP BY 1, 2, 3, 4;";

static const char schema_2[] =
    "CREATE TABLE feedback(leaf_index INTEGER PRIMARY KEY, leaf_hash BLOB NOT NULL, decision_id TEXT NOT NULL, time_ns INTEGER NOT NULL,"
    " tenant TEXT, key_id TEXT, rating_ppm INTEGER NOT NULL CHECK(rating_ppm BETWEEN -1000000 AND 1000000),"
    " correct INTEGER CHECK(correct IN (0, 1))) STRICT;"
    "CREATE INDEX feedback_decision ON feedback(decision_id);"
    /* The rating that counts: a decision's last. */
    "CREATE VIEW rating AS SELECT f.decision_id, f.time_ns, f.tenant, f.rating_ppm / 1e6 AS rating, f.correct,"
    " coalesce(o.route, d.route) AS route FROM feedback f JOIN decision d USING (decision_id) LEFT JOIN outcome o USING (decision_id)"
    " WHERE f.leaf_index = (SELECT max(leaf_index) FROM feedback g WHERE g.decision_id = f.decision_id);";

static const char schema_3[] =
    "CREATE TABLE shadow_plan(leaf_index INTEGER PRIMARY KEY, leaf_hash BLOB NOT NULL, decision_id TEXT NOT NULL UNIQUE,"
    " time_ns INTEGER NOT NULL, tenant TEXT, probability_ppm INTEGER NOT NULL CHECK(probability_ppm BETWEEN 1 AND 1000000),"
    " provider TEXT NOT NULL, provider_model TEXT NOT NULL, judge_provider TEXT NOT NULL, judge_provider_model TEXT NOT NULL,"
    " effect TEXT NOT NULL, reserved_nusd INTEGER NOT NULL, price_version TEXT) STRICT;"
    "CREATE TABLE shadow(leaf_index INTEGER PRIMARY KEY, leaf_hash BLOB NOT NULL, decision_id TEXT NOT NULL UNIQUE,"
    " time_ns INTEGER NOT NULL, tenant TEXT, probability_ppm INTEGER NOT NULL CHECK(probability_ppm BETWEEN 1 AND 1000000),"
    " outcome TEXT NOT NULL CHECK(outcome IN ('local_better', 'tie', 'remote_better', 'unjudged')), reason TEXT NOT NULL,"
    " provider TEXT NOT NULL, provider_model TEXT NOT NULL, judge_provider TEXT NOT NULL, judge_provider_model TEXT NOT NULL,"
    " prompt_tokens INTEGER, completion_tokens INTEGER, judge_prompt_tokens INTEGER, judge_completion_tokens INTEGER,"
    " judge_calls INTEGER NOT NULL, reserved_nusd INTEGER, cost_nusd INTEGER, price_version TEXT, remote_us INTEGER, judge_us INTEGER,"
    " total_us INTEGER) STRICT;"
    "CREATE INDEX shadow_time ON shadow(time_ns);"
    "CREATE VIEW shadowed AS SELECT s.decision_id, strftime('%Y-%m-%dT%H:%M:%fZ', s.time_ns / 1e9, 'unixepoch') AS time, s.tenant, d.model,"
    " d.data_class, d.effect, json_extract(d.inputs, '$.score.gain') AS gain, json_extract(d.inputs, '$.max_regret') AS max_regret,"
    " s.probability_ppm / 1e6 AS probability, s.outcome, s.reason, s.provider || '/' || s.provider_model AS remote,"
    " s.judge_provider || '/' || s.judge_provider_model AS judge, s.completion_tokens, s.judge_calls, s.cost_nusd, s.reserved_nusd,"
    " s.remote_us, s.judge_us, s.total_us, d.config_sha256 FROM shadow s JOIN decision d USING (decision_id);";

static const char schema_4[] =
    "CREATE TABLE judgement(leaf_index INTEGER PRIMARY KEY, leaf_hash BLOB NOT NULL, decision_id TEXT NOT NULL UNIQUE,"
    " time_ns INTEGER NOT NULL, escalated INTEGER NOT NULL, reason TEXT NOT NULL, inputs TEXT NOT NULL, reserved_nusd INTEGER) STRICT;"
    "DROP VIEW request;"
    "CREATE VIEW request AS SELECT d.decision_id, strftime('%Y-%m-%dT%H:%M:%fZ', d.time_ns / 1e9, 'unixepoch') AS time, d.tenant,"
    " d.key_id, d.endpoint, d.stream, d.model, d.route AS decided, o.route AS answered, o.result, o.status, o.error_code,"
    " d.data_class, d.effect, d.reasons, o.prompt_tokens, o.completion_tokens, o.cost_nusd, o.counterfactual_nusd, o.first_token_us,"
    " o.total_us, (SELECT count(*) FROM attempt a WHERE a.decision_id = d.decision_id) AS attempts,"
    " j.reason AS judged, json_extract(j.inputs, '$.tokens') AS held_tokens, json_extract(j.inputs, '$.p_local') AS p_local_after,"
    " json_extract(j.inputs, '$.gain') AS gain_after"
    " FROM decision d LEFT JOIN outcome o USING (decision_id) LEFT JOIN judgement j USING (decision_id);";

static const char schema_5[] =
    "CREATE TABLE threshold(leaf_index INTEGER PRIMARY KEY, leaf_hash BLOB NOT NULL, time_ns INTEGER NOT NULL, tenant TEXT,"
    " reason TEXT NOT NULL, max_regret_ppm INTEGER NOT NULL, old_ppm INTEGER NOT NULL, new_ppm INTEGER NOT NULL, n_labels INTEGER NOT NULL,"
    " regret_ppm INTEGER NOT NULL, confidence_ppm INTEGER NOT NULL, config_sha256 TEXT, head_id TEXT) STRICT;";

static const char schema_6[] =
    "ALTER TABLE decision ADD COLUMN answers_id TEXT; ALTER TABLE threshold ADD COLUMN answers_id TEXT;"
    "ALTER TABLE shadow_plan ADD COLUMN other_ppm INTEGER; ALTER TABLE shadow ADD COLUMN other_ppm INTEGER;"
    "DROP VIEW shadowed;"
    "CREATE VIEW shadowed AS SELECT s.decision_id, strftime('%Y-%m-%dT%H:%M:%fZ', s.time_ns / 1e9, 'unixepoch') AS time, s.tenant, d.model,"
    " d.data_class, d.effect, json_extract(d.inputs, '$.score.gain') AS gain, json_extract(d.inputs, '$.max_regret') AS max_regret,"
    " s.probability_ppm / 1e6 AS probability, s.outcome, s.reason, s.provider || '/' || s.provider_model AS remote,"
    " s.judge_provider || '/' || s.judge_provider_model AS judge, s.completion_tokens, s.judge_calls, s.cost_nusd, s.reserved_nusd,"
    " s.remote_us, s.judge_us, s.total_us, d.config_sha256, CASE WHEN d.route = 'local' THEN 'stayed' ELSE 'left' END AS side"
    " FROM shadow s JOIN decision d USING (decision_id);";

static const char *const schema_steps[SCHEMA_VERSION] = {schema_1, schema_2, schema_3, schema_4, schema_5, schema_6};

int sqlite_fail(sqlite3 *db, int code, const char *where, struct error *err)
{
    enum weir_status status = WEIR_E_IO;
    switch (code & 0xff) {
    case SQLITE_FULL:
        status = WEIR_E_FULL;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        status = WEIR_E_STATE;
        break;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        status = WEIR_E_INVALID;
        break;
    case SQLITE_NOMEM:
        status = WEIR_E_MEMORY;
        break;
    default:
        break;
    }
    /* errstr, not errmsg: the latter may quote a statement. */
    return error_set(err, status, where, "%s", db != NULL && (code & 0xff) == SQLITE_ERROR ? sqlite3_errmsg(db) : sqlite3_errstr(code));
}

int sqlite_run(sqlite3 *db, const char *sql, const char *where, struct error *err)
{
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : sqlite_fail(db, code, where, err);
}

static int read_integer(sqlite3 *db, const char *sql, const char *where, int64_t *out, struct error *err)
{
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code != SQLITE_OK)
        return sqlite_fail(db, code, where, err);
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *out = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? 0 : code == SQLITE_DONE ? error_set(err, WEIR_E_NOT_FOUND, where, "no row") : sqlite_fail(db, code, where, err);
}

int sqlite_open_reader(sqlite3 **db, const char *path, struct error *err)
{
    int code = sqlite3_open_v2(path, db, SQLITE_OPEN_READONLY, NULL);
    if (code != SQLITE_OK)
        return sqlite_fail(*db, code, path, err);
    sqlite3_busy_timeout(*db, 2000);
    return sqlite_run(*db, "PRAGMA wal_autocheckpoint=0", path, err);
}

/* The path as a URI that says that nobody writes to the file meanwhile. */
static int immutable_uri(const char *path, char *out, size_t n_out)
{
    size_t n = (size_t)snprintf(out, n_out, "file:");
    for (; *path != '\0' && n + 4 < n_out; path++)
        n += (size_t)snprintf(out + n, n_out - n, strchr("?#%", *path) != NULL ? "%%%02x" : "%c", (unsigned char)*path);
    return *path == '\0' && n + sizeof "?immutable=1" <= n_out && snprintf(out + n, n_out - n, "?immutable=1") > 0 ? 0 : WEIR_E_LIMIT;
}

/* May SQLite put its -wal and -shm beside the file? */
static bool folder_is_writable(const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    return !str_copy(folder, sizeof folder, n > 0 ? (str){path, n} : STR(".")) || access(folder, W_OK) == 0;
}

int sqlite_open_still(sqlite3 **db, const char *path, int64_t *unread_bytes, struct error *err)
{
    char uri[3 * 4096], wal[4096 + 8];
    int64_t version;
    struct stat info;
    *unread_bytes = 0;
    int status = sqlite_open_reader(db, path, err);
    if (status == 0)
        status = read_integer(*db, "PRAGMA schema_version", path, &version, err);
    if (status == 0 || folder_is_writable(path) || immutable_uri(path, uri, sizeof uri) < 0)
        return status;
    sqlite3_close(*db);
    int code = sqlite3_open_v2(uri, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
    snprintf(wal, sizeof wal, "%s-wal", path);
    if (stat(wal, &info) == 0)
        *unread_bytes = info.st_size;
    return code == SQLITE_OK ? 0 : sqlite_fail(*db, code, path, err);
}

int schema_version(sqlite3 *db)
{
    struct error err;
    int64_t version = 0;
    return read_integer(db, "PRAGMA user_version", "ledger", &version, &err) == 0 ? (int)version : 0;
}

bool schema_has_table(sqlite3 *db, const char *name)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1", -1, &statement, NULL) != SQLITE_OK)
        return false;
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    bool found = sqlite3_step(statement) == SQLITE_ROW;
    sqlite3_finalize(statement);
    return found;
}

int schema_migrate(sqlite3 *db, const char *where, struct error *err)
{
    int64_t version = 0;
    int status = read_integer(db, "PRAGMA user_version", where, &version, err);
    if (status < 0)
        return status;
    if (version > SCHEMA_VERSION)
        return error_set(err, WEIR_E_UNSUPPORTED, where, "was written by a newer Weir (schema %lld; this one knows %d)", (long long)version, SCHEMA_VERSION);
    if (version == SCHEMA_VERSION)
        return 0;
    status = sqlite_run(db, "BEGIN IMMEDIATE", where, err);
    if (status < 0)
        return status;
    for (int64_t step = version < 0 ? 0 : version; step < SCHEMA_VERSION && status == 0; step++)
        status = sqlite_run(db, schema_steps[step], where, err);
    char last[64];
    snprintf(last, sizeof last, "PRAGMA user_version = %d; COMMIT", SCHEMA_VERSION);
    if (status == 0)
        status = sqlite_run(db, last, where, err);
    if (status < 0)
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

int schema_load_tree(sqlite3 *db, const char *where, struct merkle *tree, struct error *err)
{
    sqlite3_stmt *statement;
    memset(tree, 0, sizeof *tree);
    int code = sqlite3_prepare_v2(db, "SELECT tree_size, edge FROM checkpoint ORDER BY tree_size DESC LIMIT 1", -1, &statement, NULL);
    if (code != SQLITE_OK)
        return sqlite_fail(db, code, where, err);
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        tree->size = (uint64_t)sqlite3_column_int64(statement, 0);
        const uint8_t *edge = sqlite3_column_blob(statement, 1);
        int expected = __builtin_popcountll(tree->size) * SHA256_BYTES;
        if (sqlite3_column_int64(statement, 0) < 0 || sqlite3_column_bytes(statement, 1) != expected) {
            sqlite3_finalize(statement);
            return error_set(err, WEIR_E_INVALID, where, "the last checkpoint is damaged");
        }
        for (int level = MERKLE_MAX_DEPTH - 1; level >= 0; level--)
            if (tree->size >> level & 1) {
                memcpy(tree->edge[level], edge, SHA256_BYTES);
                edge += SHA256_BYTES;
            }
    }
    sqlite3_finalize(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return sqlite_fail(db, code, where, err);
    code = sqlite3_prepare_v2(db,
                              "SELECT leaf_index, leaf_hash FROM decision WHERE leaf_index >= ?1 UNION ALL SELECT leaf_index, leaf_hash"
                              " FROM attempt WHERE leaf_index >= ?1 UNION ALL SELECT leaf_index, leaf_hash FROM outcome"
                              " WHERE leaf_index >= ?1 UNION ALL SELECT leaf_index, leaf_hash FROM feedback WHERE leaf_index >= ?1"
                              " UNION ALL SELECT leaf_index, leaf_hash FROM shadow_plan WHERE leaf_index >= ?1"
                              " UNION ALL SELECT leaf_index, leaf_hash FROM shadow WHERE leaf_index >= ?1"
                              " UNION ALL SELECT leaf_index, leaf_hash FROM judgement WHERE leaf_index >= ?1"
                              " UNION ALL SELECT leaf_index, leaf_hash FROM threshold WHERE leaf_index >= ?1 ORDER BY 1",
                              -1, &statement, NULL);
    if (code != SQLITE_OK)
        return sqlite_fail(db, code, where, err);
    sqlite3_bind_int64(statement, 1, (int64_t)tree->size);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (sqlite3_column_int64(statement, 0) != (int64_t)tree->size || sqlite3_column_bytes(statement, 1) != SHA256_BYTES) {
            int64_t found = sqlite3_column_int64(statement, 0);
            sqlite3_finalize(statement);
            return error_set(err, WEIR_E_INVALID, where, "row %lld stands where row %llu is expected: rows were removed or changed",
                             (long long)found, (unsigned long long)tree->size);
        }
        merkle_append(tree, sqlite3_column_blob(statement, 1));
    }
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? 0 : sqlite_fail(db, code, where, err);
}

static struct ledger_row *interrupted_outcome(sqlite3_stmt *found)
{
    /* What was spent is not known: cost is unknown for a remote route and a local one that was to leave after all, else nothing. */
    const char *route = (const char *)sqlite3_column_text(found, 3);
    bool remote = (route != NULL && strncmp(route, "remote:", 7) == 0) || sqlite3_column_int(found, 4) != 0;
    struct ledger_outcome outcome = {
        .decision_id = (const char *)sqlite3_column_text(found, 0), .time_ns = clock_wall_ns(),
        .tenant = (const char *)sqlite3_column_text(found, 1), .key_id = (const char *)sqlite3_column_text(found, 2),
        .route = route, .result = "interrupted", .status = LEDGER_NULL, .error_code = "interrupted",
        .prompt_tokens = LEDGER_NULL, .cached_tokens = LEDGER_NULL, .completion_tokens = LEDGER_NULL,
        .cost_nusd = remote ? LEDGER_NULL : 0, .counterfactual_nusd = LEDGER_NULL, .first_token_us = LEDGER_NULL, .total_us = LEDGER_NULL};
    return row_of_outcome(&outcome);
}

static struct ledger_row *interrupted_shadow(sqlite3_stmt *found)
{
    struct ledger_shadow shadow = {
        .decision_id = (const char *)sqlite3_column_text(found, 0), .time_ns = clock_wall_ns(), .tenant = (const char *)sqlite3_column_text(found, 1),
        .probability_ppm = sqlite3_column_int64(found, 2), .outcome = "unjudged", .reason = "interrupted",
        .provider = (const char *)sqlite3_column_text(found, 3), .provider_model = (const char *)sqlite3_column_text(found, 4),
        .judge_provider = (const char *)sqlite3_column_text(found, 5), .judge_provider_model = (const char *)sqlite3_column_text(found, 6),
        .prompt_tokens = LEDGER_NULL, .completion_tokens = LEDGER_NULL, .judge_prompt_tokens = LEDGER_NULL, .judge_completion_tokens = LEDGER_NULL,
        .reserved_nusd = sqlite3_column_int64(found, 7), .cost_nusd = LEDGER_NULL, .price_version = (const char *)sqlite3_column_text(found, 8),
        .remote_us = LEDGER_NULL, .judge_us = LEDGER_NULL, .total_us = LEDGER_NULL, .other_ppm = sqlite3_column_int64(found, 9)};
    return row_of_shadow(&shadow);
}

static int find_interrupted(sqlite3 *db, const char *where, const char *sql, struct ledger_row *make(sqlite3_stmt *found), struct ledger_row ***tail,
                            size_t *n, struct error *err)
{
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code != SQLITE_OK)
        return sqlite_fail(db, code, where, err);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct ledger_row *row = make(statement);
        if (row == NULL) {
            code = SQLITE_NOMEM;
            break;
        }
        **tail = row;
        *tail = &row->next;
        ++*n;
    }
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? 0 : sqlite_fail(db, code, where, err);
}

/* Everything before the last settled checkpoint has come to its end. */
#define SINCE_SETTLED ".leaf_index >= coalesce((SELECT max(tree_size) FROM checkpoint WHERE settled = 1), 0) AND NOT EXISTS"

int schema_interrupted(sqlite3 *db, const char *where, struct ledger_row **out, size_t *n, struct error *err)
{
    struct ledger_row **tail = out;
    *out = NULL;
    *n = 0;
    int status = find_interrupted(db, where,
                                  "SELECT d.decision_id, d.tenant, d.key_id, d.route, EXISTS (SELECT 1 FROM judgement j WHERE"
                                  " j.decision_id = d.decision_id AND j.escalated = 1) FROM decision d WHERE d" SINCE_SETTLED
                                  " (SELECT 1 FROM outcome o WHERE o.decision_id = d.decision_id) ORDER BY d.leaf_index",
                                  interrupted_outcome, &tail, n, err);
    if (status == 0)
        status = find_interrupted(db, where,
                                  "SELECT p.decision_id, p.tenant, p.probability_ppm, p.provider, p.provider_model, p.judge_provider,"
                                  " p.judge_provider_model, p.reserved_nusd, p.price_version, p.other_ppm FROM shadow_plan p WHERE p" SINCE_SETTLED
                                  " (SELECT 1 FROM shadow s WHERE s.decision_id = p.decision_id) ORDER BY p.leaf_index",
                                  interrupted_shadow, &tail, n, err);
    return status;
}

int schema_checkpoint(sqlite3 *db, const char *where, const struct merkle *tree, bool settled, struct error *err)
{
    sqlite3_stmt *statement;
    uint8_t root[SHA256_BYTES], edge[MERKLE_MAX_DEPTH * SHA256_BYTES];
    int n_edge = 0;
    merkle_root(tree, root);
    for (int level = MERKLE_MAX_DEPTH - 1; level >= 0; level--)
        if (tree->size >> level & 1) {
            memcpy(edge + n_edge, tree->edge[level], SHA256_BYTES);
            n_edge += SHA256_BYTES;
        }
    int code = sqlite3_prepare_v2(db,
                                  "INSERT INTO checkpoint(tree_size, time_ns, root_hash, edge, settled) VALUES(?1, ?2, ?3, ?4, ?5)"
                                  " ON CONFLICT(tree_size) DO UPDATE SET settled = max(settled, excluded.settled)",
                                  -1, &statement, NULL);
    if (code != SQLITE_OK)
        return sqlite_fail(db, code, where, err);
    sqlite3_bind_int64(statement, 1, (int64_t)tree->size);
    sqlite3_bind_int64(statement, 2, clock_wall_ns());
    sqlite3_bind_blob(statement, 3, root, sizeof root, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 4, edge, n_edge, SQLITE_STATIC);
    sqlite3_bind_int(statement, 5, settled);
    code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? 0 : sqlite_fail(db, code, where, err);
}
