/* HTTP/1.1 requests from any bytes: fed whole, and a byte at a time. Both must see the same requests end at the same places. */
#include "door/http1.h"

#include <assert.h>

/* Offsets at which requests ended; returns their number. refused gets the status of a refusal, 0 when there was none. */
static int parse(const char *data, size_t n, size_t step, size_t *ends, int max, int *refused)
{
    struct http1 http1;
    int n_requests = 0;
    size_t at = 0;
    *refused = 0;
    http1_init(&http1, 4096);
    while (at < n && n_requests < max) {
        size_t taken, span = n - at < step ? n - at : step;
        enum http1_event event = http1_feed(&http1, data + at, span, &taken);
        assert(taken <= span);
        at += taken;
        if (event == HTTP1_DONE) {
            ends[n_requests++] = at;
            http1_next(&http1);
        } else if (event == HTTP1_ERROR) {
            *refused = http1.error_status;
            assert(*refused >= 400);
            break;
        }
    }
    http1_release(&http1);
    return n_requests;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    size_t whole[16], single[16];
    int refused_whole, refused_single;
    int n_whole = parse((const char *)data, n_bytes, n_bytes + 1, whole, 16, &refused_whole);
    int n_single = parse((const char *)data, n_bytes, 1, single, 16, &refused_single);
    assert(n_whole == n_single && refused_whole == refused_single);
    for (int i = 0; i < n_whole; i++)
        assert(whole[i] == single[i]);
    return 0;
}
