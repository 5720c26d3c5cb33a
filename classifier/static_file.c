/* Files of static tables. All integers little-endian:
 *
 *   0   8 bytes   "WEIRSTAT"
 *   8   uint32    version (1)
 *   12  uint32    H, bytes of the JSON header, a multiple of 16
 *   16  uint32    V, tokens
 *   20  uint32    D, numbers of a vector, a multiple of 16
 *   24  uint64    bytes of the whole file
 *   32  32 bytes  SHA-256 of all other bytes of the file in their order
 *   64  H bytes   JSON: encoder (name), encoder_sha256 (of its weights), n_embd, vocabulary (static_vocabulary), seed, dims, data
 *                 {sha256, lines} and metrics where it was fitted to texts
 *   …   V float32 scales
 *   …   V × D     int8 rows; D is a multiple of 16, so the file's length is one of 4
 *
 * A head file holds the same bytes as its array "static.table". A file is taken whole or refused with a reason; rows are never
 * read before the checksum has been found right. */
#include "static_table.h"
#include "head_format.h"

#include <math.h>

enum { VERSION = 1, PREFIX_BYTES = 64, SUM_AT = 32, MOST_HEADER_BYTES = 1 << 20 };
static const char MAGIC[8] = {'W', 'E', 'I', 'R', 'S', 'T', 'A', 'T'};

static uint64_t read_uint(const uint8_t *at, int n_bytes)
{
    uint64_t value = 0;
    for (int i = n_bytes - 1; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

static void write_uint(struct buffer *out, uint64_t value, int n_bytes)
{
    for (int i = 0; i < n_bytes; i++)
        buffer_append_char(out, (char)(value >> 8 * i & 0xFF));
}

static void checksum(const uint8_t *data, size_t n_bytes, uint8_t out[SHA256_BYTES])
{
    struct sha256_stream stream;
    sha256_init(&stream);
    sha256_update(&stream, data, SUM_AT);
    sha256_update(&stream, data + PREFIX_BYTES, n_bytes - PREFIX_BYTES);
    sha256_final(&stream, out);
}

int static_table_format(const struct static_table *table, struct buffer *out, struct error *err)
{
    struct buffer text;
    uint8_t digest[SHA256_BYTES] = {0};
    size_t n_rows = (size_t)table->n_tokens * (size_t)table->n_dims;
    buffer_init(&text, MOST_HEADER_BYTES);
    json_write(table->about, &text);
    while (text.n % 16 != 0 && !text.failed)
        buffer_append_char(&text, ' ');
    size_t start = out->n, whole = PREFIX_BYTES + text.n + 4 * (size_t)table->n_tokens + n_rows;
    buffer_append(out, MAGIC, sizeof MAGIC);
    write_uint(out, VERSION, 4);
    write_uint(out, text.n, 4);
    write_uint(out, (uint64_t)table->n_tokens, 4);
    write_uint(out, (uint64_t)table->n_dims, 4);
    write_uint(out, whole, 8);
    buffer_append(out, digest, sizeof digest);
    buffer_append_str(out, buffer_str(&text));
    for (int i = 0; i < table->n_tokens; i++) {
        uint32_t bits;
        memcpy(&bits, &table->scales[i], sizeof bits);
        write_uint(out, bits, 4);
    }
    buffer_append(out, table->rows, n_rows);
    bool failed = out->failed || text.failed;
    buffer_release(&text);
    if (failed)
        return error_set(err, WEIR_E_MEMORY, "static table", "does not fit in memory");
    checksum((uint8_t *)out->data + start, whole, digest);
    memcpy(out->data + start + SUM_AT, digest, sizeof digest);
    return 0;
}

static int parse_rows(struct static_table *table, const uint8_t *at, struct error *err)
{
    for (int i = 0; i < table->n_tokens; i++) {
        uint32_t bits = (uint32_t)read_uint(at + 4 * (size_t)i, 4);
        memcpy(&table->scales[i], &bits, sizeof bits);
        if (!isfinite(table->scales[i]) || fabsf(table->scales[i]) > 1e6F)
            return error_set(err, WEIR_E_INVALID, "scales", "the scale of token %d is no number of a table", i);
    }
    memcpy(table->rows, at + 4 * (size_t)table->n_tokens, (size_t)table->n_tokens * (size_t)table->n_dims);
    return 0;
}

int static_table_parse(struct static_table *table, const void *data, size_t n_bytes, struct error *err)
{
    const uint8_t *bytes = data;
    uint8_t digest[SHA256_BYTES];
    *table = (struct static_table){0};
    if (n_bytes < PREFIX_BYTES || memcmp(bytes, MAGIC, sizeof MAGIC) != 0)
        return error_set(err, WEIR_E_INVALID, "", "is no static table");
    uint64_t version = read_uint(bytes + 8, 4), n_header = read_uint(bytes + 12, 4), n_tokens = read_uint(bytes + 16, 4), n_dims = read_uint(bytes + 20, 4),
             whole = read_uint(bytes + 24, 8);
    if (version != VERSION)
        return error_set(err, WEIR_E_UNSUPPORTED, "", "static table version %llu; this program reads %d", (unsigned long long)version, VERSION);
    if (whole != n_bytes)
        return error_set(err, WEIR_E_INVALID, "", "has %zu bytes, and should have %llu: it was cut or added to", n_bytes, (unsigned long long)whole);
    if (n_tokens < 1 || n_tokens > STATIC_MOST_TOKENS || n_dims < STATIC_LEAST_DIMS || n_dims > STATIC_MOST_DIMS || n_dims % 16 != 0 ||
        n_header > MOST_HEADER_BYTES || PREFIX_BYTES + n_header + n_tokens * (4 + n_dims) != n_bytes)
        return error_set(err, WEIR_E_INVALID, "", "%llu tokens of %llu numbers and a header of %llu bytes do not make %zu bytes", (unsigned long long)n_tokens,
                         (unsigned long long)n_dims, (unsigned long long)n_header, n_bytes);
    checksum(bytes, n_bytes, digest);
    if (memcmp(digest, bytes + SUM_AT, sizeof digest) != 0)
        return error_set(err, WEIR_E_INVALID, "", "the checksum is wrong: the table was damaged or changed");
    json_t *about = json_parse((str){(const char *)bytes + PREFIX_BYTES, (size_t)n_header}, err);
    if (about == NULL)
        return error_prefix(err, "header: ");
    int status = static_table_init_take(table, (int)n_tokens, (int)n_dims, about, err);
    if (status == 0)
        status = parse_rows(table, bytes + PREFIX_BYTES + n_header, err);
    if (status < 0)
        static_table_release(table);
    return status;
}

int static_table_open(struct static_table *table, const char *path, struct error *err)
{
    struct file_map map;
    const uint8_t *bytes;
    size_t n_bytes;
    char prefix[160];
    int status = file_map_open(&map, path, err);
    if (status < 0)
        return status;
    if (head_bytes_find(map.data, map.n_bytes, "static.table", &bytes, &n_bytes))
        status = static_table_parse(table, bytes, n_bytes, err);
    else if (map.n_bytes >= HEAD_MAGIC_BYTES && memcmp(map.data, HEAD_MAGIC, HEAD_MAGIC_BYTES) == 0)
        status = error_set(err, WEIR_E_INVALID, "", "is a head that holds no static table");
    else
        status = static_table_parse(table, map.data, map.n_bytes, err);
    file_map_close(&map);
    if (status < 0) {
        snprintf(prefix, sizeof prefix, "%.150s: ", path);
        error_prefix(err, prefix);
    }
    return status;
}
