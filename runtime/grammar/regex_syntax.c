/* See regex_syntax.h. A recursive descent over alternatives, terms and atoms; classes are sets of code points. */
#include "grammar/regex_syntax.h"

enum { MOST_DEPTH = 100 };

struct reader {
    struct grammar_builder *builder;
    str pattern;
    size_t at;
    bool as_json;
    int depth;
    const char *what;
    struct error *err;
    int status;
};

static int fail(struct reader *r, enum weir_status status, const char *text)
{
    if (r->status == 0)
        r->status = error_set(r->err, status, r->what, "pattern, character %zu: %s", r->at + 1, text);
    return r->status;
}

static bool more(const struct reader *r)
{
    return r->status == 0 && r->at < r->pattern.n;
}

static char peek(const struct reader *r)
{
    return r->at < r->pattern.n ? r->pattern.data[r->at] : '\0';
}

static bool take(struct reader *r, const char *text)
{
    size_t n = strlen(text);
    if (r->pattern.n - r->at < n || memcmp(r->pattern.data + r->at, text, n) != 0)
        return false;
    r->at += n;
    return true;
}

/* ------------------------------------------------------------------ classes */

static void add_class(struct char_set *out, char letter)
{
    struct char_set set = {0};
    switch (letter | 0x20) {
    case 'd':
        char_set_add(&set, '0', '9');
        break;
    case 'w':
        char_set_add(&set, '0', '9');
        char_set_add(&set, 'A', 'Z');
        char_set_add(&set, 'a', 'z');
        char_set_add(&set, '_', '_');
        break;
    default: /* 's' */
        char_set_add(&set, '\t', '\r');
        char_set_add(&set, ' ', ' ');
        char_set_add(&set, 0xA0, 0xA0);
        char_set_add(&set, 0x1680, 0x1680);
        char_set_add(&set, 0x2000, 0x200A);
        char_set_add(&set, 0x2028, 0x2029);
        char_set_add(&set, 0x202F, 0x202F);
        char_set_add(&set, 0x205F, 0x205F);
        char_set_add(&set, 0x3000, 0x3000);
        char_set_add(&set, 0xFEFF, 0xFEFF);
    }
    char_set_finish(&set, (letter & 0x20) == 0);
    char_set_add_set(out, &set);
}

static uint32_t hex_number(struct reader *r, int n)
{
    uint8_t bytes[2] = {0};
    if (r->pattern.n - r->at < (size_t)n || hex_decode((str){r->pattern.data + r->at, (size_t)n}, bytes, (size_t)n / 2) < 0) {
        fail(r, WEIR_E_INVALID, "hexadecimal digits are missing");
        return 0;
    }
    r->at += (size_t)n;
    return n == 2 ? bytes[0] : (uint32_t)bytes[0] << 8 | bytes[1];
}

/* After a backslash. Adds to set; true in *single and the code point when it is one character. */
static void read_escape(struct reader *r, struct char_set *set, bool *single, uint32_t *code_point)
{
    static const char names[] = "nrtfv0", values[] = "\n\r\t\f\v";
    char c = peek(r);
    *single = true;
    if (c == '\0') {
        fail(r, WEIR_E_INVALID, "ends in a backslash");
        return;
    }
    if (strchr("dDwWsS", c) != NULL) {
        r->at++;
        add_class(set, c);
        *single = false;
        return;
    }
    const char *name = strchr(names, c);
    if (name != NULL) {
        r->at++;
        *code_point = (uint32_t)(uint8_t)values[name - names];
    } else if (take(r, "u{")) {
        *code_point = 0;
        while (more(r) && peek(r) != '}') {
            int64_t digit = 0;
            char text[] = {peek(r), '\0'};
            const char *hex = strchr("0123456789abcdef", text[0] | (text[0] >= 'A' ? 0x20 : 0));
            digit = hex != NULL ? hex - "0123456789abcdef" : 0;
            if (hex == NULL || *code_point > 0x10FFFF)
                fail(r, WEIR_E_INVALID, "no code point in \\u{…}");
            *code_point = *code_point * 16 + (uint32_t)digit;
            r->at++;
        }
        if (!take(r, "}") || *code_point > 0x10FFFF)
            fail(r, WEIR_E_INVALID, "no code point in \\u{…}");
    } else if (take(r, "u")) {
        *code_point = hex_number(r, 4);
    } else if (take(r, "x")) {
        *code_point = hex_number(r, 2);
    } else if ((c >= '1' && c <= '9') || c == 'k') {
        fail(r, WEIR_E_UNSUPPORTED, "back references are not supported");
    } else if (c == 'p' || c == 'P' || c == 'b' || c == 'B' || c == 'c') {
        fail(r, WEIR_E_UNSUPPORTED, "this escape is not supported");
    } else {
        *code_point = utf8_next(r->pattern, &r->at);
    }
    if (r->status == 0)
        char_set_add(set, *code_point, *code_point);
}

static void read_class_member(struct reader *r, struct char_set *set, bool *single, uint32_t *code_point)
{
    if (take(r, "\\")) {
        if (take(r, "b")) {
            *single = true;
            *code_point = '\b';
            char_set_add(set, '\b', '\b');
            return;
        }
        read_escape(r, set, single, code_point);
        return;
    }
    *single = true;
    *code_point = utf8_next(r->pattern, &r->at);
    char_set_add(set, *code_point, *code_point);
}

static struct expr *read_class(struct reader *r)
{
    struct char_set set = {0};
    bool negate = take(r, "^");
    while (more(r) && peek(r) != ']') {
        bool single = false, single_end = false;
        uint32_t low = 0, high = 0;
        read_class_member(r, &set, &single, &low);
        if (!more(r) || peek(r) != '-' || r->at + 1 >= r->pattern.n || r->pattern.data[r->at + 1] == ']')
            continue;
        r->at++;
        read_class_member(r, &set, &single_end, &high);
        if (r->status == 0 && single && single_end && high < low)
            fail(r, WEIR_E_INVALID, "a range of a class ends before it begins");
        else if (single && single_end)
            char_set_add(&set, low, high);
        else
            char_set_add(&set, '-', '-');
    }
    if (!take(r, "]"))
        fail(r, WEIR_E_INVALID, "a class is not closed");
    char_set_finish(&set, negate);
    return expr_char_set(r->builder, &set, r->as_json);
}

static struct expr *one_character(struct reader *r, uint32_t code_point)
{
    struct char_set set = {0};
    char_set_add(&set, code_point, code_point);
    char_set_finish(&set, false);
    return expr_char_set(r->builder, &set, r->as_json);
}

static struct expr *any_but_line_ends(struct reader *r)
{
    struct char_set set = {0};
    char_set_add(&set, '\n', '\n');
    char_set_add(&set, '\r', '\r');
    char_set_add(&set, 0x2028, 0x2029);
    char_set_finish(&set, true);
    return expr_char_set(r->builder, &set, r->as_json);
}

static struct expr *any_characters(struct reader *r)
{
    struct char_set set = {0};
    char_set_add(&set, 0, 0x10FFFF);
    char_set_finish(&set, false);
    return expr_repeat(r->builder, expr_char_set(r->builder, &set, r->as_json), 0, -1);
}

/* ------------------------------------------------------------------ structure */

static struct expr *read_alternatives(struct reader *r, bool outermost);

static struct expr *read_group(struct reader *r)
{
    if (take(r, "?=") || take(r, "?!") || take(r, "?<=") || take(r, "?<!")) {
        fail(r, WEIR_E_UNSUPPORTED, "look-around is not supported");
        return expr_sequence(r->builder);
    }
    if (take(r, "?<")) {
        while (more(r) && peek(r) != '>')
            r->at++;
        if (!take(r, ">"))
            fail(r, WEIR_E_INVALID, "a group's name is not closed");
    } else if (!take(r, "?:") && peek(r) == '?') {
        fail(r, WEIR_E_UNSUPPORTED, "this kind of group is not supported");
    }
    if (++r->depth > MOST_DEPTH)
        fail(r, WEIR_E_LIMIT, "groups are nested too deeply");
    struct expr *inside = r->status == 0 ? read_alternatives(r, false) : expr_sequence(r->builder);
    r->depth--;
    if (!take(r, ")"))
        fail(r, WEIR_E_INVALID, "a group is not closed");
    return inside;
}

static struct expr *read_atom(struct reader *r)
{
    bool single;
    uint32_t code_point = 0;
    struct char_set set = {0};
    char c = peek(r);
    if (take(r, "("))
        return read_group(r);
    if (take(r, "["))
        return read_class(r);
    if (take(r, "."))
        return any_but_line_ends(r);
    if (take(r, "\\")) {
        read_escape(r, &set, &single, &code_point);
        char_set_finish(&set, false);
        return expr_char_set(r->builder, &set, r->as_json);
    }
    if (c == '^' || c == '$')
        fail(r, WEIR_E_UNSUPPORTED, "^ and $ are supported at the ends of the pattern only");
    else if (c == '*' || c == '+' || c == '?')
        fail(r, WEIR_E_INVALID, "nothing stands before the quantifier");
    return one_character(r, utf8_next(r->pattern, &r->at));
}

static int read_count(struct reader *r)
{
    int value = 0;
    size_t start = r->at;
    while (more(r) && peek(r) >= '0' && peek(r) <= '9' && value <= GRAMMAR_MOST_REPEATS)
        value = value * 10 + r->pattern.data[r->at++] - '0';
    if (value > GRAMMAR_MOST_REPEATS)
        fail(r, WEIR_E_LIMIT, "a repetition is too large");
    return r->at > start ? value : -1;
}

static struct expr *read_term(struct reader *r)
{
    struct expr *atom = read_atom(r);
    if (take(r, "*"))
        atom = expr_repeat(r->builder, atom, 0, -1);
    else if (take(r, "+"))
        atom = expr_repeat(r->builder, atom, 1, -1);
    else if (take(r, "?"))
        atom = expr_repeat(r->builder, atom, 0, 1);
    else if (take(r, "{")) {
        int min = read_count(r), max = min;
        if (take(r, ","))
            max = read_count(r);
        if (!take(r, "}") || min < 0 || (max >= 0 && max < min))
            fail(r, WEIR_E_INVALID, "a repetition is {m}, {m,} or {m,n}");
        atom = expr_repeat(r->builder, atom, min, max);
    } else {
        return atom;
    }
    take(r, "?"); /* Which of several matches is preferred makes no difference to what matches. */
    return atom;
}

/* Of the outermost alternatives each may begin with ^ and end with $; without them anything stands around it. */
static struct expr *read_alternative(struct reader *r, bool outermost)
{
    struct expr *sequence = expr_sequence(r->builder);
    if (outermost && !take(r, "^"))
        expr_add(sequence, any_characters(r));
    while (more(r) && peek(r) != '|' && peek(r) != ')') {
        bool last = r->at + 1 == r->pattern.n || r->pattern.data[r->at + 1] == '|';
        if (outermost && last && take(r, "$"))
            return sequence;
        expr_add(sequence, read_term(r));
    }
    return outermost ? expr_add(sequence, any_characters(r)) : sequence;
}

static struct expr *read_alternatives(struct reader *r, bool outermost)
{
    struct expr *choice = expr_choice(r->builder);
    do
        expr_add(choice, read_alternative(r, outermost));
    while (r->status == 0 && take(r, "|"));
    return choice;
}

int regex_expression(struct expr **out, struct grammar_builder *builder, str pattern, bool as_json, const char *what, struct error *err)
{
    struct reader r = {.builder = builder, .pattern = pattern, .as_json = as_json, .what = what, .err = err};
    if (utf8_first_invalid(pattern) >= 0)
        return error_set(err, WEIR_E_INVALID, what, "the pattern is no valid UTF-8");
    *out = read_alternatives(&r, true);
    if (r.status == 0 && r.at < pattern.n)
        fail(&r, WEIR_E_INVALID, "a group is closed that was not opened");
    return r.status;
}
