/* Members of tokenizer.json with errors that name the key. */
#include "tokenizer/tokenizer_json.h"

int json_fail(const struct json_source *source, enum weir_status status, const char *name, const char *format, ...)
{
    char where[192], text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(where, sizeof where, "%s%s%s", source->where, name != NULL && source->where[0] != '\0' ? "." : "", name != NULL ? name : "");
    return error_set(source->err, status, where, "%s", text);
}

int json_component_type(const struct json_source *source, const json_t *component, str *out)
{
    if (json_member_str(component, "type", out, NULL) == 1)
        return 0;
    return json_fail(source, WEIR_E_INVALID, "type", "must be a string");
}

int json_read_bool(const struct json_source *source, const json_t *object, const char *name, bool *out)
{
    if (json_member_bool(object, name, out, NULL) >= 0)
        return 0;
    return json_fail(source, WEIR_E_INVALID, name, "must be true or false");
}

int json_read_int(const struct json_source *source, const json_t *object, const char *name, int *out)
{
    int64_t value = *out;
    if (json_member_i64(object, name, &value, NULL) < 0 || value < INT32_MIN || value > INT32_MAX)
        return json_fail(source, WEIR_E_INVALID, name, "must be an integer of 32 bits");
    *out = (int)value;
    return 0;
}

int json_read_text(const struct json_source *source, const json_t *object, const char *name, str *out)
{
    str text;
    int status = json_member_str(object, name, &text, NULL);
    if (status < 0)
        return json_fail(source, WEIR_E_INVALID, name, "must be a string");
    return status == 0 ? 0 : tokenizer_keep(source->tokenizer, text, out, source->err);
}

int json_read_pattern(const struct json_source *source, const json_t *object, str *text, struct regex **regex)
{
    const json_t *pattern = json_object_get(object, "pattern");
    str expression;
    *text = (str){0};
    *regex = NULL;
    if (json_member_str(pattern, "Regex", &expression, NULL) == 1) {
        int status = regex_compile(regex, expression, source->err);
        if (status < 0) {
            struct error inner = source->err != NULL ? *source->err : (struct error){0};
            return json_fail(source, (enum weir_status)status, "pattern.Regex", "%.200s", inner.text);
        }
        return 0;
    }
    if (json_member_str(pattern, "String", &expression, NULL) == 1)
        return tokenizer_keep(source->tokenizer, expression, text, source->err);
    return json_fail(source, WEIR_E_INVALID, "pattern", "must be {\"String\"} or {\"Regex\"}");
}

int json_each(struct json_source *source, const json_t *object, const char *name, int depth, json_component_fn *read)
{
    const json_t *list = json_object_get(object, name);
    if (!json_is_array(list))
        return json_fail(source, WEIR_E_INVALID, name, "must be an array");
    if (depth >= JSON_MAX_NESTING)
        return json_fail(source, WEIR_E_LIMIT, name, "nested more than %d deep", JSON_MAX_NESTING);
    size_t n = strlen(source->where);
    for (size_t i = 0; i < json_array_size(list); i++) {
        snprintf(source->where + n, sizeof source->where - n, ".%s[%zu]", name, i);
        int status = read(source, json_array_get(list, i), depth + 1);
        if (status < 0)
            return status;
        source->where[n] = '\0';
    }
    return 0;
}
