/* A pack's life, and questions about it that several parts ask. */
#include "pack/pack.h"

#include <stdlib.h>

bool names_has(const struct names *names, const char *word)
{
    for (int i = 0; i < names->n; i++)
        if (strcmp(names->items[i], word) == 0)
            return true;
    return false;
}

bool names_match(const struct names *globs, const char *type, const char *detector)
{
    for (int i = 0; i < globs->n; i++)
        if (entity_matches(type, detector, globs->items[i]))
            return true;
    return false;
}

int pack_class_of(const struct pack *pack, const char *type, const char *detector)
{
    int highest = -1;
    for (int i = 0; i < pack->n_maps; i++)
        if (pack->maps[i].data_class > highest && names_match(&pack->maps[i].types, type, detector))
            highest = pack->maps[i].data_class;
    return highest;
}

int pack_class_index(const struct pack *pack, const char *name)
{
    for (int i = 0; i < pack->n_classes; i++)
        if (strcmp(pack->classes[i], name) == 0)
            return i;
    return -1;
}

const struct pack_provider *pack_provider_find(const struct pack *pack, const char *id)
{
    const struct pack_provider *other = NULL;
    for (int i = 0; i < pack->n_providers; i++) {
        if (strcmp(pack->providers[i].id, id) == 0)
            return &pack->providers[i];
        if (strcmp(pack->providers[i].id, "*") == 0)
            other = &pack->providers[i];
    }
    return other;
}

bool pack_redacts(const struct pack *pack, const char *type, const char *detector, bool *irreversible)
{
    bool redacts = false;
    *irreversible = strcmp(detector, "secrets") == 0;
    for (int i = 0; i < pack->n_rules; i++) {
        const struct pack_rule *rule = &pack->rules[i];
        if (rule->shadow)
            continue;
        if (names_match(&rule->mask, type, detector))
            redacts = *irreversible = true;
        redacts = redacts || names_match(&rule->redact, type, detector);
    }
    return redacts;
}

int pack_open(struct pack **out, const char *path, struct error *err)
{
    struct buffer text;
    *out = NULL;
    buffer_init(&text, 1 << 20);
    int status = file_read(path, &text, err);
    if (status == 0)
        status = pack_parse(out, path, buffer_str(&text), err);
    buffer_release(&text);
    return status;
}

void pack_close(struct pack *pack)
{
    if (pack == NULL)
        return;
    detector_set_release(&pack->detectors);
    struct arena arena = pack->arena;
    free(pack);
    arena_release(&arena);
}

const char *pack_name(const struct pack *pack)
{
    return pack->name;
}

const char *pack_version(const struct pack *pack)
{
    return pack->version;
}

const char *pack_sha256(const struct pack *pack)
{
    return pack->sha256;
}

const struct pack_retention *pack_retention(const struct pack *pack)
{
    return &pack->retention;
}

int policy_scan(const struct pack *pack, str text, str field, struct findings *out, struct error *err)
{
    return scan_text_with(pack != NULL ? &pack->detectors : NULL, text, field, out, err);
}
