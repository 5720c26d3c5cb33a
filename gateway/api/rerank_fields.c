/* Fields of POST /v1/rerank, as Cohere and Jina have them. texts[0] is the query, the documents follow. */
#include "api/api_request.h"

static const char *const known[] = {"model", "query", "documents", "top_n", "return_documents", "user", "truncation", NULL};

/* A document is a string or {"text": string}. */
static int parse_document(const json_t *item, size_t index, struct api_text *out, struct api_error *error)
{
    char path[40];
    snprintf(path, sizeof path, "documents[%zu]", index);
    const json_t *text = json_is_object(item) ? json_object_get(item, "text") : item;
    if (!json_is_string(text))
        return api_error_set(error, 400, NULL, path, "%s: must be a string or an object with a text", path);
    out->text = (str){json_string_value(text), json_string_length(text)};
    return 0;
}

int rerank_fields_parse(struct api_request *request, struct arena *arena, struct api_error *error)
{
    struct error err = {0};
    str query;
    json_t *documents;
    int status = json_member_str(request->body, "query", &query, &err);
    if (status < 0)
        return api_error_from_field(error, NULL, &err);
    if (status == 0 || query.n == 0)
        return api_error_set(error, 400, NULL, "query", "query: is missing or empty");
    if ((status = json_member_array(request->body, "documents", &documents, &err)) < 0)
        return api_error_from_field(error, NULL, &err);
    size_t n = status > 0 ? json_array_size(documents) : 0;
    if (n == 0 || n > API_MAX_INPUTS)
        return api_error_set(error, 400, NULL, "documents", "documents: must hold 1 to %d documents", API_MAX_INPUTS);
    if ((request->texts = arena_array(arena, n + 1, sizeof *request->texts)) == NULL)
        return api_error_set(error, 503, NULL, NULL, "Out of memory");
    request->texts[0].text = query;
    request->n_texts = n + 1;
    for (size_t i = 0; i < n; i++)
        if (parse_document(json_array_get(documents, i), i, &request->texts[i + 1], error) < 0)
            return WEIR_E_INVALID;
    request->top_n = (int64_t)n;
    if (json_member_i64(request->body, "top_n", &request->top_n, &err) < 0 ||
        json_member_bool(request->body, "return_documents", &request->return_documents, &err) < 0)
        return api_error_from_field(error, NULL, &err);
    if (request->top_n < 1)
        return api_error_set(error, 400, NULL, "top_n", "top_n: must be at least 1");
    unknown_fields_mark(request, known);
    return 0;
}
