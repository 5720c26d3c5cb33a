/* Fields of a chat that have to do with tools. A local model takes functions; `strict` ones only where tool_choice demands a call, for
 * only then its arguments can be held to their schema. What it can't take is marked for a remote one, whose provider judges its form. */
#include "api/api_request.h"

static bool is_function_name(const json_t *value)
{
    const char *name = json_string_value(value);
    size_t n = json_is_string(value) ? json_string_length(value) : 0;
    return n > 0 && n <= 64 && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == n;
}

static bool is_type_function(const json_t *value)
{
    const char *type = json_string_value(json_object_get(value, "type"));
    return type != NULL && strcmp(type, "function") == 0;
}

/* The field of a tool that a local model can't take, NULL: it takes all of it. */
static const char *foreign_field(const json_t *tool)
{
    const json_t *function = json_object_get(tool, "function"), *description = json_object_get(function, "description");
    const json_t *parameters = json_object_get(function, "parameters");
    if (!is_type_function(tool))
        return "type";
    if (!is_function_name(json_object_get(function, "name")))
        return "function.name";
    if (description != NULL && !json_is_string(description) && !json_is_null(description))
        return "function.description";
    if (parameters != NULL && !json_is_object(parameters) && !json_is_null(parameters))
        return "function.parameters";
    return NULL;
}

/* A strict tool: held to its schema where a call must be. */
static bool takes_strict(struct api_request *request, const json_t *function)
{
    const char *name = json_string_value(json_object_get(function, "name"));
    if (!json_is_true(json_object_get(function, "strict")))
        return true;
    if (request->tool_choice == TOOL_CHOICE_NAMED && strcmp(name, request->tool_name) != 0)
        return true; /* It won't be called. */
    request->by_schema = true;
    return request->tool_choice == TOOL_CHOICE_NAMED || request->tool_choice == TOOL_CHOICE_REQUIRED;
}

static bool is_tool(const json_t *tools, const char *name)
{
    size_t i;
    json_t *tool;
    json_array_foreach((json_t *)(uintptr_t)tools, i, tool) {
        const char *its = json_string_value(json_object_get(json_object_get(tool, "function"), "name"));
        if (its != NULL && strcmp(its, name) == 0)
            return true;
    }
    return false;
}

static void parse_choice(struct api_request *request, const json_t *tools)
{
    const json_t *choice = json_object_get(request->body, "tool_choice");
    const char *word = json_string_value(choice), *name = json_string_value(json_object_get(json_object_get(choice, "function"), "name"));
    if (choice == NULL || json_is_null(choice) || (word != NULL && strcmp(word, "auto") == 0)) {
        request->tool_choice = TOOL_CHOICE_AUTO;
    } else if (word != NULL && strcmp(word, "none") == 0) {
        request->tool_choice = TOOL_CHOICE_NONE;
    } else if (word != NULL && strcmp(word, "required") == 0 && json_array_size(tools) > 0) {
        request->tool_choice = TOOL_CHOICE_REQUIRED;
    } else if (is_type_function(choice) && name != NULL && is_tool(tools, name)) {
        request->tool_choice = TOOL_CHOICE_NAMED;
        request->tool_name = name;
    } else {
        api_request_mark_remote_only(request, "tool_choice");
    }
}

int tool_fields_parse(struct api_request *request, struct api_error *error)
{
    struct error err = {0};
    json_t *tools = NULL, *tool;
    bool parallel = true;
    size_t i;
    int status = json_member_array(request->body, "tools", &tools, &err);
    if (status >= 0)
        status = json_member_bool(request->body, "parallel_tool_calls", &parallel, &err);
    if (status < 0)
        return api_error_from_field(error, NULL, &err);
    parse_choice(request, tools);
    if (json_array_size(tools) == 0 || request->tool_choice == TOOL_CHOICE_NONE)
        return 0;
    request->tools = tools;
    request->one_call = !parallel;
    if (request->tool_choice == TOOL_CHOICE_AUTO && request->sampling.grammar != NULL)
        api_request_mark_remote_only(request, "tools"); /* An answer held to a shape has no room for calls. */
    json_array_foreach(tools, i, tool) {
        const char *field = foreign_field(tool);
        char path[80];
        if (field == NULL && !takes_strict(request, json_object_get(tool, "function")))
            field = "function.strict";
        if (field == NULL)
            continue;
        snprintf(path, sizeof path, "tools[%zu].%s", i, field);
        api_request_mark_remote_only(request, path);
    }
    return 0;
}

static bool are_calls(const json_t *calls)
{
    size_t i;
    json_t *call;
    json_array_foreach((json_t *)(uintptr_t)calls, i, call) {
        const json_t *function = json_object_get(call, "function");
        if (!is_type_function(call) || !json_is_string(json_object_get(call, "id")) || !is_function_name(json_object_get(function, "name")) ||
            !json_is_string(json_object_get(function, "arguments")))
            return false;
    }
    return json_is_array(calls);
}

bool message_member_is_local(const char *role, const char *name, const json_t *value)
{
    if (strcmp(role, "assistant") == 0 && strcmp(name, "tool_calls") == 0)
        return are_calls(value);
    if (strcmp(role, "assistant") == 0 && (strcmp(name, "reasoning_content") == 0 || strcmp(name, "reasoning") == 0))
        return json_is_string(value);
    return strcmp(role, "tool") == 0 && strcmp(name, "tool_call_id") == 0 && json_is_string(value);
}
