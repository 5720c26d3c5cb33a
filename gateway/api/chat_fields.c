/* Fields of POST /v1/chat/completions. */
#include "api/api_request.h"

static const char *const known[] = {
    "model", "messages", "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty",
    "n", "stop", "max_tokens", "max_completion_tokens", "stream", "stream_options", "logit_bias", "logprobs", "top_logprobs", "seed", "context_shift",
    /* They label a request and change nothing of its answer. */
    "user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
    /* What the answer looks like. */
    "response_format", "structured_outputs", "json_schema", "grammar",
    /* Looked at below: some of their values ask for nothing. */
    "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "store", "service_tier", "chat_template_kwargs", "reasoning_effort",
    "modalities", NULL};

static bool role_is_known(str role)
{
    static const char *const roles[] = {"system", "developer", "user", "assistant", "tool", "function"};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (str_equal(role, str_of(roles[i])))
            return true;
    return false;
}

/* Content as a list of parts; text parts are for all, others for remote models only. */
static int parse_parts(struct api_request *request, const json_t *parts, const char *path, struct api_error *error)
{
    size_t i;
    json_t *part;
    if (json_array_size(parts) == 0)
        return api_error_set(error, 400, NULL, path, "%s: must not be an empty array", path);
    json_array_foreach(parts, i, part) {
        char where[192];
        struct error err = {0};
        str type, text;
        snprintf(where, sizeof where, "%s[%zu].", path, i);
        if (!json_is_object(part))
            return api_error_set(error, 400, NULL, path, "%s[%zu]: must be an object with a type", path, i);
        int status = json_member_str(part, "type", &type, &err);
        if (status < 0)
            return api_error_from_field(error, where, &err);
        if (status == 0)
            return api_error_set(error, 400, NULL, path, "%stype: is missing", where);
        if (!str_equal(type, STR("text"))) {
            api_request_mark_remote_only(request, path);
            continue;
        }
        status = json_member_str(part, "text", &text, &err);
        if (status < 0)
            return api_error_from_field(error, where, &err);
        if (status == 0)
            return api_error_set(error, 400, NULL, path, "%stext: is missing", where);
    }
    return 0;
}

static int parse_message(struct api_request *request, const json_t *message, size_t index, struct api_error *error)
{
    char path[64], prefix[64];
    struct error err = {0};
    str role;
    snprintf(prefix, sizeof prefix, "messages[%zu].", index);
    if (!json_is_object(message)) {
        snprintf(path, sizeof path, "messages[%zu]", index);
        return api_error_set(error, 400, NULL, path, "%s: must be an object", path);
    }
    int status = json_member_str(message, "role", &role, &err);
    snprintf(path, sizeof path, "messages[%zu].role", index);
    if (status < 0)
        return api_error_from_field(error, prefix, &err);
    if (status == 0)
        return api_error_set(error, 400, NULL, path, "%s: is missing", path);
    if (!role_is_known(role))
        return api_error_set(error, 400, NULL, path, "%s: must be system, developer, user, assistant or tool", path);
    snprintf(path, sizeof path, "messages[%zu].content", index);
    const json_t *content = json_object_get(message, "content");
    bool calls = json_object_get(message, "tool_calls") != NULL || json_object_get(message, "function_call") != NULL;
    bool may_be_absent = str_equal(role, STR("assistant")) &&
                         (calls || json_object_get(message, "refusal") != NULL || json_object_get(message, "audio") != NULL);
    if (json_is_array(content)) {
        status = parse_parts(request, content, path, error);
    } else if (content == NULL || json_is_null(content)) {
        if (!may_be_absent)
            return api_error_set(error, 400, NULL, path, "%s: is missing", path);
    } else if (!json_is_string(content)) {
        return api_error_set(error, 400, NULL, path, "%s: must be a string or an array of parts", path);
    }
    if (status < 0)
        return status;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)message, name, value) {
        bool plain = strcmp(name, "role") == 0 || strcmp(name, "content") == 0 || strcmp(name, "name") == 0 || json_is_null(value);
        if (!plain && !message_member_is_local(role.data, name, value)) {
            snprintf(path, sizeof path, "messages[%zu].%.40s", index, name);
            api_request_mark_remote_only(request, path);
        }
    }
    return 0;
}

/* Does an assistant's message call tools that a remote model chose? */
static bool calls_from_afar(const json_t *message)
{
    const json_t *calls = json_object_get(message, "tool_calls"), *id = json_object_get(json_array_get(calls, 0), "id");
    if (json_is_string(id) && str_starts(str_of(json_string_value(id)), STR(API_LOCAL_CALL)))
        return false;
    return json_array_size(calls) > 0 || json_is_object(json_object_get(message, "function_call"));
}

static int parse_messages(struct api_request *request, struct api_error *error)
{
    struct error err = {0};
    int status = json_member_array(request->body, "messages", &request->messages, &err);
    if (status < 0)
        return api_error_from_field(error, NULL, &err);
    if (status == 0)
        return api_error_set(error, 400, NULL, "messages", "messages: is missing");
    size_t n = json_array_size(request->messages);
    if (n == 0)
        return api_error_set(error, 400, NULL, "messages", "messages: must hold at least one message");
    if (n > API_MAX_MESSAGES)
        return api_error_set(error, 400, NULL, "messages", "messages: at most %d", API_MAX_MESSAGES);
    for (size_t i = 0; i < n; i++) {
        const json_t *message = json_array_get(request->messages, i);
        status = parse_message(request, message, i, error);
        if (status < 0)
            return status;
        const char *role = json_string_value(json_object_get(message, "role"));
        if (strcmp(role, "assistant") == 0)
            request->called_afar = calls_from_afar(message);
        request->tool_loop = strcmp(role, "tool") == 0 || strcmp(role, "function") == 0;
    }
    return 0;
}

static int parse_logprobs(struct api_request *request, struct api_error *error)
{
    struct error err = {0};
    int64_t top = 0;
    if (json_member_bool(request->body, "logprobs", &request->logprobs, &err) < 0)
        return api_error_from_field(error, NULL, &err);
    int status = json_member_i64(request->body, "top_logprobs", &top, &err);
    if (status < 0)
        return api_error_from_field(error, NULL, &err);
    if (top < 0 || top > SAMPLING_MAX_TOP_LOGPROBS)
        return api_error_set(error, 400, NULL, "top_logprobs", "top_logprobs: must be an integer from 0 to %d", SAMPLING_MAX_TOP_LOGPROBS);
    if (status > 0 && !request->logprobs)
        return api_error_set(error, 400, NULL, "top_logprobs", "top_logprobs: needs logprobs to be true");
    request->n_top_logprobs = (int)top;
    request->sampling.logprobs = request->logprobs;
    request->sampling.n_top_logprobs = (int)top;
    return 0;
}

static int parse_max_tokens(struct api_request *request, struct api_error *error)
{
    static const char *const names[] = {"max_tokens", "max_completion_tokens"};
    for (int i = 0; i < 2; i++) {
        struct error err = {0};
        int64_t value;
        int status = json_member_i64(request->body, names[i], &value, &err);
        if (status < 0)
            return api_error_from_field(error, NULL, &err);
        if (status == 0)
            continue;
        if (value < 1)
            return api_error_set(error, 400, NULL, names[i], "%s: must be at least 1", names[i]);
        request->max_tokens = request->has_max_tokens && request->max_tokens < value ? request->max_tokens : value;
        request->has_max_tokens = true;
    }
    return 0;
}

/* Types of what is passed through to remote models, and whether it asks anything of a local one. */
static int parse_passed_through(struct api_request *request, struct api_error *error)
{
    struct error err = {0};
    json_t *value;
    json_t *variables = NULL;
    str effort = {NULL, 0};
    int status = json_member_object(request->body, "chat_template_kwargs", &variables, &err);
    if (status >= 0)
        status = json_member_str(request->body, "reasoning_effort", &effort, &err);
    if (status < 0)
        return api_error_from_field(error, NULL, &err);
    request->template_variables = variables;
    request->reasoning_effort = effort.data;
    status = json_member_array(request->body, "functions", &value, &err);
    if (status < 0)
        return api_error_from_field(error, NULL, &err);
    const json_t *choice = json_object_get(request->body, "function_call");
    bool none = json_is_string(choice) && strcmp(json_string_value(choice), "none") == 0;
    if (status > 0 && json_array_size(value) > 0 && !none)
        api_request_mark_remote_only(request, "functions");
    if (json_is_true(json_object_get(request->body, "store")))
        api_request_mark_remote_only(request, "store");
    const json_t *modalities = json_object_get(request->body, "modalities");
    if (json_is_array(modalities) && !(json_array_size(modalities) == 1 && json_is_string(json_array_get(modalities, 0)) &&
                                       strcmp(json_string_value(json_array_get(modalities, 0)), "text") == 0))
        api_request_mark_remote_only(request, "modalities");
    const json_t *tier = json_object_get(request->body, "service_tier");
    if (json_is_string(tier) && strcmp(json_string_value(tier), "auto") != 0 && strcmp(json_string_value(tier), "default") != 0)
        api_request_mark_remote_only(request, "service_tier");
    return 0;
}

int chat_fields_parse(struct api_request *request, struct arena *arena, struct api_error *error)
{
    if (parse_messages(request, error) < 0 || sampling_fields_parse(request, arena, error) < 0 ||
        parse_logprobs(request, error) < 0 || parse_max_tokens(request, error) < 0 || tool_fields_parse(request, error) < 0 ||
        parse_passed_through(request, error) < 0)
        return WEIR_E_INVALID;
    unknown_fields_mark(request, known);
    if (!request->has_max_tokens)
        request->sampling.max_tokens = -1;
    else
        request->sampling.max_tokens = request->max_tokens > INT32_MAX ? -1 : (int)request->max_tokens;
    request->best_of = request->n;
    return 0;
}
