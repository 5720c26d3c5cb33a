/* Quantizing: the bytes that llama-quantize --pure gave for the same model, and targets that stay whole. */
#include "model/gguf.h"
#include "weir_runtime.h"

#include <criterion/criterion.h>
#include <limits.h>
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
        cr_assert_eq(model_quantize(WEIR_SHARED_DIR "/fixtures/archs/llama-dense.gguf", out, formats[f], &err), 0, "%s: %s", err.where, err.text);
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
    cr_assert(model_quantize(WEIR_SHARED_DIR "/fixtures/archs/llama-dense.gguf", out, "Q9_9", &err) < 0);
    cr_assert(strstr(err.where, "Q9_9") != NULL);
    cr_assert(model_quantize(WEIR_SHARED_DIR "/fixtures/archs/llama-dense.Q4_0.gguf", out, "Q8_0", &err) < 0);
    cr_assert(strstr(err.text, "only F32, F16 and BF16") != NULL);
    cr_assert(model_quantize(WEIR_SHARED_DIR "/fixtures/archs/llama-dense.gguf", "/nonexistent/out.gguf", "Q8_0", &err) < 0);
    cr_assert_eq(rmdir(folder), 0, "something was left behind");
}
