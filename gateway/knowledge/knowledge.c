/* The search. Embeddings are read once for each state of the index; passages' texts stay in the file and are read as they are found. */
#include "knowledge/knowledge.h"

#include "ledger/schema.h"

#include <math.h>
#include <stdlib.h>

enum { CANDIDATES = 24, RANK_OFFSET = 60, CHECK_US = 500000, MOST_QUERY_BYTES = 4096 };

/* A passage this much less like the question than the best one distracts more than it says. */
static const float most_behind = 0.15f;

struct knowledge {
    pthread_mutex_t lock; /* Guards everything below. */
    char path[4096];
    struct knowledge_index index; /* db NULL: there is no file yet. */
    char state[KNOWLEDGE_STATE_BYTES];
    int64_t checked_us;
    int64_t *ids;
    float *embeddings;
    int64_t n;
    int n_embd;
};

int knowledge_open(struct knowledge **out, const char *path, struct error *err)
{
    struct knowledge *knowledge = calloc(1, sizeof *knowledge);
    if (knowledge == NULL)
        return error_set(err, WEIR_E_MEMORY, "knowledge", "out of memory");
    pthread_mutex_init(&knowledge->lock, NULL);
    str_copy(knowledge->path, sizeof knowledge->path, str_of(path));
    knowledge->checked_us = INT64_MIN;
    *out = knowledge;
    return 0;
}

void knowledge_close(struct knowledge *knowledge)
{
    if (knowledge == NULL)
        return;
    knowledge_index_close(&knowledge->index);
    pthread_mutex_destroy(&knowledge->lock);
    free(knowledge->ids);
    free(knowledge->embeddings);
    free(knowledge);
}

/* ------------------------------------------------------------------ what is in memory */

static int prepare(struct knowledge *knowledge, const char *sql, sqlite3_stmt **out, struct error *err)
{
    int code = sqlite3_prepare_v2(knowledge->index.db, sql, -1, out, NULL);
    return code == SQLITE_OK ? 0 : sqlite_fail(knowledge->index.db, code, knowledge->path, err);
}

/* To length 1; what has no direction becomes zeros, which are like nothing. */
static void normalize(float *vector, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)vector[i] * (double)vector[i];
    float scale = isfinite(sum) && sum > 0 ? (float)(1 / sqrt(sum)) : 0.0f;
    for (int i = 0; i < n; i++)
        vector[i] = scale > 0 ? vector[i] * scale : 0.0f;
}

static int load_rows(struct knowledge *knowledge, sqlite3_stmt *statement, struct error *err)
{
    int64_t capacity = 0;
    int code;
    knowledge->n = 0;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        int n_embd = sqlite3_column_bytes(statement, 1) / (int)sizeof(float);
        if (knowledge->n == 0)
            knowledge->n_embd = n_embd;
        if (n_embd != knowledge->n_embd || n_embd == 0 || knowledge->n == KNOWLEDGE_MAX_PASSAGES)
            return error_set(err, WEIR_E_INVALID, knowledge->path, "passage %lld has an embedding of another size, or is one too many",
                             (long long)sqlite3_column_int64(statement, 0));
        if (knowledge->n == capacity) {
            capacity = capacity > 0 ? 2 * capacity : 256;
            int64_t *ids = realloc(knowledge->ids, (size_t)capacity * sizeof *ids);
            knowledge->ids = ids != NULL ? ids : knowledge->ids;
            float *embeddings = realloc(knowledge->embeddings, (size_t)capacity * (size_t)n_embd * sizeof *embeddings);
            knowledge->embeddings = embeddings != NULL ? embeddings : knowledge->embeddings;
            if (ids == NULL || embeddings == NULL)
                return error_set(err, WEIR_E_MEMORY, knowledge->path, "does not fit into memory");
        }
        knowledge->ids[knowledge->n] = sqlite3_column_int64(statement, 0);
        float *own = memcpy(knowledge->embeddings + knowledge->n * n_embd, sqlite3_column_blob(statement, 1), (size_t)n_embd * sizeof(float));
        normalize(own, n_embd);
        knowledge->n++;
    }
    return code == SQLITE_DONE ? 0 : sqlite_fail(knowledge->index.db, code, knowledge->path, err);
}

static int load(struct knowledge *knowledge, struct error *err)
{
    sqlite3_stmt *statement;
    int status = prepare(knowledge, "SELECT passage_id, embedding FROM passage ORDER BY passage_id", &statement, err);
    if (status < 0)
        return status;
    status = load_rows(knowledge, statement, err);
    sqlite3_finalize(statement);
    return status;
}

/* Opens the file once it is there, and reads it again once it has changed. Looks at most twice a second. */
static int refresh(struct knowledge *knowledge, struct error *err)
{
    char state[KNOWLEDGE_STATE_BYTES] = "";
    int64_t now = clock_now_us();
    if (knowledge->checked_us != INT64_MIN && now - knowledge->checked_us < CHECK_US)
        return 0;
    knowledge->checked_us = now;
    if (knowledge->index.db == NULL && !file_exists(knowledge->path))
        return 0;
    int status = knowledge->index.db != NULL ? 0 : knowledge_index_open(&knowledge->index, knowledge->path, false, err);
    if (status == 0)
        status = knowledge_index_state(&knowledge->index, state, err);
    if (status == 0 && strcmp(state, knowledge->state) != 0)
        status = load(knowledge, err);
    if (status < 0)
        knowledge->n = 0;
    str_copy(knowledge->state, sizeof knowledge->state, status == 0 ? str_of(state) : STR(""));
    return status;
}

void knowledge_state(struct knowledge *knowledge, char out[KNOWLEDGE_STATE_BYTES])
{
    struct error err;
    pthread_mutex_lock(&knowledge->lock);
    (void)!refresh(knowledge, &err);
    str_copy(out, KNOWLEDGE_STATE_BYTES, str_of(knowledge->state));
    pthread_mutex_unlock(&knowledge->lock);
}

/* ------------------------------------------------------------------ the two searches */

struct candidate {
    int64_t id;
    double likeness;
    double fused;
};

struct candidates {
    struct candidate items[2 * CANDIDATES];
    int n;
};

/* Of two directions of length 1. Eight sums side by side: what the compiler turns into vector instructions. */
static double cosine(const struct knowledge *knowledge, int64_t row, const float *direction)
{
    const float *own = knowledge->embeddings + row * knowledge->n_embd;
    float sums[8] = {0};
    int i = 0;
    for (; i + 8 <= knowledge->n_embd; i += 8)
        for (int k = 0; k < 8; k++)
            sums[k] += own[i + k] * direction[i + k];
    for (; i < knowledge->n_embd; i++)
        sums[0] += own[i] * direction[i];
    return (double)((sums[0] + sums[4]) + (sums[1] + sums[5]) + (sums[2] + sums[6]) + (sums[3] + sums[7]));
}

static void search_embeddings(const struct knowledge *knowledge, const float *direction, struct candidates *out)
{
    for (int64_t row = 0; row < knowledge->n; row++) {
        double likeness = cosine(knowledge, row, direction);
        if (out->n == CANDIDATES && likeness <= out->items[out->n - 1].likeness)
            continue;
        int at = out->n < CANDIDATES ? out->n++ : CANDIDATES - 1;
        for (; at > 0 && out->items[at - 1].likeness < likeness; at--)
            out->items[at] = out->items[at - 1];
        out->items[at] = (struct candidate){.id = knowledge->ids[row], .likeness = likeness};
    }
    for (int i = 0; i < out->n; i++)
        out->items[i].fused = 1.0 / (RANK_OFFSET + i);
}

/* One word of the query in FTS5's own quotes, so that nothing of it is syntax. */
static void add_term(void *user, str word)
{
    struct buffer *query = user;
    if (query->n + word.n + 8 > query->max_bytes)
        return;
    buffer_append_text(query, query->n > 0 ? " OR \"" : "\"");
    buffer_append_str(query, word);
    buffer_append_char(query, '"');
}

static int64_t row_of(const struct knowledge *knowledge, int64_t id)
{
    int64_t low = 0, high = knowledge->n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (knowledge->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < knowledge->n && knowledge->ids[low] == id ? low : -1;
}

static void add_ranked(const struct knowledge *knowledge, int64_t id, int rank, const float *direction, struct candidates *out)
{
    double gain = 1.0 / (RANK_OFFSET + rank);
    for (int i = 0; i < out->n; i++)
        if (out->items[i].id == id) {
            out->items[i].fused += gain;
            return;
        }
    int64_t row = row_of(knowledge, id);
    if (row < 0 || out->n == 2 * CANDIDATES)
        return; /* Newer than what is in memory. */
    out->items[out->n++] = (struct candidate){id, cosine(knowledge, row, direction), gain};
}

static int search_words(struct knowledge *knowledge, str question, const float *direction, struct candidates *out, struct error *err)
{
    struct buffer query;
    sqlite3_stmt *statement;
    buffer_init(&query, MOST_QUERY_BYTES);
    terms_each(question, add_term, &query);
    int status = query.n > 0 ? prepare(knowledge, "SELECT rowid FROM passage_fts WHERE passage_fts MATCH ?1 ORDER BY bm25(passage_fts, 2.0, 1.0) LIMIT ?2",
                                       &statement, err)
                             : 0;
    if (query.n > 0 && status == 0) {
        int code, rank = 0;
        sqlite3_bind_text(statement, 1, query.data, (int)query.n, SQLITE_STATIC);
        sqlite3_bind_int(statement, 2, CANDIDATES);
        while ((code = sqlite3_step(statement)) == SQLITE_ROW)
            add_ranked(knowledge, sqlite3_column_int64(statement, 0), rank++, direction, out);
        sqlite3_finalize(statement);
        if (code != SQLITE_DONE)
            status = sqlite_fail(knowledge->index.db, code, knowledge->path, err);
    }
    buffer_release(&query);
    return status;
}

/* ------------------------------------------------------------------ the result */

static int by_fused(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->fused != y->fused)
        return x->fused < y->fused ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

static bool keep_text(struct arena *arena, sqlite3_stmt *statement, int column, str *out)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    size_t n = (size_t)sqlite3_column_bytes(statement, column);
    const char *copy = arena_strdup(arena, (str){text != NULL ? text : "", n});
    *out = (str){copy, n};
    return copy != NULL;
}

static int read_hits(struct knowledge *knowledge, const struct candidates *candidates, int most, struct arena *arena, struct knowledge_found *out,
                     struct error *err)
{
    sqlite3_stmt *statement;
    int status = prepare(knowledge, "SELECT path, heading, text, first_line, last_line FROM passage JOIN document USING (document_id) WHERE passage_id = ?1",
                         &statement, err);
    if (status < 0)
        return status;
    for (int i = 0; i < candidates->n && out->n < most && status == 0; i++) {
        struct knowledge_hit *hit = &out->items[out->n];
        sqlite3_bind_int64(statement, 1, candidates->items[i].id);
        int code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            if (!keep_text(arena, statement, 0, &hit->path) || !keep_text(arena, statement, 1, &hit->heading) || !keep_text(arena, statement, 2, &hit->text))
                status = error_set(err, WEIR_E_MEMORY, knowledge->path, "a passage does not fit into memory");
            hit->first_line = sqlite3_column_int(statement, 3);
            hit->last_line = sqlite3_column_int(statement, 4);
            hit->likeness = (float)candidates->items[i].likeness;
            out->likeness = hit->likeness > out->likeness ? hit->likeness : out->likeness;
            out->n++;
        } else if (code != SQLITE_DONE) {
            status = sqlite_fail(knowledge->index.db, code, knowledge->path, err);
        }
        sqlite3_reset(statement);
    }
    sqlite3_finalize(statement);
    return status;
}

/* Leaves the first, and those nearly as like the question as the most alike. */
static void drop_far(struct knowledge_found *found)
{
    int n = 0;
    for (int i = 0; i < found->n; i++)
        if (i == 0 || found->items[i].likeness >= found->likeness - most_behind)
            found->items[n++] = found->items[i];
    found->n = n;
}

static int search(struct knowledge *knowledge, str question, const float *embedding, int n_embd, int most, struct arena *arena, struct knowledge_found *out,
                  struct error *err)
{
    struct candidates candidates = {.n = 0};
    int status = refresh(knowledge, err);
    str_copy(out->state, sizeof out->state, str_of(knowledge->state));
    if (status < 0 || knowledge->n == 0)
        return status;
    if (n_embd != knowledge->n_embd)
        return error_set(err, WEIR_E_STATE, knowledge->path, "was made with another encoder: index it again");
    float *direction = arena_array(arena, (size_t)n_embd, sizeof *direction);
    if (direction == NULL)
        return error_set(err, WEIR_E_MEMORY, knowledge->path, "a question does not fit into memory");
    memcpy(direction, embedding, (size_t)n_embd * sizeof *direction);
    normalize(direction, n_embd);
    search_embeddings(knowledge, direction, &candidates);
    status = search_words(knowledge, question, direction, &candidates, err);
    qsort(candidates.items, (size_t)candidates.n, sizeof *candidates.items, by_fused);
    return status < 0 ? status : read_hits(knowledge, &candidates, most, arena, out, err);
}

int knowledge_search(struct knowledge *knowledge, str question, const float *embedding, int n_embd, int most, struct arena *arena, struct knowledge_found *out,
                     struct error *err)
{
    *out = (struct knowledge_found){0};
    most = most < KNOWLEDGE_MOST_HITS ? most : KNOWLEDGE_MOST_HITS;
    pthread_mutex_lock(&knowledge->lock);
    int status = search(knowledge, question, embedding, n_embd, most, arena, out, err);
    pthread_mutex_unlock(&knowledge->lock);
    if (status < 0)
        return status;
    drop_far(out);
    str texts[2 * KNOWLEDGE_MOST_HITS];
    for (int i = 0; i < out->n; i++) {
        texts[2 * i] = out->items[i].text;
        texts[2 * i + 1] = out->items[i].heading;
    }
    out->terms = terms_share(question, texts, 2 * (size_t)out->n);
    return 0;
}
