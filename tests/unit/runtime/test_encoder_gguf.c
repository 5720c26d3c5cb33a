/* BERT from GGUF, as llama.cpp's converter names things: the same file's weights under those names give the same rows. */
#include "encoder/encoder.h"
#include "gguf_build.h"
#include "model/safetensors.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#define DIRECTORY WEIR_SHARED_DIR "/fixtures/hf/bert-seqcls"

enum { WIDTH = 64 };

static const char *const names[][2] = {
    {"embeddings.word_embeddings.weight", "token_embd.weight"},
    {"embeddings.token_type_embeddings.weight", "token_types.weight"},
    {"embeddings.position_embeddings.weight", "position_embd.weight"},
    {"embeddings.LayerNorm", "token_embd_norm"},
    {"encoder.layer.%d.attention.self.query", "blk.%d.attn_q"},
    {"encoder.layer.%d.attention.self.key", "blk.%d.attn_k"},
    {"encoder.layer.%d.attention.self.value", "blk.%d.attn_v"},
    {"encoder.layer.%d.attention.output.dense", "blk.%d.attn_output"},
    {"encoder.layer.%d.attention.output.LayerNorm", "blk.%d.attn_output_norm"},
    {"encoder.layer.%d.intermediate.dense", "blk.%d.ffn_up"},
    {"encoder.layer.%d.output.dense", "blk.%d.ffn_down"},
    {"encoder.layer.%d.output.LayerNorm", "blk.%d.layer_output_norm"},
    {"pooler.dense", "cls"},
};

struct conversion {
    struct gguf_build build;
    struct safetensors *from;
    struct buffer data;
};

/* One tensor: its header now, its bytes into data. */
static void convert(struct conversion *conversion, const char *from, const char *to)
{
    const struct tensor *tensor = safetensors_find(conversion->from, from);
    cr_assert_not_null(tensor, "%s", from);
    uint64_t ne[2] = {(uint64_t)tensor->ne[0], (uint64_t)tensor->ne[1]};
    while (conversion->data.n % 32 != 0)
        buffer_append_char(&conversion->data, '\0');
    gguf_build_tensor(&conversion->build, to, tensor->n_dims, ne, TENSOR_F32, conversion->data.n);
    buffer_append(&conversion->data, tensor->data, tensor->n_bytes);
}

static void replace_number(const char *with_number, int number, const char *suffix, char *out, size_t n_out)
{
    const char *at = strstr(with_number, "%d");
    if (at == NULL)
        snprintf(out, n_out, "%s%s", with_number, suffix);
    else
        snprintf(out, n_out, "%.*s%d%s%s", (int)(at - with_number), with_number, number, at + 2, suffix);
}

static void convert_all(struct conversion *conversion)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int layer = 0; layer < (strstr(names[i][0], "%d") != NULL ? 2 : 1); layer++)
            for (int part = 0; part < (strstr(names[i][1], ".weight") != NULL ? 1 : 2); part++) {
                static const char *const suffixes[] = {".weight", ".bias"};
                const char *suffix = strstr(names[i][1], ".weight") != NULL ? "" : suffixes[part];
                char from[128], to[128], whole[160];
                replace_number(names[i][0], layer, suffix, from, sizeof from);
                replace_number(names[i][1], layer, suffix, to, sizeof to);
                snprintf(whole, sizeof whole, "bert.%s", from);
                convert(conversion, whole, to);
            }
    convert(conversion, "classifier.weight", "cls.output.weight");
    convert(conversion, "classifier.bias", "cls.output.bias");
}

static void write_gguf(const char *path, uint32_t pooling_type)
{
    struct conversion conversion = {0};
    struct error err = {0};
    cr_assert_eq(safetensors_open(&conversion.from, DIRECTORY "/model.safetensors", &err), 0, "the shared fixtures are needed: %s", err.text);
    buffer_init(&conversion.data, 16 << 20);
    gguf_build_begin(&conversion.build);
    gguf_build_key_string(&conversion.build, "general.architecture", "bert");
    gguf_build_key_u32(&conversion.build, "bert.block_count", 2);
    gguf_build_key_u32(&conversion.build, "bert.context_length", 100);
    gguf_build_key_u32(&conversion.build, "bert.embedding_length", WIDTH);
    gguf_build_key_u32(&conversion.build, "bert.feed_forward_length", 128);
    gguf_build_key_u32(&conversion.build, "bert.attention.head_count", 4);
    gguf_build_key_f32(&conversion.build, "bert.attention.layer_norm_epsilon", 1e-12f);
    gguf_build_key_u32(&conversion.build, "bert.pooling_type", pooling_type);
    convert_all(&conversion);
    gguf_build_end(&conversion.build, 0);
    buffer_append(&conversion.build.out, conversion.data.data, conversion.data.n);
    cr_assert_eq(file_write_atomic(path, conversion.build.out.data, conversion.build.out.n, 0600, &err), 0, "%s", err.text);
    buffer_release(&conversion.build.out);
    buffer_release(&conversion.data);
    safetensors_close(conversion.from);
}

Test(encoder_gguf, gives_the_rows_and_logits_of_the_directory_it_came_from)
{
    char path[] = "/tmp/weir-bert-XXXXXX.gguf";
    int fd = mkstemps(path, 5);
    cr_assert_geq(fd, 0);
    close(fd);
    write_gguf(path, 2);

    struct model_options options = {.precision = PRECISION_EXACT};
    struct model_file *files[2];
    struct encoder *encoders[2];
    const char *paths[] = {path, DIRECTORY};
    float rows[2][7 * WIDTH], logits[2][3], embedding[WIDTH];
    int32_t ids[] = {2, 250, 171, 3, 9, 8, 3}, types[] = {0, 0, 0, 0, 1, 1, 1};
    struct encoder_input input = {ids, types, 7};
    struct error err = {0};
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(model_file_open(&files[i], paths[i], &err), 0, "%s: %s", err.where, err.text);
        cr_assert_eq(encoder_open(&encoders[i], files[i], &options, &err), 0, "%s: %s", err.where, err.text);
        cr_assert_eq(encoder_hidden(encoders[i], NULL, &input, rows[i], &err), 0);
        cr_assert_eq(encoder_classify(encoders[i], NULL, &input, logits[i], &err), 0);
    }
    cr_assert_eq(memcmp(rows[0], rows[1], sizeof *rows), 0);
    cr_assert_eq(memcmp(logits[0], logits[1], sizeof *logits), 0);

    /* pooling_type 2 is the first token, of length 1. */
    cr_assert_eq(encoder_embed(encoders[0], NULL, &input, 1, embedding, NULL, &err), 0);
    double squares = 0;
    for (int i = 0; i < WIDTH; i++)
        squares += (double)rows[0][i] * (double)rows[0][i];
    for (int i = 0; i < WIDTH; i++)
        cr_assert_float_eq((double)embedding[i], (double)rows[0][i] / sqrt(squares), 1e-6);

    struct model_info info = {0};
    encoder_describe(encoders[0], &info);
    cr_assert_eq(info.n_context, 100);
    cr_assert_str_eq(info.labels[2], "LABEL_2");
    for (int i = 0; i < 2; i++) {
        encoder_close(encoders[i]);
        model_file_close(files[i]);
    }
    unlink(path);
}
