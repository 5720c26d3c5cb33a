/* Calls written in JSON. See call_text.h. */
#include "chat/call_text.h"

enum scan_result json_scan_step(struct json_scan *scan, char c)
{
    if (scan->in_string) {
        if (scan->escaped)
            scan->escaped = false;
        else if (c == '\\')
            scan->escaped = true;
        else if (c == '"')
            scan->in_string = false;
        return SCAN_ON;
    }
    switch (c) {
    case '"':
        scan->in_string = true;
        return scan->depth > 0 ? SCAN_ON : SCAN_BAD;
    case '{':
    case '[':
        if (scan->depth == SCAN_MAX_DEPTH)
            return SCAN_BAD;
        scan->open[scan->depth++] = c;
        return SCAN_ON;
    case '}':
    case ']':
        if (scan->depth == 0 || scan->open[scan->depth - 1] != (c == '}' ? '{' : '['))
            return SCAN_BAD;
        return --scan->depth == 0 ? SCAN_DONE : SCAN_ON;
    default:
        return c != '\0' && (mark_is_blank(c) || strchr("truefalsenull0123456789.+-eE,:", c) != NULL) ? SCAN_ON : SCAN_BAD;
    }
}

static bool is_one_of(str key, const char *const *names, const char *learnt)
{
    if (str_equal(key, str_of(learnt)))
        return true;
    for (size_t i = 0; names[i] != NULL; i++)
        if (str_equal(key, str_of(names[i])))
            return true;
    return false;
}

static const char *const name_keys[] = {"name", "tool_name", NULL};
static const char *const arguments_keys[] = {"arguments", "parameters", NULL};

/* A member's value at the top of the object: [at, end). */
static void take_member(const struct answer_format *format, str object, str key, size_t at, size_t end, struct call_look *look)
{
    if (is_one_of(key, name_keys, format->name_key) && end > at + 1 && object.data[at] == '"')
        look->name = (str){object.data + at + 1, end - at - 2};
    else if (is_one_of(key, arguments_keys, format->arguments_key) && object.data[at] == '{') {
        look->arguments_at = at;
        look->arguments_end = end;
    }
}

void call_object_look(const struct answer_format *format, str object, struct call_look *look)
{
    struct json_scan scan = {0};
    str key = {NULL, 0};
    size_t string_at = 0, value_at = 0;
    *look = (struct call_look){.arguments_at = 0};
    for (size_t i = 0; i < object.n; i++) {
        bool was_in_string = scan.in_string;
        int was_deep = scan.depth;
        char c = object.data[i];
        if (json_scan_step(&scan, c) == SCAN_BAD)
            return;
        bool top = was_deep == 1 && !was_in_string;
        if (top && c == '"' && value_at == 0)
            string_at = i + 1;
        else if (was_deep == 1 && was_in_string && !scan.in_string && value_at == 0)
            key = (str){object.data + string_at, i - string_at};
        else if (top && value_at > 0 && object.data[value_at] == ':' && !mark_is_blank(c))
            value_at = i; /* The colon's place stands for "not yet begun". */
        else if (top && c == ':' && value_at == 0)
            value_at = i;
        if (value_at == 0 || object.data[value_at] == ':')
            continue;
        bool string_ends = was_deep == 1 && was_in_string && !scan.in_string;
        bool closed = was_deep == 2 && scan.depth == 1;
        if (string_ends || closed)
            take_member(format, object, key, value_at, i + 1, look);
        else if (i == value_at && c == '{')
            take_member(format, object, key, value_at, 0, look);
        if (top && c == ',')
            value_at = 0;
    }
}

bool call_object_parse(const struct answer_format *format, str object, struct buffer *name, struct buffer *arguments)
{
    struct call_look look;
    json_t *parsed = json_parse(object, NULL), *wrapped = json_object_get(parsed, "function");
    const json_t *call = json_is_object(wrapped) ? wrapped : parsed, *named = NULL, *given = NULL, *value;
    const char *key;
    json_object_foreach((json_t *)(uintptr_t)call, key, value) {
        if (json_is_string(value) && is_one_of(str_of(key), name_keys, format->name_key))
            named = value;
        if (is_one_of(str_of(key), arguments_keys, format->arguments_key))
            given = value;
    }
    if (named == NULL && json_is_string(wrapped))
        named = wrapped;
    bool good = named != NULL && json_string_length(named) > 0 && memchr(json_string_value(named), '\0', json_string_length(named)) == NULL;
    call_object_look(format, object, &look);
    if (given == NULL || json_is_null(given)) {
        buffer_append_text(arguments, "{}");
    } else if (json_is_object(given)) { /* As the model wrote it, where it stands at the top. */
        if (call == parsed && look.arguments_end > look.arguments_at)
            buffer_append(arguments, object.data + look.arguments_at, look.arguments_end - look.arguments_at);
        else
            json_write(given, arguments);
    } else if (json_is_string(given)) {
        str text = {json_string_value(given), json_string_length(given)};
        json_t *inner = json_parse(text, NULL);
        good = good && json_is_object(inner);
        json_decref(inner);
        buffer_append_str(arguments, text);
    } else {
        good = false;
    }
    if (good)
        buffer_append(name, json_string_value(named), json_string_length(named));
    json_decref(parsed);
    return good && !name->failed && !arguments->failed;
}

const json_t *tool_function(const json_t *tools, str name)
{
    size_t i;
    json_t *tool;
    json_array_foreach((json_t *)(uintptr_t)tools, i, tool) {
        const json_t *function = json_object_get(tool, "function"), *its = json_object_get(function, "name");
        if (json_is_string(its) && str_equal(name, (str){json_string_value(its), json_string_length(its)}))
            return function;
    }
    return NULL;
}
