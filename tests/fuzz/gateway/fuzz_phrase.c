/* Phrases of any bytes: no crash, bounded, the same every time, and never a digit more, less or moved. */
#include "cache/phrase.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t digits(str text, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        if (text.data[i] >= '0' && text.data[i] <= '9')
            out[n++] = text.data[i];
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    str text = {(const char *)data, n};
    struct buffer first, second;
    char asked[PHRASE_MAX_BYTES], kept[2 * PHRASE_MAX_BYTES];
    buffer_init(&first, 1 << 20);
    buffer_init(&second, 1 << 20);
    int status = phrase_append(text, &first);
    assert(phrase_append(text, &second) == status && (status == 0 || status == WEIR_E_LIMIT));
    if (status == 0) {
        assert(n <= PHRASE_MAX_BYTES && first.n > 1 && first.n <= 2 * n + 16);
        assert(str_equal(buffer_str(&first), buffer_str(&second)));
        size_t n_asked = digits(text, asked), n_kept = digits(buffer_str(&first), kept);
        assert(n_asked == n_kept && memcmp(asked, kept, n_asked) == 0);
    }
    buffer_release(&first);
    buffer_release(&second);
    return 0;
}
