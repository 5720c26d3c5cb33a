/* Model files: split GGUF models, Hugging Face directories with shards, and what is wrong with bad ones. */
#include "model/model_file.h"

#include "gguf_build.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/weir_model_file_XXXXXX";

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
    static const char *const names[] = {"m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "other.gguf", "config.json", "model.safetensors.index.json", "a.safetensors", "tokenizer.json"};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static const char *place(const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return path;
}

static void write_text(const char *name, const void *data, size_t n)
{
    char path[PATH_MAX];
    cr_assert_eq(file_write_atomic(place(name, path), data, n, 0600, NULL), 0);
}

/* One part of a split model with one tensor of 8 floats. */
static void write_part(const char *name, uint32_t number, uint32_t count, const char *tensor, int32_t n_tensors)
{
    struct gguf_build build;
    gguf_build_begin(&build);
    gguf_build_key_string(&build, "general.architecture", "llama");
    gguf_build_key_u32(&build, "split.no", number);
    gguf_build_key_u32(&build, "split.count", count);
    gguf_build_key(&build, "split.tensors.count", 5);
    gguf_build_u32(&build, (uint32_t)n_tensors);
    gguf_build_tensor(&build, tensor, 1, (uint64_t[]){8}, 0, 0);
    gguf_build_end(&build, 32);
    write_text(name, build.out.data, build.out.n);
    buffer_release(&build.out);
}

static void expect_error(const char *name, const char *text)
{
    char path[PATH_MAX], all[600];
    struct model_file *file;
    struct error err = {0};
    cr_assert(model_file_open(&file, place(name, path), &err) < 0, "opened; expected \"%s\"", text);
    cr_assert_null(file);
    error_format(&err, all, sizeof all);
    cr_assert(strstr(all, text) != NULL, "\"%s\" does not say \"%s\"", all, text);
}

TestSuite(model_file, .init = make_folder, .fini = remove_folder);

Test(model_file, a_split_model_opens_whole_by_its_first_part)
{
    char path[PATH_MAX];
    struct model_file *file;
    struct error err = {0};
    write_part("m-00001-of-00002.gguf", 0, 2, "first", 2);
    write_part("m-00002-of-00002.gguf", 1, 2, "second", 2);
    cr_assert_eq(model_file_open(&file, place("m-00001-of-00002.gguf", path), &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(model_file_n_tensors(file), 2);
    cr_assert_not_null(model_file_tensor(file, "first"));
    cr_assert_not_null(model_file_tensor(file, "second"));
    cr_assert_null(model_file_tensor(file, "third"));
    cr_assert(str_equal(model_file_architecture(file), STR("llama")));
    model_file_close(file);
}

Test(model_file, a_split_model_with_a_part_missing_wrong_or_doubled_is_refused)
{
    write_part("m-00001-of-00002.gguf", 0, 2, "first", 2);
    expect_error("m-00001-of-00002.gguf", "m-00002-of-00002.gguf");
    write_part("m-00002-of-00002.gguf", 0, 2, "second", 2);
    expect_error("m-00001-of-00002.gguf", "part 1 of 2 is expected");
    write_part("m-00002-of-00002.gguf", 1, 2, "first", 2);
    expect_error("m-00001-of-00002.gguf", "tensor first: is in two parts");
    write_part("m-00002-of-00002.gguf", 1, 2, "second", 2);
    expect_error("m-00002-of-00002.gguf", "open the first part");
    write_part("m-00001-of-00002.gguf", 0, 2, "first", 7);
    expect_error("m-00001-of-00002.gguf", "split.tensors.count says 7 tensors, the parts hold 2");
    write_part("other.gguf", 0, 2, "first", 2);
    expect_error("other.gguf", "its name must end in -00001-of-00002.gguf");
    write_part("other.gguf", 0, 60000, "first", 2);
    expect_error("other.gguf", "part 0 of 60000");
}

Test(model_file, a_directorys_shards_are_one_table_and_an_index_that_lies_is_refused)
{
    struct model_file *file;
    struct error err = {0};
    cr_assert_eq(model_file_open(&file, WEIR_SHARED_DIR "/fixtures/hf/llama-bf16-sharded", &err), 0, "%s: %s", err.where, err.text);
    cr_assert(!model_file_is_gguf(file));
    cr_assert_not_null(model_file_config(file));
    cr_assert_not_null(model_file_tensor(file, "lm_head.weight"));
    cr_assert_not_null(model_file_tensor(file, "model.embed_tokens.weight"));
    cr_assert(str_equal(model_file_architecture(file), STR("llama")));
    model_file_close(file);

    static const char *const bad[][2] = {
        {"{\"weight_map\": {\"w\": \"../a.safetensors\"}}", "must be the name of a file in this directory"},
        {"{\"weight_map\": {\"w\": \"/etc/passwd\"}}", "must be the name of a file in this directory"},
        {"{\"weight_map\": {\"w\": 7}}", "must be the name of a file in this directory"},
        {"{\"weight_map\": {\"w\": \"missing.safetensors\"}}", "missing.safetensors, which is not there"},
        {"{\"weight_map\": {\"w\": \"a.safetensors\"}}", "tensor w is in none of the files"},
        {"{\"weight_map\": 3}", "weight_map: must be an object"},
        {"[]", "must hold a JSON object"},
        {"{", "model.safetensors.index.json"},
    };
    static const char empty[] = "\x02\0\0\0\0\0\0\0{}";
    write_text("config.json", "{\"model_type\": \"llama\"}", 23);
    write_text("a.safetensors", empty, sizeof empty - 1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_text("model.safetensors.index.json", bad[i][0], strlen(bad[i][0]));
        expect_error("", bad[i][1]);
    }
}

Test(model_file, a_directory_that_is_no_model_and_a_file_that_is_none_are_refused_by_name)
{
    expect_error("", "without config.json or a tokenizer");
    write_text("config.json", "[1]", 3);
    expect_error("", "config.json: must hold a JSON object");
    write_text("other.gguf", "", 0);
    expect_error("other.gguf", "not a GGUF file");
    expect_error("absent.gguf", "absent.gguf");
}

Test(model_file, keys_of_another_type_are_errors_that_name_file_and_key)
{
    char path[PATH_MAX];
    struct model_file *file;
    struct gguf_build build;
    struct error err = {0};
    int64_t number;
    str text;
    size_t n;
    bool flag;
    gguf_build_begin(&build);
    gguf_build_key_string(&build, "word", "w");
    gguf_build_key_u32(&build, "number", 5);
    gguf_build_end(&build, 0);
    write_text("other.gguf", build.out.data, build.out.n);
    buffer_release(&build.out);
    cr_assert_eq(model_file_open(&file, place("other.gguf", path), &err), 0);
    cr_assert_eq(gguf_i64(file, "number", &number, &err), 1);
    cr_assert_eq(gguf_i64(file, "absent", &number, &err), 0);
    cr_assert_eq(gguf_i64(file, "word", &number, &err), WEIR_E_INVALID);
    cr_assert(strstr(err.where, "other.gguf: key word") != NULL && strcmp(err.text, "must be an integer, is string") == 0);
    cr_assert_eq(gguf_str(file, "number", &text, &err), WEIR_E_INVALID);
    cr_assert_eq(gguf_bool(file, "number", &flag, &err), WEIR_E_INVALID);
    cr_assert_eq(gguf_array_n(file, "number", &n, &err), WEIR_E_INVALID);
    cr_assert_eq(gguf_array_i64(file, "number", 0, &number), WEIR_E_INVALID);
    model_file_close(file);
}
