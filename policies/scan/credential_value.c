/* Is the value beside "password =" a password? Placeholders, variables and code are none; a quoted word or sentence of letters
 * may be a label and stays below the usual threshold; what mixes letters with digits or signs is one. Pure functions. */
#include "scan/credentials.h"

#include <math.h>

enum { SHORTEST_QUOTED = 3, SHORTEST_BARE = 6, SHORTEST_SIGNS = 8 };

double entropy_bits(str s)
{
    uint32_t counts[256] = {0};
    double bits = 0;
    for (size_t i = 0; i < s.n; i++)
        counts[(unsigned char)s.data[i]]++;
    for (int i = 0; i < 256; i++)
        if (counts[i] > 0) {
            double p = (double)counts[i] / (double)s.n;
            bits -= p * log2(p);
        }
    return bits;
}

static bool contains(str s, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= s.n; i++)
        if (str_equal_nocase((str){s.data + i, n}, (str){word, n}))
            return true;
    return false;
}

static bool is_placeholder(str value)
{
    static const char *const words[] = {"fake",     "example", "sample", "dummy", "placeholder", "changeme", "change_me", "change-me", "your",
                                        "insert_",  "replace", "redact", "xxxx",  "****",        "....",     "api_key",   "apikey",    "api-key",
                                        "process.", "environ", "getenv", "todo",  "⟦"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (contains(value, words[i]))
            return true;
    static const char *const whole[] = {"password", "passwd", "secret", "token", "none", "null", "true", "false", "undefined"};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (str_equal_nocase(value, str_of(whole[i])))
            return true;
    return false;
}

struct makeup {
    bool lower, upper, digit, sign, inner_sign, blank, bracket, high;
};

static struct makeup makeup_of(str value)
{
    struct makeup m = {0};
    for (size_t i = 0; i < value.n; i++) {
        char c = value.data[i];
        if (is_lower(c))
            m.lower = true;
        else if (is_upper(c))
            m.upper = true;
        else if (is_digit(c))
            m.digit = true;
        else if (c == ' ' || c == '\t')
            m.blank = true;
        else if ((unsigned char)c >= 0x80)
            m.high = true;
        else
            m.sign = true;
        m.inner_sign = m.inner_sign || (i > 0 && i + 1 < value.n && c != '\0' && strchr("!@#$%^&*", c) != NULL);
        m.bracket = m.bracket || (c != '\0' && strchr("(){}[]<>", c) != NULL);
    }
    return m;
}

float credential_quoted_score(str value)
{
    struct makeup m = makeup_of(value);
    if (value.n < SHORTEST_QUOTED || !(m.lower || m.upper || m.digit) || is_placeholder(value))
        return 0;
    char first = value.data[0];
    if (first == '%' || first == '<' || (first == '$' && value.n > 1 && (value.data[1] == '{' || value.data[1] == '(')) ||
        str_starts(value, STR("{{")))
        return 0;
    if (m.digit || m.sign || m.high)
        return 0.6f;
    return m.lower && m.upper && !m.blank && !(is_upper(first) && !m.lower) ? 0.5f : 0.3f;
}

/* "config.password", "self.key_2": names joined by dots. */
static bool is_name_path(str value)
{
    bool dot = false, begins = true;
    for (size_t i = 0; i < value.n; i++) {
        char c = value.data[i];
        if (c == '.') {
            if (begins)
                return false;
            dot = begins = true;
        } else if (!(is_alpha(c) || c == '_' || (is_digit(c) && !begins))) {
            return false;
        } else {
            begins = false;
        }
    }
    return dot && !begins;
}

float credential_bare_score(str value)
{
    struct makeup m = makeup_of(value);
    if (value.n < SHORTEST_BARE || m.bracket || is_placeholder(value) || is_name_path(value))
        return 0;
    if (strchr("$%/~.*&\\-|", value.data[0]) != NULL || str_find(value, STR("://")) >= 0)
        return 0;
    bool letter = m.lower || m.upper;
    if (m.digit && (letter || !(m.sign || m.high)))
        return 0.5f;
    return letter && m.inner_sign && value.n >= SHORTEST_SIGNS ? 0.5f : 0;
}
