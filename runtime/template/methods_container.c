/* The methods of lists, tuples, mappings, ranges, numbers and cyclers, and which table serves which kind of value. */
#include "template/rendering.h"

#include <math.h>

#define METHOD(name) static struct value name(struct rendering *r, struct value self, const struct args *args, const struct value *bound)

METHOD(list_index)
{
    int64_t n = (int64_t)self.list->n, from = 0, to = n;
    if (bound[1].kind != VALUE_MISSING)
        from = value_need_int(r, bound[1]);
    if (bound[2].kind != VALUE_MISSING)
        to = value_need_int(r, bound[2]);
    from = from < 0 ? (from + n < 0 ? 0 : from + n) : from;
    to = to < 0 ? to + n : to > n ? n : to;
    for (int64_t i = from; i < to; i++)
        if (value_equal(r, self.list->items[i], bound[0]))
            return value_int(i);
    rendering_fail(r, TEMPLATE_FAILED, "the item is not in the list");
}

METHOD(list_count)
{
    int64_t n = 0;
    for (size_t i = 0; i < self.list->n; i++)
        n += value_equal(r, self.list->items[i], bound[0]);
    return value_int(n);
}

METHOD(copy)
{
    return self; /* Values never change, so a copy is the value itself. */
}

static struct value view(struct value dict, uint8_t which)
{
    return (struct value){.kind = VALUE_VIEW, .mark = which, .dict = dict.dict};
}

METHOD(dict_keys)
{
    return view(self, VIEW_KEYS);
}

METHOD(dict_values)
{
    return view(self, VIEW_VALUES);
}

METHOD(dict_items)
{
    return view(self, VIEW_ITEMS);
}

METHOD(dict_get_method)
{
    const struct value *found = dict_get(r, self.dict, bound[0]);
    if (found != NULL)
        return *found;
    return bound[1].kind == VALUE_MISSING ? value_none() : bound[1];
}

METHOD(dict_fromkeys)
{
    struct value out = dict_new(r, VALUE_DICT), key;
    struct iter *iter = iter_new(r, bound[0]);
    while (iter_next(r, iter, &key))
        dict_set(r, out.dict, key, bound[1].kind == VALUE_MISSING ? value_none() : bound[1]);
    return out;
}

METHOD(range_index)
{
    int64_t item;
    if (!value_as_int(bound[0], &item) || !value_contains(r, self, bound[0]))
        rendering_fail(r, TEMPLATE_FAILED, "the item is not in the range");
    return value_int((item - self.range->start) / self.range->step);
}

METHOD(range_count)
{
    return value_int(value_contains(r, self, bound[0]));
}

METHOD(cycler_next)
{
    struct value item = self.cycler->items.items[self.cycler->at];
    self.cycler->at = (self.cycler->at + 1) % self.cycler->items.n;
    return item;
}

METHOD(cycler_reset)
{
    self.cycler->at = 0;
    return value_none();
}

METHOD(float_is_integer)
{
    return value_bool(isfinite(self.real) && self.real == floor(self.real));
}

METHOD(int_bit_length)
{
    int64_t integer = 0;
    (void)value_as_int(self, &integer);
    uint64_t magnitude = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;
    return value_int(magnitude == 0 ? 0 : 64 - __builtin_clzll(magnitude));
}

METHOD(int_bit_count)
{
    int64_t integer = 0;
    (void)value_as_int(self, &integer);
    return value_int(__builtin_popcountll(integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer));
}

METHOD(number_conjugate)
{
    return value_unary(r, OP_POS, self);
}

static const struct native list_methods[] = {
    {"index", "- - -", 1, list_index},
    {"count", "-", 1, list_count},
    {"copy", "", 0, copy},
    {NULL, NULL, 0, NULL},
};

static const struct native tuple_methods[] = {
    {"index", "- - -", 1, list_index},
    {"count", "-", 1, list_count},
    {NULL, NULL, 0, NULL},
};

static const struct native dict_methods[] = {
    {"items", "", 0, dict_items},
    {"keys", "", 0, dict_keys},
    {"values", "", 0, dict_values},
    {"get", "- -", 1, dict_get_method},
    {"copy", "", 0, copy},
    {"fromkeys", "- -", 1, dict_fromkeys},
    {NULL, NULL, 0, NULL},
};

static const struct native range_methods[] = {
    {"index", "-", 1, range_index},
    {"count", "-", 1, range_count},
    {NULL, NULL, 0, NULL},
};

static const struct native cycler_methods[] = {
    {"next", "", 0, cycler_next},
    {"reset", "", 0, cycler_reset},
    {NULL, NULL, 0, NULL},
};

static const struct native int_methods[] = {
    {"bit_length", "", 0, int_bit_length},
    {"bit_count", "", 0, int_bit_count},
    {"conjugate", "", 0, number_conjugate},
    {NULL, NULL, 0, NULL},
};

static const struct native float_methods[] = {
    {"is_integer", "", 0, float_is_integer},
    {"conjugate", "", 0, number_conjugate},
    {NULL, NULL, 0, NULL},
};

const struct native *method_find(enum value_kind kind, str name)
{
    const struct native *found;
    switch (kind) {
    case VALUE_TEXT:
        found = native_find(methods_text_split, name);
        return found != NULL ? found : native_find(methods_text, name);
    case VALUE_LIST:
        return native_find(list_methods, name);
    case VALUE_TUPLE:
        return native_find(tuple_methods, name);
    case VALUE_DICT:
        return native_find(dict_methods, name);
    case VALUE_RANGE:
        return native_find(range_methods, name);
    case VALUE_CYCLER:
        return native_find(cycler_methods, name);
    case VALUE_BOOL:
    case VALUE_INT:
        return native_find(int_methods, name);
    case VALUE_FLOAT:
        return native_find(float_methods, name);
    case VALUE_LOOP:
        return native_find(loop_methods, name);
    default:
        return NULL;
    }
}
