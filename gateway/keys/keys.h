/* Virtual keys: "weir-" and 64 hex digits (256 random bits), shown once, stored as SHA-256. The table is in memory, loaded
 * from the ledger's database at start; creating and revoking go through the ledger's writer. Look-up is by digest, and the
 * last comparison takes the same time whatever the content. Thread-safe. */
#ifndef WEIR_KEYS_KEYS_H
#define WEIR_KEYS_KEYS_H

#include "ledger/ledger.h"
#include "money/budget.h"

enum { KEY_TEXT_BYTES = 5 + 64 + 1, KEY_ID_BYTES = 21, KEYS_MAX = 100000 };

struct key_info {
    char id[KEY_ID_BYTES];   /* "key_" and 16 hex digits of the digest: may be shown and logged. */
    char tenant[64];
    char name[64];
    int64_t created_ns;
    int64_t revoked_ns;      /* 0: valid. */
    int64_t budget_nusd;     /* -1: none. */
    enum budget_period period;
    int64_t per_minute;      /* Requests; -1: no limit. */
};

struct keys;
/* Loads the table; sets the accounts in budgets (may be NULL) with what key_usage says was spent. */
int keys_open(struct keys **out, struct ledger *ledger, struct budget_table *budgets, struct error *err) WEIR_CHECKED;
void keys_close(struct keys *keys);
/* Makes a key: *info's tenant, name, budget and rate are the caller's, the rest is filled in; text gets the key itself. */
int keys_create(struct keys *keys, struct key_info *info, char text[KEY_TEXT_BYTES], struct error *err) WEIR_CHECKED;
/* By id or by name. WEIR_E_NOT_FOUND, WEIR_E_STATE: revoked before. */
int keys_revoke(struct keys *keys, const char *id_or_name, struct error *err) WEIR_CHECKED;
/* New reference: an array of objects, newest last, never the key or its digest. */
json_t *keys_list(struct keys *keys);
/* The key that `bearer` is. WEIR_E_NOT_FOUND: unknown or revoked. */
int keys_find(struct keys *keys, str bearer, struct key_info *out) WEIR_CHECKED;
size_t keys_count(struct keys *keys); /* Valid ones. */

#endif
