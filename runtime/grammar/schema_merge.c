/* Schemas that must hold together, or can't, of schema.h. */
#include "grammar/schema.h"

#include <stdio.h>

/* Both lists' common members, where a single value is a list of one. */
static json_t *intersect(const json_t *a, const json_t *b)
{
    json_t *out = json_array();
    size_t n_a = json_is_array(a) ? json_array_size(a) : 1, n_b = json_is_array(b) ? json_array_size(b) : 1;
    for (size_t i = 0; i < n_a; i++)
        for (size_t k = 0; k < n_b; k++) {
            json_t *x = json_is_array(a) ? json_array_get(a, i) : (json_t *)(uintptr_t)a;
            json_t *y = json_is_array(b) ? json_array_get(b, k) : (json_t *)(uintptr_t)b;
            const char *s = json_string_value(x), *t = json_string_value(y);
            bool narrower = s != NULL && t != NULL && strcmp(s, "integer") == 0 && strcmp(t, "number") == 0;
            bool wider = s != NULL && t != NULL && strcmp(s, "number") == 0 && strcmp(t, "integer") == 0;
            if (json_equal(x, y) || narrower)
                json_array_append(out, x);
            else if (wider)
                json_array_append(out, y);
        }
    return out;
}

static json_t *unite(const json_t *a, const json_t *b)
{
    json_t *out = json_copy((json_t *)(uintptr_t)a);
    json_array_extend(out, (json_t *)(uintptr_t)b);
    return out;
}

static bool is_lower_bound(const char *name)
{
    return strncmp(name, "min", 3) == 0 || strcmp(name, "exclusiveMinimum") == 0;
}

static bool is_upper_bound(const char *name)
{
    return strncmp(name, "max", 3) == 0 || strcmp(name, "exclusiveMaximum") == 0;
}

/* properties of both: where both name one, both hold of it. A name that only one has falls under the other's
 * additionalProperties, too. */
static json_t *merge_properties(struct schema *schema, const json_t *a, const json_t *b, const struct schema_place *place)
{
    json_t *out = json_object();
    const json_t *nodes[] = {a, b};
    for (int side = 0; side < 2; side++) {
        const json_t *other = nodes[1 - side], *further = json_object_get(other, "additionalProperties");
        const char *name;
        json_t *value;
        json_object_foreach(json_object_get(nodes[side], "properties"), name, value) {
            const json_t *theirs = json_object_get(json_object_get(other, "properties"), name);
            if (theirs == NULL)
                theirs = further;
            if (json_object_get(out, name) != NULL)
                continue;
            const json_t *both = theirs != NULL ? schema_merge(schema, value, theirs, &(struct schema_place){place, name}) : value;
            if (both == NULL || json_object_set(out, name, (json_t *)(uintptr_t)both) < 0) {
                json_decref(out);
                return NULL;
            }
        }
    }
    return out;
}

static json_t *merge_keyword(struct schema *schema, const char *name, const json_t *a, const json_t *b, const json_t *x, const json_t *y,
                             const struct schema_place *place)
{
    struct schema_place here = {place, name};
    if (strcmp(name, "properties") == 0)
        return merge_properties(schema, a, b, &here);
    if (json_equal(x, y))
        return json_incref((json_t *)(uintptr_t)x);
    if (strcmp(name, "type") == 0 || strcmp(name, "enum") == 0)
        return intersect(x, y);
    if (strcmp(name, "required") == 0 && json_is_array(x) && json_is_array(y))
        return unite(x, y);
    if ((is_lower_bound(name) || is_upper_bound(name)) && json_is_number(x) && json_is_number(y))
        return json_incref((json_t *)(uintptr_t)((json_number_value(x) > json_number_value(y)) == is_lower_bound(name) ? x : y));
    if (strcmp(name, "items") == 0 || strcmp(name, "additionalProperties") == 0 || strcmp(name, "additionalItems") == 0)
        return json_incref((json_t *)(uintptr_t)schema_merge(schema, x, y, &here));
    if (strcmp(name, "title") == 0 || strcmp(name, "description") == 0 || strcmp(name, "default") == 0 || strcmp(name, "examples") == 0 ||
        name[0] == '$' || strcmp(name, "definitions") == 0)
        return json_incref((json_t *)(uintptr_t)x);
    schema_fail(schema, &here, WEIR_E_UNSUPPORTED, "two different values that must both hold are not supported");
    return NULL;
}

const json_t *schema_merge(struct schema *schema, const json_t *a, const json_t *b, const struct schema_place *place)
{
    static const char *const choices[] = {"anyOf", "oneOf", "allOf"};
    if (schema->depth >= SCHEMA_MOST_DEPTH) {
        schema_fail(schema, place, WEIR_E_LIMIT, "is nested more than %d deep", SCHEMA_MOST_DEPTH);
        return NULL;
    }
    const json_t *left = json_is_object(a) ? schema_resolve(schema, a) : a, *right = json_is_object(b) ? schema_resolve(schema, b) : b;
    if (left == NULL || right == NULL) {
        schema_fail(schema, place, WEIR_E_INVALID, "a $ref leads nowhere in this schema");
        return NULL;
    }
    if (json_is_true(left) || json_is_false(right))
        return right;
    if (json_is_true(right) || json_is_false(left))
        return left;
    if (!json_is_object(left) || !json_is_object(right)) {
        schema_fail(schema, place, WEIR_E_INVALID, "must be a schema: an object, true or false");
        return NULL;
    }
    json_t *out = json_copy((json_t *)(uintptr_t)left), *all_of = json_array();
    json_array_extend(all_of, json_object_get(left, "allOf"));
    if (out == NULL || json_array_append_new(schema->made, out) < 0 || all_of == NULL || json_array_append_new(schema->made, all_of) < 0) {
        schema_fail(schema, place, WEIR_E_MEMORY, "out of memory");
        return NULL;
    }
    schema->depth++;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)right, name, value) {
        const json_t *theirs = json_object_get(left, name);
        bool is_choice = false;
        for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
            is_choice |= strcmp(name, choices[i]) == 0;
        json_t *both = NULL;
        if (is_choice && theirs != NULL) { /* A second choice: it joins each member of the first, by allOf. */
            bool is_list = strcmp(name, "allOf") == 0;
            json_t *wrapped = is_list ? NULL : json_pack("{sO}", name, value);
            if (is_list ? json_array_extend(all_of, value) < 0 : json_array_append_new(all_of, wrapped) < 0)
                schema->builder->failed = true;
            continue;
        }
        if (strcmp(name, "properties") == 0)
            both = merge_properties(schema, left, right, &(struct schema_place){place, name});
        else
            both = theirs != NULL ? merge_keyword(schema, name, left, right, theirs, value, place) : json_incref(value);
        if (both == NULL || json_object_set_new(out, name, both) < 0) {
            schema->depth--;
            return NULL;
        }
    }
    /* A name of the left one's alone falls under the right one's additionalProperties. */
    if (json_object_get(left, "properties") != NULL && json_object_get(right, "properties") == NULL && json_object_get(right, "additionalProperties") != NULL) {
        json_t *both = merge_properties(schema, left, right, &(struct schema_place){place, "properties"});
        if (both == NULL || json_object_set_new(out, "properties", both) < 0)
            out = NULL;
    }
    if (out != NULL && json_array_size(all_of) > 0 && json_object_set(out, "allOf", all_of) < 0)
        out = NULL;
    schema->depth--;
    return out;
}

/* ------------------------------------------------------------------ exclusion */

static bool types_exclude(const json_t *a, const json_t *b)
{
    if (a == NULL || b == NULL)
        return false;
    json_t *common = intersect(a, b);
    bool none = json_array_size(common) == 0;
    json_decref(common);
    return none;
}

/* The values that a schema names one by one: a list, a single constant, or NULL. */
static const json_t *values_of(const json_t *node)
{
    const json_t *only = json_object_get(node, "const");
    return only != NULL ? only : json_object_get(node, "enum");
}

static bool values_exclude(const json_t *a, const json_t *b)
{
    const json_t *x = values_of(a), *y = values_of(b);
    if (x == NULL || y == NULL)
        return false;
    bool x_list = json_object_get(a, "const") == NULL, y_list = json_object_get(b, "const") == NULL;
    for (size_t i = 0; i < (x_list ? json_array_size(x) : 1); i++)
        for (size_t k = 0; k < (y_list ? json_array_size(y) : 1); k++)
            if (json_equal(x_list ? json_array_get(x, i) : (json_t *)(uintptr_t)x, y_list ? json_array_get(y, k) : (json_t *)(uintptr_t)y))
                return false;
    return true;
}

static bool requires(const json_t *node, const char *name)
{
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(node, "required"), i, entry)
        if (json_is_string(entry) && strcmp(json_string_value(entry), name) == 0)
            return true;
    return false;
}

bool schema_excludes(const struct schema *schema, const json_t *a, const json_t *b, int depth)
{
    a = schema_resolve(schema, a);
    b = schema_resolve(schema, b);
    if (!json_is_object(a) || !json_is_object(b) || depth > 8)
        return false;
    if (types_exclude(json_object_get(a, "type"), json_object_get(b, "type")) || values_exclude(a, b))
        return true;
    const char *name;
    json_t *mine;
    json_object_foreach(json_object_get(a, "properties"), name, mine) {
        const json_t *theirs = json_object_get(json_object_get(b, "properties"), name);
        if (theirs != NULL && requires(a, name) && requires(b, name) && schema_excludes(schema, mine, theirs, depth + 1))
            return true;
    }
    return false;
}
