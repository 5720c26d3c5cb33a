/* Mappings that keep the order of insertion, keyed by any hashable value with Python's equality (1, 1.0 and true are one
 * key). Namespaces and keyword arguments are dicts too. Entries are never removed. */
#include "template/rendering.h"

enum { SEARCHED_IN_LINE = 8 };

struct value dict_new(struct rendering *r, enum value_kind kind)
{
    return (struct value){.kind = (uint8_t)kind, .dict = rendering_alloc(r, sizeof(struct dict))};
}

static void index_put(struct dict *dict, size_t entry)
{
    size_t mask = dict->n_index - 1, slot = dict->entries[entry].hash & mask;
    while (dict->index[slot] >= 0)
        slot = (slot + 1) & mask;
    dict->index[slot] = (int32_t)entry;
}

static void grow(struct rendering *r, struct dict *dict)
{
    size_t capacity = dict->capacity > 0 ? dict->capacity * 2 : 4;
    if (capacity > INT32_MAX / 4)
        rendering_fail(r, TEMPLATE_LIMIT, "a mapping is too large");
    struct dict_entry *entries = rendering_array(r, capacity, sizeof *entries);
    if (dict->n > 0)
        memcpy(entries, dict->entries, dict->n * sizeof *entries);
    dict->entries = entries;
    dict->capacity = capacity;
    if (capacity <= SEARCHED_IN_LINE)
        return;
    dict->n_index = capacity * 2;
    dict->index = rendering_array(r, dict->n_index, sizeof *dict->index);
    memset(dict->index, -1, dict->n_index * sizeof *dict->index);
    for (size_t i = 0; i < dict->n; i++)
        index_put(dict, i);
}

static bool entry_matches(struct rendering *r, const struct dict_entry *entry, uint64_t hash, struct value key)
{
    return entry->hash == hash && value_equal(r, entry->key, key);
}

static struct dict_entry *find(struct rendering *r, const struct dict *dict, struct value key, uint64_t hash)
{
    if (dict->index == NULL) {
        for (size_t i = 0; i < dict->n; i++)
            if (entry_matches(r, &dict->entries[i], hash, key))
                return &dict->entries[i];
        return NULL;
    }
    for (size_t slot = hash & (dict->n_index - 1); dict->index[slot] >= 0; slot = (slot + 1) & (dict->n_index - 1)) {
        rendering_step(r, 1);
        if (entry_matches(r, &dict->entries[dict->index[slot]], hash, key))
            return &dict->entries[dict->index[slot]];
    }
    return NULL;
}

void dict_set(struct rendering *r, struct dict *dict, struct value key, struct value value)
{
    uint64_t hash = value_hash(r, key);
    struct dict_entry *known = find(r, dict, key, hash);
    if (known != NULL) {
        known->value = value;
        return;
    }
    if (dict->n == dict->capacity)
        grow(r, dict);
    dict->entries[dict->n++] = (struct dict_entry){key, value, hash};
    if (dict->index != NULL)
        index_put(dict, dict->n - 1);
}

const struct value *dict_get(struct rendering *r, const struct dict *dict, struct value key)
{
    struct dict_entry *entry = find(r, dict, key, value_hash(r, key));
    return entry != NULL ? &entry->value : NULL;
}

const struct value *dict_get_text(const struct dict *dict, str key)
{
    uint64_t hash = str_hash(key);
    if (dict->index == NULL) {
        for (size_t i = 0; i < dict->n; i++)
            if (dict->entries[i].hash == hash && dict->entries[i].key.kind == VALUE_TEXT && str_equal(value_bytes(dict->entries[i].key), key))
                return &dict->entries[i].value;
        return NULL;
    }
    for (size_t slot = hash & (dict->n_index - 1); dict->index[slot] >= 0; slot = (slot + 1) & (dict->n_index - 1)) {
        const struct dict_entry *entry = &dict->entries[dict->index[slot]];
        if (entry->hash == hash && entry->key.kind == VALUE_TEXT && str_equal(value_bytes(entry->key), key))
            return &entry->value;
    }
    return NULL;
}
