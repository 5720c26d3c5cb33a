/* Which texts a grammar holds: schemas, expressions and GBNF, text by text. */
#include "grammar/matcher.h"
#include "grammar/json_text.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* -1: dead before its end; 0: a beginning; 1: whole. */
static int follow(const struct grammar *grammar, const char *text)
{
    struct matcher matcher;
    struct error err = {0};
    int32_t state = 0;
    cr_assert_eq(matcher_init(&matcher, grammar, false, &state, &err), 0, "%s", err.text);
    for (; *text != '\0' && state != MATCHER_DEAD; text++) {
        int32_t next;
        int status = matcher_step(&matcher, state, (uint8_t)*text, &next);
        if (status == WEIR_E_FULL) {
            cr_assert_eq(matcher_forget(&matcher, &state), 0);
            status = matcher_step(&matcher, state, (uint8_t)*text, &next);
        }
        cr_assert_eq(status, 0);
        state = next;
    }
    int result = state == MATCHER_DEAD ? -1 : matcher_may_end(&matcher, state);
    matcher_release(&matcher);
    return result;
}

static struct grammar *of_schema(const char *schema)
{
    struct grammar *grammar;
    struct error err = {0};
    json_t *document = json_parse(str_of(schema), &err);
    cr_assert_not_null(document, "%s: %s", schema, err.text);
    cr_assert_eq(grammar_of_schema(&grammar, document, &err), 0, "%s: %s: %s", schema, err.where, err.text);
    json_decref(document);
    return grammar;
}

struct texts {
    const char *source;
    const char *fits[10], *fits_not[10];
};

static void check(const struct texts *cases, size_t n, struct grammar *(*make)(const char *))
{
    for (size_t i = 0; i < n; i++) {
        struct grammar *grammar = make(cases[i].source);
        for (const char *const *text = cases[i].fits; *text != NULL; text++)
            cr_expect_eq(follow(grammar, *text), 1, "%s\nshould hold %s", cases[i].source, *text);
        for (const char *const *text = cases[i].fits_not; *text != NULL; text++)
            cr_expect_neq(follow(grammar, *text), 1, "%s\nshould not hold %s", cases[i].source, *text);
        grammar_free(grammar);
    }
}

Test(grammar, a_schema_holds_its_values_and_no_others)
{
    static const struct texts cases[] = {
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"}},\"required\":[\"a\"]}",
         {"{\"a\":1}", "{\"a\": -20, \"b\":\"x\"}", "{\n  \"a\": 0,\n  \"b\": \"\\u00e4\"\n}"},
         {"{}", "{\"b\":\"x\"}", "{\"a\":1,}", "{\"a\":01}", "{\"a\":1.5}", "{\"a\":1,\"c\":2}", "[]", "{\"a\":1"}},
        {"{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{},\"c\":{}}}",
         {"{}", "{\"a\":null}", "{\"b\":[1,{\"x\":[]}]}", "{\"c\":true}", "{\"a\":1,\"c\":2}", "{\"b\":1,\"c\":\"\"}"},
         {"{,\"a\":1}", "{\"c\":1,\"a\":2}", "{\"a\":1 \"b\":2}"}},
        {"{\"type\":\"object\",\"properties\":{\"ab\":{\"type\":\"null\"}},\"additionalProperties\":{\"type\":\"integer\"}}",
         {"{}", "{\"ab\":null}", "{\"ab\":null,\"a\":1,\"abc\":2}", "{\"\":0}", "{\"b\":3}"}, {"{\"ab\":1}", "{\"a\":null}", "{\"\\u0061b\":1}"}},
        {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"boolean\"},\"minProperties\":2,\"maxProperties\":3}",
         {"{\"a\":true,\"b\":false}", "{\"a\":true,\"b\":false,\"c\":true}"}, {"{}", "{\"a\":true}", "{\"a\":true,\"b\":true,\"c\":true,\"d\":true}"}},
        {"{\"type\":\"object\",\"patternProperties\":{\"^x-[a-z]+$\":{\"type\":\"integer\"}},\"additionalProperties\":false}",
         {"{}", "{\"x-a\":1}", "{\"x-a\":1,\"x-bc\":2}"}, {"{\"y\":1}", "{\"x-\":1}", "{\"x-a\":\"\"}"}},
        {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":3}", {"[1]", "[1,2]", "[1, 2, 3]"}, {"[]", "[1,2,3,4]", "[1,]", "[,1]"}},
        {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}", {"[]", "[ ]", "[1]", "[1,2,3,4,5,6]"}, {"[1 2]", "[[1]]"}},
        {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"maxItems\":0}", {"[]"}, {"[1]"}},
        {"{\"type\":\"array\",\"prefixItems\":[{\"type\":\"string\"},{\"type\":\"boolean\"}],\"items\":false}", {"[]", "[\"a\"]", "[\"a\",true]"}, {"[true]", "[\"a\",true,1]"}},
        {"{\"type\":\"array\",\"prefixItems\":[{\"type\":\"string\"},{\"type\":\"boolean\"}],\"items\":{\"type\":\"null\"},\"minItems\":3,\"maxItems\":4}",
         {"[\"a\",true,null]", "[\"a\",true,null,null]"}, {"[\"a\",true]", "[\"a\",true,null,null,null]"}},
        {"{\"enum\":[\"red\",\"gr\\u00fcn\",1,null,{\"a\":[1]}]}", {"\"red\"", "\"gr\xC3\xBCn\"", "1", "null", "{\"a\":[1]}"}, {"\"re\"", "2", "\"redd\""}},
        {"{\"type\":\"string\",\"enum\":[\"a\",1]}", {"\"a\""}, {"1"}},
        {"{\"const\":\"x\\\"y\"}", {"\"x\\\"y\""}, {"\"x\""}},
        {"{\"type\":[\"string\",\"null\"]}", {"\"\"", "null", "\"\\n\\\\\\\"\\/\""}, {"1", "\"\n\"", "\"\\x\"", "\"\\ud800\""}},
        {"{\"type\":\"string\"}", {"\"\\ud83d\\ude00\"", "\"\xF0\x9F\x98\x80\"", "\"\\uD7ff\""}, {"\"\xC0\x80\"", "\"\xED\xA0\x80\"", "\"\xF4\x90\x80\x80\"", "\"\\udc00\""}},
        {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", {"\"ab\"", "\"\xC3\xA4\xC3\xB6\xC3\xBC\"", "\"\\n\\u0041\""}, {"\"a\"", "\"abcd\""}},
        {"{\"type\":\"string\",\"pattern\":\"^[A-Z]{2}-\\\\d+$\"}", {"\"AB-1\"", "\"ZZ-0123\""}, {"\"AB-\"", "\"aB-1\"", "\"AB-1x\""}},
        {"{\"type\":\"string\",\"pattern\":\"b+\"}", {"\"b\"", "\"abba\"", "\"\\\"b\\\\\""}, {"\"\"", "\"aa\""}},
        {"{\"type\":\"string\",\"pattern\":\"^[^a]$\"}", {"\"b\"", "\"\\\"\"", "\"\\n\"", "\"\\\\\""}, {"\"a\"", "\"\"\"", "\"\\\""}},
        {"{\"type\":\"string\",\"format\":\"date\"}", {"\"2026-02-28\"", "\"1999-12-31\""}, {"\"2026-02-30\"", "\"2026-13-01\"", "\"26-01-01\""}},
        {"{\"type\":\"string\",\"format\":\"date-time\"}", {"\"2026-02-28T23:59:59Z\"", "\"2026-02-28T00:00:00.5+02:00\""}, {"\"2026-02-28 23:59:59Z\"", "\"2026-02-28T24:00:00Z\""}},
        {"{\"type\":\"string\",\"format\":\"uuid\"}", {"\"01234567-89ab-cdef-0123-456789abcdef\""}, {"\"01234567\""}},
        {"{\"type\":\"string\",\"format\":\"ipv4\"}", {"\"127.0.0.1\"", "\"255.10.199.0\""}, {"\"256.0.0.1\"", "\"1.2.3\""}},
        {"{\"type\":\"number\"}", {"0", "-0.5", "1e5", "12.25E-3"}, {"01", ".5", "1.", "+1", "NaN"}},
        {"{\"type\":\"number\",\"minimum\":0.5,\"exclusiveMaximum\":2.25}", {"0.500", "1", "1.99", "2", "2.249", "2.000"}, {"0.499", "2.250", "2.3", "0.4", "-1", "3"}},
        {"{\"type\":\"number\",\"maximum\":-1.5}", {"-1.5", "-2", "-100.25", "-1.50", "-1.6"}, {"-1.4", "-1", "0", "1.5"}},
        {"{\"type\":\"integer\",\"exclusiveMinimum\":7}", {"8", "10", "99", "100000"}, {"7", "0", "-8", "08"}},
        {"{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"object\",\"properties\":{\"k\":{\"const\":1}},\"required\":[\"k\"]}]}", {"5", "{\"k\":1}"}, {"{}", "\"\""}},
        {"{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"t\":{\"const\":\"a\"},\"x\":{\"type\":\"integer\"}},\"required\":[\"t\",\"x\"]},"
         "{\"type\":\"object\",\"properties\":{\"t\":{\"const\":\"b\"},\"y\":{\"type\":\"string\"}},\"required\":[\"t\",\"y\"]}]}",
         {"{\"t\":\"a\",\"x\":1}", "{\"t\":\"b\",\"y\":\"\"}"}, {"{\"t\":\"a\",\"y\":\"\"}", "{\"t\":\"c\"}"}},
        {"{\"allOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"]},"
         "{\"properties\":{\"b\":{\"type\":\"string\"},\"a\":{\"minimum\":5}},\"required\":[\"b\"]}]}",
         {"{\"a\":5,\"b\":\"\"}"}, {"{\"a\":4,\"b\":\"\"}", "{\"a\":5}"}},
        {"{\"type\":\"object\",\"anyOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}],\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"}}}",
         {"{\"a\":null}", "{\"b\":null}", "{\"a\":null,\"b\":null}"}, {"{}"}},
        {"{\"allOf\":[{\"anyOf\":[{\"minimum\":0},{\"maximum\":-10}]},{\"anyOf\":[{\"maximum\":5},{\"minimum\":100}]}],\"type\":\"integer\"}",
         {"0", "5", "-10", "100"}, {"-9", "-1", "6", "99"}},
        {"{\"$defs\":{\"node\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},\"next\":{\"anyOf\":[{\"$ref\":\"#/$defs/node\"},{\"type\":\"null\"}]}},"
         "\"required\":[\"v\",\"next\"]}},\"$ref\":\"#/$defs/node\"}",
         {"{\"v\":1,\"next\":null}", "{\"v\":1,\"next\":{\"v\":2,\"next\":{\"v\":3,\"next\":null}}}"}, {"{\"v\":1}", "{\"v\":1,\"next\":{}}"}},
        {"true", {"1", "\"a\"", "[{\"a\":[[]]},-1.5e3]"}, {"a", "[", "{a:1}"}},
    };
    check(cases, sizeof cases / sizeof *cases, of_schema);
}

Test(grammar, without_a_schema_any_object_fits)
{
    struct grammar *grammar;
    struct error err = {0};
    cr_assert_eq(grammar_of_schema(&grammar, NULL, &err), 0);
    cr_expect_eq(follow(grammar, "{\"a\":[1,2,{\"b\":null}],\"c\":\"d\"}"), 1);
    cr_expect_eq(follow(grammar, "[1]"), -1);
    cr_expect_eq(follow(grammar, "{\"a\":[1,2,{\"b\":nu"), 0);
    grammar_free(grammar);
}

Test(grammar, whole_numbers_between_bounds_are_exactly_those)
{
    static const int edges[] = {-1205, -1000, -999, -100, -99, -10, -9, -1, 0, 1, 2, 9, 10, 11, 19, 90, 99, 100, 101, 110, 199, 999, 1000, 1203};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        for (size_t k = i; k < sizeof edges / sizeof *edges; k++) {
            char schema[96], text[16];
            snprintf(schema, sizeof schema, "{\"type\":\"integer\",\"minimum\":%d,\"maximum\":%d}", edges[i], edges[k]);
            struct grammar *grammar = of_schema(schema);
            for (int value = -1300; value <= 1300; value += value % 7 == 0 || value < -1190 || value > 1190 ? 1 : 3) {
                snprintf(text, sizeof text, "%d", value);
                cr_assert_eq(follow(grammar, text) == 1, value >= edges[i] && value <= edges[k], "%s: %s", schema, text);
            }
            for (int edge = -1; edge <= 1; edge++) {
                snprintf(text, sizeof text, "%d", edges[k] + edge);
                cr_assert_eq(follow(grammar, text) == 1, edge <= 0 && edges[k] + edge >= edges[i], "%s: %s", schema, text);
            }
            grammar_free(grammar);
        }
}

Test(grammar, decimals_between_bounds_are_those_with_as_many_digits)
{
    static const double edges[] = {-12.5, -2, -1.25, -0.05, 0, 0.05, 0.5, 1, 1.25, 2, 9.75, 12.5};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        for (size_t k = i; k < sizeof edges / sizeof *edges; k++) {
            char schema[96], text[24];
            snprintf(schema, sizeof schema, "{\"type\":\"number\",\"minimum\":%.2f,\"maximum\":%.2f}", edges[i], edges[k]);
            struct grammar *grammar = of_schema(schema);
            for (int value = -1300; value <= 1300; value++) { /* Hundredths. */
                snprintf(text, sizeof text, "%s%d.%02d0", value < 0 ? "-" : "", abs(value) / 100, abs(value) % 100);
                bool inside = value >= (int)(edges[i] * 100) && value <= (int)(edges[k] * 100);
                cr_assert_eq(follow(grammar, text) == 1, inside, "%s: %s", schema, text);
            }
            grammar_free(grammar);
        }
}

Test(grammar, what_a_schema_asks_in_vain_is_told_with_its_place)
{
    static const struct {
        const char *schema;
        int status;
        const char *where, *text;
    } cases[] = {
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\",\"multipleOf\":2}}}", WEIR_E_UNSUPPORTED, "schema.properties.a.multipleOf", "not supported"},
        {"{\"not\":{}}", WEIR_E_UNSUPPORTED, "schema.not", "not supported"},
        {"{\"type\":\"sting\"}", WEIR_E_INVALID, "schema.type", "\"sting\" is no type"},
        {"{\"type\":\"string\",\"minLength\":-1}", WEIR_E_INVALID, "schema.minLength", "0 or more"},
        {"{\"type\":\"string\",\"pattern\":\"(?=a)\"}", WEIR_E_UNSUPPORTED, "schema.pattern", "look-around"},
        {"{\"type\":\"string\",\"pattern\":\"[a\"}", WEIR_E_INVALID, "schema.pattern", "not closed"},
        {"{\"$ref\":\"#/$defs/none\"}", WEIR_E_INVALID, "schema.$ref", "leads nowhere"},
        {"{\"$ref\":\"https://example.org/x\"}", WEIR_E_INVALID, "schema.$ref", "leads nowhere"},
        {"{\"$ref\":\"#\"}", WEIR_E_INVALID, "schema.$ref", "leads nowhere"},
        {"{\"enum\":[]}", WEIR_E_INVALID, "schema", "no text"},
        {"{\"type\":\"array\",\"items\":{},\"minItems\":3,\"maxItems\":2}", WEIR_E_INVALID, "schema", "no text"},
        {"{\"type\":\"integer\",\"minimum\":3,\"maximum\":2}", WEIR_E_INVALID, "schema", "no text"},
        {"{\"anyOf\":[]}", WEIR_E_INVALID, "schema.anyOf", "at least one"},
        {"{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}", WEIR_E_UNSUPPORTED, "schema.oneOf.1", "may hold together"},
        {"{\"properties\":[]}", WEIR_E_INVALID, "schema.properties", "must be an object"},
        {"{\"required\":\"a\"}", WEIR_E_INVALID, "schema.required", "array of names"},
        {"[]", WEIR_E_INVALID, "schema", "must be a schema"},
        {"{\"type\":\"array\",\"uniqueItems\":true}", WEIR_E_UNSUPPORTED, "schema.uniqueItems", "not supported"},
        {"{\"type\":\"string\",\"maxLength\":100000000}", WEIR_E_LIMIT, "schema.maxLength", "is more than"},
        {"{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":90000},\"maxItems\":90000},\"maxItems\":90000}", WEIR_E_LIMIT, "schema", "too large"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        struct grammar *grammar;
        json_t *document = json_parse(str_of(cases[i].schema), &err);
        cr_assert_not_null(document);
        int status = grammar_of_schema(&grammar, document, &err);
        cr_expect_eq(status, cases[i].status, "%s: %s: %s", cases[i].schema, err.where, err.text);
        cr_expect_str_eq(err.where, cases[i].where, "%s: %s", cases[i].schema, err.text);
        cr_expect_not_null(strstr(err.text, cases[i].text), "%s: %s", cases[i].schema, err.text);
        cr_expect_null(grammar);
        json_decref(document);
    }
}

Test(grammar, a_schema_nested_without_end_is_refused)
{
    struct buffer text;
    struct error err = {0};
    struct grammar *grammar;
    buffer_init(&text, 1 << 20);
    for (int i = 0; i < 200; i++)
        cr_assert_eq(buffer_append_text(&text, "{\"items\":"), 0);
    cr_assert_eq(buffer_append_text(&text, "true"), 0);
    for (int i = 0; i < 200; i++)
        cr_assert_eq(buffer_append_text(&text, "}"), 0);
    json_t *document = json_parse(buffer_str(&text), &err);
    cr_assert_not_null(document);
    cr_expect_eq(grammar_of_schema(&grammar, document, &err), WEIR_E_LIMIT);
    json_decref(document);
    buffer_release(&text);
}

static struct grammar *of_gbnf(const char *source)
{
    struct grammar *grammar;
    struct error err = {0};
    cr_assert_eq(grammar_of_gbnf(&grammar, str_of(source), &err), 0, "%s: %s: %s", source, err.where, err.text);
    return grammar;
}

Test(grammar, gbnf_holds_what_its_rules_say)
{
    static const struct texts cases[] = {
        {"root ::= \"a\" b | \"c\" # a comment\nb ::= [x-z]+ \"\\n\"", {"ax\n", "azyx\n", "c"}, {"a", "ax", "b"}},
        {"# first\nroot  ::= term (\"+\" term)*\nterm ::= num |\n  \"(\" root \")\"\nnum ::= [0-9]{1,3}", {"1", "12+(3+4)", "((999))"}, {"1000", "(1", "1+"}},
        {"root ::= [^a-c\\]] .", {"dx", "\xC3\xA4\xE2\x82\xAC"}, {"ax", "]x", "d"}},
        {"root ::= \"x\"{2} \"y\"{0,2} \"z\"?", {"xx", "xxyyz", "xxz"}, {"x", "xxyyy"}},
        {"root ::= \"\\u00e9\\x41\\\"\"", {"\xC3\xA9" "A\""}, {"A"}},
        {"root ::= (\n  \"a\"\n  | \"b\"\n)", {"a", "b"}, {"c"}},
    };
    check(cases, sizeof cases / sizeof *cases, of_gbnf);
}

Test(grammar, a_mistake_in_gbnf_is_told_with_its_line)
{
    static const struct {
        const char *source, *where, *text;
    } cases[] = {
        {"root ::= \"a", "grammar, line 1", "not closed"},
        {"root ::= a\n", "grammar", "rule a is not defined"},
        {"root ::= \"a\"\n\nx = \"b\"", "grammar, line 3", "::= is missing"},
        {"root ::= \"a\"\nroot ::= \"b\"", "grammar, line 2", "second time"},
        {"root ::= root \"a\" | \"b\"", "grammar", "begins with itself"},
        {"root ::= a\na ::= \"\" b \"x\" | \"y\"\nb ::= a", "grammar", "begins with itself"},
        {"root ::= \"a\" root", "grammar", "no text satisfies it"},
        {"", "grammar", "rule root is not defined"},
        {"root ::= (\"a\"", "grammar, line 1", "not closed"},
        {"root ::= \"a\")", "grammar, line 1", "closed that was not opened"},
        {"root ::= \"a\"{3,2}", "grammar, line 1", "a repetition is"},
        {"root ::= *", "grammar, line 1", "is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        struct grammar *grammar;
        cr_expect_lt(grammar_of_gbnf(&grammar, str_of(cases[i].source), &err), 0, "%s", cases[i].source);
        cr_expect_str_eq(err.where, cases[i].where, "%s: %s", cases[i].source, err.text);
        cr_expect_not_null(strstr(err.text, cases[i].text), "%s: %s", cases[i].source, err.text);
    }
}

Test(grammar, a_state_survives_forgetting_all_others)
{
    struct grammar *grammar = of_schema("true");
    struct matcher matcher;
    struct error err = {0};
    int32_t state = 0;
    cr_assert_eq(matcher_init(&matcher, grammar, false, &state, &err), 0);
    const char *text = "[[[{\"a\":[1,{\"b\":[";
    for (const char *c = text; *c != '\0'; c++) {
        cr_assert_eq(matcher_step(&matcher, state, (uint8_t)*c, &state), 0);
        cr_assert_neq(state, MATCHER_DEAD);
        cr_assert_eq(matcher_forget(&matcher, &state), 0);
    }
    for (const char *c = "]}]}]]]"; *c != '\0'; c++) {
        cr_assert_not(matcher_may_end(&matcher, state));
        cr_assert_eq(matcher_step(&matcher, state, (uint8_t)*c, &state), 0);
        cr_assert_neq(state, MATCHER_DEAD);
    }
    cr_expect(matcher_must_end(&matcher, state));
    matcher_release(&matcher);
    grammar_free(grammar);
}

Test(grammar, nesting_may_go_deep)
{
    struct grammar *grammar = of_schema("{\"$defs\":{\"a\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/a\"}}},\"$ref\":\"#/$defs/a\"}");
    static char text[60001];
    memset(text, '[', 30000);
    memset(text + 30000, ']', 30000);
    cr_expect_eq(follow(grammar, text), 1);
    text[59999] = '\0';
    cr_expect_eq(follow(grammar, text), 0);
    grammar_free(grammar);
}

Test(grammar, thousands_of_constants_and_long_chains_of_references_are_held)
{
    struct buffer text;
    struct error err = {0};
    struct grammar *grammar;
    buffer_init(&text, 1 << 20);
    buffer_append_text(&text, "{\"enum\":[");
    for (int i = 0; i < 5000; i++)
        buffer_printf(&text, "%s\"value %d\"", i > 0 ? "," : "", i);
    cr_assert_eq(buffer_append_text(&text, "]}"), 0);
    grammar = of_schema(text.data);
    cr_expect_eq(follow(grammar, "\"value 0\""), 1);
    cr_expect_eq(follow(grammar, "\"value 10\""), 1);
    cr_expect_eq(follow(grammar, "\"value 4999\""), 1);
    cr_expect_eq(follow(grammar, "\"value 5000\""), -1);
    cr_expect_eq(follow(grammar, "\"value 00\""), -1);
    grammar_free(grammar);
    buffer_clear(&text);
    buffer_append_text(&text, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{\"d999\":{\"const\":7}");
    for (int i = 0; i < 999; i++)
        buffer_printf(&text, ",\"d%d\":{\"$ref\":\"#/$defs/d%d\",\"title\":\"x\"}", i, i + 1);
    buffer_append_text(&text, ",\"list\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/list\"}}}}");
    json_t *document = json_parse(buffer_str(&text), &err);
    cr_assert_not_null(document);
    cr_expect_eq(grammar_of_schema(&grammar, document, &err), WEIR_E_INVALID, "a chain of bare references is as bounded as it is pointless");
    json_decref(document);
    buffer_clear(&text);
    buffer_append_text(&text, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{\"d999\":{\"const\":7}");
    for (int i = 0; i < 999; i++)
        buffer_printf(&text, ",\"d%d\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/d%d\"},\"maxItems\":1}", i, i + 1);
    cr_assert_eq(buffer_append_text(&text, "}}"), 0);
    grammar = of_schema(text.data);
    cr_expect_eq(follow(grammar, "[[[[]]]]"), 1);
    cr_expect_eq(follow(grammar, "[[[[7]]]]"), -1);
    grammar_free(grammar);
    buffer_release(&text);
}

Test(grammar, a_choice_holds_its_texts_and_a_pattern_its_matches)
{
    struct grammar *grammar;
    struct error err = {0};
    const str texts[] = {STR("yes"), STR("no"), STR("nope")};
    cr_assert_eq(grammar_of_choice(&grammar, texts, 3, &err), 0);
    cr_expect_eq(follow(grammar, "no"), 1);
    cr_expect_eq(follow(grammar, "nope"), 1);
    cr_expect_eq(follow(grammar, "nop"), 0);
    cr_expect_eq(follow(grammar, "yesno"), -1);
    grammar_free(grammar);
    cr_assert_eq(grammar_of_regex(&grammar, STR("^(a|b{2,3})\\s?\\u00e4$"), &err), 0, "%s", err.text);
    cr_expect_eq(follow(grammar, "a \xC3\xA4"), 1);
    cr_expect_eq(follow(grammar, "bbb\xC3\xA4"), 1);
    cr_expect_eq(follow(grammar, "b\xC3\xA4"), -1);
    grammar_free(grammar);
}
