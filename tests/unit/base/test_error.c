/* Errors: where, what, and that a terminal, a log and a JSON string can take both. */
#include "weir_base.h"

#include <criterion/criterion.h>

Test(error, a_character_that_is_cut_in_two_leaves_valid_utf8)
{
    struct error err = {0};
    char long_name[400];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    for (size_t at = 0; at + 3 < sizeof long_name; at += 2)
        memcpy(long_name + at, "\xC3\xA4", 2);
    error_set(&err, WEIR_E_INVALID, long_name + 1, "unknown key \"%.60s\"", long_name + 1);
    cr_expect_lt(utf8_first_invalid(str_of(err.text)), 0);
    cr_expect_lt(utf8_first_invalid(str_of(err.where)), 0);
    error_prefix(&err, long_name);
    cr_expect_lt(utf8_first_invalid(str_of(err.where)), 0);
    json_t *text = json_string(err.where);
    cr_expect_not_null(text);
    json_decref(text);
}

Test(error, control_characters_of_what_is_quoted_reach_no_terminal)
{
    struct error err = {0};
    error_set(&err, WEIR_E_INVALID, "m.gguf: tensor a\x1b[2J", "\x07 is \x7f no name\n");
    cr_expect_str_eq(err.where, "m.gguf: tensor a?[2J");
    cr_expect_str_eq(err.text, "? is ? no name\n");
    error_set(&err, WEIR_E_INVALID, "", "whole characters stay: \xEF\xBF\xBD\t\xC3\xA4");
    cr_expect_str_eq(err.text, "whole characters stay: \xEF\xBF\xBD\t\xC3\xA4");
}

Test(error, prefixes_join_files_lines_and_members)
{
    const struct {
        const char *where, *prefix, *joined;
    } cases[] = {
        {"line 3", "d.jsonl", "d.jsonl: line 3"},
        {"line 3", "d.jsonl: ", "d.jsonl: line 3"},
        {"text", "answer.", "answer.text"},
        {"", "d.jsonl: ", "d.jsonl"},
        {"", "d.jsonl", "d.jsonl"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        error_set(&err, WEIR_E_INVALID, cases[i].where, "is wrong");
        cr_expect_eq(error_prefix(&err, cases[i].prefix), WEIR_E_INVALID);
        cr_expect_str_eq(err.where, cases[i].joined, "case %zu: %s", i, err.where);
    }
}
