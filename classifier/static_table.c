/* Static table: rows in memory, and a text's vector from them. */
#include "static_table.h"

#include <math.h>
#include <stdlib.h>

int static_table_init_take(struct static_table *table, int n_tokens, int n_dims, json_t *about_take, struct error *err)
{
    static const char *const names[] = {"encoder", "encoder_sha256", "vocabulary"};
    *table = (struct static_table){.n_tokens = n_tokens, .n_dims = n_dims, .about = about_take};
    if (about_take == NULL)
        return error_set(err, WEIR_E_MEMORY, "", "out of memory");
    const char **const words[] = {&table->encoder, &table->encoder_sha256, &table->vocabulary};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((*words[i] = json_string_value(json_object_get(about_take, names[i]))) == NULL || strlen(*words[i]) > 127)
            return error_set(err, WEIR_E_INVALID, names[i], "is required and has at most 127 bytes");
    table->rows = calloc((size_t)n_tokens * (size_t)n_dims, 1);
    table->scales = calloc((size_t)n_tokens, sizeof *table->scales);
    return table->rows == NULL || table->scales == NULL ? error_set(err, WEIR_E_MEMORY, "", "out of memory") : 0;
}

void static_table_release(struct static_table *table)
{
    free(table->rows);
    free(table->scales);
    json_decref(table->about);
    *table = (struct static_table){0};
}

void static_table_set(struct static_table *table, int token, const float *vector)
{
    int8_t *row = table->rows + (size_t)token * (size_t)table->n_dims;
    float most = 0;
    for (int k = 0; k < table->n_dims; k++)
        most = fabsf(vector[k]) > most ? fabsf(vector[k]) : most;
    table->scales[token] = most / 127;
    for (int k = 0; k < table->n_dims; k++)
        row[k] = most > 0 ? (int8_t)lrintf(vector[k] / most * 127) : 0;
}

int static_vocabulary(const struct tokenizer *tokenizer, char out[2 * SHA256_BYTES + 1], struct error *err)
{
    static const char *const probes[] = {"Is THIS the same Tokenizer?  12,345.67 don't", ("na\xc3\xafve caf\xc3\xa9 \xc3\x9c" "ber"),
                                         "\xe4\xbd\xa0\xe5\xa5\xbd \xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82 \xf0\x9f\x98\x80 e\xcc\x81"};
    uint8_t digest[SHA256_BYTES];
    struct sha256_stream stream;
    struct buffer text;
    struct ids ids = {0};
    int status = 0;
    buffer_init(&text, 1 << 20);
    sha256_init(&stream);
    for (int32_t id = 0; id < tokenizer_size(tokenizer) && status == 0; id++) {
        buffer_clear(&text);
        status = tokenizer_decode(tokenizer, &id, 1, true, &text);
        buffer_append_char(&text, '\0');
        sha256_update(&stream, text.data, text.n);
    }
    for (size_t i = 0; i < sizeof probes / sizeof *probes && status == 0; i++)
        status = tokenizer_encode(tokenizer, str_of(probes[i]), TOKENIZE_BARE, &ids, err);
    for (size_t i = 0; i < ids.n; i++) {
        uint8_t bytes[4] = {(uint8_t)ids.data[i], (uint8_t)(ids.data[i] >> 8), (uint8_t)(ids.data[i] >> 16), (uint8_t)(ids.data[i] >> 24)};
        sha256_update(&stream, bytes, sizeof bytes);
    }
    sha256_final(&stream, digest);
    hex_encode(digest, sizeof digest, out);
    ids_release(&ids);
    buffer_release(&text);
    return status < 0 ? error_set(err, status, "vocabulary", "cannot be read") : 0;
}

void static_table_embed_ids(const struct static_table *table, const int32_t *ids, size_t n, float *out)
{
    size_t width = (size_t)table->n_dims;
    double square = 0;
    memset(out, 0, width * sizeof *out);
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= table->n_tokens)
            continue;
        const int8_t *row = table->rows + (size_t)ids[i] * width;
        float scale = table->scales[ids[i]];
        for (size_t k = 0; k < width; k++)
            out[k] += scale * (float)row[k];
    }
    for (size_t k = 0; k < width; k++)
        square += (double)out[k] * (double)out[k];
    float scale = square > 1e-20 ? (float)(1 / sqrt(square)) : 0;
    for (size_t k = 0; k < width; k++)
        out[k] *= scale;
}

str static_text_cut(str text)
{
    if (text.n > STATIC_LONGEST_TEXT) {
        text.n = STATIC_LONGEST_TEXT;
        text.n -= utf8_incomplete_tail(text);
    }
    return text;
}

int static_table_embed(const struct static_table *table, const struct tokenizer *tokenizer, str text, float *out, struct error *err)
{
    struct ids ids = {0};
    int status = tokenizer_encode(tokenizer, static_text_cut(text), TOKENIZE_BARE, &ids, err);
    if (status == 0)
        static_table_embed_ids(table, ids.data, ids.n, out);
    ids_release(&ids);
    return status;
}
