/* JSON: strict parsing with a place, members by type, reals that read back. */
#include "weir_base.h"

#include <criterion/criterion.h>

Test(json, what_rfc_8259_forbids_is_refused_with_its_place)
{
    const char *bad[] = {"", "{", "[1,]", "{\"a\":1,\"a\":2}", "nul", "1 2", "\"\x80\"", "[1e999]", "{a:1}", "\"\\ud800\"", "'x'"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = {0};
        cr_assert_null(json_parse(str_of(bad[i]), &err), "%s", bad[i]);
        cr_assert_eq(err.status, WEIR_E_INVALID);
        cr_assert(strncmp(err.where, "line ", 5) == 0, "%s", err.where);
    }
}

Test(json, an_error_does_not_repeat_the_input)
{
    struct error err = {0};
    cr_assert_null(json_parse(STR("{\"content\": \"CANARY-1\" CANARY-2}"), &err));
    cr_assert_null(strstr(err.text, "CANARY"));
    cr_assert_null(json_parse(STR("{\"CANARY-3\": 1, \"CANARY-3\": 2}"), &err));
    cr_assert_null(strstr(err.text, "CANARY"), "%s", err.text);
}

Test(json, members_are_found_absent_or_of_the_wrong_type)
{
    struct error err = {0};
    json_t *object = json_parse(STR("{\"s\":\"x\",\"i\":3,\"r\":2.5,\"w\":4.0,\"b\":true,\"n\":null,\"a\":[],\"o\":{}}"), &err);
    str s;
    int64_t i;
    double r;
    bool b;
    json_t *value;
    cr_assert_eq(json_member_str(object, "s", &s, &err), 1);
    cr_assert(str_equal(s, STR("x")));
    cr_assert_eq(json_member_str(object, "none", &s, &err), 0);
    cr_assert_eq(json_member_str(object, "n", &s, &err), 0, "null is absence");
    cr_assert_eq(json_member_str(object, "i", &s, &err), WEIR_E_INVALID);
    cr_assert_str_eq(err.where, "i");
    cr_assert_eq(json_member_i64(object, "w", &i, &err), 1, "4.0 is an integer");
    cr_assert_eq(i, 4);
    cr_assert_eq(json_member_i64(object, "r", &i, &err), WEIR_E_INVALID);
    cr_assert_eq(json_member_f64(object, "i", &r, &err), 1);
    cr_assert_eq(json_member_bool(object, "b", &b, &err), 1);
    cr_assert_eq(json_member_bool(object, "i", &b, &err), WEIR_E_INVALID);
    cr_assert_eq(json_member_array(object, "a", &value, &err), 1);
    cr_assert_eq(json_member_object(object, "a", &value, &err), WEIR_E_INVALID);
    json_decref(object);
}

Test(json, reals_are_short_and_read_back_the_same)
{
    const struct {
        double value;
        const char *text;
    } cases[] = {{0.7, "0.7"}, {1, "1.0"}, {1e300, "1e+300"}, {1.0 / 3, "0.33333333333333331"}, {-2.5, "-2.5"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer out;
        buffer_init(&out, 100);
        json_t *value = json_real(cases[i].value);
        cr_assert_eq(json_write(value, &out), 0);
        double back;
        cr_assert_eq(parse_f64(buffer_str(&out), &back), 0);
        cr_assert(back == cases[i].value, "%s", out.data);
        if (i != 3)
            cr_assert_str_eq(out.data, cases[i].text);
        json_decref(value);
        buffer_release(&out);
    }
}
