/* Arrays of a head file, by name: where they lie, and their numbers checked. head_file.c describes the format. */
#include "head_parts.h"

#include <math.h>

uint64_t head_uint(const uint8_t *at, int n_bytes)
{
    uint64_t value = 0;
    for (int i = n_bytes - 1; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

int head_array_find(const uint8_t *data, size_t n_bytes, uint32_t n_arrays, const char *name, const uint8_t **out, size_t *n_words, struct error *err)
{
    for (uint32_t i = 0; i < n_arrays; i++) {
        const uint8_t *entry = data + HEAD_PREFIX_BYTES + (size_t)i * HEAD_ENTRY_BYTES;
        if (entry[HEAD_NAME_BYTES - 1] != 0 || strcmp((const char *)entry, name) != 0)
            continue;
        uint64_t offset = head_uint(entry + HEAD_NAME_BYTES, 8), n = head_uint(entry + HEAD_NAME_BYTES + 8, 8);
        if (offset % 4 != 0 || offset > n_bytes || n > (n_bytes - offset) / 4)
            return error_set(err, WEIR_E_INVALID, name, "offset %llu with %llu numbers lies past the end of the file", (unsigned long long)offset, (unsigned long long)n);
        *out = data + offset;
        *n_words = (size_t)n;
        return 0;
    }
    return error_set(err, WEIR_E_NOT_FOUND, name, "the array is missing");
}

/* Copies the named array of exactly n finite floats. */
int head_array_read(const struct head_reader *reader, const char *name, float *out, size_t n)
{
    const uint8_t *at;
    size_t count;
    int status = head_array_find(reader->data, reader->n_bytes, reader->n_arrays, name, &at, &count, reader->err);
    if (status < 0)
        return status;
    if (count != n)
        return error_set(reader->err, WEIR_E_INVALID, name, "has %zu numbers, %zu are needed", count, n);
    for (size_t k = 0; k < n; k++) {
        uint32_t bits = (uint32_t)head_uint(at + 4 * k, 4);
        memcpy(&out[k], &bits, sizeof bits);
        if (!isfinite(out[k]))
            return error_set(reader->err, WEIR_E_INVALID, name, "number %zu is not finite", k);
    }
    return 0;
}

bool head_bytes_find(const uint8_t *data, size_t n_bytes, const char *name, const uint8_t **out, size_t *n_out)
{
    if (n_bytes < HEAD_PREFIX_BYTES || memcmp(data, HEAD_MAGIC, HEAD_MAGIC_BYTES) != 0 || head_uint(data + 8, 4) != HEAD_VERSION)
        return false;
    uint64_t n_arrays = head_uint(data + 16, 4);
    size_t n_words;
    if (n_arrays > HEAD_MOST_ARRAYS || HEAD_PREFIX_BYTES + n_arrays * HEAD_ENTRY_BYTES > n_bytes ||
        head_array_find(data, n_bytes, (uint32_t)n_arrays, name, out, &n_words, NULL) < 0)
        return false;
    *n_out = 4 * n_words;
    return true;
}

/* The arrays of a map of known size; their names begin with prefix. */
int head_array_map(const struct head_reader *reader, const char *prefix, struct map *map)
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
        status = head_array_read(reader, name, arrays[i].out, arrays[i].n);
    }
    return status;
}
