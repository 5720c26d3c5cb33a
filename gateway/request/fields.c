/* Every text of a request's body that could leave, and the body with those texts redacted. Both walk the same tree in the same
 * order, so the n-th text found is the n-th one replaced.
 *
 * A text is any string value wherever it stands (messages, system prompt, tool definitions and arguments, file names, fields
 * nobody knows), any long number (of a real its whole part), and any member name that is no plain identifier. Numbers and names cannot be replaced:
 * a finding in one of them makes body_redact fail, which closes the remote path. */
#include "request/request.h"

#include <math.h>

enum { MAX_FIELDS = 65536, MAX_DEPTH = 512, MAX_PATH_BYTES = 160, SHORTEST_NUMBER = 100000 };

struct walk {
    struct arena *arena;
    struct policy_field *fields;
    size_t n, capacity;
    /* The second walk. */
    struct redaction *redaction;
    const struct findings *findings;
    const struct policy_field *collected;
    size_t n_collected;
    struct buffer text;
    struct error *err;
};

static int collect(struct walk *walk, const char *path, str text)
{
    if (walk->n == MAX_FIELDS)
        return error_set(walk->err, WEIR_E_LIMIT, "body", "has more than %d texts", MAX_FIELDS);
    if (walk->n == walk->capacity) {
        size_t capacity = walk->capacity > 0 ? 2 * walk->capacity : 16;
        struct policy_field *grown = arena_array(walk->arena, capacity, sizeof *grown);
        if (grown == NULL)
            return error_set(walk->err, WEIR_E_MEMORY, "body", "does not fit into the memory of one request");
        if (walk->n > 0)
            memcpy(grown, walk->fields, walk->n * sizeof *grown);
        walk->fields = grown;
        walk->capacity = capacity;
    }
    char *copy = arena_strdup(walk->arena, str_of(path));
    if (copy == NULL)
        return error_set(walk->err, WEIR_E_MEMORY, "body", "does not fit into the memory of one request");
    walk->fields[walk->n++] = (struct policy_field){copy, text};
    return 0;
}

/* One text; node is the string to replace in, NULL for what cannot be replaced. */
static int visit(struct walk *walk, const char *path, str text, json_t *node)
{
    if (walk->redaction == NULL)
        return collect(walk, path, text);
    size_t i = walk->n++;
    if (i >= walk->n_collected || !str_equal(walk->collected[i].text, text))
        return error_set(walk->err, WEIR_E_STATE, path, "is not what was scanned");
    if (node == NULL)
        return walk->findings[i].n == 0 ? 0 : error_set(walk->err, WEIR_E_DENIED, path, "holds a finding that cannot be replaced");
    buffer_clear(&walk->text);
    int status = redaction_apply(walk->redaction, text, &walk->findings[i], &walk->text, walk->err);
    if (status == 0 && json_string_setn(node, buffer_str(&walk->text).data, walk->text.n) < 0)
        status = error_set(walk->err, WEIR_E_MEMORY, path, "out of memory");
    return status;
}

static bool is_plain_identifier(str name)
{
    int digits = 0;
    if (name.n > 64)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.data[i];
        bool digit = c >= '0' && c <= '9';
        digits = digit ? digits + 1 : 0;
        if (digits > 5 || !(digit || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' || c == '.' || c == '$'))
            return false;
    }
    return true;
}

/* Members of the body itself that hold no text of anyone's: the model's name, numbers with a meaning of their own. What
 * holds members of its own may hold anything, but for logit_bias, whose names and values were read as numbers. */
static bool is_setting(const char *name, const json_t *value)
{
    static const char *const settings[] = {"model", "seed", "max_tokens", "max_completion_tokens", "n", "best_of", "top_k",
                                           "logprobs", "top_logprobs", "dimensions", "logit_bias", "stream"};
    if ((json_is_object(value) && strcmp(name, "logit_bias") != 0) || json_is_array(value))
        return false;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (strcmp(name, settings[i]) == 0)
            return true;
    return false;
}

/* {"role": "user"}, {"type": "text"}: words of the API. */
static bool is_api_word(const char *name, const json_t *value)
{
    if ((strcmp(name, "role") != 0 && strcmp(name, "type") != 0) || !json_is_string(value) || json_string_length(value) > 16)
        return false;
    for (const char *c = json_string_value(value); *c != '\0'; c++)
        if (!((*c >= 'a' && *c <= 'z') || *c == '_'))
            return false;
    return true;
}

static int walk_value(struct walk *walk, json_t *value, const char *path, int depth)
{
    char below[MAX_PATH_BYTES + 80];
    int status = 0;
    if (depth > MAX_DEPTH)
        return error_set(walk->err, WEIR_E_LIMIT, "body", "is nested too deep");
    switch (json_typeof(value)) {
    case JSON_STRING:
        return visit(walk, path, (str){json_string_value(value), json_string_length(value)}, value);
    case JSON_INTEGER: {
        json_int_t number = json_integer_value(value);
        if (number > -SHORTEST_NUMBER && number < SHORTEST_NUMBER)
            return 0;
        char *digits = arena_printf(walk->arena, "%" JSON_INTEGER_FORMAT, number);
        return digits != NULL ? visit(walk, path, str_of(digits), NULL) : error_set(walk->err, WEIR_E_MEMORY, path, "out of memory");
    }
    case JSON_ARRAY: {
        size_t i;
        json_t *item;
        json_array_foreach(value, i, item) {
            snprintf(below, sizeof below, "%.*s[%zu]", MAX_PATH_BYTES, path, i);
            if ((status = walk_value(walk, item, below, depth + 1)) < 0)
                return status;
        }
        return 0;
    }
    case JSON_OBJECT: {
        const char *name;
        json_t *member;
        json_object_foreach(value, name, member) {
            if ((depth == 0 && is_setting(name, member)) || is_api_word(name, member))
                continue;
            snprintf(below, sizeof below, "%.*s%s%.64s", MAX_PATH_BYTES, path, path[0] != '\0' ? "." : "", name);
            if (!is_plain_identifier(str_of(name)))
                status = visit(walk, below, str_of(name), NULL);
            if (status == 0)
                status = walk_value(walk, member, below, depth + 1);
            if (status < 0)
                return status;
        }
        return 0;
    }
    case JSON_REAL: {
        double number = json_real_value(value);
        if (number > -SHORTEST_NUMBER && number < SHORTEST_NUMBER)
            return 0;
        char *digits = arena_printf(walk->arena, "%.0f", number < 0 ? ceil(number) : floor(number));
        return digits != NULL ? visit(walk, path, str_of(digits), NULL) : error_set(walk->err, WEIR_E_MEMORY, path, "out of memory");
    }
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
        break;
    }
    return 0;
}

int body_fields_collect(const json_t *body, struct arena *arena, struct policy_field **out, size_t *n, struct error *err)
{
    struct walk walk = {.arena = arena, .err = err};
    int status = walk_value(&walk, (json_t *)(uintptr_t)body, "", 0);
    *out = walk.fields;
    *n = walk.n;
    return status;
}

json_t *body_redact(const json_t *body, struct redaction *redaction, const struct findings *findings, const struct policy_field *fields,
                    size_t n_fields, struct error *err)
{
    struct arena arena;
    arena_init(&arena, (size_t)64 << 20);
    struct walk walk = {.arena = &arena, .redaction = redaction, .findings = findings, .collected = fields, .n_collected = n_fields, .err = err};
    buffer_init(&walk.text, (size_t)64 << 20);
    json_t *copy = json_deep_copy(body);
    int status = copy != NULL ? walk_value(&walk, copy, "", 0) : error_set(err, WEIR_E_MEMORY, "body", "out of memory");
    if (status == 0 && walk.n != n_fields)
        status = error_set(err, WEIR_E_STATE, "body", "is not what was scanned");
    buffer_release(&walk.text);
    arena_release(&arena);
    if (status < 0) {
        json_decref(copy);
        return NULL;
    }
    return copy;
}
