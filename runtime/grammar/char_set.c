/* Character sets of expression.h: from code points to bytes of UTF-8. */
#include "grammar/expression.h"

#include <stdio.h>
#include <stdlib.h>

static const uint32_t LAST_CODE_POINT = 0x10FFFF;

void char_set_add(struct char_set *set, uint32_t low, uint32_t high)
{
    if (set->n == (int)(sizeof set->ranges / sizeof *set->ranges)) {
        set->full = true;
        return;
    }
    set->ranges[set->n++] = (struct char_range){low, high};
}

void char_set_add_set(struct char_set *set, const struct char_set *other)
{
    for (int i = 0; i < other->n; i++)
        char_set_add(set, other->ranges[i].low, other->ranges[i].high);
    set->full |= other->full;
}

static int compare_ranges(const void *a, const void *b)
{
    const struct char_range *x = a, *y = b;
    return x->low < y->low ? -1 : x->low > y->low;
}

void char_set_finish(struct char_set *set, bool negate)
{
    int n = 0;
    qsort(set->ranges, (size_t)set->n, sizeof *set->ranges, compare_ranges);
    for (int i = 0; i < set->n; i++) {
        struct char_range range = set->ranges[i];
        if (n > 0 && range.low <= set->ranges[n - 1].high + 1) {
            if (range.high > set->ranges[n - 1].high)
                set->ranges[n - 1].high = range.high;
        } else {
            set->ranges[n++] = range;
        }
    }
    set->n = n;
    if (!negate)
        return;
    struct char_set rest = {.full = set->full};
    uint32_t from = 0;
    for (int i = 0; i < set->n; i++) {
        if (set->ranges[i].low > from)
            char_set_add(&rest, from, set->ranges[i].low - 1);
        from = set->ranges[i].high + 1;
    }
    if (from <= LAST_CODE_POINT)
        char_set_add(&rest, from, LAST_CODE_POINT);
    *set = rest;
}

/* Adds to choice the byte sequences of low … high, all of which have n bytes and no surrogate among them: pieces whose bytes
 * vary independently. */
static void add_pieces(struct grammar_builder *builder, struct expr *choice, uint32_t low, uint32_t high, int n)
{
    for (int i = 1; i < n; i++) {
        uint32_t tail = ((uint32_t)1 << 6 * i) - 1;
        if ((low & ~tail) == (high & ~tail))
            continue;
        if ((low & tail) != 0) {
            add_pieces(builder, choice, low, low | tail, n);
            add_pieces(builder, choice, (low | tail) + 1, high, n);
            return;
        }
        if ((high & tail) != tail) {
            add_pieces(builder, choice, low, (high & ~tail) - 1, n);
            add_pieces(builder, choice, high & ~tail, high, n);
            return;
        }
    }
    char first[4], last[4];
    struct expr *sequence = expr_sequence(builder);
    if (utf8_encode(low, first) != n || utf8_encode(high, last) != n)
        return;
    for (int i = 0; i < n; i++)
        expr_add(sequence, expr_bytes(builder, (uint8_t)first[i], (uint8_t)last[i]));
    expr_add(choice, sequence);
}

/* low … high cut where the length of UTF-8 changes and around the surrogates. */
static void add_range(struct grammar_builder *builder, struct expr *choice, uint32_t low, uint32_t high)
{
    static const struct {
        uint32_t low, high;
        int n;
    } parts[] = {{0, 0x7F, 1}, {0x80, 0x7FF, 2}, {0x800, 0xD7FF, 3}, {0xE000, 0xFFFF, 3}, {0x10000, 0x10FFFF, 4}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        uint32_t from = low > parts[i].low ? low : parts[i].low, to = high < parts[i].high ? high : parts[i].high;
        if (from <= to)
            add_pieces(builder, choice, from, to, parts[i].n);
    }
}

static void add_escaped(struct grammar_builder *builder, struct expr *choice, uint32_t code_point)
{
    static const char shorthands[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    char text[8];
    if (code_point == '"' || code_point == '\\')
        snprintf(text, sizeof text, "\\%c", (char)code_point);
    else if (code_point < sizeof shorthands && shorthands[code_point] != 0)
        snprintf(text, sizeof text, "\\%c", shorthands[code_point]);
    else
        snprintf(text, sizeof text, "\\u%04x", (unsigned)code_point);
    expr_add(choice, expr_text(builder, str_of(text)));
}

struct expr *expr_char_set(struct grammar_builder *builder, const struct char_set *set, bool as_json)
{
    struct expr *choice = expr_choice(builder);
    builder->failed |= set->full;
    for (int i = 0; i < set->n; i++) {
        uint32_t low = set->ranges[i].low, high = set->ranges[i].high;
        while (as_json && low <= high && low <= '\\') {
            uint32_t to = low < '"' ? '"' - 1 : '\\' - 1; /* Of a run that needs no escape. */
            if (low < 0x20 || low == '"' || low == '\\') {
                add_escaped(builder, choice, low++);
                continue;
            }
            to = to < high ? to : high;
            add_range(builder, choice, low, to);
            low = to + 1;
        }
        if (low <= high)
            add_range(builder, choice, low, high);
    }
    return choice;
}
