/* The tests of `x is …`, and how filters, tests and methods are found by name. */
#include "template/rendering.h"

#define TEST(name) static struct value name(struct rendering *r, struct value self, const struct args *args, const struct value *bound)

TEST(test_defined)
{
    return value_bool(self.kind != VALUE_UNDEFINED);
}

TEST(test_undefined)
{
    return value_bool(self.kind == VALUE_UNDEFINED);
}

TEST(test_none)
{
    return value_bool(self.kind == VALUE_NONE);
}

TEST(test_boolean)
{
    return value_bool(self.kind == VALUE_BOOL);
}

TEST(test_true)
{
    return value_bool(self.kind == VALUE_BOOL && self.truth);
}

TEST(test_false)
{
    return value_bool(self.kind == VALUE_BOOL && !self.truth);
}

TEST(test_integer)
{
    return value_bool(self.kind == VALUE_INT);
}

TEST(test_float)
{
    return value_bool(self.kind == VALUE_FLOAT);
}

TEST(test_number)
{
    return value_bool(self.kind == VALUE_INT || self.kind == VALUE_FLOAT || self.kind == VALUE_BOOL);
}

TEST(test_string)
{
    return value_bool(self.kind == VALUE_TEXT);
}

TEST(test_mapping)
{
    return value_bool(self.kind == VALUE_DICT);
}

TEST(test_iterable)
{
    return value_bool(value_is_iterable(self));
}

/* What has a length and takes an index: a mapping too, as the reference asks for no more. */
TEST(test_sequence)
{
    return value_bool(self.kind == VALUE_TEXT || self.kind == VALUE_LIST || self.kind == VALUE_TUPLE || self.kind == VALUE_DICT ||
                      self.kind == VALUE_RANGE || self.kind == VALUE_UNDEFINED);
}

TEST(test_callable)
{
    return value_bool(self.kind == VALUE_NATIVE || self.kind == VALUE_METHOD || self.kind == VALUE_MACRO || self.kind == VALUE_LOOP ||
                      self.kind == VALUE_BLOCK || self.kind == VALUE_JOINER || self.kind == VALUE_UNDEFINED);
}

TEST(test_lower)
{
    struct value text = value_str(r, self);
    bool any = false;
    for (size_t at = 0; at < text.text->n;) {
        uint32_t c = utf8_next(value_bytes(text), &at);
        if (char_is_upper(c) || char_is_title(c))
            return value_bool(false);
        any |= char_is_lower(c);
    }
    return value_bool(any);
}

TEST(test_upper)
{
    struct value text = value_str(r, self);
    bool any = false;
    for (size_t at = 0; at < text.text->n;) {
        uint32_t c = utf8_next(value_bytes(text), &at);
        if (char_is_lower(c) || char_is_title(c))
            return value_bool(false);
        any |= char_is_upper(c);
    }
    return value_bool(any);
}

TEST(test_odd)
{
    return value_bool(value_equal(r, value_binary(r, OP_MOD, self, value_int(2)), value_int(1)));
}

TEST(test_even)
{
    return value_bool(value_equal(r, value_binary(r, OP_MOD, self, value_int(2)), value_int(0)));
}

TEST(test_divisibleby)
{
    return value_bool(value_equal(r, value_binary(r, OP_MOD, self, bound[0]), value_int(0)));
}

TEST(test_sameas)
{
    struct value a = self, b = bound[0];
    if (a.kind != b.kind)
        return value_bool(false);
    if (a.kind == VALUE_NONE)
        return value_bool(true);
    if (a.kind == VALUE_BOOL)
        return value_bool(a.truth == b.truth);
    if (a.kind == VALUE_INT)
        return value_bool(a.integer == b.integer && a.integer >= -5 && a.integer <= 256); /* The integers Python keeps one of. */
    return value_bool(a.pointer == b.pointer);
}

TEST(test_escaped)
{
    return value_bool(self.kind == VALUE_TEXT && self.mark == TEXT_MARKUP);
}

TEST(test_filter)
{
    (void)value_hash(r, self); /* Lists and mappings are refused: they can't be looked up. */
    return value_bool(self.kind == VALUE_TEXT && filter_find(value_bytes(self)) != NULL);
}

TEST(test_test)
{
    (void)value_hash(r, self); /* Lists and mappings are refused: they can't be looked up. */
    return value_bool(self.kind == VALUE_TEXT && test_find(value_bytes(self)) != NULL);
}

TEST(test_in)
{
    return value_bool(value_contains(r, bound[0], self));
}

TEST(test_eq)
{
    return value_bool(value_equal(r, self, bound[0]));
}

TEST(test_ne)
{
    return value_bool(!value_equal(r, self, bound[0]));
}

TEST(test_lt)
{
    return value_bool(value_compare(r, OP_LT, self, bound[0]));
}

TEST(test_le)
{
    return value_bool(value_compare(r, OP_LE, self, bound[0]));
}

TEST(test_gt)
{
    return value_bool(value_compare(r, OP_GT, self, bound[0]));
}

TEST(test_ge)
{
    return value_bool(value_compare(r, OP_GE, self, bound[0]));
}

static const struct native tests[] = {
    {"defined", "", 0, test_defined},
    {"undefined", "", 0, test_undefined},
    {"none", "", 0, test_none},
    {"boolean", "", 0, test_boolean},
    {"true", "", 0, test_true},
    {"false", "", 0, test_false},
    {"integer", "", 0, test_integer},
    {"float", "", 0, test_float},
    {"number", "", 0, test_number},
    {"string", "", 0, test_string},
    {"mapping", "", 0, test_mapping},
    {"iterable", "", 0, test_iterable},
    {"sequence", "", 0, test_sequence},
    {"callable", "", 0, test_callable},
    {"lower", "", 0, test_lower},
    {"upper", "", 0, test_upper},
    {"odd", "", 0, test_odd},
    {"even", "", 0, test_even},
    {"divisibleby", "num", 1, test_divisibleby},
    {"sameas", "other", 1, test_sameas},
    {"escaped", "", 0, test_escaped},
    {"filter", "", 0, test_filter},
    {"test", "", 0, test_test},
    {"in", "seq", 1, test_in},
    {"eq", "-b", 1, test_eq},
    {"==", "-b", 1, test_eq},
    {"equalto", "-b", 1, test_eq},
    {"ne", "-b", 1, test_ne},
    {"!=", "-b", 1, test_ne},
    {"lt", "-b", 1, test_lt},
    {"<", "-b", 1, test_lt},
    {"lessthan", "-b", 1, test_lt},
    {"le", "-b", 1, test_le},
    {"<=", "-b", 1, test_le},
    {"gt", "-b", 1, test_gt},
    {">", "-b", 1, test_gt},
    {"greaterthan", "-b", 1, test_gt},
    {"ge", "-b", 1, test_ge},
    {">=", "-b", 1, test_ge},
    {NULL, NULL, 0, NULL},
};

const struct native *native_find(const struct native *table, str name)
{
    for (; table->name != NULL; table++)
        if (name.n > 0 && table->name[0] == name.data[0] && str_equal(name, str_of(table->name)))
            return table;
    return NULL;
}

const struct native *test_find(str name)
{
    return native_find(tests, name);
}

const struct native *filter_find(str name)
{
    static const struct native *const tables[] = {filters_text, filters_sequence, filters_number, filters_select};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        const struct native *found = native_find(tables[i], name);
        if (found != NULL)
            return found;
    }
    return NULL;
}
