/* Head files. All integers little-endian, all arrays float32 little-endian:
 *
 *   0   8 bytes   "WEIRHEAD"
 *   8   uint32    version (3)
 *   12  uint32    H, bytes of the JSON header
 *   16  uint32    S, number of arrays
 *   20  uint32    0
 *   24  S × 48    array: name, 32 bytes padded with zeros; uint64 offset in the file, a multiple of 4; uint64 floats
 *   …   H bytes   JSON: name, encoder {name, n_embd}, data {sha256, lines}, metrics, map {landmarks}, domains,
 *                 heads {view: {target: {bias, slope, shift, isotonic {x, y}}, gain: {slope, shift}, domain: {temperature, slope,
 *                 shift}}}, rules, settle and settle_static {low, high, margin}, promises {confidence, lines, thresholds, local_shares, gains?},
 *                 answer {landmarks, bias, slope, shift, by_text, by_confidence, by_probe {bias, input: [weight, mean, 1 / sd]}},
 *                 static {encoder, dims}, network {kind}
 *   …   arrays
 *
 * Which arrays there must be follows from the header: "mean", "inverse_sd", "center", "topics", "forms", "idf", and for each head "view.target.dense",
 * "view.target.buckets" or "view.domain"; for "answer" its
 * own of a map ("answer.mean", …) and of a head ("answer.local.dense", "answer.local.buckets"); for "static" the bytes of its file
 * ("static.table", counted in words of four), "static.center" and "static.topics"; for "network" one of its
 * name (network.h has its order), in the place of those of the encoder's local and remote heads. Members and arrays that a reader does not know
 * are passed over. A file is taken whole or refused with a reason: sizes, offsets and every number are
 * checked first. */
#include "head.h"
#include "head_format.h"

#include <math.h>
#include <stdlib.h>

struct reader {
    const uint8_t *data;
    size_t n_bytes;
    uint32_t n_arrays;
    struct error *err;
};

static uint64_t read_uint(const uint8_t *at, int n_bytes)
{
    uint64_t value = 0;
    for (int i = n_bytes - 1; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

static int find_array(const uint8_t *data, size_t n_bytes, uint32_t n_arrays, const char *name, const uint8_t **out, size_t *n_words, struct error *err)
{
    for (uint32_t i = 0; i < n_arrays; i++) {
        const uint8_t *entry = data + HEAD_PREFIX_BYTES + (size_t)i * HEAD_ENTRY_BYTES;
        if (entry[HEAD_NAME_BYTES - 1] != 0 || strcmp((const char *)entry, name) != 0)
            continue;
        uint64_t offset = read_uint(entry + HEAD_NAME_BYTES, 8), n = read_uint(entry + HEAD_NAME_BYTES + 8, 8);
        if (offset % 4 != 0 || offset > n_bytes || n > (n_bytes - offset) / 4)
            return error_set(err, WEIR_E_INVALID, name, "offset %llu with %llu numbers lies past the end of the file", (unsigned long long)offset, (unsigned long long)n);
        *out = data + offset;
        *n_words = (size_t)n;
        return 0;
    }
    return error_set(err, WEIR_E_NOT_FOUND, name, "the array is missing");
}

/* Copies the named array of exactly n finite floats. */
static int read_array(const struct reader *reader, const char *name, float *out, size_t n)
{
    const uint8_t *at;
    size_t count;
    int status = find_array(reader->data, reader->n_bytes, reader->n_arrays, name, &at, &count, reader->err);
    if (status < 0)
        return status;
    if (count != n)
        return error_set(reader->err, WEIR_E_INVALID, name, "has %zu numbers, %zu are needed", count, n);
    for (size_t k = 0; k < n; k++) {
        uint32_t bits = (uint32_t)read_uint(at + 4 * k, 4);
        memcpy(&out[k], &bits, sizeof bits);
        if (!isfinite(out[k]))
            return error_set(reader->err, WEIR_E_INVALID, name, "number %zu is not finite", k);
    }
    return 0;
}

bool head_bytes_find(const uint8_t *data, size_t n_bytes, const char *name, const uint8_t **out, size_t *n_out)
{
    if (n_bytes < HEAD_PREFIX_BYTES || memcmp(data, HEAD_MAGIC, HEAD_MAGIC_BYTES) != 0 || read_uint(data + 8, 4) != HEAD_VERSION)
        return false;
    uint64_t n_arrays = read_uint(data + 16, 4);
    size_t n_words;
    if (n_arrays > HEAD_MOST_ARRAYS || HEAD_PREFIX_BYTES + n_arrays * HEAD_ENTRY_BYTES > n_bytes ||
        find_array(data, n_bytes, (uint32_t)n_arrays, name, out, &n_words, NULL) < 0)
        return false;
    *n_out = 4 * n_words;
    return true;
}

/* The arrays of a map of known size; their names begin with prefix. */
static int read_map(const struct reader *reader, const char *prefix, struct map *map)
{
    size_t n_form = (size_t)map->n_form;
    const struct {
        const char *name;
        float *out;
        size_t n;
    } arrays[] = {{"mean", map->mean, n_form}, {"inverse_sd", map->inverse_sd, n_form}, {"center", map->center, (size_t)map->n_embd},
                  {"topics", map->topics, (size_t)map->n_landmarks * (size_t)map->n_embd}, {"forms", map->forms, (size_t)map->n_landmarks * n_form},
                  {"idf", map->idf, N_BUCKETS}};
    int status = 0;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays && status == 0; i++) {
        char name[HEAD_NAME_BYTES];
        snprintf(name, sizeof name, "%s%s", prefix, arrays[i].name);
        status = read_array(reader, name, arrays[i].out, arrays[i].n);
    }
    return status;
}

/* A required finite number. */
static int need_number(const json_t *object, const char *name, double *out, struct error *err)
{
    int status = json_member_f64(object, name, out, err);
    if (status == 0 || (status == 1 && !isfinite(*out)))
        return error_set(err, WEIR_E_INVALID, name, "is required and must be finite");
    return status < 0 ? status : 0;
}

static int need_integer(const json_t *object, const char *name, int64_t low, int64_t high, int64_t *out, struct error *err)
{
    int status = json_member_i64(object, name, out, err);
    if (status == 0 || (status == 1 && (*out < low || *out > high)))
        return error_set(err, WEIR_E_INVALID, name, "must be in %lld … %lld", (long long)low, (long long)high);
    return status < 0 ? status : 0;
}

static int need_platt(const json_t *object, struct platt *out, struct error *err)
{
    int status = need_number(object, "slope", &out->slope, err);
    return status < 0 ? status : need_number(object, "shift", &out->shift, err);
}

static int copy_word(const json_t *object, const char *name, char *out, size_t n_out, struct error *err)
{
    str word;
    int status = json_member_str(object, name, &word, err);
    if (status == 0 || (status == 1 && (word.n == 0 || memchr(word.data, '\0', word.n) != NULL || !str_copy(out, n_out, word))))
        return error_set(err, WEIR_E_INVALID, name, "is required and has at most %zu bytes", n_out - 1);
    return status < 0 ? status : 0;
}

static int parse_domains(struct head *head, const json_t *header, struct error *err)
{
    json_t *names;
    int status = json_member_array(header, "domains", &names, err);
    if (status <= 0)
        return status;
    size_t n = json_array_size(names);
    if (n > HEAD_MOST_CLASSES)
        return error_set(err, WEIR_E_LIMIT, "domains", "more than %d", HEAD_MOST_CLASSES);
    head->domains = calloc(n + 1, sizeof *head->domains);
    if (head->domains == NULL)
        return error_set(err, WEIR_E_MEMORY, "domains", "out of memory");
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name == NULL)
            return error_set(err, WEIR_E_INVALID, "domains", "element %zu is not a string", i);
        if ((head->domains[i] = strdup(name)) == NULL)
            return error_set(err, WEIR_E_MEMORY, "domains", "out of memory");
        head->n_domains++;
    }
    return 0;
}

/* A required array of n finite numbers. */
static int need_numbers(const json_t *object, const char *name, float *out, size_t n, struct error *err)
{
    const json_t *array = json_object_get(object, name);
    if (!json_is_array(array) || json_array_size(array) != n)
        return error_set(err, WEIR_E_INVALID, name, "must be an array of %zu numbers", n);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(array, i);
        out[i] = (float)json_number_value(item);
        if (!json_is_number(item) || !isfinite(out[i]))
            return error_set(err, WEIR_E_INVALID, name, "element %zu is no finite number", i);
    }
    return 0;
}

static int parse_isotonic(const json_t *object, struct isotonic *out, struct error *err)
{
    json_t *isotonic;
    int status = json_member_object(object, "isotonic", &isotonic, err);
    if (status <= 0)
        return status;
    size_t n = json_array_size(json_object_get(isotonic, "x"));
    if (n == 0 || n > MOST_KNOTS)
        return error_set(err, WEIR_E_INVALID, "isotonic", "must have 1 to %d knots", MOST_KNOTS);
    if (need_numbers(isotonic, "x", out->x, n, err) < 0 || need_numbers(isotonic, "y", out->y, n, err) < 0)
        return error_prefix(err, "isotonic.");
    for (size_t i = 0; i < n; i++)
        if (!(out->y[i] >= 0 && out->y[i] <= 1) || (i > 0 && (!(out->x[i] > out->x[i - 1]) || out->y[i] < out->y[i - 1])))
            return error_set(err, WEIR_E_INVALID, "isotonic", "knot %zu is out of order or not in 0 … 1", i);
    out->n = (int)n;
    return 0;
}

static int parse_promises(struct head *head, const json_t *header, struct error *err)
{
    json_t *object;
    struct head_promises *promises = &head->promises;
    int status = json_member_object(header, "promises", &object, err);
    if (status <= 0)
        return status;
    if (need_number(object, "confidence", &promises->confidence, err) < 0 || need_integer(object, "lines", 1, INT64_MAX, &promises->n_lines, err) < 0 ||
        need_numbers(object, "thresholds", promises->thresholds, N_PROMISES, err) < 0 ||
        need_numbers(object, "local_shares", promises->local_shares, N_PROMISES, err) < 0)
        return error_prefix(err, "promises.");
    for (int i = 1; i < N_PROMISES; i++)
        if (promises->thresholds[i] < promises->thresholds[i - 1])
            return error_set(err, WEIR_E_INVALID, "promises.thresholds", "element %d is smaller than the one before", i);
    promises->has_gains = json_object_get(object, "gains") != NULL;
    if (promises->has_gains && need_numbers(object, "gains", promises->gains, N_GAINS, err) < 0)
        return error_prefix(err, "promises.");
    for (int i = 1; i < N_GAINS && promises->has_gains; i++)
        if (promises->gains[i] < promises->gains[i - 1])
            return error_set(err, WEIR_E_INVALID, "promises.gains", "element %d is smaller than the one before", i);
    if (!(promises->confidence > 0 && promises->confidence < 1))
        return error_set(err, WEIR_E_INVALID, "promises.confidence", "must be between 0 and 1");
    promises->present = true;
    return 0;
}

/* A linear head on a map with n_dense likenesses; its arrays are called prefix.dense and prefix.buckets. prefix NULL: it has none,
 * for its values come from a network. */
static int parse_linear(const struct reader *reader, const json_t *object, const char *prefix, int n_dense, struct head_linear *linear)
{
    char name[HEAD_NAME_BYTES];
    double bias;
    int status;
    if ((status = need_number(object, "bias", &bias, reader->err)) < 0 || (status = need_platt(object, &linear->platt, reader->err)) < 0 ||
        (status = parse_isotonic(object, &linear->isotonic, reader->err)) < 0)
        return status;
    linear->present = true;
    if (prefix == NULL)
        return 0;
    if (linear_init(&linear->weights, n_dense) < 0)
        return error_set(reader->err, WEIR_E_MEMORY, "", "out of memory");
    linear->weights.bias = (float)bias;
    snprintf(name, sizeof name, "%s.dense", prefix);
    status = read_array(reader, name, linear->weights.dense, (size_t)linear->weights.n_dense);
    if (status < 0)
        return status;
    snprintf(name, sizeof name, "%s.buckets", prefix);
    return read_array(reader, name, linear->weights.buckets, N_BUCKETS);
}

static int parse_target(struct head *head, const struct reader *reader, const json_t *view_json, int view, int target)
{
    json_t *object;
    char prefix[HEAD_NAME_BYTES];
    int status = json_member_object(view_json, head_target_names[target], &object, reader->err);
    if (status <= 0)
        return status;
    bool networked = head->network.weights != NULL && view == VIEW_ENCODER && target < N_HEAD_MODELS;
    snprintf(prefix, sizeof prefix, "%s.%s", head_view_names[view], head_target_names[target]);
    return parse_linear(reader, object, networked ? NULL : prefix, head_map(head, (enum head_view)view)->n_landmarks, &head->linear[view][target]);
}

static int parse_blend(const json_t *object, const char *name, struct blend *blend, struct error *err)
{
    json_t *member, *value;
    const char *key;
    int status = json_member_object(object, name, &member, err);
    if (status <= 0)
        return status;
    if (need_number(member, "bias", &blend->bias, err) < 0)
        return error_prefix(err, "answer.");
    json_object_foreach(member, key, value)
    {
        float numbers[3];
        int i = 0;
        while (i < N_BLEND_INPUTS && strcmp(key, blend_input_names[i]) != 0)
            i++;
        if (strcmp(key, "bias") == 0)
            continue;
        if (i == N_BLEND_INPUTS)
            return error_set(err, WEIR_E_UNSUPPORTED, key, "is no input of an answer's blend that this Weir knows");
        if ((status = need_numbers(member, key, numbers, 3, err)) < 0)
            return status;
        blend->weights[i] = json_number_value(json_array_get(value, 0));
        blend->means[i] = json_number_value(json_array_get(value, 1));
        blend->inverse_sds[i] = json_number_value(json_array_get(value, 2));
    }
    blend->present = true;
    return 0;
}

static int parse_answer(struct head *head, const struct reader *reader, const json_t *header)
{
    json_t *object;
    int64_t n_landmarks;
    struct error *err = reader->err;
    int status = json_member_object(header, "answer", &object, err);
    if (status <= 0)
        return status;
    if ((status = need_integer(object, "landmarks", 0, MOST_LANDMARKS, &n_landmarks, err)) < 0)
        return error_prefix(err, "answer.");
    if (map_init(&head->answer.map, MAP_ANSWERS, 0, (int)n_landmarks) < 0)
        return error_set(err, WEIR_E_MEMORY, "answer", "out of memory");
    if ((status = read_map(reader, "answer.", &head->answer.map)) < 0 ||
        (status = parse_linear(reader, object, "answer.local", (int)n_landmarks, &head->answer.local)) < 0 ||
        (status = parse_blend(object, "by_text", &head->answer.by_text, err)) < 0 ||
        (status = parse_blend(object, "by_confidence", &head->answer.by_confidence, err)) < 0 ||
        (status = parse_blend(object, "by_probe", &head->answer.by_probe, err)) < 0)
        return status;
    head->answer.present = true;
    return 0;
}

static int parse_gain(struct head *head, const json_t *view_json, int view, struct error *err)
{
    json_t *object;
    struct head_gain *gain = &head->gain[view];
    int status = json_member_object(view_json, "gain", &object, err);
    if (status <= 0)
        return status;
    if (!head->linear[view][HEAD_LOCAL].present || !head->linear[view][HEAD_REMOTE].present)
        return error_set(err, WEIR_E_INVALID, "gain", "needs a local and a remote head");
    if ((status = need_number(object, "slope", &gain->slope, err)) < 0 || (status = need_number(object, "shift", &gain->shift, err)) < 0)
        return error_prefix(err, "gain.");
    gain->present = true;
    return 0;
}

static int parse_domain(struct head *head, const struct reader *reader, const json_t *view_json, int view)
{
    json_t *object;
    char name[HEAD_NAME_BYTES];
    struct head_domain *domain = &head->domain[view];
    int status = json_member_object(view_json, "domain", &object, reader->err);
    if (status <= 0)
        return status;
    if (head->n_domains == 0)
        return error_set(reader->err, WEIR_E_INVALID, "domains", "a domain head needs names");
    if ((status = need_platt(object, &domain->oos, reader->err)) < 0 ||
        (status = need_number(object, "temperature", &domain->temperature, reader->err)) < 0)
        return status;
    if (!(domain->temperature > 1e-3))
        return error_set(reader->err, WEIR_E_INVALID, "temperature", "must be positive");
    int n_inputs = head_domain_inputs(head, view);
    size_t n = (size_t)head->n_domains * ((size_t)n_inputs + 1);
    if (n > reader->n_bytes / 4)
        return error_set(reader->err, WEIR_E_INVALID, "domains", "more names than the file has weights for");
    if (softmax_init(&domain->weights, head->n_domains, n_inputs) < 0)
        return error_set(reader->err, WEIR_E_MEMORY, "", "out of memory");
    domain->present = true;
    snprintf(name, sizeof name, "%s.domain", head_view_names[view]);
    return read_array(reader, name, domain->weights.weights, n);
}

static int parse_rules(struct head *head, const json_t *header, struct error *err)
{
    json_t *rules, *object;
    int status = json_member_object(header, "rules", &rules, err);
    for (int i = 0; status == 1 && i < N_RULES; i++) {
        struct head_rule *rule = &head->rules[i];
        double p[6];
        int64_t domain;
        int found = json_member_object(rules, rule_names[i], &object, err);
        if (found < 0)
            return found;
        if (found == 0)
            continue;
        static const char *const names[6] = {"p_local", "p_remote", "gain", "domain_p", "oos", "output_tokens"};
        for (int k = 0; k < 6; k++) {
            p[k] = NAN;
            if (json_member_f64(object, names[k], &p[k], err) < 0)
                return WEIR_E_INVALID;
        }
        if (isnan(p[2]) || isnan(p[3]) || isnan(p[4]))
            return error_set(err, WEIR_E_INVALID, "rules", "%s: gain, domain_p and oos are required", rule_names[i]);
        if (need_integer(object, "domain", -1, head->n_domains - 1, &domain, err) < 0)
            return WEIR_E_INVALID;
        rule->enough = true;
        rule->domain = (int)domain;
        rule->answer = (struct score){.p_local = (float)p[0], .p_remote = (float)p[1], .gain = (float)p[2], .domain_p = (float)p[3], .oos = (float)p[4],
                                      .output_tokens = (float)p[5]};
    }
    return status < 0 ? status : 0;
}

static int parse_map(struct head *head, const struct reader *reader, const json_t *header)
{
    json_t *map, *encoder;
    int64_t n_embd = 0, n_landmarks = 0;
    struct error *err = reader->err;
    int status = json_member_object(header, "encoder", &encoder, err);
    if (status == 1) {
        if ((status = need_integer(encoder, "n_embd", 1, MOST_EMBD, &n_embd, err)) < 0 ||
            (status = copy_word(encoder, "name", head->encoder, sizeof head->encoder, err)) < 0)
            return error_prefix(err, "encoder.");
    }
    if (status < 0 || (status = json_member_object(header, "map", &map, err)) < 0)
        return status;
    if (status == 0)
        return error_set(err, WEIR_E_INVALID, "map", "is required");
    if ((status = need_integer(map, "landmarks", 0, MOST_LANDMARKS, &n_landmarks, err)) < 0)
        return error_prefix(err, "map.");
    if (map_init(&head->map, MAP_QUESTIONS, (int)n_embd, (int)n_landmarks) < 0)
        return error_set(err, WEIR_E_MEMORY, "map", "out of memory");
    return read_map(reader, "", &head->map);
}

static int parse_static(struct head *head, const struct reader *reader, const json_t *header)
{
    const uint8_t *at;
    size_t n_words;
    json_t *object;
    int status = json_member_object(header, "static", &object, reader->err);
    if (status <= 0)
        return status;
    if (head->map.n_embd == 0)
        return error_set(reader->err, WEIR_E_INVALID, "static", "needs an encoder");
    status = find_array(reader->data, reader->n_bytes, reader->n_arrays, "static.table", &at, &n_words, reader->err);
    if (status == 0 && (status = static_table_parse(&head->table, at, 4 * n_words, reader->err)) < 0)
        return error_prefix(reader->err, "static.table: ");
    if (status == 0 && head_static_init(head) < 0)
        status = error_set(reader->err, WEIR_E_MEMORY, "static", "out of memory");
    if (status == 0)
        status = read_array(reader, "static.center", head->static_map.center, (size_t)head->static_map.n_embd);
    if (status == 0)
        status = read_array(reader, "static.topics", head->static_map.topics, (size_t)head->static_map.n_landmarks * (size_t)head->static_map.n_embd);
    return status;
}

static int parse_network(struct head *head, const struct reader *reader, const json_t *header)
{
    json_t *object;
    char kind[16];
    int status = json_member_object(header, "network", &object, reader->err), which = 0;
    if (status <= 0)
        return status;
    if (head->map.n_embd == 0)
        return error_set(reader->err, WEIR_E_INVALID, "network", "needs an encoder");
    if ((status = copy_word(object, "kind", kind, sizeof kind, reader->err)) < 0)
        return error_prefix(reader->err, "network.");
    while (which < N_NETWORK_KINDS && strcmp(kind, network_kind_names[which]) != 0)
        which++;
    if (which == N_NETWORK_KINDS)
        return error_set(reader->err, WEIR_E_INVALID, "network.kind", "%s is not known", kind);
    if (network_init(&head->network, (enum network_kind)which, N_SURFACE + head->map.n_embd) < 0)
        return error_set(reader->err, WEIR_E_MEMORY, "network", "out of memory");
    return read_array(reader, "network", head->network.weights, network_n_weights(&head->network));
}

static int parse_settle(struct head *head, const json_t *header, struct error *err)
{
    static const struct {
        const char *name;
        enum head_view view;
    } members[] = {{"settle", VIEW_FEATURES}, {"settle_static", VIEW_STATIC}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        json_t *settle;
        double low, high, margin = (double)INFINITY;
        struct head_settle *out = &head->settle[members[i].view];
        int status = json_member_object(header, members[i].name, &settle, err);
        if (status == 0)
            continue;
        if (status < 0 || (status = need_number(settle, "low", &low, err)) < 0 || (status = need_number(settle, "high", &high, err)) < 0 ||
            (status = json_member_f64(settle, "margin", &margin, err)) < 0)
            return error_prefix(err, "settle.");
        if (!(margin >= 0))
            return error_set(err, WEIR_E_INVALID, members[i].name, "the margin is negative");
        *out = (struct head_settle){(float)low, (float)high, (float)margin};
    }
    return 0;
}

static int parse_header(struct head *head, const struct reader *reader, const json_t *header)
{
    json_t *heads, *view_json, *data;
    struct error *err = reader->err;
    int status;
    if ((status = copy_word(header, "name", head->name, sizeof head->name, err)) < 0 || (status = parse_map(head, reader, header)) < 0 ||
        (status = parse_static(head, reader, header)) < 0 || (status = parse_network(head, reader, header)) < 0 ||
        (status = parse_domains(head, header, err)) < 0 || (status = parse_rules(head, header, err)) < 0 || (status = parse_promises(head, header, err)) < 0 ||
        (status = parse_answer(head, reader, header)) < 0 ||
        (status = json_member_object(header, "data", &data, err)) < 0)
        return status;
    if (status == 1 && ((status = copy_word(data, "sha256", head->data_sha256, sizeof head->data_sha256, err)) < 0 ||
                        (status = need_integer(data, "lines", 0, INT64_MAX, &head->n_lines, err)) < 0))
        return error_prefix(err, "data.");
    if ((status = parse_settle(head, header, err)) < 0)
        return status;
    head->metrics = json_incref(json_object_get(header, "metrics"));
    if ((status = json_member_object(header, "heads", &heads, err)) <= 0)
        return status < 0 ? status : error_set(err, WEIR_E_INVALID, "heads", "is required");
    for (int view = 0; view < N_HEAD_VIEWS; view++) {
        if ((status = json_member_object(heads, head_view_names[view], &view_json, err)) < 0)
            return status;
        if (status == 0)
            continue;
        if (!head_has_view(head, (enum head_view)view))
            return error_set(err, WEIR_E_INVALID, view == VIEW_ENCODER ? "heads.encoder" : "heads.static", "needs an encoder%s",
                             view == VIEW_STATIC ? " and a static table" : "");
        for (int target = 0; target < N_HEAD_TARGETS; target++)
            if ((status = parse_target(head, reader, view_json, view, target)) < 0)
                return status;
        if ((status = parse_gain(head, view_json, view, err)) < 0 || (status = parse_domain(head, reader, view_json, view)) < 0)
            return status;
    }
    return 0;
}

int head_parse(struct head **out, const void *data, size_t n_bytes, struct error *err)
{
    struct reader reader = {data, n_bytes, 0, err};
    if (n_bytes < HEAD_PREFIX_BYTES || memcmp(data, HEAD_MAGIC, HEAD_MAGIC_BYTES) != 0)
        return error_set(err, WEIR_E_INVALID, "", "is no head file");
    uint64_t version = read_uint(reader.data + 8, 4), n_header = read_uint(reader.data + 12, 4), n_arrays = read_uint(reader.data + 16, 4);
    if (version != HEAD_VERSION)
        return error_set(err, WEIR_E_UNSUPPORTED, "", "head file version %llu; this program reads %d", (unsigned long long)version, HEAD_VERSION);
    size_t header_at = HEAD_PREFIX_BYTES + (size_t)n_arrays * HEAD_ENTRY_BYTES;
    if (n_arrays > HEAD_MOST_ARRAYS || n_header > HEAD_MOST_HEADER_BYTES || header_at + n_header > n_bytes)
        return error_set(err, WEIR_E_INVALID, "", "header of %llu bytes and %llu arrays does not fit", (unsigned long long)n_header, (unsigned long long)n_arrays);
    reader.n_arrays = (uint32_t)n_arrays;
    json_t *header = json_parse((str){(const char *)reader.data + header_at, (size_t)n_header}, err);
    if (header == NULL)
        return error_prefix(err, "header: ");
    struct head *head = head_new();
    int status = head == NULL ? error_set(err, WEIR_E_MEMORY, "", "out of memory") : 0;
    if (status == 0 && !json_is_object(header))
        status = error_set(err, WEIR_E_INVALID, "header", "is no object");
    if (status == 0)
        status = parse_header(head, &reader, header);
    json_decref(header);
    if (status < 0) {
        head_close(head);
        return status;
    }
    uint8_t digest[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1];
    sha256(data, n_bytes, digest);
    hex_encode(digest, sizeof digest, hex);
    snprintf(head->id, sizeof head->id, "%s@%.12s", head->name, hex);
    *out = head;
    return 0;
}

int head_open(struct head **out, const char *path, struct error *err)
{
    struct file_map map;
    char prefix[160];
    int status = file_map_open(&map, path, err);
    if (status < 0)
        return status;
    if (map.n_bytes > HEAD_MOST_FILE_BYTES)
        status = error_set(err, WEIR_E_LIMIT, "", "larger than %d bytes", HEAD_MOST_FILE_BYTES);
    else
        status = head_parse(out, map.data, map.n_bytes, err);
    file_map_close(&map);
    if (status < 0) {
        snprintf(prefix, sizeof prefix, "%.150s: ", path);
        error_prefix(err, prefix);
    }
    return status;
}
