/* Keys of conversations, and the table of their last turns. */
#include "conversation/conversation.h"

enum { WAYS = 4, SETS = CONVERSATION_MOST / WAYS, MOST_BYTES = 64 << 20 };

struct entry {
    uint8_t key[SHA256_BYTES];
    uint64_t used; /* 0: empty; else when, in uses of the table. */
    struct conversation_turn turn;
};

struct conversations {
    uint64_t n_uses;
    struct entry entries[SETS][WAYS];
};

static int append_piece(const char *text, size_t n, void *out)
{
    return buffer_append(out, text, n);
}

int conversation_keys_make(const uint8_t *secret, str tenant, const json_t *messages, struct conversation_keys *out)
{
    struct buffer text;
    size_t i, n_before = 0; /* Bytes of text before the last assistant message. */
    json_t *message;
    buffer_init(&text, MOST_BYTES);
    buffer_printf(&text, "conversation %c%zu:", tenant.data != NULL ? '+' : '-', tenant.n);
    buffer_append_str(&text, tenant);
    json_array_foreach((json_t *)(uintptr_t)messages, i, message) {
        const char *role = json_string_value(json_object_get(message, "role"));
        if (i > 0 && role != NULL && strcmp(role, "assistant") == 0)
            n_before = text.n;
        if (json_dump_callback(message, append_piece, &text, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) < 0)
            text.failed = true;
        buffer_append_char(&text, ',');
    }
    bool failed = text.failed;
    out->has_earlier = n_before > 0;
    if (!failed)
        hmac_sha256(secret, SHA256_BYTES, text.data, text.n, out->asked);
    if (!failed && out->has_earlier)
        hmac_sha256(secret, SHA256_BYTES, text.data, n_before, out->earlier);
    if (text.data != NULL)
        bytes_wipe(text.data, text.n);
    buffer_release(&text);
    return failed ? WEIR_E_LIMIT : 0;
}

struct conversations *conversations_new(void)
{
    return calloc(1, sizeof(struct conversations));
}

void conversations_free(struct conversations *conversations)
{
    free(conversations);
}

static struct entry *set_of(struct conversations *conversations, const uint8_t *key)
{
    return conversations->entries[(key[0] | (unsigned)key[1] << 8) % SETS];
}

static struct entry *find(struct conversations *conversations, const uint8_t *key)
{
    struct entry *set = set_of(conversations, key);
    for (int i = 0; i < WAYS; i++)
        if (set[i].used > 0 && memcmp(set[i].key, key, SHA256_BYTES) == 0)
            return &set[i];
    return NULL;
}

void conversations_note(struct conversations *conversations, const uint8_t key[SHA256_BYTES], const struct conversation_turn *turn)
{
    struct entry *entry = find(conversations, key), *set = set_of(conversations, key);
    if (entry == NULL) {
        entry = &set[0];
        for (int i = 1; i < WAYS; i++)
            if (set[i].used < entry->used)
                entry = &set[i];
    }
    memcpy(entry->key, key, SHA256_BYTES);
    entry->used = ++conversations->n_uses;
    entry->turn = *turn;
}

bool conversations_find(struct conversations *conversations, const uint8_t key[SHA256_BYTES], struct conversation_turn *out)
{
    struct entry *entry = find(conversations, key);
    if (entry == NULL)
        return false;
    entry->used = ++conversations->n_uses;
    *out = entry->turn;
    return true;
}
