/* Eligibility and keys. Pure functions of the parsed request; any thread. */
#include "cache/cache_key.h"

#include "cache/phrase.h"

enum { CANONICAL_BYTES = 64 << 20 };

/* Members that a cached answer may have been asked with. Whatever else stands in a body closes the cache. */
static const char *const known[] = {
    "model", "messages", "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "n", "stop",
    "max_tokens", "max_completion_tokens", "stream", "stream_options", "logit_bias", "seed", "context_shift", "response_format", "structured_outputs", "json_schema", "grammar", "chat_template_kwargs",
    "reasoning_effort", "user", "metadata",
    "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "service_tier", "parallel_tool_calls", NULL};
/* Known, and without a say in the answer. */
static const char *const silent[] = {"stream", "stream_options", "user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", NULL};

static bool is_among(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

/* false, 0, null, "none" and empty lists ask for nothing. */
static bool asks_nothing(const json_t *value)
{
    return json_is_null(value) || json_is_false(value) || (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_integer(value) && json_integer_value(value) == 0) || (json_is_string(value) && strcmp(json_string_value(value), "none") == 0);
}

static bool content_is_text(const json_t *content)
{
    size_t i;
    json_t *part;
    if (json_is_string(content))
        return true;
    json_array_foreach((json_t *)(uintptr_t)content, i, part) {
        const char *type = json_string_value(json_object_get(part, "type"));
        if (type == NULL || strcmp(type, "text") != 0)
            return false;
    }
    return json_is_array(content);
}

static bool message_is_text(const json_t *message)
{
    const char *name, *role = json_string_value(json_object_get(message, "role"));
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)message, name, value)
        if (strcmp(name, "role") != 0 && strcmp(name, "content") != 0 && strcmp(name, "name") != 0 && !json_is_null(value))
            return false;
    return role != NULL && strcmp(role, "tool") != 0 && strcmp(role, "function") != 0 && content_is_text(json_object_get(message, "content"));
}

/* Nothing was found, and nothing was left unseen. */
static bool verdict_is_clean(const struct verdict *verdict)
{
    if (verdict == NULL || !verdict->local_permitted || verdict->effect == EFFECT_REFUSE || verdict->n_types > 0)
        return false;
    for (size_t i = 0; verdict->findings != NULL && i < verdict->n_fields; i++)
        if (verdict->findings[i].n > 0 || verdict->findings[i].truncated)
            return false;
    for (int i = 0; i < verdict->n_reasons; i++)
        if (strcmp(verdict->reasons[i], "policy_error") == 0 || strcmp(verdict->reasons[i], "scan_truncated") == 0)
            return false;
    return true;
}

bool cache_key_eligible(const struct api_request *request, const struct verdict *verdict)
{
    size_t i;
    json_t *message, *value;
    const char *name;
    if (request->kind != API_CHAT || request->n != 1 || request->logprobs || !verdict_is_clean(verdict))
        return false;
    if (request->names_sampling && request->sampling.temperature > 0.0f)
        return false;
    json_object_foreach(request->body, name, value)
        if (!is_among(name, known) && !asks_nothing(value))
            return false;
    json_array_foreach(request->messages, i, message)
        if (!message_is_text(message))
            return false;
    return true;
}

/* ------------------------------------------------------------------ canonical form */

static int append_piece(const char *text, size_t n, void *out)
{
    return buffer_append(out, text, n);
}

static void append_json(const json_t *value, struct buffer *out)
{
    if (json_dump_callback(value, append_piece, out, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) < 0)
        out->failed = true;
}

/* Length first, so that no two lists of parts run into one another. */
static void append_part(struct buffer *out, str part)
{
    buffer_printf(out, "%zu:", part.n);
    buffer_append_str(out, part);
}

static void append_text_part(struct buffer *out, const char *text)
{
    append_part(out, str_of(text));
    buffer_append_char(out, text != NULL ? '+' : '-');
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The body's members in order, without those that are silent or null, and without the messages. */
static void append_members(json_t *body, struct buffer *out)
{
    const char *names[sizeof known / sizeof *known], *name;
    json_t *value;
    size_t n = 0;
    json_object_foreach(body, name, value) {
        bool one = strcmp(name, "n") == 0 || strcmp(name, "messages") == 0;
        if (!one && is_among(name, known) && !is_among(name, silent) && !json_is_null(value))
            names[n++] = name;
    }
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++) {
        append_text_part(out, names[i]);
        append_json(json_object_get(body, names[i]), out);
        buffer_append_char(out, ';');
    }
}

/* The last message but its content. */
static void append_frame(const json_t *message, struct buffer *out)
{
    json_t *frame = json_copy((json_t *)(uintptr_t)message);
    json_object_del(frame, "content");
    append_json(frame, out);
    json_decref(frame);
}

int cache_key_make(const struct cache_scope *scope, const struct api_request *request, struct cache_question *out)
{
    struct buffer text;
    size_t last = json_array_size(request->messages) - 1;
    const json_t *message = json_array_get(request->messages, last);
    *out = (struct cache_question){.text = api_last_turn(request)};
    buffer_init(&text, CANONICAL_BYTES);
    append_part(&text, scope->tenant);
    buffer_append_char(&text, scope->tenant.data != NULL ? '+' : '-');
    append_text_part(&text, scope->pack_sha256);
    append_text_part(&text, scope->config_sha256);
    append_text_part(&text, scope->knowledge);
    append_text_part(&text, scope->endpoint);
    append_members(request->body, &text);
    for (size_t i = 0; i < last; i++) {
        append_json(json_array_get(request->messages, i), &text);
        buffer_append_char(&text, ',');
    }
    size_t n_shared = text.n;
    append_text_part(&text, "exact");
    append_json(message, &text);
    bool failed = text.failed;
    if (!failed)
        hmac_sha256(scope->secret, CACHE_KEY_BYTES, text.data, text.n, out->key);
    if (!failed && out->text.data != NULL) {
        text.n = n_shared;
        append_text_part(&text, "meaning");
        append_frame(message, &text);
        out->has_meaning = phrase_append(out->text, &text) == 0 && !text.failed;
        if (out->has_meaning)
            hmac_sha256(scope->secret, CACHE_KEY_BYTES, text.data, text.n, out->meaning);
    }
    if (text.data != NULL)
        bytes_wipe(text.data, text.n);
    buffer_release(&text);
    return failed ? WEIR_E_LIMIT : 0;
}
