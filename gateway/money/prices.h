/* Prices: the versioned list of what models cost (prices.yaml), and exact cost arithmetic. Prices are per million tokens,
 * held as integer nano-USD per million tokens, so that every list price with up to nine decimals is exact; a cost is summed
 * first and rounded once, half up, to a nano-USD. Immutable and reference-counted; any thread. An unknown price is unknown,
 * not zero: functions answer MONEY_UNKNOWN. */
#ifndef WEIR_MONEY_PRICES_H
#define WEIR_MONEY_PRICES_H

#include "weir_base.h"

#define MONEY_UNKNOWN INT64_MIN /* The same value as LEDGER_NULL. */

struct price {
    const char *model;
    const char *provider;       /* NULL: under any provider's name. */
    int64_t input_nusd;         /* Per million tokens. */
    int64_t cached_input_nusd;  /* MONEY_UNKNOWN: as input. */
    int64_t output_nusd;
    int line;                   /* In the file. */
};

struct token_usage {
    int64_t prompt_tokens;      /* Cached ones included. */
    int64_t cached_tokens;
    int64_t completion_tokens;
};

struct prices;
int prices_open(const struct prices **out, const char *path, struct error *err) WEIR_CHECKED;
int prices_parse(const struct prices **out, const char *name, str yaml, struct error *err) WEIR_CHECKED;
const struct prices *prices_hold(const struct prices *prices);
void prices_drop(const struct prices *prices);
const char *prices_version(const struct prices *prices);
size_t prices_count(const struct prices *prices);
const struct price *prices_at(const struct prices *prices, size_t index);
/* The provider's own row, else the model's under any name, else the same of the name without its date
 * ("gpt-4o-mini-2024-07-18" is "gpt-4o-mini"). NULL: unknown. prices may be NULL. */
const struct price *prices_find(const struct prices *prices, const char *provider, const char *model);

/* MONEY_UNKNOWN when price is NULL; saturates at INT64_MAX. Negative counts count as 0. */
int64_t price_cost_nusd(const struct price *price, const struct token_usage *usage);
/* "12.34" USD (at most nine decimals) to nano-USD. */
int money_parse_usd(str text, int64_t *out) WEIR_CHECKED;
/* Nano-USD as exact USD: "0.00001525", no trailing zeros. out has 32 bytes. Returns out. */
const char *money_format_usd(int64_t nusd, char out[32]);

#endif
