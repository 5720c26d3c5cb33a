/* Quantities: which numbers a text names and with which words it joins them: sums, differences, rates, shares, units, conditions.
 *
 * A word is a run of letters; it counts for the kind that "kinds" gives it, and so does a pair of neighbours ("how many"). A
 * number is a run of digits (numbers.h) or a number word. */
#include "quantities.h"
#include "numbers.h"

#include <math.h>
#include <stdlib.h>

enum kind {
    NUMBER, FRACTION, MULTIPLE, PERCENT, MONEY, RATE, COMPARISON, TOTAL,
    REST, SHARE, TIME, UNIT, CONDITION, ASKED, TRADE,
    N_KINDS
};

enum { LONGEST_KEY = 23 };

static const struct entry {
    const char *word; /* Or two of them. */
    enum kind kind;
} entries[] = { /* In byte order, for bsearch. */
    {"a day", RATE}, {"a month", RATE}, {"a week", RATE}, {"a year", RATE}, {"acre", UNIT}, {"acres", UNIT}, {"after", CONDITION}, {"all", TOTAL},
    {"altogether", TOTAL}, {"am", TIME}, {"an hour", RATE}, {"apiece", RATE}, {"as many", COMPARISON}, {"as much", COMPARISON}, {"ate", REST},
    {"average", SHARE}, {"before", CONDITION}, {"bigger", COMPARISON}, {"both", TOTAL}, {"but", CONDITION}, {"cent", MONEY}, {"cents", MONEY},
    {"cm", UNIT}, {"combined", TOTAL}, {"cost", TRADE}, {"costs", TRADE}, {"day", TIME}, {"days", TIME}, {"degree", UNIT}, {"degrees", UNIT},
    {"discount", TRADE}, {"divide", SHARE}, {"divided", SHARE}, {"divides", SHARE}, {"dollar", MONEY}, {"dollars", MONEY}, {"double", MULTIPLE},
    {"doubled", MULTIPLE}, {"doubles", MULTIPLE}, {"dozen", NUMBER}, {"each", RATE}, {"earn", TRADE}, {"earns", TRADE}, {"eight", NUMBER},
    {"eleven", NUMBER}, {"equally", SHARE}, {"evenly", SHARE}, {"every", RATE}, {"except", CONDITION}, {"feet", UNIT}, {"fewer", COMPARISON},
    {"fifteen", NUMBER}, {"fifth", FRACTION}, {"fifths", FRACTION}, {"fifty", NUMBER}, {"first", NUMBER}, {"five", NUMBER}, {"foot", UNIT},
    {"forty", NUMBER}, {"four", NUMBER}, {"fourth", FRACTION}, {"fourths", FRACTION}, {"friday", TIME}, {"gallon", UNIT}, {"gallons", UNIT},
    {"gave", REST}, {"gram", UNIT}, {"grams", UNIT}, {"group", SHARE}, {"groups", SHARE}, {"half", FRACTION}, {"halves", FRACTION}, {"hour", TIME},
    {"hours", TIME}, {"how far", ASKED}, {"how long", ASKED}, {"how many", ASKED}, {"how much", ASKED}, {"how old", ASKED}, {"however", CONDITION},
    {"hundred", NUMBER}, {"if", CONDITION}, {"inch", UNIT}, {"inches", UNIT}, {"instead", CONDITION}, {"interest", TRADE}, {"kg", UNIT},
    {"kilometer", UNIT}, {"kilometers", UNIT}, {"km", UNIT}, {"left", REST}, {"less", COMPARISON}, {"liter", UNIT}, {"liters", UNIT},
    {"longer", COMPARISON}, {"lost", REST}, {"meter", UNIT}, {"meters", UNIT}, {"mile", UNIT}, {"miles", UNIT}, {"million", NUMBER},
    {"minute", TIME}, {"minutes", TIME}, {"monday", TIME}, {"month", TIME}, {"months", TIME}, {"more", COMPARISON}, {"nine", NUMBER}, {"off", TRADE},
    {"older", COMPARISON}, {"one", NUMBER}, {"ounce", UNIT}, {"ounces", UNIT}, {"over", REST}, {"overall", TOTAL}, {"paid", TRADE}, {"pay", TRADE},
    {"pays", TRADE}, {"per", RATE}, {"percent", PERCENT}, {"pm", TIME}, {"pound", UNIT}, {"pounds", UNIT}, {"price", TRADE}, {"profit", TRADE},
    {"quarter", FRACTION}, {"quarters", FRACTION}, {"rate", TRADE}, {"ratio", TRADE}, {"remain", REST}, {"remainder", REST}, {"remaining", REST},
    {"remains", REST}, {"rest", REST}, {"saturday", TIME}, {"save", TRADE}, {"saves", TRADE}, {"second", NUMBER}, {"seconds", TIME},
    {"seven", NUMBER}, {"share", SHARE}, {"shared", SHARE}, {"shares", SHARE}, {"six", NUMBER}, {"sixty", NUMBER}, {"sold", REST}, {"speed", TRADE},
    {"spent", REST}, {"split", SHARE}, {"sum", TOTAL}, {"sunday", TIME}, {"taller", COMPARISON}, {"tax", TRADE}, {"ten", NUMBER},
    {"than", COMPARISON}, {"then", CONDITION}, {"third", FRACTION}, {"thirds", FRACTION}, {"thirteen", NUMBER}, {"thirty", NUMBER},
    {"thousand", NUMBER}, {"three", NUMBER}, {"thrice", MULTIPLE}, {"thursday", TIME}, {"times", MULTIPLE}, {"together", TOTAL}, {"total", TOTAL},
    {"triple", MULTIPLE}, {"tripled", MULTIPLE}, {"tuesday", TIME}, {"twelve", NUMBER}, {"twenty", NUMBER}, {"twice", MULTIPLE}, {"two", NUMBER},
    {"unless", CONDITION}, {"until", CONDITION}, {"used", REST}, {"wednesday", TIME}, {"week", TIME}, {"weeks", TIME}, {"what is", ASKED},
    {"what percentage", ASKED}, {"what was", ASKED}, {"when", CONDITION}, {"yard", UNIT}, {"yards", UNIT}, {"year", TIME}, {"years", TIME},
    {"younger", COMPARISON},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_letter(char c)
{
    return is_upper(c) || (c >= 'a' && c <= 'z');
}

static int compare_entry(const void *key, const void *entry)
{
    return strcmp(key, ((const struct entry *)entry)->word);
}

/* N_KINDS: of none. */
static enum kind kind_of(const char *key)
{
    const struct entry *entry = bsearch(key, entries, sizeof entries / sizeof *entries, sizeof *entries, compare_entry);
    return entry != NULL ? entry->kind : N_KINDS;
}

struct words {
    double counts[N_KINDS];
    double n_names, n_sentences, n_with_numbers, n_in_last;
};

/* Names are capital words inside a sentence, each counted once but for collisions of their hashes. */
static void words_read(struct words *words, str text)
{
    char key[2 * LONGEST_KEY + 2], last[LONGEST_KEY + 1] = "";
    uint64_t seen[4] = {0};
    double in_sentence = 0;
    bool ended = true; /* Nothing but marks and blanks since a sentence ended. */
    *words = (struct words){0};
    for (size_t i = 0; i < text.n;) {
        char c = text.data[i];
        if (is_digit(c)) {
            while (i < text.n && (is_digit(text.data[i]) || (text.data[i] == '.' && i + 1 < text.n && is_digit(text.data[i + 1]))))
                i++;
            in_sentence++;
            ended = false;
            last[0] = '\0';
            continue;
        }
        if (!is_letter(c)) {
            bool ends = (c == '.' || c == '!' || c == '?') && (i + 1 == text.n || text.data[i + 1] == ' ' || text.data[i + 1] == '\n');
            words->counts[PERCENT] += c == '%';
            words->counts[MONEY] += c == '$';
            words->counts[FRACTION] += c == '/' && i > 0 && is_digit(text.data[i - 1]) && i + 1 < text.n && is_digit(text.data[i + 1]);
            if (ends && !ended) {
                words->n_sentences++;
                words->n_with_numbers += in_sentence > 0;
                words->n_in_last = in_sentence;
                in_sentence = 0;
                ended = true;
            }
            if (c != ' ' && c != '\n')
                last[0] = '\0';
            i++;
            continue;
        }
        size_t start = i, n = 0;
        char word[LONGEST_KEY + 1];
        for (; i < text.n && is_letter(text.data[i]); i++)
            if (n < LONGEST_KEY)
                word[n++] = is_upper(text.data[i]) ? (char)(text.data[i] + 32) : text.data[i];
        word[n] = '\0';
        enum kind kind = kind_of(word);
        if (kind < N_KINDS)
            words->counts[kind]++;
        in_sentence += kind == NUMBER;
        if (last[0] != '\0') {
            snprintf(key, sizeof key, "%s %s", last, word);
            if ((kind = kind_of(key)) < N_KINDS)
                words->counts[kind]++;
        }
        if (is_upper(c) && !ended && n > 1) {
            uint64_t hash = str_hash((str){text.data + start, i - start}), bit = (uint64_t)1 << hash % 64;
            hash ^= hash >> 29;
            uint64_t *at = &seen[hash / 64 % 4];
            words->n_names += (*at & bit) == 0;
            *at |= bit;
        }
        memcpy(last, word, n + 1);
        ended = false;
    }
    if (!ended) {
        words->n_sentences++;
        words->n_with_numbers += in_sentence > 0;
        words->n_in_last = in_sentence;
    }
}

void quantities_read(str text, float out[N_QUANTITIES])
{
    struct numbers numbers;
    struct words words;
    double n_distinct = 0, least = INFINITY;
    numbers_read(&numbers, text);
    words_read(&words, text);
    for (size_t i = 0; i < numbers.n; i++) {
        bool fresh = true;
        for (size_t k = 0; k < i && fresh; k++)
            fresh = fabs(numbers.items[k].value - numbers.items[i].value) > 1e-9;
        n_distinct += fresh;
        least = fmin(least, fabs(numbers.items[i].value));
    }
    int n = 0;
    for (; n < N_KINDS; n++)
        out[n] = (float)log1p(words.counts[n]);
    const double values[N_QUANTITIES - N_KINDS] = {
        log1p((double)numbers.n), fmin(n_distinct, 100) / 5, log1p(numbers_largest(&numbers)), numbers.n > 0 ? log1p(least) : 0,
        log1p(words.n_with_numbers), log1p(words.n_names),
        log1p(words.counts[NUMBER] + (double)numbers.n + words.counts[FRACTION] + words.counts[MULTIPLE]),
        words.n_sentences > 0 ? words.n_with_numbers / words.n_sentences : 0, log1p(words.n_in_last),
    };
    for (int i = 0; i < N_QUANTITIES - N_KINDS; i++)
        out[n + i] = (float)fmin(values[i], 20);
}
