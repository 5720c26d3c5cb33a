/* Dispatch of numbers: each beginning of a run of letters and digits is looked at once; by its shape nearly every table entry is
 * passed over, and the few that remain confirm their form with one anchored pattern and their check digits with one routine. */
#include "scan/numbers.h"

static const struct number_table *const tables[] = {&numbers_general, &numbers_americas, &numbers_europe, &numbers_asia, &numbers_world};
enum { N_TABLES = sizeof tables / sizeof *tables, MOST_NUMBERS = 192, LONGEST_VALUE = 64, WINDOW = 40, LONGEST_FORM = 160 };

size_t number_entity_count(void)
{
    size_t n = 0;
    for (size_t i = 0; i < N_TABLES; i++)
        n += tables[i]->n;
    return n;
}

static struct number *number_at(size_t index)
{
    for (size_t i = 0; i < N_TABLES; i++) {
        if (index < tables[i]->n)
            return &tables[i]->items[index];
        index -= tables[i]->n;
    }
    return NULL;
}

const struct entity *number_entity(size_t index)
{
    return &number_at(index)->entity;
}

ptrdiff_t number_entity_index(const struct entity *entity)
{
    size_t base = 0;
    uintptr_t at = (uintptr_t)entity;
    for (size_t i = 0; i < N_TABLES; i++) {
        uintptr_t first = (uintptr_t)tables[i]->items;
        if (at >= first && at < first + tables[i]->n * sizeof *tables[i]->items)
            return (ptrdiff_t)(base + (at - first) / sizeof *tables[i]->items);
        base += tables[i]->n;
    }
    return -1;
}

static enum verdict_of_check check(const struct number *number, str raw)
{
    char compact[LONGEST_VALUE];
    size_t n = 0;
    if (number->check == NULL)
        return CHECK_UNKNOWN;
    for (size_t i = 0; i < raw.n && n < sizeof compact; i++)
        if (is_alnum(raw.data[i]))
            compact[n++] = to_upper(raw.data[i]);
    return number->check((str){compact, n}, raw);
}

struct start {
    size_t at;
    uint32_t letters, digits; /* One bit each. */
    int n_digits, run;
    char after; /* The character after the leading letters and digits, NUL at the end of the text. */
    bool inside;
    bool mac, month, near_digit; /* Looks like a hardware address; begins with a month's name; a digit is not far behind the letters. */
};

static bool is_month(const char *word)
{
    static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    for (size_t i = 0; i < sizeof months - 1; i += 3)
        if (to_lower(word[0]) == months[i] && to_lower(word[1]) == months[i + 1] && to_lower(word[2]) == months[i + 2])
            return true;
    return false;
}

/* Letters count up to 15 and digits up to 31, so that a shift stays in range. */
static struct start start_at(const struct scan_text *text, size_t at, bool inside)
{
    size_t i = at, limit = text->n - at > WINDOW ? at + WINDOW : text->n;
    while (i < limit && (is_alpha(text->data[i]) || (unsigned char)text->data[i] >= 0x80) && i - at < 15)
        i++;
    size_t n_letters = i - at, first = i;
    while (i < limit && is_digit(text->data[i]) && i - first < 31)
        i++;
    size_t run = i;
    while (run < limit && is_alnum(text->data[run]))
        run++;
    uint64_t mask = ((uint64_t)1 << WINDOW) - 1;
    char third = at + 2 < text->n ? text->data[at + 2] : ' ', fifth = at + 4 < text->n ? text->data[at + 4] : ' ';
    return (struct start){.at = at,
                          .letters = 1u << n_letters,
                          .digits = 1u << (i - first),
                          .n_digits = __builtin_popcountll(bits_window(text->digit, at) & mask),
                          .run = (int)(run - at),
                          .after = i < text->n ? text->data[i] : '\0',
                          .inside = inside,
                          .mac = third == ':' || third == '-' || fifth == '.',
                          .month = n_letters == 0 || (n_letters >= 3 && is_month(text->data + at)),
                          .near_digit = n_letters == 0 || (bits_window(text->digit, first) & 31) != 0};
}

static bool start_fits(const struct number *number, const struct start *start)
{
    if (start->run < number->min_run || (number->after != NULL && (start->after == '\0' || strchr(number->after, start->after) == NULL)))
        return false;
    return number->start == START_MAC ? start->mac : number->start == START_MONTH ? start->month : start->near_digit;
}

static void try_number(struct scan *scan, struct number *number, size_t resume[MOST_FORMS], size_t at)
{
    str subject = {scan->text->data, scan->text->n};
    if (subject.n - at > LONGEST_FORM) {
        subject.n = at + LONGEST_FORM; /* Forms are shorter; the cut lies between characters. */
        while (((unsigned char)subject.data[subject.n] & 0xC0) == 0x80)
            subject.n--;
    }
    for (int i = 0; i < MOST_FORMS && number->forms[i].regex.pattern != NULL; i++) {
        struct regex_match match;
        if (at < resume[i])
            continue;
        if (!scan_confirm(scan, &number->forms[i].regex, subject, at, 1, &match))
            continue;
        resume[i] = match.end[0];
        enum verdict_of_check verdict = check(number, (str){subject.data + match.start[0], match.end[0] - match.start[0]});
        if (verdict != CHECK_FAIL)
            scan_report(scan, &number->entity, match.start[0], match.end[0], verdict == CHECK_PASS ? 1 : number->forms[i].score);
    }
}

void scan_numbers(struct scan *scan)
{
    const struct scan_text *text = scan->text;
    size_t resume[MOST_NUMBERS][MOST_FORMS];
    struct number *wanted[MOST_NUMBERS];
    size_t n_wanted = 0, n = number_entity_count();
    for (size_t i = 0; i < n && n_wanted < MOST_NUMBERS; i++) {
        struct number *number = number_at(i);
        if (!scan_wants(scan, &number->entity))
            continue;
        memset(resume[n_wanted], 0, sizeof resume[n_wanted]);
        wanted[n_wanted++] = number;
    }
    for (size_t block = 0; block < text->n; block += 64) {
        uint64_t word = text->word[block / 64], digit = text->digit[block / 64];
        uint64_t word_before = word << 1 | (block > 0 ? text->word[block / 64 - 1] >> 63 : 0);
        uint64_t digit_before = digit << 1 | (block > 0 ? text->digit[block / 64 - 1] >> 63 : 0);
        uint64_t words = word & ~word_before, starts = words | (digit & ~digit_before);
        for (; starts != 0 && !scan->full && scan->status == 0; starts &= starts - 1) {
            int bit = __builtin_ctzll(starts);
            struct start start = start_at(text, block + (size_t)bit, (words >> bit & 1) == 0);
            if (start.n_digits == 0 && !start.mac)
                continue; /* Nothing is without digits but a hardware address. */
            for (size_t i = 0; i < n_wanted; i++) {
                const struct number *number = wanted[i];
                if ((number->lead_letters & start.letters) != 0 && (number->lead_digits & start.digits) != 0 &&
                    start.n_digits >= number->min_digits && (!start.inside || number->inside) && start_fits(number, &start))
                    try_number(scan, wanted[i], resume[i], start.at);
            }
        }
    }
}
