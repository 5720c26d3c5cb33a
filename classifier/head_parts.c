/* Parts of a head that a header's member and arrays describe together: maps, linear heads, domains, the answer's head, the static
 * table and the network. head_file.c describes the format. */
#include "head_parts.h"

/* A linear head on a map with n_dense likenesses; its arrays are called prefix.dense and prefix.buckets. prefix NULL: it has none,
 * for its values come from a network. */
static int parse_linear(const struct head_reader *reader, const json_t *object, const char *prefix, int n_dense, struct head_linear *linear)
{
    char name[HEAD_NAME_BYTES];
    double bias;
    int status;
    if ((status = member_number(object, "bias", &bias, reader->err)) < 0 || (status = member_platt(object, &linear->platt, reader->err)) < 0 ||
        (status = head_parse_isotonic(object, &linear->isotonic, reader->err)) < 0)
        return status;
    linear->present = true;
    if (prefix == NULL)
        return 0;
    if (linear_init(&linear->weights, n_dense) < 0)
        return error_set(reader->err, WEIR_E_MEMORY, "", "out of memory");
    linear->weights.bias = (float)bias;
    snprintf(name, sizeof name, "%s.dense", prefix);
    status = head_array_read(reader, name, linear->weights.dense, (size_t)linear->weights.n_dense);
    if (status < 0)
        return status;
    snprintf(name, sizeof name, "%s.buckets", prefix);
    return head_array_read(reader, name, linear->weights.buckets, N_BUCKETS);
}

int head_parse_target(struct head *head, const struct head_reader *reader, const json_t *view_json, int view, int target)
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

int head_parse_answer(struct head *head, const struct head_reader *reader, const json_t *header)
{
    json_t *object;
    int64_t n_landmarks;
    struct error *err = reader->err;
    int status = json_member_object(header, "answer", &object, err);
    if (status <= 0)
        return status;
    if ((status = member_integer(object, "landmarks", 0, MOST_LANDMARKS, &n_landmarks, err)) < 0)
        return error_prefix(err, "answer.");
    if (map_init(&head->answer.map, MAP_ANSWERS, 0, (int)n_landmarks) < 0)
        return error_set(err, WEIR_E_MEMORY, "answer", "out of memory");
    if ((status = head_array_map(reader, "answer.", &head->answer.map)) < 0 ||
        (status = parse_linear(reader, object, "answer.local", (int)n_landmarks, &head->answer.local)) < 0 ||
        (status = head_parse_blend(object, "by_text", &head->answer.by_text, err)) < 0 ||
        (status = head_parse_blend(object, "by_confidence", &head->answer.by_confidence, err)) < 0 ||
        (status = head_parse_blend(object, "by_probe", &head->answer.by_probe, err)) < 0)
        return status;
    head->answer.present = true;
    return 0;
}

int head_parse_domain(struct head *head, const struct head_reader *reader, const json_t *view_json, int view)
{
    json_t *object;
    char name[HEAD_NAME_BYTES];
    struct head_domain *domain = &head->domain[view];
    int status = json_member_object(view_json, "domain", &object, reader->err);
    if (status <= 0)
        return status;
    if (head->n_domains == 0)
        return error_set(reader->err, WEIR_E_INVALID, "domains", "a domain head needs names");
    if ((status = member_platt(object, &domain->oos, reader->err)) < 0 ||
        (status = member_number(object, "temperature", &domain->temperature, reader->err)) < 0)
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
    return head_array_read(reader, name, domain->weights.weights, n);
}

int head_parse_map(struct head *head, const struct head_reader *reader, const json_t *header)
{
    json_t *map, *encoder;
    int64_t n_embd = 0, n_landmarks = 0;
    struct error *err = reader->err;
    int status = json_member_object(header, "encoder", &encoder, err);
    if (status == 1) {
        if ((status = member_integer(encoder, "n_embd", 1, MOST_EMBD, &n_embd, err)) < 0 ||
            (status = member_word(encoder, "name", head->encoder, sizeof head->encoder, err)) < 0)
            return error_prefix(err, "encoder.");
    }
    if (status < 0 || (status = json_member_object(header, "map", &map, err)) < 0)
        return status;
    if (status == 0)
        return error_set(err, WEIR_E_INVALID, "map", "is required");
    if ((status = member_integer(map, "landmarks", 0, MOST_LANDMARKS, &n_landmarks, err)) < 0)
        return error_prefix(err, "map.");
    if (map_init(&head->map, MAP_QUESTIONS, (int)n_embd, (int)n_landmarks) < 0)
        return error_set(err, WEIR_E_MEMORY, "map", "out of memory");
    return head_array_map(reader, "", &head->map);
}

int head_parse_static(struct head *head, const struct head_reader *reader, const json_t *header)
{
    const uint8_t *at;
    size_t n_words;
    json_t *object;
    int status = json_member_object(header, "static", &object, reader->err);
    if (status <= 0)
        return status;
    if (head->map.n_embd == 0)
        return error_set(reader->err, WEIR_E_INVALID, "static", "needs an encoder");
    status = head_array_find(reader->data, reader->n_bytes, reader->n_arrays, "static.table", &at, &n_words, reader->err);
    if (status == 0 && (status = static_table_parse(&head->table, at, 4 * n_words, reader->err)) < 0)
        return error_prefix(reader->err, "static.table: ");
    if (status == 0 && head_static_init(head) < 0)
        status = error_set(reader->err, WEIR_E_MEMORY, "static", "out of memory");
    if (status == 0)
        status = head_array_read(reader, "static.center", head->static_map.center, (size_t)head->static_map.n_embd);
    if (status == 0)
        status = head_array_read(reader, "static.topics", head->static_map.topics, (size_t)head->static_map.n_landmarks * (size_t)head->static_map.n_embd);
    return status;
}

int head_parse_network(struct head *head, const struct head_reader *reader, const json_t *header)
{
    json_t *object;
    char kind[16];
    int status = json_member_object(header, "network", &object, reader->err), which = 0;
    if (status <= 0)
        return status;
    if (head->map.n_embd == 0)
        return error_set(reader->err, WEIR_E_INVALID, "network", "needs an encoder");
    if ((status = member_word(object, "kind", kind, sizeof kind, reader->err)) < 0)
        return error_prefix(reader->err, "network.");
    while (which < N_NETWORK_KINDS && strcmp(kind, network_kind_names[which]) != 0)
        which++;
    if (which == N_NETWORK_KINDS)
        return error_set(reader->err, WEIR_E_INVALID, "network.kind", "%s is not known", kind);
    if (network_init(&head->network, (enum network_kind)which, N_SURFACE + head->map.n_embd) < 0)
        return error_set(reader->err, WEIR_E_MEMORY, "network", "out of memory");
    return head_array_read(reader, "network", head->network.weights, network_n_weights(&head->network));
}
