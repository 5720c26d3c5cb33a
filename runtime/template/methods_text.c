/* The methods of text. Where Python's take positions they are code points; ours are turned into byte offsets at the edge. */
#include "template/rendering.h"

#define METHOD(name) static struct value name(struct rendering *r, struct value self, const struct args *args, const struct value *bound)

static str need_text(struct rendering *r, struct value value)
{
    if (value.kind != VALUE_TEXT)
        rendering_fail(r, TEMPLATE_FAILED, "must be str, not %s", value_type(value));
    return value_bytes(value);
}

METHOD(text_upper_method)
{
    return text_recase(r, self, CASE_UPPER);
}

METHOD(text_lower_method)
{
    return text_recase(r, self, CASE_LOWER);
}

METHOD(text_title_method)
{
    return text_recase(r, self, CASE_TITLE);
}

METHOD(text_capitalize_method)
{
    return text_recase(r, self, CASE_CAPITALIZE);
}

METHOD(text_swapcase_method)
{
    return text_recase(r, self, CASE_SWAP);
}

METHOD(text_casefold_method)
{
    return text_recase(r, self, CASE_FOLD);
}

static struct value strip(struct rendering *r, struct value self, struct value set, int sides)
{
    if (set.kind == VALUE_MISSING || set.kind == VALUE_NONE)
        return text_strip(r, self, NULL, sides);
    (void)need_text(r, set);
    return text_strip(r, self, set.text, sides);
}

METHOD(text_strip_method)
{
    return strip(r, self, bound[0], 3);
}

METHOD(text_lstrip_method)
{
    return strip(r, self, bound[0], 1);
}

METHOD(text_rstrip_method)
{
    return strip(r, self, bound[0], 2);
}

/* The part of self between code points start and end. *offset: where it begins, in code points; -1 when start is past the end. */
static str part(struct rendering *r, struct value self, struct value start, struct value end, int64_t *offset)
{
    int64_t n = (int64_t)text_length(self.text), from = 0, to = n;
    if (start.kind != VALUE_MISSING && start.kind != VALUE_NONE)
        from = value_need_int(r, start);
    if (end.kind != VALUE_MISSING && end.kind != VALUE_NONE)
        to = value_need_int(r, end);
    from = from < 0 ? (from + n < 0 ? 0 : from + n) : from;
    to = to < 0 ? (to + n < 0 ? 0 : to + n) : to > n ? n : to;
    *offset = from > n ? -1 : from;
    if (from > to)
        return *offset = -1, (str){self.text->data, 0};
    size_t a = text_offset(self.text, (size_t)from), b = text_offset(self.text, (size_t)to);
    rendering_step(r, self.text->n / 64);
    return (str){self.text->data + a, b - a};
}

static struct value affix(struct rendering *r, struct value self, const struct value *bound, bool (*matches)(str, str))
{
    int64_t offset;
    str s = part(r, self, bound[1], bound[2], &offset);
    if (bound[0].kind == VALUE_TUPLE) {
        for (size_t i = 0; i < bound[0].list->n; i++)
            if (matches(s, need_text(r, bound[0].list->items[i])) && offset >= 0)
                return value_bool(true);
        return value_bool(false);
    }
    return value_bool(matches(s, need_text(r, bound[0])) && offset >= 0);
}

METHOD(text_startswith_method)
{
    return affix(r, self, bound, str_starts);
}

METHOD(text_endswith_method)
{
    return affix(r, self, bound, str_ends);
}

METHOD(text_removeprefix_method)
{
    str s = value_bytes(self), prefix = need_text(r, bound[0]);
    if (!str_starts(s, prefix))
        return self;
    return value_marked(value_text_borrow(r, (str){s.data + prefix.n, s.n - prefix.n}), self.mark);
}

METHOD(text_removesuffix_method)
{
    str s = value_bytes(self), suffix = need_text(r, bound[0]);
    if (!str_ends(s, suffix))
        return self;
    return value_marked(value_text_borrow(r, (str){s.data, s.n - suffix.n}), self.mark);
}

static ptrdiff_t find_last(str s, str needle)
{
    if (needle.n > s.n)
        return -1;
    for (size_t at = s.n - needle.n + 1; at-- > 0;)
        if (memcmp(s.data + at, needle.data, needle.n) == 0)
            return (ptrdiff_t)at;
    return -1;
}

static int64_t find(struct rendering *r, struct value self, const struct value *bound, bool last)
{
    int64_t offset;
    str s = part(r, self, bound[1], bound[2], &offset), needle = need_text(r, bound[0]);
    if (offset < 0)
        return -1;
    rendering_step(r, last ? s.n / 8 : s.n / 64);
    ptrdiff_t at = last ? find_last(s, needle) : needle.n == 0 ? 0 : str_find(s, needle);
    if (at < 0)
        return -1;
    struct text before = {s.data, (size_t)at, SIZE_MAX};
    return offset + (int64_t)text_length(&before);
}

METHOD(text_find_method)
{
    return value_int(find(r, self, bound, false));
}

METHOD(text_rfind_method)
{
    return value_int(find(r, self, bound, true));
}

static struct value index_of(struct rendering *r, int64_t at)
{
    if (at < 0)
        rendering_fail(r, TEMPLATE_FAILED, "substring not found");
    return value_int(at);
}

METHOD(text_index_method)
{
    return index_of(r, find(r, self, bound, false));
}

METHOD(text_rindex_method)
{
    return index_of(r, find(r, self, bound, true));
}

METHOD(text_count_method)
{
    int64_t offset, n = 0;
    str s = part(r, self, bound[1], bound[2], &offset), needle = need_text(r, bound[0]);
    if (offset < 0)
        return value_int(0);
    if (needle.n == 0) {
        struct text whole = {s.data, s.n, SIZE_MAX};
        return value_int((int64_t)text_length(&whole) + 1);
    }
    for (const char *found; (found = memmem(s.data, s.n, needle.data, needle.n)) != NULL; n++) {
        rendering_step(r, 1);
        s.n -= (size_t)(found - s.data) + needle.n;
        s.data = found + needle.n;
    }
    return value_int(n);
}

METHOD(text_replace_method)
{
    str from = need_text(r, bound[0]), to = need_text(r, bound[1]);
    if (self.mark == TEXT_MARKUP)
        to = value_bytes(text_escape(r, bound[1]));
    return text_replace(r, self, from, to, bound[2].kind == VALUE_MISSING ? -1 : value_need_int(r, bound[2]));
}

METHOD(text_join_method)
{
    struct value list = value_collect(r, bound[0], VALUE_LIST);
    bool markup = self.mark == TEXT_MARKUP;
    for (size_t i = 0; i < list.list->n; i++)
        if (list.list->items[i].kind != VALUE_TEXT && !markup)
            rendering_fail(r, TEMPLATE_FAILED, "sequence item %zu: expected str instance, %s found", i, value_type(list.list->items[i]));
    size_t mark = rendering_mark(r);
    for (size_t i = 0; i < list.list->n; i++) {
        if (i > 0)
            rendering_emit(r, value_bytes(self));
        value_print(r, markup ? text_escape(r, list.list->items[i]) : list.list->items[i]);
    }
    return value_marked(rendering_take(r, mark), self.mark);
}

/* self padded to a width; left and right of 2 are how the padding is shared: 0/1, 1/0 or both (centred). */
static struct value pad(struct rendering *r, struct value self, const struct value *bound, bool left, bool right)
{
    str fill = bound[1].kind == VALUE_MISSING ? STR(" ") : need_text(r, bound[1]);
    struct text fill_text = {fill.data, fill.n, SIZE_MAX};
    int64_t width = value_need_int(r, bound[0]), n = width - (int64_t)text_length(self.text);
    if (text_length(&fill_text) != 1)
        rendering_fail(r, TEMPLATE_FAILED, "the fill character must be exactly one character long");
    if (n <= 0)
        return self;
    int64_t before = left && right ? n / 2 + (n & width & 1) : left ? n : 0;
    size_t mark = rendering_mark(r);
    rendering_emit_fill(r, fill, before);
    rendering_emit(r, value_bytes(self));
    rendering_emit_fill(r, fill, n - before);
    return value_marked(rendering_take(r, mark), self.mark);
}

METHOD(text_center_method)
{
    return pad(r, self, bound, true, true);
}

METHOD(text_ljust_method)
{
    return pad(r, self, bound, false, true);
}

METHOD(text_rjust_method)
{
    return pad(r, self, bound, true, false);
}

METHOD(text_zfill_method)
{
    int64_t n = value_need_int(r, bound[0]) - (int64_t)text_length(self.text);
    str s = value_bytes(self);
    if (n <= 0)
        return self;
    size_t sign = s.n > 0 && (s.data[0] == '+' || s.data[0] == '-'), mark = rendering_mark(r);
    rendering_emit(r, (str){s.data, sign});
    rendering_emit_fill(r, STR("0"), n);
    rendering_emit(r, (str){s.data + sign, s.n - sign});
    return value_marked(rendering_take(r, mark), self.mark);
}

METHOD(text_expandtabs_method)
{
    int64_t size = bound[0].kind == VALUE_MISSING ? 8 : value_need_int(r, bound[0]), column = 0;
    str s = value_bytes(self);
    size_t mark = rendering_mark(r);
    for (size_t at = 0; at < s.n;) {
        size_t start = at;
        uint32_t c = utf8_next(s, &at);
        if (c == '\t') {
            int64_t n = size > 0 ? size - column % size : 0;
            rendering_emit_fill(r, STR(" "), n);
            column += n;
            continue;
        }
        rendering_emit(r, (str){s.data + start, at - start});
        column = c == '\n' || c == '\r' ? 0 : column + 1;
    }
    return value_marked(rendering_take(r, mark), self.mark);
}

METHOD(text_format_method)
{
    return text_format(r, self, args);
}

METHOD(text_format_map_method)
{
    struct args named = {0};
    if (bound[0].kind != VALUE_DICT)
        rendering_fail(r, TEMPLATE_FAILED, "format_map() needs a mapping");
    named.names = rendering_array(r, bound[0].dict->n, sizeof *named.names);
    named.named = rendering_array(r, bound[0].dict->n, sizeof *named.named);
    for (size_t i = 0; i < bound[0].dict->n; i++)
        if (bound[0].dict->entries[i].key.kind == VALUE_TEXT) {
            named.names[named.n_named] = bound[0].dict->entries[i].key.text;
            named.named[named.n_named++] = bound[0].dict->entries[i].value;
        }
    return text_format(r, self, &named);
}

/* True when the text is not empty and every character has the property. */
static struct value every(struct value self, bool (*has)(uint32_t))
{
    str s = value_bytes(self);
    for (size_t at = 0; at < s.n;)
        if (!has(utf8_next(s, &at)))
            return value_bool(false);
    return value_bool(s.n > 0);
}

static bool is_alnum(uint32_t c)
{
    return char_is_alpha(c) || char_is_digit(c) || char_is_numeric(c);
}

METHOD(text_isalpha_method)
{
    return every(self, char_is_alpha);
}

METHOD(text_isalnum_method)
{
    return every(self, is_alnum);
}

METHOD(text_isdigit_method)
{
    return every(self, char_is_digit);
}

METHOD(text_isdecimal_method)
{
    return every(self, char_is_decimal);
}

METHOD(text_isnumeric_method)
{
    return every(self, char_is_numeric);
}

METHOD(text_isspace_method)
{
    return every(self, char_is_space);
}

METHOD(text_isprintable_method)
{
    return value_bool(self.text->n == 0 || every(self, char_is_printable).truth);
}

METHOD(text_isascii_method)
{
    return value_bool(text_length(self.text) == self.text->n);
}

METHOD(text_isidentifier_method)
{
    str s = value_bytes(self);
    for (size_t at = 0; at < s.n;) {
        bool first = at == 0;
        uint32_t c = utf8_next(s, &at);
        if (c != '_' && !char_is_alpha(c) && (first || !char_is_decimal(c)))
            return value_bool(false);
    }
    return value_bool(s.n > 0);
}

METHOD(text_isupper_method)
{
    struct args none = {0};
    return call_native(r, test_find(STR("upper")), self, &none);
}

METHOD(text_islower_method)
{
    struct args none = {0};
    return call_native(r, test_find(STR("lower")), self, &none);
}

METHOD(text_istitle_method)
{
    str s = value_bytes(self);
    bool cased = false, any = false;
    for (size_t at = 0; at < s.n;) {
        uint32_t c = utf8_next(s, &at);
        if (char_is_upper(c) || char_is_title(c)) {
            if (cased)
                return value_bool(false);
            cased = any = true;
        } else if (char_is_lower(c)) {
            if (!cased)
                return value_bool(false);
            any = true;
        } else {
            cased = false;
        }
    }
    return value_bool(any);
}

const struct native methods_text[] = {
    {"upper", "", 0, text_upper_method},
    {"lower", "", 0, text_lower_method},
    {"title", "", 0, text_title_method},
    {"capitalize", "", 0, text_capitalize_method},
    {"swapcase", "", 0, text_swapcase_method},
    {"casefold", "", 0, text_casefold_method},
    {"strip", "-", 0, text_strip_method},
    {"lstrip", "-", 0, text_lstrip_method},
    {"rstrip", "-", 0, text_rstrip_method},
    {"startswith", "- - -", 1, text_startswith_method},
    {"endswith", "- - -", 1, text_endswith_method},
    {"removeprefix", "-", 1, text_removeprefix_method},
    {"removesuffix", "-", 1, text_removesuffix_method},
    {"find", "- - -", 1, text_find_method},
    {"rfind", "- - -", 1, text_rfind_method},
    {"index", "- - -", 1, text_index_method},
    {"rindex", "- - -", 1, text_rindex_method},
    {"count", "- - -", 1, text_count_method},
    {"replace", "- - -", 2, text_replace_method},
    {"join", "-", 1, text_join_method},
    {"center", "- -", 1, text_center_method},
    {"ljust", "- -", 1, text_ljust_method},
    {"rjust", "- -", 1, text_rjust_method},
    {"zfill", "-", 1, text_zfill_method},
    {"expandtabs", "tabsize", 0, text_expandtabs_method},
    {"format", NULL, 0, text_format_method},
    {"format_map", "-", 1, text_format_map_method},
    {"isalpha", "", 0, text_isalpha_method},
    {"isalnum", "", 0, text_isalnum_method},
    {"isdigit", "", 0, text_isdigit_method},
    {"isdecimal", "", 0, text_isdecimal_method},
    {"isnumeric", "", 0, text_isnumeric_method},
    {"isspace", "", 0, text_isspace_method},
    {"isprintable", "", 0, text_isprintable_method},
    {"isascii", "", 0, text_isascii_method},
    {"isidentifier", "", 0, text_isidentifier_method},
    {"isupper", "", 0, text_isupper_method},
    {"islower", "", 0, text_islower_method},
    {"istitle", "", 0, text_istitle_method},
    {NULL, NULL, 0, NULL},
};
