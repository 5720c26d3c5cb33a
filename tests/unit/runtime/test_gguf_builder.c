/* Files put together from keys and tensors. */
#include "model/gguf_builder.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

static int counting_row(void *user, int64_t row, float *out)
{
    for (int i = 0; i < 3; i++)
        out[i] = (float)(row * 3 + i + *(int *)user);
    return 0;
}

static int failing_row(void *user, int64_t row, float *out)
{
    return row == 1 ? WEIR_E_INVALID : counting_row(user, row, out);
}

static int refuse(void *user, const char *path, struct error *err)
{
    return error_set(err, WEIR_E_UNSUPPORTED, path, "not this one");
}

static char folder[] = "/tmp/weir-builder-XXXXXX";
static char path[64];

static void setup(void)
{
    cr_assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/m.gguf", folder);
}

static void teardown(void)
{
    unlink(path);
    cr_assert_eq(rmdir(folder), 0, "a file was left behind");
}

TestSuite(gguf_builder, .init = setup, .fini = teardown);

Test(gguf_builder, what_is_put_in_is_read_back)
{
    struct gguf_builder builder;
    struct gguf *gguf;
    struct error err = {0};
    int first = 10;
    const float vector[] = {1, 2, 3};
    str text;
    int64_t number;
    bool truth = false;
    gguf_builder_init(&builder, &err);
    gguf_key_str(&builder, "a.text", STR("water"));
    gguf_key_u32(&builder, "a.number", 7);
    gguf_key_bool(&builder, "a.truth", true);
    gguf_key_array(&builder, "a.list", GGUF_STRING, 2);
    gguf_element_str(&builder, STR("x"));
    gguf_element_str(&builder, STR(""));
    gguf_add_rows(&builder, "m", TENSOR_F16, 3, (const int64_t[]){3, 2, 2}, counting_row, &first);
    gguf_add_vector(&builder, "v", vector, 3, 0.5f);
    cr_assert_eq(gguf_builder_write(&builder, path, NULL, NULL), 0, "%s: %s", err.where, err.text);
    gguf_builder_release(&builder);
    cr_assert_eq(gguf_open(&gguf, path, &err), 0, "%s: %s", err.where, err.text);
    cr_assert(gguf_value_str(gguf_find(gguf, STR("a.text")), 0, &text) && str_equal(text, STR("water")));
    cr_assert(gguf_value_i64(gguf_find(gguf, STR("a.number")), 0, &number) && number == 7);
    cr_assert(gguf_value_bool(gguf_find(gguf, STR("a.truth")), 0, &truth) && truth);
    cr_assert(gguf_find(gguf, STR("a.list"))->n == 2 && gguf_value_bytes(gguf_find(gguf, STR("a.list"))) == 17);
    cr_assert_eq(gguf->n_tensors, 2);
    float row[3];
    dequantize_row(TENSOR_F16, (const uint8_t *)gguf->tensors[0].data + 3 * 6, row, 3);
    cr_assert(gguf->tensors[0].ne[2] == 2 && row[0] == 19 && row[2] == 21);
    memcpy(row, gguf->tensors[1].data, sizeof row);
    cr_assert(row[0] == 1.5f && row[2] == 3.5f);
    /* Its keys go over into another file, but for those left out by name or beginning. */
    gguf_builder_init(&builder, &err);
    gguf_keys_copy(&builder, gguf, (const char *const[]){"a.t", "a.number"}, 2);
    cr_assert_eq(builder.n_keys, 3);
    gguf_builder_release(&builder);
    gguf_builder_init(&builder, &err);
    gguf_keys_copy(&builder, gguf, (const char *const[]){"a."}, 1);
    cr_assert_eq(builder.n_keys, 0);
    gguf_builder_release(&builder);
    gguf_close(gguf);
}

Test(gguf_builder, a_target_is_replaced_whole_or_left_as_it_was)
{
    int first = 0;
    struct error err = {0};
    FILE *file = fopen(path, "w");
    cr_assert(file != NULL && fputs("old", file) >= 0 && fclose(file) == 0);
    for (int i = 0; i < 2; i++) { /* A row that can't be computed; a check that says no. */
        struct gguf_builder builder;
        gguf_builder_init(&builder, &err);
        gguf_add_rows(&builder, "m", TENSOR_F32, 2, (const int64_t[]){3, 2}, i == 0 ? failing_row : counting_row, &first);
        cr_assert_lt(gguf_builder_write(&builder, path, i == 0 ? NULL : refuse, NULL), 0);
        cr_assert(i == 0 ? strcmp(err.where, "m") == 0 : strstr(err.where, ".partial") != NULL);
        gguf_builder_release(&builder);
    }
    char text[8] = "";
    file = fopen(path, "r");
    cr_assert(file != NULL && fread(text, 1, sizeof text - 1, file) == 3 && fclose(file) == 0);
    cr_assert_str_eq(text, "old");
}

Test(gguf_builder, the_first_error_sticks)
{
    struct gguf_builder builder;
    struct error err = {0};
    int first = 0;
    gguf_builder_init(&builder, &err);
    gguf_add_rows(&builder, "odd", TENSOR_Q8_0, 2, (const int64_t[]){33, 2}, counting_row, &first);
    gguf_builder_fail(&builder, WEIR_E_LIMIT, "later", "something else");
    cr_assert_eq(gguf_builder_write(&builder, path, NULL, NULL), WEIR_E_INVALID);
    cr_assert_str_eq(err.where, "odd");
    gguf_builder_release(&builder);
}
