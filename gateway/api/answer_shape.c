/* See answer_shape.h. */
#include "api/answer_shape.h"

#include <stdio.h>

enum { MOST_CHOICES = 4096 };

/* Puts "outer." in front of err's where. */
static int under(const char *outer, struct error *err)
{
    char where[sizeof err->where];
    snprintf(where, sizeof where, "%s.%.*s", outer, (int)(sizeof where / 2), err->where);
    memcpy(err->where, where, sizeof where);
    return err->status;
}

static int of_choices(const json_t *list, struct grammar **out, struct error *err)
{
    str texts[MOST_CHOICES];
    size_t n = json_array_size(list);
    if (n == 0 || n > MOST_CHOICES)
        return error_set(err, WEIR_E_INVALID, "choice", "must be an array of 1 to %d strings", MOST_CHOICES);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_string(item) || json_string_length(item) == 0)
            return error_set(err, WEIR_E_INVALID, "choice", "must be an array of strings that are not empty");
        texts[i] = (str){json_string_value(item), json_string_length(item)};
    }
    return grammar_of_choice(out, texts, n, err);
}

/* One way of saying it: {"json": …}, {"regex": …}, {"choice": […]} or {"grammar": …}. */
static int of_member(const char *kind, const json_t *value, struct grammar **out, struct error *err)
{
    if (strcmp(kind, "json") == 0) {
        struct error inner;
        json_t *parsed = json_is_string(value) ? json_parse((str){json_string_value(value), json_string_length(value)}, &inner) : NULL;
        if (json_is_string(value) && parsed == NULL)
            return error_set(err, WEIR_E_INVALID, kind, "is no JSON: %s", inner.text);
        int status = grammar_of_schema(out, parsed != NULL ? parsed : value, err);
        json_decref(parsed);
        return status;
    }
    if (strcmp(kind, "choice") == 0)
        return of_choices(value, out, err);
    if (!json_is_string(value))
        return error_set(err, WEIR_E_INVALID, kind, "must be a string");
    str text = {json_string_value(value), json_string_length(value)};
    return strcmp(kind, "regex") == 0 ? grammar_of_regex(out, text, err) : grammar_of_gbnf(out, text, err);
}

static int of_structured_outputs(const json_t *object, struct grammar **out, struct error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value) {
        bool known = strcmp(name, "json") == 0 || strcmp(name, "regex") == 0 || strcmp(name, "choice") == 0 || strcmp(name, "grammar") == 0;
        if (json_is_null(value))
            continue;
        if (!known)
            return error_set(err, WEIR_E_UNSUPPORTED, name, "is not supported by the local model");
        if (*out != NULL)
            return error_set(err, WEIR_E_INVALID, name, "only one of json, regex, choice and grammar may be given");
        int status = of_member(name, value, out, err);
        if (status < 0)
            return status;
    }
    return 0;
}

static int of_response_format(const json_t *format, struct grammar **out, struct error *err)
{
    str type;
    json_t *wrapper;
    int status = json_member_str(format, "type", &type, err);
    if (status < 0)
        return status;
    if (status == 0)
        return error_set(err, WEIR_E_INVALID, "type", "is missing");
    if (str_equal(type, STR("text")))
        return 0;
    if (str_equal(type, STR("json_object"))) {
        const json_t *schema = json_object_get(format, "schema"); /* As llama-server takes it. */
        return grammar_of_schema(out, json_is_object(schema) ? schema : NULL, err);
    }
    if (!str_equal(type, STR("json_schema")))
        return error_set(err, WEIR_E_INVALID, "type", "must be text, json_object or json_schema");
    status = json_member_object(format, "json_schema", &wrapper, err);
    if (status < 0)
        return status;
    const json_t *schema = status > 0 ? json_object_get(wrapper, "schema") : NULL;
    if (!json_is_object(schema) && !json_is_boolean(schema))
        return error_set(err, WEIR_E_INVALID, "json_schema.schema", status > 0 && schema != NULL ? "must be a schema" : "is missing");
    status = grammar_of_schema(out, schema, err);
    return status < 0 ? under("json_schema", err) : 0;
}

int answer_shape_parse(const json_t *object, struct grammar **out, const char **field, struct error *err)
{
    static const char *const fields[] = {"response_format", "structured_outputs", "json_schema", "grammar"};
    *out = NULL;
    *field = NULL;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const json_t *value = json_object_get(object, fields[i]);
        struct grammar *grammar = NULL;
        int status = 0;
        bool needs_object = i < 2;
        if (value == NULL || json_is_null(value))
            continue;
        if (needs_object && !json_is_object(value)) {
            status = error_set(err, WEIR_E_INVALID, fields[i], "must be an object");
        } else {
            status = i == 0   ? of_response_format(value, &grammar, err)
                     : i == 1 ? of_structured_outputs(value, &grammar, err)
                              : of_member(i == 2 ? "json" : "grammar", value, &grammar, err);
            if (status < 0 && needs_object)
                under(fields[i], err);
        }
        if (status == 0 && grammar != NULL && *out != NULL)
            status = error_set(err, WEIR_E_INVALID, fields[i], "%s already says what the answer looks like", *field);
        if (status < 0) {
            *field = fields[i];
            grammar_free(grammar);
            grammar_free(*out);
            *out = NULL;
            return status;
        }
        if (grammar != NULL) {
            *out = grammar;
            *field = fields[i];
        }
    }
    return 0;
}
