/* Fields of POST /v1/embeddings. */
#include "api/api_request.h"

static const char *const known[] = {"model", "input", "encoding_format", "dimensions", "user", NULL};

static int parse_inputs(struct api_request *request, struct arena *arena, struct api_error *error)
{
    json_t *input = json_object_get(request->body, "input");
    if (input == NULL || json_is_null(input))
        return api_error_set(error, 400, NULL, "input", "input: is missing");
    if (!json_is_string(input) && !json_is_array(input))
        return api_error_set(error, 400, NULL, "input", "input: must be a string, an array of strings, or token ids");
    bool one = json_is_string(input) || json_is_integer(json_array_get(input, 0));
    size_t n = one ? 1 : json_array_size(input);
    if (n == 0)
        return api_error_set(error, 400, NULL, "input", "input: must not be an empty array");
    if (n > API_MAX_INPUTS)
        return api_error_set(error, 400, NULL, "input", "input: at most %d items", API_MAX_INPUTS);
    request->texts = arena_array(arena, n, sizeof *request->texts);
    if (request->texts == NULL)
        return api_error_set(error, 503, NULL, NULL, "Out of memory");
    for (size_t i = 0; i < n; i++) {
        json_t *item = one ? input : json_array_get(input, i);
        char path[40] = "input";
        if (!one)
            snprintf(path, sizeof path, "input[%zu]", i);
        if (json_is_string(item)) {
            if (json_string_length(item) == 0)
                return api_error_set(error, 400, NULL, path, "%s: must not be empty", path);
            request->texts[i].text = (str){json_string_value(item), json_string_length(item)};
        } else if (json_is_array(item)) {
            if (json_array_size(item) == 0)
                return api_error_set(error, 400, NULL, path, "%s: must not be empty", path);
            if (token_ids_parse(item, path, arena, &request->texts[i], error) < 0)
                return WEIR_E_INVALID;
            request->token_input = true;
        } else {
            return api_error_set(error, 400, NULL, path, "%s: must be a string or a list of token ids", path);
        }
    }
    request->n_texts = n;
    return 0;
}

int embedding_fields_parse(struct api_request *request, struct arena *arena, struct api_error *error)
{
    struct error err = {0};
    str format = STR("float");
    if (parse_inputs(request, arena, error) < 0)
        return WEIR_E_INVALID;
    if (json_member_str(request->body, "encoding_format", &format, &err) < 0)
        return api_error_from_field(error, NULL, &err);
    request->base64 = str_equal(format, STR("base64"));
    if (!request->base64 && !str_equal(format, STR("float")))
        return api_error_set(error, 400, NULL, "encoding_format", "encoding_format: must be float or base64");
    int status = json_member_i64(request->body, "dimensions", &request->dimensions, &err);
    if (status < 0)
        return api_error_from_field(error, NULL, &err);
    if (status > 0 && request->dimensions < 1)
        return api_error_set(error, 400, NULL, "dimensions", "dimensions: must be at least 1");
    unknown_fields_mark(request, known);
    return 0;
}
