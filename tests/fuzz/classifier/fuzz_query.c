/* Any bytes as a message list: a query of bounded size, or an error that says where. */
#include "query.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct error err = {0};
    struct arena arena;
    str out = {NULL, 0};
    json_t *messages = json_loadb((const char *)data, n_bytes, JSON_ALLOW_NUL, NULL);
    if (messages == NULL)
        return 0;
    arena_init(&arena, 16 << 20);
    int status = query_text(messages, &arena, &out, &err);
    if (status < 0 ? err.text[0] == '\0' : out.n > QUERY_MOST_BYTES)
        abort();
    arena_release(&arena);
    json_decref(messages);
    return 0;
}
