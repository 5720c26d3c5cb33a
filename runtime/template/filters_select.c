/* The lazy filters that apply other filters and tests to each item: map, select, reject, selectattr, rejectattr. */
#include "template/rendering.h"

#define FILTER(name) static struct value name(struct rendering *r, struct value self, const struct args *args, const struct value *bound)

struct applied {
    const struct native *native; /* NULL: an attribute (map), or truth (select). */
    struct args args;
    struct value attribute;      /* MISSING: the item itself. */
    struct value other;          /* map's default. */
    bool negated;
    str unknown;                 /* A name that no filter or test has: fails when the first item comes. */
};

struct value make_attribute_path(struct rendering *r, struct value object, struct value path)
{
    if (path.kind != VALUE_TEXT)
        return path.kind == VALUE_MISSING || path.kind == VALUE_NONE ? object : value_item(r, object, path);
    str rest = value_bytes(path), part;
    if (rest.n == 0)
        return value_item(r, object, path);
    while (str_split(&rest, '.', &part)) {
        int64_t index;
        bool digits = part.n > 0;
        for (size_t i = 0; i < part.n; i++)
            digits &= part.data[i] >= '0' && part.data[i] <= '9';
        if (digits && parse_i64(part, &index) == 0)
            object = value_item(r, object, value_int(index));
        else
            object = value_item(r, object, value_text_borrow(r, part));
    }
    return object;
}

static _Noreturn void unknown_name(struct rendering *r, const char *what, str name)
{
    rendering_fail(r, TEMPLATE_FAILED, "no %s named '%.*s'", what, name.n > 60 ? 60 : (int)name.n, name.data);
}

static bool next_mapped(struct rendering *r, struct iter *iter, struct value *out)
{
    struct applied *applied = iter->state;
    if (!iter_next(r, iter->inner, out))
        return false;
    if (applied->unknown.n > 0)
        unknown_name(r, "filter", applied->unknown);
    if (applied->native != NULL) {
        *out = call_native(r, applied->native, *out, &applied->args);
        return true;
    }
    *out = make_attribute_path(r, *out, applied->attribute);
    if (out->kind == VALUE_UNDEFINED && applied->other.kind != VALUE_MISSING)
        *out = applied->other;
    return true;
}

static bool next_selected(struct rendering *r, struct iter *iter, struct value *out)
{
    struct applied *applied = iter->state;
    while (iter_next(r, iter->inner, out)) {
        if (applied->unknown.n > 0)
            unknown_name(r, "test", applied->unknown);
        struct value subject = make_attribute_path(r, *out, applied->attribute);
        bool passes = applied->native != NULL ? eval_test(r, applied->native, subject, &applied->args) : value_truth(subject);
        if (passes != applied->negated)
            return true;
    }
    return false;
}

/* The native named by positional argument `at`, with the arguments after it. */
static void apply_named(struct rendering *r, struct applied *applied, const struct args *args, size_t at, bool test)
{
    struct value name = args->positional[at];
    if (name.kind != VALUE_TEXT)
        rendering_fail(r, TEMPLATE_FAILED, "the name of a %s must be a string", test ? "test" : "filter");
    applied->native = test ? test_find(value_bytes(name)) : filter_find(value_bytes(name));
    if (applied->native == NULL)
        applied->unknown = value_bytes(name).n > 0 ? value_bytes(name) : STR(" ");
    applied->args = *args;
    applied->args.positional += at + 1;
    applied->args.n -= at + 1;
}

/* Whatever is false has no items, be it iterable or not. */
static struct value items_of(struct rendering *r, struct value self)
{
    return value_truth(self) ? self : value_list_new(r, VALUE_LIST, 0);
}

FILTER(filter_map)
{
    struct applied *applied = rendering_alloc(r, sizeof *applied);
    if (args->n > 0) {
        apply_named(r, applied, args, 0, false);
        return iter_value(r, next_mapped, items_of(r, self), applied);
    }
    for (size_t i = 0; i < args->n_named; i++) {
        str name = {args->names[i]->data, args->names[i]->n};
        if (str_equal(name, STR("attribute")))
            applied->attribute = args->named[i];
        else if (str_equal(name, STR("default")))
            applied->other = args->named[i];
        else
            rendering_fail(r, TEMPLATE_FAILED, "unexpected keyword argument '%.*s'", name.n > 60 ? 60 : (int)name.n, name.data);
    }
    if (applied->attribute.kind == VALUE_MISSING)
        rendering_fail(r, TEMPLATE_FAILED, "map requires a filter argument");
    return iter_value(r, next_mapped, items_of(r, self), applied);
}

static struct value select_items(struct rendering *r, struct value self, const struct args *args, bool attribute, bool negated)
{
    struct applied *applied = rendering_alloc(r, sizeof *applied);
    size_t at = attribute;
    applied->negated = negated;
    if (attribute && args->n == 0)
        rendering_fail(r, TEMPLATE_FAILED, "missing the name of an attribute");
    if (attribute)
        applied->attribute = args->positional[0];
    if (args->n > at)
        apply_named(r, applied, args, at, true);
    return iter_value(r, next_selected, items_of(r, self), applied);
}

FILTER(filter_select)
{
    return select_items(r, self, args, false, false);
}

FILTER(filter_reject)
{
    return select_items(r, self, args, false, true);
}

FILTER(filter_selectattr)
{
    return select_items(r, self, args, true, false);
}

FILTER(filter_rejectattr)
{
    return select_items(r, self, args, true, true);
}

const struct native filters_select[] = {
    {"map", NULL, 0, filter_map},
    {"select", NULL, 0, filter_select},
    {"reject", NULL, 0, filter_reject},
    {"selectattr", NULL, 0, filter_selectattr},
    {"rejectattr", NULL, 0, filter_rejectattr},
    {NULL, NULL, 0, NULL},
};
