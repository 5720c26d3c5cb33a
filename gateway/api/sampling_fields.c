/* Sampling fields of chat and completions, with the ranges of OpenAI's published API. */
#include "api/answer_shape.h"
#include "api/api_request.h"

#include <stdio.h>

/* A number within a range; absent leaves *out. */
static int number(const json_t *body, const char *name, double least, double most, float *out, struct api_error *error)
{
    struct error err = {0};
    double value;
    int status = json_member_f64(body, name, &value, &err);
    if (status < 0)
        return api_error_from_field(error, NULL, &err);
    if (status == 0)
        return 0;
    if (!(value >= least && value <= most))
        return api_error_set(error, 400, NULL, name, "%s: must be a number from %g to %g", name, least, most);
    *out = (float)value;
    return 1;
}

static int integer(const json_t *body, const char *name, int64_t least, int64_t most, int64_t *out, struct api_error *error)
{
    struct error err = {0};
    int64_t value;
    int status = json_member_i64(body, name, &value, &err);
    if (status < 0)
        return api_error_from_field(error, NULL, &err);
    if (status == 0)
        return 0;
    if (value < least || value > most)
        return api_error_set(error, 400, NULL, name, "%s: must be an integer from %lld to %lld", name, (long long)least, (long long)most);
    *out = value;
    return 1;
}

static int parse_stops(struct api_request *request, struct arena *arena, struct api_error *error)
{
    const json_t *stop = json_object_get(request->body, "stop");
    if (stop == NULL || json_is_null(stop))
        return 0;
    size_t n = json_is_array(stop) ? json_array_size(stop) : 1;
    if (!json_is_array(stop) && !json_is_string(stop))
        return api_error_set(error, 400, NULL, "stop", "stop: must be a string or an array of strings");
    if (n > API_MAX_STOPS)
        return api_error_set(error, 400, NULL, "stop", "stop: at most %d strings", API_MAX_STOPS);
    str *stops = arena_array(arena, n, sizeof *stops);
    if (stops == NULL)
        return api_error_set(error, 503, NULL, NULL, "Out of memory");
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_is_array(stop) ? json_array_get(stop, i) : stop;
        if (!json_is_string(item))
            return api_error_set(error, 400, NULL, "stop", "stop[%zu]: must be a string", i);
        if (json_string_length(item) > 0) /* An empty one would stop nothing. */
            stops[n_kept++] = (str){json_string_value(item), json_string_length(item)};
    }
    request->sampling.stops = stops;
    request->sampling.n_stops = n_kept;
    return 0;
}

static int parse_bias(struct api_request *request, struct arena *arena, struct api_error *error)
{
    struct error err = {0};
    json_t *map;
    int status = json_member_object(request->body, "logit_bias", &map, &err);
    if (status <= 0)
        return status < 0 ? api_error_from_field(error, NULL, &err) : 0;
    size_t n = json_object_size(map);
    if (n > SAMPLING_MAX_BIAS)
        return api_error_set(error, 400, NULL, "logit_bias", "logit_bias: at most %d tokens", SAMPLING_MAX_BIAS);
    struct logit_bias *bias = arena_array(arena, n, sizeof *bias);
    if (bias == NULL)
        return api_error_set(error, 503, NULL, NULL, "Out of memory");
    const char *key;
    json_t *value;
    size_t i = 0;
    json_object_foreach(map, key, value) {
        int64_t id;
        if (parse_i64(str_of(key), &id) < 0 || id < 0 || id > INT32_MAX)
            return api_error_set(error, 400, NULL, "logit_bias", "logit_bias: each name must be a token id");
        if (!json_is_number(value) || !(json_number_value(value) >= -100 && json_number_value(value) <= 100))
            return api_error_set(error, 400, NULL, "logit_bias", "logit_bias: each value must be a number from -100 to 100");
        bias[i++] = (struct logit_bias){(int32_t)id, (float)json_number_value(value)};
    }
    request->sampling.bias = bias;
    request->sampling.n_bias = n;
    return 0;
}

static int parse_stream(struct api_request *request, struct api_error *error)
{
    struct error err = {0};
    json_t *options;
    if (json_member_bool(request->body, "stream", &request->stream, &err) < 0)
        return api_error_from_field(error, NULL, &err);
    int status = json_member_object(request->body, "stream_options", &options, &err);
    if (status < 0)
        return api_error_from_field(error, NULL, &err);
    if (status == 0)
        return 0;
    if (!request->stream)
        return api_error_set(error, 400, NULL, "stream_options", "stream_options: only allowed when stream is true");
    if (json_member_bool(options, "include_usage", &request->include_usage, &err) < 0)
        return api_error_from_field(error, "stream_options.", &err);
    const char *name;
    json_t *value;
    json_object_foreach(options, name, value) {
        /* include_obfuscation pads chunks; leaving the padding out is what `false` asks for. */
        if (strcmp(name, "include_usage") != 0 && !(strcmp(name, "include_obfuscation") == 0 && !json_is_true(value)))
            api_request_mark_remote_only(request, "stream_options");
    }
    return 0;
}

/* What the answer must look like. A schema that the local model can't be held to leaves the request to a remote one. */
static int parse_shape(struct api_request *request, struct api_error *error)
{
    struct error err = {0};
    const char *field;
    int status = answer_shape_parse(request->body, &request->grammar, &field, &err);
    request->sampling.grammar = request->grammar;
    if (status == WEIR_E_UNSUPPORTED || status == WEIR_E_LIMIT) {
        if (request->local_unsupported[0] == '\0')
            snprintf(request->local_why, sizeof request->local_why, "%s: %s", err.where, err.text);
        api_request_mark_remote_only(request, field);
        return 0;
    }
    return status < 0 ? api_error_set(error, 400, NULL, err.where, "%s: %s", err.where, err.text) : 0;
}

int sampling_fields_parse(struct api_request *request, struct arena *arena, struct api_error *error)
{
    const json_t *body = request->body;
    struct sampling *sampling = &request->sampling;
    int64_t n = 1, seed = 0, top_k = 0;
    sampling->temperature = 1.0f;
    sampling->top_p = 1.0f;
    int status = 0;
    if ((status = number(body, "temperature", 0, 2, &sampling->temperature, error)) < 0)
        return status;
    request->names_sampling = status > 0;
    if ((status = number(body, "top_p", 0, 1, &sampling->top_p, error)) < 0)
        return status;
    request->names_sampling |= status > 0;
    if ((status = number(body, "min_p", 0, 1, &sampling->min_p, error)) < 0 ||
        (status = number(body, "presence_penalty", -2, 2, &sampling->presence_penalty, error)) < 0 ||
        (status = number(body, "frequency_penalty", -2, 2, &sampling->frequency_penalty, error)) < 0 ||
        (status = number(body, "repetition_penalty", 0.01, 10, &sampling->repetition_penalty, error)) < 0 ||
        (status = integer(body, "top_k", -1, 1000000, &top_k, error)) < 0 ||
        (status = integer(body, "n", 1, API_MAX_CHOICES, &n, error)) < 0 ||
        (status = integer(body, "seed", INT64_MIN, INT64_MAX, &seed, error)) < 0)
        return status;
    sampling->seeded = status > 0;
    sampling->seed = (uint64_t)seed;
    sampling->top_k = top_k > 0 ? (int)top_k : 0;
    /* A nucleus of nothing is the likeliest token alone. */
    if (sampling->top_p <= 0.0f) {
        sampling->top_p = 1.0f;
        sampling->top_k = 1;
    }
    request->n = (int)n;
    struct error err = {0};
    if ((status = json_member_bool(body, "context_shift", &sampling->context_shift, &err)) < 0)
        return api_error_from_field(error, NULL, &err);
    request->names_shift = status > 0;
    if (parse_stops(request, arena, error) < 0 || parse_bias(request, arena, error) < 0)
        return WEIR_E_INVALID;
    return parse_shape(request, error) < 0 ? WEIR_E_INVALID : parse_stream(request, error);
}
