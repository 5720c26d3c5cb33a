/* Filters over text. */
#include "template/rendering.h"

#define FILTER(name) static struct value name(struct rendering *r, struct value self, const struct args *args, const struct value *bound)

static int64_t int_or(struct rendering *r, struct value value, int64_t other)
{
    return value.kind == VALUE_MISSING ? other : value_need_int(r, value);
}

static struct value plain(struct rendering *r, struct value value)
{
    return value_marked(value_str(r, value), 0);
}

FILTER(filter_upper)
{
    return text_recase(r, value_str(r, self), CASE_UPPER);
}

FILTER(filter_lower)
{
    return text_recase(r, value_str(r, self), CASE_LOWER);
}

FILTER(filter_capitalize)
{
    return text_recase(r, value_str(r, self), CASE_CAPITALIZE);
}

/* A word begins after white space and after any of - ( { [ <. */
FILTER(filter_title)
{
    struct value text = value_str(r, self);
    str s = value_bytes(text);
    size_t mark = rendering_mark(r);
    bool begins = true;
    for (size_t at = 0; at < s.n;) {
        uint32_t c = utf8_next(s, &at), out[3];
        int n = begins ? char_upper(c, out) : char_lower(c, out);
        for (int i = 0; i < n; i++)
            rendering_emit_char(r, out[i]);
        begins = char_is_space(c) || (c < 0x80 && c != 0 && strchr("-({[<", (int)c) != NULL);
    }
    return value_marked(rendering_take(r, mark), text.mark);
}

FILTER(filter_trim)
{
    const struct text *set = bound[0].kind == VALUE_TEXT ? bound[0].text : NULL;
    if (set == NULL && bound[0].kind != VALUE_MISSING && bound[0].kind != VALUE_NONE)
        rendering_fail(r, TEMPLATE_FAILED, "strip arg must be None or str");
    return text_strip(r, value_str(r, self), set, 3);
}

FILTER(filter_string)
{
    return value_str(r, self);
}

FILTER(filter_safe)
{
    return value_marked(value_str(r, self), TEXT_MARKUP);
}

FILTER(filter_escape)
{
    return text_escape(r, self);
}

FILTER(filter_forceescape)
{
    return text_escape(r, plain(r, self));
}

FILTER(filter_replace)
{
    int64_t count = bound[2].kind == VALUE_NONE ? -1 : int_or(r, bound[2], -1);
    struct value subject = value_str(r, self), from = value_str(r, bound[0]), to = value_str(r, bound[1]);
    if (!r->autoescape)
        return value_marked(text_replace(r, subject, value_bytes(from), value_bytes(to), count), 0);
    if (subject.mark != TEXT_MARKUP && (from.mark == TEXT_MARKUP || to.mark == TEXT_MARKUP))
        subject = text_escape(r, subject);
    if (subject.mark == TEXT_MARKUP)
        to = text_escape(r, to);
    return text_replace(r, subject, value_bytes(from), value_bytes(to), count);
}

FILTER(filter_format)
{
    if (args->n > 0 && args->n_named > 0)
        rendering_fail(r, TEMPLATE_FAILED, "format takes positional or keyword arguments, not both");
    struct value arguments;
    if (args->n_named > 0) {
        arguments = dict_new(r, VALUE_DICT);
        for (size_t i = 0; i < args->n_named; i++)
            dict_set(r, arguments.dict, value_text(args->names[i]), args->named[i]);
    } else {
        arguments = value_list_new(r, VALUE_TUPLE, args->n);
        for (size_t i = 0; i < args->n; i++)
            arguments.list->items[i] = args->positional[i];
    }
    return text_percent(r, value_str(r, self), arguments);
}

FILTER(filter_center)
{
    struct value text = value_str(r, self);
    int64_t width = int_or(r, bound[0], 80), pad = width - (int64_t)text_length(text.text);
    if (pad <= 0)
        return text;
    size_t mark = rendering_mark(r);
    int64_t left = pad / 2 + (pad & width & 1);
    rendering_emit_fill(r, STR(" "), left);
    rendering_emit(r, value_bytes(text));
    rendering_emit_fill(r, STR(" "), pad - left);
    return value_marked(rendering_take(r, mark), text.mark);
}

FILTER(filter_indent)
{
    bool first = value_truth(bound[1]), blank = value_truth(bound[2]);
    struct value unit = bound[0];
    if (self.kind != VALUE_TEXT)
        rendering_fail(r, TEMPLATE_FAILED, "indent needs a string, not '%s'", value_type(self));
    if (unit.kind != VALUE_TEXT) {
        size_t mark = rendering_mark(r);
        rendering_emit_fill(r, STR(" "), int_or(r, unit, 4));
        unit = rendering_take(r, mark);
    }
    struct args none = {0};
    struct method *method = value_attribute_only(r, self, STR("splitlines")).method;
    size_t mark = rendering_mark(r);
    rendering_emit(r, value_bytes(self));
    rendering_emit(r, STR("\n"));
    struct value lines = call_native(r, method->native, rendering_take(r, mark), &none);
    mark = rendering_mark(r);
    for (size_t i = 0; i < lines.list->n; i++) {
        struct value line = lines.list->items[i];
        if (i > 0)
            rendering_emit(r, STR("\n"));
        if ((i == 0 && first) || (i > 0 && (blank || line.text->n > 0)))
            rendering_emit(r, value_bytes(unit));
        rendering_emit(r, value_bytes(line));
    }
    return value_marked(rendering_take(r, mark), self.mark);
}

FILTER(filter_truncate)
{
    struct value text = self, end = bound[2].kind == VALUE_MISSING ? value_text_borrow(r, STR("...")) : value_str(r, bound[2]);
    int64_t length = int_or(r, bound[0], 255), n_end = (int64_t)text_length(end.text);
    int64_t leeway = bound[3].kind == VALUE_NONE ? 5 : int_or(r, bound[3], 5);
    if (length < n_end || leeway < 0)
        rendering_fail(r, TEMPLATE_FAILED, "expected length >= %lld and leeway >= 0", (long long)n_end);
    if (value_length(self) >= 0 && value_length(self) <= (leeway > INT64_MAX - length ? INT64_MAX : length + leeway))
        return self;
    if (self.kind != VALUE_TEXT)
        rendering_fail(r, TEMPLATE_FAILED, "truncate needs a string, not '%s'", value_type(self));
    str cut = value_bytes(text_slice(r, text, 0, 1, length - n_end));
    if (!value_truth(bound[1])) {
        const char *blank = cut.n > 0 ? memrchr(cut.data, ' ', cut.n) : NULL;
        if (blank != NULL)
            cut.n = (size_t)(blank - cut.data);
    }
    size_t mark = rendering_mark(r);
    rendering_emit(r, cut);
    rendering_emit(r, value_bytes(end));
    return value_marked(rendering_take(r, mark), text.mark);
}

static bool is_word_char(uint32_t c)
{
    return c == '_' || char_is_alpha(c) || char_is_numeric(c);
}

FILTER(filter_wordcount)
{
    str s = value_bytes(value_str(r, self));
    int64_t n = 0;
    bool inside = false;
    rendering_step(r, s.n / 16);
    for (size_t at = 0; at < s.n;) {
        bool word = is_word_char(utf8_next(s, &at));
        n += word && !inside;
        inside = word;
    }
    return value_int(n);
}

/* One line cut into lines of at most `width`, at white space, after hyphens inside words, and inside what is longer. */
static void wrap_line(struct rendering *r, str line, size_t width, bool break_long, bool hyphens, str separator)
{
    size_t at = 0, used = 0;
    bool first_line = true, line_empty = true;
    str pending = {NULL, 0}; /* White space that is written only when a word follows on the same line. */
    size_t pending_chars = 0;
    while (at < line.n) {
        size_t start = at, next = at, chars = 0;
        bool space = char_is_space(utf8_next(line, &next));
        while (at < line.n) {
            next = at;
            uint32_t c = utf8_next(line, &next);
            if (char_is_space(c) != space)
                break;
            at = next;
            chars++;
            size_t after = at;
            if (hyphens && c == '-' && chars > 1 && at < line.n && is_word_char(utf8_next(line, &after)))
                break;
        }
        rendering_step(r, 1);
        if (space) {
            pending = (str){line.data + start, at - start};
            pending_chars = chars;
            if (line_empty && !first_line)
                pending = (str){NULL, 0}, pending_chars = 0;
            continue;
        }
        str word = {line.data + start, at - start};
        if (!line_empty && used + pending_chars + chars > width) {
            rendering_emit(r, separator);
            used = 0;
            line_empty = true;
            first_line = false;
            pending = (str){NULL, 0};
            pending_chars = 0;
        }
        rendering_emit(r, pending);
        used += pending_chars;
        pending = (str){NULL, 0};
        pending_chars = 0;
        for (size_t i = 0; i < word.n;) {
            if (break_long && used >= width) {
                rendering_emit(r, separator);
                used = 0;
                first_line = false;
            }
            size_t from = i;
            utf8_next(word, &i);
            rendering_emit(r, (str){word.data + from, i - from});
            used++;
        }
        line_empty = false;
    }
}

FILTER(filter_wordwrap)
{
    struct value text = self;
    int64_t width = int_or(r, bound[0], 79);
    if (self.kind != VALUE_TEXT)
        rendering_fail(r, TEMPLATE_FAILED, "wordwrap needs a string, not '%s'", value_type(self));
    str separator = bound[2].kind == VALUE_TEXT ? value_bytes(bound[2]) : STR("\n");
    if (width <= 0)
        rendering_fail(r, TEMPLATE_FAILED, "invalid width %lld (must be > 0)", (long long)width);
    struct args none = {0};
    struct value lines = call_native(r, value_attribute_only(r, text, STR("splitlines")).method->native, text, &none);
    size_t mark = rendering_mark(r);
    for (size_t i = 0; i < lines.list->n; i++) {
        if (i > 0)
            rendering_emit(r, separator);
        wrap_line(r, value_bytes(lines.list->items[i]), (size_t)width, bound[1].kind == VALUE_MISSING || value_truth(bound[1]),
                  bound[3].kind == VALUE_MISSING || value_truth(bound[3]), separator);
    }
    return rendering_take(r, mark);
}

/* The character an entity (without & and ;) stands for, or 0. */
static uint32_t entity(str name)
{
    static const struct {
        const char *name;
        uint32_t code;
    } known[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}, {"nbsp", 0xA0}, {"copy", 0xA9}, {"reg", 0xAE},
                 {"hellip", 0x2026}, {"mdash", 0x2014}, {"ndash", 0x2013}, {"lsquo", 0x2018}, {"rsquo", 0x2019}, {"ldquo", 0x201C},
                 {"rdquo", 0x201D}, {"euro", 0x20AC}, {"times", 0xD7}, {"deg", 0xB0}, {"eacute", 0xE9}, {"auml", 0xE4}, {"ouml", 0xF6},
                 {"uuml", 0xFC}, {"szlig", 0xDF}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_equal(name, str_of(known[i].name)))
            return known[i].code;
    if (name.n < 2 || name.n > 8 || name.data[0] != '#')
        return 0;
    char digits[16], *end;
    bool hex = (name.data[1] | 32) == 'x';
    str_copy(digits, sizeof digits, (str){name.data + 1 + hex, name.n - 1 - hex});
    unsigned long code = strtoul(digits, &end, hex ? 16 : 10);
    return *end == '\0' && code <= 0x10FFFF ? (uint32_t)code : 0;
}

FILTER(filter_striptags)
{
    str s = value_bytes(value_str(r, self));
    size_t mark = rendering_mark(r);
    bool blank = false, any = false;
    rendering_step(r, s.n / 16);
    for (size_t at = 0; at < s.n;) {
        str rest = {s.data + at, s.n - at};
        const char *end = NULL;
        if (str_starts(rest, STR("<!--")) && (end = memmem(rest.data, rest.n, "-->", 3)) != NULL) {
            at = (size_t)(end - s.data) + 3;
            continue;
        }
        if (rest.data[0] == '<' && (end = memchr(rest.data, '>', rest.n)) != NULL) {
            at = (size_t)(end - s.data) + 1;
            continue;
        }
        uint32_t c = utf8_next(s, &at);
        if (char_is_space(c)) {
            blank = true;
            continue;
        }
        const char *semicolon = c == '&' ? memchr(s.data + at, ';', s.n - at < 10 ? s.n - at : 10) : NULL;
        uint32_t named = semicolon != NULL ? entity((str){s.data + at, (size_t)(semicolon - s.data) - at}) : 0;
        if (named != 0) {
            at = (size_t)(semicolon - s.data) + 1;
            c = named;
        }
        if (blank && any)
            rendering_emit(r, STR(" "));
        blank = false;
        any = true;
        rendering_emit_char(r, c);
    }
    return rendering_take(r, mark);
}

static void emit_quoted(struct rendering *r, str s, bool query)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.data[i];
        bool safe = ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9') || (c != 0 && strchr("_.-~", c) != NULL) || (c == '/' && !query);
        char text[4];
        snprintf(text, sizeof text, safe ? "%c" : query && c == ' ' ? "+" : "%%%02X", c);
        rendering_emit(r, str_of(text));
    }
}

FILTER(filter_urlencode)
{
    bool pairs = self.kind != VALUE_TEXT && value_is_iterable(self);
    struct value text = pairs ? self : value_str(r, self), pair;
    size_t mark;
    if (!pairs) {
        mark = rendering_mark(r);
        emit_quoted(r, value_bytes(text), false);
        return rendering_take(r, mark);
    }
    struct value source = self;
    if (self.kind == VALUE_DICT) {
        source.kind = VALUE_VIEW;
        source.mark = VIEW_ITEMS;
    }
    struct value items = value_collect(r, source, VALUE_LIST);
    for (size_t i = 0; i < items.list->n; i++) {
        pair = value_collect(r, items.list->items[i], VALUE_LIST);
        if (pair.list->n != 2)
            rendering_fail(r, TEMPLATE_FAILED, "urlencode needs pairs");
        struct value both = value_list_new(r, VALUE_LIST, 2);
        both.list->items[0] = value_str(r, pair.list->items[0]);
        both.list->items[1] = value_str(r, pair.list->items[1]);
        items.list->items[i] = both;
    }
    mark = rendering_mark(r);
    for (size_t i = 0; i < items.list->n; i++) {
        if (i > 0)
            rendering_emit(r, STR("&"));
        emit_quoted(r, value_bytes(items.list->items[i].list->items[0]), true);
        rendering_emit(r, STR("="));
        emit_quoted(r, value_bytes(items.list->items[i].list->items[1]), true);
    }
    return rendering_take(r, mark);
}

FILTER(filter_xmlattr)
{
    if (self.kind != VALUE_DICT)
        rendering_fail(r, TEMPLATE_FAILED, "xmlattr needs a mapping");
    size_t mark = rendering_mark(r);
    bool any = false;
    for (size_t i = 0; i < self.dict->n; i++) {
        struct value key = value_str(r, self.dict->entries[i].key), value = self.dict->entries[i].value;
        if (value.kind == VALUE_NONE || value.kind == VALUE_UNDEFINED)
            continue;
        for (size_t k = 0; k < key.text->n; k++)
            if (strchr(" \t\n\r\f/>=", key.text->data[k]) != NULL)
                rendering_fail(r, TEMPLATE_FAILED, "an attribute's name has an invalid character");
        struct value name = text_escape(r, key), content = text_escape(r, value);
        rendering_emit(r, any || bound[0].kind == VALUE_MISSING || value_truth(bound[0]) ? STR(" ") : STR(""));
        rendering_emit(r, value_bytes(name));
        rendering_emit(r, STR("=\""));
        rendering_emit(r, value_bytes(content));
        rendering_emit(r, STR("\""));
        any = true;
    }
    return value_marked(rendering_take(r, mark), r->autoescape ? TEXT_MARKUP : 0);
}

FILTER(filter_tojson)
{
    struct json_style style = {.ensure_ascii = value_truth(bound[0]), .sort_keys = value_truth(bound[3]), .item_separator = STR(", "), .key_separator = STR(": ")};
    int64_t width;
    if (bound[1].kind == VALUE_TEXT) {
        style.pretty = true;
        style.indent = value_bytes(bound[1]);
    } else if (bound[1].kind != VALUE_MISSING && bound[1].kind != VALUE_NONE) {
        style.pretty = true;
        width = value_need_int(r, bound[1]);
        size_t mark = rendering_mark(r);
        rendering_emit_fill(r, STR(" "), width);
        style.indent = value_bytes(rendering_take(r, mark));
    }
    if (style.pretty)
        style.item_separator = STR(",");
    if (bound[2].kind != VALUE_MISSING && bound[2].kind != VALUE_NONE) {
        struct value pair = value_collect(r, bound[2], VALUE_LIST);
        if (pair.list->n != 2 || pair.list->items[0].kind != VALUE_TEXT || pair.list->items[1].kind != VALUE_TEXT)
            rendering_fail(r, TEMPLATE_FAILED, "separators must be two strings");
        style.item_separator = value_bytes(pair.list->items[0]);
        style.key_separator = value_bytes(pair.list->items[1]);
    }
    size_t mark = rendering_mark(r);
    value_tojson(r, self, &style);
    return rendering_take(r, mark);
}

/* The same value with the keys of its mappings in order, as pprint shows them. */
static struct value with_sorted_keys(struct rendering *r, struct value value)
{
    struct value out = value;
    rendering_deeper(r);
    if (value.kind == VALUE_LIST || value.kind == VALUE_TUPLE) {
        out = value_list_new(r, value.kind, value.list->n);
        for (size_t i = 0; i < value.list->n; i++)
            out.list->items[i] = with_sorted_keys(r, value.list->items[i]);
    } else if (value.kind == VALUE_DICT) {
        out = dict_new(r, VALUE_DICT);
        struct value keys = value_collect(r, value, VALUE_LIST);
        struct value options[2] = {value_bool(false), value_bool(true)}; /* Not reversed, by case. */
        struct value sorted = call_native(r, filter_find(STR("sort")), keys, &(struct args){.positional = options, .n = 2});
        for (size_t i = 0; i < sorted.list->n; i++)
            dict_set(r, out.dict, sorted.list->items[i], with_sorted_keys(r, *dict_get(r, value.dict, sorted.list->items[i])));
    }
    rendering_shallower(r);
    return out;
}

FILTER(filter_pprint)
{
    struct value sorted = with_sorted_keys(r, self);
    size_t mark = rendering_mark(r);
    value_repr(r, sorted);
    return rendering_take(r, mark);
}

const struct native filters_text[] = {
    {"upper", "", 0, filter_upper},
    {"lower", "", 0, filter_lower},
    {"capitalize", "", 0, filter_capitalize},
    {"title", "", 0, filter_title},
    {"trim", "chars", 0, filter_trim},
    {"string", "", 0, filter_string},
    {"safe", "", 0, filter_safe},
    {"escape", "", 0, filter_escape},
    {"e", "", 0, filter_escape},
    {"forceescape", "", 0, filter_forceescape},
    {"replace", "old new count", 2, filter_replace},
    {"format", NULL, 0, filter_format},
    {"center", "width", 0, filter_center},
    {"indent", "width first blank", 0, filter_indent},
    {"truncate", "length killwords end leeway", 0, filter_truncate},
    {"wordcount", "", 0, filter_wordcount},
    {"wordwrap", "width break_long_words wrapstring break_on_hyphens", 0, filter_wordwrap},
    {"striptags", "", 0, filter_striptags},
    {"urlencode", "", 0, filter_urlencode},
    {"xmlattr", "autospace", 0, filter_xmlattr},
    {"tojson", "ensure_ascii indent separators sort_keys", 0, filter_tojson},
    {"pprint", "", 0, filter_pprint},
    {NULL, NULL, 0, NULL},
};
