/* A YAML document as a small tree with positions, for error messages that point at the place. */
#ifndef WEIR_POLICIES_PACK_YAML_TREE_H
#define WEIR_POLICIES_PACK_YAML_TREE_H

#include "weir_base.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_tree {
    enum yaml_kind kind;
    int line, column;       /* From 1. */
    const char *text;       /* Scalar: terminated. */
    bool quoted;
    const char *key;        /* Member of a map: its name, and where that stands. */
    int key_line, key_column;
    struct yaml_tree *first, *next;
    int n;                  /* Children. */
};

/* Parses one document into arena. Refused: aliases, anchors, tags, duplicate and non-scalar keys, more than one document,
 * and what passes the limits (1 MiB, 16 levels, 65,536 nodes). err's where is "name:line:column". */
int yaml_tree_parse(struct yaml_tree **out, const char *name, str yaml, struct arena *arena, struct error *err) WEIR_CHECKED;
const struct yaml_tree *yaml_member(const struct yaml_tree *map, const char *key);
/* An error at a node's place. Returns WEIR_E_INVALID. */
int yaml_error(const char *name, const struct yaml_tree *node, struct error *err, const char *format, ...) WEIR_PRINTF(4, 5);
/* Refuses members that are not among keys (ended by NULL), naming the nearest that is. */
int yaml_known_keys(const char *name, const struct yaml_tree *map, const char *const *keys, struct error *err) WEIR_CHECKED;
/* The nearest of n words by edit distance, or NULL when none is near. */
const char *nearest_word(const char *word, const char *const *words, size_t n);

#endif
