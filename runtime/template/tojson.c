/* json.dumps: how the tojson filter writes values. Keys may be text, numbers, booleans and none. */
#include "template/rendering.h"

#include <math.h>

static void write_value(struct rendering *r, struct value value, const struct json_style *style, int level);

static void write_text(struct rendering *r, str s, bool ensure_ascii)
{
    static const char short_escapes[] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't', ['"'] = '"', ['\\'] = '\\'};
    char escape[16];
    size_t plain = 0;
    rendering_emit(r, STR("\""));
    for (size_t at = 0; at < s.n;) {
        size_t start = at;
        uint8_t byte = (uint8_t)s.data[at];
        if ((byte >= 0x20 && byte != '"' && byte != '\\') && (byte < 0x80 || !ensure_ascii)) {
            at++;
            continue;
        }
        uint32_t c = utf8_next(s, &at);
        rendering_emit(r, (str){s.data + plain, start - plain});
        plain = at;
        if (c < sizeof short_escapes && short_escapes[c] != 0)
            snprintf(escape, sizeof escape, "\\%c", short_escapes[c]);
        else if (c < 0x10000)
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)c);
        else
            snprintf(escape, sizeof escape, "\\u%04x\\u%04x", 0xD800 + (unsigned)((c - 0x10000) >> 10), 0xDC00 + (unsigned)((c - 0x10000) & 0x3FF));
        rendering_emit(r, str_of(escape));
    }
    rendering_emit(r, (str){s.data + plain, s.n - plain});
    rendering_emit(r, STR("\""));
}

static void write_scalar(struct rendering *r, struct value value)
{
    if (value.kind == VALUE_NONE)
        rendering_emit(r, STR("null"));
    else if (value.kind == VALUE_BOOL)
        rendering_emit(r, value.truth ? STR("true") : STR("false"));
    else if (value.kind == VALUE_FLOAT && isnan(value.real))
        rendering_emit(r, STR("NaN"));
    else if (value.kind == VALUE_FLOAT && isinf(value.real))
        rendering_emit(r, value.real > 0 ? STR("Infinity") : STR("-Infinity"));
    else
        value_print(r, value);
}

static void write_key(struct rendering *r, struct value key, const struct json_style *style)
{
    if (key.kind == VALUE_TEXT) {
        write_text(r, value_bytes(key), style->ensure_ascii);
        return;
    }
    if (key.kind != VALUE_NONE && key.kind != VALUE_BOOL && key.kind != VALUE_INT && key.kind != VALUE_FLOAT)
        rendering_fail(r, TEMPLATE_FAILED, "keys must be str, int, float, bool or None, not %s", value_type(key));
    rendering_emit(r, STR("\""));
    write_scalar(r, key);
    rendering_emit(r, STR("\""));
}

static void write_break(struct rendering *r, const struct json_style *style, int level)
{
    if (!style->pretty)
        return;
    rendering_emit(r, STR("\n"));
    rendering_emit_fill(r, style->indent, level);
}

static void write_list(struct rendering *r, const struct list *list, const struct json_style *style, int level)
{
    rendering_emit(r, STR("["));
    for (size_t i = 0; i < list->n; i++) {
        if (i > 0)
            rendering_emit(r, style->item_separator);
        write_break(r, style, level + 1);
        write_value(r, list->items[i], style, level + 1);
    }
    if (list->n > 0)
        write_break(r, style, level);
    rendering_emit(r, STR("]"));
}

/* Entries in the order of their keys: insertion order is the tie-break, as sorted() is stable. */
static struct dict_entry *sorted_entries(struct rendering *r, const struct dict *dict)
{
    struct dict_entry *entries = rendering_array(r, dict->n, sizeof *entries);
    for (size_t i = 0; i < dict->n; i++) {
        size_t at = i;
        for (; at > 0 && value_order(r, dict->entries[i].key, entries[at - 1].key, "<") < 0; at--)
            entries[at] = entries[at - 1];
        entries[at] = dict->entries[i];
    }
    return entries;
}

static void write_dict(struct rendering *r, const struct dict *dict, const struct json_style *style, int level)
{
    const struct dict_entry *entries = style->sort_keys ? sorted_entries(r, dict) : dict->entries;
    rendering_emit(r, STR("{"));
    for (size_t i = 0; i < dict->n; i++) {
        if (i > 0)
            rendering_emit(r, style->item_separator);
        write_break(r, style, level + 1);
        write_key(r, entries[i].key, style);
        rendering_emit(r, style->key_separator);
        write_value(r, entries[i].value, style, level + 1);
    }
    if (dict->n > 0)
        write_break(r, style, level);
    rendering_emit(r, STR("}"));
}

static void write_value(struct rendering *r, struct value value, const struct json_style *style, int level)
{
    rendering_step(r, 1);
    switch (value.kind) {
    case VALUE_NONE:
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_FLOAT:
        write_scalar(r, value);
        return;
    case VALUE_TEXT:
        write_text(r, value_bytes(value), style->ensure_ascii);
        return;
    case VALUE_LIST:
    case VALUE_TUPLE:
        rendering_deeper(r);
        write_list(r, value.list, style, level);
        rendering_shallower(r);
        return;
    case VALUE_DICT:
        rendering_deeper(r);
        write_dict(r, value.dict, style, level);
        rendering_shallower(r);
        return;
    default:
        rendering_fail(r, TEMPLATE_FAILED, "Object of type %s is not JSON serializable", value_type(value));
    }
}

void value_tojson(struct rendering *r, struct value value, const struct json_style *style)
{
    write_value(r, value, style, 0);
}
