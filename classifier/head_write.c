/* Writing head files; head_file.c describes the format and reads them. */
#include "head_parts.h"

#include <math.h>
#include <stdlib.h>

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
static void write_entry(struct writer *writer, const char *name, size_t n)
{
    char padded[HEAD_NAME_BYTES] = {0};
    snprintf(padded, sizeof padded, "%s", name);
    buffer_append(&writer->entries, padded, sizeof padded);
    write_uint(&writer->entries, writer->arrays.n, 8);
    write_uint(&writer->entries, n, 8);
    writer->n_arrays++;
}

static void write_array(struct writer *writer, const char *name, const float *values, size_t n)
{
    write_entry(writer, name, n);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        write_uint(&writer->arrays, bits, 4);
    }
}

static json_t *numbers_json(const float *values, int n)
{
    json_t *array = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(array, json_real((double)values[i]));
    return array;
}

static json_t *linear_json_and_arrays(const struct head_linear *linear, const char *prefix, struct writer *writer)
{
    char name[HEAD_NAME_BYTES];
    json_t *object = json_pack("{s:f,s:f,s:f}", "bias", (double)linear->weights.bias, "slope", linear->platt.slope, "shift", linear->platt.shift);
    if (linear->isotonic.n > 0)
        json_object_set_new(object, "isotonic", json_pack("{s:o,s:o}", "x", numbers_json(linear->isotonic.x, linear->isotonic.n), "y",
                                                          numbers_json(linear->isotonic.y, linear->isotonic.n)));
    if (linear->weights.dense == NULL) /* A network's output. */
        return object;
    snprintf(name, sizeof name, "%s.dense", prefix);
    write_array(writer, name, linear->weights.dense, (size_t)linear->weights.n_dense);
    snprintf(name, sizeof name, "%s.buckets", prefix);
    write_array(writer, name, linear->weights.buckets, N_BUCKETS);
    return object;
}

static void write_map(struct writer *writer, const char *prefix, const struct map *map)
{
    size_t n_form = (size_t)map->n_form;
    const struct {
        const char *name;
        const float *values;
        size_t n;
    } arrays[] = {{"mean", map->mean, n_form}, {"inverse_sd", map->inverse_sd, n_form}, {"center", map->center, (size_t)map->n_embd},
                  {"topics", map->topics, (size_t)map->n_landmarks * (size_t)map->n_embd}, {"forms", map->forms, (size_t)map->n_landmarks * n_form},
                  {"idf", map->idf, N_BUCKETS}};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        char name[HEAD_NAME_BYTES];
        snprintf(name, sizeof name, "%s%s", prefix, arrays[i].name);
        write_array(writer, name, arrays[i].values, arrays[i].n);
    }
}

static json_t *view_json_and_arrays(const struct head *head, int view, struct writer *writer)
{
    char name[HEAD_NAME_BYTES];
    json_t *object = json_object();
    for (int target = 0; target < N_HEAD_TARGETS; target++) {
        snprintf(name, sizeof name, "%s.%s", head_view_names[view], head_target_names[target]);
        if (head->linear[view][target].present)
            json_object_set_new(object, head_target_names[target], linear_json_and_arrays(&head->linear[view][target], name, writer));
    }
    if (head->gain[view].present)
        json_object_set_new(object, "gain", json_pack("{s:f,s:f}", "slope", head->gain[view].slope, "shift", head->gain[view].shift));
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

static json_t *blend_json(const struct blend *blend)
{
    json_t *object = json_pack("{s:f}", "bias", blend->bias);
    for (int i = 0; i < N_BLEND_INPUTS; i++)
        if (blend->weights[i] != 0)
            json_object_set_new(object, blend_input_names[i], json_pack("[f,f,f]", blend->weights[i], blend->means[i], blend->inverse_sds[i]));
    return object;
}

static json_t *rules_json(const struct head *head)
{
    json_t *rules = json_object();
    for (int i = 0; i < N_RULES; i++) {
        const struct head_rule *rule = &head->rules[i];
        if (!rule->enough)
            continue;
        json_object_set_new(rules, rule_names[i],
                            json_pack("{s:o,s:o,s:f,s:i,s:f,s:f,s:o}", "p_local", number_or_null(rule->answer.p_local), "p_remote",
                                      number_or_null(rule->answer.p_remote), "gain", (double)rule->answer.gain, "domain", rule->domain,
                                      "domain_p", (double)rule->answer.domain_p, "oos", (double)rule->answer.oos, "output_tokens",
                                      number_or_null(rule->answer.output_tokens)));
    }
    return rules;
}

static json_t *settle_json(const struct head_settle *settle)
{
    return json_pack("{s:f,s:f,s:o}", "low", (double)settle->low, "high", (double)settle->high, "margin",
                     isfinite(settle->margin) ? json_real((double)settle->margin) : json_null());
}

static json_t *header_json(const struct head *head, struct writer *writer)
{
    json_t *header = json_pack("{s:s,s:{s:i},s:{s:s,s:I},s:o}", "name", head->name, "map", "landmarks",
                               head->map.n_landmarks, "data", "sha256", head->data_sha256, "lines", (json_int_t)head->n_lines, "settle",
                               settle_json(&head->settle[VIEW_FEATURES]));
    json_t *heads = json_object(), *domains = json_array();
    for (int view = 0; view < N_HEAD_VIEWS; view++)
        if (head_has_view(head, (enum head_view)view))
            json_object_set_new(heads, head_view_names[view], view_json_and_arrays(head, view, writer));
    for (int i = 0; i < head->n_domains; i++)
        json_array_append_new(domains, json_string(head->domains[i]));
    if (head->map.n_embd > 0)
        json_object_set_new(header, "encoder", json_pack("{s:s,s:i}", "name", head->encoder, "n_embd", head->map.n_embd));
    if (head->network.weights != NULL) {
        json_object_set_new(header, "network", json_pack("{s:s}", "kind", network_kind_names[head->network.kind]));
        write_array(writer, "network", head->network.weights, network_n_weights(&head->network));
    }
    json_object_set_new(header, "heads", heads);
    json_object_set_new(header, "domains", domains);
    json_object_set_new(header, "rules", rules_json(head));
    json_object_set(header, "metrics", head->metrics);
    if (head->answer.present) {
        write_map(writer, "answer.", &head->answer.map);
        json_t *answer = linear_json_and_arrays(&head->answer.local, "answer.local", writer);
        json_object_set_new(answer, "landmarks", json_integer(head->answer.map.n_landmarks));
        if (head->answer.by_text.present)
            json_object_set_new(answer, "by_text", blend_json(&head->answer.by_text));
        if (head->answer.by_confidence.present)
            json_object_set_new(answer, "by_confidence", blend_json(&head->answer.by_confidence));
        if (head->answer.by_probe.present)
            json_object_set_new(answer, "by_probe", blend_json(&head->answer.by_probe));
        json_object_set_new(header, "answer", answer);
    }
    if (head->table.n_tokens > 0) {
        json_object_set_new(header, "static", json_pack("{s:s,s:i}", "encoder", head->table.encoder, "dims", head->table.n_dims));
        json_object_set_new(header, "settle_static", settle_json(&head->settle[VIEW_STATIC]));
    }
    if (head->promises.present)
        json_object_set_new(header, "promises",
                            json_pack("{s:f,s:I,s:o,s:o}", "confidence", head->promises.confidence, "lines", (json_int_t)head->promises.n_lines,
                                      "thresholds", numbers_json(head->promises.thresholds, N_PROMISES), "local_shares",
                                      numbers_json(head->promises.local_shares, N_PROMISES)));
    if (head->promises.present) {
        json_t *promises = json_object_get(header, "promises");
        json_object_set_new(promises, "remote_always_right", json_boolean(head->promises.terms.remote_always_right));
        if (head->promises.terms.about[0] != '\0')
            json_object_set_new(promises, "about", json_string(head->promises.terms.about));
    }
    if (head->promises.present && head->promises.has_gains)
        json_object_set_new(json_object_get(header, "promises"), "gains", numbers_json(head->promises.gains, N_GAINS));
    return header;
}

/* The table's own bytes, and where the landmarks lie for it. */
static int write_static(struct writer *writer, const struct head *head, struct error *err)
{
    struct buffer bytes;
    const struct map *map = &head->static_map;
    if (head->table.n_tokens == 0)
        return 0;
    buffer_init(&bytes, HEAD_MOST_FILE_BYTES);
    int status = static_table_format(&head->table, &bytes, err);
    if (status == 0) {
        write_entry(writer, "static.table", bytes.n / 4);
        buffer_append_str(&writer->arrays, buffer_str(&bytes));
        write_array(writer, "static.center", map->center, (size_t)map->n_embd);
        write_array(writer, "static.topics", map->topics, (size_t)map->n_landmarks * (size_t)map->n_embd);
    }
    buffer_release(&bytes);
    return status;
}

int head_write(const struct head *head, const char *path, struct error *err)
{
    struct writer writer = {0};
    struct buffer text, file;
    buffer_init(&writer.entries, HEAD_MOST_ARRAYS * HEAD_ENTRY_BYTES);
    buffer_init(&writer.arrays, HEAD_MOST_FILE_BYTES);
    buffer_init(&text, HEAD_MOST_HEADER_BYTES);
    buffer_init(&file, HEAD_MOST_FILE_BYTES);
    write_map(&writer, "", &head->map);
    int status = write_static(&writer, head, err);
    json_t *header = header_json(head, &writer);
    json_write(header, &text);
    while ((HEAD_PREFIX_BYTES + writer.entries.n + text.n) % 16 != 0)
        buffer_append_char(&text, ' ');
    size_t first = HEAD_PREFIX_BYTES + writer.entries.n + text.n;
    for (uint32_t i = 0; i < writer.n_arrays; i++) {
        uint8_t *entry = (uint8_t *)writer.entries.data + (size_t)i * HEAD_ENTRY_BYTES + HEAD_NAME_BYTES;
        uint64_t offset = head_uint(entry, 8) + first;
        for (int k = 0; k < 8; k++)
            entry[k] = (uint8_t)(offset >> 8 * k);
    }
    buffer_append(&file, HEAD_MAGIC, HEAD_MAGIC_BYTES);
    write_uint(&file, HEAD_VERSION, 4);
    write_uint(&file, text.n, 4);
    write_uint(&file, writer.n_arrays, 4);
    write_uint(&file, 0, 4);
    buffer_append_str(&file, buffer_str(&writer.entries));
    buffer_append_str(&file, buffer_str(&text));
    buffer_append_str(&file, buffer_str(&writer.arrays));
    if (status == 0)
        status = file.failed || text.failed || writer.arrays.failed ? error_set(err, WEIR_E_MEMORY, path, "the head does not fit in memory")
                                                                     : file_write_atomic(path, file.data, file.n, 0644, err);
    json_decref(header);
    buffer_release(&writer.entries);
    buffer_release(&writer.arrays);
    buffer_release(&text);
    buffer_release(&file);
    return status;
}
