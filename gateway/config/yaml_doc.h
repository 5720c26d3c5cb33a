/* YAML files of the gateway (weir.yaml, prices.yaml, models.yaml): libyaml's document tree behind checked, typed access whose
 * errors carry "file:line:column". Mappings are read by tables of fields; an unknown key names the nearest known one.
 * Anchors are refused (nothing here needs them, and they can blow a small file up). */
#ifndef WEIR_CONFIG_YAML_DOC_H
#define WEIR_CONFIG_YAML_DOC_H

#include "weir_base.h"

#include <yaml.h>

enum { YAML_MAX_BYTES = 1 << 20 };

struct yaml_doc {
    yaml_document_t document;
    const char *name;    /* Of the file, for errors. Borrowed. */
    struct arena *arena; /* Where texts are copied. Borrowed. */
    const char *folder;  /* Paths are relative to it. Borrowed. */
};

/* Parses one document; an empty file gives a tree without a root. */
int yaml_doc_parse(struct yaml_doc *tree, const char *name, const char *folder, str text, struct arena *arena,
                    struct error *err) WEIR_CHECKED;
void yaml_doc_release(struct yaml_doc *tree);
yaml_node_t *yaml_doc_root(struct yaml_doc *tree); /* NULL: empty. */
yaml_node_t *yaml_doc_node(struct yaml_doc *tree, int id);
/* Sets err at the node's place and returns WEIR_E_INVALID. */
int yaml_doc_fail(const struct yaml_doc *tree, const yaml_node_t *node, struct error *err, const char *format, ...)
    WEIR_PRINTF(4, 5);

enum yaml_type {
    YAML_TEXT,     /* const char * */
    YAML_PATH,     /* const char *, absolute or relative to the file's folder. */
    YAML_INT,      /* int */
    YAML_BYTES,    /* int64_t: "8MiB", "64k", 4096 */
    YAML_DURATION, /* int64_t microseconds: "2s", "500ms" */
    YAML_REAL,     /* double */
    YAML_BOOL,     /* bool */
    YAML_WORD,     /* int: index into words. */
    YAML_MAP,      /* A mapping read by `fields` into the same object. */
    YAML_CUSTOM,   /* read(tree, node, target, err) */
};

struct yaml_field {
    const char *name;
    enum yaml_type type;
    size_t offset;               /* Of the member in the target. */
    double min, max;             /* INT, BYTES, REAL; of DURATION in seconds. */
    const char *const *words;    /* WORD: NULL-terminated. */
    const struct yaml_field *fields; /* MAP. */
    int (*read)(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err); /* CUSTOM; target + offset. */
    bool required;
};

/* Reads a mapping into target by fields (ended by a NULL name). A null value leaves the default; of a required field it is
 * an error. what names the mapping in errors ("providers[2]"). */
int yaml_doc_read(struct yaml_doc *tree, yaml_node_t *node, const struct yaml_field *fields, void *target, const char *what,
                   struct error *err) WEIR_CHECKED;
/* A non-empty scalar's text, copied into the arena. */
int yaml_doc_text(struct yaml_doc *tree, yaml_node_t *node, const char **out, struct error *err) WEIR_CHECKED;
/* A sequence of texts (a single scalar is a sequence of one). */
int yaml_doc_texts(struct yaml_doc *tree, yaml_node_t *node, int max, const char ***out, int *n, struct error *err) WEIR_CHECKED;
bool yaml_node_is_null(const yaml_node_t *node);

/* "2s", "500ms", "1.5h" → microseconds; a bare 0 too. */
int duration_parse(str text, int64_t *out_us) WEIR_CHECKED;
/* "8MiB", "64k", "4096" → bytes. */
int bytes_parse(str text, double *out) WEIR_CHECKED;
/* The word nearest to `text` within a third of its length, NULL: none is near. */
const char *nearest_known(const char *text, const char *const *words, size_t n);

#endif
