/* Answer checks: the answer's equations against themselves, its result, the question's numbers and the work that the question lets
 * expect. A question names numbers in digits and words; an operand is grounded where the question names it, an equation before has
 * it as its result, or it is a constant of calendars and percentages. For a text without arithmetic they say that there is none. */
#include "answer.h"
#include "arithmetic.h"
#include "numbers.h"

#include <math.h>

enum { MOST_VALUES = 256, MOST_LINES = 64 };

/* Numbers of the question, in digits and in words. */
struct values {
    double items[MOST_VALUES];
    size_t n;
};

struct findings {
    double n_wrong, n_ungrounded, n_unused_results, n_unused_numbers, n_repeated, n_fractions, n_negative, n_operands, n_broken_results, n_hundreds, largest;
    double sums, differences, products, quotients;
    bool last_uses_result;
};

static bool same(double a, double b)
{
    return fabs(a - b) <= 1e-6 * fmax(1, fabs(b));
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool values_have(const struct values *values, double value)
{
    for (size_t i = 0; i < values->n; i++)
        if (same(value, values->items[i]))
            return true;
    return false;
}

static void values_add_words(struct values *values, str text)
{
    for (size_t i = 0; i < text.n;) {
        char word[16];
        size_t n = 0;
        for (; i < text.n && is_letter(text.data[i]); i++)
            if (n < sizeof word)
                word[n++] = text.data[i] < 'a' ? (char)(text.data[i] + 32) : text.data[i];
        double value = n > 0 && n < sizeof word ? number_of_word((str){word, n}) : 0;
        if (value > 0 && values->n < MOST_VALUES)
            values->items[values->n++] = value;
        i += n == 0;
    }
}

/* Named by the question as it is or as a percentage, a rebate or a surcharge. */
static bool is_named(const struct values *values, double operand)
{
    static const double constants[] = {1, 2, 7, 10, 12, 24, 30, 52, 60, 100, 365};
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (same(operand, constants[i]))
            return true;
    for (size_t i = 0; i < values->n; i++) {
        double value = values->items[i];
        if (same(operand, value) || same(operand * 100, value) || same(operand, 1 - value / 100) || same(operand, 1 + value / 100))
            return true;
    }
    return false;
}

static void equations_judge(const struct equation *equations, size_t n, const struct values *values, struct findings *out)
{
    bool used[MOST_EQUATIONS] = {false};
    *out = (struct findings){.n_wrong = 0};
    for (size_t i = 0; i < n; i++) {
        const struct equation *equation = &equations[i];
        out->n_wrong += !equation_holds(equation);
        out->sums += equation->n_sums;
        out->differences += equation->n_differences;
        out->products += equation->n_products;
        out->quotients += equation->n_quotients;
        out->n_broken_results += equation->stated != floor(equation->stated);
        out->n_negative += equation->stated < 0;
        out->largest = fmax(out->largest, fabs(equation->stated));
        for (size_t k = 0; k < equation->n_operands; k++) {
            double operand = equation->operands[k];
            bool earlier = false;
            for (size_t e = 0; e < i; e++)
                if (same(operand, equations[e].stated)) {
                    used[e] = earlier = true;
                    out->last_uses_result = out->last_uses_result || i + 1 == n;
                }
            out->n_operands++;
            out->n_ungrounded += !earlier && !is_named(values, operand);
            out->n_fractions += operand != floor(operand);
            out->n_hundreds += operand == 100 && !values_have(values, 100);
        }
        for (size_t e = 0; e < i; e++)
            if (same(equations[e].stated, equation->stated)) {
                out->n_repeated++;
                break;
            }
    }
    for (size_t i = 0; i + 1 < n; i++)
        out->n_unused_results += !used[i];
}

/* Different numbers in digits of the question that no equation works with. */
static double count_unused(const struct numbers *asked, const struct equation *equations, size_t n)
{
    double unused = 0;
    for (size_t i = 0; i < asked->n; i++) {
        double value = fabs(asked->items[i].value);
        bool found = false;
        for (size_t k = 0; k < i && !found; k++) /* Counted already. */
            found = same(value, fabs(asked->items[k].value));
        for (size_t e = 0; e < n && !found; e++)
            for (size_t k = 0; k < equations[e].n_operands && !found; k++)
                found = same(value, equations[e].operands[k]) || same(value / 100, equations[e].operands[k]);
        unused += !found;
    }
    return unused;
}

struct layout {
    double n_bytes; /* Without annotations << … >>. */
    double n_lines, n_repeated, n_equals;
};

static struct layout layout_read(str text)
{
    struct layout layout = {0};
    uint64_t seen[MOST_LINES];
    size_t n_seen = 0;
    str rest = text, line;
    bool inside = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.data[i], next = i + 1 < text.n ? text.data[i + 1] : '\0';
        inside = inside ? c != '>' : c == '<' && next == '<';
        layout.n_bytes += !inside && c != '>';
        layout.n_equals += !inside && c == '=';
    }
    while (str_split(&rest, '\n', &line)) {
        if ((line = str_trim(line)).n == 0)
            continue;
        uint64_t hash = str_hash(line);
        layout.n_lines++;
        for (size_t i = 0; i < n_seen; i++)
            if (seen[i] == hash) {
                layout.n_repeated++;
                break;
            }
        if (n_seen < MOST_LINES)
            seen[n_seen++] = hash;
    }
    return layout;
}

/* false: the question asks "how many" of something that the answer never names. */
static bool names_what_is_asked(str question, str text)
{
    static const char ask[] = "ow many ";
    const size_t n_ask = sizeof ask - 1;
    for (size_t i = 0; i + n_ask < question.n; i++) {
        if (memcmp(question.data + i, ask, n_ask) != 0)
            continue;
        size_t from = i + n_ask, to = from;
        while (to < question.n && is_letter(question.data[to]))
            to++;
        if (to - from > 3) /* Singular or plural. */
            to--;
        for (size_t k = 0; k + (to - from) <= text.n; k++)
            if (memcmp(text.data + k, question.data + from, to - from) == 0)
                return true;
        return false;
    }
    return true;
}

/* An operator, "=" or an open annotation at the very end. */
static bool is_broken_off(str text)
{
    return text.n > 0 && strchr("+-*/=<(,", text.data[text.n - 1]) != NULL;
}

void answer_checks(str question, str text, float out[N_CHECKS])
{
    struct equation equations[MOST_EQUATIONS];
    struct numbers asked, stated;
    struct values values = {.n = 0};
    struct findings found;
    float form[N_SURFACE];
    size_t mark = SIZE_MAX;
    text = str_trim(text);
    for (size_t i = 0; i + 4 <= text.n; i++)
        if (memcmp(text.data + i, "####", 4) == 0)
            mark = i;
    str body = mark != SIZE_MAX ? (str){text.data, mark} : text;
    numbers_read(&asked, question);
    for (size_t i = 0; i < asked.n; i++)
        values.items[values.n++] = fabs(asked.items[i].value);
    values_add_words(&values, question);
    size_t n = equations_read(body, equations);
    equations_judge(equations, n, &values, &found);
    double unused = count_unused(&asked, equations, n);
    struct layout layout = layout_read(body);
    numbers_read(&stated, mark != SIZE_MAX ? (str){text.data + mark, text.n - mark} : text);
    const struct number *result = stated.n == 0 ? NULL : mark != SIZE_MAX ? &stated.items[0] : &stated.items[stated.n - 1];
    double value = result != NULL ? result->value : 0, size = fabs(value);
    bool last_gives_it = result != NULL && n > 0 && same(fabs(equations[n - 1].stated), size), earlier_gives_it = false, whole = value == floor(value);
    for (size_t i = 0; i + 1 < n; i++)
        earlier_gives_it = earlier_gives_it || (result != NULL && same(fabs(equations[i].stated), size));
    feature_surface(question, form);
    const float *work = form + N_SHAPE;
    double operations = found.sums + found.differences + found.products + found.quotients;
    const double checks[N_CHECKS] = {
        (double)n, fmin(found.n_wrong, 3), found.n_wrong > 0, n > 0 ? found.n_wrong / (double)n : 0, fmin(found.n_ungrounded, 4), found.n_ungrounded > 0,
        fmin(found.n_unused_results, 4), fmin(unused, 5), unused == 0, fmin(found.sums, 10), fmin(found.differences, 10), fmin(found.products, 10),
        fmin(found.quotients, 10), last_gives_it, fmin(found.n_repeated, 4), log1p(layout.n_lines), n == 0, log1p(size), result == NULL, !whole, value < 0,
        result != NULL && numbers_have(&asked, value), mark != SIZE_MAX, is_broken_off(text), log1p(layout.n_bytes),
        n > 0 ? found.n_operands / (double)n : 0, fmin(found.n_broken_results, 5), result != NULL && size <= 1, fmin(found.n_negative, 4),
        fmin(found.n_fractions, 5), fmin(found.n_hundreds, 4), log1p(found.largest), earlier_gives_it && !last_gives_it, fmin(layout.n_equals, 20),
        found.last_uses_result,
        (double)n - (double)work[WORK_STEPS], found.sums - (double)work[WORK_SUMS], found.differences - (double)work[WORK_DIFFERENCES],
        found.products - (double)work[WORK_PRODUCTS], found.quotients - (double)work[WORK_QUOTIENTS], log1p(size) - (double)work[WORK_RESULT],
        fabs(log1p(size) - (double)work[WORK_RESULT]), log1p((double)text.n) - (double)work[WORK_LENGTH], operations - (double)work[WORK_OPERATIONS],
        fmin(found.n_fractions, 2) - (double)work[WORK_DECIMALS],
        names_what_is_asked(question, text), layout.n_lines > 0 ? layout.n_repeated / layout.n_lines : 0,
        found.n_wrong == 0 && found.n_ungrounded == 0 && unused == 0 && last_gives_it && whole,
    };
    for (int i = 0; i < N_CHECKS; i++)
        out[i] = (float)(checks[i] > 20 ? 20 : checks[i] < -20 ? -20 : checks[i]);
}
