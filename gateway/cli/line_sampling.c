/* See line_sampling.h. Any thread. */
#include "cli/line_sampling.h"

/* A line's number under `name` into *out, when it has one. */
static int override_f32(const json_t *line, const char *name, float *out, struct error *err)
{
    double value;
    int status = json_member_f64(line, name, &value, err);
    if (status == 1)
        *out = (float)value;
    return status;
}

static int override_int(const json_t *line, const char *name, int *out, struct error *err)
{
    int64_t value;
    int status = json_member_i64(line, name, &value, err);
    if (status == 1 && (value > INT32_MAX || value < INT32_MIN))
        return error_set(err, WEIR_E_INVALID, name, "is out of range");
    if (status == 1)
        *out = (int)value;
    return status;
}

int line_sampling(const json_t *line, struct sampling *s, str stops[SAMPLING_MAX_STOPS], struct error *err)
{
    int64_t seed;
    int status;
    if (override_f32(line, "temperature", &s->temperature, err) < 0 || override_f32(line, "top_p", &s->top_p, err) < 0 ||
        override_f32(line, "min_p", &s->min_p, err) < 0 || override_int(line, "top_k", &s->top_k, err) < 0 ||
        override_f32(line, "repetition_penalty", &s->repetition_penalty, err) < 0 ||
        override_f32(line, "presence_penalty", &s->presence_penalty, err) < 0 ||
        override_f32(line, "frequency_penalty", &s->frequency_penalty, err) < 0 ||
        override_int(line, "max_tokens", &s->max_tokens, err) < 0 || json_member_bool(line, "ignore_eos", &s->ignore_end, err) < 0 ||
        json_member_bool(line, "context_shift", &s->context_shift, err) < 0 || override_int(line, "n_keep", &s->n_keep, err) < 0 ||
        (status = json_member_i64(line, "seed", &seed, err)) < 0)
        return WEIR_E_INVALID;
    if (json_object_get(line, "max_tokens") != NULL && (s->max_tokens == 0 || s->max_tokens < -1))
        return error_set(err, WEIR_E_INVALID, "max_tokens", "%d: must be at least 1, or -1: as far as the context goes", s->max_tokens);
    if (status == 1) {
        s->seed = (uint64_t)seed;
        s->seeded = true;
    }
    str adapter;
    if ((status = json_member_str(line, "adapter", &adapter, err)) < 0)
        return status;
    if (status == 1)
        s->adapter = adapter.data;
    json_t *stop = json_object_get(line, "stop");
    if (stop == NULL || json_is_null(stop))
        return 0;
    size_t n = json_is_array(stop) ? json_array_size(stop) : 1;
    if (n > SAMPLING_MAX_STOPS)
        return error_set(err, WEIR_E_INVALID, "stop", "more than %d stop strings", SAMPLING_MAX_STOPS);
    for (size_t i = 0; i < n; i++) {
        json_t *item = json_is_array(stop) ? json_array_get(stop, i) : stop;
        if (!json_is_string(item))
            return error_set(err, WEIR_E_INVALID, "stop", "must be a string or a list of strings");
        stops[i] = (str){json_string_value(item), json_string_length(item)};
    }
    s->stops = stops;
    s->n_stops = n;
    return 0;
}
