/* Virtual keys: an open-addressed table by digest in memory, api_key in the ledger's database behind it.
 *
 * Invariant: the text of a key exists only in keys_create's answer; the table and the file hold its SHA-256. A digest leads
 * to its slot by its own first bytes (an attacker cannot choose them without the key), and equality is decided by one
 * constant-time comparison. Any thread; one lock. Budgets live in money/budget.c. */
#include "keys/keys.h"

#include <sqlite3.h>

#include "ledger/schema.h"

struct entry {
    uint8_t digest[SHA256_BYTES];
    struct key_info info;
};

struct keys {
    pthread_mutex_t lock;
    struct ledger *ledger;
    struct budget_table *budgets;
    struct entry *entries; /* In order of creation. */
    size_t n, capacity;
    uint32_t *slots;       /* 1 + index of an entry, 0: free. */
    size_t n_slots;        /* A power of two. */
};

static const char *const period_names[] = {[BUDGET_TOTAL] = "total", [BUDGET_MONTH] = "month", [BUDGET_DAY] = "day"};

static size_t home_slot(const struct keys *keys, const uint8_t digest[SHA256_BYTES])
{
    uint64_t head;
    memcpy(&head, digest, sizeof head);
    return head & (keys->n_slots - 1);
}

static struct entry *find(struct keys *keys, const uint8_t digest[SHA256_BYTES])
{
    if (keys->n_slots == 0)
        return NULL;
    for (size_t i = home_slot(keys, digest); keys->slots[i] != 0; i = (i + 1) & (keys->n_slots - 1)) {
        struct entry *entry = &keys->entries[keys->slots[i] - 1];
        if (bytes_equal_constant_time(entry->digest, digest, SHA256_BYTES))
            return entry;
    }
    return NULL;
}

static int rehash(struct keys *keys, size_t n_slots)
{
    uint32_t *slots = calloc(n_slots, sizeof *slots);
    if (slots == NULL)
        return WEIR_E_MEMORY;
    free(keys->slots);
    keys->slots = slots;
    keys->n_slots = n_slots;
    for (size_t k = 0; k < keys->n; k++) {
        size_t i = home_slot(keys, keys->entries[k].digest);
        while (slots[i] != 0)
            i = (i + 1) & (n_slots - 1);
        slots[i] = (uint32_t)k + 1;
    }
    return 0;
}

static int add(struct keys *keys, const struct entry *entry)
{
    if (keys->n >= KEYS_MAX)
        return WEIR_E_LIMIT;
    if (keys->n == keys->capacity) {
        size_t capacity = keys->capacity > 0 ? keys->capacity * 2 : 64;
        struct entry *grown = realloc(keys->entries, capacity * sizeof *grown);
        if (grown == NULL)
            return WEIR_E_MEMORY;
        keys->entries = grown;
        keys->capacity = capacity;
    }
    keys->entries[keys->n++] = *entry;
    if (keys->n * 2 > keys->n_slots)
        return rehash(keys, keys->n_slots > 0 ? keys->n_slots * 2 : 256);
    size_t i = home_slot(keys, entry->digest);
    while (keys->slots[i] != 0)
        i = (i + 1) & (keys->n_slots - 1);
    keys->slots[i] = (uint32_t)keys->n;
    return 0;
}

/* ------------------------------------------------------------------ the database */

static int read_entry(sqlite3_stmt *statement, struct entry *entry)
{
    memset(entry, 0, sizeof *entry);
    if (sqlite3_column_bytes(statement, 1) != SHA256_BYTES)
        return WEIR_E_INVALID;
    memcpy(entry->digest, sqlite3_column_blob(statement, 1), SHA256_BYTES);
    const char *period = (const char *)sqlite3_column_text(statement, 7);
    struct key_info *info = &entry->info;
    if (!str_copy(info->id, sizeof info->id, str_of((const char *)sqlite3_column_text(statement, 0))) ||
        !str_copy(info->tenant, sizeof info->tenant, str_of((const char *)sqlite3_column_text(statement, 2))) ||
        !str_copy(info->name, sizeof info->name, str_of((const char *)sqlite3_column_text(statement, 3))))
        return WEIR_E_INVALID;
    info->created_ns = sqlite3_column_int64(statement, 4);
    info->revoked_ns = sqlite3_column_int64(statement, 5);
    info->budget_nusd = sqlite3_column_type(statement, 6) == SQLITE_NULL ? -1 : sqlite3_column_int64(statement, 6);
    info->period = strcmp(period, "month") == 0 ? BUDGET_MONTH : strcmp(period, "day") == 0 ? BUDGET_DAY : BUDGET_TOTAL;
    info->per_minute = sqlite3_column_type(statement, 8) == SQLITE_NULL ? -1 : sqlite3_column_int64(statement, 8);
    return 0;
}

static int set_account(struct keys *keys, const struct key_info *info, int64_t spent_nusd)
{
    if (keys->budgets == NULL || (info->budget_nusd < 0 && info->per_minute < 0))
        return 0;
    return budget_account_set(keys->budgets, info->id, info->budget_nusd, info->period, spent_nusd, info->per_minute);
}

static int load_job(void *db, void *user, struct error *err)
{
    struct keys *keys = user;
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(db,
                                  "SELECT key_id, key_sha256, tenant, name, created_ns, revoked_ns, budget_nusd, budget_period, per_minute,"
                                  " (SELECT total(cost_nusd) FROM key_usage u WHERE u.key_id = k.key_id AND u.day >= CASE budget_period"
                                  "  WHEN 'day' THEN strftime('%Y-%m-%d', 'now') WHEN 'month' THEN strftime('%Y-%m-01', 'now') ELSE '' END)"
                                  " FROM api_key k ORDER BY created_ns, key_id",
                                  -1, &statement, NULL);
    if (code != SQLITE_OK)
        return sqlite_fail(db, code, "api_key", err);
    int status = 0;
    while (status == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct entry entry;
        status = read_entry(statement, &entry);
        if (status < 0)
            error_set(err, status, "api_key", "a row is damaged");
        else if ((status = add(keys, &entry)) < 0)
            error_set(err, status, "api_key", "more than %d keys, or out of memory", KEYS_MAX);
        else if (entry.info.revoked_ns == 0 && (status = set_account(keys, &entry.info, sqlite3_column_int64(statement, 9))) < 0)
            error_set(err, status, "api_key", "no room for the accounts");
    }
    sqlite3_finalize(statement);
    return status < 0 ? status : code == SQLITE_DONE ? 0 : sqlite_fail(db, code, "api_key", err);
}

static int insert_job(void *db, void *user, struct error *err)
{
    const struct entry *entry = user;
    const struct key_info *info = &entry->info;
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(db, "INSERT INTO api_key VALUES(?,?,?,?,?,NULL,?,?,?)", -1, &statement, NULL);
    if (code != SQLITE_OK)
        return sqlite_fail(db, code, "api_key", err);
    sqlite3_bind_text(statement, 1, info->id, -1, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 2, entry->digest, SHA256_BYTES, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, info->tenant, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 4, info->name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 5, info->created_ns);
    if (info->budget_nusd >= 0)
        sqlite3_bind_int64(statement, 6, info->budget_nusd);
    sqlite3_bind_text(statement, 7, period_names[info->period], -1, SQLITE_STATIC);
    if (info->per_minute >= 0)
        sqlite3_bind_int64(statement, 8, info->per_minute);
    code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? 0 : sqlite_fail(db, code, "api_key", err);
}

static int revoke_job(void *db, void *user, struct error *err)
{
    const struct key_info *info = user;
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(db, "UPDATE api_key SET revoked_ns = ? WHERE key_id = ?", -1, &statement, NULL);
    if (code != SQLITE_OK)
        return sqlite_fail(db, code, "api_key", err);
    sqlite3_bind_int64(statement, 1, info->revoked_ns);
    sqlite3_bind_text(statement, 2, info->id, -1, SQLITE_STATIC);
    code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? 0 : sqlite_fail(db, code, "api_key", err);
}

/* ------------------------------------------------------------------ the public functions */

int keys_open(struct keys **out, struct ledger *ledger, struct budget_table *budgets, struct error *err)
{
    struct keys *keys = calloc(1, sizeof *keys);
    if (keys == NULL)
        return error_set(err, WEIR_E_MEMORY, "keys", "out of memory");
    pthread_mutex_init(&keys->lock, NULL);
    keys->ledger = ledger;
    keys->budgets = budgets;
    int status = ledger_run(ledger, load_job, keys, err);
    if (status < 0) {
        keys_close(keys);
        return status;
    }
    *out = keys;
    return 0;
}

void keys_close(struct keys *keys)
{
    if (keys == NULL)
        return;
    pthread_mutex_destroy(&keys->lock);
    free(keys->entries);
    free(keys->slots);
    free(keys);
}

static bool name_is_plain(const char *name, size_t n_max)
{
    size_t n = strnlen(name, n_max);
    if (n == n_max || utf8_first_invalid((str){name, n}) >= 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
            return false;
    return true;
}

int keys_create(struct keys *keys, struct key_info *info, char text[KEY_TEXT_BYTES], struct error *err)
{
    if (info->tenant[0] == '\0' || !name_is_plain(info->tenant, sizeof info->tenant))
        return error_set(err, WEIR_E_INVALID, "tenant", "must be 1 to 63 bytes of plain text");
    if (!name_is_plain(info->name, sizeof info->name))
        return error_set(err, WEIR_E_INVALID, "name", "must be at most 63 bytes of plain text");
    if ((unsigned)info->period > BUDGET_DAY)
        return error_set(err, WEIR_E_INVALID, "period", "must be total, month or day");
    uint8_t secret[32];
    int status = random_bytes(secret, sizeof secret);
    if (status < 0)
        return error_set(err, status, "keys", "no random bytes from the operating system");
    struct entry entry = {.info = *info};
    memcpy(text, "weir-", 5);
    hex_encode(secret, sizeof secret, text + 5);
    bytes_wipe(secret, sizeof secret);
    sha256(text, KEY_TEXT_BYTES - 1, entry.digest);
    memcpy(entry.info.id, "key_", 4);
    hex_encode(entry.digest, 8, entry.info.id + 4);
    entry.info.created_ns = clock_wall_ns();
    entry.info.revoked_ns = 0;
    pthread_mutex_lock(&keys->lock);
    status = 0;
    for (size_t i = 0; i < keys->n && status == 0 && info->name[0] != '\0'; i++)
        if (keys->entries[i].info.revoked_ns == 0 && strcmp(keys->entries[i].info.name, info->name) == 0)
            status = error_set(err, WEIR_E_STATE, "name", "a valid key has this name already");
    pthread_mutex_unlock(&keys->lock);
    if (status == 0)
        status = ledger_run(keys->ledger, insert_job, &entry, err);
    if (status == 0) {
        pthread_mutex_lock(&keys->lock);
        status = add(keys, &entry);
        if (status == 0)
            status = set_account(keys, &entry.info, 0);
        pthread_mutex_unlock(&keys->lock);
        if (status < 0)
            error_set(err, status, "keys", "the table is full");
    }
    if (status < 0)
        bytes_wipe(text, KEY_TEXT_BYTES);
    *info = entry.info;
    return status;
}

int keys_revoke(struct keys *keys, const char *id_or_name, struct error *err)
{
    struct key_info info = {0};
    bool found = false;
    pthread_mutex_lock(&keys->lock);
    /* A name may have been used again after a revocation: the valid key is meant. */
    for (size_t i = 0; i < keys->n; i++) {
        const struct key_info *other = &keys->entries[i].info;
        bool match = strcmp(other->id, id_or_name) == 0 || (other->name[0] != '\0' && strcmp(other->name, id_or_name) == 0);
        if (match && (!found || info.revoked_ns != 0)) {
            info = *other;
            found = true;
        }
    }
    pthread_mutex_unlock(&keys->lock);
    if (!found)
        return error_set(err, WEIR_E_NOT_FOUND, "keys", "there is no key of this id or name");
    if (info.revoked_ns != 0)
        return error_set(err, WEIR_E_STATE, info.id, "is revoked already");
    info.revoked_ns = clock_wall_ns();
    int status = ledger_run(keys->ledger, revoke_job, &info, err);
    if (status < 0)
        return status;
    pthread_mutex_lock(&keys->lock);
    for (size_t i = 0; i < keys->n; i++)
        if (strcmp(keys->entries[i].info.id, info.id) == 0)
            keys->entries[i].info.revoked_ns = info.revoked_ns;
    pthread_mutex_unlock(&keys->lock);
    if (keys->budgets != NULL)
        budget_account_remove(keys->budgets, info.id);
    return 0;
}

static json_t *time_json(int64_t ns)
{
    char text[32];
    return ns == 0 ? json_null() : json_string(clock_format_utc(ns, text));
}

json_t *keys_list(struct keys *keys)
{
    json_t *list = json_array();
    pthread_mutex_lock(&keys->lock);
    for (size_t i = 0; i < keys->n; i++) {
        const struct key_info *info = &keys->entries[i].info;
        char usd[32];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:s, s:o}", "id", info->id, "tenant", info->tenant, "name",
                                              info->name, "created", time_json(info->created_ns), "revoked", time_json(info->revoked_ns),
                                              "budget_usd", info->budget_nusd < 0 ? json_null() : json_string(money_format_usd(info->budget_nusd, usd)),
                                              "period", period_names[info->period], "per_minute",
                                              info->per_minute < 0 ? json_null() : json_integer(info->per_minute)));
    }
    pthread_mutex_unlock(&keys->lock);
    return list;
}

int keys_find(struct keys *keys, str bearer, struct key_info *out)
{
    uint8_t digest[SHA256_BYTES];
    sha256(bearer.data != NULL ? bearer.data : "", bearer.n, digest);
    pthread_mutex_lock(&keys->lock);
    const struct entry *entry = find(keys, digest);
    bool valid = entry != NULL && entry->info.revoked_ns == 0;
    if (valid)
        *out = entry->info;
    pthread_mutex_unlock(&keys->lock);
    return valid ? 0 : WEIR_E_NOT_FOUND;
}

size_t keys_count(struct keys *keys)
{
    size_t n = 0;
    pthread_mutex_lock(&keys->lock);
    for (size_t i = 0; i < keys->n; i++)
        n += keys->entries[i].info.revoked_ns == 0;
    pthread_mutex_unlock(&keys->lock);
    return n;
}
