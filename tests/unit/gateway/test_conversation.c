/* The turn before: found by what it was asked, by nobody else, and forgotten in order. */
#include "conversation/conversation.h"

#include <criterion/criterion.h>

static const uint8_t secret[SHA256_BYTES] = {1, 2, 3}, other_secret[SHA256_BYTES] = {4};

static struct conversation_keys keys(const uint8_t *with, str tenant, const char *text)
{
    json_t *messages = json_loads(text, 0, NULL);
    struct conversation_keys out;
    cr_assert_not_null(messages);
    cr_assert_eq(conversation_keys_make(with, tenant, messages, &out), 0);
    json_decref(messages);
    return out;
}

#define FIRST "{\"role\":\"user\",\"content\":\"Hello\"}"
#define SECOND FIRST ",{\"role\":\"assistant\",\"content\":\"Hi\"},{\"content\":\"And now?\",\"role\":\"user\"}"

static bool same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, SHA256_BYTES) == 0;
}

Test(conversation, the_next_turn_finds_the_one_before_by_what_it_was_asked)
{
    struct conversation_keys first = keys(secret, STR("a"), "[" FIRST "]"), second = keys(secret, STR("a"), "[" SECOND "]");
    cr_assert(!first.has_earlier);
    cr_assert(second.has_earlier);
    cr_assert(same(first.asked, second.earlier));
    cr_assert(!same(first.asked, second.asked));
    struct conversation_keys third = keys(secret, STR("a"), "[" SECOND ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[]},{\"role\":\"tool\",\"content\":\"4\"}]");
    cr_assert(same(second.asked, third.earlier), "a tool's result stands behind the call that the turn before made");
    struct conversation_keys sorted = keys(secret, STR("a"), "[{\"content\":\"Hello\",\"role\":\"user\"}]");
    cr_assert(same(first.asked, sorted.asked), "the order of members says nothing");
    cr_assert(!keys(secret, STR("a"), "[{\"role\":\"assistant\",\"content\":\"Hi\"},{\"role\":\"user\",\"content\":\"x\"}]").has_earlier);
}

Test(conversation, keys_are_a_tenants_and_the_processs_own)
{
    struct conversation_keys a = keys(secret, STR("a"), "[" FIRST "]");
    cr_assert(!same(a.asked, keys(secret, STR("b"), "[" FIRST "]").asked));
    cr_assert(!same(a.asked, keys(secret, (str){NULL, 0}, "[" FIRST "]").asked));
    cr_assert(!same(keys(secret, STR(""), "[" FIRST "]").asked, keys(secret, (str){NULL, 0}, "[" FIRST "]").asked));
    cr_assert(!same(a.asked, keys(other_secret, STR("a"), "[" FIRST "]").asked));
}

/* The i-th key of one set. */
static const uint8_t *key_of(int i)
{
    static uint8_t key[SHA256_BYTES];
    memset(key, 0, sizeof key);
    key[4] = (uint8_t)i;
    key[5] = (uint8_t)(i >> 8);
    return key;
}

Test(conversation, a_full_set_forgets_what_was_not_used_for_longest)
{
    struct conversations *table = conversations_new();
    struct conversation_turn turn = {.route = "local", .prompt_tokens = 7}, found;
    for (int i = 0; i < 4; i++) {
        turn.ended_us = i;
        conversations_note(table, key_of(i), &turn);
    }
    cr_assert(conversations_find(table, key_of(0), &found));
    cr_assert_str_eq(found.route, "local");
    cr_assert_eq(found.ended_us, 0);
    conversations_note(table, key_of(4), &turn);
    cr_assert(!conversations_find(table, key_of(1), &found));
    cr_assert(conversations_find(table, key_of(0), &found));
    str_copy(turn.route, sizeof turn.route, STR("remote:a/b"));
    conversations_note(table, key_of(0), &turn);
    cr_assert(conversations_find(table, key_of(0), &found));
    cr_assert_str_eq(found.route, "remote:a/b", "a turn asked again is noted anew");
    cr_assert(conversations_find(table, key_of(2), &found) && conversations_find(table, key_of(3), &found) && conversations_find(table, key_of(4), &found));
    conversations_free(table);
}
