/* Iteration over everything Python iterates over. Iterators are lazy: what a generator would not have computed is not
 * computed here either, so its errors stay away too. */
#include "template/rendering.h"

static bool next_of_list(struct rendering *r, struct iter *iter, struct value *out)
{
    if (iter->at >= iter->source.list->n)
        return false;
    *out = iter->source.list->items[iter->at++];
    return true;
}

static bool next_of_text(struct rendering *r, struct iter *iter, struct value *out)
{
    str s = value_bytes(iter->source);
    size_t start = iter->at;
    if (start >= s.n)
        return false;
    utf8_next(s, &iter->at);
    *out = value_text_borrow(r, (str){s.data + start, iter->at - start});
    return true;
}

static bool next_of_dict(struct rendering *r, struct iter *iter, struct value *out)
{
    const struct dict *dict = iter->source.dict;
    if (iter->at >= dict->n)
        return false;
    const struct dict_entry *entry = &dict->entries[iter->at++];
    if (iter->source.kind == VALUE_DICT || iter->source.mark == VIEW_KEYS) {
        *out = entry->key;
    } else if (iter->source.mark == VIEW_VALUES) {
        *out = entry->value;
    } else {
        *out = value_list_new(r, VALUE_TUPLE, 2);
        out->list->items[0] = entry->key;
        out->list->items[1] = entry->value;
    }
    return true;
}

static bool next_of_range(struct rendering *r, struct iter *iter, struct value *out)
{
    const struct range *range = iter->source.range;
    if ((int64_t)iter->at >= range->n)
        return false;
    *out = value_int(range->start + (int64_t)iter->at++ * range->step);
    return true;
}

static bool next_of_nothing(struct rendering *r, struct iter *iter, struct value *out)
{
    return false;
}

/* The loop variable itself is an iterator in Python: iterating it eats the loop's items. */
static bool next_of_loop(struct rendering *r, struct iter *iter, struct value *out)
{
    return iter_next(r, iter->source.loop->iter, out);
}

struct iter *iter_new(struct rendering *r, struct value value)
{
    struct iter *iter;
    if (value.kind == VALUE_ITER)
        return value.iter;
    iter = rendering_alloc(r, sizeof *iter);
    iter->source = value;
    switch (value.kind) {
    case VALUE_UNDEFINED:
        iter->next = next_of_nothing;
        break;
    case VALUE_TEXT:
        iter->next = next_of_text;
        break;
    case VALUE_LIST:
    case VALUE_TUPLE:
        iter->next = next_of_list;
        break;
    case VALUE_DICT:
    case VALUE_VIEW:
        iter->next = next_of_dict;
        break;
    case VALUE_RANGE:
        iter->next = next_of_range;
        break;
    case VALUE_LOOP:
        iter->next = next_of_loop;
        break;
    default:
        rendering_fail(r, TEMPLATE_FAILED, "'%s' object is not iterable", value_type(value));
    }
    return iter;
}

bool iter_next(struct rendering *r, struct iter *iter, struct value *out)
{
    rendering_step(r, 1);
    if (++r->frames > r->max_frames) /* Filters over filters over filters. */
        rendering_fail(r, TEMPLATE_LIMIT, "the template nests too deep");
    bool more = iter->next(r, iter, out);
    r->frames--;
    return more;
}

bool value_is_iterable(struct value value)
{
    switch (value.kind) {
    case VALUE_UNDEFINED:
    case VALUE_TEXT:
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_DICT:
    case VALUE_VIEW:
    case VALUE_RANGE:
    case VALUE_ITER:
    case VALUE_LOOP:
        return true;
    default:
        return false;
    }
}

struct value iter_collect(struct rendering *r, struct iter *iter, enum value_kind kind)
{
    size_t n = 0, capacity = 8;
    struct value *items = rendering_array(r, capacity, sizeof *items), item;
    while (iter_next(r, iter, &item)) {
        if (n == capacity) {
            struct value *more = rendering_array(r, capacity * 2, sizeof *more);
            memcpy(more, items, n * sizeof *items);
            items = more;
            capacity *= 2;
        }
        items[n++] = item;
    }
    struct value list = value_list_new(r, kind, 0);
    list.list->items = items;
    list.list->n = n;
    return list;
}

struct value value_collect(struct rendering *r, struct value value, enum value_kind kind)
{
    if (value.kind == VALUE_LIST || value.kind == VALUE_TUPLE) { /* Immutable: shared. */
        value.kind = (uint8_t)kind;
        value.mark = 0;
        return value;
    }
    return iter_collect(r, iter_new(r, value), kind);
}

int64_t value_length(struct value value)
{
    switch (value.kind) {
    case VALUE_UNDEFINED:
        return 0;
    case VALUE_TEXT:
        return (int64_t)text_length(value.text);
    case VALUE_LIST:
    case VALUE_TUPLE:
        return (int64_t)value.list->n;
    case VALUE_DICT:
    case VALUE_VIEW:
        return (int64_t)value.dict->n;
    case VALUE_RANGE:
        return value.range->n;
    default:
        return -1;
    }
}

struct value iter_value(struct rendering *r, bool (*next)(struct rendering *, struct iter *, struct value *), struct value source, void *state)
{
    struct iter *iter = rendering_alloc(r, sizeof *iter);
    iter->next = next;
    iter->source = source;
    iter->state = state;
    if (source.kind != VALUE_MISSING)
        iter->inner = iter_new(r, source);
    return (struct value){.kind = VALUE_ITER, .iter = iter};
}
