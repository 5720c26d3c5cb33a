/* Prices are exact, unknown ones are unknown, budgets cannot be overspent. */
#include "money/budget.h"
#include "money/prices.h"

#include <criterion/criterion.h>

static const char list[] = "version: v7\nprices:\n"
                           " - {model: m, input: 0.15, cached_input: 0.075, output: 0.6}\n"
                           " - {model: m, provider: p, input: 1, output: 2}\n"
                           " - {model: fine, input: 0.000000001, output: 0.0375}\n";

static const struct prices *parse(const char *yaml, struct error *err)
{
    const struct prices *prices = NULL;
    return prices_parse(&prices, "prices.yaml", str_of(yaml), err) == 0 ? prices : NULL;
}

Test(prices, costs_are_exact_in_nano_usd)
{
    struct error err = {0};
    const struct prices *prices = parse(list, &err);
    cr_assert_not_null(prices, "%s: %s", err.where, err.text);
    cr_assert_str_eq(prices_version(prices), "v7");
    static const struct {
        const char *provider, *model;
        struct token_usage usage;
        int64_t cost;
    } cases[] = {
        {NULL, "m", {1000000, 0, 0}, 150000000},
        {NULL, "m", {1000000, 1000000, 0}, 75000000},
        {NULL, "m", {7, 3, 11}, 7425}, /* 4 × 150 + 3 × 75 + 11 × 600 nUSD. */
        {"p", "m", {10, 0, 5}, 20000},
        {"p", "m", {10, 10, 0}, 10000}, /* No cached price: as input. */
        {"other", "m", {1, 0, 0}, 150}, /* A list price holds under any provider's name. */
        {NULL, "fine", {499999, 0, 0}, 0},
        {NULL, "fine", {500000, 0, 0}, 1}, /* Half up, once. */
        {NULL, "fine", {0, 0, 1}, 38},
        {NULL, "m", {-5, -5, -5}, 0},
        {NULL, "m", {2, 10, 0}, 150}, /* More cached than there are: all of them. */
        {NULL, "m", {INT64_MAX, 0, INT64_MAX}, INT64_MAX},
        {NULL, "unknown", {1, 0, 0}, MONEY_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert_eq(price_cost_nusd(prices_find(prices, cases[i].provider, cases[i].model), &cases[i].usage), cases[i].cost, "case %zu", i);
    cr_assert_not_null(prices_find(prices, NULL, "m-2024-07-18"), "a dated name is its base name");
    cr_assert_not_null(prices_find(prices, NULL, "m-20240718"));
    cr_assert_null(prices_find(prices, NULL, "m-large"));
    cr_assert_null(prices_find(NULL, NULL, "m"));
    prices_drop(prices);
}

Test(prices, amounts_that_are_not_exact_are_refused)
{
    static const char *const bad[] = {"", ".", "1.", ".5", "1e3", "-1", "1.0000000001", "99999999999", "1 ", "0x1", "nan"};
    int64_t nusd;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_lt(money_parse_usd(str_of(bad[i]), &nusd), 0, "\"%s\"", bad[i]);
    cr_assert_eq(money_parse_usd(STR("12.340"), &nusd), 0);
    cr_assert_eq(nusd, 12340000000);
    char text[32];
    cr_assert_str_eq(money_format_usd(15250, text), "0.00001525");
    cr_assert_str_eq(money_format_usd(0, text), "0");
    cr_assert_str_eq(money_format_usd(-1500000000, text), "-1.5");
    cr_assert_str_eq(money_format_usd(INT64_MIN + 1, text), "-9223372036.854775807");
    struct error err = {0};
    cr_assert_null(parse("version: a\nprices: [{model: m, input: cheap, output: 1}]\n", &err));
    cr_assert_str_eq(err.where, "prices.yaml:2:10");
    cr_assert_null(parse("prices: []\n", &err));
    cr_assert_null(parse("version: a\nprices: [{model: ~, input: 1, output: 1}]\n", &err));
    cr_assert_null(parse("version: a\nprices: [{model: m, input: 1, output: 1}, {model: m, input: 2, output: 2}]\n", &err));
}

Test(prices, the_shipped_list_is_good)
{
    struct error err = {0};
    const struct prices *prices;
    cr_assert_eq(prices_open(&prices, WEIR_SOURCE_DIR "/deploy/prices.yaml", &err), 0, "%s: %s", err.where, err.text);
    cr_assert_not_null(prices_find(prices, "anyone", "gpt-4o-mini"));
    prices_drop(prices);
}

struct spender {
    struct budget_table *table;
    int64_t got;
};

static void *spend(void *arg)
{
    struct spender *spender = arg;
    for (int i = 0; i < 20000; i++)
        if (budget_reserve(spender->table, "k", 7, 1) == 0) {
            budget_settle(spender->table, "k", 7, 5, 1);
            spender->got += 5;
        }
    return NULL;
}

Test(budget, concurrent_calls_cannot_overspend)
{
    clock_freeze(1000, 1);
    struct budget_table *table = budget_new(10);
    cr_assert_eq(budget_account_set(table, "k", 100003, BUDGET_TOTAL, 3, -1), 0);
    pthread_t threads[4];
    struct spender spenders[4];
    for (int i = 0; i < 4; i++) {
        spenders[i] = (struct spender){table, 0};
        pthread_create(&threads[i], NULL, spend, &spenders[i]);
    }
    int64_t sum = 3;
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        sum += spenders[i].got;
    }
    cr_assert_leq(sum, 100003);
    cr_assert_eq(budget_remaining_nusd(table, "k", 1), 100003 - sum);
    cr_assert_lt(budget_remaining_nusd(table, "k", 1), 7, "it was used up");
    budget_free(table);
}

Test(budget, an_unknown_price_is_refused_under_a_budget_and_free_without_one)
{
    struct budget_table *table = budget_new(2);
    cr_assert_eq(budget_account_set(table, "a", 1000, BUDGET_TOTAL, 0, -1), 0);
    cr_assert_eq(budget_reserve(table, "a", -1, 1), WEIR_E_LIMIT);
    cr_assert_eq(budget_reserve(table, "nobody", -1, 1), 0);
    cr_assert_eq(budget_remaining_nusd(table, "nobody", 1), INT64_MAX);
    cr_assert_eq(budget_account_set(table, "b", 1, BUDGET_TOTAL, 0, -1), 0);
    cr_assert_eq(budget_account_set(table, "c", 1, BUDGET_TOTAL, 0, -1), WEIR_E_LIMIT, "the table is bounded");
    budget_free(table);
}

Test(budget, what_was_spent_outlives_a_new_limit_and_an_unknown_cost_is_what_was_reserved)
{
    struct budget_table *table = budget_new(1);
    cr_assert_eq(budget_account_set(table, "k", 1000, BUDGET_MONTH, 100, -1), 0);
    int64_t now = clock_wall_ns();
    cr_assert_eq(budget_reserve(table, "k", 300, now), 0);
    cr_assert_eq(budget_spent_nusd(table, "k", now), 100, "reserved is not spent");
    cr_assert_eq(budget_account_set(table, "k", 500, BUDGET_MONTH, budget_spent_nusd(table, "k", now), -1), 0);
    cr_assert_eq(budget_remaining_nusd(table, "k", now), 100, "what is under way stays reserved");
    budget_settle(table, "k", 300, MONEY_UNKNOWN, now);
    cr_assert_eq(budget_spent_nusd(table, "k", now), 400);
    cr_assert_eq(budget_spent_nusd(table, "nobody", now), 0);
    budget_free(table);
}

Test(budget, a_new_month_starts_afresh)
{
    const int64_t day = 86400000000000, january = 20454 * day; /* 2026-01-01 */
    clock_freeze(1000, january + 30 * day);
    struct budget_table *table = budget_new(10);
    cr_assert_eq(budget_account_set(table, "k", 100, BUDGET_MONTH, 90, -1), 0);
    cr_assert_eq(budget_reserve(table, "k", 20, january + 30 * day), WEIR_E_LIMIT);
    cr_assert_eq(budget_reserve(table, "k", 20, january + 31 * day), 0, "1 February");
    budget_free(table);
}

Test(budget, a_rate_refills_evenly_and_says_how_long_to_wait)
{
    clock_freeze(0, 1);
    struct budget_table *table = budget_new(10);
    int64_t wait;
    cr_assert_eq(budget_account_set(table, "k", -1, BUDGET_TOTAL, 0, 2), 0);
    cr_assert_eq(budget_rate_take(table, "k", 0, &wait), 0);
    cr_assert_eq(budget_rate_take(table, "k", 0, &wait), 0);
    cr_assert_eq(budget_rate_take(table, "k", 0, &wait), WEIR_E_LIMIT);
    cr_assert_eq(wait, 30000000);
    cr_assert_eq(budget_rate_take(table, "k", 30000000, &wait), 0);
    cr_assert_eq(budget_rate_take(table, "k", 30000001, &wait), WEIR_E_LIMIT);
    budget_free(table);
}
