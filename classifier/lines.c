/* Lines: JSON Lines of {"text", "label": 0|1, "scores": {"local", "remote"}, "domain", "answer": {"text", …}} into memory.
 *
 * Domain names are sorted, so that the order of the lines does not change a class's index. The name "oos" is no domain: it
 * marks a line as outside all of them. */
#include "lines.h"

#include <math.h>

enum { MOST_LINES = 200000, MOST_DOMAINS = 4096, LONGEST_NAME = 200, MOST_TOKENS = 1000000 };
static const size_t MOST_BYTES = (size_t)2 << 30;

static int read_score(const json_t *scores, const char *name, float *out, struct error *err)
{
    double value;
    *out = NAN;
    if (scores == NULL)
        return 0;
    int status = json_member_f64(scores, name, &value, err);
    if (status < 0)
        return error_prefix(err, "scores.");
    if (status == 0)
        return 0;
    if (!(value >= 0 && value <= 1))
        return error_set(err, WEIR_E_INVALID, name, "a score is in 0 … 1");
    *out = (float)value;
    return 0;
}

int answer_read(const json_t *line, struct answer *out, struct error *err)
{
    static const char *const names[] = {"logprob_mean", "logprob_min", "entropy_mean", "margin_mean", "self_check", "probe"};
    float *const places[] = {&out->logprob_mean, &out->logprob_min, &out->entropy_mean, &out->margin_mean, &out->self_check, &out->probe};
    enum { N_NAMES = sizeof names / sizeof *names };
    json_t *object;
    *out = (struct answer){.logprob_mean = NAN, .logprob_min = NAN, .entropy_mean = NAN, .margin_mean = NAN, .self_check = NAN, .probe = NAN};
    int status = json_member_object(line, "answer", &object, err);
    if (status <= 0)
        return status;
    status = json_member_str(object, "text", &out->text, err);
    if (status == 0)
        status = error_set(err, WEIR_E_INVALID, "text", "is required");
    for (int i = 0; i < N_NAMES && status >= 0; i++) {
        double value = NAN;
        status = json_member_f64(object, names[i], &value, err);
        if (status == 1 && !isfinite(value))
            status = error_set(err, WEIR_E_INVALID, names[i], "must be finite");
        if (status == 1 && (places[i] == &out->self_check || places[i] == &out->probe) && !(value >= 0 && value <= 1))
            status = error_set(err, WEIR_E_INVALID, names[i], "a probability is in 0 … 1");
        *places[i] = (float)value;
    }
    return status < 0 ? error_prefix(err, "answer.") : 1;
}

static int read_label(const json_t *object, float *out, struct error *err)
{
    const json_t *label = json_object_get(object, "label");
    *out = NAN;
    if (label == NULL || json_is_null(label))
        return 0;
    if (json_is_boolean(label))
        *out = json_is_true(label) ? 1 : 0;
    else if (json_is_number(label) && (json_number_value(label) == 0 || json_number_value(label) == 1))
        *out = (float)json_number_value(label);
    else
        return error_set(err, WEIR_E_INVALID, "label", "must be 0 or 1");
    return 0;
}

static int read_tokens(const json_t *object, float *out, struct error *err)
{
    double value = NAN;
    int status = json_member_f64(object, "output_tokens", &value, err);
    if (status == 1 && !(value >= 0 && value <= MOST_TOKENS))
        return error_set(err, WEIR_E_INVALID, "output_tokens", "must be in 0 … %d", MOST_TOKENS);
    *out = (float)value;
    return status < 0 ? status : 0;
}

/* The domain's name stays in `names` until all are known: items hold the place of first appearance until then. */
static int read_domain(struct lines *lines, json_t *seen, const json_t *object, int *out, struct error *err)
{
    str name;
    *out = DOMAIN_ABSENT;
    int status = json_member_str(object, "domain", &name, err);
    if (status <= 0)
        return status;
    if (name.n == 0 || name.n > LONGEST_NAME || memchr(name.data, '\0', name.n) != NULL)
        return error_set(err, WEIR_E_INVALID, "domain", "a name has 1 to %d bytes", LONGEST_NAME);
    if (str_equal(name, STR("oos"))) {
        *out = DOMAIN_OOS;
        return 0;
    }
    char *copy = arena_strdup(&lines->arena, name);
    if (copy == NULL)
        return error_set(err, WEIR_E_MEMORY, "domain", "out of memory");
    const json_t *known = json_object_get(seen, copy);
    if (known != NULL) {
        *out = (int)json_integer_value(known);
        return 0;
    }
    if (lines->n_names == MOST_DOMAINS)
        return error_set(err, WEIR_E_LIMIT, "domain", "more than %d different names", MOST_DOMAINS);
    if (json_object_set_new(seen, copy, json_integer(lines->n_names)) < 0)
        return error_set(err, WEIR_E_MEMORY, "domain", "out of memory");
    lines->names[lines->n_names] = copy;
    *out = lines->n_names++;
    return 0;
}

static int read_line(struct lines *lines, json_t *seen, str text, struct line *out, struct error *err)
{
    json_t *object = json_parse(text, err), *scores = NULL;
    if (object == NULL)
        return err != NULL ? (int)err->status : WEIR_E_INVALID;
    str body = {NULL, 0};
    int status = json_is_object(object) ? 0 : error_set(err, WEIR_E_INVALID, "", "not a JSON object");
    if (status == 0)
        status = json_member_str(object, "text", &body, err);
    if (status == 0 && body.data == NULL)
        status = error_set(err, WEIR_E_INVALID, "text", "is required");
    if (status >= 0)
        status = json_member_object(object, "scores", &scores, err);
    if (status >= 0)
        status = read_score(scores, "local", &out->local, err);
    if (status == 0)
        status = read_score(scores, "remote", &out->remote, err);
    if (status == 0)
        status = read_label(object, &out->label, err);
    if (status == 0)
        status = read_tokens(object, &out->output_tokens, err);
    if (status == 0)
        status = read_domain(lines, seen, object, &out->domain, err);
    if (status == 0 && (status = answer_read(object, &out->answer, err)) == 1) {
        str answer = out->answer.text;
        const char *copy = arena_strdup(&lines->arena, answer);
        out->answer.text = (str){copy, answer.n};
        status = copy == NULL ? error_set(err, WEIR_E_MEMORY, "answer", "out of memory") : 0;
    }
    if (status == 0) {
        const char *copy = arena_strdup(&lines->arena, body);
        if (copy == NULL)
            status = error_set(err, WEIR_E_MEMORY, "text", "out of memory");
        out->text = (str){copy, body.n};
    }
    if (isnan(out->local))
        out->local = out->label;
    if (isnan(out->label) && !isnan(out->local))
        out->label = out->local >= 0.5F ? 1 : 0;
    json_decref(object);
    return status;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorts the names and gives the lines their places in that order. */
static int sort_domains(struct lines *lines, struct error *err)
{
    size_t n = (size_t)lines->n_names;
    const char **sorted = arena_array(&lines->arena, n + 1, sizeof *sorted);
    int *place = arena_array(&lines->arena, n + 1, sizeof *place);
    if (sorted == NULL || place == NULL)
        return error_set(err, WEIR_E_MEMORY, "", "out of memory");
    memcpy(sorted, lines->names, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_names);
    for (size_t i = 0; i < n; i++) {
        const char **found = bsearch(&lines->names[i], sorted, n, sizeof *sorted, compare_names);
        place[i] = (int)(found - sorted);
    }
    for (size_t i = 0; i < lines->n; i++)
        if (lines->items[i].domain >= 0)
            lines->items[i].domain = place[lines->items[i].domain];
    lines->names = sorted;
    return 0;
}

static int read_all(struct lines *lines, const struct file_map *map, json_t *seen, struct error *err)
{
    str rest = str_after_mark((str){(const char *)map->data, map->n_bytes}), text;
    size_t capacity = 0, number = 0;
    while (str_split(&rest, '\n', &text)) {
        char where[32];
        number++;
        text = str_trim(text);
        if (text.n == 0)
            continue;
        if (lines->n == MOST_LINES)
            return error_set(err, WEIR_E_LIMIT, "", "more than %d lines", MOST_LINES);
        if (lines->n == capacity) {
            capacity = capacity > 0 ? 2 * capacity : 1024;
            struct line *grown = realloc(lines->items, capacity * sizeof *grown);
            if (grown == NULL)
                return error_set(err, WEIR_E_MEMORY, "", "out of memory");
            lines->items = grown;
        }
        int status = read_line(lines, seen, text, &lines->items[lines->n], err);
        if (status < 0) {
            snprintf(where, sizeof where, "line %zu: ", number);
            error_prefix(err, where);
            return status;
        }
        lines->n++;
    }
    return lines->n > 0 ? 0 : error_set(err, WEIR_E_INVALID, "", "has no lines");
}

int lines_read(struct lines *lines, const char *path, struct error *err)
{
    struct file_map map;
    uint8_t digest[SHA256_BYTES];
    char prefix[160];
    *lines = (struct lines){0};
    arena_init(&lines->arena, 0);
    int status = file_map_open(&map, path, err);
    if (status < 0)
        return status;
    json_t *seen = json_object();
    lines->names = arena_array(&lines->arena, MOST_DOMAINS, sizeof *lines->names);
    if (seen == NULL || lines->names == NULL)
        status = error_set(err, WEIR_E_MEMORY, "", "out of memory");
    else if (map.n_bytes > MOST_BYTES)
        status = error_set(err, WEIR_E_LIMIT, "", "larger than 2 GiB");
    else
        status = read_all(lines, &map, seen, err);
    if (status == 0)
        status = sort_domains(lines, err);
    sha256(map.data, map.n_bytes, digest);
    hex_encode(digest, sizeof digest, lines->sha256);
    json_decref(seen);
    file_map_close(&map);
    if (status < 0) {
        snprintf(prefix, sizeof prefix, "%.150s: ", path);
        error_prefix(err, prefix);
    }
    return status;
}

void lines_release(struct lines *lines)
{
    free(lines->items);
    arena_release(&lines->arena);
    *lines = (struct lines){0};
}
