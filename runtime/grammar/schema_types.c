/* Objects, arrays, strings and numbers of schema.h. */
#include "grammar/regex_syntax.h"
#include "grammar/schema.h"

#include <math.h>
#include <stdio.h>

static struct expr *byte(struct schema *schema, char c)
{
    return expr_bytes(schema->builder, (uint8_t)c, (uint8_t)c);
}

static struct expr *comma(struct schema *schema)
{
    return expr_add(expr_add(expr_sequence(schema->builder), byte(schema, ',')), json_blank(&schema->json));
}

/* ------------------------------------------------------------------ objects */

/* key blank : blank value, and the blank behind it. */
static struct expr *member(struct schema *schema, struct expr *key, struct expr *value)
{
    struct expr *sequence = expr_add(expr_add(expr_sequence(schema->builder), key), byte(schema, ':'));
    return expr_add(expr_add(expr_add(sequence, json_blank(&schema->json)), value), json_blank(&schema->json));
}

static struct expr *quoted(struct schema *schema, const char *name)
{
    struct buffer text;
    buffer_init(&text, 1 << 20);
    schema->builder->failed |= buffer_append_json_string(&text, str_of(name)) < 0;
    struct expr *expr = expr_text(schema->builder, buffer_str(&text));
    buffer_release(&text);
    return expr;
}

static bool is_required(const json_t *required, const char *name)
{
    size_t i;
    json_t *entry;
    json_array_foreach(required, i, entry)
        if (json_is_string(entry) && strcmp(json_string_value(entry), name) == 0)
            return true;
    return false;
}

/* Members beyond the named ones, as a rule; -1: none may come. */
static int further_member(struct schema *schema, const json_t *node, const json_t *properties, const struct schema_place *place)
{
    const json_t *extra = json_object_get(node, "additionalProperties"), *patterns = json_object_get(node, "patternProperties");
    const json_t *key_schema = json_object_get(node, "propertyNames");
    size_t n_named = json_object_size(properties);
    struct expr *key = NULL, *value = NULL;
    if (patterns != NULL && json_object_size(patterns) > 0) {
        struct schema_place here = {place, "patternProperties"};
        const char *pattern = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)patterns));
        if (json_object_size(patterns) > 1 || n_named > 0 || key_schema != NULL || (extra != NULL && !json_is_false(extra))) {
            schema_fail(schema, &here, WEIR_E_UNSUPPORTED, "one pattern without other properties is supported");
            return -1;
        }
        struct expr *inside = NULL;
        char where[sizeof schema->err->where];
        snprintf(where, sizeof where, "schema: patternProperties");
        if (schema->status == 0)
            schema->status = regex_expression(&inside, schema->builder, str_of(pattern), true, where, schema->err);
        if (schema->status < 0)
            return -1;
        key = expr_add(expr_add(expr_add(expr_sequence(schema->builder), byte(schema, '"')), inside), byte(schema, '"'));
        value = schema_value(schema, json_object_get(patterns, pattern), &(struct schema_place){&here, pattern});
    } else {
        bool open = extra == NULL ? n_named == 0 && json_array_size(json_object_get(node, "required")) == 0 : !json_is_false(extra);
        if (!open)
            return -1;
        if (key_schema != NULL) {
            if (n_named > 0) {
                schema_fail(schema, &(struct schema_place){place, "propertyNames"}, WEIR_E_UNSUPPORTED, "is supported without properties only");
                return -1;
            }
            key = json_object_get(key_schema, "enum") != NULL || json_object_get(key_schema, "const") != NULL
                      ? schema_value(schema, key_schema, &(struct schema_place){place, "propertyNames"})
                      : schema_string(schema, key_schema, &(struct schema_place){place, "propertyNames"});
        } else {
            str names[SCHEMA_MOST_PROPERTIES];
            size_t n = 0;
            const char *name;
            json_t *unused;
            json_object_foreach((json_t *)(uintptr_t)properties, name, unused) {
                size_t at = n++; /* Kept sorted: few, and once. */
                for (; at > 0 && str_compare(str_of(name), names[at - 1]) < 0; at--)
                    names[at] = names[at - 1];
                names[at] = str_of(name);
            }
            key = n > 0 ? json_string_but(&schema->json, names, n) : json_any_string(&schema->json);
        }
        value = schema_value(schema, extra, &(struct schema_place){place, "additionalProperties"});
    }
    int rule = grammar_rule_new(schema->builder, STR("member"));
    grammar_rule_define(schema->builder, rule, member(schema, key, value));
    return rule;
}

/* min to max (-1: no bound) further members, the first of them without a comma before it unless others came first. */
static struct expr *further_members(struct schema *schema, int rule, bool others_before, int min, int max)
{
    struct grammar_builder *b = schema->builder;
    if (rule < 0 || max == 0)
        return expr_sequence(b);
    struct expr *next = expr_add(comma(schema), expr_rule(b, rule));
    if (others_before)
        return expr_repeat(b, next, min, max);
    struct expr *list = expr_add(expr_add(expr_sequence(b), expr_rule(b, rule)), expr_repeat(b, next, min > 0 ? min - 1 : 0, max < 0 ? -1 : max - 1));
    return min > 0 ? list : expr_optional(b, list);
}

static json_t *named_properties(struct schema *schema, const json_t *node, const struct schema_place *place)
{
    const json_t *given = json_object_get(node, "properties"), *required = json_object_get(node, "required");
    if (given != NULL && !json_is_object(given))
        schema_fail(schema, &(struct schema_place){place, "properties"}, WEIR_E_INVALID, "must be an object");
    if (required != NULL && !json_is_array(required))
        schema_fail(schema, &(struct schema_place){place, "required"}, WEIR_E_INVALID, "must be an array of names");
    json_t *all = json_is_object(given) ? json_copy((json_t *)(uintptr_t)given) : json_object();
    size_t i;
    json_t *name;
    if (all == NULL || json_array_append_new(schema->made, all) < 0) {
        schema->builder->failed = true;
        return NULL;
    }
    const json_t *extra = json_object_get(node, "additionalProperties");
    json_array_foreach(required, i, name) {
        if (!json_is_string(name))
            schema_fail(schema, &(struct schema_place){place, "required"}, WEIR_E_INVALID, "must be an array of names");
        else if (json_object_get(all, json_string_value(name)) == NULL)
            schema->builder->failed |= json_object_set(all, json_string_value(name), extra != NULL ? (json_t *)(uintptr_t)extra : json_true()) < 0;
    }
    return all;
}

struct expr *schema_object(struct schema *schema, const json_t *node, const struct schema_place *place)
{
    struct grammar_builder *b = schema->builder;
    const json_t *required = json_object_get(node, "required");
    json_t *properties = named_properties(schema, node, place);
    int min = schema_count(schema, node, "minProperties", 0, place), max = schema_count(schema, node, "maxProperties", -1, place);
    int n = (int)json_object_size(properties), n_required = (int)json_array_size(required);
    if (n > SCHEMA_MOST_PROPERTIES)
        return schema_fail(schema, place, WEIR_E_LIMIT, "has more than %d properties", SCHEMA_MOST_PROPERTIES);
    if (schema->status < 0 || properties == NULL)
        return expr_choice(b);
    int rule = further_member(schema, node, properties, place);
    if (n > 0 && (min > n_required || (max >= 0 && (max < n || rule >= 0))))
        return schema_fail(schema, place, WEIR_E_UNSUPPORTED, "minProperties and maxProperties are supported without properties only");
    if (n == 0 && rule < 0 && min > 0)
        return expr_choice(b);
    /* From the last to the first: what may follow when something stands before, and when nothing does. */
    int after = grammar_rule_new(b, STR("members"));
    grammar_rule_define(b, after, further_members(schema, rule, true, 0, -1));
    struct expr *none_yet = further_members(schema, rule, false, n == 0 ? min : 0, n == 0 ? max : -1);
    const char **names = arena_array(&b->arena, (size_t)n + 1, sizeof *names);
    const char *name;
    json_t *value;
    int count = 0;
    if (names == NULL) {
        b->failed = true;
        return expr_choice(b);
    }
    json_object_foreach(properties, name, value)
        names[count++] = name;
    struct schema_place here = {place, "properties"};
    for (int i = n - 1; i >= 0 && schema->status == 0; i--) {
        struct schema_place there = {&here, names[i]};
        int property = grammar_rule_new(b, STR("property")), with_comma = grammar_rule_new(b, STR("members"));
        grammar_rule_define(b, property, member(schema, quoted(schema, names[i]), schema_value(schema, json_object_get(properties, names[i]), &there)));
        struct expr *first = expr_add(expr_add(expr_sequence(b), expr_rule(b, property)), expr_rule(b, after));
        struct expr *next = expr_add(comma(schema), expr_rule(b, property));
        bool needed = is_required(required, names[i]);
        grammar_rule_define(b, with_comma, expr_add(expr_add(expr_sequence(b), needed ? next : expr_optional(b, next)), expr_rule(b, after)));
        none_yet = needed ? first : expr_add(expr_add(expr_choice(b), first), none_yet);
        after = with_comma;
    }
    struct expr *object = expr_add(expr_add(expr_add(expr_sequence(b), byte(schema, '{')), json_blank(&schema->json)), none_yet);
    return expr_add(object, byte(schema, '}'));
}

/* ------------------------------------------------------------------ arrays */

struct expr *schema_array(struct schema *schema, const json_t *node, const struct schema_place *place)
{
    struct grammar_builder *b = schema->builder;
    const json_t *items = json_object_get(node, "items"), *first = json_object_get(node, "prefixItems");
    if (json_is_array(items)) { /* As before 2020-12. */
        first = items;
        items = json_object_get(node, "additionalItems");
    }
    if (first != NULL && !json_is_array(first))
        return schema_fail(schema, &(struct schema_place){place, "prefixItems"}, WEIR_E_INVALID, "must be an array of schemas");
    int n = (int)json_array_size(first);
    int min = schema_count(schema, node, "minItems", 0, place), max = schema_count(schema, node, "maxItems", -1, place);
    if (max >= 0 && max < min)
        return expr_choice(b);
    int rule = grammar_rule_new(b, STR("item"));
    struct expr *value = schema_value(schema, items, &(struct schema_place){place, "items"});
    grammar_rule_define(b, rule, expr_add(expr_add(expr_sequence(b), value), json_blank(&schema->json)));
    /* From the last to the first: item i and what follows it; each needed below min, none from max on. */
    int least = min > n ? min - n : 0, most = max < 0 ? -1 : max > n ? max - n : 0;
    struct expr *tail = expr_repeat(b, expr_add(comma(schema), expr_rule(b, rule)), n == 0 && least > 0 ? least - 1 : least, most < 0 ? -1 : n == 0 && most > 0 ? most - 1 : most);
    if (n == 0) {
        tail = max == 0 ? expr_sequence(b) : expr_add(expr_add(expr_sequence(b), expr_rule(b, rule)), tail);
        if (min == 0)
            tail = expr_optional(b, tail);
    }
    for (int i = n - 1; i >= 0; i--) {
        char index[16];
        snprintf(index, sizeof index, "%d", i);
        struct schema_place here = {place, "prefixItems"};
        struct expr *item = schema_value(schema, json_array_get(first, (size_t)i), &(struct schema_place){&here, index});
        struct expr *sequence = i > 0 ? comma(schema) : expr_sequence(b);
        expr_add(expr_add(expr_add(sequence, item), json_blank(&schema->json)), tail);
        tail = max >= 0 && i >= max ? expr_sequence(b) : i < min ? sequence : expr_optional(b, sequence);
    }
    struct expr *array = expr_add(expr_add(expr_add(expr_sequence(b), byte(schema, '[')), json_blank(&schema->json)), tail);
    return expr_add(array, byte(schema, ']'));
}

/* ------------------------------------------------------------------ strings */

static const char *format_pattern(const char *format)
{
#define DATE "[0-9]{4}-(0[13578]-(0[1-9]|[12][0-9]|3[01])|1[02]-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
#define TIME "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
    static const struct {
        const char *format, *pattern;
    } known[] = {
        {"date", "^" DATE "$"},
        {"time", "^" TIME "$"},
        {"date-time", "^" DATE "T" TIME "$"},
        {"uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
        {"ipv4", "^((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\\.){3}(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])$"},
        {"email", "^[A-Za-z0-9_+-]+(\\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$"},
    };
    for (size_t i = 0; format != NULL && i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].format, format) == 0)
            return known[i].pattern;
    return NULL;
}

struct expr *schema_string(struct schema *schema, const json_t *node, const struct schema_place *place)
{
    struct grammar_builder *b = schema->builder;
    const json_t *given = json_object_get(node, "pattern");
    const char *format = format_pattern(json_string_value(json_object_get(node, "format")));
    int min = schema_count(schema, node, "minLength", 0, place), max = schema_count(schema, node, "maxLength", -1, place);
    if (given != NULL && !json_is_string(given))
        return schema_fail(schema, &(struct schema_place){place, "pattern"}, WEIR_E_INVALID, "must be a string");
    const char *pattern = given != NULL ? json_string_value(given) : format;
    if (pattern == NULL)
        return max >= 0 && max < min ? expr_choice(b) : json_string_of_length(&schema->json, min, max);
    if (min > 0 || max >= 0 || (given != NULL && format != NULL))
        return schema_fail(schema, place, WEIR_E_UNSUPPORTED, "pattern or format beside a length or each other is not supported");
    struct expr *inside = NULL;
    if (schema->status == 0) {
        schema->status = regex_expression(&inside, b, str_of(pattern), true, "schema", schema->err);
        if (schema->status < 0) {
            char text[sizeof schema->err->text];
            enum weir_status status = (enum weir_status)schema->status;
            str_copy(text, sizeof text, str_of(schema->err != NULL ? schema->err->text : ""));
            schema->status = 0;
            return schema_fail(schema, &(struct schema_place){place, "pattern"}, status, "%s", text);
        }
    }
    if (inside == NULL)
        return expr_choice(b);
    return expr_add(expr_add(expr_add(expr_sequence(b), byte(schema, '"')), inside), byte(schema, '"'));
}

/* ------------------------------------------------------------------ numbers */

enum { MOST_DECIMALS = 9 };

/* Decimals that a bound needs; -1: more than can be told apart here. */
static int decimals_of(double value)
{
    double unit = 1;
    for (int n = 0; n <= MOST_DECIMALS; n++, unit *= 10)
        if (fabs(value * unit - round(value * unit)) < 1e-9 * fmax(1, fabs(value * unit)))
            return n;
    return -1;
}

struct expr *schema_number(struct schema *schema, const json_t *node, bool whole, const struct schema_place *place)
{
    static const char *const names[] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"};
    struct json_range range = {.low = INT64_MIN, .high = INT64_MAX, .whole = whole};
    bool bounded = false;
    double bounds[4];
    for (int i = 0; i < 4; i++) {
        const json_t *value = json_object_get(node, names[i]);
        struct schema_place here = {place, names[i]};
        bounds[i] = NAN;
        if (value == NULL)
            continue;
        if (!json_is_number(value))
            return schema_fail(schema, &here, WEIR_E_INVALID, "must be a number");
        bounds[i] = json_number_value(value);
        int decimals = decimals_of(bounds[i]);
        if (decimals < 0)
            return schema_fail(schema, &here, WEIR_E_UNSUPPORTED, "has more than %d decimals", MOST_DECIMALS);
        if (fabs(bounds[i]) >= 1e15)
            return schema_fail(schema, &here, WEIR_E_UNSUPPORTED, "is beyond 15 digits");
        range.n_decimals = !whole && decimals > range.n_decimals ? decimals : range.n_decimals;
        bounded = true;
    }
    if (!bounded)
        return whole ? json_any_integer(&schema->json) : json_any_number(&schema->json);
    bool exclusive = !isnan(bounds[2]) || !isnan(bounds[3]);
    if (exclusive && !whole && range.n_decimals < MOST_DECIMALS)
        range.n_decimals++; /* What comes just after the bound. */
    double unit = pow(10, range.n_decimals);
    for (int i = 0; i < 4; i++) {
        if (isnan(bounds[i]))
            continue;
        double scaled = bounds[i] * unit, nearest = round(scaled);
        bool is_low = i % 2 == 0, exact = fabs(scaled - nearest) < 1e-6;
        if (fabs(nearest) >= 1e15)
            return schema_fail(schema, &(struct schema_place){place, names[i]}, WEIR_E_UNSUPPORTED, "is beyond 15 digits");
        int64_t edge = (int64_t)(exact ? nearest : is_low ? ceil(scaled) : floor(scaled));
        if (i >= 2 && exact)
            edge += is_low ? 1 : -1;
        if (is_low && edge > range.low)
            range.low = edge;
        if (!is_low && edge < range.high)
            range.high = edge;
    }
    return json_number_between(&schema->json, range);
}
