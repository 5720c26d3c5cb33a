/* The methods that cut text apart: split, rsplit, splitlines, partition, rpartition. */
#include "template/rendering.h"

#define METHOD(name) static struct value name(struct rendering *r, struct value self, const struct args *args, const struct value *bound)

/* Pieces of a text, growing. */
struct pieces {
    struct value *items;
    size_t n, capacity;
    uint8_t mark;
};

static void add(struct rendering *r, struct pieces *pieces, str piece)
{
    if (pieces->n == pieces->capacity) {
        size_t capacity = pieces->capacity > 0 ? pieces->capacity * 2 : 8;
        struct value *items = rendering_array(r, capacity, sizeof *items);
        if (pieces->n > 0)
            memcpy(items, pieces->items, pieces->n * sizeof *items);
        pieces->items = items;
        pieces->capacity = capacity;
    }
    rendering_step(r, 1);
    pieces->items[pieces->n++] = value_marked(value_text_borrow(r, piece), pieces->mark);
}

static struct value as_list(struct rendering *r, const struct pieces *pieces, enum value_kind kind)
{
    struct value out = value_list_new(r, kind, 0);
    out.list->items = pieces->items;
    out.list->n = pieces->n;
    return out;
}

static void reverse(struct pieces *pieces)
{
    for (size_t i = 0; i < pieces->n / 2; i++) {
        struct value item = pieces->items[i];
        pieces->items[i] = pieces->items[pieces->n - 1 - i];
        pieces->items[pieces->n - 1 - i] = item;
    }
}

static size_t space_end(str s, size_t at, bool space)
{
    while (at < s.n) {
        size_t next = at;
        if (char_is_space(utf8_next(s, &next)) != space)
            break;
        at = next;
    }
    return at;
}

static size_t space_start(str s, size_t end, bool space)
{
    while (end > 0) {
        size_t start = end - 1;
        while (start > 0 && ((uint8_t)s.data[start] & 0xC0) == 0x80)
            start--;
        size_t at = start;
        if (char_is_space(utf8_next(s, &at)) != space)
            break;
        end = start;
    }
    return end;
}

static void split_blanks(struct rendering *r, str s, int64_t max, bool from_right, struct pieces *out)
{
    if (!from_right) {
        size_t at = space_end(s, 0, true);
        for (; at < s.n && max != 0; max--) {
            size_t end = space_end(s, at, false);
            add(r, out, (str){s.data + at, end - at});
            at = space_end(s, end, true);
        }
        if (at < s.n)
            add(r, out, (str){s.data + at, s.n - at});
        return;
    }
    size_t end = space_start(s, s.n, true);
    for (; end > 0 && max != 0; max--) {
        size_t start = space_start(s, end, false);
        add(r, out, (str){s.data + start, end - start});
        end = space_start(s, start, true);
    }
    if (end > 0)
        add(r, out, (str){s.data, end});
    reverse(out);
}

static const char *last_match(str s, str needle)
{
    if (needle.n > s.n)
        return NULL;
    for (const char *at = s.data + (s.n - needle.n);; at--) {
        if (memcmp(at, needle.data, needle.n) == 0)
            return at;
        if (at == s.data)
            return NULL;
    }
}

static void split_separator(struct rendering *r, str s, str separator, int64_t max, bool from_right, struct pieces *out)
{
    rendering_step(r, s.n / (from_right ? 8 : 64));
    for (; max != 0; max--) {
        const char *found = from_right ? last_match(s, separator) : memmem(s.data, s.n, separator.data, separator.n);
        if (found == NULL)
            break;
        size_t at = (size_t)(found - s.data);
        if (from_right) {
            add(r, out, (str){found + separator.n, s.n - at - separator.n});
            s.n = at;
        } else {
            add(r, out, (str){s.data, at});
            s = (str){found + separator.n, s.n - at - separator.n};
        }
    }
    add(r, out, s);
    if (from_right)
        reverse(out);
}

static struct value split(struct rendering *r, struct value self, const struct value *bound, bool from_right)
{
    struct pieces pieces = {.mark = self.mark};
    int64_t max = bound[1].kind == VALUE_MISSING ? -1 : value_need_int(r, bound[1]);
    if (bound[0].kind == VALUE_MISSING || bound[0].kind == VALUE_NONE) {
        split_blanks(r, value_bytes(self), max, from_right, &pieces);
    } else {
        if (bound[0].kind != VALUE_TEXT)
            rendering_fail(r, TEMPLATE_FAILED, "must be str or None, not %s", value_type(bound[0]));
        if (bound[0].text->n == 0)
            rendering_fail(r, TEMPLATE_FAILED, "empty separator");
        split_separator(r, value_bytes(self), value_bytes(bound[0]), max, from_right, &pieces);
    }
    return as_list(r, &pieces, VALUE_LIST);
}

METHOD(method_split)
{
    return split(r, self, bound, false);
}

METHOD(method_rsplit)
{
    return split(r, self, bound, true);
}

static bool is_line_break(uint32_t c)
{
    return (c >= '\n' && c <= '\r') || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

METHOD(method_splitlines)
{
    struct pieces pieces = {.mark = self.mark};
    bool keep = value_truth(bound[0]);
    str s = value_bytes(self);
    size_t start = 0;
    rendering_step(r, s.n / 16);
    for (size_t at = 0; at < s.n;) {
        size_t end = at;
        uint32_t c = utf8_next(s, &at);
        if (!is_line_break(c))
            continue;
        if (c == '\r' && at < s.n && s.data[at] == '\n')
            at++;
        add(r, &pieces, (str){s.data + start, (keep ? at : end) - start});
        start = at;
    }
    if (start < s.n)
        add(r, &pieces, (str){s.data + start, s.n - start});
    return as_list(r, &pieces, VALUE_LIST);
}

static struct value partition(struct rendering *r, struct value self, const struct value *bound, bool from_right)
{
    struct pieces pieces = {.mark = self.mark};
    str s = value_bytes(self), separator;
    if (bound[0].kind != VALUE_TEXT)
        rendering_fail(r, TEMPLATE_FAILED, "must be str, not %s", value_type(bound[0]));
    separator = value_bytes(bound[0]);
    if (separator.n == 0)
        rendering_fail(r, TEMPLATE_FAILED, "empty separator");
    rendering_step(r, s.n / 8);
    const char *found = from_right ? last_match(s, separator) : memmem(s.data, s.n, separator.data, separator.n);
    str none = {s.data, 0};
    if (found == NULL) {
        add(r, &pieces, from_right ? none : s);
        add(r, &pieces, none);
        add(r, &pieces, from_right ? s : none);
    } else {
        size_t at = (size_t)(found - s.data);
        add(r, &pieces, (str){s.data, at});
        add(r, &pieces, (str){found, separator.n});
        add(r, &pieces, (str){found + separator.n, s.n - at - separator.n});
    }
    return as_list(r, &pieces, VALUE_TUPLE);
}

METHOD(method_partition)
{
    return partition(r, self, bound, false);
}

METHOD(method_rpartition)
{
    return partition(r, self, bound, true);
}

const struct native methods_text_split[] = {
    {"split", "sep maxsplit", 0, method_split},
    {"rsplit", "sep maxsplit", 0, method_rsplit},
    {"splitlines", "keepends", 0, method_splitlines},
    {"partition", "-", 1, method_partition},
    {"rpartition", "-", 1, method_rpartition},
    {NULL, NULL, 0, NULL},
};
