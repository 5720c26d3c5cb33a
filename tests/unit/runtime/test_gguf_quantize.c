/* Quantizing: the bytes that llama-quantize --pure gave for the same model, and targets that stay whole. */
#include "model/gguf.h"
#include "weir_runtime.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct gguf *open_fixture(const char *path)
{
    struct gguf *gguf;
    struct error err = {0};
    cr_assert_eq(gguf_open(&gguf, path, &err), 0, "%s: %s", err.where, err.text);
    return gguf;
}

Test(gguf_quantize, every_tensor_has_the_bytes_that_llama_cpp_wrote)
{
    static const char *const formats[] = {"F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"};
    char folder[] = "/tmp/weir_quantize_XXXXXX", out[PATH_MAX], reference[PATH_MAX];
    struct error err = {0};
    cr_assert_not_null(mkdtemp(folder));
    snprintf(out, sizeof out, "%s/out.gguf", folder);
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
        cr_assert_eq(model_quantize(WEIR_SHARED_DIR "/fixtures/archs/llama-dense.gguf", out, formats[f], NULL, &err), 0, "%s: %s", err.where, err.text);
        snprintf(reference, sizeof reference, WEIR_SHARED_DIR "/fixtures/archs/llama-dense.%s.gguf", formats[f]);
        struct gguf *got = open_fixture(out), *want = open_fixture(reference);
        cr_assert_eq(got->n_tensors, want->n_tensors);
        for (size_t i = 0; i < want->n_tensors; i++) {
            const struct tensor *a = NULL, *b = &want->tensors[i];
            for (size_t k = 0; k < got->n_tensors; k++)
                if (strcmp(got->tensors[k].name, b->name) == 0)
                    a = &got->tensors[k];
            cr_assert_not_null(a);
            cr_assert_eq(a->type, b->type, "%s: %s is %s, not %s", formats[f], b->name, tensor_type_name(a->type), tensor_type_name(b->type));
            cr_assert_eq(a->n_bytes, b->n_bytes);
            cr_assert_arr_eq(a->data, b->data, b->n_bytes, "%s: %s", formats[f], b->name);
        }
        int64_t file_type, wanted;
        cr_assert(gguf_value_i64(gguf_find(got, STR("general.file_type")), 0, &file_type));
        cr_assert(gguf_value_i64(gguf_find(want, STR("general.file_type")), 0, &wanted) && wanted == file_type);
        gguf_close(got);
        gguf_close(want);
    }
    unlink(out);
    rmdir(folder);
}

Test(gguf_quantize, a_format_or_a_source_that_can_not_be_is_refused_and_leaves_nothing_behind)
{
    char folder[] = "/tmp/weir_quantize_XXXXXX", out[PATH_MAX];
    struct error err = {0};
    cr_assert_not_null(mkdtemp(folder));
    snprintf(out, sizeof out, "%s/out.gguf", folder);
    cr_assert(model_quantize(WEIR_SHARED_DIR "/fixtures/archs/llama-dense.gguf", out, "Q9_9", NULL, &err) < 0);
    cr_assert(strstr(err.where, "Q9_9") != NULL);
    cr_assert(model_quantize(WEIR_SHARED_DIR "/fixtures/archs/llama-dense.Q4_0.gguf", out, "Q8_0", NULL, &err) < 0);
    cr_assert(strstr(err.text, "only F32, F16 and BF16") != NULL);
    cr_assert(model_quantize(WEIR_SHARED_DIR "/fixtures/archs/llama-dense.gguf", "/nonexistent/out.gguf", "Q8_0", NULL, &err) < 0);
    cr_assert_eq(rmdir(folder), 0, "something was left behind");
}

/* Squared distance of a file's matrices from the source's, matrix columns weighted or not. */
static double distance(const struct gguf *got, const struct gguf *source, const char *name, double column_weight)
{
    const struct tensor *a = NULL, *b = NULL;
    for (size_t i = 0; i < source->n_tensors; i++) {
        if (strcmp(got->tensors[i].name, name) == 0)
            a = &got->tensors[i];
        if (strcmp(source->tensors[i].name, name) == 0)
            b = &source->tensors[i];
    }
    cr_assert(a != NULL && b != NULL && b->type == TENSOR_F32);
    float row[1024];
    double sum = 0;
    for (int64_t r = 0; r < b->ne[1]; r++) {
        dequantize_row(a->type, (const uint8_t *)a->data + (size_t)r * tensor_row_bytes(a->type, a->ne[0]), row, a->ne[0]);
        for (int64_t i = 0; i < b->ne[0]; i++) {
            double off = (double)row[i] - (double)((const float *)b->data)[r * b->ne[0] + i];
            sum += (i % 4 == 0 ? column_weight : 1) * off * off;
        }
    }
    return sum;
}

Test(gguf_quantize, searched_formats_take_llama_cpps_types_and_come_as_close)
{
    static const char *const formats[][2] = {{"Q2_K", "Q2_K"}, {"Q3_K", "Q3_K_M"}, {"Q4_K", "Q4_K_M"}, {"Q5_K", "Q5_K_M"},
                                             {"Q6_K", "Q6_K"}, {"IQ4_NL", "IQ4_NL"}, {"IQ4_XS", "IQ4_XS"}};
    char folder[] = "/tmp/weir_quantize_XXXXXX", out[PATH_MAX], reference[PATH_MAX];
    struct error err = {0};
    cr_assert_not_null(mkdtemp(folder));
    snprintf(out, sizeof out, "%s/out.gguf", folder);
    struct gguf *source = open_fixture(WEIR_SHARED_DIR "/fixtures/archs/llama-dense.gguf");
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
        cr_assert_eq(model_quantize(WEIR_SHARED_DIR "/fixtures/archs/llama-dense.gguf", out, formats[f][0], NULL, &err), 0, "%s: %s", err.where, err.text);
        snprintf(reference, sizeof reference, WEIR_SHARED_DIR "/fixtures/archs/llama-dense.%s.gguf", formats[f][1]);
        struct gguf *got = open_fixture(out), *want = open_fixture(reference);
        double ours = 0, theirs = 0;
        for (size_t i = 0; i < want->n_tensors; i++)
            for (size_t k = 0; k < got->n_tensors; k++)
                if (strcmp(want->tensors[i].name, got->tensors[k].name) == 0) {
                    cr_assert_eq(got->tensors[k].type, want->tensors[i].type, "%s: %s is %s, not %s", formats[f][0], want->tensors[i].name,
                                 tensor_type_name(got->tensors[k].type), tensor_type_name(want->tensors[i].type));
                    if (want->tensors[i].type == TENSOR_F32)
                        continue;
                    ours += distance(got, source, want->tensors[i].name, 1);
                    theirs += distance(want, source, want->tensors[i].name, 1);
                }
        cr_assert(theirs > 0 && ours <= theirs, "%s: %g, llama.cpp's %g", formats[f][0], ours, theirs);
        gguf_close(got);
        gguf_close(want);
    }
    gguf_close(source);
    unlink(out);
    rmdir(folder);
}

/* An importance matrix in the older form, for one tensor of 256 columns of which every fourth counts 1000 times. */
static void write_imatrix(const char *path, const char *name, int32_t n_values)
{
    FILE *file = fopen(path, "wbe");
    cr_assert_not_null(file);
    int32_t head[] = {1, (int32_t)strlen(name)}, counts[] = {2, n_values};
    fwrite(head, sizeof head, 1, file);
    fwrite(name, strlen(name), 1, file);
    fwrite(counts, sizeof counts, 1, file);
    for (int i = 0; i < 256; i++) {
        float value = i % 4 == 0 ? 2000 : 2;
        fwrite(&value, sizeof value, 1, file);
    }
    fclose(file);
}

Test(gguf_quantize, columns_of_importance_are_kept_closer)
{
    static const char name[] = "blk.0.attn_q.weight", model[] = WEIR_SHARED_DIR "/fixtures/archs/llama-dense.gguf";
    char folder[] = "/tmp/weir_quantize_XXXXXX", out[PATH_MAX], importance[PATH_MAX];
    struct error err = {0};
    cr_assert_not_null(mkdtemp(folder));
    snprintf(out, sizeof out, "%s/out.gguf", folder);
    snprintf(importance, sizeof importance, "%s/imatrix.dat", folder);
    struct gguf *source = open_fixture(model);
    for (int f = 0; f < 3; f++) {
        double errors[2];
        for (int with = 0; with < 2; with++) {
            write_imatrix(importance, name, 256);
            cr_assert_eq(model_quantize(model, out, (const char *const[]){"Q2_K", "Q4_K_M", "IQ4_XS"}[f], with ? importance : NULL, &err), 0, "%s: %s", err.where, err.text);
            struct gguf *got = open_fixture(out);
            errors[with] = distance(got, source, name, 1000);
            gguf_close(got);
        }
        cr_assert(errors[1] < errors[0] * 0.9, "format %d: %g, without importance %g", f, errors[1], errors[0]);
    }
    write_imatrix(importance, name, 300); /* More than there are. */
    cr_assert(model_quantize(model, out, "Q4_K", importance, &err) < 0);
    cr_assert(strstr(err.text, "entry 0") != NULL, "%s", err.text);
    gguf_close(source);
    unlink(importance);
    unlink(out);
    rmdir(folder);
}

Test(gguf_quantize, a_mix_gives_more_bits_to_the_head_and_the_sensitive_matrices)
{
    char folder[] = "/tmp/weir_quantize_XXXXXX", out[PATH_MAX];
    struct error err = {0};
    cr_assert_not_null(mkdtemp(folder));
    snprintf(out, sizeof out, "%s/out.gguf", folder);
    cr_assert_eq(model_quantize(WEIR_SHARED_DIR "/fixtures/archs/llama-dense.gguf", out, "Q4_K_M", NULL, &err), 0, "%s: %s", err.where, err.text);
    struct gguf *got = open_fixture(out);
    static const struct {
        const char *name;
        enum tensor_type type;
    } expected[] = {{"output.weight", TENSOR_Q6_K}, {"token_embd.weight", TENSOR_Q4_K}, {"blk.1.attn_v.weight", TENSOR_Q6_K},
                    {"blk.0.attn_q.weight", TENSOR_Q4_K}, {"blk.1.ffn_down.weight", TENSOR_Q8_0}, {"output_norm.weight", TENSOR_F32}};
    for (size_t e = 0; e < sizeof expected / sizeof *expected; e++)
        for (size_t i = 0; i < got->n_tensors; i++)
            if (strcmp(got->tensors[i].name, expected[e].name) == 0)
                cr_assert_eq(got->tensors[i].type, expected[e].type, "%s is %s", expected[e].name, tensor_type_name(got->tensors[i].type));
    gguf_close(got);
    unlink(out);
    rmdir(folder);
}
