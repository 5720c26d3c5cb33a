/* Calls whose arguments stand between tags. See call_text.h. */
#include "chat/call_text.h"

enum { CALL_KEY_BYTES = 256 };

static bool type_names(const json_t *type, const char *name)
{
    size_t i;
    json_t *item;
    if (json_is_string(type))
        return strcmp(json_string_value(type), name) == 0;
    json_array_foreach((json_t *)(uintptr_t)type, i, item)
        if (json_is_string(item) && strcmp(json_string_value(item), name) == 0)
            return true;
    return false;
}

/* A value's text is what its type says; where nothing does, JSON if it is some. */
static json_t *typed_value(const json_t *type, str text)
{
    bool none = str_equal(text, STR("None")) || str_equal(text, STR("null"));
    if (none && !(json_is_string(type) && type_names(type, "string")))
        return json_null();
    if (type_names(type, "string"))
        return json_stringn(text.data, text.n);
    if (str_equal(text, STR("True")) || str_equal(text, STR("False")))
        return json_boolean(text.data[0] == 'T');
    json_error_t ignored;
    json_t *value = json_loadb(text.data, text.n, JSON_DECODE_ANY, &ignored);
    return value != NULL ? value : json_stringn(text.data, text.n);
}

/* The first place of a mark in text, with its length; -1: none. */
static ptrdiff_t find_mark(const char *mark, str text, size_t *n)
{
    for (size_t i = 0; i < text.n; i++)
        if (mark_match(mark, (str){text.data + i, text.n - i}, n) == MARK_WHOLE)
            return (ptrdiff_t)i;
    return -1;
}

/* The stretch before a mark, which goes too. False: the mark is not there. */
static bool take_until(str *s, const char *mark, str *before)
{
    size_t n;
    ptrdiff_t at = find_mark(mark, *s, &n);
    if (at < 0)
        return false;
    *before = (str){s->data, (size_t)at};
    *s = (str){s->data + (size_t)at + n, s->n - (size_t)at - n};
    return true;
}

json_t *tagged_arguments(const struct answer_format *format, const json_t *function, str text)
{
    const json_t *properties = json_object_get(json_object_get(function, "parameters"), "properties");
    json_t *arguments = json_object();
    size_t n;
    str rest = str_trim(text), key, value;
    if (format->name_end[0] != '\0' && mark_match(format->name_end, rest, &n) == MARK_WHOLE)
        rest = (str){rest.data + n, rest.n - n};
    for (rest = str_trim(rest); rest.n > 0; rest = str_trim(rest)) {
        char name[CALL_KEY_BYTES];
        bool good = mark_match(format->key_open, rest, &n) == MARK_WHOLE;
        if (good)
            rest = (str){rest.data + n, rest.n - n};
        good = good && take_until(&rest, format->key_end, &key) && take_until(&rest, format->value_end, &value);
        good = good && str_trim(key).n > 0 && str_copy(name, sizeof name, str_trim(key));
        if (good && value.n > 0 && value.data[0] == '\n')
            value = (str){value.data + 1, value.n - 1};
        if (good && value.n > 0 && value.data[value.n - 1] == '\n')
            value.n--;
        if (!good || json_object_set_new(arguments, name, typed_value(json_object_get(json_object_get(properties, name), "type"), value)) < 0) {
            json_decref(arguments);
            return NULL;
        }
    }
    return arguments;
}
