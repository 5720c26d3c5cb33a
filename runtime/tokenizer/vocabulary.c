/* Vocabulary: one open-addressed table beside an array of borrowed texts, filled in one pass at opening.
 *
 * A slot holds half of the hash beside the id, so that a lookup touches a token's text only when it is almost surely the
 * one sought: opening a vocabulary of 49 thousand tokens with its merges is 150 thousand lookups. The table has at least
 * twice as many slots as ids and is never changed after opening, so any thread may read it. */
#include "tokenizer/vocabulary.h"

/* Mixes eight bytes at a time; a token is short, so most take one or two rounds. Not keyed: an attacker who writes the
 * vocabulary can only slow the opening of his own file, which probing bounds below. */
static uint64_t hash_add(uint64_t hash, str text)
{
    const char *data = text.data;
    size_t n = text.n;
    while (n > 0) {
        uint64_t word = 0;
        size_t take = n < 8 ? n : 8;
        memcpy(&word, data, take);
        __uint128_t product = (__uint128_t)(hash ^ word) * 0x9E3779B97F4A7C15u;
        hash = (uint64_t)product ^ (uint64_t)(product >> 64) ^ take;
        data += take;
        n -= take;
    }
    return hash;
}

static uint64_t hash_finish(uint64_t hash)
{
    __uint128_t product = (__uint128_t)(hash ^ 0xD6E8FEB86659FD93u) * 0xC2B2AE3D27D4EB4Fu;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

int vocabulary_init(struct vocabulary *vocabulary, struct arena *arena, size_t n, bool scored, struct error *err)
{
    *vocabulary = (struct vocabulary){.n = n};
    if (n > VOCABULARY_MAX_TOKENS)
        return error_set(err, WEIR_E_LIMIT, "", "%zu tokens, more than %d", n, VOCABULARY_MAX_TOKENS);
    size_t n_slots = 64;
    while (n_slots < n * 2)
        n_slots *= 2;
    vocabulary->mask = n_slots - 1;
    vocabulary->texts = arena_array(arena, n, sizeof *vocabulary->texts);
    vocabulary->kinds = arena_array(arena, n, sizeof *vocabulary->kinds);
    vocabulary->scores = scored ? arena_array(arena, n, sizeof *vocabulary->scores) : NULL;
    vocabulary->slots = arena_array(arena, n_slots, sizeof *vocabulary->slots);
    if (vocabulary->texts == NULL || vocabulary->kinds == NULL || vocabulary->slots == NULL ||
        (scored && vocabulary->scores == NULL))
        return error_set(err, WEIR_E_MEMORY, "", "out of memory for %zu tokens", n);
    for (int i = 0; i < 256; i++)
        vocabulary->bytes[i] = -1;
    return 0;
}

void vocabulary_set(struct vocabulary *vocabulary, int32_t id, str text, enum token_kind kind)
{
    vocabulary->texts[id] = text;
    vocabulary->kinds[id] = (uint8_t)kind;
    if (text.n > vocabulary->longest)
        vocabulary->longest = text.n;
    uint64_t hash = hash_finish(hash_add(text.n, text));
    uint64_t slot = (hash & 0xFFFFFFFF00000000u) | ((uint32_t)id + 1);
    for (size_t at = hash & vocabulary->mask;; at = (at + 1) & vocabulary->mask) {
        uint64_t there = vocabulary->slots[at];
        if (there != 0) {
            if ((there ^ hash) >> 32 != 0 || !str_equal(vocabulary->texts[(uint32_t)there - 1], text))
                continue;
        }
        vocabulary->slots[at] = slot;
        return;
    }
}

void vocabulary_find_bytes(struct vocabulary *vocabulary)
{
    for (int i = 0; i < 256; i++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", i);
        vocabulary->bytes[i] = vocabulary_find(vocabulary, str_of(name));
    }
}

int32_t vocabulary_find(const struct vocabulary *vocabulary, str text)
{
    if (text.n > vocabulary->longest)
        return -1;
    uint64_t hash = hash_finish(hash_add(text.n, text));
    for (size_t at = hash & vocabulary->mask;; at = (at + 1) & vocabulary->mask) {
        uint64_t there = vocabulary->slots[at];
        if (there == 0)
            return -1;
        if ((there ^ hash) >> 32 == 0 && str_equal(vocabulary->texts[(uint32_t)there - 1], text))
            return (int32_t)((uint32_t)there - 1);
    }
}

int32_t vocabulary_find_joined(const struct vocabulary *vocabulary, str head, str tail)
{
    char joined[256];
    size_t n = head.n + tail.n;
    if (n > vocabulary->longest)
        return -1;
    char *at = n <= sizeof joined ? joined : malloc(n);
    if (at == NULL)
        return -1;
    if (head.n > 0)
        memcpy(at, head.data, head.n);
    if (tail.n > 0)
        memcpy(at + head.n, tail.data, tail.n);
    int32_t id = vocabulary_find(vocabulary, (str){at, n});
    if (at != joined)
        free(at);
    return id;
}
