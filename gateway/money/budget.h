/* Budgets and rates: what a key may still spend. The worst case of a request is reserved before any work and settled to the
 * real cost at the end, so concurrent calls cannot overspend. Bounded table of accounts by key id. Thread-safe. */
#ifndef WEIR_MONEY_BUDGET_H
#define WEIR_MONEY_BUDGET_H

#include "weir_base.h"

struct budget_table;
struct budget_table *budget_new(size_t max_accounts); /* NULL: no memory. */
void budget_free(struct budget_table *table);

enum budget_period { BUDGET_TOTAL, BUDGET_MONTH, BUDGET_DAY }; /* UTC. */

/* Sets an account's limits; spent is what it has used in the current period (from the ledger). limit_nusd or
 * per_minute < 0: none. */
int budget_account_set(struct budget_table *table, const char *key_id, int64_t limit_nusd, enum budget_period period,
                       int64_t spent_nusd, int64_t per_minute) WEIR_CHECKED;
void budget_account_remove(struct budget_table *table, const char *key_id);

/* What is left to spend: INT64_MAX without a limit or an account; never negative. */
int64_t budget_remaining_nusd(struct budget_table *table, const char *key_id, int64_t wall_ns);
/* What it has spent in the current period; 0 for an account without a limit. */
int64_t budget_spent_nusd(struct budget_table *table, const char *key_id, int64_t wall_ns);
/* Reserves; amount < 0 (unknown price) fails when the account has a limit. WEIR_E_LIMIT: not enough left. */
int budget_reserve(struct budget_table *table, const char *key_id, int64_t amount_nusd, int64_t wall_ns) WEIR_CHECKED;
/* Gives the reservation back and books the real cost (unknown, negative: the reservation itself is booked). */
void budget_settle(struct budget_table *table, const char *key_id, int64_t reserved_nusd, int64_t cost_nusd, int64_t wall_ns);

/* One request against the key's rate (a bucket that refills evenly). 0, or WEIR_E_LIMIT with the wait in *retry_us. */
int budget_rate_take(struct budget_table *table, const char *key_id, int64_t now_us, int64_t *retry_us) WEIR_CHECKED;

#endif
