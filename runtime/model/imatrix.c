/* Both forms of llama-imatrix. GGUF: for tensor NAME "NAME.in_sum2", columns × matrices of f32, the sums of squared inputs, and
 * "NAME.counts", one f32 a matrix, by which they are divided. The older .dat: i32 number of entries, then for each i32
 * length and bytes of its name, i32 calls, i32 number of values, and that many f32, which are divided by the calls; all
 * little-endian. Every count is checked against the bytes that are there. */
#include "model/imatrix.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct imatrix {
    struct gguf *gguf;   /* NULL: the older form. */
    struct file_map map; /* Of the older form. */
    struct entry {
        str name;
        int32_t n_calls;
        size_t n;
        const uint8_t *values;
    } *entries;
    size_t n_entries;
};

static bool read_i32(const struct file_map *map, size_t *at, int32_t *out)
{
    if (map->n_bytes - *at < sizeof *out)
        return false;
    memcpy(out, map->data + *at, sizeof *out);
    *at += sizeof *out;
    return true;
}

static int parse_entries(struct imatrix *imatrix, const char *path, struct error *err)
{
    const struct file_map *map = &imatrix->map;
    size_t at = 0;
    int32_t n, length, n_values;
    if (!read_i32(map, &at, &n) || n < 1 || (size_t)n > map->n_bytes / 12)
        return error_set(err, WEIR_E_INVALID, path, "is no importance matrix: neither GGUF nor a number of entries at byte 0");
    imatrix->entries = calloc((size_t)n, sizeof *imatrix->entries);
    if (imatrix->entries == NULL)
        return error_set(err, WEIR_E_MEMORY, path, "no memory for %d entries", (int)n);
    for (int32_t i = 0; i < n; i++) {
        struct entry *entry = &imatrix->entries[i];
        size_t start = at;
        if (!read_i32(map, &at, &length) || length < 1 || (size_t)length > map->n_bytes - at)
            return error_set(err, WEIR_E_INVALID, path, "entry %d: bad name at byte %zu", (int)i, start);
        entry->name = (str){(const char *)(map->data + at), (size_t)length};
        at += (size_t)length;
        start = at;
        if (!read_i32(map, &at, &entry->n_calls) || !read_i32(map, &at, &n_values) || n_values < 1 || (size_t)n_values > (map->n_bytes - at) / 4)
            return error_set(err, WEIR_E_INVALID, path, "entry %d: bad counts at byte %zu", (int)i, start);
        entry->values = map->data + at;
        entry->n = (size_t)n_values;
        at += entry->n * 4;
        imatrix->n_entries++;
    }
    return 0;
}

int imatrix_open(struct imatrix **out, const char *path, struct error *err)
{
    struct imatrix *imatrix = calloc(1, sizeof *imatrix);
    if (imatrix == NULL)
        return error_set(err, WEIR_E_MEMORY, path, "no memory");
    int status = file_map_open(&imatrix->map, path, err);
    if (status == 0 && imatrix->map.n_bytes >= 4 && memcmp(imatrix->map.data, "GGUF", 4) == 0)
        status = gguf_open(&imatrix->gguf, path, err);
    else if (status == 0)
        status = parse_entries(imatrix, path, err);
    if (status < 0) {
        imatrix_close(imatrix);
        return status;
    }
    *out = imatrix;
    return 0;
}

void imatrix_close(struct imatrix *imatrix)
{
    if (imatrix == NULL)
        return;
    gguf_close(imatrix->gguf);
    file_map_close(&imatrix->map);
    free(imatrix->entries);
    free(imatrix);
}

/* n values from bytes, divided; false when one is no weight, or none is any. */
static bool take(const uint8_t *values, size_t n, float by, float *out)
{
    if (!(by > 0))
        return false;
    float sum = 0;
    memcpy(out, values, n * sizeof *out);
    for (size_t i = 0; i < n; i++) {
        out[i] /= by;
        if (!isfinite(out[i]) || out[i] < 0)
            return false;
        sum += out[i];
    }
    return sum > 0;
}

static const struct tensor *tensor_named(const struct gguf *gguf, const char *name, const char *suffix)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < gguf->n_tensors; i++)
        if (strncmp(gguf->tensors[i].name, name, n) == 0 && strcmp(gguf->tensors[i].name + n, suffix) == 0)
            return gguf->tensors[i].type == TENSOR_F32 ? &gguf->tensors[i] : NULL;
    return NULL;
}

bool imatrix_row(const struct imatrix *imatrix, const struct tensor *tensor, int64_t index, float *out)
{
    size_t n = (size_t)tensor->ne[0], at = (size_t)index * n;
    if (imatrix->gguf != NULL) {
        const struct tensor *sums = tensor_named(imatrix->gguf, tensor->name, ".in_sum2");
        const struct tensor *counts = tensor_named(imatrix->gguf, tensor->name, ".counts");
        float count;
        if (sums == NULL || counts == NULL || sums->ne[0] != tensor->ne[0] || (at + n) * 4 > sums->n_bytes || (size_t)(index + 1) * 4 > counts->n_bytes)
            return false;
        memcpy(&count, (const uint8_t *)counts->data + index * 4, sizeof count);
        return take((const uint8_t *)sums->data + at * 4, n, count, out);
    }
    for (size_t i = 0; i < imatrix->n_entries; i++) {
        const struct entry *entry = &imatrix->entries[i];
        if (str_equal(entry->name, str_of(tensor->name)))
            return entry->n % n == 0 && at + n <= entry->n && take(entry->values + at * 4, n, (float)(entry->n_calls > 0 ? entry->n_calls : 1), out);
    }
    return false;
}
