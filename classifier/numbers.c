/* Numbers in digits and in words. */
#include "numbers.h"

#include <math.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

void numbers_read(struct numbers *numbers, str text)
{
    numbers->n = 0;
    for (size_t i = 0; i < text.n && numbers->n < MOST_NUMBERS;) {
        if (!is_digit(text.data[i])) {
            i++;
            continue;
        }
        struct number number = {.start = i};
        double scale = 1;
        for (; i < text.n; i++) {
            char c = text.data[i];
            bool more = i + 1 < text.n && is_digit(text.data[i + 1]);
            if (is_digit(c)) {
                number.value = number.decimal ? number.value + (scale /= 10) * (c - '0') : number.value * 10 + (c - '0');
            } else if (c == '.' && more && !number.decimal) {
                number.decimal = true;
            } else if (c != ',' || !more || number.decimal) {
                break;
            }
        }
        number.end = i;
        size_t before = number.start;
        if (before > 0 && text.data[before - 1] == '$')
            before--;
        if (before > 0 && text.data[before - 1] == '-' &&
            (before == 1 || is_blank(text.data[before - 2]) || text.data[before - 2] == '(' || text.data[before - 2] == '='))
            number.value = -number.value;
        if (number.value > 1e15 || number.value < -1e15)
            number.value = number.value > 0 ? 1e15 : -1e15;
        numbers->items[numbers->n++] = number;
    }
}

bool numbers_have(const struct numbers *numbers, double value)
{
    for (size_t i = 0; i < numbers->n; i++)
        if (fabs(fabs(numbers->items[i].value) - fabs(value)) < 1e-9)
            return true;
    return false;
}

double numbers_largest(const struct numbers *numbers)
{
    double most = 0;
    for (size_t i = 0; i < numbers->n; i++)
        most = fmax(most, fabs(numbers->items[i].value));
    return most;
}

double number_of_word(str word)
{
    static const struct {
        const char *word;
        int value;
    } words[] = {
        {"one", 1},     {"once", 1},    {"two", 2},     {"twice", 2},    {"half", 2},     {"double", 2},  {"doubled", 2},   {"couple", 2}, {"pair", 2},
        {"three", 3},   {"third", 3},   {"thirds", 3},  {"thrice", 3},   {"triple", 3},   {"tripled", 3}, {"four", 4},      {"fourth", 4}, {"quarter", 4},
        {"quarters", 4}, {"five", 5},   {"fifth", 5},   {"six", 6},      {"seven", 7},    {"week", 7},    {"weeks", 7},     {"eight", 8},  {"nine", 9},
        {"ten", 10},    {"eleven", 11}, {"twelve", 12}, {"dozen", 12},   {"year", 12},    {"fifteen", 15}, {"twenty", 20},  {"day", 24},   {"thirty", 30},
        {"forty", 40},  {"fifty", 50},  {"sixty", 60},  {"hour", 60},    {"hours", 60},   {"hundred", 100}, {"thousand", 1000},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_equal(word, str_of(words[i].word)))
            return words[i].value;
    return 0;
}
