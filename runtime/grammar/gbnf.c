/* GBNF, the grammar notation of llama.cpp's users, to a grammar: rules of "literals", [classes], names, groups and repetitions. */
#include "grammar/program.h"

#include <stdio.h>

enum { MOST_DEPTH = 100, MOST_SOURCE_BYTES = 1 << 20, MOST_NAMED_RULES = 4096 };

struct reader {
    struct grammar_builder *builder;
    str source;
    size_t at;
    int depth;
    struct error *err;
    int status;
};

static void fail(struct reader *r, const char *text)
{
    int line = 1;
    for (size_t i = 0; i < r->at && i < r->source.n; i++)
        line += r->source.data[i] == '\n';
    char where[48];
    snprintf(where, sizeof where, "grammar, line %d", line);
    if (r->status == 0)
        r->status = error_set(r->err, WEIR_E_INVALID, where, "%s", text);
}

static char peek(const struct reader *r)
{
    return r->at < r->source.n ? r->source.data[r->at] : '\0';
}

static bool take(struct reader *r, const char *text)
{
    size_t n = strlen(text);
    if (r->source.n - r->at < n || memcmp(r->source.data + r->at, text, n) != 0)
        return false;
    r->at += n;
    return true;
}

/* Blanks and comments, and new lines where a rule can't end. */
static void skip_blanks(struct reader *r, bool lines)
{
    for (;;) {
        char c = peek(r);
        if (c == '#') {
            while (r->at < r->source.n && peek(r) != '\n')
                r->at++;
        } else if (c == ' ' || c == '\t' || c == '\r' || (c == '\n' && lines)) {
            r->at++;
        } else {
            return;
        }
    }
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static str read_name(struct reader *r)
{
    size_t start = r->at;
    while (is_name(peek(r)))
        r->at++;
    return (str){r->source.data + start, r->at - start};
}

/* The rule of a name, made when first seen. Rule 0 is root. */
static int find_rule(struct reader *r, str name)
{
    for (int i = 0; i < r->builder->n_rules; i++)
        if (str_equal(r->builder->rules[i].name, name))
            return i;
    if (r->builder->n_rules >= MOST_NAMED_RULES)
        fail(r, "there are too many rules");
    return grammar_rule_new(r->builder, name);
}

static uint32_t read_hex(struct reader *r, size_t n)
{
    uint8_t bytes[4] = {0};
    if (r->source.n - r->at < n || hex_decode((str){r->source.data + r->at, n}, bytes, n / 2) < 0) {
        fail(r, "hexadecimal digits are missing");
        return 0;
    }
    r->at += n;
    uint32_t value = 0;
    for (size_t i = 0; i < n / 2; i++)
        value = value << 8 | bytes[i];
    if (value > 0x10FFFF)
        fail(r, "is no code point");
    return value;
}

static uint32_t read_character(struct reader *r)
{
    if (!take(r, "\\"))
        return utf8_next(r->source, &r->at);
    if (take(r, "n"))
        return '\n';
    if (take(r, "r"))
        return '\r';
    if (take(r, "t"))
        return '\t';
    if (take(r, "x"))
        return read_hex(r, 2);
    if (take(r, "u"))
        return read_hex(r, 4);
    if (take(r, "U"))
        return read_hex(r, 8);
    if (r->at >= r->source.n || strchr("\\\"[]^-/", peek(r)) == NULL) {
        fail(r, "unknown escape");
        return 0;
    }
    return (uint32_t)(uint8_t)r->source.data[r->at++];
}

static struct expr *read_literal(struct reader *r)
{
    struct expr *sequence = expr_sequence(r->builder);
    while (r->status == 0 && r->at < r->source.n && peek(r) != '"' && peek(r) != '\n') {
        char text[4];
        int n = utf8_encode(read_character(r), text);
        expr_add(sequence, expr_text(r->builder, (str){text, (size_t)n}));
    }
    if (!take(r, "\""))
        fail(r, "a text is not closed");
    return sequence;
}

static struct expr *read_class(struct reader *r)
{
    struct char_set set = {0};
    bool negate = take(r, "^");
    while (r->status == 0 && r->at < r->source.n && peek(r) != ']' && peek(r) != '\n') {
        uint32_t low = read_character(r), high = low;
        if (peek(r) == '-' && r->at + 1 < r->source.n && r->source.data[r->at + 1] != ']') {
            r->at++;
            high = read_character(r);
        }
        if (high < low)
            fail(r, "a range of a class ends before it begins");
        char_set_add(&set, low, high);
    }
    if (!take(r, "]"))
        fail(r, "a class is not closed");
    char_set_finish(&set, negate);
    return expr_char_set(r->builder, &set, false);
}

static struct expr *read_choice(struct reader *r);

static struct expr *read_atom(struct reader *r)
{
    if (take(r, "\""))
        return read_literal(r);
    if (take(r, "["))
        return read_class(r);
    if (take(r, ".")) {
        struct char_set all = {0};
        char_set_add(&all, 0, 0x10FFFF);
        return expr_char_set(r->builder, &all, false);
    }
    if (take(r, "(")) {
        struct expr *inside = NULL;
        if (++r->depth > MOST_DEPTH)
            fail(r, "groups are nested too deeply");
        else
            inside = read_choice(r);
        r->depth--;
        if (!take(r, ")"))
            fail(r, "a group is not closed");
        return inside != NULL ? inside : expr_sequence(r->builder);
    }
    if (is_name(peek(r)))
        return expr_rule(r->builder, find_rule(r, read_name(r)));
    fail(r, "a text, class, name or group is missing");
    return expr_sequence(r->builder);
}

static int read_count(struct reader *r)
{
    int value = 0;
    size_t start = r->at;
    while (peek(r) >= '0' && peek(r) <= '9' && value <= GRAMMAR_MOST_REPEATS)
        value = value * 10 + r->source.data[r->at++] - '0';
    if (value > GRAMMAR_MOST_REPEATS)
        fail(r, "a repetition is too large");
    return r->at > start ? value : -1;
}

static struct expr *read_repeated(struct reader *r)
{
    struct expr *atom = read_atom(r);
    skip_blanks(r, r->depth > 0);
    if (take(r, "*"))
        return expr_repeat(r->builder, atom, 0, -1);
    if (take(r, "+"))
        return expr_repeat(r->builder, atom, 1, -1);
    if (take(r, "?"))
        return expr_repeat(r->builder, atom, 0, 1);
    if (!take(r, "{"))
        return atom;
    int min = read_count(r), max = min;
    if (take(r, ","))
        max = read_count(r);
    min = min < 0 ? 0 : min;
    if (!take(r, "}") || (max >= 0 && max < min))
        fail(r, "a repetition is {m}, {m,}, {,n} or {m,n}");
    return expr_repeat(r->builder, atom, min, max);
}

static struct expr *read_choice(struct reader *r)
{
    struct expr *choice = expr_choice(r->builder);
    for (bool more = true; more && r->status == 0;) {
        struct expr *sequence = expr_sequence(r->builder);
        skip_blanks(r, true);
        while (r->status == 0 && r->at < r->source.n && strchr("|)\n", peek(r)) == NULL) {
            expr_add(sequence, read_repeated(r));
            skip_blanks(r, r->depth > 0);
        }
        expr_add(choice, sequence);
        more = take(r, "|");
    }
    return choice;
}

static void read_rule(struct reader *r)
{
    str name = read_name(r);
    if (name.n == 0) {
        fail(r, "a rule's name is missing");
        return;
    }
    skip_blanks(r, false);
    if (!take(r, "::=")) {
        fail(r, "::= is missing after a rule's name");
        return;
    }
    int rule = find_rule(r, name);
    if (rule < r->builder->n_rules && r->builder->rules[rule].body != NULL)
        fail(r, "a rule is defined a second time");
    grammar_rule_define(r->builder, rule, read_choice(r));
    if (r->status == 0 && r->at < r->source.n && peek(r) != '\n')
        fail(r, "a group is closed that was not opened");
}

int grammar_of_gbnf(struct grammar **out, str source, struct error *err)
{
    struct grammar_builder builder;
    *out = NULL;
    if (source.n > MOST_SOURCE_BYTES)
        return error_set(err, WEIR_E_LIMIT, "grammar", "has more than %d bytes", MOST_SOURCE_BYTES);
    ptrdiff_t bad = utf8_first_invalid(source);
    if (bad >= 0)
        return error_set(err, WEIR_E_INVALID, "grammar", "byte %td is no valid UTF-8", bad);
    grammar_builder_init(&builder);
    struct reader r = {.builder = &builder, .source = source, .err = err};
    grammar_rule_new(&builder, STR("root"));
    skip_blanks(&r, true);
    while (r.status == 0 && r.at < source.n) {
        read_rule(&r);
        skip_blanks(&r, true);
    }
    int status = r.status == 0 ? grammar_compile(out, &builder, "grammar", err) : r.status;
    grammar_builder_release(&builder);
    return status;
}
