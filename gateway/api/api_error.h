/* Error objects as OpenAI's API gives them: {"error": {"message", "type", "param", "code"}}, with the statuses that its SDKs
 * map to their exceptions. */
#ifndef WEIR_API_API_ERROR_H
#define WEIR_API_API_ERROR_H

#include "weir_base.h"

struct api_error {
    int status;          /* HTTP. 0: no error. */
    const char *type;    /* NULL: what belongs to the status. */
    const char *code;    /* Static; NULL: null. */
    char param[160];     /* The field at fault, empty: null. */
    char message[480];
    int64_t retry_after_s; /* 0: no Retry-After. */
};

/* Fills error and returns WEIR_E_INVALID, so that a check ends in `return api_error_set(…)`. param may be NULL. */
int api_error_set(struct api_error *error, int status, const char *code, const char *param, const char *format, ...)
    WEIR_PRINTF(5, 6);
/* A 400 from a failed typed read: err's where names the field. */
int api_error_from_field(struct api_error *error, const char *prefix, const struct error *err);
/* Appends the JSON object. */
void api_error_write(const struct api_error *error, struct buffer *out);

#endif
