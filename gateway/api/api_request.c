/* The JSON of a request into typed fields: what all endpoints share. */
#include "api/api_request.h"

void api_request_mark_remote_only(struct api_request *request, const char *field)
{
    if (request->local_unsupported[0] == '\0')
        str_copy(request->local_unsupported, sizeof request->local_unsupported, str_of(field));
}

void unknown_fields_mark(struct api_request *request, const char *const *known)
{
    const char *name;
    json_t *value;
    json_object_foreach(request->body, name, value) {
        bool found = json_is_null(value);
        for (int i = 0; known[i] != NULL && !found; i++)
            found = strcmp(name, known[i]) == 0;
        if (!found)
            api_request_mark_remote_only(request, name);
    }
}

int token_ids_parse(const json_t *array, const char *param, struct arena *arena, struct api_text *out, struct api_error *error)
{
    size_t n = json_array_size(array);
    int32_t *ids = arena_array(arena, n, sizeof *ids);
    if (ids == NULL)
        return api_error_set(error, 413, NULL, param, "%s does not fit into the memory of one request", param);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(array, i);
        if (!json_is_integer(item) || json_integer_value(item) < 0 || json_integer_value(item) > INT32_MAX)
            return api_error_set(error, 400, NULL, param, "%s[%zu] must be a token id, an integer from 0", param, i);
        ids[i] = (int32_t)json_integer_value(item);
    }
    *out = (struct api_text){.ids = ids, .n_ids = n};
    return 0;
}

static int parse_body(struct api_request *request, str body, struct api_error *error)
{
    struct error err = {0};
    if (body.n == 0)
        return api_error_set(error, 400, NULL, NULL, "The body is empty: it must be a JSON object");
    ptrdiff_t invalid = utf8_first_invalid(body);
    if (invalid >= 0)
        return api_error_set(error, 400, NULL, NULL, "The body is not valid UTF-8: byte %td", invalid);
    request->body = json_parse(body, &err);
    if (request->body == NULL)
        return api_error_set(error, 400, NULL, NULL, "The body is not valid JSON: %s: %s", err.where, err.text);
    if (!json_is_object(request->body))
        return api_error_set(error, 400, NULL, NULL, "The body must be a JSON object");
    int status = json_member_str(request->body, "model", &request->model, &err);
    if (status < 0)
        return api_error_from_field(error, NULL, &err);
    if (status == 0 || request->model.n == 0)
        return api_error_set(error, 400, NULL, "model", "model: you must name a model: `auto`, `local` or one of /v1/models");
    if (request->model.n > 128 || memchr(request->model.data, '\0', request->model.n) != NULL)
        return api_error_set(error, 404, "model_not_found", "model", "model: no such model");
    return 0;
}

bool api_kind_generates(enum api_kind kind)
{
    return kind == API_CHAT || kind == API_COMPLETIONS;
}

int api_request_parse(struct api_request *request, enum api_kind kind, str body, struct arena *arena, struct api_error *error)
{
    *request = (struct api_request){.kind = kind, .n = 1, .best_of = 1};
    int status = parse_body(request, body, error);
    if (status == 0 && kind == API_CHAT)
        status = chat_fields_parse(request, arena, error);
    else if (status == 0 && kind == API_COMPLETIONS)
        status = completion_fields_parse(request, arena, error);
    else if (status == 0 && kind == API_RERANK)
        status = rerank_fields_parse(request, arena, error);
    else if (status == 0)
        status = embedding_fields_parse(request, arena, error);
    if (status < 0)
        api_request_release(request);
    return status;
}

void api_request_release(struct api_request *request)
{
    json_decref(request->body);
    request->body = NULL;
    grammar_free(request->grammar);
    request->grammar = NULL;
}
