/* The coins, and the shape of a question that is sampled. */
#include "shadow/sample.h"

/* The purpose goes before the id, so that no two coins of a decision are the same. */
static void throw_coin(const uint8_t key[SHA256_BYTES], const char *purpose, const char *decision_id, uint8_t out[SHA256_BYTES])
{
    char text[128];
    snprintf(text, sizeof text, "%s:%.100s", purpose, decision_id);
    hmac_sha256(key, SHA256_BYTES, text, strlen(text), out);
}

bool shadow_sampled(const uint8_t key[SHA256_BYTES], const char *decision_id, int64_t share_ppm)
{
    uint8_t digest[SHA256_BYTES];
    uint64_t coin = 0;
    if (share_ppm <= 0)
        return false;
    throw_coin(key, "sample", decision_id, digest);
    for (int i = 0; i < 8; i++)
        coin = coin << 8 | digest[i];
    return (unsigned __int128)coin * SHADOW_PPM < (unsigned __int128)share_ppm << 64;
}

bool shadow_local_first(const uint8_t key[SHA256_BYTES], const char *decision_id)
{
    uint8_t digest[SHA256_BYTES];
    throw_coin(key, "order", decision_id, digest);
    return (digest[0] & 1) != 0;
}

void shadow_fence(const uint8_t key[SHA256_BYTES], const char *decision_id, char out[SHADOW_FENCE_BYTES])
{
    uint8_t digest[SHA256_BYTES];
    throw_coin(key, "fence", decision_id, digest);
    for (int i = 0; i < SHADOW_FENCE_BYTES - 1; i++)
        out[i] = (char)('a' + (digest[i] & 15)); /* Letters alone: no detector takes them for a number. */
    out[SHADOW_FENCE_BYTES - 1] = '\0';
}

/* Bytes of a message's text; -1: it has more than text. */
static ptrdiff_t content_bytes(const json_t *content)
{
    size_t i, n = 0;
    json_t *part;
    if (json_is_string(content))
        return (ptrdiff_t)json_string_length(content);
    if (!json_is_array(content))
        return -1;
    json_array_foreach((json_t *)(uintptr_t)content, i, part) {
        const char *type = json_string_value(json_object_get(part, "type"));
        const json_t *text = json_object_get(part, "text");
        if (type == NULL || strcmp(type, "text") != 0 || !json_is_string(text))
            return -1;
        n += json_string_length(text);
    }
    return (ptrdiff_t)n;
}

static ptrdiff_t message_bytes(const json_t *message, const char **role)
{
    static const char *const roles[] = {"system", "developer", "user", "assistant", NULL};
    const char *name;
    json_t *value;
    bool known = false;
    *role = json_string_value(json_object_get(message, "role"));
    for (int i = 0; *role != NULL && roles[i] != NULL; i++)
        known |= strcmp(*role, roles[i]) == 0;
    json_object_foreach((json_t *)(uintptr_t)message, name, value)
        if (strcmp(name, "role") != 0 && strcmp(name, "content") != 0 && strcmp(name, "name") != 0 && !json_is_null(value))
            return -1;
    return known ? content_bytes(json_object_get(message, "content")) : -1;
}

bool shadow_fits(const struct api_request *api, size_t *n_bytes)
{
    size_t i;
    json_t *message;
    const char *role = NULL;
    *n_bytes = 0;
    if (api->kind != API_CHAT || api->n != 1 || api->logprobs || api->grammar != NULL ||
        json_array_size(json_object_get(api->body, "tools")) > 0 || json_array_size(api->messages) > SHADOW_MAX_MESSAGES)
        return false;
    json_array_foreach(api->messages, i, message) {
        ptrdiff_t n = message_bytes(message, &role);
        if (n < 0 || (*n_bytes += (size_t)n) > SHADOW_CONVERSATION_BYTES)
            return false;
    }
    return role != NULL && strcmp(role, "user") == 0;
}
