/* all-MiniLM-L6-v2 as people have it, against sentence-transformers' own numbers (shared/fixtures/minilm): embeddings and
 * hidden states, exact and fast, one by one and in ragged batches. */
#include "encoder/encoder.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#define FIXTURES WEIR_SHARED_DIR "/fixtures/minilm/"

enum { WIDTH = 384, N_ROWS = 65, MOST_TOKENS = 256 };

static struct model_file *file;
static struct encoder *encoder;
static json_t *expected;
static struct encoder_input inputs[N_ROWS];
static int32_t ids[N_ROWS][MOST_TOKENS];

static void open_encoder(enum precision precision)
{
    char path[512];
    struct error err = {0};
    struct buffer text;
    struct model_options options = {.precision = precision};
    cr_assert_eq(cache_path("models/all-minilm-l6-v2", path, sizeof path), 0);
    cr_assert(file_exists(path), "%s is needed: fetch it with `weir pull`", path);
    cr_assert_eq(model_file_open(&file, path, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(encoder_open(&encoder, file, &options, &err), 0, "%s: %s", err.where, err.text);
    buffer_init(&text, 8 << 20);
    cr_assert_eq(file_read(FIXTURES "embeddings.json", &text, &err), 0, "the shared fixtures are needed: %s", err.text);
    expected = json_parse(buffer_str(&text), &err);
    buffer_release(&text);
    json_t *rows = json_object_get(expected, "rows");
    cr_assert_eq(json_array_size(rows), N_ROWS);
    for (size_t i = 0; i < N_ROWS; i++) {
        json_t *row = json_object_get(json_array_get(rows, i), "ids");
        inputs[i] = (struct encoder_input){ids[i], NULL, json_array_size(row)};
        for (size_t k = 0; k < inputs[i].n; k++)
            ids[i][k] = (int32_t)json_integer_value(json_array_get(row, k));
    }
}

static void close_encoder(void)
{
    encoder_close(encoder);
    model_file_close(file);
    json_decref(expected);
}

static float *read_floats(const char *path, size_t n)
{
    struct buffer bytes;
    struct error err = {0};
    buffer_init(&bytes, 8 << 20);
    cr_assert_eq(file_read(path, &bytes, &err), 0, "the shared fixtures are needed: %s", err.text);
    cr_assert_eq(bytes.n, n * sizeof(float));
    return (float *)(void *)buffer_detach(&bytes);
}

static double largest_difference(const float *a, const float *b, size_t n)
{
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, isnan(a[i]) ? INFINITY : fabs((double)a[i] - (double)b[i]));
    return largest;
}

static double cosine(const float *a, const float *b)
{
    double dot = 0, aa = 0, bb = 0;
    for (int i = 0; i < WIDTH; i++) {
        dot += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return dot / sqrt(aa * bb);
}

Test(encoder_minilm, exact_embeddings_are_the_references)
{
    open_encoder(PRECISION_EXACT);
    float *reference = read_floats(FIXTURES "embeddings.f32", N_ROWS * WIDTH), *out = malloc(N_ROWS * WIDTH * sizeof *out);
    struct error err = {0};
    cr_assert_eq(encoder_embed(encoder, NULL, inputs, N_ROWS, out, NULL, &err), 0, "%s", err.text);
    double d = largest_difference(out, reference, N_ROWS * WIDTH);
    cr_assert_lt(d, 2e-6, "largest difference %g", d);
    free(out);
    free(reference);
    close_encoder();
}

Test(encoder_minilm, inner_vectors_differ_from_the_last_layers_and_leave_the_embeddings_as_they_are)
{
    open_encoder(PRECISION_EXACT);
    float *out = malloc(4 * 8 * WIDTH * sizeof *out), *with = out + 8 * WIDTH, *inner = with + 8 * WIDTH, *alone = inner + 8 * WIDTH;
    struct error err = {0};
    cr_assert_eq(encoder_embed(encoder, NULL, inputs, 8, out, NULL, &err), 0);
    cr_assert_eq(encoder_embed(encoder, NULL, inputs, 8, with, inner, &err), 0);
    cr_assert_eq(memcmp(out, with, 8 * WIDTH * sizeof *out), 0);
    for (size_t i = 0; i < 8; i++) {
        cr_assert_eq(encoder_embed(encoder, NULL, &inputs[i], 1, out, alone + i * WIDTH, &err), 0);
        cr_assert_lt(cosine(inner + i * WIDTH, with + i * WIDTH), 0.99);
    }
    cr_assert_eq(memcmp(inner, alone, 8 * WIDTH * sizeof *inner), 0);
    free(out);
    close_encoder();
}

Test(encoder_minilm, a_text_has_the_same_embedding_whatever_is_computed_beside_it_and_by_how_many_threads)
{
    open_encoder(PRECISION_EXACT);
    struct pool *pool = pool_new(2);
    float *alone = malloc(8 * WIDTH * sizeof *alone), *together = malloc(8 * WIDTH * sizeof *together);
    struct error err = {0};
    for (size_t i = 0; i < 8; i++)
        cr_assert_eq(encoder_embed(encoder, NULL, &inputs[i], 1, alone + i * WIDTH, NULL, &err), 0);
    cr_assert_eq(encoder_embed(encoder, pool, inputs, 8, together, NULL, &err), 0);
    cr_assert_eq(memcmp(alone, together, 8 * WIDTH * sizeof *alone), 0);
    pool_free(pool);
    free(alone);
    free(together);
    close_encoder();
}

Test(encoder_minilm, fast_embeddings_stay_close_and_keep_the_order_of_the_questions)
{
    open_encoder(PRECISION_FAST);
    float *reference = read_floats(FIXTURES "embeddings.f32", N_ROWS * WIDTH), *out = malloc(N_ROWS * WIDTH * sizeof *out);
    struct error err = {0};
    cr_assert_eq(encoder_embed(encoder, NULL, inputs, N_ROWS, out, NULL, &err), 0, "%s", err.text);
    double least = 1;
    for (size_t i = 0; i < N_ROWS; i++)
        least = fmin(least, cosine(out + i * WIDTH, reference + i * WIDTH));
    cr_assert_gt(least, 0.998, "smallest cosine %g", least);
    cr_log_info("smallest cosine %.6f", least);

    json_t *rows = json_object_get(expected, "query_rows"), *cosines = json_object_get(expected, "query_cosines");
    double ours[10], theirs[10];
    size_t n = 0;
    const char *pair;
    json_t *value;
    cr_assert_eq(json_object_size(cosines), 10);
    json_object_foreach(cosines, pair, value) { /* "0 | 3" */
        const float *a = out + json_integer_value(json_array_get(rows, (size_t)(pair[0] - '0'))) * WIDTH;
        const float *b = out + json_integer_value(json_array_get(rows, (size_t)(pair[4] - '0'))) * WIDTH;
        ours[n] = cosine(a, b);
        theirs[n++] = json_number_value(value);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++)
            if (theirs[i] > theirs[k] + 0.05)
                cr_assert_gt(ours[i], ours[k]);
    free(out);
    free(reference);
    close_encoder();
}

Test(encoder_minilm, exact_hidden_states_are_the_references)
{
    open_encoder(PRECISION_EXACT);
    json_t *hidden = json_object_get(expected, "hidden");
    cr_assert_eq(json_array_size(hidden), 2);
    struct buffer bytes;
    struct error err = {0};
    buffer_init(&bytes, 8 << 20);
    cr_assert_eq(file_read(FIXTURES "hidden.f32", &bytes, &err), 0);
    for (size_t i = 0; i < 2; i++) {
        const json_t *entry = json_array_get(hidden, i);
        const struct encoder_input *input = &inputs[json_integer_value(json_object_get(entry, "text_row"))];
        float *out = malloc(input->n * WIDTH * sizeof *out);
        size_t last = (size_t)json_integer_value(json_object_get(entry, "offset")) + 6 * input->n * WIDTH;
        cr_assert_leq((last + input->n * WIDTH) * sizeof(float), bytes.n);
        cr_assert_eq(encoder_hidden(encoder, NULL, input, out, &err), 0, "%s", err.text);
        double d = largest_difference(out, (const float *)(const void *)bytes.data + last, input->n * WIDTH);
        cr_assert_lt(d, 1e-4, "largest difference %g", d);
        free(out);
    }
    buffer_release(&bytes);
    close_encoder();
}

Test(encoder_minilm, the_directory_says_where_texts_are_cut)
{
    open_encoder(PRECISION_EXACT);
    struct model_info info = {0};
    encoder_describe(encoder, &info);
    cr_assert_eq(info.n_context, 256);
    cr_assert_eq(info.n_embd, WIDTH);
    cr_assert_eq(info.n_layers, 6);
    cr_assert_eq(info.n_vocab, 30522);
    cr_assert_eq(info.n_labels, 0);
    cr_assert_eq(info.n_parameters, 22713216 - 384 * 384 - 384); /* Without the pooler, which embeddings don't use. */
    close_encoder();
}
