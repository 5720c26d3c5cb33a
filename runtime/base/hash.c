/* Random bytes, SHA-256 and HMAC through mbedTLS's crypto library (2.28 and 3.x APIs), hex, and UUIDs. */
#include "weir_base.h"

#include <errno.h>
#include <mbedtls/md.h>
#include <mbedtls/sha256.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/version.h>
#include <sys/random.h>

#if MBEDTLS_VERSION_MAJOR < 3
#define mbedtls_sha256_starts mbedtls_sha256_starts_ret
#define mbedtls_sha256_update mbedtls_sha256_update_ret
#define mbedtls_sha256_finish mbedtls_sha256_finish_ret
#define mbedtls_sha256 mbedtls_sha256_ret
#endif

_Static_assert(sizeof(mbedtls_sha256_context) <= sizeof((struct sha256_stream *)0)->state, "sha256_stream is large enough");

int random_bytes(void *out, size_t n_bytes)
{
    unsigned char *at = out;
    while (n_bytes > 0) {
        ssize_t got = getrandom(at, n_bytes, 0);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            return WEIR_E_IO;
        }
        at += got;
        n_bytes -= (size_t)got;
    }
    return 0;
}

int uuid_v7(char out[37])
{
    uint8_t id[16];
    int status = random_bytes(id, sizeof id);
    if (status < 0)
        return status;
    uint64_t ms = (uint64_t)(clock_wall_ns() / 1000000);
    for (int i = 0; i < 6; i++)
        id[i] = (uint8_t)(ms >> (40 - 8 * i));
    id[6] = (uint8_t)(0x70 | (id[6] & 0x0F));
    id[8] = (uint8_t)(0x80 | (id[8] & 0x3F));
    char hex[33];
    hex_encode(id, sizeof id, hex);
    snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
    return 0;
}

void sha256(const void *data, size_t n_bytes, uint8_t out[SHA256_BYTES])
{
    mbedtls_sha256(data, n_bytes, out, 0);
}

void sha256_init(struct sha256_stream *stream)
{
    mbedtls_sha256_context *context = (mbedtls_sha256_context *)stream->state;
    mbedtls_sha256_init(context);
    mbedtls_sha256_starts(context, 0);
}

void sha256_update(struct sha256_stream *stream, const void *data, size_t n_bytes)
{
    mbedtls_sha256_update((mbedtls_sha256_context *)stream->state, data, n_bytes);
}

void sha256_final(struct sha256_stream *stream, uint8_t out[SHA256_BYTES])
{
    mbedtls_sha256_context *context = (mbedtls_sha256_context *)stream->state;
    mbedtls_sha256_finish(context, out);
    mbedtls_sha256_free(context);
}

int sha256_file(const char *path, uint8_t out[SHA256_BYTES], struct error *err)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        return error_set(err, WEIR_E_IO, path, "%s", strerror(errno));
    struct sha256_stream stream;
    sha256_init(&stream);
    static const size_t CHUNK = 1 << 16;
    char *chunk = malloc(CHUNK);
    int status = chunk != NULL ? 0 : error_set(err, WEIR_E_MEMORY, path, "out of memory");
    size_t got;
    while (status == 0 && (got = fread(chunk, 1, CHUNK, file)) > 0)
        sha256_update(&stream, chunk, got);
    if (status == 0 && ferror(file))
        status = error_set(err, WEIR_E_IO, path, "%s", strerror(errno));
    sha256_final(&stream, out);
    free(chunk);
    fclose(file);
    return status;
}

void hmac_sha256(const void *key, size_t n_key, const void *data, size_t n_bytes, uint8_t out[SHA256_BYTES])
{
    mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), key, n_key, data, n_bytes, out);
}

void hex_encode(const void *data, size_t n_bytes, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;
    for (size_t i = 0; i < n_bytes; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n_bytes] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int hex_decode(str hex, void *out, size_t n_out)
{
    uint8_t *bytes = out;
    if (hex.n != 2 * n_out)
        return WEIR_E_INVALID;
    for (size_t i = 0; i < n_out; i++) {
        int high = hex_value(hex.data[2 * i]), low = hex_value(hex.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return WEIR_E_INVALID;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

bool bytes_equal_constant_time(const void *a, const void *b, size_t n_bytes)
{
    const volatile uint8_t *x = a, *y = b;
    uint8_t difference = 0;
    for (size_t i = 0; i < n_bytes; i++)
        difference |= x[i] ^ y[i];
    return difference == 0;
}

void bytes_wipe(void *data, size_t n_bytes)
{
    mbedtls_platform_zeroize(data, n_bytes);
}
