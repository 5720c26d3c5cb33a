/* Any bytes as a static table: a table, or an error that says what is wrong. Length and checksum are put right first, as a forger
 * would, so that what lies behind them is reached. */
#include "static_table.h"

#include <stdlib.h>

enum { PREFIX = 64, SUM_AT = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct static_table table;
    struct error err = {0};
    uint8_t *copy = malloc(n_bytes > 0 ? n_bytes : 1); /* Of the input's own size, so that ASan sees a read past it. */
    if (copy == NULL)
        return 0;
    memcpy(copy, data, n_bytes);
    if (n_bytes >= PREFIX) {
        struct sha256_stream stream;
        for (int i = 0; i < 8; i++)
            copy[24 + i] = (uint8_t)((uint64_t)n_bytes >> 8 * i);
        sha256_init(&stream);
        sha256_update(&stream, copy, SUM_AT);
        sha256_update(&stream, copy + PREFIX, n_bytes - PREFIX);
        sha256_final(&stream, copy + SUM_AT);
    }
    if (static_table_parse(&table, copy, n_bytes, &err) == 0) {
        float out[STATIC_MOST_DIMS];
        const int32_t ids[] = {0, 1, table.n_tokens - 1, table.n_tokens, -1};
        static_table_embed_ids(&table, ids, 5, out);
        static_table_release(&table);
    } else if (err.text[0] == '\0') {
        abort();
    }
    free(copy);
    return 0;
}
