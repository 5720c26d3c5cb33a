/* Filters over sequences and mappings. */
#include "template/rendering.h"

#define FILTER(name) static struct value name(struct rendering *r, struct value self, const struct args *args, const struct value *bound)

static struct value nothing(struct rendering *r)
{
    return value_undefined(r, UNDEFINED_EMPTY, (str){NULL, 0});
}

FILTER(filter_length)
{
    int64_t n = value_length(self);
    if (n < 0)
        rendering_fail(r, TEMPLATE_FAILED, "object of type '%s' has no len()", value_type(self));
    return value_int(n);
}

FILTER(filter_first)
{
    struct value item;
    return iter_next(r, iter_new(r, self), &item) ? item : nothing(r);
}

FILTER(filter_last)
{
    if (self.kind == VALUE_ITER || self.kind == VALUE_LOOP)
        rendering_fail(r, TEMPLATE_FAILED, "'%s' object is not reversible", value_type(self));
    if (self.kind == VALUE_TEXT)
        return self.text->n > 0 ? value_item(r, self, value_int(-1)) : nothing(r);
    struct value list = value_collect(r, self, VALUE_LIST);
    return list.list->n > 0 ? list.list->items[list.list->n - 1] : nothing(r);
}

FILTER(filter_list)
{
    return value_collect(r, self, VALUE_LIST);
}

static bool next_reversed(struct rendering *r, struct iter *iter, struct value *out)
{
    const struct list *list = iter->state;
    if (iter->at >= list->n)
        return false;
    *out = list->items[list->n - ++iter->at];
    return true;
}

FILTER(filter_reverse)
{
    if (self.kind == VALUE_TEXT)
        return value_slice(r, self, (struct value){0}, (struct value){0}, value_int(-1));
    struct value list = value_collect(r, self, VALUE_LIST);
    if (self.kind == VALUE_ITER) { /* Not reversible: the reference makes a list of it. */
        struct value out = value_list_new(r, VALUE_LIST, list.list->n);
        for (size_t i = 0; i < list.list->n; i++)
            out.list->items[i] = list.list->items[list.list->n - 1 - i];
        return out;
    }
    return iter_value(r, next_reversed, (struct value){0}, list.list);
}

FILTER(filter_random)
{
    struct value list = value_collect(r, self, VALUE_LIST);
    uint64_t number = 0;
    if (list.list->n == 0)
        return nothing(r);
    if (random_bytes(&number, sizeof number) < 0)
        rendering_fail(r, TEMPLATE_FAILED, "no random numbers to be had");
    return list.list->items[number % list.list->n];
}

FILTER(filter_join)
{
    struct value separator = bound[0].kind == VALUE_MISSING ? value_text_borrow(r, STR("")) : value_str(r, bound[0]), item;
    struct value list = value_collect(r, self, VALUE_LIST);
    size_t n = list.list->n;
    struct value *items = rendering_array(r, n, sizeof *items);
    bool markup = r->autoescape && separator.mark == TEXT_MARKUP;
    for (size_t i = 0; i < n; i++) {
        item = make_attribute_path(r, list.list->items[i], bound[1]);
        items[i] = item;
        markup |= r->autoescape && item.kind == VALUE_TEXT && item.mark == TEXT_MARKUP;
    }
    if (markup)
        separator = text_escape(r, separator);
    size_t mark = rendering_mark(r);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            rendering_emit(r, value_bytes(separator));
        value_print(r, markup ? text_escape(r, items[i]) : items[i]);
    }
    return value_marked(rendering_take(r, mark), markup ? TEXT_MARKUP : 0);
}

FILTER(filter_sum)
{
    struct value total = bound[1].kind == VALUE_MISSING ? value_int(0) : bound[1], item;
    if (total.kind == VALUE_TEXT)
        rendering_fail(r, TEMPLATE_FAILED, "sum() can't sum strings");
    struct iter *iter = iter_new(r, self);
    while (iter_next(r, iter, &item))
        total = value_binary(r, OP_ADD, total, make_attribute_path(r, item, bound[0]));
    return total;
}

/* Text in lower case unless case matters: how keys are compared. */
static struct value folded(struct rendering *r, struct value key, bool case_sensitive)
{
    return key.kind == VALUE_TEXT && !case_sensitive ? value_marked(text_recase(r, key, CASE_LOWER), 0) : key;
}

static struct value extreme(struct rendering *r, struct value self, const struct value *bound, bool largest)
{
    struct iter *iter = iter_new(r, self);
    struct value best = {0}, best_key = {0}, item;
    while (iter_next(r, iter, &item)) {
        struct value key = folded(r, make_attribute_path(r, item, bound[1]), value_truth(bound[0]));
        int order = best.kind == VALUE_MISSING ? 0 : value_order(r, key, best_key, largest ? ">" : "<");
        if (best.kind == VALUE_MISSING || (largest ? order == 1 : order == -1)) {
            best = item;
            best_key = key;
        }
    }
    return best.kind == VALUE_MISSING ? nothing(r) : best;
}

FILTER(filter_min)
{
    return extreme(r, self, bound, false);
}

FILTER(filter_max)
{
    return extreme(r, self, bound, true);
}

struct keyed {
    struct value item, key;
};

/* Stable merge sort; with `reverse` equal items keep their order too. */
static void sort_keyed(struct rendering *r, struct keyed *items, struct keyed *scratch, size_t n, bool reverse)
{
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t from = 0; from < n; from += 2 * width) {
            size_t middle = from + width < n ? from + width : n, to = middle + width < n ? middle + width : n, a = from, b = middle;
            for (size_t k = from; k < to; k++) {
                bool right = false;
                if (a < middle && b < to) {
                    int order = reverse ? value_order(r, items[a].key, items[b].key, "<") : value_order(r, items[b].key, items[a].key, "<");
                    right = order == -1;
                }
                scratch[k] = a < middle && !right ? items[a++] : items[b++];
            }
        }
        memcpy(items, scratch, n * sizeof *items);
    }
}

static struct value keyed_list(struct rendering *r, struct keyed *items, size_t n, bool reverse)
{
    struct keyed *scratch = rendering_array(r, n, sizeof *scratch);
    sort_keyed(r, items, scratch, n, reverse);
    struct value out = value_list_new(r, VALUE_LIST, n);
    for (size_t i = 0; i < n; i++)
        out.list->items[i] = items[i].item;
    return out;
}

/* The key of sort: a list of one attribute, or of several separated by commas. */
static struct value sort_key(struct rendering *r, struct value item, struct value attribute, bool case_sensitive)
{
    size_t n = 1;
    for (size_t i = 0; attribute.kind == VALUE_TEXT && i < attribute.text->n; i++)
        n += attribute.text->data[i] == ',';
    struct value key = value_list_new(r, VALUE_LIST, n);
    if (n == 1) {
        key.list->items[0] = folded(r, make_attribute_path(r, item, attribute), case_sensitive);
        return key;
    }
    str rest = value_bytes(attribute), part;
    for (size_t i = 0; i < n && str_split(&rest, ',', &part); i++)
        key.list->items[i] = folded(r, make_attribute_path(r, item, value_text_borrow(r, part)), case_sensitive);
    return key;
}

FILTER(filter_sort)
{
    struct value list = value_collect(r, self, VALUE_LIST);
    struct keyed *items = rendering_array(r, list.list->n, sizeof *items);
    for (size_t i = 0; i < list.list->n; i++)
        items[i] = (struct keyed){list.list->items[i], sort_key(r, list.list->items[i], bound[2], value_truth(bound[1]))};
    return keyed_list(r, items, list.list->n, value_truth(bound[0]));
}

static struct value pair(struct rendering *r, struct value a, struct value b)
{
    struct value out = value_list_new(r, VALUE_TUPLE, 2);
    out.list->items[0] = a;
    out.list->items[1] = b;
    return out;
}

FILTER(filter_dictsort)
{
    str by = bound[1].kind == VALUE_TEXT ? value_bytes(bound[1]) : STR("key");
    if (self.kind != VALUE_DICT)
        rendering_fail(r, TEMPLATE_FAILED, "dictsort needs a mapping, not '%s'", value_type(self));
    if (!str_equal(by, STR("key")) && !str_equal(by, STR("value")))
        rendering_fail(r, TEMPLATE_FAILED, "you can only sort by either \"key\" or \"value\"");
    struct keyed *items = rendering_array(r, self.dict->n, sizeof *items);
    for (size_t i = 0; i < self.dict->n; i++) {
        const struct dict_entry *entry = &self.dict->entries[i];
        items[i].item = pair(r, entry->key, entry->value);
        items[i].key = folded(r, by.data[0] == 'k' ? entry->key : entry->value, value_truth(bound[0]));
    }
    return keyed_list(r, items, self.dict->n, value_truth(bound[2]));
}

FILTER(filter_groupby)
{
    struct value list = value_collect(r, self, VALUE_LIST);
    size_t n = list.list->n, n_groups = 0;
    struct keyed *items = rendering_array(r, n, sizeof *items), *scratch = rendering_array(r, n, sizeof *scratch);
    bool case_sensitive = value_truth(bound[2]);
    for (size_t i = 0; i < n; i++) {
        struct value key = make_attribute_path(r, list.list->items[i], bound[0]);
        if (key.kind == VALUE_UNDEFINED && bound[1].kind != VALUE_MISSING && bound[1].kind != VALUE_NONE)
            key = bound[1];
        items[i] = (struct keyed){list.list->items[i], folded(r, key, case_sensitive)};
    }
    sort_keyed(r, items, scratch, n, false);
    struct value out = value_list_new(r, VALUE_LIST, n);
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && value_equal(r, items[to].key, items[from].key);)
            to++;
        struct value members = value_list_new(r, VALUE_LIST, to - from);
        for (size_t i = from; i < to; i++)
            members.list->items[i - from] = items[i].item;
        struct value name = make_attribute_path(r, items[from].item, bound[0]);
        if (name.kind == VALUE_UNDEFINED && bound[1].kind != VALUE_MISSING && bound[1].kind != VALUE_NONE)
            name = bound[1];
        struct value group = pair(r, name, members);
        group.mark = TUPLE_GROUP;
        out.list->items[n_groups++] = group;
    }
    out.list->n = n_groups;
    return out;
}

struct seen {
    struct dict *keys;
    struct value attribute;
    bool case_sensitive;
};

static bool next_unique(struct rendering *r, struct iter *iter, struct value *out)
{
    struct seen *seen = iter->state;
    while (iter_next(r, iter->inner, out)) {
        struct value key = folded(r, make_attribute_path(r, *out, seen->attribute), seen->case_sensitive);
        if (dict_get(r, seen->keys, key) != NULL)
            continue;
        dict_set(r, seen->keys, key, value_none());
        return true;
    }
    return false;
}

FILTER(filter_unique)
{
    struct seen *seen = rendering_alloc(r, sizeof *seen);
    *seen = (struct seen){dict_new(r, VALUE_DICT).dict, bound[1], value_truth(bound[0])};
    return iter_value(r, next_unique, self, seen);
}

/* items, batch and slice are generators: what they refuse they refuse when the first item is asked for. */
struct deferred {
    struct value source;
    struct value size, fill;
    struct iter *made;
    struct value (*make)(struct rendering *r, const struct deferred *deferred);
};

static bool next_deferred(struct rendering *r, struct iter *iter, struct value *out)
{
    struct deferred *deferred = iter->state;
    if (deferred->made == NULL)
        deferred->made = iter_new(r, deferred->make(r, deferred));
    return iter_next(r, deferred->made, out);
}

static struct value defer(struct rendering *r, struct value source, const struct value *bound, struct value (*make)(struct rendering *, const struct deferred *))
{
    struct deferred *deferred = rendering_alloc(r, sizeof *deferred);
    *deferred = (struct deferred){source, bound[0], bound[1], NULL, make};
    return iter_value(r, next_deferred, (struct value){0}, deferred);
}

static struct value make_items(struct rendering *r, const struct deferred *deferred)
{
    struct value source = deferred->source;
    if (source.kind == VALUE_UNDEFINED)
        return source;
    if (source.kind != VALUE_DICT)
        rendering_fail(r, TEMPLATE_FAILED, "can only get item pairs from a mapping");
    source.kind = VALUE_VIEW;
    source.mark = VIEW_ITEMS;
    return source;
}

static struct value make_batches(struct rendering *r, const struct deferred *deferred)
{
    struct value items = value_collect(r, deferred->source, VALUE_LIST);
    if (deferred->size.kind == VALUE_TEXT || deferred->size.kind == VALUE_LIST)
        rendering_fail(r, TEMPLATE_FAILED, "batch needs a number");
    int64_t size = value_need_int(r, deferred->size), n = (int64_t)items.list->n;
    bool fills = deferred->fill.kind != VALUE_MISSING && deferred->fill.kind != VALUE_NONE;
    struct value out = value_list_new(r, VALUE_LIST, (size_t)n + 1);
    size_t n_batches = 0;
    if (size == 0 && n > 0)
        out.list->items[n_batches++] = value_list_new(r, VALUE_LIST, 0);
    for (int64_t from = 0; from < n;) {
        int64_t to = size > 0 && size < n - from ? from + size : n, width = fills && size > to - from ? size : to - from;
        struct value batch = value_list_new(r, VALUE_LIST, (size_t)width);
        for (int64_t i = 0; i < width; i++)
            batch.list->items[i] = from + i < to ? items.list->items[from + i] : deferred->fill;
        out.list->items[n_batches++] = batch;
        from = to;
    }
    out.list->n = n_batches;
    return out;
}

static struct value make_slices(struct rendering *r, const struct deferred *deferred)
{
    struct value items = value_collect(r, deferred->source, VALUE_LIST);
    int64_t slices = value_need_int(r, deferred->size), n = (int64_t)items.list->n;
    if (slices == 0)
        rendering_fail(r, TEMPLATE_FAILED, "integer division or modulo by zero");
    if (slices < 0)
        return value_list_new(r, VALUE_LIST, 0);
    bool fills = deferred->fill.kind != VALUE_MISSING && deferred->fill.kind != VALUE_NONE;
    struct value out = value_list_new(r, VALUE_LIST, (size_t)slices);
    int64_t each = n / slices, longer = n % slices, from = 0;
    for (int64_t i = 0; i < slices; i++) {
        int64_t width = each + (i < longer);
        bool filled = fills && i >= longer;
        struct value slice = value_list_new(r, VALUE_LIST, (size_t)(width + filled));
        for (int64_t k = 0; k < width; k++)
            slice.list->items[k] = items.list->items[from + k];
        if (filled)
            slice.list->items[width] = deferred->fill;
        out.list->items[i] = slice;
        from += width;
    }
    return out;
}

FILTER(filter_items)
{
    return defer(r, self, bound, make_items);
}

FILTER(filter_batch)
{
    return defer(r, self, bound, make_batches);
}

FILTER(filter_slice)
{
    return defer(r, self, bound, make_slices);
}

FILTER(filter_attr)
{
    struct value name = value_str(r, bound[0]);
    struct value found = value_attribute_only(r, self, value_bytes(name));
    if (found.kind == VALUE_MISSING && self.kind == VALUE_UNDEFINED && !str_starts(value_bytes(name), STR("__")))
        return value_attribute(r, self, value_bytes(name), name.text); /* Fails with the undefined's own message. */
    return found.kind != VALUE_MISSING ? found : value_undefined(r, UNDEFINED_MEMBER, value_bytes(name));
}

const struct native filters_sequence[] = {
    {"length", "", 0, filter_length},
    {"count", "", 0, filter_length},
    {"first", "", 0, filter_first},
    {"last", "", 0, filter_last},
    {"list", "", 0, filter_list},
    {"reverse", "", 0, filter_reverse},
    {"random", "", 0, filter_random},
    {"join", "d attribute", 0, filter_join},
    {"sum", "attribute start", 0, filter_sum},
    {"min", "case_sensitive attribute", 0, filter_min},
    {"max", "case_sensitive attribute", 0, filter_max},
    {"sort", "reverse case_sensitive attribute", 0, filter_sort},
    {"dictsort", "case_sensitive by reverse", 0, filter_dictsort},
    {"groupby", "attribute default case_sensitive", 1, filter_groupby},
    {"unique", "case_sensitive attribute", 0, filter_unique},
    {"items", "", 0, filter_items},
    {"batch", "linecount fill_with", 1, filter_batch},
    {"slice", "slices fill_with", 1, filter_slice},
    {"attr", "name", 1, filter_attr},
    {NULL, NULL, 0, NULL},
};
