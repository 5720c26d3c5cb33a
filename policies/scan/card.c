/* Payment cards: 12 to 19 digits, bare or in the groups that cards are written in, with an issuer's prefix and the Luhn digit. */
#include "scan/checksum.h"
#include "scan/scan.h"

const struct entity entity_card = {"CREDIT_CARD", "card", "credit|card|visa|mastercard|cc |amex|discover|jcb|diners|maestro|instapayment"};

enum { MOST_DIGITS = 19, MOST_GROUPS = 6 };

/* Whether groups of these lengths are a way to write a card: one run, fours with a shorter or equal last group, or 4-6-x. */
static bool grouping_is_usual(const size_t *groups, int n)
{
    if (n == 1)
        return true;
    if (n == 3 && groups[0] == 4 && groups[1] == 6)
        return groups[2] == 5 || groups[2] == 4;
    if (n == 2)
        return (groups[0] == 6 && groups[1] >= 6) || (groups[0] == 8 && groups[1] == 8);
    for (int i = 0; i + 1 < n; i++)
        if (groups[i] != 4)
            return n == 3 && groups[0] == 4 && groups[1] == 5;
    return groups[n - 1] >= 1 && groups[n - 1] <= 7;
}

/* The longest card that begins at `start`, as its end; 0 when there is none. */
static size_t card_end(const struct scan_text *text, size_t start)
{
    char digits[MOST_DIGITS];
    size_t groups[MOST_GROUPS] = {0}, n = 0, at = start, best = 0;
    int n_groups = 1;
    char separator = '\0';
    for (; at < text->n; at++) {
        char c = text->data[at];
        if (is_digit(c)) {
            if (n == MOST_DIGITS)
                return best;
            digits[n++] = c;
            groups[n_groups - 1]++;
            continue;
        }
        if (n >= 12 && !is_alpha(c) && c != '_' && grouping_is_usual(groups, n_groups) && check_card((str){digits, n}))
            best = at;
        bool joins = (c == ' ' || c == '-' || c == '.') && (separator == '\0' || separator == c) && at + 1 < text->n &&
                     is_digit(text->data[at + 1]) && n_groups < MOST_GROUPS;
        if (!joins)
            return best;
        separator = c;
        n_groups++;
    }
    if (n >= 12 && grouping_is_usual(groups, n_groups) && check_card((str){digits, n}))
        best = at;
    return best;
}

void scan_card(struct scan *scan)
{
    const struct scan_text *text = scan->text;
    if (!scan_wants(scan, &entity_card))
        return;
    for (size_t at = 0; at < text->n && !scan->full;) {
        uint64_t window = bits_window(text->digit, at);
        if (window == 0) {
            at += 64;
            continue;
        }
        at += (size_t)__builtin_ctzll(window);
        size_t run = at, end = 0;
        while (run < text->n && is_digit(text->data[run]))
            run++;
        char before = at > 0 ? text->data[at - 1] : ' ';
        bool decimals = at > 1 && (before == '.' || before == ',') && is_digit(text->data[at - 2]);
        if (!is_alnum(before) && before != '_' && !decimals && run - at <= MOST_DIGITS)
            end = card_end(text, at);
        if (end > 0)
            scan_report(scan, &entity_card, at, end, 1);
        at = end > run ? end : run;
    }
}
