/* Who asks: the bearer of a virtual key, or anyone when keys are not required. */
#include "request/request.h"

int request_authenticate(struct service *service, const struct snapshot *snapshot, const struct http_request *http, struct key_info *key,
                         bool *found, struct api_error *error)
{
    str value, bearer = {NULL, 0}, scheme = STR("Bearer ");
    *found = false;
    if (http_header_find(http, STR("authorization"), &value) && value.n > scheme.n &&
        str_equal_nocase((str){value.data, scheme.n}, scheme))
        bearer = str_trim((str){value.data + scheme.n, value.n - scheme.n});
    bool required = snapshot->config->keys_required;
    if (bearer.n > 0 && keys_find(service->keys, bearer, key) == 0) {
        *found = true;
        return 0;
    }
    if (!required)
        return 0;
    if (bearer.n == 0)
        return api_error_set(error, 401, "missing_api_key", NULL,
                             "No key was given: send `Authorization: Bearer weir-…`; `weir keys create` makes one");
    return api_error_set(error, 401, "invalid_api_key", NULL, "The key is unknown or was revoked");
}
