/* A conversation as a local model takes it. */
#include "api/api_request.h"

/* Content as one string: text parts one after the other. */
static json_t *plain_content(const json_t *content)
{
    if (json_is_string(content))
        return json_incref((json_t *)(uintptr_t)content);
    struct buffer text;
    buffer_init(&text, (size_t)64 << 20);
    size_t i;
    json_t *part;
    json_array_foreach(content, i, part) {
        const json_t *piece = json_object_get(part, "text");
        if (json_is_string(piece))
            buffer_append(&text, json_string_value(piece), json_string_length(piece));
    }
    json_t *joined = text.failed ? NULL : json_stringn(buffer_str(&text).data, text.n);
    buffer_release(&text);
    return joined;
}

/* Members that templates know how to show; message_member_is_local has let no other by. */
static int copy_members(const json_t *message, json_t *out)
{
    static const char *const names[] = {"tool_calls", "tool_call_id", "reasoning_content", "reasoning"};
    int status = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *value = json_object_get(message, names[i]);
        if (value != NULL && !json_is_null(value))
            status |= json_object_set(out, names[i], value);
    }
    const char *role = json_string_value(json_object_get(message, "role"));
    json_t *name = json_object_get(message, "name");
    if (strcmp(role, "tool") == 0 && json_is_string(name))
        status |= json_object_set(out, "name", name);
    return status;
}

str api_last_turn(const struct api_request *request)
{
    const json_t *message = json_array_get(request->messages, json_array_size(request->messages) - 1);
    const char *role = json_string_value(json_object_get(message, "role"));
    const json_t *content = json_object_get(message, "content");
    if (json_is_array(content) && json_array_size(content) == 1)
        content = json_object_get(json_array_get(content, 0), "text");
    if (role == NULL || strcmp(role, "user") != 0 || !json_is_string(content))
        return (str){NULL, 0};
    return (str){json_string_value(content), json_string_length(content)};
}

/* What a message says to the local model. */
static json_t *local_content(const struct api_request *request, size_t i, const json_t *message)
{
    bool grounded = request->grounded.data != NULL && i + 1 == json_array_size(request->messages);
    return grounded ? json_stringn(request->grounded.data, request->grounded.n) : plain_content(json_object_get(message, "content"));
}

json_t *api_local_messages(const struct api_request *request)
{
    json_t *out = json_array();
    size_t i;
    json_t *message;
    json_array_foreach(request->messages, i, message) {
        const char *role = json_string_value(json_object_get(message, "role"));
        json_t *plain = json_object();
        if (json_object_set_new(plain, "role", json_string(strcmp(role, "developer") == 0 ? "system" : role)) < 0 ||
            json_object_set_new(plain, "content", local_content(request, i, message)) < 0 || copy_members(message, plain) < 0 ||
            json_array_append_new(out, plain) < 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

/* The template's variables for what the caller wants of its reasoning: by their own names, or an effort in OpenAI's word. New
 * reference in *out, NULL: none. */
static int template_variables(const struct api_request *request, const struct model *model, json_t **out, struct error *err)
{
    const char *effort = request->reasoning_effort;
    *out = request->template_variables != NULL ? json_copy((json_t *)(uintptr_t)request->template_variables) : NULL;
    if (effort == NULL)
        return 0;
    bool by_name = model_template_knows(model, "reasoning_effort"), by_switch = model_template_knows(model, "enable_thinking");
    bool none = strcmp(effort, "none") == 0;
    if (!by_name && !by_switch && !(none && !answer_format_has_reasoning(model_answer_format_peek(model))))
        return error_set(err, WEIR_E_UNSUPPORTED, "reasoning_effort", "the local model's chat template knows no such setting");
    if (*out == NULL)
        *out = json_object();
    int status = 0;
    if (by_name)
        status = json_object_set_new(*out, "reasoning_effort", json_string(effort));
    else if (by_switch && json_object_get(*out, "enable_thinking") == NULL)
        status = json_object_set_new(*out, "enable_thinking", json_boolean(!none));
    return status < 0 ? error_set(err, WEIR_E_MEMORY, "reasoning_effort", "out of memory") : 0;
}

/* Is this the name of a request's field that a model may refuse? */
static bool is_field(str where)
{
    return str_starts(where, STR("messages[")) || str_equal(where, STR("tools")) || str_equal(where, STR("tool_choice")) ||
           str_equal(where, STR("reasoning_effort")) || str_starts(where, STR("chat_template_kwargs."));
}

int api_local_prompt(const struct api_request *request, const struct model *model, struct ids *out, struct chat_begun *begun, struct error *err)
{
    bool forced = request->tool_choice == TOOL_CHOICE_REQUIRED || request->tool_choice == TOOL_CHOICE_NAMED;
    struct chat_settings settings = {.tools = request->tools, .must_call = forced, .call_name = request->tool_name,
                                     .by_schema = request->by_schema, .at_once = request->sampling.grammar != NULL};
    json_t *variables = NULL, *messages = NULL;
    if (request->tools != NULL && !answer_format_has_tools(model_answer_format_peek(model)))
        return error_set(err, WEIR_E_UNSUPPORTED, "tools", "the local model's chat template has no tool calls");
    int status = template_variables(request, model, &variables, err);
    if (status == 0 && (messages = api_local_messages(request)) == NULL)
        status = error_set(err, WEIR_E_MEMORY, "messages", "out of memory");
    settings.variables = variables;
    if (status == 0)
        status = model_chat_prompt(model, messages, &settings, out, begun, err);
    json_decref(messages);
    json_decref(variables);
    if (status < 0 && !is_field(str_of(err->where)))
        str_copy(err->where, sizeof err->where, STR("messages"));
    return status;
}
