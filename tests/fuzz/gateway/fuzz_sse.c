/* The event-stream parser on any bytes, cut by a byte of the input: no crash, bounded memory, and the same events uncut. */
#include "upstream/sse.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int note(void *user, str event, str value)
{
    struct sha256_stream *digest = user;
    sha256_update(digest, event.data, event.n);
    sha256_update(digest, "\0", 1);
    sha256_update(digest, value.data, value.n);
    return 0;
}

static void run(const uint8_t *data, size_t n, size_t step, uint8_t out[SHA256_BYTES])
{
    struct sse_parser parser;
    struct sha256_stream digest;
    sse_init(&parser, 200);
    sha256_init(&digest);
    for (size_t i = 0; i < n; i += step)
        assert(sse_push(&parser, (str){(const char *)data + i, n - i < step ? n - i : step}, note, &digest) == 0);
    assert(sse_finish(&parser, note, &digest) == 0);
    assert(parser.data.n <= 201 && parser.line.n <= 216);
    sha256_final(&digest, out);
    sse_release(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t whole[SHA256_BYTES], cut[SHA256_BYTES];
    if (n < 1)
        return 0;
    run(data + 1, n - 1, n, whole);
    run(data + 1, n - 1, (size_t)data[0] % 16 + 1, cut);
    assert(memcmp(whole, cut, sizeof cut) == 0);
    return 0;
}
