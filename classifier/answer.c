/* Answer: what needs no model. An answer that contradicts its own arithmetic (answer_checks.c), ends in the middle, hedges, ignores
 * half of the question's numbers or names a result of an unlikely kind is wrong more often than one that does not.
 *
 * The result is the number after the last "####", else the last number. */
#include "answer.h"
#include "numbers.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_BYTES = 16384 };

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Share of a's numbers that b has; 1 for none. */
static double share_used(const struct numbers *a, const struct numbers *b)
{
    double used = 0;
    for (size_t i = 0; i < a->n; i++)
        used += numbers_have(b, a->items[i].value);
    return a->n > 0 ? used / (double)a->n : 1;
}

static double count_new(const struct numbers *numbers, const struct numbers *known)
{
    double n = 0;
    for (size_t i = 0; i < numbers->n; i++)
        n += !numbers_have(known, numbers->items[i].value);
    return n;
}

/* How often a phrase of lower-case letters stands in a text, whatever the case there. */
static double count(str text, const char *phrase)
{
    size_t n = strlen(phrase);
    double found = 0;
    for (size_t i = 0; i + n <= text.n; i++) {
        size_t k = 0;
        while (k < n && lower(text.data[i + k]) == phrase[k])
            k++;
        found += k == n;
    }
    return found;
}

static double count_any(str text, const char *const *phrases)
{
    double found = 0;
    for (; *phrases != NULL; phrases++)
        found += count(text, *phrases);
    return found;
}

static str cut(str text)
{
    return text.n > MOST_BYTES ? (str){text.data + text.n - MOST_BYTES, MOST_BYTES} : text;
}

static size_t find_last(str text, const char *what)
{
    size_t n = strlen(what), found = SIZE_MAX;
    for (size_t i = 0; i + n <= text.n; i++)
        if (memcmp(text.data + i, what, n) == 0)
            found = i;
    return found;
}

static double finite_or_0(float value)
{
    return isfinite(value) ? (double)value : 0;
}

void answer_form(str question, const struct answer *answer, float out[N_ANSWER])
{
    static const char *const hedges[] = {"can't", "cannot", "however", "assum", "unclear", "impossible", "not possible", "but since", "actually", "sorry", NULL};
    static const char *const therefore[] = {" so ", "therefore", "thus", "hence", NULL};
    static const char *const orders[] = {"first", "next", "finally", NULL};
    static const char *const rates[] = {" if ", " each ", " per ", " every ", " then ", NULL};
    static const char *const multiples[] = {"half", "twice", "third", "quarter", "times", "double", "triple", NULL};
    struct numbers asked, stated, body;
    str text = cut(str_trim(answer->text)), query = cut(question);
    size_t mark = find_last(text, "####");
    double n = text.n > 0 ? (double)text.n : 1, n_decimals = 0, n_long_decimals = 0, n_sentences = 0;
    numbers_read(&asked, query);
    numbers_read(&stated, text);
    numbers_read(&body, mark != SIZE_MAX ? (str){text.data, mark} : text);
    const struct number *result = stated.n > 0 ? &stated.items[stated.n - 1] : NULL;
    for (size_t i = 0; i < stated.n && mark != SIZE_MAX; i++)
        if (stated.items[i].start > mark) {
            result = &stated.items[i];
            break;
        }
    for (size_t i = 0; i < stated.n; i++) {
        n_decimals += stated.items[i].decimal;
        n_long_decimals += stated.items[i].decimal && stated.items[i].end - stated.items[i].start > 5;
    }
    for (size_t i = 0; i < text.n; i++)
        n_sentences += text.data[i] == '\n' || ((text.data[i] == '.' || text.data[i] == '!' || text.data[i] == '?') && i + 1 < text.n && is_blank(text.data[i + 1]));
    double value = result != NULL ? result->value : 0, n_equals = count(text, "="), n_asked = asked.n > 0 ? (double)asked.n : 1;
    bool ends = text.n > 0 && (mark != SIZE_MAX || strchr(".!?\"`)}]", text.data[text.n - 1]) != NULL);
    const double values[N_ANSWER - N_CHECKS] = {
        log1p((double)text.n), log1p(count(text, "\n")), (double)stated.n / 10, result != NULL && value != floor(value), value < 0, result == NULL,
        log1p(fabs(value)), ends, count(text, "?") / 2, count(text, "\n\n") / 3, count_any(text, orders) / 3, count_any(text, hedges) > 0, share_used(&asked, &stated),
        result != NULL && numbers_have(&asked, value), result != NULL && fabs(value) <= 1, n_equals / n_asked, count_new(&body, &asked) / 5,
        finite_or_0(answer->logprob_mean), finite_or_0(answer->logprob_min), finite_or_0(answer->margin_mean),
        mark != SIZE_MAX, body.n > 0 && fabs(body.items[body.n - 1].value - value) < 1e-6, n_equals / 5, count(text, "<<") / 3, count(text, "/") / 3,
        log1p(n / (double)(question.n > 0 ? question.n : 1)), n_sentences / 5, count(text, "fraction") > 0, share_used(&stated, &asked),
        log1p(numbers_largest(&body)), result != NULL && fabs(value) >= numbers_largest(&body), n_long_decimals > 0, n_decimals / 3, count(text, "%") / 2,
        count_any(text, therefore) / 2, count(text, "(") / 2, log1p(n / (n_equals + 1)), fabs(value) > 1000 * fmax(1, numbers_largest(&asked)),
        count_any(text, rates) / 5, count(query, "each") / 2, count(query, "%"), count_any(query, multiples) / 2, count(query, "how many") > 0,
        count(query, "how much") > 0, (double)asked.n / 5, finite_or_0(answer->entropy_mean), isfinite(answer->logprob_mean), log1p((double)question.n),
    };
    answer_checks(query, text, out);
    for (int i = 0; i < N_ANSWER - N_CHECKS; i++)
        out[N_CHECKS + i] = (float)(values[i] > 20 ? 20 : values[i] < -20 ? -20 : values[i]);
}
