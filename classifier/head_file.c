/* Head files. All integers little-endian, all arrays float32 little-endian:
 *
 *   0   8 bytes   "WEIRHEAD"
 *   8   uint32    version (4)
 *   12  uint32    H, bytes of the JSON header
 *   16  uint32    S, number of arrays
 *   20  uint32    0
 *   24  S × 48    array: name, 32 bytes padded with zeros; uint64 offset in the file, a multiple of 4; uint64 floats
 *   …   H bytes   JSON: name, encoder {name, n_embd}, data {sha256, lines}, metrics, map {landmarks}, domains,
 *                 heads {view: {target: {bias, slope, shift, isotonic {x, y}}, gain: {slope, shift}, domain: {temperature, slope,
 *                 shift}}}, rules, settle and settle_static {low, high, margin}, promises {confidence, lines, about?, remote_always_right,
 *                 thresholds, local_shares, gains?},
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
#include "head_parts.h"

#include <stdlib.h>

static int parse_header(struct head *head, const struct head_reader *reader, const json_t *header)
{
    json_t *heads, *view_json, *data;
    struct error *err = reader->err;
    int status;
    if ((status = member_word(header, "name", head->name, sizeof head->name, err)) < 0 || (status = head_parse_map(head, reader, header)) < 0 ||
        (status = head_parse_static(head, reader, header)) < 0 || (status = head_parse_network(head, reader, header)) < 0 ||
        (status = head_parse_domains(head, header, err)) < 0 || (status = head_parse_rules(head, header, err)) < 0 || (status = head_parse_promises(head, header, err)) < 0 ||
        (status = head_parse_answer(head, reader, header)) < 0 ||
        (status = json_member_object(header, "data", &data, err)) < 0)
        return status;
    if (status == 1 && ((status = member_word(data, "sha256", head->data_sha256, sizeof head->data_sha256, err)) < 0 ||
                        (status = member_integer(data, "lines", 0, INT64_MAX, &head->n_lines, err)) < 0))
        return error_prefix(err, "data.");
    if ((status = head_parse_settle(head, header, err)) < 0)
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
            if ((status = head_parse_target(head, reader, view_json, view, target)) < 0)
                return status;
        if ((status = head_parse_gain(head, view_json, view, err)) < 0 || (status = head_parse_domain(head, reader, view_json, view)) < 0)
            return status;
    }
    return 0;
}

int head_parse(struct head **out, const void *data, size_t n_bytes, struct error *err)
{
    struct head_reader reader = {data, n_bytes, 0, err};
    if (n_bytes < HEAD_PREFIX_BYTES || memcmp(data, HEAD_MAGIC, HEAD_MAGIC_BYTES) != 0)
        return error_set(err, WEIR_E_INVALID, "", "is no head file");
    uint64_t version = head_uint(reader.data + 8, 4), n_header = head_uint(reader.data + 12, 4), n_arrays = head_uint(reader.data + 16, 4);
    if (version != HEAD_VERSION)
        return error_set(err, WEIR_E_UNSUPPORTED, "", "head file version %llu; this program reads %d%s", (unsigned long long)version, HEAD_VERSION,
                         version < HEAD_VERSION ? ": train it again (`weir train`)" : "");
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
