/* OpenAI's error objects. */
#include "api/api_error.h"

static const char *type_of(int status)
{
    switch (status) {
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 429:
        return "rate_limit_error";
    default:
        return status >= 500 ? "server_error" : "invalid_request_error";
    }
}

int api_error_set(struct api_error *error, int status, const char *code, const char *param, const char *format, ...)
{
    *error = (struct api_error){.status = status, .code = code};
    str_copy(error->param, sizeof error->param, str_of(param));
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    return WEIR_E_INVALID;
}

int api_error_from_field(struct api_error *error, const char *prefix, const struct error *err)
{
    char param[160];
    snprintf(param, sizeof param, "%s%.100s", prefix != NULL ? prefix : "", err->where);
    return api_error_set(error, 400, NULL, param, "%s: %s", param, err->text);
}

void api_error_write(const struct api_error *error, struct buffer *out)
{
    buffer_append_text(out, "{\"error\":{\"message\":");
    buffer_append_json_string(out, str_of(error->message));
    buffer_printf(out, ",\"type\":\"%s\",\"param\":", error->type != NULL ? error->type : type_of(error->status));
    if (error->param[0] != '\0')
        buffer_append_json_string(out, str_of(error->param));
    else
        buffer_append_text(out, "null");
    buffer_append_text(out, ",\"code\":");
    if (error->code != NULL)
        buffer_append_json_string(out, str_of(error->code));
    else
        buffer_append_text(out, "null");
    buffer_append_text(out, "}}");
}
