/* See json_text.h. (jansson has the names json_object, json_string and the like: hence json_any_….) */
#include "grammar/json_text.h"

enum { MOST_INDENT = 40, MOST_DIGITS = 15, MOST_EXPONENT_DIGITS = 2 };

void json_text_init(struct json_text *json, struct grammar_builder *builder)
{
    *json = (struct json_text){builder, -1, -1, -1, -1, -1, -1, -1, -1};
}

static struct expr *byte(struct json_text *json, char c)
{
    return expr_bytes(json->builder, (uint8_t)c, (uint8_t)c);
}

static struct expr *literal(struct json_text *json, const char *text)
{
    return expr_text(json->builder, str_of(text));
}

static struct expr *join(struct json_text *json, struct expr *a, struct expr *b, struct expr *c)
{
    struct expr *sequence = expr_add(expr_add(expr_sequence(json->builder), a), b);
    return c != NULL ? expr_add(sequence, c) : sequence;
}

/* A rule that is made when first asked for. */
static struct expr *shared(struct json_text *json, int *rule, const char *name, struct expr *(*make)(struct json_text *))
{
    if (*rule < 0) {
        *rule = grammar_rule_new(json->builder, str_of(name));
        int made = *rule;
        grammar_rule_define(json->builder, made, make(json));
    }
    return expr_rule(json->builder, *rule);
}

static struct expr *make_blank(struct json_text *json)
{
    struct grammar_builder *b = json->builder;
    struct expr *line = join(json, byte(json, '\n'), expr_repeat(b, byte(json, ' '), 0, MOST_INDENT), NULL);
    return expr_optional(b, expr_add(expr_add(expr_choice(b), byte(json, ' ')), line));
}

struct expr *json_blank(struct json_text *json)
{
    return shared(json, &json->blank, "blank", make_blank);
}

static struct expr *hex_digits(struct json_text *json, int n)
{
    struct char_set hex = {0};
    char_set_add(&hex, '0', '9');
    char_set_add(&hex, 'a', 'f');
    char_set_add(&hex, 'A', 'F');
    char_set_finish(&hex, false);
    return expr_repeat(json->builder, expr_char_set(json->builder, &hex, false), n, n);
}

static struct expr *make_character(struct json_text *json)
{
    struct grammar_builder *b = json->builder;
    struct char_set plain = {0};
    char_set_add(&plain, 0, 0x1F);
    char_set_add(&plain, '"', '"');
    char_set_add(&plain, '\\', '\\');
    char_set_finish(&plain, true);
    struct expr *escapes = expr_choice(b);
    for (const char *c = "\"\\/bfnrt"; *c != '\0'; c++)
        expr_add(escapes, byte(json, *c));
    /* A code point by number: no surrogate, or a pair of them, so that every string is text. */
    struct expr *first = expr_choice(b);
    for (const char *c = "0123456789abcefABCEF"; *c != '\0'; c++)
        expr_add(first, join(json, byte(json, *c), hex_digits(json, 3), NULL));
    struct expr *below = expr_choice(b), *high = expr_choice(b), *low = expr_choice(b);
    expr_add(below, expr_bytes(b, '0', '7'));
    for (const char *c = "89abAB"; *c != '\0'; c++)
        expr_add(high, byte(json, *c));
    for (const char *c = "cdefCDEF"; *c != '\0'; c++)
        expr_add(low, byte(json, *c));
    struct expr *d = expr_add(expr_add(expr_choice(b), byte(json, 'd')), byte(json, 'D'));
    struct expr *d_again = expr_add(expr_add(expr_choice(b), byte(json, 'd')), byte(json, 'D'));
    struct expr *d_low = expr_add(expr_add(expr_choice(b), byte(json, 'd')), byte(json, 'D'));
    expr_add(first, join(json, d, below, hex_digits(json, 2)));
    struct expr *pair = join(json, d_again, high, hex_digits(json, 2));
    expr_add(expr_add(expr_add(expr_add(pair, literal(json, "\\u")), d_low), low), hex_digits(json, 2));
    expr_add(first, pair);
    expr_add(escapes, join(json, byte(json, 'u'), first, NULL));
    return expr_add(expr_add(expr_choice(b), expr_char_set(b, &plain, false)), join(json, byte(json, '\\'), escapes, NULL));
}

struct expr *json_character(struct json_text *json)
{
    return shared(json, &json->character, "character", make_character);
}

struct expr *json_string_of_length(struct json_text *json, int min, int max)
{
    return join(json, byte(json, '"'), expr_repeat(json->builder, json_character(json), min, max), byte(json, '"'));
}

static struct expr *make_string(struct json_text *json)
{
    return json_string_of_length(json, 0, -1);
}

struct expr *json_any_string(struct json_text *json)
{
    return shared(json, &json->string, "string", make_string);
}

static struct expr *digits(struct json_text *json, int min, int max)
{
    return expr_repeat(json->builder, expr_bytes(json->builder, '0', '9'), min, max);
}

static struct expr *make_integer(struct json_text *json)
{
    struct grammar_builder *b = json->builder;
    struct expr *natural = join(json, expr_bytes(b, '1', '9'), digits(json, 0, MOST_DIGITS - 1), NULL);
    return join(json, expr_optional(b, byte(json, '-')), expr_add(expr_add(expr_choice(b), byte(json, '0')), natural), NULL);
}

struct expr *json_any_integer(struct json_text *json)
{
    return shared(json, &json->integer, "integer", make_integer);
}

static struct expr *make_number(struct json_text *json)
{
    struct grammar_builder *b = json->builder;
    struct expr *fraction = join(json, byte(json, '.'), digits(json, 1, MOST_DIGITS), NULL);
    struct expr *e = expr_add(expr_add(expr_choice(b), byte(json, 'e')), byte(json, 'E'));
    struct expr *sign = expr_add(expr_add(expr_choice(b), byte(json, '-')), byte(json, '+'));
    struct expr *exponent = join(json, e, expr_optional(b, sign), digits(json, 1, MOST_EXPONENT_DIGITS));
    return join(json, json_any_integer(json), expr_optional(b, fraction), expr_optional(b, exponent));
}

struct expr *json_any_number(struct json_text *json)
{
    return shared(json, &json->number, "number", make_number);
}

/* open (element (, element)*)? close */
static struct expr *listed(struct json_text *json, char open, struct expr *first, struct expr *more, char close)
{
    struct grammar_builder *b = json->builder;
    struct expr *rest = expr_repeat(b, expr_add(join(json, byte(json, ','), json_blank(json), more), json_blank(json)), 0, -1);
    struct expr *elements = join(json, first, json_blank(json), rest);
    return expr_add(join(json, byte(json, open), json_blank(json), expr_optional(b, elements)), byte(json, close));
}

static struct expr *any_member(struct json_text *json)
{
    return expr_add(join(json, json_any_string(json), byte(json, ':'), json_blank(json)), json_any(json));
}

static struct expr *make_object(struct json_text *json)
{
    return listed(json, '{', any_member(json), any_member(json), '}');
}

struct expr *json_any_object(struct json_text *json)
{
    return shared(json, &json->object, "object", make_object);
}

static struct expr *make_array(struct json_text *json)
{
    return listed(json, '[', json_any(json), json_any(json), ']');
}

struct expr *json_any_array(struct json_text *json)
{
    return shared(json, &json->array, "array", make_array);
}

static struct expr *make_value(struct json_text *json)
{
    struct expr *choice = expr_choice(json->builder);
    expr_add(choice, json_any_object(json));
    expr_add(choice, json_any_array(json));
    expr_add(choice, json_any_string(json));
    expr_add(choice, json_any_number(json));
    expr_add(choice, literal(json, "true"));
    expr_add(choice, literal(json, "false"));
    return expr_add(choice, literal(json, "null"));
}

struct expr *json_any(struct json_text *json)
{
    return shared(json, &json->value, "value", make_value);
}

/* What may follow after `done` bytes that all n names begin with, so that the whole is none of them: the rest of the string
 * and its closing quote. */
static struct expr *rest_but(struct json_text *json, const str *names, size_t n, size_t done)
{
    struct grammar_builder *b = json->builder;
    struct expr *choice = expr_choice(b);
    struct char_set other = {0};
    bool is_name = false;
    char_set_add(&other, 0, 0x1F);
    char_set_add(&other, '"', '"');
    char_set_add(&other, '\\', '\\');
    for (size_t i = 0; i < n;) {
        if (names[i].n == done) {
            is_name = true;
            i++;
            continue;
        }
        size_t at = done, same = i + 1;
        uint32_t code_point = utf8_next(names[i], &at);
        str head = {names[i].data + done, at - done};
        while (same < n && names[same].n >= at && memcmp(names[same].data + done, head.data, head.n) == 0)
            same++;
        char_set_add(&other, code_point, code_point);
        if (code_point >= 0x20 && code_point != '"' && code_point != '\\') /* Else an escape begins it, and none is let through. */
            expr_add(choice, join(json, expr_text(b, head), rest_but(json, names + i, same - i, at), NULL));
        i = same;
    }
    char_set_finish(&other, true);
    struct char_set plain = {0};
    char_set_add(&plain, 0, 0x1F);
    char_set_add(&plain, '"', '"');
    char_set_add(&plain, '\\', '\\');
    char_set_finish(&plain, true);
    struct expr *free_rest = join(json, expr_repeat(b, expr_char_set(b, &plain, false), 0, -1), byte(json, '"'), NULL);
    expr_add(choice, join(json, expr_char_set(b, &other, false), free_rest, NULL));
    if (!is_name)
        expr_add(choice, byte(json, '"'));
    return choice;
}

struct expr *json_string_but(struct json_text *json, const str *names, size_t n)
{
    return join(json, byte(json, '"'), rest_but(json, names, n, 0), NULL);
}
