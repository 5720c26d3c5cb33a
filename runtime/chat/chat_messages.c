/* See chat_messages.h. Roles are held to the known ones, because templates build special tokens from them ("<|" role "|>"). */
#include "chat/chat_messages.h"

#include <stdio.h>

/* Parts that are all text become one string; other content stays as it is. */
static int join_parts(json_t *message)
{
    json_t *content = json_object_get(message, "content"), *part;
    struct buffer text;
    size_t index;
    if (!json_is_array(content))
        return 0;
    buffer_init(&text, CHAT_MAX_BYTES);
    bool all_text = true;
    json_array_foreach(content, index, part) {
        str piece = {NULL, 0};
        all_text = all_text && json_member_str(part, "text", &piece, NULL) == 1;
        buffer_append_str(&text, piece);
    }
    int status = text.failed ? WEIR_E_LIMIT : 0;
    if (status == 0 && all_text && json_object_set_new(message, "content", json_stringn(text.data != NULL ? text.data : "", text.n)) < 0)
        status = WEIR_E_INVALID;
    buffer_release(&text);
    return status;
}

static int drop_nulls(json_t *message)
{
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(message, next, key, value)
        if (json_is_null(value))
            (void)json_object_del(message, key);
    return 0;
}

/* An id as templates want it that allow nine letters and digits only; the same id always becomes the same one. */
static void shorten_id(json_t *holder, const char *key)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    str id = {NULL, 0};
    char out[10];
    if (json_member_str(holder, key, &id, NULL) != 1)
        return;
    uint64_t hash = str_hash(id);
    for (int i = 0; i < 9; i++, hash /= 36)
        out[i] = digits[hash % 36];
    out[9] = '\0';
    (void)!json_object_set_new(holder, key, json_string(out));
}

/* A call's arguments: JSON in a string by the API's rules, an object to most templates. */
static int shape_arguments(const struct answer_format *format, json_t *function)
{
    json_t *arguments = json_object_get(function, "arguments");
    str text;
    if (!format->arguments_as_text && json_member_str(function, "arguments", &text, NULL) == 1) {
        json_t *opened = json_parse(text.n > 0 ? text : STR("{}"), NULL);
        int status = json_is_object(opened) ? json_object_set(function, "arguments", opened) : 0;
        json_decref(opened);
        return status;
    }
    if (format->arguments_as_text && json_is_object(arguments)) {
        struct buffer written;
        buffer_init(&written, CHAT_MAX_BYTES);
        int status = json_write(arguments, &written);
        if (status == 0)
            status = json_object_set_new(function, "arguments", json_stringn(written.data, written.n));
        buffer_release(&written);
        return status;
    }
    return 0;
}

static int shape_calls(const struct answer_format *format, json_t *message)
{
    json_t *calls = json_object_get(message, "tool_calls"), *call;
    const json_t *content = json_object_get(message, "content");
    size_t index;
    int status = 0;
    json_array_foreach(calls, index, call) {
        status |= shape_arguments(format, json_object_get(call, "function"));
        if (format->short_ids)
            shorten_id(call, "id");
    }
    bool says_nothing = content == NULL || (json_is_string(content) && json_string_length(content) == 0);
    if (!says_nothing)
        return status;
    if (format->no_content == NO_CONTENT_ABSENT)
        (void)json_object_del(message, "content");
    else
        status |= json_object_set_new(message, "content", format->no_content == NO_CONTENT_NULL ? json_null() : json_string(""));
    return status;
}

/* Reasoning under the name that the template knows. */
static int shape_reasoning(const struct answer_format *format, json_t *message)
{
    json_t *reasoning = json_object_get(message, "reasoning_content");
    if (reasoning == NULL)
        reasoning = json_object_get(message, "reasoning");
    if (!json_is_string(reasoning) || format->reasoning_key == NULL)
        return 0;
    return json_object_set(message, format->reasoning_key, reasoning);
}

static int shape_message(const struct answer_format *format, bool knows_developer, json_t *message, size_t index, struct error *err)
{
    static const char *const roles[] = {"system", "developer", "user", "assistant", "tool", "function", "ipython"};
    char where[64];
    const char *role = json_string_value(json_object_get(message, "role"));
    bool known = false;
    for (size_t i = 0; i < sizeof roles / sizeof *roles && role != NULL; i++)
        known = known || strcmp(role, roles[i]) == 0;
    snprintf(where, sizeof where, "messages[%zu].role", index);
    if (!known)
        return error_set(err, WEIR_E_INVALID, where, "must be system, developer, user, assistant, tool or function");
    if (strcmp(role, "developer") == 0 && !knows_developer && json_object_set_new(message, "role", json_string("system")) < 0)
        return error_set(err, WEIR_E_MEMORY, where, "no memory");
    snprintf(where, sizeof where, "messages[%zu].content", index);
    if (join_parts(message) < 0)
        return error_set(err, WEIR_E_INVALID, where, "is too large, or not valid UTF-8");
    int status = drop_nulls(message) | shape_reasoning(format, message);
    if (json_array_size(json_object_get(message, "tool_calls")) > 0) {
        snprintf(where, sizeof where, "messages[%zu].tool_calls", index);
        if (format->form == CALL_NONE)
            return error_set(err, WEIR_E_UNSUPPORTED, where, "the model's chat template shows no tool calls");
        status |= shape_calls(format, message);
    } else {
        (void)json_object_del(message, "tool_calls"); /* An empty list is none. */
    }
    if (format->short_ids && json_object_get(message, "tool_call_id") != NULL)
        shorten_id(message, "tool_call_id");
    return status != 0 ? error_set(err, WEIR_E_MEMORY, where, "no memory") : 0;
}

int chat_messages_shape(const struct answer_format *format, bool knows_developer, json_t *messages, struct error *err)
{
    size_t index;
    json_t *message;
    if (!json_is_array(messages))
        return error_set(err, WEIR_E_INVALID, "messages", "must be an array");
    json_array_foreach(messages, index, message) {
        int status = shape_message(format, knows_developer, message, index, err);
        if (status < 0)
            return status;
    }
    return 0;
}

int chat_messages_write_calls(const struct answer_format *format, json_t *messages, struct error *err)
{
    size_t index;
    json_t *message;
    json_array_foreach(messages, index, message) {
        const json_t *calls = json_object_get(message, "tool_calls");
        str said = {NULL, 0};
        struct buffer text;
        if (json_array_size(calls) == 0)
            continue;
        (void)!json_member_str(message, "content", &said, NULL);
        buffer_init(&text, CHAT_MAX_BYTES);
        buffer_append_str(&text, said);
        if (said.n > 0)
            buffer_append_char(&text, '\n');
        int status = answer_format_write_calls(format, calls, &text);
        if (status == 0 && json_object_set_new(message, "content", json_stringn(text.data, text.n)) < 0)
            status = WEIR_E_MEMORY;
        (void)json_object_del(message, "tool_calls");
        buffer_release(&text);
        if (status < 0)
            return error_set(err, (enum weir_status)status, "messages", "the tool calls of message %zu cannot be written", index);
    }
    return 0;
}
