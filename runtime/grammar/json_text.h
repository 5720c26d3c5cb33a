/* JSON text: the grammar of JSON itself (RFC 8259), which schemas narrow. */
#ifndef WEIR_GRAMMAR_JSON_TEXT_H
#define WEIR_GRAMMAR_JSON_TEXT_H

#include "grammar/expression.h"

/* Rules that a schema's grammar shares; -1: not made yet. */
struct json_text {
    struct grammar_builder *builder;
    int blank, character, string, number, integer, object, array, value;
};
void json_text_init(struct json_text *json, struct grammar_builder *builder);
struct expr *json_blank(struct json_text *json);     /* One blank, a new line with its indent, or nothing. */
struct expr *json_character(struct json_text *json); /* Of a string, escaped where it must be. */
struct expr *json_any_string(struct json_text *json);
struct expr *json_any_number(struct json_text *json);
struct expr *json_any_integer(struct json_text *json);
struct expr *json_any_object(struct json_text *json);    /* Any. */
struct expr *json_any_array(struct json_text *json);
struct expr *json_any(struct json_text *json);
/* A quoted string of min to max (-1: no bound) characters. */
struct expr *json_string_of_length(struct json_text *json, int min, int max);
/* A quoted string that is none of the names, with no escapes in it. */
struct expr *json_string_but(struct json_text *json, const str *names, size_t n);

/* Numbers between two bounds, told in units of 10^-n_decimals; INT64_MIN and INT64_MAX: no bound. whole: integers only. */
struct json_range {
    int64_t low, high;
    int n_decimals;  /* At most 9. */
    bool whole;
};
struct expr *json_number_between(struct json_text *json, struct json_range range);

#endif
