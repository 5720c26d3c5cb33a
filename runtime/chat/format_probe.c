/* See format_probe.h. */
#include "chat/format_probe.h"

static json_t *probe_tool(const char *name)
{
    return json_pack("{s:s, s:{s:s, s:s, s:{s:s, s:{s:{s:s, s:s}, s:{s:s, s:s}}, s:[s]}}}", "type", "function", "function", "name", name, "description",
                     "Probes.", "parameters", "type", "object", "properties", PROBE_KEY, "type", "string", "description", "A word", PROBE_KEY_2, "type",
                     "integer", "description", "A number", "required", PROBE_KEY);
}

static json_t *probe_call(const struct probe *probe, const char *name, const char *id)
{
    json_t *arguments = probe->arguments_as_text
                            ? json_string("{\"" PROBE_KEY "\": \"" PROBE_VALUE "\", \"" PROBE_KEY_2 "\": " PROBE_NUMBER_TEXT "}")
                            : json_pack("{s:s, s:i}", PROBE_KEY, PROBE_VALUE, PROBE_KEY_2, PROBE_NUMBER);
    return json_pack("{s:s, s:s, s:{s:s, s:o}}", "id", id, "type", "function", "function", "name", name, "arguments", arguments);
}

static json_t *probe_answer(const struct probe *probe, unsigned what)
{
    json_t *answer = json_pack("{s:s}", "role", "assistant");
    int status = 0;
    if (what & PROBE_SAYS)
        status |= json_object_set_new(answer, "content", json_string(PROBE_SAID));
    else if (probe->no_content != NO_CONTENT_ABSENT)
        status |= json_object_set_new(answer, "content", probe->no_content == NO_CONTENT_EMPTY ? json_string("") : json_null());
    if ((what & PROBE_THINKS) && probe->reasoning_key != NULL)
        status |= json_object_set_new(answer, probe->reasoning_key, json_string(PROBE_THOUGHT));
    if (what & (PROBE_CALLS | PROBE_CALLS_TWICE)) {
        json_t *calls = json_array();
        status |= json_array_append_new(calls, probe_call(probe, PROBE_NAME, probe->id));
        if (what & PROBE_CALLS_TWICE)
            status |= json_array_append_new(calls, probe_call(probe, PROBE_NAME_2, PROBE_ID_2));
        status |= json_object_set_new(answer, "tool_calls", calls);
    }
    if (status == 0)
        return answer;
    json_decref(answer);
    return NULL;
}

static int place_in_system(json_t *messages, json_t *text_take)
{
    json_t *first = json_array_get(messages, 0);
    const char *role = json_string_value(json_object_get(first, "role"));
    if ((role == NULL || strcmp(role, "system") != 0) &&
        json_array_insert_new(messages, 0, json_pack("{s:s, s:s}", "role", "system", "content", "You are a helpful assistant with some tools.")) < 0) {
        json_decref(text_take);
        return -1;
    }
    return json_object_set_new(json_array_get(messages, 0), "tools", text_take);
}

int tools_place_into(enum tools_place place, json_t *context, json_t *messages, json_t *tools_take)
{
    if (place == TOOLS_SYSTEM_MEMBER) {
        char *text = json_dumps(tools_take, JSON_ENCODE_ANY);
        json_decref(tools_take);
        int status = place_in_system(messages, text != NULL ? json_string(text) : NULL);
        free(text);
        return status < 0 ? WEIR_E_MEMORY : 0;
    }
    if (place == TOOLS_NOWHERE) {
        json_decref(tools_take);
        return 0;
    }
    return json_object_set_new(context, place == TOOLS_XML_VARIABLE ? "xml_tools" : "tools", tools_take) < 0 ? WEIR_E_MEMORY : 0;
}

bool probe_render(const struct probe *probe, unsigned what, struct buffer *out)
{
    struct template_limits limits = {.max_steps = 300000, .max_output_bytes = 256 << 10, .max_memory_bytes = 32 << 20};
    json_t *messages = json_array(), *context = json_copy((json_t *)(uintptr_t)probe->variables);
    int status = json_array_append_new(messages, json_pack("{s:s, s:s}", "role", "user", "content", PROBE_ASKED));
    if (!(what & PROBE_NO_ANSWER))
        status |= json_array_append_new(messages, probe_answer(probe, what));
    if (what & PROBE_WITH_RESULT)
        status |= json_array_append_new(messages, json_pack("{s:s, s:s, s:s, s:s}", "role", "tool", "tool_call_id", probe->id, "name", PROBE_NAME, "content",
                                                            PROBE_RESULT));
    if (what & PROBE_WITH_TOOLS)
        status |= tools_place_into(probe->tools_place, context, messages, json_pack("[o, o]", probe_tool(PROBE_NAME), probe_tool(PROBE_NAME_2)));
    status |= json_object_set_new(context, "messages", messages);
    status |= json_object_set_new(context, "add_generation_prompt", json_boolean(what & PROBE_PROMPTS));
    enum template_failure failure;
    struct error err;
    buffer_clear(out);
    if (status == 0)
        status = template_render(probe->template, context, &limits, out, &failure, &err);
    json_decref(context);
    return status == 0 && out->n > 0;
}
