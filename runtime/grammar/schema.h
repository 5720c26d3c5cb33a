/* Schema: one JSON Schema document on its way to a grammar. */
#ifndef WEIR_GRAMMAR_SCHEMA_H
#define WEIR_GRAMMAR_SCHEMA_H

#include "grammar/json_text.h"

enum { SCHEMA_MOST_DEPTH = 128, SCHEMA_MOST_PROPERTIES = 1000, SCHEMA_MOST_VISITS = 8000 };

/* Where in the document the reader stands: a chain of its callers' names. */
struct schema_place {
    const struct schema_place *up;
    const char *name;
};

/* What a $ref points to, still to be read into its rule. */
struct schema_pending {
    struct schema_pending *next;
    const json_t *target;
    const char *reference;
    int rule;
};

struct schema {
    struct json_text json;
    struct grammar_builder *builder;
    const json_t *document;
    json_t *references; /* "#/…" to the number of its rule. */
    struct schema_pending *pending;
    json_t *made;       /* Schemas that merging made, kept until the end. */
    int depth, n_visited;
    struct error *err;
    int status;
};

/* Sets the error, with the place as its where ("schema.properties.age.minimum"). Returns the expression of nothing. */
struct expr *schema_fail(struct schema *schema, const struct schema_place *place, enum weir_status status, const char *format, ...)
    WEIR_PRINTF(4, 5);
/* The values that a schema accepts; NULL: any. */
struct expr *schema_value(struct schema *schema, const json_t *node, const struct schema_place *place);

/* Parts of schema_value, for one type each. */
struct expr *schema_object(struct schema *schema, const json_t *node, const struct schema_place *place);
struct expr *schema_array(struct schema *schema, const json_t *node, const struct schema_place *place);
struct expr *schema_string(struct schema *schema, const json_t *node, const struct schema_place *place);
struct expr *schema_number(struct schema *schema, const json_t *node, bool whole, const struct schema_place *place);

/* A bound that must be a non-negative integer; otherwise when it is absent. */
int schema_count(struct schema *schema, const json_t *node, const char *name, int otherwise, const struct schema_place *place);
/* What satisfies both: borrowed, NULL after an error. */
const json_t *schema_merge(struct schema *schema, const json_t *a, const json_t *b, const struct schema_place *place);
/* Can no value satisfy both? Answers true only where that is plain: other types, other constants, other values of a property
 * that both require. */
bool schema_excludes(const struct schema *schema, const json_t *a, const json_t *b, int depth);
/* Follows $ref within the document; NULL: it leads nowhere. */
const json_t *schema_resolve(const struct schema *schema, const json_t *node);

#endif
