/* Numbers between bounds of json_text.h, as digits: a number is a whole part and a fraction of n_decimals digits, with more behind
 * them where they change nothing of what was compared. */
#include "grammar/json_text.h"

#include <stdio.h>

enum { MOST_WHOLE_DIGITS = 15, MOST_FRACTION = 15 };

static struct expr *digit(struct json_text *json, int low, int high)
{
    return expr_bytes(json->builder, (uint8_t)('0' + low), (uint8_t)('0' + high));
}

static struct expr *any_digits(struct json_text *json, int min, int max)
{
    return expr_repeat(json->builder, digit(json, 0, 9), min, max);
}

static struct expr *pair(struct json_text *json, struct expr *a, struct expr *b)
{
    return expr_add(expr_add(expr_sequence(json->builder), a), b);
}

static int digit_of(uint64_t value, int n_digits, int place)
{
    for (int i = place + 1; i < n_digits; i++)
        value /= 10;
    return (int)(value % 10);
}

/* Texts of exactly n digits from low to high, from `place` on; the digits before it are equal where is_low, is_high hold. */
static struct expr *fixed_digits(struct json_text *json, uint64_t low, uint64_t high, int n, int place, bool is_low, bool is_high)
{
    struct expr *choice = expr_choice(json->builder);
    if (place == n)
        return expr_sequence(json->builder);
    if (!is_low && !is_high)
        return any_digits(json, n - place, n - place);
    int from = is_low ? digit_of(low, n, place) : 0, to = is_high ? digit_of(high, n, place) : 9;
    if (is_low && is_high && from == to)
        return pair(json, digit(json, from, from), fixed_digits(json, low, high, n, place + 1, true, true));
    if (is_low) {
        expr_add(choice, pair(json, digit(json, from, from), fixed_digits(json, low, high, n, place + 1, true, false)));
        from++;
    }
    if (is_high) {
        expr_add(choice, pair(json, digit(json, to, to), fixed_digits(json, low, high, n, place + 1, false, true)));
        to--;
    }
    if (from <= to)
        expr_add(choice, pair(json, digit(json, from, to), any_digits(json, n - place - 1, n - place - 1)));
    return choice;
}

static int count_digits(uint64_t value)
{
    int n = 1;
    for (; value >= 10; value /= 10)
        n++;
    return n;
}

static uint64_t power_of_ten(int n)
{
    uint64_t value = 1;
    while (n-- > 0)
        value *= 10;
    return value;
}

/* Naturals from low to high without leading zeros. */
static struct expr *naturals(struct json_text *json, uint64_t low, uint64_t high)
{
    struct expr *choice = expr_choice(json->builder);
    uint64_t most = power_of_ten(MOST_WHOLE_DIGITS) - 1;
    if (high > most)
        high = most;
    for (int n = count_digits(low); low <= high && n <= count_digits(high); n++) {
        uint64_t first = n == 1 ? 0 : power_of_ten(n - 1), last = power_of_ten(n) - 1;
        uint64_t from = low > first ? low : first, to = high < last ? high : last;
        expr_add(choice, fixed_digits(json, from, to, n, 0, true, true));
    }
    return choice;
}

/* Magnitudes from low to high (in units of 10^-decimals), whole ones and, unless whole, with a fraction. */
static struct expr *magnitudes(struct json_text *json, uint64_t low, uint64_t high, int decimals, bool whole)
{
    struct grammar_builder *b = json->builder;
    struct expr *choice = expr_choice(b);
    uint64_t unit = power_of_ten(decimals), whole_low = (low + unit - 1) / unit, whole_high = high / unit;
    if (whole_low <= whole_high)
        expr_add(choice, naturals(json, whole_low, whole_high));
    if (whole)
        return choice;
    /* Whole parts all of whose fractions are inside. */
    if (whole_high > 0 && whole_low <= whole_high - 1)
        expr_add(choice, pair(json, naturals(json, whole_low, whole_high - 1),
                              pair(json, expr_text(b, STR(".")), any_digits(json, 1, MOST_FRACTION))));
    for (int side = 0; side < 2; side++) { /* The lowest whole part, then the highest, with some of their fractions. */
        uint64_t part = side == 0 ? low / unit : whole_high;
        if ((side == 1 && low / unit == whole_high) || (side == 0 && low % unit == 0 && part < whole_high))
            continue; /* Done by the other side, or above. */
        uint64_t from = part == low / unit ? low % unit : 0, to = part == whole_high ? high % unit : unit - 1;
        struct expr *dot = pair(json, naturals(json, part, part), expr_text(b, STR(".")));
        /* Below `to` anything may follow its decimals; at `to` zeros only, unless everything up to the next is inside. */
        bool to_is_open = part < whole_high;
        struct expr *fractions = expr_choice(b);
        if (decimals == 0) {
            expr_add(fractions, to_is_open ? any_digits(json, 1, MOST_FRACTION) : expr_repeat(b, digit(json, 0, 0), 1, MOST_FRACTION));
        } else {
            if (to_is_open || to > from)
                expr_add(fractions, pair(json, fixed_digits(json, from, to_is_open ? to : to - 1, decimals, 0, true, true),
                                         any_digits(json, 0, MOST_FRACTION - decimals)));
            if (!to_is_open)
                expr_add(fractions, pair(json, fixed_digits(json, to, to, decimals, 0, true, true),
                                         expr_repeat(b, digit(json, 0, 0), 0, MOST_FRACTION - decimals)));
        }
        expr_add(choice, pair(json, dot, fractions));
    }
    return choice;
}

struct expr *json_number_between(struct json_text *json, struct json_range range)
{
    struct grammar_builder *b = json->builder;
    struct expr *choice = expr_choice(b);
    int64_t limit = (int64_t)power_of_ten(MOST_WHOLE_DIGITS) - 1; /* In units: numbers beyond are not generated. */
    int64_t low = range.low < -limit ? -limit : range.low, high = range.high > limit ? limit : range.high;
    if (low > high)
        return choice;
    if (high >= 0)
        expr_add(choice, magnitudes(json, (uint64_t)(low > 0 ? low : 0), (uint64_t)high, range.n_decimals, range.whole));
    if (low < 0)
        expr_add(choice, pair(json, expr_text(b, STR("-")),
                              magnitudes(json, (uint64_t)(high < 0 ? -high : range.whole), (uint64_t)-low, range.n_decimals, range.whole)));
    return choice;
}
