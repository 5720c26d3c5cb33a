/* See schema.h: what holds of all types, and the whole. Keywords are those of JSON Schema 2020-12, and of the drafts before it
 * where they differ (definitions, additionalItems, a list of items). */
#include "grammar/schema.h"
#include "grammar/program.h"
#include "grammar/regex_syntax.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const notes[] = {
    "title", "description", "default", "examples", "$schema", "$id", "$comment", "$anchor", "$defs", "definitions", "deprecated",
    "readOnly", "writeOnly", "format", "contentEncoding", "contentMediaType", "nullable", NULL};
static const char *const all_types[] = {"type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", NULL};
static const char *const of_objects[] = {"properties", "required", "additionalProperties", "patternProperties", "propertyNames",
                                         "minProperties", "maxProperties", NULL};
static const char *const of_arrays[] = {"items", "prefixItems", "additionalItems", "minItems", "maxItems", NULL};
static const char *const of_strings[] = {"pattern", "minLength", "maxLength", NULL};
static const char *const of_numbers[] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", NULL};

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

static bool has_one_of(const json_t *node, const char *const *names)
{
    for (; *names != NULL; names++)
        if (json_object_get(node, *names) != NULL)
            return true;
    return false;
}

static size_t write_place(const struct schema_place *place, char *out, size_t n)
{
    size_t at = place->up != NULL ? write_place(place->up, out, n) : 0;
    int more = at < n ? snprintf(out + at, n - at, "%s%s", place->up != NULL ? "." : "", place->name) : 0;
    return at + (size_t)(more > 0 ? more : 0);
}

struct expr *schema_fail(struct schema *schema, const struct schema_place *place, enum weir_status status, const char *format, ...)
{
    char where[sizeof schema->err->where] = "", text[sizeof schema->err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    write_place(place, where, sizeof where);
    if (schema->status == 0)
        schema->status = error_set(schema->err, status, where, "%s", text);
    return expr_choice(schema->builder);
}

int schema_count(struct schema *schema, const json_t *node, const char *name, int otherwise, const struct schema_place *place)
{
    const json_t *value = json_object_get(node, name);
    if (value == NULL)
        return otherwise;
    double number = json_number_value(value);
    if (!json_is_number(value) || number < 0 || number != (double)(long long)number) {
        schema_fail(schema, &(struct schema_place){place, name}, WEIR_E_INVALID, "must be a whole number, 0 or more");
        return otherwise;
    }
    if (number > GRAMMAR_MOST_REPEATS) {
        schema_fail(schema, &(struct schema_place){place, name}, WEIR_E_LIMIT, "is more than %d", GRAMMAR_MOST_REPEATS);
        return otherwise;
    }
    return (int)number;
}

/* ------------------------------------------------------------------ references */

const json_t *schema_resolve(const struct schema *schema, const json_t *node)
{
    for (int hops = 0; json_is_object(node) && hops < 32; hops++) {
        const char *reference = json_string_value(json_object_get(node, "$ref"));
        if (reference == NULL)
            return node;
        if (reference[0] != '#' || (reference[1] != '\0' && reference[1] != '/'))
            return NULL;
        str rest = str_of(reference + 1), part;
        node = schema->document;
        if (rest.n > 0)
            rest = (str){rest.data + 1, rest.n - 1};
        else
            rest.data = NULL;
        while (node != NULL && str_split(&rest, '/', &part)) {
            char name[256];
            size_t n = 0;
            for (size_t i = 0; i < part.n && n + 1 < sizeof name; i++) { /* RFC 6901. */
                bool escape = part.data[i] == '~' && i + 1 < part.n && (part.data[i + 1] == '0' || part.data[i + 1] == '1');
                name[n++] = escape ? (part.data[i + 1] == '1' ? '/' : '~') : part.data[i];
                i += escape;
            }
            name[n] = '\0';
            int64_t index;
            if (json_is_array(node))
                node = parse_i64(str_of(name), &index) == 0 && index >= 0 ? json_array_get(node, (size_t)index) : NULL;
            else
                node = json_object_get(node, name);
        }
    }
    return json_is_object(node) && json_object_get(node, "$ref") != NULL ? NULL : node;
}

static struct expr *reference(struct schema *schema, const json_t *node, const struct schema_place *place)
{
    struct schema_place here = {place, "$ref"};
    const json_t *reference = json_object_get(node, "$ref");
    const char *text = json_string_value(reference);
    const json_t *target = schema_resolve(schema, node);
    if (text == NULL)
        return schema_fail(schema, &here, WEIR_E_INVALID, "must be a string");
    if (target == NULL)
        return schema_fail(schema, &here, WEIR_E_INVALID, "\"%.80s\" leads nowhere in this schema (others are not fetched)", text);
    const json_t *known = json_object_get(schema->references, text);
    if (known != NULL)
        return expr_rule(schema->builder, (int)json_integer_value(known));
    int rule = grammar_rule_new(schema->builder, str_of(text));
    if (json_object_set_new(schema->references, text, json_integer(rule)) < 0)
        schema->builder->failed = true;
    struct schema_pending *pending = arena_alloc(&schema->builder->arena, sizeof *pending);
    if (pending == NULL) {
        schema->builder->failed = true;
        return expr_choice(schema->builder);
    }
    *pending = (struct schema_pending){schema->pending, target, text, rule};
    schema->pending = pending;
    return expr_rule(schema->builder, rule);
}

/* ------------------------------------------------------------------ constants and choices */

/* A constant as text in the builder's arena. */
static str constant(struct schema *schema, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    str kept = {text != NULL ? arena_strdup(&schema->builder->arena, str_of(text)) : NULL, text != NULL ? strlen(text) : 0};
    free(text);
    schema->builder->failed |= kept.data == NULL;
    return kept.data != NULL ? kept : (str){NULL, 0};
}

static bool is_of_type(const json_t *value, const char *type)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return strcmp(type, "object") == 0;
    case JSON_ARRAY:
        return strcmp(type, "array") == 0;
    case JSON_STRING:
        return strcmp(type, "string") == 0;
    case JSON_INTEGER:
        return strcmp(type, "integer") == 0 || strcmp(type, "number") == 0;
    case JSON_REAL:
        return strcmp(type, "number") == 0;
    case JSON_NULL:
        return strcmp(type, "null") == 0;
    default:
        return strcmp(type, "boolean") == 0;
    }
}

static bool type_allows(const json_t *type, const json_t *value)
{
    if (type == NULL)
        return true;
    if (json_is_string(type))
        return is_of_type(value, json_string_value(type));
    size_t i;
    json_t *name;
    json_array_foreach(type, i, name)
        if (json_is_string(name) && is_of_type(value, json_string_value(name)))
            return true;
    return false;
}

static struct expr *constants(struct schema *schema, const json_t *node, const struct schema_place *place)
{
    const json_t *values = json_object_get(node, "enum"), *only = json_object_get(node, "const"), *type = json_object_get(node, "type");
    if (values != NULL && !json_is_array(values))
        return schema_fail(schema, &(struct schema_place){place, "enum"}, WEIR_E_INVALID, "must be an array");
    if (has_one_of(node, of_objects) || has_one_of(node, of_arrays) || has_one_of(node, of_strings) || has_one_of(node, of_numbers))
        return schema_fail(schema, place, WEIR_E_UNSUPPORTED, "enum and const are supported beside type only");
    size_t i, n = 0;
    json_t *value;
    str *texts = arena_array(&schema->builder->arena, json_array_size(values) + 1, sizeof *texts);
    if (texts == NULL) {
        schema->builder->failed = true;
        return expr_choice(schema->builder);
    }
    if (values == NULL && type_allows(type, only))
        texts[n++] = constant(schema, only);
    json_array_foreach(values, i, value)
        if ((only == NULL || json_equal(value, only)) && type_allows(type, value))
            texts[n++] = constant(schema, value);
    return expr_one_of(schema->builder, texts, n);
}

/* anyOf, and oneOf whose members exclude each other; what stands beside them joins each. */
static struct expr *alternatives(struct schema *schema, const json_t *node, const char *name, const struct schema_place *place)
{
    struct schema_place here = {place, name};
    const json_t *list = json_object_get(node, name);
    struct expr *choice = expr_choice(schema->builder);
    if (!json_is_array(list) || json_array_size(list) == 0)
        return schema_fail(schema, &here, WEIR_E_INVALID, "must be an array of at least one schema");
    json_t *beside = json_copy((json_t *)(uintptr_t)node);
    if (beside == NULL || json_array_append_new(schema->made, beside) < 0)
        return schema_fail(schema, &here, WEIR_E_MEMORY, "out of memory");
    json_object_del(beside, name);
    for (size_t i = 0; i < json_array_size(list); i++) {
        char index[24];
        snprintf(index, sizeof index, "%zu", i);
        struct schema_place there = {&here, index};
        const json_t *member = json_array_get(list, i);
        for (size_t k = 0; k < i && strcmp(name, "oneOf") == 0; k++)
            if (!schema_excludes(schema, json_array_get(list, k), member, 0))
                return schema_fail(schema, &there, WEIR_E_UNSUPPORTED, "may hold together with member %zu; use anyOf, or a property with another constant in each", k);
        const json_t *merged = has_one_of(beside, all_types) || has_one_of(beside, of_objects) || has_one_of(beside, of_arrays) ||
                                       has_one_of(beside, of_strings) || has_one_of(beside, of_numbers)
                                   ? schema_merge(schema, beside, member, &there)
                                   : member;
        if (merged != NULL)
            expr_add(choice, schema_value(schema, merged, &there));
    }
    return choice;
}

static struct expr *everything(struct schema *schema, const json_t *node, const struct schema_place *place)
{
    struct schema_place here = {place, "allOf"};
    const json_t *list = json_object_get(node, "allOf");
    if (!json_is_array(list) || json_array_size(list) == 0)
        return schema_fail(schema, &here, WEIR_E_INVALID, "must be an array of at least one schema");
    json_t *beside = json_copy((json_t *)(uintptr_t)node);
    if (beside == NULL || json_array_append_new(schema->made, beside) < 0)
        return schema_fail(schema, &here, WEIR_E_MEMORY, "out of memory");
    json_object_del(beside, "allOf");
    const json_t *merged = beside;
    for (size_t i = 0; i < json_array_size(list) && merged != NULL; i++)
        merged = schema_merge(schema, merged, json_array_get(list, i), &here);
    return merged != NULL ? schema_value(schema, merged, place) : expr_choice(schema->builder);
}

/* ------------------------------------------------------------------ types */

static struct expr *typed(struct schema *schema, const json_t *node, const char *type, const struct schema_place *place)
{
    if (strcmp(type, "object") == 0)
        return schema_object(schema, node, place);
    if (strcmp(type, "array") == 0)
        return schema_array(schema, node, place);
    if (strcmp(type, "string") == 0)
        return schema_string(schema, node, place);
    if (strcmp(type, "number") == 0 || strcmp(type, "integer") == 0)
        return schema_number(schema, node, type[0] == 'i', place);
    if (strcmp(type, "null") == 0)
        return expr_text(schema->builder, STR("null"));
    if (strcmp(type, "boolean") == 0)
        return expr_add(expr_add(expr_choice(schema->builder), expr_text(schema->builder, STR("true"))), expr_text(schema->builder, STR("false")));
    return schema_fail(schema, &(struct schema_place){place, "type"}, WEIR_E_INVALID, "\"%.40s\" is no type of JSON", type);
}

static struct expr *by_type(struct schema *schema, const json_t *node, const struct schema_place *place)
{
    const json_t *type = json_object_get(node, "type");
    struct schema_place here = {place, "type"};
    struct expr *choice = expr_choice(schema->builder);
    if (json_is_string(type)) {
        expr_add(choice, typed(schema, node, json_string_value(type), place));
    } else if (json_is_array(type) && json_array_size(type) > 0) {
        size_t i;
        json_t *name;
        json_array_foreach(type, i, name)
            expr_add(choice, json_is_string(name) ? typed(schema, node, json_string_value(name), place)
                                                  : schema_fail(schema, &here, WEIR_E_INVALID, "must be a name or a list of names"));
    } else if (type != NULL) {
        return schema_fail(schema, &here, WEIR_E_INVALID, "must be a name or a list of names");
    } else { /* The types that it says something about. */
        bool any = false;
        const char *const *const groups[] = {of_objects, of_arrays, of_strings, of_numbers};
        const char *const names[] = {"object", "array", "string", "number"};
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (has_one_of(node, groups[i])) {
                any = true;
                expr_add(choice, typed(schema, node, names[i], place));
            }
        if (!any)
            return json_any(&schema->json);
    }
    if (json_is_true(json_object_get(node, "nullable"))) /* OpenAPI 3.0's word. */
        expr_add(choice, expr_text(schema->builder, STR("null")));
    return choice;
}

static bool check_keywords(struct schema *schema, const json_t *node, const struct schema_place *place)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)node, name, value) {
        bool known = is_one_of(name, notes) || is_one_of(name, all_types) || is_one_of(name, of_objects) || is_one_of(name, of_arrays) ||
                     is_one_of(name, of_strings) || is_one_of(name, of_numbers);
        if (strcmp(name, "uniqueItems") == 0 && (json_is_false(value) || schema_count(schema, node, "maxItems", 2, place) <= 1))
            known = true;
        if (!known) {
            schema_fail(schema, &(struct schema_place){place, name}, WEIR_E_UNSUPPORTED, "this keyword is not supported by the local model");
            return false;
        }
    }
    return schema->status == 0;
}

struct expr *schema_value(struct schema *schema, const json_t *node, const struct schema_place *place)
{
    struct expr *expr = NULL;
    if (schema->status < 0 || json_is_false(node))
        return expr_choice(schema->builder);
    if (node == NULL || json_is_true(node))
        return json_any(&schema->json);
    if (!json_is_object(node))
        return schema_fail(schema, place, WEIR_E_INVALID, "must be a schema: an object, true or false");
    if (schema->depth >= SCHEMA_MOST_DEPTH)
        return schema_fail(schema, place, WEIR_E_LIMIT, "is nested more than %d deep", SCHEMA_MOST_DEPTH);
    if (!check_keywords(schema, node, place))
        return expr_choice(schema->builder);
    if (++schema->n_visited > SCHEMA_MOST_VISITS)
        return schema_fail(schema, place, WEIR_E_LIMIT, "its alternatives are too many");
    schema->depth++;
    if (json_object_get(node, "$ref") != NULL) {
        json_t *beside = json_copy((json_t *)(uintptr_t)node);
        bool alone = false;
        if (beside != NULL && json_array_append_new(schema->made, beside) == 0) {
            json_object_del(beside, "$ref");
            alone = !has_one_of(beside, all_types) && !has_one_of(beside, of_objects) && !has_one_of(beside, of_arrays) &&
                    !has_one_of(beside, of_strings) && !has_one_of(beside, of_numbers);
        }
        const json_t *target = alone ? NULL : schema_resolve(schema, node);
        const json_t *merged = target != NULL ? schema_merge(schema, beside, target, place) : NULL;
        expr = merged != NULL ? schema_value(schema, merged, place) : reference(schema, node, place);
    } else if (json_object_get(node, "anyOf") != NULL) {
        expr = alternatives(schema, node, "anyOf", place);
    } else if (json_object_get(node, "oneOf") != NULL) {
        expr = alternatives(schema, node, "oneOf", place);
    } else if (json_object_get(node, "allOf") != NULL) { /* After the choices: merging puts a second one here. */
        expr = everything(schema, node, place);
    } else if (json_object_get(node, "enum") != NULL || json_object_get(node, "const") != NULL) {
        expr = constants(schema, node, place);
    } else {
        expr = by_type(schema, node, place);
    }
    schema->depth--;
    return expr;
}

/* ------------------------------------------------------------------ the whole */

int grammar_of_schema(struct grammar **out, const json_t *document, struct error *err)
{
    struct grammar_builder builder;
    *out = NULL;
    grammar_builder_init(&builder);
    struct schema schema = {.builder = &builder, .document = document, .references = json_object(), .made = json_array(), .err = err};
    struct schema_place root = {NULL, "schema"};
    json_text_init(&schema.json, &builder);
    grammar_rule_new(&builder, STR("schema"));
    if (schema.references == NULL || schema.made == NULL)
        schema.status = error_set(err, WEIR_E_MEMORY, "schema", "out of memory");
    else
        grammar_rule_define(&builder, 0, document == NULL ? json_any_object(&schema.json) : schema_value(&schema, document, &root));
    while (schema.status == 0 && schema.pending != NULL) { /* One by one, so that a chain of references is no nesting. */
        const struct schema_pending *next = schema.pending;
        struct schema_place there = {NULL, next->reference};
        schema.pending = next->next;
        schema.depth = 0;
        grammar_rule_define(&builder, next->rule, schema_value(&schema, next->target, &there));
    }
    int status = schema.status == 0 ? grammar_compile(out, &builder, "schema", err) : schema.status;
    json_decref(schema.references);
    json_decref(schema.made);
    grammar_builder_release(&builder);
    return status;
}

int grammar_of_regex(struct grammar **out, str pattern, struct error *err)
{
    struct grammar_builder builder;
    struct expr *body = NULL;
    *out = NULL;
    grammar_builder_init(&builder);
    grammar_rule_new(&builder, STR("pattern"));
    int status = regex_expression(&body, &builder, pattern, false, "pattern", err);
    if (status == 0) {
        grammar_rule_define(&builder, 0, body);
        status = grammar_compile(out, &builder, "pattern", err);
    }
    grammar_builder_release(&builder);
    return status;
}

int grammar_of_choice(struct grammar **out, const str *texts, size_t n, struct error *err)
{
    struct grammar_builder builder;
    *out = NULL;
    grammar_builder_init(&builder);
    str *sorted = arena_array(&builder.arena, n + 1, sizeof *sorted);
    if (sorted != NULL && n > 0)
        memcpy(sorted, texts, n * sizeof *sorted);
    builder.failed |= sorted == NULL;
    int rule = grammar_rule_new(&builder, STR("choice"));
    grammar_rule_define(&builder, rule, expr_one_of(&builder, sorted, sorted != NULL ? n : 0));
    int status = grammar_compile(out, &builder, "choice", err);
    grammar_builder_release(&builder);
    return status;
}
