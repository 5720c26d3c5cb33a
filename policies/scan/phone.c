/* Telephone numbers: digits in the groups and brackets that people write them in. A candidate is collected once from its first
 * digit, '+' or '('; the longest of its beginnings (cut between groups) that some numbering plan knows is the number. */
#include "scan/phone_plan.h"
#include "scan/scan.h"

#define PHONE_CONTEXT "phone|telephone|cell|cellphone|mobile|call|dial|contact|number|tel|fax|whatsapp|sms|telefon|handy"
static const struct entity entities[] = {
    [PHONE_ANY] = {"PHONE_NUMBER", "phone", PHONE_CONTEXT},
    [PHONE_PH_MOBILE] = {"PH_MOBILE_NUMBER", "phone", PHONE_CONTEXT "|globe|smart|gcash"},
    [PHONE_TR] = {"TR_PHONE_NUMBER", "phone", PHONE_CONTEXT "|gsm|cep|numara"},
};

enum { MOST_DIGITS = 15, MOST_GROUPS = 8 };

struct candidate {
    char digits[MOST_DIGITS];
    size_t n_digits;
    size_t group_end[MOST_GROUPS];    /* Offset after the group. */
    size_t group_digits[MOST_GROUPS]; /* Digits up to and with the group. */
    int n_groups;
    bool plus, bracket;
    size_t stop; /* Where collecting ended. */
};

static bool is_separator(char c)
{
    return c == ' ' || c == '-' || c == '.' || c == '(' || c == ')' || c == '/';
}

static void collect(const struct scan_text *text, size_t start, struct candidate *out)
{
    size_t at = start, gap = 0;
    *out = (struct candidate){0};
    if (text->data[at] == '+') {
        out->plus = true;
        at++;
    }
    out->bracket = at < text->n && text->data[at] == '(';
    for (; at < text->n; at++) {
        char c = text->data[at];
        if (is_digit(c)) {
            if (out->n_digits == MOST_DIGITS || (gap > 0 && out->n_groups == MOST_GROUPS))
                break;
            if (gap > 0 || out->n_digits == 0)
                out->n_groups++;
            gap = 0;
            out->digits[out->n_digits++] = c;
            out->group_end[out->n_groups - 1] = at + 1;
            out->group_digits[out->n_groups - 1] = out->n_digits;
            continue;
        }
        if (!is_separator(c) || ++gap > 3)
            break;
    }
    out->stop = at;
}

static size_t group_size(const struct candidate *c, int group)
{
    return c->group_digits[group] - (group > 0 ? c->group_digits[group - 1] : 0);
}

/* Groups that are something else: SSNs (3-2-4), dates (4-2-2, 2-2-4), dotted quads, one-digit strings. */
static bool is_other_form(const struct scan_text *text, const struct candidate *c, int groups)
{
    size_t first = group_size(c, 0), second = groups > 1 ? group_size(c, 1) : 0, third = groups > 2 ? group_size(c, 2) : 0;
    if (c->plus)
        return false;
    if (groups == 3 && first == 3 && second == 2 && third == 4)
        return true;
    if (groups >= 3 && ((first == 4 && second <= 2 && third <= 2) || (first <= 2 && second <= 2 && third == 4 && !c->bracket)))
        return c->digits[0] != '0' || c->group_digits[groups - 1] < 9;
    if (groups == 4 && text->data[c->group_end[0]] == '.' && c->group_digits[3] <= 12) {
        bool quad = true;
        for (int i = 0; i < 4; i++)
            quad = quad && group_size(c, i) <= 3;
        if (quad && text->data[c->group_end[1]] == '.' && text->data[c->group_end[2]] == '.')
            return true;
    }
    if (groups > 2 && !c->plus)
        for (int i = 1; i + 1 < groups; i++)
            if (group_size(c, i) == 1 && group_size(c, i - 1) == 1)
                return true;
    return false;
}

/* "x123", " ext. 123" after a number: its end, else `at`. */
static size_t extension_end(const struct scan_text *text, size_t at)
{
    static const char *const words[] = {"x", "ext.", "ext", "extension", "#"};
    size_t i = at;
    while (i < text->n && i - at < 2 && (text->data[i] == ' ' || text->data[i] == ','))
        i++;
    for (size_t w = 0; w < sizeof words / sizeof *words; w++) {
        size_t n = strlen(words[w]), k = i + n;
        if (k >= text->n || !str_equal_nocase((str){text->data + i, n}, (str){words[w], n}))
            continue;
        if (text->data[k] == ' ' && n > 1)
            k++;
        size_t first = k;
        while (k < text->n && k - first < 7 && is_digit(text->data[k]))
            k++;
        if (k > first && (k == text->n || !bit_test(text->word, k)))
            return k;
    }
    return at;
}

/* Whether what follows shows that the number went on: then this is a piece of something longer. */
static bool goes_on(const struct scan_text *text, const struct candidate *c, int groups)
{
    size_t end = c->group_end[groups - 1];
    if (end >= text->n)
        return false;
    char next = text->data[end], after = end + 1 < text->n ? text->data[end + 1] : ' ';
    if (is_digit(next) || (bit_test(text->word, end) && to_lower(next) != 'x'))
        return true;
    if (next == '-' || next == '.' || next == '/' || next == ':')
        return is_digit(after);
    if (next == '@')
        return true;
    return next == ' ' && is_digit(after) && after != '0' && !c->plus && groups == 1;
}

void scan_phone(struct scan *scan)
{
    const struct scan_text *text = scan->text;
    if (!scan_wants(scan, &entities[PHONE_ANY]) && !scan_wants(scan, &entities[PHONE_PH_MOBILE]) && !scan_wants(scan, &entities[PHONE_TR]))
        return;
    for (size_t at = 0, floor = 0; at < text->n && !scan->full;) {
        uint64_t window = bits_window(text->digit, at);
        if (window == 0) {
            at += 64;
            continue;
        }
        at += (size_t)__builtin_ctzll(window);
        size_t start = at, run = at;
        while (run < text->n && is_digit(text->data[run]))
            run++;
        if (start > floor && text->data[start - 1] == '(')
            start--;
        if (start > floor && text->data[start - 1] == '+')
            start--;
        else if (start > floor + 1 && text->data[start - 1] == ' ' && text->data[start - 2] == '+')
            start = at;
        char before = start > 0 ? text->data[start - 1] : ' ';
        bool inside = text->data[start] != '+' && (is_alnum(before) || before == '_' || before == '#' || before == '$' ||
                                                   (start > 1 && (before == '.' || before == '-' || before == '/' || before == ':' || before == ',') &&
                                                    is_digit(text->data[start - 2])));
        if (inside || run - at > MOST_DIGITS) {
            at = run;
            continue;
        }
        struct candidate c;
        collect(text, start, &c);
        size_t end = 0;
        for (int groups = c.n_groups; groups > 0 && end == 0; groups--) {
            if (c.group_digits[groups - 1] < 7)
                break;
            if (is_other_form(text, &c, groups) || goes_on(text, &c, groups))
                continue;
            str digits = {c.digits, c.group_digits[groups - 1]};
            enum phone_plan plan = phone_plan_of(digits, c.plus);
            if (plan == PHONE_NONE)
                continue;
            end = extension_end(text, c.group_end[groups - 1]);
            scan_report(scan, &entities[PHONE_ANY], start, end, 0.4f);
            if (plan != PHONE_ANY)
                scan_report(scan, &entities[plan], start, end, 0.4f);
        }
        floor = end;
        at = end > run ? end : run;
    }
}

const struct entity *phone_entity(size_t index)
{
    return index < 3 ? &entities[index + PHONE_ANY] : NULL;
}
