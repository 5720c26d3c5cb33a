/* Two normal forms: of an answer as text, and of an answer that is one option or one number. */
#include "shadow/same.h"

enum { SHORT_BYTES = 96 };

static bool is_among(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Case, blanks and marks mean something in these. */
static bool is_prose(str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.data[i] == '\0' || is_among(text.data[i], "\n`{}<>=;_\\|#\""))
            return false;
    return true;
}

/* Walks a text in its normal form, one byte at a time. */
struct reading {
    str text;
    size_t at;
    bool prose;
};

/* -1: the end. */
static int next(struct reading *reading)
{
    while (reading->at < reading->text.n) {
        char c = reading->text.data[reading->at++];
        if (c == '\r' || (reading->prose && c == '*'))
            continue; /* Lines end with one mark, whoever wrote them. */
        if (!reading->prose)
            return (unsigned char)c;
        if (!is_among(c, " \t"))
            return (unsigned char)lower(c);
        while (reading->at < reading->text.n && is_among(reading->text.data[reading->at], " \t\r"))
            reading->at++;
        return ' ';
    }
    return -1;
}

static str trimmed(str text)
{
    text = str_trim(text);
    while (text.n > 0 && is_among(text.data[text.n - 1], ".!*"))
        text.n--;
    return str_trim(text);
}

static bool same_text(str a, str b)
{
    bool prose = is_prose(str_trim(a)) && is_prose(str_trim(b));
    struct reading left = {.text = prose ? trimmed(a) : str_trim(a), .prose = prose}, right = {.text = prose ? trimmed(b) : str_trim(b), .prose = prose};
    for (;;) {
        int l = next(&left), r = next(&right);
        if (l != r)
            return false;
        if (l < 0)
            return true;
    }
}

/* ------------------------------------------------------------------ options and numbers */

static bool drop_word(str *text, const char *word)
{
    str begin = str_of(word);
    if (!str_starts(*text, begin) || text->n == begin.n || !is_among(text->data[begin.n], " :"))
        return false;
    *text = (str){text->data + begin.n, text->n - begin.n};
    return true;
}

/* What is left of "**The answer is: (B).**": the letter. */
static str bare(str text)
{
    static const char *const words[] = {"the", "correct", "final", "answer", "option", "choice", "is", "it is", "it's"};
    for (bool more = true; more;) {
        more = false;
        while (text.n > 0 && is_among(text.data[0], " \t\r\n*()[]'`:=$"))
            text.data++, text.n--;
        while (text.n > 0 && is_among(text.data[text.n - 1], " \t\r\n*()[]'`.!"))
            text.n--;
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            more |= drop_word(&text, words[i]);
    }
    return text;
}

/* A number's digits without thousands' commas, needless zeros and a plus, into out. False: it is none. */
static bool read_number(str text, char out[SHORT_BYTES + 1])
{
    size_t n = 0, digits = 0, group = 0, i = 0;
    bool grouped = false, fraction = false, minus = false;
    if (text.n > 0 && (text.data[0] == '-' || text.data[0] == '+'))
        minus = text.data[i++] == '-';
    for (; i < text.n; i++) {
        char c = text.data[i];
        if (is_digit(c)) {
            digits++;
            group++;
            if (n > 0 || c != '0' || fraction)
                out[n++] = c;
        } else if (c == ',' && !fraction && (grouped ? group == 3 : group >= 1 && group <= 3)) {
            grouped = true;
            group = 0;
        } else if (c == '.' && !fraction && digits > 0 && (!grouped || group == 3)) {
            fraction = true;
            out[n++] = '.';
        } else {
            return false;
        }
    }
    if (digits == 0 || (grouped && !fraction && group != 3))
        return false;
    while (fraction && n > 0 && out[n - 1] == '0')
        n--;
    if (n > 0 && out[n - 1] == '.')
        n--;
    out[n] = '\0';
    if (minus && n > 0) {
        memmove(out + 1, out, n + 1);
        out[0] = '-';
    }
    return true;
}

/* The short form of an answer that is an option or a number and nothing more. */
static bool short_form(str text, char out[SHORT_BYTES + 2])
{
    char low[SHORT_BYTES + 1];
    text = str_trim(text);
    if (text.n == 0 || text.n > SHORT_BYTES)
        return false;
    for (size_t i = 0; i < text.n; i++)
        low[i] = lower(text.data[i]);
    str rest = bare((str){low, text.n});
    if (rest.n == 1 && rest.data[0] >= 'a' && rest.data[0] <= 'h') {
        out[0] = rest.data[0];
        out[1] = '\0';
        return true;
    }
    return read_number(rest, out);
}

bool shadow_same(str a, str b)
{
    char left[SHORT_BYTES + 2], right[SHORT_BYTES + 2];
    if (same_text(a, b))
        return true;
    return short_form(a, left) && short_form(b, right) && strcmp(left, right) == 0;
}
