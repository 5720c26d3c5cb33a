/* Python's str() and repr(): how values look in the output and inside lists. */
#include "template/rendering.h"

#include <math.h>

void real_format(double real, char out[32])
{
    if (isnan(real) || isinf(real)) {
        snprintf(out, 32, "%s", isnan(real) ? "nan" : real < 0 ? "-inf" : "inf");
        return;
    }
    char digits[40];
    int precision = 17;
    for (int p = 15; p < 17; p++) { /* The shortest that reads back the same. */
        snprintf(digits, sizeof digits, "%.*e", p - 1, real);
        if (strtod(digits, NULL) == real) {
            precision = p;
            break;
        }
    }
    snprintf(digits, sizeof digits, "%.*e", precision - 1, real);
    int exponent = (int)strtol(strchr(digits, 'e') + 1, NULL, 10);
    if (exponent >= -4 && exponent < 16) {
        int decimals = precision - 1 - exponent;
        snprintf(out, 32, "%.*f", decimals > 1 ? decimals : 1, real);
        char *end = out + strlen(out);
        while (end[-1] == '0' && end[-2] != '.')
            *--end = '\0';
        return;
    }
    char *e = strchr(digits, 'e'), *end = e;
    while (end[-1] == '0')
        end--;
    if (end[-1] == '.')
        end--;
    snprintf(out, 32, "%.*se%c%02d", (int)(end - digits), digits, exponent < 0 ? '-' : '+', abs(exponent));
}

static void emit_text(struct rendering *r, const char *text)
{
    rendering_emit(r, str_of(text));
}

static void repr_text(struct rendering *r, str s)
{
    char quote = memchr(s.data, '\'', s.n) != NULL && memchr(s.data, '"', s.n) == NULL ? '"' : '\'';
    char escape[16];
    rendering_emit(r, (str){&quote, 1});
    size_t plain = 0;
    for (size_t at = 0; at < s.n;) {
        size_t start = at;
        uint32_t c = utf8_next(s, &at);
        if (c != (uint8_t)quote && c != '\\' && ((c >= 0x20 && c < 0x7F) || char_is_printable(c)))
            continue;
        rendering_emit(r, (str){s.data + plain, start - plain});
        plain = at;
        if (c == (uint8_t)quote || c == '\\')
            snprintf(escape, sizeof escape, "\\%c", (int)c);
        else if (c == '\n' || c == '\r' || c == '\t')
            snprintf(escape, sizeof escape, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else
            snprintf(escape, sizeof escape, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)c);
        emit_text(r, escape);
    }
    rendering_emit(r, (str){s.data + plain, s.n - plain});
    rendering_emit(r, (str){&quote, 1});
}

static void repr_items(struct rendering *r, const struct list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        if (i > 0)
            emit_text(r, ", ");
        value_repr(r, list->items[i]);
    }
}

static void repr_dict(struct rendering *r, const struct dict *dict)
{
    emit_text(r, "{");
    for (size_t i = 0; i < dict->n; i++) {
        if (i > 0)
            emit_text(r, ", ");
        value_repr(r, dict->entries[i].key);
        emit_text(r, ": ");
        value_repr(r, dict->entries[i].value);
    }
    emit_text(r, "}");
}

static void repr_view(struct rendering *r, struct value view)
{
    emit_text(r, value_type(view));
    emit_text(r, "([");
    struct iter *iter = iter_new(r, view);
    struct value item;
    for (bool first = true; iter_next(r, iter, &item); first = false) {
        if (!first)
            emit_text(r, ", ");
        value_repr(r, item);
    }
    emit_text(r, "])");
}

static void repr_range(struct rendering *r, const struct range *range)
{
    char text[96];
    if (range->step == 1)
        snprintf(text, sizeof text, "range(%lld, %lld)", (long long)range->start, (long long)range->stop);
    else
        snprintf(text, sizeof text, "range(%lld, %lld, %lld)", (long long)range->start, (long long)range->stop, (long long)range->step);
    emit_text(r, text);
}

static void repr_object(struct rendering *r, struct value value)
{
    char text[160];
    if (value.kind == VALUE_MACRO) {
        const struct text *name = r->template->names[value.macro->node->name];
        snprintf(text, sizeof text, "<Macro '%.*s'>", name->n > 100 ? 100 : (int)name->n, name->data);
    } else if (value.kind == VALUE_NATIVE) {
        snprintf(text, sizeof text, "<function %s>", value.native->name);
    } else if (value.kind == VALUE_METHOD) {
        snprintf(text, sizeof text, "<built-in method %s of %s object>", value.method->native->name, value_type(value.method->self));
    } else if (value.kind == VALUE_LOOP) {
        snprintf(text, sizeof text, "<LoopContext %lld/%lld>", (long long)value.loop->index0 + 1, (long long)loop_attribute(r, value.loop, STR("length")).integer);
    } else {
        snprintf(text, sizeof text, "<%s object>", value_type(value));
    }
    emit_text(r, text);
}

void value_repr(struct rendering *r, struct value value)
{
    rendering_step(r, 1);
    switch (value.kind) {
    case VALUE_UNDEFINED:
        emit_text(r, "Undefined");
        return;
    case VALUE_TEXT:
        if (value.mark == TEXT_MARKUP)
            emit_text(r, "Markup(");
        repr_text(r, value_bytes(value));
        if (value.mark == TEXT_MARKUP)
            emit_text(r, ")");
        return;
    case VALUE_LIST:
    case VALUE_TUPLE:
        rendering_deeper(r);
        emit_text(r, value.kind == VALUE_LIST ? "[" : "(");
        repr_items(r, value.list);
        emit_text(r, value.kind == VALUE_LIST ? "]" : value.list->n == 1 ? ",)" : ")");
        rendering_shallower(r);
        return;
    case VALUE_DICT:
    case VALUE_NAMESPACE:
        rendering_deeper(r);
        if (value.kind == VALUE_NAMESPACE)
            emit_text(r, "<Namespace ");
        repr_dict(r, value.dict);
        if (value.kind == VALUE_NAMESPACE)
            emit_text(r, ">");
        rendering_shallower(r);
        return;
    case VALUE_VIEW:
        rendering_deeper(r);
        repr_view(r, value);
        rendering_shallower(r);
        return;
    default:
        value_print(r, value);
    }
}

void value_print(struct rendering *r, struct value value)
{
    char text[32];
    switch (value.kind) {
    case VALUE_UNDEFINED:
    case VALUE_MISSING:
        return;
    case VALUE_NONE:
        emit_text(r, "None");
        return;
    case VALUE_BOOL:
        emit_text(r, value.truth ? "True" : "False");
        return;
    case VALUE_INT:
        snprintf(text, sizeof text, "%lld", (long long)value.integer);
        emit_text(r, text);
        return;
    case VALUE_FLOAT:
        real_format(value.real, text);
        emit_text(r, text);
        return;
    case VALUE_TEXT:
        rendering_emit(r, value_bytes(value));
        return;
    case VALUE_RANGE:
        repr_range(r, value.range);
        return;
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_DICT:
    case VALUE_NAMESPACE:
    case VALUE_VIEW:
        value_repr(r, value);
        return;
    default:
        repr_object(r, value);
    }
}
