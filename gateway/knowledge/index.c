/* The index's file: its tables, and what one sync does to them. */
#include "knowledge/index.h"

#include "knowledge/folder.h"
#include "ledger/schema.h"

#include <stdlib.h>

enum { SCHEMA = 1, BUSY_MS = 60000, BATCH = 4 };

static const char schema[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;"
    "CREATE TABLE document(document_id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, mtime_ns INTEGER NOT NULL, n_bytes INTEGER NOT NULL,"
    " sha256 BLOB NOT NULL) STRICT;"
    "CREATE TABLE passage(passage_id INTEGER PRIMARY KEY, document_id INTEGER NOT NULL, n INTEGER NOT NULL, heading TEXT NOT NULL,"
    " first_line INTEGER NOT NULL, last_line INTEGER NOT NULL, text TEXT NOT NULL, embedding BLOB NOT NULL) STRICT;"
    "CREATE INDEX passage_document ON passage(document_id);"
    "CREATE VIRTUAL TABLE passage_fts USING fts5(heading, text, content='passage', content_rowid='passage_id', tokenize='porter unicode61');"
    "CREATE TRIGGER passage_in AFTER INSERT ON passage BEGIN"
    " INSERT INTO passage_fts(rowid, heading, text) VALUES(new.passage_id, new.heading, new.text); END;"
    "CREATE TRIGGER passage_out AFTER DELETE ON passage BEGIN"
    " INSERT INTO passage_fts(passage_fts, rowid, heading, text) VALUES('delete', old.passage_id, old.heading, old.text); END;"
    "INSERT INTO meta VALUES('index_id', lower(hex(randomblob(8)))), ('changes', '0'), ('encoder', '');"
    "PRAGMA user_version = 1;";

static int prepare(struct knowledge_index *index, const char *sql, sqlite3_stmt **out, struct error *err)
{
    int code = sqlite3_prepare_v2(index->db, sql, -1, out, NULL);
    return code == SQLITE_OK ? 0 : sqlite_fail(index->db, code, index->path, err);
}

/* One integer of one row. */
static int read_integer(struct knowledge_index *index, const char *sql, int64_t *out, struct error *err)
{
    sqlite3_stmt *statement;
    int status = prepare(index, sql, &statement, err);
    if (status < 0)
        return status;
    int code = sqlite3_step(statement);
    *out = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? 0 : sqlite_fail(index->db, code, index->path, err);
}

int knowledge_index_open(struct knowledge_index *index, const char *path, bool writes, struct error *err)
{
    int64_t version = 0;
    *index = (struct knowledge_index){0};
    str_copy(index->path, sizeof index->path, str_of(path));
    if (!writes && !file_exists(path))
        return error_set(err, WEIR_E_NOT_FOUND, path, "there is no index yet: `weir knowledge index` makes it");
    int flags = writes ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    int code = sqlite3_open_v2(path, &index->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    int status = code == SQLITE_OK ? 0 : sqlite_fail(index->db, code, path, err);
    if (status == 0)
        sqlite3_busy_timeout(index->db, BUSY_MS);
    if (status == 0 && writes)
        status = sqlite_run(index->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE", path, err);
    if (status == 0)
        status = read_integer(index, "PRAGMA user_version", &version, err);
    if (status == 0 && version > SCHEMA)
        status = error_set(err, WEIR_E_UNSUPPORTED, path, "was written by a newer Weir (schema %lld; this one knows %d)", (long long)version, SCHEMA);
    if (status == 0 && version == 0)
        status = writes ? sqlite_run(index->db, schema, path, err) : error_set(err, WEIR_E_INVALID, path, "is no index");
    if (status == 0 && writes)
        status = sqlite_run(index->db, "COMMIT", path, err);
    if (status < 0)
        knowledge_index_close(index);
    return status;
}

void knowledge_index_close(struct knowledge_index *index)
{
    sqlite3_close(index->db);
    index->db = NULL;
}

int knowledge_index_state(struct knowledge_index *index, char out[KNOWLEDGE_STATE_BYTES], struct error *err)
{
    sqlite3_stmt *statement;
    int status = prepare(index, "SELECT (SELECT value FROM meta WHERE name = 'index_id') || '-' || (SELECT value FROM meta WHERE name = 'changes')", &statement, err);
    if (status < 0)
        return status;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        str_copy(out, KNOWLEDGE_STATE_BYTES, str_of((const char *)sqlite3_column_text(statement, 0)));
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? 0 : sqlite_fail(index->db, code, index->path, err);
}

int knowledge_index_count(struct knowledge_index *index, int64_t *n_documents, int64_t *n_passages, struct error *err)
{
    int status = read_integer(index, "SELECT count(*) FROM document", n_documents, err);
    return status < 0 ? status : read_integer(index, "SELECT count(*) FROM passage", n_passages, err);
}

/* ------------------------------------------------------------------ sync */

struct sync {
    struct knowledge_index *index;
    struct model *encoder;
    const char *folder;
    const volatile int *cancelled;
    knowledge_sync_fn *note;
    void *user;
    struct knowledge_report *report;
};

/* Runs a statement with an integer and ends it. */
static int run_with(struct knowledge_index *index, const char *sql, int64_t value, struct error *err)
{
    sqlite3_stmt *statement;
    int status = prepare(index, sql, &statement, err);
    if (status < 0)
        return status;
    sqlite3_bind_int64(statement, 1, value);
    int code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return code == SQLITE_DONE || code == SQLITE_ROW ? 0 : sqlite_fail(index->db, code, index->path, err);
}

static int begin(struct knowledge_index *index, struct error *err)
{
    return sqlite_run(index->db, "BEGIN IMMEDIATE", index->path, err);
}

/* Commits a change of content, or takes it back when something failed. */
static int finish(struct knowledge_index *index, int status, struct error *err)
{
    if (status == 0)
        status = sqlite_run(index->db, "UPDATE meta SET value = value + 1 WHERE name = 'changes'; COMMIT", index->path, err);
    if (status < 0)
        sqlite3_exec(index->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

static int forget_document(struct knowledge_index *index, int64_t id, struct error *err)
{
    int status = run_with(index, "DELETE FROM passage WHERE document_id = ?1", id, err);
    return status < 0 ? status : run_with(index, "DELETE FROM document WHERE document_id = ?1", id, err);
}

/* Embeddings of passages first … first + n - 1, heading and text read as one. */
static int embed(struct sync *sync, const struct passages *passages, size_t first, size_t n, float *vectors, struct error *err)
{
    struct ids ids[BATCH] = {{0}};
    struct encoder_input inputs[BATCH];
    struct buffer text;
    int status = 0;
    buffer_init(&text, PASSAGE_MAX_BYTES + PASSAGE_HEADING_BYTES + 16);
    for (size_t i = 0; i < n && status == 0; i++) {
        const struct passage *passage = &passages->items[first + i];
        buffer_clear(&text);
        buffer_append_str(&text, passage->heading);
        buffer_append_char(&text, '\n');
        buffer_append_str(&text, passage->text);
        status = model_text_ids(sync->encoder, str_trim(buffer_str(&text)), &ids[i], err);
        inputs[i] = (struct encoder_input){.ids = ids[i].data, .n = ids[i].n};
    }
    if (status == 0)
        status = model_embed(sync->encoder, inputs, n, vectors, err);
    for (size_t i = 0; i < n; i++)
        ids_release(&ids[i]);
    buffer_release(&text);
    return status;
}

static int insert_passages(struct sync *sync, int64_t document, const struct passages *passages, const float *vectors, struct error *err)
{
    sqlite3_stmt *statement;
    struct knowledge_index *index = sync->index;
    size_t width = (size_t)model_info_peek(sync->encoder)->n_embd;
    int status = prepare(index, "INSERT INTO passage(document_id, n, heading, first_line, last_line, text, embedding) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                         &statement, err);
    for (size_t i = 0; i < passages->n && status == 0; i++) {
        const struct passage *passage = &passages->items[i];
        sqlite3_bind_int64(statement, 1, document);
        sqlite3_bind_int64(statement, 2, (int64_t)i);
        sqlite3_bind_text(statement, 3, passage->heading.data != NULL ? passage->heading.data : "", (int)passage->heading.n, SQLITE_STATIC);
        sqlite3_bind_int(statement, 4, passage->first_line);
        sqlite3_bind_int(statement, 5, passage->last_line);
        sqlite3_bind_text(statement, 6, passage->text.data, (int)passage->text.n, SQLITE_STATIC);
        sqlite3_bind_blob(statement, 7, vectors + i * width, (int)(width * sizeof(float)), SQLITE_STATIC);
        int code = sqlite3_step(statement);
        sqlite3_reset(statement);
        if (code != SQLITE_DONE)
            status = sqlite_fail(index->db, code, index->path, err);
    }
    sqlite3_finalize(statement);
    return status;
}

static int insert_document(struct sync *sync, const struct folder_file *file, const uint8_t hash[SHA256_BYTES], int64_t *id, struct error *err)
{
    sqlite3_stmt *statement;
    struct knowledge_index *index = sync->index;
    int status = prepare(index, "INSERT INTO document(path, mtime_ns, n_bytes, sha256) VALUES(?1, ?2, ?3, ?4)", &statement, err);
    if (status < 0)
        return status;
    sqlite3_bind_text(statement, 1, file->path, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, file->mtime_ns);
    sqlite3_bind_int64(statement, 3, file->n_bytes);
    sqlite3_bind_blob(statement, 4, hash, SHA256_BYTES, SQLITE_STATIC);
    int code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    *id = sqlite3_last_insert_rowid(index->db);
    return code == SQLITE_DONE ? 0 : sqlite_fail(index->db, code, index->path, err);
}

/* What the index has of a path. id 0: nothing. */
struct known {
    int64_t id, mtime_ns, n_bytes;
    uint8_t hash[SHA256_BYTES];
};

static int find_document(struct knowledge_index *index, const char *path, struct known *out, struct error *err)
{
    sqlite3_stmt *statement;
    *out = (struct known){0};
    int status = prepare(index, "SELECT document_id, mtime_ns, n_bytes, sha256 FROM document WHERE path = ?1", &statement, err);
    if (status < 0)
        return status;
    sqlite3_bind_text(statement, 1, path, -1, SQLITE_STATIC);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW && sqlite3_column_bytes(statement, 3) == SHA256_BYTES) {
        *out = (struct known){.id = sqlite3_column_int64(statement, 0), .mtime_ns = sqlite3_column_int64(statement, 1), .n_bytes = sqlite3_column_int64(statement, 2)};
        memcpy(out->hash, sqlite3_column_blob(statement, 3), SHA256_BYTES);
    }
    sqlite3_finalize(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : sqlite_fail(index->db, code, index->path, err);
}

static bool is_cancelled(const struct sync *sync)
{
    return sync->cancelled != NULL && *sync->cancelled;
}

/* Cuts, embeds and stores one document in place of what was known of it. The slow part comes before the transaction. */
static int store(struct sync *sync, const struct folder_file *file, str text, const uint8_t hash[SHA256_BYTES], struct error *err)
{
    struct knowledge_index *index = sync->index;
    size_t width = (size_t)model_info_peek(sync->encoder)->n_embd;
    struct arena arena;
    struct passages passages;
    struct known known;
    int64_t n_others = 0, id = 0;
    float *vectors = NULL;
    arena_init(&arena, (size_t)256 << 20);
    int status = passages_cut(file->kind, text, &arena, &passages, err);
    if (status == 0 && (vectors = malloc((passages.n + 1) * width * sizeof *vectors)) == NULL)
        status = error_set(err, WEIR_E_MEMORY, "", "does not fit into memory");
    for (size_t i = 0; i < passages.n && status == 0; i += BATCH) {
        if (is_cancelled(sync))
            status = error_set(err, WEIR_E_CANCELLED, sync->folder, "the indexing was broken off");
        else
            status = embed(sync, &passages, i, passages.n - i < BATCH ? passages.n - i : BATCH, vectors + i * width, err);
    }
    if (status == 0)
        status = begin(index, err);
    if (status == 0) {
        status = find_document(index, file->path, &known, err);
        if (status == 0 && known.id > 0)
            status = forget_document(index, known.id, err);
        if (status == 0)
            status = read_integer(index, "SELECT count(*) FROM passage", &n_others, err);
        if (status == 0 && n_others + (int64_t)passages.n > KNOWLEDGE_MAX_PASSAGES)
            status = error_set(err, WEIR_E_LIMIT, "", "the index takes no more than %d passages", KNOWLEDGE_MAX_PASSAGES);
        if (status == 0)
            status = insert_document(sync, file, hash, &id, err);
        if (status == 0)
            status = insert_passages(sync, id, &passages, vectors, err);
        status = finish(index, status, err);
    }
    free(vectors);
    arena_release(&arena);
    return status;
}

static void skip(struct sync *sync, const char *path, const char *reason)
{
    sync->report->n_skipped++;
    if (sync->note != NULL)
        sync->note(sync->user, path, reason);
}

/* Of the same content with another time: only the time is noted. */
static int touch(struct knowledge_index *index, int64_t id, int64_t mtime_ns, struct error *err)
{
    char sql[160];
    snprintf(sql, sizeof sql, "UPDATE document SET mtime_ns = %lld WHERE document_id = ?1", (long long)mtime_ns);
    return run_with(index, sql, id, err);
}

static int sync_file(struct sync *sync, const struct folder_file *file, struct error *err)
{
    struct known known;
    struct error fault = {0};
    char path[4096];
    uint8_t hash[SHA256_BYTES];
    int status = find_document(sync->index, file->path, &known, err);
    if (status < 0)
        return status;
    if (known.id > 0 && known.mtime_ns == file->mtime_ns && known.n_bytes == file->n_bytes) {
        sync->report->n_unchanged++;
        return 0;
    }
    struct buffer text;
    buffer_init(&text, KNOWLEDGE_MAX_FILE_BYTES);
    snprintf(path, sizeof path, "%s/%s", sync->folder, file->path);
    status = file->n_bytes > KNOWLEDGE_MAX_FILE_BYTES ? error_set(&fault, WEIR_E_LIMIT, "", "is larger than 16 MiB") : file_read(path, &text, &fault);
    if (status == 0) {
        sha256(text.data != NULL ? text.data : "", text.n, hash);
        if (known.id > 0 && memcmp(hash, known.hash, sizeof hash) == 0) {
            sync->report->n_unchanged++;
            status = touch(sync->index, known.id, file->mtime_ns, err);
            buffer_release(&text);
            return status;
        }
        status = store(sync, file, buffer_str(&text), hash, &fault);
    }
    buffer_release(&text);
    if (status < 0) {
        if (status == WEIR_E_CANCELLED || strcmp(fault.where, sync->index->path) == 0) { /* Not of the file. */
            if (err != NULL)
                *err = fault;
            return status;
        }
        skip(sync, file->path, fault.text);
        if (known.id == 0)
            return 0;
        status = begin(sync->index, err); /* What it was is true no more. */
        return status < 0 ? status : finish(sync->index, forget_document(sync->index, known.id, err), err);
    }
    ++*(known.id > 0 ? &sync->report->n_changed : &sync->report->n_new);
    if (sync->note != NULL)
        sync->note(sync->user, file->path, NULL);
    return 0;
}

/* Documents of the index that the folder has no more. */
static int remove_vanished(struct sync *sync, const struct folder_files *files, struct error *err)
{
    sqlite3_stmt *statement;
    struct knowledge_index *index = sync->index;
    int64_t gone[64];
    for (size_t n = sizeof gone / sizeof *gone; n == sizeof gone / sizeof *gone;) {
        n = 0;
        size_t at = 0;
        int status = prepare(index, "SELECT document_id, path FROM document ORDER BY path COLLATE BINARY", &statement, err);
        if (status < 0)
            return status;
        while (n < sizeof gone / sizeof *gone && sqlite3_step(statement) == SQLITE_ROW) {
            const char *path = (const char *)sqlite3_column_text(statement, 1);
            while (at < files->n && strcmp(files->items[at].path, path) < 0)
                at++;
            if (at == files->n || strcmp(files->items[at].path, path) != 0)
                gone[n++] = sqlite3_column_int64(statement, 0);
        }
        sqlite3_finalize(statement);
        if (n == 0)
            return 0;
        status = begin(index, err);
        if (status < 0)
            return status;
        for (size_t i = 0; i < n && status == 0; i++)
            status = forget_document(index, gone[i], err);
        status = finish(index, status, err);
        if (status < 0)
            return status;
        sync->report->n_removed += (int)n;
    }
    return 0;
}

/* Embeddings of two encoders don't compare: another one starts afresh. */
static int check_encoder(struct knowledge_index *index, const struct model *encoder, struct error *err)
{
    sqlite3_stmt *statement;
    char name[300];
    const struct model_info *info = model_info_peek(encoder);
    snprintf(name, sizeof name, "%s/%d", info->name, info->n_embd);
    int status = begin(index, err);
    if (status == 0)
        status = prepare(index, "UPDATE meta SET value = ?1 WHERE name = 'encoder' AND value <> ?1", &statement, err);
    else
        return status;
    if (status == 0) {
        sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
        int code = sqlite3_step(statement);
        sqlite3_finalize(statement);
        if (code != SQLITE_DONE)
            status = sqlite_fail(index->db, code, index->path, err);
    }
    if (status == 0 && sqlite3_changes(index->db) > 0)
        status = sqlite_run(index->db, "DELETE FROM passage; DELETE FROM document", index->path, err);
    else if (status == 0)
        return sqlite_run(index->db, "COMMIT", index->path, err);
    return finish(index, status, err);
}

int knowledge_index_sync(struct knowledge_index *index, const char *folder, struct model *encoder, const volatile int *cancelled, knowledge_sync_fn *note,
                         void *user, struct knowledge_report *report, struct error *err)
{
    struct sync sync = {index, encoder, folder, cancelled, note, user, report};
    struct folder_files files;
    *report = (struct knowledge_report){0};
    int status = folder_list(folder, KNOWLEDGE_MAX_FILES, &files, err);
    if (status < 0)
        return status;
    status = check_encoder(index, encoder, err);
    if (status == 0)
        status = remove_vanished(&sync, &files, err);
    for (size_t i = 0; i < files.n && status == 0; i++) {
        if (is_cancelled(&sync))
            status = error_set(err, WEIR_E_CANCELLED, folder, "the indexing was broken off");
        else
            status = sync_file(&sync, &files.items[i], err);
    }
    if (status == 0)
        status = read_integer(index, "SELECT count(*) FROM passage", &report->n_passages, err);
    folder_files_release(&files);
    return status;
}
