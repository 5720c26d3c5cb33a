/* Fields of POST /v1/completions: prompts as a string, a list of strings, token ids, or lists of token ids. */
#include "api/api_request.h"

static const char *const known[] = {
    "model", "prompt", "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "n",
    "best_of", "echo", "stop", "max_tokens", "stream", "stream_options", "logit_bias", "logprobs", "seed", "context_shift", "user",
    "response_format", "structured_outputs", "json_schema", "grammar", NULL};

static int parse_prompts(struct api_request *request, struct arena *arena, struct api_error *error)
{
    json_t *prompt = json_object_get(request->body, "prompt");
    if (prompt == NULL || json_is_null(prompt))
        return api_error_set(error, 400, NULL, "prompt", "prompt: is missing");
    if (!json_is_string(prompt) && !json_is_array(prompt))
        return api_error_set(error, 400, NULL, "prompt", "prompt: must be a string, an array of strings, or token ids");
    bool one = json_is_string(prompt) || json_is_integer(json_array_get(prompt, 0));
    size_t n = one ? 1 : json_array_size(prompt);
    if (n == 0)
        return api_error_set(error, 400, NULL, "prompt", "prompt: must not be an empty array");
    if (n > API_MAX_PROMPTS)
        return api_error_set(error, 400, NULL, "prompt", "prompt: at most %d prompts", API_MAX_PROMPTS);
    request->texts = arena_array(arena, n, sizeof *request->texts);
    if (request->texts == NULL)
        return api_error_set(error, 503, NULL, NULL, "Out of memory");
    for (size_t i = 0; i < n; i++) {
        json_t *item = one ? prompt : json_array_get(prompt, i);
        char path[40] = "prompt";
        if (!one)
            snprintf(path, sizeof path, "prompt[%zu]", i);
        if (json_is_string(item)) {
            request->texts[i].text = (str){json_string_value(item), json_string_length(item)};
        } else if (json_is_array(item)) {
            if (json_array_size(item) == 0)
                return api_error_set(error, 400, NULL, path, "%s: must not be an empty array", path);
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

static int parse_counts(struct api_request *request, struct api_error *error)
{
    struct error err = {0};
    int64_t best_of = request->n, logprobs = -1, max_tokens = 16;
    int status = json_member_i64(request->body, "best_of", &best_of, &err);
    if (status < 0)
        return api_error_from_field(error, NULL, &err);
    if (best_of < 1 || best_of > 20)
        if (status > 0)
            return api_error_set(error, 400, NULL, "best_of", "best_of: must be an integer from 1 to 20");
    if (best_of < request->n)
        return api_error_set(error, 400, NULL, "best_of", "best_of: must not be smaller than n");
    if (request->stream && best_of > request->n)
        return api_error_set(error, 400, NULL, "best_of", "best_of: cannot be streamed");
    if ((int64_t)request->n_texts * best_of > API_MAX_CHOICES)
        return api_error_set(error, 400, NULL, "n", "n: at most %d answers to one request", API_MAX_CHOICES);
    status = json_member_i64(request->body, "logprobs", &logprobs, &err);
    if (status < 0)
        return api_error_from_field(error, NULL, &err);
    if (status > 0 && (logprobs < 0 || logprobs > 5))
        return api_error_set(error, 400, NULL, "logprobs", "logprobs: must be an integer from 0 to 5");
    if (json_member_bool(request->body, "echo", &request->echo, &err) < 0)
        return api_error_from_field(error, NULL, &err);
    status = json_member_i64(request->body, "max_tokens", &max_tokens, &err);
    if (status < 0)
        return api_error_from_field(error, NULL, &err);
    if (max_tokens < 0)
        return api_error_set(error, 400, NULL, "max_tokens", "max_tokens: must not be negative");
    request->best_of = (int)best_of;
    request->logprobs = logprobs >= 0;
    request->n_top_logprobs = logprobs > 0 ? (int)logprobs : 0;
    request->has_max_tokens = true;
    request->max_tokens = max_tokens > INT32_MAX ? INT32_MAX : max_tokens;
    request->sampling.max_tokens = (int)request->max_tokens;
    request->sampling.logprobs = request->logprobs || request->best_of > request->n;
    request->sampling.n_top_logprobs = request->n_top_logprobs;
    return 0;
}

int completion_fields_parse(struct api_request *request, struct arena *arena, struct api_error *error)
{
    if (sampling_fields_parse(request, arena, error) < 0 || parse_prompts(request, arena, error) < 0 || parse_counts(request, error) < 0)
        return WEIR_E_INVALID;
    unknown_fields_mark(request, known);
    return 0;
}
