/* Pseudonyms turned back in what a provider answers: text of each choice, arguments of each tool call, whole objects. */
#include "request/restore.h"

enum { MAX_CALLS = 64 };

/* The restorer of one call's arguments, made at its first piece. NULL: too many calls, or no memory. */
static struct restorer *call_restorer(struct request *request, int choice, int call)
{
    if (request->call_restorers == NULL) {
        request->call_restorers = arena_array(&request->arena, MAX_CALLS, sizeof *request->call_restorers);
        request->call_keys = arena_array(&request->arena, MAX_CALLS, sizeof *request->call_keys);
        if (request->call_restorers == NULL || request->call_keys == NULL)
            return NULL;
    }
    int key = choice * 65536 + call;
    for (int i = 0; i < request->n_call_restorers; i++)
        if (request->call_keys[i] == key)
            return &request->call_restorers[i];
    if (request->n_call_restorers == MAX_CALLS)
        return NULL;
    restorer_init(&request->call_restorers[request->n_call_restorers], request->redaction, true);
    request->call_keys[request->n_call_restorers] = key;
    return &request->call_restorers[request->n_call_restorers++];
}

static void replace_string(json_t *object, const char *name, const struct buffer *text)
{
    json_object_set_new(object, name, json_stringn(buffer_str(text).data, text->n));
}

/* One string member, whole. */
static void restore_member(const struct request *request, json_t *object, const char *name, bool json_context)
{
    json_t *value = json_object_get(object, name);
    if (!json_is_string(value))
        return;
    struct restorer restorer;
    struct buffer text;
    buffer_init(&text, (size_t)32 << 20);
    restorer_init(&restorer, request->redaction, json_context);
    if (restorer_push(&restorer, (str){json_string_value(value), json_string_length(value)}, &text) == 0 &&
        restorer_finish(&restorer, &text) == 0)
        replace_string(object, name, &text);
    buffer_release(&text);
}

json_t *restore_answer(const struct request *request, const json_t *answer)
{
    if (request->redaction == NULL)
        return json_incref((json_t *)(uintptr_t)answer);
    json_t *copy = json_deep_copy(answer), *choice, *call;
    size_t i, k;
    json_array_foreach(json_object_get(copy, "choices"), i, choice) {
        json_t *message = json_object_get(choice, "message");
        restore_member(request, choice, "text", false);
        restore_member(request, message, "content", false);
        restore_member(request, message, "refusal", false);
        json_array_foreach(json_object_get(message, "tool_calls"), k, call)
            restore_member(request, json_object_get(call, "function"), "arguments", true);
        restore_member(request, json_object_get(message, "function_call"), "arguments", true);
    }
    return copy;
}

json_t *restore_delta(struct request *request, int choice, const json_t *delta)
{
    const json_t *calls = json_object_get(delta, "tool_calls");
    if (request->redaction == NULL || calls == NULL)
        return json_incref((json_t *)(uintptr_t)delta);
    json_t *copy = json_deep_copy(delta), *call;
    struct buffer text;
    size_t i;
    buffer_init(&text, (size_t)1 << 20);
    json_array_foreach(json_object_get(copy, "tool_calls"), i, call) {
        json_t *function = json_object_get(call, "function"), *arguments = json_object_get(function, "arguments");
        const json_t *index = json_object_get(call, "index");
        int number = json_is_integer(index) ? (int)(json_integer_value(index) & 0xFFFF) : 0;
        struct restorer *restorer = call_restorer(request, choice, number);
        buffer_clear(&text);
        if (json_is_string(arguments) && restorer != NULL &&
            restorer_push(restorer, (str){json_string_value(arguments), json_string_length(arguments)}, &text) == 0)
            replace_string(function, "arguments", &text);
    }
    buffer_release(&text);
    return copy;
}

json_t *restore_held_arguments(struct request *request, int choice)
{
    json_t *calls = NULL;
    struct buffer text;
    buffer_init(&text, 4096);
    for (int i = 0; i < request->n_call_restorers; i++) {
        if (request->call_keys[i] / 65536 != choice)
            continue;
        buffer_clear(&text);
        if (restorer_finish(&request->call_restorers[i], &text) < 0 || text.n == 0)
            continue;
        if (calls == NULL)
            calls = json_array();
        json_array_append_new(calls, json_pack("{s:i, s:{s:o}}", "index", request->call_keys[i] % 65536, "function", "arguments",
                                               json_stringn(buffer_str(&text).data, text.n)));
    }
    buffer_release(&text);
    return calls != NULL ? json_pack("{s:o}", "tool_calls", calls) : NULL;
}
