/* The answer of POST /v1/embeddings. */
#include "api/answer.h"

static void write_base64(const unsigned char *data, size_t n, struct buffer *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t group = (uint32_t)data[i] << 16 | (uint32_t)(i + 1 < n ? data[i + 1] : 0) << 8 | (i + 2 < n ? data[i + 2] : 0);
        char four[4] = {digits[group >> 18], digits[group >> 12 & 63], i + 1 < n ? digits[group >> 6 & 63] : '=',
                        i + 2 < n ? digits[group & 63] : '='};
        buffer_append(out, four, 4);
    }
}

void embeddings_write(const float *vectors, size_t n, int n_embd, bool base64, str model, int64_t n_tokens, struct buffer *out)
{
    buffer_append_text(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < n; i++) {
        const float *vector = vectors + i * (size_t)n_embd;
        buffer_printf(out, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i > 0 ? "," : "", i);
        if (base64) {
            buffer_append_char(out, '"');
            write_base64((const unsigned char *)vector, (size_t)n_embd * sizeof *vector, out);
            buffer_append_text(out, "\"}");
            continue;
        }
        for (int k = 0; k < n_embd; k++)
            buffer_printf(out, "%c%.9g", k == 0 ? '[' : ',', (double)vector[k]);
        buffer_append_text(out, "]}");
    }
    buffer_append_text(out, "],\"model\":");
    buffer_append_json_string(out, model);
    buffer_printf(out, ",\"usage\":{\"prompt_tokens\":%lld,\"total_tokens\":%lld}}", (long long)n_tokens, (long long)n_tokens);
}
