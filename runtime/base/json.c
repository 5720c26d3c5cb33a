/* JSON through jansson: strict parsing with a position, typed access to members, and a writer whose reals read back
 * the same. */
#include "weir_base.h"

#include <math.h>

json_t *json_parse(str text, struct error *err)
{
    json_error_t error;
    json_t *value = json_loadb(text.data != NULL ? text.data : "", text.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    if (value == NULL) {
        char where[96];
        snprintf(where, sizeof where, "line %d, column %d (byte %d)", error.line, error.column, error.position);
        /* jansson quotes the input near the fault ("… near 'xyz'"); that may be a prompt, so it is cut off. */
        str message = str_of(error.text);
        ptrdiff_t near = str_find(message, STR(" near '"));
        if (near >= 0)
            message.n = (size_t)near;
        if (json_error_code(&error) == json_error_duplicate_key)
            message = STR("duplicate object key");
        error_set(err, json_error_code(&error) == json_error_out_of_memory ? WEIR_E_MEMORY : WEIR_E_INVALID, where, STR_FMT, STR_ARG(message));
    }
    return value;
}

/* The member unless it is absent or null; *status 1 when it has the right type. */
static json_t *member(const json_t *object, const char *name, bool (*is)(const json_t *), const char *what, int *status,
                      struct error *err)
{
    json_t *value = json_object_get(object, name);
    if (value == NULL || json_is_null(value)) {
        *status = 0;
        return NULL;
    }
    if (!is(value)) {
        *status = error_set(err, WEIR_E_INVALID, name, "must be %s", what);
        return NULL;
    }
    *status = 1;
    return value;
}

static bool is_string(const json_t *value)
{
    return json_is_string(value);
}

static bool is_integer(const json_t *value)
{
    return json_is_integer(value) || (json_is_real(value) && json_real_value(value) == floor(json_real_value(value)) &&
                                      fabs(json_real_value(value)) < 9007199254740992.0);
}

static bool is_number(const json_t *value)
{
    return json_is_number(value);
}

static bool is_boolean(const json_t *value)
{
    return json_is_boolean(value);
}

static bool is_array(const json_t *value)
{
    return json_is_array(value);
}

static bool is_object(const json_t *value)
{
    return json_is_object(value);
}

int json_member_str(const json_t *object, const char *name, str *out, struct error *err)
{
    int status;
    json_t *value = member(object, name, is_string, "a string", &status, err);
    if (value != NULL)
        *out = (str){json_string_value(value), json_string_length(value)};
    return status;
}

int json_member_i64(const json_t *object, const char *name, int64_t *out, struct error *err)
{
    int status;
    json_t *value = member(object, name, is_integer, "an integer", &status, err);
    if (value != NULL)
        *out = json_is_integer(value) ? json_integer_value(value) : (int64_t)json_real_value(value);
    return status;
}

int json_member_f64(const json_t *object, const char *name, double *out, struct error *err)
{
    int status;
    json_t *value = member(object, name, is_number, "a number", &status, err);
    if (value != NULL)
        *out = json_number_value(value);
    return status;
}

int json_member_bool(const json_t *object, const char *name, bool *out, struct error *err)
{
    int status;
    json_t *value = member(object, name, is_boolean, "a boolean", &status, err);
    if (value != NULL)
        *out = json_is_true(value);
    return status;
}

int json_member_array(const json_t *object, const char *name, json_t **out, struct error *err)
{
    int status;
    json_t *value = member(object, name, is_array, "an array", &status, err);
    if (value != NULL)
        *out = value;
    return status;
}

int json_member_object(const json_t *object, const char *name, json_t **out, struct error *err)
{
    int status;
    json_t *value = member(object, name, is_object, "an object", &status, err);
    if (value != NULL)
        *out = value;
    return status;
}

/* The shortest of 15, 16 or 17 significant digits that reads back the same, with a point or an exponent. */
static int write_real(double real, struct buffer *out)
{
    char digits[40];
    for (int precision = 15; precision <= 17; precision++) {
        double back;
        snprintf(digits, sizeof digits, "%.*g", precision, real);
        if (parse_f64(str_of(digits), &back) == 0 && back == real)
            break;
    }
    buffer_append_text(out, digits);
    if (strpbrk(digits, ".eE") == NULL)
        return buffer_append_text(out, ".0");
    return out->failed ? WEIR_E_LIMIT : 0;
}

int json_write(const json_t *value, struct buffer *out)
{
    const char *separator = "";
    switch (json_typeof(value)) {
    case JSON_NULL:
        return buffer_append_text(out, "null");
    case JSON_TRUE:
        return buffer_append_text(out, "true");
    case JSON_FALSE:
        return buffer_append_text(out, "false");
    case JSON_INTEGER:
        return buffer_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    case JSON_REAL:
        return write_real(json_real_value(value), out);
    case JSON_STRING:
        return buffer_append_json_string(out, (str){json_string_value(value), json_string_length(value)});
    case JSON_ARRAY: {
        size_t index;
        json_t *item;
        buffer_append_char(out, '[');
        json_array_foreach(value, index, item) {
            buffer_append_text(out, separator);
            json_write(item, out);
            separator = ",";
        }
        return buffer_append_char(out, ']');
    }
    case JSON_OBJECT: {
        buffer_append_char(out, '{');
        void *cursor = json_object_iter((json_t *)(uintptr_t)value);
        for (; cursor != NULL; cursor = json_object_iter_next((json_t *)(uintptr_t)value, cursor)) {
            buffer_append_text(out, separator);
            buffer_append_json_string(out, str_of(json_object_iter_key(cursor)));
            buffer_append_char(out, ':');
            json_write(json_object_iter_value(cursor), out);
            separator = ",";
        }
        return buffer_append_char(out, '}');
    }
    }
    return WEIR_E_INVALID;
}
