/* Bodies of all three endpoints from any bytes: parsed, or refused with a 4xx that has a message; never anything else. */
#include "api/api_request.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static const enum api_kind kinds[] = {API_CHAT, API_COMPLETIONS, API_EMBEDDINGS, API_RERANK};
    for (int i = 0; i < 3; i++) {
        struct api_request request;
        struct api_error error = {0};
        struct arena arena;
        arena_init(&arena, (size_t)16 << 20);
        if (api_request_parse(&request, kinds[i], (str){(const char *)data, n_bytes}, &arena, &error) < 0) {
            struct buffer out;
            buffer_init(&out, 65536);
            assert(error.status >= 400 && error.status < 600 && error.message[0] != '\0');
            api_error_write(&error, &out);
            assert(!out.failed);
            buffer_release(&out);
        } else {
            if (kinds[i] == API_CHAT)
                json_decref(api_local_messages(&request));
            api_request_release(&request);
        }
        arena_release(&arena);
    }
    return 0;
}
