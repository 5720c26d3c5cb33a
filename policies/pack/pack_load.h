/* What the parts of the loader share. */
#ifndef WEIR_POLICIES_PACK_PACK_LOAD_H
#define WEIR_POLICIES_PACK_PACK_LOAD_H

#include "pack/pack.h"

struct loader {
    const char *file;
    struct arena *arena;
    struct error *err;
};

int load_member_word(const struct loader *load, const struct yaml_tree *map, const char *key, bool required, const char **out) WEIR_CHECKED;
/* A word or a list of words; nothing when node is NULL. */
int load_names(const struct loader *load, const struct yaml_tree *node, struct names *out) WEIR_CHECKED;
int load_effect(const struct loader *load, const struct yaml_tree *node, enum effect *out) WEIR_CHECKED;
int load_cases(const struct loader *load, struct pack *pack, const struct yaml_tree *providers, const struct yaml_tree *tests) WEIR_CHECKED;

#endif
