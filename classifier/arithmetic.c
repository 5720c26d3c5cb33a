/* Arithmetic: a text becomes tokens, numbers, operators, brackets and equals signs, with a break for whatever else stands there. Runs
 * between breaks and equals signs are sides; two neighbouring sides are an equation where the left one computes something and both are
 * whole expressions, by recursive descent with a limit on depth. */
#include "arithmetic.h"

#include <math.h>

enum { MOST_TOKENS = 1024, MOST_DEPTH = 24, UNIT_WORDS = 3, MOST_TRIES = 8, LONGEST_REMARK = 48 };

/* '0' a number; + - * / ( ) = as they are; ' ' a break. */
struct token {
    char kind;
    double value;
};

struct tokens {
    struct token items[MOST_TOKENS];
    size_t n;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static size_t skip_blanks(str text, size_t i)
{
    while (i < text.n && is_blank(text.data[i]))
        i++;
    return i;
}

/* The operator at i, its bytes in *n; 0: none. */
static char operator_at(str text, size_t i, size_t *n)
{
    char c = i < text.n ? text.data[i] : '\0', next = i + 1 < text.n ? text.data[i + 1] : '\0';
    *n = 1;
    if (c == '+' || c == '-' || c == '*' || c == '/')
        return c;
    *n = 2;
    if (c == '\\' && next == '*')
        return '*';
    if ((unsigned char)c == 0xC3 && ((unsigned char)next == 0x97 || (unsigned char)next == 0xB7)) /* × ÷ */
        return (unsigned char)next == 0x97 ? '*' : '/';
    return 0;
}

/* "x" between two operands. */
static bool is_times(str text, size_t i)
{
    if (i >= text.n || (text.data[i] != 'x' && text.data[i] != 'X') || i + 1 >= text.n)
        return false;
    size_t next = skip_blanks(text, i + 1);
    return next < text.n && (is_digit(text.data[next]) || text.data[next] == '$' || text.data[next] == '(');
}

/* Past words in brackets at i, "(her own)"; else i. */
static size_t skip_remark(str text, size_t i)
{
    if (i + 1 >= text.n || text.data[i] != '(' || !is_letter(text.data[i + 1]))
        return i;
    for (size_t at = i; at < text.n && at < i + LONGEST_REMARK; at++)
        if (text.data[at] == ')')
            return at + 1;
    return i;
}

/* Past a unit after a number at i, if an operator, a bracket or an equals sign follows it; else i. */
static size_t skip_unit(str text, size_t i)
{
    size_t at = skip_blanks(text, i), n;
    for (int words = 0; words < UNIT_WORDS && at < text.n && is_letter(text.data[at]) && !is_times(text, at); words++) {
        while (at < text.n && is_letter(text.data[at]))
            at++;
        at = skip_blanks(text, at);
    }
    if (at < text.n && (text.data[at] == '=' || text.data[at] == ')' || is_times(text, at) || operator_at(text, at, &n) != 0))
        return at;
    return i;
}

static double read_number(str text, size_t *at)
{
    double value = 0, scale = 1;
    bool decimal = false;
    size_t i = *at;
    for (; i < text.n; i++) {
        char c = text.data[i];
        bool more = i + 1 < text.n && is_digit(text.data[i + 1]);
        if (is_digit(c))
            value = decimal ? value + (scale /= 10) * (c - '0') : value * 10 + (c - '0');
        else if (c == '.' && more && !decimal)
            decimal = true;
        else if (c != ',' || !more || decimal)
            break;
    }
    if (i < text.n && text.data[i] == '%') {
        value /= 100;
        i++;
    }
    *at = i;
    return fmin(value, 1e15);
}

static void add(struct tokens *tokens, char kind, double value)
{
    if (kind == ' ' && (tokens->n == 0 || tokens->items[tokens->n - 1].kind == ' '))
        return;
    if (tokens->n < MOST_TOKENS)
        tokens->items[tokens->n++] = (struct token){kind, value};
}

static void tokens_read(struct tokens *tokens, str text)
{
    tokens->n = 0;
    for (size_t i = 0; i < text.n && tokens->n < MOST_TOKENS;) {
        char c = text.data[i], last = tokens->n > 0 ? tokens->items[tokens->n - 1].kind : ' ', op;
        size_t n;
        bool operand_before = last == '0' || last == ')';
        if (is_blank(c) || c == '$') {
            i++;
        } else if (is_digit(c) || (c == '.' && i + 1 < text.n && is_digit(text.data[i + 1]))) {
            double value = read_number(text, &i);
            if (last == '0') /* Two numbers side by side: a new expression. */
                add(tokens, ' ', 0);
            add(tokens, '0', value);
            i = skip_unit(text, i);
        } else if (skip_remark(text, i) > i) {
            i = skip_remark(text, i);
        } else if (c == '(' || c == ')' || c == '=') {
            add(tokens, c, 0);
            i++;
        } else if (operand_before && is_times(text, i)) {
            add(tokens, '*', 0);
            i++;
        } else if ((op = operator_at(text, i, &n)) != 0) {
            add(tokens, op, 0);
            i += n;
        } else {
            add(tokens, ' ', 0);
            while (i < text.n && is_letter(text.data[i])) /* Words are skipped whole. */
                i++;
            i += !is_letter(c);
        }
    }
}

/* ------------------------------------------------------------------ expressions */

struct cursor {
    const struct token *at, *end;
    bool failed;
};

static double sum_value(struct cursor *cursor, int depth);

static double factor_value(struct cursor *cursor, int depth)
{
    if (cursor->at == cursor->end || depth > MOST_DEPTH) {
        cursor->failed = true;
        return 0;
    }
    const struct token *token = cursor->at++;
    if (token->kind == '0')
        return token->value;
    if (token->kind == '-')
        return -factor_value(cursor, depth + 1);
    if (token->kind == '(') {
        double value = sum_value(cursor, depth + 1);
        if (cursor->at != cursor->end && cursor->at->kind == ')')
            cursor->at++;
        else
            cursor->failed = true;
        return value;
    }
    cursor->failed = true;
    return 0;
}

static double product_value(struct cursor *cursor, int depth)
{
    double value = factor_value(cursor, depth);
    while (cursor->at != cursor->end && !cursor->failed && (cursor->at->kind == '*' || cursor->at->kind == '/')) {
        char op = cursor->at++->kind;
        double other = factor_value(cursor, depth);
        value = op == '*' ? value * other : other != 0 ? value / other : 0;
    }
    return value;
}

static double sum_value(struct cursor *cursor, int depth)
{
    double value = product_value(cursor, depth);
    while (cursor->at != cursor->end && !cursor->failed && (cursor->at->kind == '+' || cursor->at->kind == '-')) {
        char op = cursor->at++->kind;
        double other = product_value(cursor, depth);
        value = op == '+' ? value + other : value - other;
    }
    return value;
}

/* false: not an expression as a whole. */
static bool evaluate(const struct token *from, const struct token *to, double *value)
{
    struct cursor cursor = {from, to, from == to};
    if (!cursor.failed)
        *value = sum_value(&cursor, 0);
    return !cursor.failed && cursor.at == to && isfinite(*value);
}

/* The left side, from where it first reads as a whole: that of "Tom has 3 (2 + 1) / 3 = 1" begins at the bracket. */
static bool left_read(const struct token *from, const struct token *to, struct equation *out)
{
    int tries = 0;
    while (from < to && (from->kind == '+' || from->kind == '*' || from->kind == '/' || !evaluate(from, to, &out->value))) {
        if (++tries > MOST_TRIES)
            return false;
        from++;
    }
    if (from == to)
        return false;
    for (const struct token *token = from; token < to; token++) {
        if (token->kind == '0' && out->n_operands < MOST_OPERANDS)
            out->operands[out->n_operands++] = token->value;
        out->n_sums += token->kind == '+';
        out->n_differences += token->kind == '-' && token > from;
        out->n_products += token->kind == '*';
        out->n_quotients += token->kind == '/';
    }
    return out->n_sums + out->n_differences + out->n_products + out->n_quotients > 0;
}

/* The right side, up to where it last reads as a whole: "(3 + 4 = 7)" ends before the bracket. */
static bool right_read(const struct token *from, const struct token *to, struct equation *out)
{
    for (int tries = 0; from < to && tries < MOST_TRIES; tries++, to--)
        if (evaluate(from, to, &out->stated))
            return true;
    return false;
}

size_t equations_read(str text, struct equation out[MOST_EQUATIONS])
{
    struct tokens tokens;
    size_t n = 0;
    tokens_read(&tokens, text);
    for (size_t i = 0; i < tokens.n && n < MOST_EQUATIONS; i++) {
        size_t from = i, to = i + 1;
        if (tokens.items[i].kind != '=')
            continue;
        while (from > 0 && tokens.items[from - 1].kind != ' ' && tokens.items[from - 1].kind != '=')
            from--;
        while (to < tokens.n && tokens.items[to].kind != ' ' && tokens.items[to].kind != '=')
            to++;
        struct equation equation = {.n_operands = 0};
        if (right_read(tokens.items + i + 1, tokens.items + to, &equation) && left_read(tokens.items + from, tokens.items + i, &equation))
            out[n++] = equation;
    }
    return n;
}

bool equation_holds(const struct equation *equation)
{
    return fabs(equation->value - equation->stated) <= 0.011 * fmax(1, fabs(equation->value));
}
