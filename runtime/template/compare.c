/* Equality, order, hashing and membership as Python has them. Nested values are compared within the rendering's depth and
 * steps: values that contain each other a million times over end in a limit. */
#include "template/rendering.h"

#include <math.h>

static bool list_equal(struct rendering *r, const struct list *a, const struct list *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!value_equal(r, a->items[i], b->items[i]))
            return false;
    return true;
}

static bool dict_equal(struct rendering *r, const struct dict *a, const struct dict *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct value *other = dict_get(r, b, a->entries[i].key);
        if (other == NULL || !value_equal(r, a->entries[i].value, *other))
            return false;
    }
    return true;
}

static bool is_number(struct value value)
{
    return value.kind == VALUE_BOOL || value.kind == VALUE_INT || value.kind == VALUE_FLOAT;
}

/* 80-bit reals hold every 64-bit integer and every double. */
static long double exact(struct value value)
{
    int64_t integer;
    return value_as_int(value, &integer) ? (long double)integer : (long double)value.real;
}

static bool range_equal(const struct range *a, const struct range *b)
{
    return a->n == b->n && (a->n == 0 || (a->start == b->start && (a->n == 1 || a->step == b->step)));
}

bool value_equal(struct rendering *r, struct value a, struct value b)
{
    rendering_step(r, 1);
    if (is_number(a) && is_number(b))
        return exact(a) == exact(b);
    if (a.kind != b.kind)
        return false;
    bool equal;
    switch (a.kind) {
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        return true;
    case VALUE_TEXT:
        rendering_step(r, a.text->n / 64);
        return a.text == b.text || str_equal(value_bytes(a), value_bytes(b));
    case VALUE_LIST:
    case VALUE_TUPLE:
        if (a.list == b.list)
            return true;
        rendering_deeper(r);
        equal = list_equal(r, a.list, b.list);
        rendering_shallower(r);
        return equal;
    case VALUE_DICT:
        if (a.dict == b.dict)
            return true;
        rendering_deeper(r);
        equal = dict_equal(r, a.dict, b.dict);
        rendering_shallower(r);
        return equal;
    case VALUE_VIEW:
        if (a.mark != b.mark || a.mark == VIEW_VALUES)
            return a.mark == b.mark && a.dict == b.dict;
        for (size_t i = 0; a.dict->n == b.dict->n && i < a.dict->n; i++) {
            const struct value *other = dict_get(r, b.dict, a.dict->entries[i].key);
            if (other == NULL || (a.mark == VIEW_ITEMS && !value_equal(r, a.dict->entries[i].value, *other)))
                return false;
        }
        return a.dict->n == b.dict->n;
    case VALUE_RANGE:
        return range_equal(a.range, b.range);
    case VALUE_METHOD:
        return a.method->native == b.method->native && a.method->self.kind == b.method->self.kind && a.method->self.pointer == b.method->self.pointer;
    case VALUE_SELF:
        return true;
    default:
        return a.pointer == b.pointer;
    }
}

int value_order(struct rendering *r, struct value a, struct value b, const char *operator)
{
    rendering_step(r, 1);
    if (is_number(a) && is_number(b)) {
        long double x = exact(a), y = exact(b);
        return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2; /* 2: one is no number, nothing holds. */
    }
    if (a.kind == VALUE_TEXT && b.kind == VALUE_TEXT) {
        rendering_step(r, a.text->n / 64);
        int order = str_compare(value_bytes(a), value_bytes(b)); /* The order of UTF-8 is that of code points. */
        return order < 0 ? -1 : order > 0;
    }
    if (a.kind == b.kind && (a.kind == VALUE_LIST || a.kind == VALUE_TUPLE)) {
        size_t n = a.list->n < b.list->n ? a.list->n : b.list->n;
        rendering_deeper(r);
        for (size_t i = 0; i < n; i++)
            if (!value_equal(r, a.list->items[i], b.list->items[i])) {
                int order = value_order(r, a.list->items[i], b.list->items[i], operator);
                rendering_shallower(r);
                return order;
            }
        rendering_shallower(r);
        return a.list->n < b.list->n ? -1 : a.list->n > b.list->n;
    }
    struct value undefined = a.kind == VALUE_UNDEFINED ? a : b;
    if (undefined.kind == VALUE_UNDEFINED)
        rendering_fail(r, TEMPLATE_FAILED, "an undefined value can't be compared with '%s'", operator);
    rendering_fail(r, TEMPLATE_FAILED, "'%s' not supported between instances of '%s' and '%s'", operator, value_type(a), value_type(b));
}

static uint64_t mix(uint64_t hash)
{
    hash ^= hash >> 31;
    hash *= 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

static uint64_t hash_real(double real)
{
    if (real == floor(real) && fabs(real) < 9.2e18)
        return mix((uint64_t)(int64_t)real);
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    return mix(bits + 1);
}

uint64_t value_hash(struct rendering *r, struct value value)
{
    uint64_t hash = 1;
    rendering_step(r, 1);
    switch (value.kind) {
    case VALUE_BOOL:
        return mix(value.truth);
    case VALUE_INT:
        return mix((uint64_t)value.integer);
    case VALUE_FLOAT:
        return hash_real(value.real);
    case VALUE_TEXT:
        rendering_step(r, value.text->n / 64);
        return str_hash(value_bytes(value));
    case VALUE_NONE:
    case VALUE_UNDEFINED:
    case VALUE_SELF:
        return mix(value.kind + 7000u);
    case VALUE_TUPLE:
        rendering_deeper(r);
        for (size_t i = 0; i < value.list->n; i++)
            hash = mix(hash * 31 + value_hash(r, value.list->items[i]));
        rendering_shallower(r);
        return hash;
    case VALUE_RANGE:
        return mix((uint64_t)value.range->n * 31 + (value.range->n > 0 ? (uint64_t)value.range->start : 0));
    case VALUE_LIST:
    case VALUE_DICT:
    case VALUE_VIEW:
        rendering_fail(r, TEMPLATE_FAILED, "unhashable type: '%s'", value_type(value));
    case VALUE_METHOD:
        return mix((uint64_t)(uintptr_t)value.method->native);
    default:
        return mix((uint64_t)(uintptr_t)value.pointer);
    }
}

static bool range_contains(const struct range *range, int64_t item)
{
    if (range->n == 0)
        return false;
    int64_t last = range->start + (range->n - 1) * range->step;
    int64_t low = range->step > 0 ? range->start : last, high = range->step > 0 ? last : range->start;
    return item >= low && item <= high && (item - range->start) % range->step == 0;
}

bool value_contains(struct rendering *r, struct value container, struct value item)
{
    int64_t integer;
    switch (container.kind) {
    case VALUE_TEXT:
        if (item.kind == VALUE_UNDEFINED)
            rendering_fail(r, TEMPLATE_FAILED, "'in <string>' requires a string, not an undefined value");
        if (item.kind != VALUE_TEXT)
            rendering_fail(r, TEMPLATE_FAILED, "'in <string>' requires string as left operand, not %s", value_type(item));
        rendering_step(r, container.text->n / 64);
        return item.text->n == 0 || memmem(container.text->data, container.text->n, item.text->data, item.text->n) != NULL;
    case VALUE_DICT:
        return dict_get(r, container.dict, item) != NULL;
    case VALUE_VIEW:
        if (container.mark == VIEW_KEYS)
            return dict_get(r, container.dict, item) != NULL;
        break;
    case VALUE_RANGE:
        if (value_as_int(item, &integer))
            return range_contains(container.range, integer);
        break;
    default:
        break;
    }
    struct iter *iter = iter_new(r, container);
    struct value next;
    while (iter_next(r, iter, &next))
        if (value_equal(r, next, item))
            return true;
    return false;
}
