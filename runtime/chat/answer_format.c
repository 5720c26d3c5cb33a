/* See answer_format.h. */
#include "chat/answer_format.h"

#include <stdlib.h>

bool answer_format_has_tools(const struct answer_format *format)
{
    return format != NULL && format->tools_place != TOOLS_NOWHERE && format->form != CALL_NONE;
}

bool answer_format_has_reasoning(const struct answer_format *format)
{
    return format != NULL && format->think_open[0] != '\0';
}

bool answer_format_begin_call(const struct answer_format *format, const char *name, bool in_reasoning, struct buffer *out)
{
    bool named_at_once = format->before_name[0] == '\0';
    if (format->form == CALL_NONE || (named_at_once && (name == NULL || format->primer[0] == '\0')))
        return false;
    if (in_reasoning)
        buffer_printf(out, "%s\n\n", format->think_close);
    buffer_append_text(out, format->before_name);
    if (name != NULL) {
        buffer_append_text(out, name);
        buffer_append_text(out, format->after_name);
    }
    return !out->failed;
}

int answer_format_write_calls(const struct answer_format *format, const json_t *calls, struct buffer *out)
{
    size_t i;
    json_t *call;
    json_array_foreach((json_t *)(uintptr_t)calls, i, call) {
        const json_t *function = json_object_get(call, "function");
        json_t *written = json_pack("{s:O, s:O}", format->name_key, json_object_get(function, "name"), format->arguments_key,
                                    json_object_get(function, "arguments"));
        char *text = json_dumps(written, 0);
        json_decref(written);
        if (text == NULL)
            return WEIR_E_INVALID;
        if (format->in_array)
            buffer_printf(out, "%s%s", i == 0 ? format->call_open : ", ", i == 0 ? "[" : "");
        else
            buffer_printf(out, "%s%s\n", i == 0 ? "" : "\n", format->call_open);
        buffer_append_text(out, text);
        if (!format->in_array)
            buffer_printf(out, "\n%s", format->call_close);
        free(text);
    }
    if (format->in_array && json_array_size(calls) > 0)
        buffer_printf(out, "]%s", format->call_close);
    return out->failed ? WEIR_E_LIMIT : 0;
}

size_t answer_format_open_reasoning(const struct answer_format *format, str prompt)
{
    str end = prompt;
    while (end.n > 0 && mark_is_blank(end.data[end.n - 1]))
        end.n--;
    size_t n = mark_at_end(format->think_open, end);
    return n > 0 ? n + prompt.n - end.n : 0;
}

bool answer_format_close_reasoning(const struct answer_format *format, str text, struct buffer *out)
{
    if (format == NULL || answer_format_open_reasoning(format, text) == 0)
        return false;
    buffer_printf(out, "%s\n\n", format->think_close);
    return true;
}
