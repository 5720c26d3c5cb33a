/* Head files. All integers little-endian, all arrays float32 little-endian:
 *
 *   0   8 bytes   "WEIRHEAD"
 *   8   uint32    version (1)
 *   12  uint32    H, bytes of the JSON header
 *   16  uint32    S, number of arrays
 *   20  uint32    0
 *   24  S × 48    array: name, 32 bytes padded with zeros; uint64 offset in the file, a multiple of 4; uint64 floats
 *   …   H bytes   JSON: name, encoder {name, n_embd}, data {sha256, lines}, metrics, map {landmarks}, domains,
 *                 heads {view: {target: {bias, slope, shift}, domain: {temperature, slope, shift}}}, rules, settle
 *   …   arrays
 *
 * Which arrays there must be follows from the header: "mean", "inverse_sd", "landmarks", "idf", and for each head "view.target.dense",
 * "view.target.buckets" or "view.domain". A file is taken whole or refused with a reason: sizes, offsets and every number are
 * checked first. */
#include "head.h"

#include <math.h>
#include <stdlib.h>

enum { VERSION = 1, PREFIX_BYTES = 24, ENTRY_BYTES = 48, NAME_BYTES = 32, MOST_ARRAYS = 64, MOST_HEADER_BYTES = 4 << 20, MOST_CLASSES = 4096 };
static const size_t MOST_FILE_BYTES = (size_t)512 << 20;
static const char MAGIC[8] = {'W', 'E', 'I', 'R', 'H', 'E', 'A', 'D'};

/* ------------------------------------------------------------------ reading */

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

/* Copies the named array of exactly n finite floats. */
static int read_array(const struct reader *reader, const char *name, float *out, size_t n)
{
    for (uint32_t i = 0; i < reader->n_arrays; i++) {
        const uint8_t *entry = reader->data + PREFIX_BYTES + (size_t)i * ENTRY_BYTES;
        if (entry[NAME_BYTES - 1] != 0 || strcmp((const char *)entry, name) != 0)
            continue;
        uint64_t offset = read_uint(entry + NAME_BYTES, 8), count = read_uint(entry + NAME_BYTES + 8, 8);
        if (count != n)
            return error_set(reader->err, WEIR_E_INVALID, name, "has %llu numbers, %zu are needed", (unsigned long long)count, n);
        if (offset % 4 != 0 || offset > reader->n_bytes || n > (reader->n_bytes - offset) / 4)
            return error_set(reader->err, WEIR_E_INVALID, name, "offset %llu with %zu numbers lies past the end of the file", (unsigned long long)offset, n);
        for (size_t k = 0; k < n; k++) {
            uint32_t bits = (uint32_t)read_uint(reader->data + offset + 4 * k, 4);
            memcpy(&out[k], &bits, sizeof bits);
            if (!isfinite(out[k]))
                return error_set(reader->err, WEIR_E_INVALID, name, "number %zu is not finite", k);
        }
        return 0;
    }
    return error_set(reader->err, WEIR_E_INVALID, name, "the array is missing");
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
    if (n > MOST_CLASSES)
        return error_set(err, WEIR_E_LIMIT, "domains", "more than %d", MOST_CLASSES);
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

static int parse_linear(struct head *head, const struct reader *reader, const json_t *view_json, int view, int target)
{
    json_t *object;
    char name[NAME_BYTES];
    double bias;
    struct head_linear *linear = &head->linear[view][target];
    int status = json_member_object(view_json, head_target_names[target], &object, reader->err);
    if (status <= 0)
        return status;
    if ((status = need_number(object, "bias", &bias, reader->err)) < 0 || (status = need_platt(object, &linear->platt, reader->err)) < 0)
        return status;
    if (linear_init(&linear->weights, view == VIEW_ENCODER ? map_n_dense(&head->map) : N_SURFACE) < 0)
        return error_set(reader->err, WEIR_E_MEMORY, "", "out of memory");
    linear->weights.bias = (float)bias;
    linear->present = true;
    snprintf(name, sizeof name, "%s.%s.dense", head_view_names[view], head_target_names[target]);
    status = read_array(reader, name, linear->weights.dense, (size_t)linear->weights.n_dense);
    if (status < 0)
        return status;
    snprintf(name, sizeof name, "%s.%s.buckets", head_view_names[view], head_target_names[target]);
    return read_array(reader, name, linear->weights.buckets, N_BUCKETS);
}

static int parse_domain(struct head *head, const struct reader *reader, const json_t *view_json, int view)
{
    json_t *object;
    char name[NAME_BYTES];
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
        double p[5];
        int64_t domain;
        int found = json_member_object(rules, rule_names[i], &object, err);
        if (found < 0)
            return found;
        if (found == 0)
            continue;
        static const char *const names[5] = {"p_local", "p_remote", "gain", "domain_p", "oos"};
        for (int k = 0; k < 5; k++) {
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
        rule->answer = (struct score){.p_local = (float)p[0], .p_remote = (float)p[1], .gain = (float)p[2], .domain_p = (float)p[3], .oos = (float)p[4]};
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
    if (n_embd == 0 && n_landmarks > 0)
        return error_set(err, WEIR_E_INVALID, "map.landmarks", "need an encoder");
    if (map_init(&head->map, (int)n_embd, (int)n_landmarks) < 0)
        return error_set(err, WEIR_E_MEMORY, "map", "out of memory");
    if ((status = read_array(reader, "mean", head->map.mean, N_SURFACE)) < 0 ||
        (status = read_array(reader, "inverse_sd", head->map.inverse_sd, N_SURFACE)) < 0)
        return status;
    if ((status = read_array(reader, "landmarks", head->map.landmarks, (size_t)n_landmarks * (size_t)(n_embd + N_SURFACE))) < 0)
        return status;
    map_measure_landmarks(&head->map);
    return read_array(reader, "idf", head->map.idf, N_BUCKETS);
}

static int parse_header(struct head *head, const struct reader *reader, const json_t *header)
{
    json_t *heads, *view_json, *data, *settle;
    struct error *err = reader->err;
    int status;
    if ((status = copy_word(header, "name", head->name, sizeof head->name, err)) < 0 || (status = parse_map(head, reader, header)) < 0 ||
        (status = parse_domains(head, header, err)) < 0 || (status = parse_rules(head, header, err)) < 0 ||
        (status = json_member_object(header, "data", &data, err)) < 0)
        return status;
    if (status == 1 && ((status = copy_word(data, "sha256", head->data_sha256, sizeof head->data_sha256, err)) < 0 ||
                        (status = need_integer(data, "lines", 0, INT64_MAX, &head->n_lines, err)) < 0))
        return error_prefix(err, "data.");
    if ((status = json_member_object(header, "settle", &settle, err)) < 0)
        return status;
    if (status == 1) {
        double low, high;
        if ((status = need_number(settle, "low", &low, err)) < 0 || (status = need_number(settle, "high", &high, err)) < 0)
            return error_prefix(err, "settle.");
        head->settle_low = (float)low;
        head->settle_high = (float)high;
    }
    head->metrics = json_incref(json_object_get(header, "metrics"));
    if ((status = json_member_object(header, "heads", &heads, err)) <= 0)
        return status < 0 ? status : error_set(err, WEIR_E_INVALID, "heads", "is required");
    for (int view = 0; view < N_HEAD_VIEWS; view++) {
        if ((status = json_member_object(heads, head_view_names[view], &view_json, err)) < 0)
            return status;
        if (status == 0)
            continue;
        if (view == VIEW_ENCODER && head->map.n_embd == 0)
            return error_set(err, WEIR_E_INVALID, "heads.encoder", "needs an encoder");
        for (int target = 0; target < N_HEAD_TARGETS; target++)
            if ((status = parse_linear(head, reader, view_json, view, target)) < 0)
                return status;
        if ((status = parse_domain(head, reader, view_json, view)) < 0)
            return status;
    }
    return 0;
}

int head_parse(struct head **out, const void *data, size_t n_bytes, struct error *err)
{
    struct reader reader = {data, n_bytes, 0, err};
    if (n_bytes < PREFIX_BYTES || memcmp(data, MAGIC, sizeof MAGIC) != 0)
        return error_set(err, WEIR_E_INVALID, "", "is no head file");
    uint64_t version = read_uint(reader.data + 8, 4), n_header = read_uint(reader.data + 12, 4), n_arrays = read_uint(reader.data + 16, 4);
    if (version != VERSION)
        return error_set(err, WEIR_E_UNSUPPORTED, "", "head file version %llu; this program reads %d", (unsigned long long)version, VERSION);
    size_t header_at = PREFIX_BYTES + (size_t)n_arrays * ENTRY_BYTES;
    if (n_arrays > MOST_ARRAYS || n_header > MOST_HEADER_BYTES || header_at + n_header > n_bytes)
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
    if (map.n_bytes > MOST_FILE_BYTES)
        status = error_set(err, WEIR_E_LIMIT, "", "larger than %zu bytes", MOST_FILE_BYTES);
    else
        status = head_parse(out, map.data, map.n_bytes, err);
    file_map_close(&map);
    if (status < 0) {
        snprintf(prefix, sizeof prefix, "%.150s: ", path);
        error_prefix(err, prefix);
    }
    return status;
}

/* ------------------------------------------------------------------ writing */

struct writer {
    struct buffer entries;
    struct buffer arrays;
    uint32_t n_arrays;
};

static void write_uint(struct buffer *out, uint64_t value, int n_bytes)
{
    for (int i = 0; i < n_bytes; i++)
        buffer_append_char(out, (char)(value >> 8 * i & 0xFF));
}

/* Offsets count from the first array until the header's length is known. */
static void write_array(struct writer *writer, const char *name, const float *values, size_t n)
{
    char padded[NAME_BYTES] = {0};
    snprintf(padded, sizeof padded, "%s", name);
    buffer_append(&writer->entries, padded, sizeof padded);
    write_uint(&writer->entries, writer->arrays.n, 8);
    write_uint(&writer->entries, n, 8);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        write_uint(&writer->arrays, bits, 4);
    }
    writer->n_arrays++;
}

static json_t *view_json_and_arrays(const struct head *head, int view, struct writer *writer)
{
    char name[NAME_BYTES];
    json_t *object = json_object();
    for (int target = 0; target < N_HEAD_TARGETS; target++) {
        const struct head_linear *linear = &head->linear[view][target];
        if (!linear->present)
            continue;
        json_object_set_new(object, head_target_names[target], json_pack("{s:f,s:f,s:f}", "bias", (double)linear->weights.bias, "slope",
                                                                         linear->platt.slope, "shift", linear->platt.shift));
        snprintf(name, sizeof name, "%s.%s.dense", head_view_names[view], head_target_names[target]);
        write_array(writer, name, linear->weights.dense, (size_t)linear->weights.n_dense);
        snprintf(name, sizeof name, "%s.%s.buckets", head_view_names[view], head_target_names[target]);
        write_array(writer, name, linear->weights.buckets, N_BUCKETS);
    }
    const struct head_domain *domain = &head->domain[view];
    if (domain->present) {
        json_object_set_new(object, "domain", json_pack("{s:f,s:f,s:f}", "temperature", domain->temperature, "slope", domain->oos.slope,
                                                        "shift", domain->oos.shift));
        snprintf(name, sizeof name, "%s.domain", head_view_names[view]);
        write_array(writer, name, domain->weights.weights, (size_t)domain->weights.n_classes * ((size_t)domain->weights.n_inputs + 1));
    }
    return object;
}

static json_t *number_or_null(float value)
{
    return isnan(value) ? json_null() : json_real((double)value);
}

static json_t *rules_json(const struct head *head)
{
    json_t *rules = json_object();
    for (int i = 0; i < N_RULES; i++) {
        const struct head_rule *rule = &head->rules[i];
        if (!rule->enough)
            continue;
        json_object_set_new(rules, rule_names[i],
                            json_pack("{s:o,s:o,s:f,s:i,s:f,s:f}", "p_local", number_or_null(rule->answer.p_local), "p_remote",
                                      number_or_null(rule->answer.p_remote), "gain", (double)rule->answer.gain, "domain", rule->domain,
                                      "domain_p", (double)rule->answer.domain_p, "oos", (double)rule->answer.oos));
    }
    return rules;
}

static json_t *header_json(const struct head *head, struct writer *writer)
{
    json_t *header = json_pack("{s:s,s:{s:i},s:{s:s,s:I},s:{s:f,s:f}}", "name", head->name, "map", "landmarks",
                               head->map.n_landmarks, "data", "sha256", head->data_sha256, "lines", (json_int_t)head->n_lines, "settle",
                               "low", (double)head->settle_low, "high", (double)head->settle_high);
    json_t *heads = json_object(), *domains = json_array();
    for (int view = 0; view < N_HEAD_VIEWS; view++)
        if (view == VIEW_FEATURES || head->map.n_embd > 0)
            json_object_set_new(heads, head_view_names[view], view_json_and_arrays(head, view, writer));
    for (int i = 0; i < head->n_domains; i++)
        json_array_append_new(domains, json_string(head->domains[i]));
    if (head->map.n_embd > 0)
        json_object_set_new(header, "encoder", json_pack("{s:s,s:i}", "name", head->encoder, "n_embd", head->map.n_embd));
    json_object_set_new(header, "heads", heads);
    json_object_set_new(header, "domains", domains);
    json_object_set_new(header, "rules", rules_json(head));
    json_object_set(header, "metrics", head->metrics);
    return header;
}

int head_write(const struct head *head, const char *path, struct error *err)
{
    struct writer writer = {0};
    struct buffer text, file;
    buffer_init(&writer.entries, MOST_ARRAYS * ENTRY_BYTES);
    buffer_init(&writer.arrays, MOST_FILE_BYTES);
    buffer_init(&text, MOST_HEADER_BYTES);
    buffer_init(&file, MOST_FILE_BYTES);
    write_array(&writer, "mean", head->map.mean, N_SURFACE);
    write_array(&writer, "inverse_sd", head->map.inverse_sd, N_SURFACE);
    write_array(&writer, "landmarks", head->map.landmarks, (size_t)head->map.n_landmarks * (size_t)(head->map.n_embd + N_SURFACE));
    write_array(&writer, "idf", head->map.idf, N_BUCKETS);
    json_t *header = header_json(head, &writer);
    json_write(header, &text);
    while ((PREFIX_BYTES + writer.entries.n + text.n) % 16 != 0)
        buffer_append_char(&text, ' ');
    size_t first = PREFIX_BYTES + writer.entries.n + text.n;
    for (uint32_t i = 0; i < writer.n_arrays; i++) {
        uint8_t *entry = (uint8_t *)writer.entries.data + (size_t)i * ENTRY_BYTES + NAME_BYTES;
        uint64_t offset = read_uint(entry, 8) + first;
        for (int k = 0; k < 8; k++)
            entry[k] = (uint8_t)(offset >> 8 * k);
    }
    buffer_append(&file, MAGIC, sizeof MAGIC);
    write_uint(&file, VERSION, 4);
    write_uint(&file, text.n, 4);
    write_uint(&file, writer.n_arrays, 4);
    write_uint(&file, 0, 4);
    buffer_append_str(&file, buffer_str(&writer.entries));
    buffer_append_str(&file, buffer_str(&text));
    buffer_append_str(&file, buffer_str(&writer.arrays));
    int status = file.failed || text.failed || writer.arrays.failed ? error_set(err, WEIR_E_MEMORY, path, "the head does not fit in memory")
                                                                     : file_write_atomic(path, file.data, file.n, 0644, err);
    json_decref(header);
    buffer_release(&writer.entries);
    buffer_release(&writer.arrays);
    buffer_release(&text);
    buffer_release(&file);
    return status;
}
