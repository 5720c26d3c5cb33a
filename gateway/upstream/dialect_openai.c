/* OpenAI's dialect, as its published API document has it and as providers that speak it bend it. Pure functions; no text of
 * a body is kept or logged. The steps that follow from a refusal are the relay's. */
#include "upstream/dialect_openai.h"

const char *openai_path(enum relay_api api)
{
    static const char *const paths[] = {[RELAY_CHAT] = "/chat/completions", [RELAY_COMPLETIONS] = "/completions", [RELAY_EMBEDDINGS] = "/embeddings"};
    return paths[api];
}

/* messages and an assistant message with what was said so far. New reference. */
static json_t *with_prefix(const json_t *messages, str prefix)
{
    json_t *longer = json_array();
    size_t index;
    json_t *message;
    json_array_foreach((json_t *)(uintptr_t)messages, index, message)
        json_array_append(longer, message);
    json_array_append_new(longer, json_pack("{s:s, s:s%}", "role", "assistant", "content", prefix.data, prefix.n));
    return longer;
}

int openai_body(const json_t *body, enum relay_api api, const char *model, bool stream, str prefix, struct buffer *out, struct error *err)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)body);
    if (copy == NULL)
        return error_set(err, WEIR_E_MEMORY, "body", "out of memory");
    json_object_set_new(copy, "model", json_string(model));
    if (stream && api != RELAY_EMBEDDINGS) {
        json_t *options = json_object_get(copy, "stream_options");
        json_t *own = json_is_object(options) ? json_copy(options) : json_object();
        json_object_set_new(own, "include_usage", json_true());
        json_object_set_new(copy, "stream_options", own);
        json_object_set_new(copy, "stream", json_true());
    } else {
        json_object_del(copy, "stream");
        json_object_del(copy, "stream_options");
    }
    if (prefix.data != NULL)
        json_object_set_new(copy, "messages", with_prefix(json_object_get(copy, "messages"), prefix));
    int status = json_write(copy, out);
    json_decref(copy);
    return status < 0 || out->failed ? error_set(err, WEIR_E_LIMIT, "body", "is larger than %zu bytes", out->max_bytes) : 0;
}

bool openai_usage(const json_t *answer, struct token_usage *out)
{
    const json_t *usage = json_object_get(answer, "usage");
    int64_t prompt = 0, completion = 0, cached = 0;
    if (!json_is_object(usage) || json_member_i64(usage, "prompt_tokens", &prompt, NULL) <= 0 || prompt < 0)
        return false;
    if (json_member_i64(usage, "completion_tokens", &completion, NULL) < 0 || completion < 0)
        return false; /* Embeddings have none. */
    const json_t *details = json_object_get(usage, "prompt_tokens_details");
    if (!json_is_object(details) || json_member_i64(details, "cached_tokens", &cached, NULL) < 0 || cached < 0)
        cached = 0;
    *out = (struct token_usage){.prompt_tokens = prompt, .cached_tokens = cached < prompt ? cached : prompt, .completion_tokens = completion};
    return true;
}

static bool mentions(const json_t *error, const char *member, const char *const *words)
{
    str text = {NULL, 0};
    if (json_member_str(error, member, &text, NULL) <= 0)
        return false;
    for (; *words != NULL; words++)
        if (str_find(text, str_of(*words)) >= 0)
            return true;
    return false;
}

enum refusal openai_refusal(int status, const json_t *error)
{
    static const char *const context_codes[] = {"context_length_exceeded", "context_window_exceeded", "prompt_too_long", NULL};
    static const char *const context_words[] = {"maximum context length", "context length", "context window", "prompt is too long", NULL};
    static const char *const content_codes[] = {"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation", NULL};
    if (status == 401 || status == 403)
        return REFUSAL_CREDENTIALS;
    if (status == 429)
        return REFUSAL_RATE;
    if (status == 408)
        return REFUSAL_TIMEOUT;
    if (status >= 500 || status < 400)
        return REFUSAL_SERVER;
    if (mentions(error, "code", context_codes) || mentions(error, "type", context_codes) || mentions(error, "message", context_words))
        return REFUSAL_CONTEXT;
    if (mentions(error, "code", content_codes) || mentions(error, "type", content_codes))
        return REFUSAL_CONTENT;
    return REFUSAL_OTHER;
}
