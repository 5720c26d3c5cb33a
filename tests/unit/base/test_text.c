/* str, UTF-8 and numbers. */
#include "weir_base.h"

#include <criterion/criterion.h>

Test(utf8, exactly_the_sequences_of_rfc_3629_are_valid)
{
    const struct {
        const char *bytes;
        ptrdiff_t invalid_at;
    } cases[] = {
        {"plain", -1},
        {"gr\xC3\xBC\xC3\x9F", -1},
        {"\xE2\x82\xAC\xF0\x9F\x98\x80", -1},
        {"\xEF\xBF\xBF\xF4\x8F\xBF\xBF", -1},
        {"a\x80", 1},                    /* A lone continuation. */
        {"\xC0\xAF", 0},                 /* Overlong. */
        {"\xE0\x9F\xBF", 0},             /* Overlong in three bytes. */
        {"\xF0\x8F\xBF\xBF", 0},         /* Overlong in four. */
        {"\xED\xA0\x80", 0},             /* A surrogate. */
        {"\xF4\x90\x80\x80", 0},         /* Past U+10FFFF. */
        {"12345678\xC3", 8},             /* Cut short after a whole word of ASCII. */
        {"\xE2\x82", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert_eq(utf8_first_invalid(str_of(cases[i].bytes)), cases[i].invalid_at, "case %zu", i);
}

Test(utf8, every_scalar_value_survives_encoding_and_decoding)
{
    for (uint32_t code_point = 0; code_point <= 0x10FFFF; code_point++) {
        char bytes[4];
        int n = utf8_encode(code_point, bytes);
        if (code_point >= 0xD800 && code_point <= 0xDFFF) {
            cr_assert_eq(n, 0);
            continue;
        }
        size_t at = 0;
        cr_assert_eq(utf8_next((str){bytes, (size_t)n}, &at), code_point);
        cr_assert_eq(at, (size_t)n);
    }
    cr_assert_eq(utf8_encode(0x110000, (char[4]){0}), 0);
}

Test(utf8, the_tail_of_a_cut_sequence_is_found_at_every_cut)
{
    str text = STR("\xF0\x9F\x98\x80");
    for (size_t n = 0; n <= 4; n++)
        cr_assert_eq(utf8_incomplete_tail((str){text.data, n}), n % 4);
    cr_assert_eq(utf8_incomplete_tail(STR("a\x80")), 0);
    cr_assert_eq(utf8_incomplete_tail(STR("\xED\xA0")), 0, "can never become valid");
}

Test(str, splitting_gives_each_part_once)
{
    str rest = STR("a,,b"), part;
    const char *expected[] = {"a", "", "b"};
    int n = 0;
    while (str_split(&rest, ',', &part))
        cr_assert(str_equal(part, str_of(expected[n++])));
    cr_assert_eq(n, 3);
}

Test(str, numbers_are_taken_whole_or_not_at_all)
{
    int64_t integer;
    double real;
    cr_assert_eq(parse_i64(STR("-42"), &integer), 0);
    cr_assert_eq(integer, -42);
    const char *no_integers[] = {"", " 1", "1 ", "+1", "1.5", "0x10", "9223372036854775808", "1e3"};
    for (size_t i = 0; i < sizeof no_integers / sizeof *no_integers; i++)
        cr_assert_eq(parse_i64(str_of(no_integers[i]), &integer), WEIR_E_INVALID, "\"%s\"", no_integers[i]);
    cr_assert_eq(parse_f64(STR("1e-3"), &real), 0);
    cr_assert_float_eq(real, 0.001, 0);
    const char *no_reals[] = {"", "nan", "inf", "1e999", "1,5", " 2", "2x"};
    for (size_t i = 0; i < sizeof no_reals / sizeof *no_reals; i++)
        cr_assert_eq(parse_f64(str_of(no_reals[i]), &real), WEIR_E_INVALID, "\"%s\"", no_reals[i]);
}

Test(str, copying_terminates_and_says_when_it_did_not_fit)
{
    char out[4];
    cr_assert(str_copy(out, sizeof out, STR("abc")));
    cr_assert_not(str_copy(out, sizeof out, STR("abcd")));
    cr_assert_str_eq(out, "abc");
}

Test(str, after_mark_leaves_out_one_byte_order_mark_in_front)
{
    cr_assert(str_equal(str_after_mark(STR("\xef\xbb\xbf" "a")), STR("a")));
    cr_assert(str_equal(str_after_mark(STR("\xef\xbb\xbf\xef\xbb\xbf" "a")), STR("\xef\xbb\xbf" "a")));
    cr_assert(str_equal(str_after_mark(STR("a\xef\xbb\xbf")), STR("a\xef\xbb\xbf")));
    cr_assert(str_equal(str_after_mark(STR("\xef\xbb")), STR("\xef\xbb")));
    cr_assert_eq(str_after_mark((str){NULL, 0}).n, 0);
}
