/* GGUF parsing: what a good file gives, and that no bad one gets past its first wrong byte. */
#include "model/gguf.h"

#include "gguf_build.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* Three keys, one array of strings, two tensors of 32 floats. */
static void build_good(struct gguf_build *build)
{
    gguf_build_begin(build);
    gguf_build_key_string(build, "general.architecture", "llama");
    gguf_build_key_u32(build, "llama.block_count", 2);
    gguf_build_key(build, "tokenizer.ggml.tokens", 9);
    gguf_build_u32(build, 8);
    gguf_build_u64(build, 3);
    gguf_build_string(build, "a");
    gguf_build_string(build, "");
    gguf_build_string(build, "ccc");
    gguf_build_tensor(build, "w", 2, (uint64_t[]){8, 4}, 0, 0);
    gguf_build_tensor(build, "b", 1, (uint64_t[]){32}, 0, 128);
    gguf_build_end(build, 256);
}

static int parse(const struct gguf_build *build, struct error *err)
{
    struct gguf *gguf;
    /* A copy of exactly the file's size, so that a sanitizer sees a read past it. */
    char *exact = malloc(build->out.n);
    memcpy(exact, build->out.data, build->out.n);
    int status = gguf_parse(&gguf, "t.gguf", exact, build->out.n, err);
    gguf_close(gguf);
    free(exact);
    return status;
}

static void expect_error(struct gguf_build *build, const char *where, const char *text)
{
    struct error err = {0};
    cr_assert(parse(build, &err) < 0, "accepted; expected \"%s\"", text);
    cr_assert(strstr(err.where, where) != NULL, "where is \"%s\", not \"%s\"", err.where, where);
    cr_assert(strstr(err.text, text) != NULL, "text is \"%s\", not \"%s\"", err.text, text);
    buffer_release(&build->out);
}

Test(gguf, keys_arrays_and_tensors_are_found_where_they_lie)
{
    struct gguf_build build;
    struct gguf *gguf;
    struct error err;
    int64_t number;
    str text;
    build_good(&build);
    cr_assert_eq(gguf_parse(&gguf, "t.gguf", build.out.data, build.out.n, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(gguf->n_values, 3);
    cr_assert(gguf_value_i64(gguf_find(gguf, STR("llama.block_count")), 0, &number) && number == 2);
    const struct gguf_value *tokens = gguf_find(gguf, STR("tokenizer.ggml.tokens"));
    cr_assert_eq(tokens->n, 3);
    cr_assert(gguf_value_str(tokens, 2, &text) && str_equal(text, STR("ccc")));
    cr_assert(gguf_value_str(tokens, 1, &text) && text.n == 0);
    cr_assert(!gguf_value_str(tokens, 3, &text));
    cr_assert_null(gguf_find(gguf, STR("absent")));
    cr_assert_eq(gguf->n_tensors, 2);
    cr_assert_eq(gguf->tensors[1].n_bytes, 128);
    cr_assert_eq((const char *)gguf->tensors[1].data - build.out.data, (ptrdiff_t)build.out.n - 128);
    gguf_close(gguf);
    buffer_release(&build.out);
}

Test(gguf, a_file_cut_at_any_byte_is_an_error)
{
    struct gguf_build build;
    build_good(&build);
    size_t whole = build.out.n;
    for (size_t n = 0; n < whole; n++) {
        struct error err = {0};
        build.out.n = n;
        cr_assert(parse(&build, &err) < 0, "accepted with %zu of %zu bytes", n, whole);
        cr_assert(err.text[0] != '\0');
    }
    build.out.n = whole;
    cr_assert_eq(parse(&build, NULL), 0);
    buffer_release(&build.out);
}

Test(gguf, any_changed_byte_is_read_or_refused_without_harm)
{
    struct gguf_build build;
    build_good(&build);
    for (size_t i = 0; i < build.out.n - 256; i++) {
        char saved = build.out.data[i];
        for (int value = 0; value < 256; value += 5) {
            build.out.data[i] = (char)value;
            (void)!parse(&build, NULL);
        }
        build.out.data[i] = saved;
    }
    buffer_release(&build.out);
}

Test(gguf, giant_counts_are_refused_before_memory_is_taken)
{
    for (int field = 0; field < 2; field++) {
        struct gguf_build build;
        build_good(&build);
        memset(build.out.data + 8 + 8 * field, 0x7f, 8);
        expect_error(&build, "t.gguf", "more than the file can hold");
    }
    struct gguf_build build;
    gguf_build_begin(&build);
    gguf_build_key(&build, "k", 9);
    gguf_build_u32(&build, 8);
    gguf_build_u64(&build, UINT64_MAX / 8);
    gguf_build_end(&build, 0);
    expect_error(&build, "key k", "runs past the end of the file");
}

Test(gguf, a_key_or_tensor_that_is_there_twice_is_refused_by_name)
{
    struct gguf_build build;
    gguf_build_begin(&build);
    gguf_build_key_u32(&build, "twin", 1);
    gguf_build_key_u32(&build, "other", 1);
    gguf_build_key_u32(&build, "twin", 2);
    gguf_build_end(&build, 0);
    expect_error(&build, "key twin", "twice");
    gguf_build_begin(&build);
    gguf_build_tensor(&build, "w", 1, (uint64_t[]){8}, 0, 0);
    gguf_build_tensor(&build, "w", 1, (uint64_t[]){8}, 0, 32);
    gguf_build_end(&build, 64);
    expect_error(&build, "tensor w", "twice");
}

Test(gguf, tensors_outside_the_file_or_over_one_another_are_refused)
{
    static const struct {
        uint64_t ne[4];
        int n_dims;
        uint32_t type;
        uint64_t offset;
        const char *text;
    } cases[] = {
        {{32}, 1, 0, 9120, "past the end"},
        {{32}, 1, 0, UINT64_MAX - 31, "past the end"},
        {{64}, 1, 0, 0, "past the end"},
        {{32}, 1, 0, 4, "no multiple of the alignment"},
        {{0}, 1, 0, 0, "dimension 0 is 0"},
        {{UINT64_MAX}, 1, 0, 0, "dimension 0 is"},
        {{INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX}, 4, 0, 0, "overflows"},
        {{33}, 1, 8, 0, "no whole Q8_0 blocks"},
        {{32}, 1, 99, 0, "type 99 is not known"},
        {{32}, 1, 0x80000000u, 0, "is not known"},
        {{32}, 0, 0, 0, "0 dimensions"},
        {{32}, 5, 0, 0, "5 dimensions"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gguf_build build;
        gguf_build_begin(&build);
        uint64_t ne[8] = {0};
        memcpy(ne, cases[i].ne, sizeof cases[i].ne);
        gguf_build_tensor(&build, "bad", cases[i].n_dims, ne, cases[i].type, cases[i].offset);
        gguf_build_end(&build, 128);
        expect_error(&build, "tensor bad", cases[i].text);
    }
    struct gguf_build build;
    gguf_build_begin(&build);
    gguf_build_tensor(&build, "one", 1, (uint64_t[]){32}, 0, 0);
    gguf_build_tensor(&build, "two", 1, (uint64_t[]){8}, 0, 96);
    gguf_build_end(&build, 128);
    expect_error(&build, "tensor two", "overlaps tensor one");
}

Test(gguf, wrong_magic_versions_types_and_alignments_are_refused)
{
    static const struct {
        uint32_t version;
        const char *text;
    } versions[] = {{1, "version 1"}, {4, "version 4"}, {0x03000000u, "big-endian"}};
    struct gguf_build build;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        build_good(&build);
        memcpy(build.out.data + 4, &versions[i].version, 4);
        expect_error(&build, "t.gguf", versions[i].text);
    }
    build_good(&build);
    build.out.data[0] = 'g';
    expect_error(&build, "t.gguf", "not a GGUF file");
    gguf_build_begin(&build);
    gguf_build_key(&build, "k", 13);
    gguf_build_end(&build, 0);
    expect_error(&build, "key k", "unknown value type 13");
    gguf_build_begin(&build);
    gguf_build_key(&build, "k", 9);
    gguf_build_u32(&build, 9);
    gguf_build_u64(&build, 1);
    gguf_build_end(&build, 64);
    expect_error(&build, "key k", "arrays of arrays");
    gguf_build_begin(&build);
    gguf_build_key(&build, "k", 7);
    buffer_append_char(&build.out, 2);
    gguf_build_end(&build, 0);
    expect_error(&build, "key k", "boolean");
    static const uint32_t alignments[] = {0, 3, 48, 1u << 31};
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
        gguf_build_begin(&build);
        gguf_build_key_u32(&build, "general.alignment", alignments[i]);
        gguf_build_end(&build, 0);
        expect_error(&build, "general.alignment", "no power of two");
    }
}

Test(gguf, integers_of_any_width_read_as_one_another_only_where_they_fit)
{
    struct gguf_build build;
    struct gguf *gguf;
    int64_t number;
    double real;
    gguf_build_begin(&build);
    gguf_build_key(&build, "big", 10);
    gguf_build_u64(&build, UINT64_MAX);
    gguf_build_key(&build, "small", 1);
    buffer_append_char(&build.out, (char)-7);
    gguf_build_key_f32(&build, "real", 0.5f);
    gguf_build_end(&build, 0);
    cr_assert_eq(gguf_parse(&gguf, "t.gguf", build.out.data, build.out.n, NULL), 0);
    cr_assert(!gguf_value_i64(gguf_find(gguf, STR("big")), 0, &number));
    cr_assert(gguf_value_i64(gguf_find(gguf, STR("small")), 0, &number) && number == -7);
    cr_assert(gguf_value_f64(gguf_find(gguf, STR("small")), 0, &real) && real == -7);
    cr_assert(!gguf_value_i64(gguf_find(gguf, STR("real")), 0, &number));
    cr_assert(gguf_value_f64(gguf_find(gguf, STR("real")), 0, &real) && real == 0.5);
    gguf_close(gguf);
    buffer_release(&build.out);
}
