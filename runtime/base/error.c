/* Status words and the error a failing function leaves behind. */
#include "weir_base.h"

/* What a message quotes comes from files and callers, and may have been cut in the middle of a character: a terminal, a log and a JSON
 * string must take it all the same. */
static void make_plain(char *text)
{
    str rest = str_of(text);
    for (size_t at = 0; at < rest.n;) {
        size_t start = at;
        uint32_t code_point = utf8_next(rest, &at);
        bool broken = code_point == 0xFFFD && at - start == 1;
        if (broken || (code_point < 0x20 && code_point != '\n' && code_point != '\t') || code_point == 0x7F)
            text[start] = '?';
    }
}

int error_set(struct error *err, enum weir_status status, const char *where, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        err->status = status;
        str_copy(err->where, sizeof err->where, str_of(where));
        va_start(args, format);
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        make_plain(err->where);
        make_plain(err->text);
    }
    return status;
}

int error_prefix(struct error *err, const char *prefix)
{
    if (err == NULL)
        return WEIR_E_INVALID;
    char old[sizeof err->where];
    str before = str_of(prefix);
    bool member = str_ends(before, STR("."));
    if (str_ends(before, STR(": ")))
        before.n -= 2;
    memcpy(old, err->where, sizeof old);
    if (old[0] != '\0')
        snprintf(err->where, sizeof err->where, STR_FMT "%s%s", STR_ARG(before), member ? "" : ": ", old);
    else
        str_copy(err->where, sizeof err->where, before);
    make_plain(err->where);
    return err->status;
}

const char *error_format(const struct error *err, char *out, size_t n_out)
{
    if (err->where[0] != '\0')
        snprintf(out, n_out, "%s: %s", err->where, err->text);
    else
        snprintf(out, n_out, "%s", err->text);
    return out;
}

const char *status_name(enum weir_status status)
{
    switch (status) {
    case WEIR_OK:
        return "ok";
    case WEIR_E_INVALID:
        return "invalid";
    case WEIR_E_NOT_FOUND:
        return "not_found";
    case WEIR_E_IO:
        return "io";
    case WEIR_E_MEMORY:
        return "memory";
    case WEIR_E_LIMIT:
        return "limit";
    case WEIR_E_FULL:
        return "full";
    case WEIR_E_CANCELLED:
        return "cancelled";
    case WEIR_E_TIMEOUT:
        return "timeout";
    case WEIR_E_UNSUPPORTED:
        return "unsupported";
    case WEIR_E_DENIED:
        return "denied";
    case WEIR_E_STATE:
        return "state";
    }
    return "unknown";
}
