/* Budgets: accounts by key id in one open-addressed table behind one lock.
 *
 * Invariant: spent + reserved never exceeds a limit through a reservation; only a settlement whose real cost is above the
 * reserved worst case can, and it is booked in full. Any thread; the lock is held for a few loads and stores. Where the
 * spent sums come from and where they are kept is the ledger's matter. */
#include "money/budget.h"

#include "money/month.h"

enum { RATE_SCALE = 60000000 };

struct account {
    char key_id[40]; /* "" is a free slot. */
    int64_t limit_nusd;
    enum budget_period period;
    int64_t period_number; /* Which month or day `spent` belongs to. */
    int64_t spent_nusd, reserved_nusd;
    int64_t per_minute;
    int64_t allowance; /* Requests × RATE_SCALE the bucket holds. */
    int64_t filled_us;
    bool removed;
};

struct budget_table {
    pthread_mutex_t lock;
    struct account *accounts;
    size_t capacity, n, max_accounts; /* capacity is a power of two. */
};

struct budget_table *budget_new(size_t max_accounts)
{
    struct budget_table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return NULL;
    table->max_accounts = max_accounts;
    table->capacity = 64;
    table->accounts = calloc(table->capacity, sizeof *table->accounts);
    if (table->accounts == NULL) {
        free(table);
        return NULL;
    }
    pthread_mutex_init(&table->lock, NULL);
    return table;
}

void budget_free(struct budget_table *table)
{
    if (table == NULL)
        return;
    pthread_mutex_destroy(&table->lock);
    free(table->accounts);
    free(table);
}

/* The account's slot, or the free one where it would go. */
static struct account *slot_of(struct account *accounts, size_t capacity, const char *key_id)
{
    size_t i = str_hash(str_of(key_id)) & (capacity - 1);
    while (accounts[i].key_id[0] != '\0' && strcmp(accounts[i].key_id, key_id) != 0)
        i = (i + 1) & (capacity - 1);
    return &accounts[i];
}

static struct account *find(struct budget_table *table, const char *key_id)
{
    if (key_id == NULL || key_id[0] == '\0')
        return NULL;
    struct account *account = slot_of(table->accounts, table->capacity, key_id);
    return account->key_id[0] != '\0' && !account->removed ? account : NULL;
}

static int64_t period_number(enum budget_period period, int64_t wall_ns)
{
    int64_t days = wall_ns / 86400000000000;
    return period == BUDGET_TOTAL ? 0 : period == BUDGET_DAY ? days : month_of_day(days);
}

static void roll(struct account *account, int64_t wall_ns)
{
    int64_t number = period_number(account->period, wall_ns);
    if (number != account->period_number) {
        account->period_number = number;
        account->spent_nusd = 0;
    }
}

static int grow(struct budget_table *table)
{
    size_t capacity = table->capacity * 2;
    struct account *accounts = calloc(capacity, sizeof *accounts);
    if (accounts == NULL)
        return WEIR_E_MEMORY;
    size_t n = 0;
    for (size_t i = 0; i < table->capacity; i++) {
        struct account *old = &table->accounts[i];
        if (old->key_id[0] != '\0' && !(old->removed && old->reserved_nusd == 0)) {
            *slot_of(accounts, capacity, old->key_id) = *old;
            n++;
        }
    }
    free(table->accounts);
    table->accounts = accounts;
    table->capacity = capacity;
    table->n = n;
    return 0;
}

int budget_account_set(struct budget_table *table, const char *key_id, int64_t limit_nusd, enum budget_period period,
                       int64_t spent_nusd, int64_t per_minute)
{
    if (strlen(key_id) >= sizeof table->accounts->key_id || key_id[0] == '\0')
        return WEIR_E_INVALID;
    int status = 0;
    pthread_mutex_lock(&table->lock);
    struct account *account = slot_of(table->accounts, table->capacity, key_id);
    if (account->key_id[0] == '\0') {
        if (table->n >= table->max_accounts)
            status = WEIR_E_LIMIT;
        else if ((table->n + 1) * 4 > table->capacity * 3)
            status = grow(table);
        if (status == 0) {
            account = slot_of(table->accounts, table->capacity, key_id);
            *account = (struct account){.filled_us = clock_now_us(), .allowance = per_minute > 0 ? per_minute * RATE_SCALE : 0};
            str_copy(account->key_id, sizeof account->key_id, str_of(key_id));
            table->n++;
        }
    }
    if (status == 0) {
        account->removed = false;
        account->limit_nusd = limit_nusd;
        account->period = period;
        account->period_number = period_number(period, clock_wall_ns());
        account->spent_nusd = spent_nusd;
        account->per_minute = per_minute;
    }
    pthread_mutex_unlock(&table->lock);
    return status;
}

void budget_account_remove(struct budget_table *table, const char *key_id)
{
    pthread_mutex_lock(&table->lock);
    struct account *account = find(table, key_id);
    if (account != NULL)
        account->removed = true;
    pthread_mutex_unlock(&table->lock);
}

static int64_t left(const struct account *account)
{
    int64_t rest = account->limit_nusd - account->spent_nusd - account->reserved_nusd;
    return rest > 0 ? rest : 0;
}

int64_t budget_remaining_nusd(struct budget_table *table, const char *key_id, int64_t wall_ns)
{
    int64_t rest = INT64_MAX;
    pthread_mutex_lock(&table->lock);
    struct account *account = find(table, key_id);
    if (account != NULL && account->limit_nusd >= 0) {
        roll(account, wall_ns);
        rest = left(account);
    }
    pthread_mutex_unlock(&table->lock);
    return rest;
}

int64_t budget_spent_nusd(struct budget_table *table, const char *key_id, int64_t wall_ns)
{
    int64_t spent = 0;
    pthread_mutex_lock(&table->lock);
    struct account *account = find(table, key_id);
    if (account != NULL && account->limit_nusd >= 0) {
        roll(account, wall_ns);
        spent = account->spent_nusd;
    }
    pthread_mutex_unlock(&table->lock);
    return spent;
}

int budget_reserve(struct budget_table *table, const char *key_id, int64_t amount_nusd, int64_t wall_ns)
{
    int status = 0;
    pthread_mutex_lock(&table->lock);
    struct account *account = find(table, key_id);
    if (account != NULL && account->limit_nusd >= 0) {
        roll(account, wall_ns);
        if (amount_nusd < 0 || amount_nusd > left(account))
            status = WEIR_E_LIMIT;
        else
            account->reserved_nusd += amount_nusd;
    }
    pthread_mutex_unlock(&table->lock);
    return status;
}

void budget_settle(struct budget_table *table, const char *key_id, int64_t reserved_nusd, int64_t cost_nusd, int64_t wall_ns)
{
    pthread_mutex_lock(&table->lock);
    /* A key revoked meanwhile still settles what it reserved. */
    struct account *account = key_id != NULL && key_id[0] != '\0' ? slot_of(table->accounts, table->capacity, key_id) : NULL;
    if (account != NULL && account->key_id[0] != '\0' && account->limit_nusd >= 0) {
        roll(account, wall_ns);
        if (reserved_nusd > 0)
            account->reserved_nusd -= reserved_nusd < account->reserved_nusd ? reserved_nusd : account->reserved_nusd;
        int64_t cost = cost_nusd >= 0 ? cost_nusd : reserved_nusd > 0 ? reserved_nusd : 0;
        account->spent_nusd = cost > INT64_MAX - account->spent_nusd ? INT64_MAX : account->spent_nusd + cost;
    }
    pthread_mutex_unlock(&table->lock);
}

int budget_rate_take(struct budget_table *table, const char *key_id, int64_t now_us, int64_t *retry_us)
{
    int status = 0;
    *retry_us = 0;
    pthread_mutex_lock(&table->lock);
    struct account *account = find(table, key_id);
    if (account != NULL && account->per_minute >= 0) {
        int64_t rate = account->per_minute, full = rate * RATE_SCALE, elapsed = now_us - account->filled_us;
        if (elapsed < 0)
            elapsed = 0;
        if (elapsed > RATE_SCALE)
            elapsed = RATE_SCALE;
        account->allowance += elapsed * rate;
        account->allowance = account->allowance > full ? full : account->allowance;
        account->filled_us = now_us;
        if (account->allowance >= RATE_SCALE) {
            account->allowance -= RATE_SCALE;
        } else {
            *retry_us = rate > 0 ? (RATE_SCALE - account->allowance + rate - 1) / rate : RATE_SCALE;
            status = WEIR_E_LIMIT;
        }
    }
    pthread_mutex_unlock(&table->lock);
    return status;
}
