/* Safetensors: what is read is what stands there, and every lie in a header is an error that says what and where. */
#include "model/safetensors.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static int parse_bytes(struct safetensors **file, const char *header, uint64_t n_header, size_t n_data, struct error *err)
{
    static uint8_t bytes[65536];
    size_t length = strlen(header);
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(n_header >> (8 * i));
    memcpy(bytes + 8, header, length);
    for (size_t i = 0; i < n_data; i++)
        bytes[8 + length + i] = (uint8_t)i;
    return safetensors_parse(file, "m.safetensors", bytes, 8 + length + n_data, err);
}

static int parse_text(struct safetensors **file, const char *header, size_t n_data, struct error *err)
{
    return parse_bytes(file, header, strlen(header), n_data, err);
}

Test(safetensors, gives_types_shapes_and_data_as_they_stand)
{
    struct safetensors *file;
    struct error err;
    int status = parse_text(&file,
                            "{\"__metadata__\":{\"format\":\"pt\"},"
                            "\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[8,32]},"
                            "\"ids\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
                            "\"mask\":{\"dtype\":\"BOOL\",\"shape\":[1,1,2,2],\"data_offsets\":[34,38]},"
                            "\"none\":{\"dtype\":\"F16\",\"shape\":[0,7],\"data_offsets\":[32,32]},"
                            "\"h\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[32,34]}}  ",
                            38, &err);
    cr_assert_eq(status, 0, "%s", err.text);
    cr_assert_eq(safetensors_n(file), 5);
    const struct tensor *w = safetensors_find(file, "w");
    cr_assert_not_null(w);
    cr_assert_eq(w->type, TENSOR_F32);
    cr_assert_eq(w->n_dims, 2);
    cr_assert_eq(w->ne[0], 3);
    cr_assert_eq(w->ne[1], 2);
    cr_assert_eq(w->n_bytes, 24);
    cr_assert_eq(((const uint8_t *)w->data)[0], 8);
    const struct tensor *ids = safetensors_find(file, "ids");
    cr_assert_eq(ids->n_dims, 1);
    cr_assert_eq(ids->ne[0], 1);
    cr_assert_eq(ids->type, TENSOR_I64);
    const struct tensor *mask = safetensors_find(file, "mask");
    cr_assert_eq(mask->type, TENSOR_I8);
    cr_assert_eq(mask->n_dims, 4);
    cr_assert_eq(safetensors_find(file, "none")->n_bytes, 0);
    cr_assert_null(safetensors_find(file, "absent"));
    cr_assert_null(safetensors_find(file, "__metadata__"));
    cr_assert_null(safetensors_at(file, 5));
    safetensors_close(file);
}

#define ONE(dtype, shape, offsets) "{\"t\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

Test(safetensors, every_lie_in_a_header_is_named)
{
    static const struct {
        const char *header;
        size_t n_data;
        const char *where, *text;
    } cases[] = {
        {"[]", 0, "m.safetensors", "not a JSON object"},
        {"{", 0, "m.safetensors: header: line 1", ""},
        {"{\"t\":1,\"t\":2}", 0, "header", "duplicate"},
        {"{\"t\":1}", 0, "tensor t", "must be an object"},
        {"{\"__metadata__\":[]}", 0, "m.safetensors", "__metadata__"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "m.safetensors", "__metadata__: a"},
        {"{\"t\":{}}", 0, "tensor t", "dtype"},
        {ONE("\"F8_E4M3\"", "[1]", "[0,1]"), 1, "tensor t", "\"F8_E4M3\" is not supported"},
        {ONE("\"F32\"", "4", "[0,4]"), 4, "tensor t", "shape"},
        {ONE("\"F32\"", "[-1]", "[0,4]"), 4, "tensor t", "shape: element 0"},
        {ONE("\"F32\"", "[1.0]", "[0,4]"), 4, "tensor t", "shape: element 0"},
        {ONE("\"F32\"", "[1,1,1,1,1]", "[0,4]"), 4, "tensor t", "5 dimensions"},
        {ONE("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0, "tensor t", "overflows"},
        {ONE("\"F32\"", "[4611686018427387904]", "[0,0]"), 0, "tensor t", "overflows"},
        {ONE("\"F32\"", "[9223372036854775807,3]", "[0,4]"), 4, "tensor t", "overflows"},
        {ONE("\"F32\"", "[0,4611686018427387904]", "[0,0]"), 0, "tensor t", "overflows"},
        {ONE("\"F32\"", "[1]", "[0]"), 4, "tensor t", "data_offsets"},
        {ONE("\"F32\"", "[1]", "[-4,0]"), 4, "tensor t", "not sizes"},
        {ONE("\"F32\"", "[1]", "[4,0]"), 4, "tensor t", "lies after"},
        {ONE("\"F32\"", "[1]", "[0,8]"), 4, "tensor t", "past the 4 bytes"},
        {ONE("\"F32\"", "[1]", "[0,9223372036854775807]"), 4, "tensor t", "past the 4 bytes"},
        {ONE("\"F32\"", "[2]", "[0,4]"), 4, "tensor t", "4 bytes, but dtype and shape need 8"},
        {ONE("\"F32\"", "[1]", "[4,8]"), 8, "tensor t", "leaves a hole"},
        {ONE("\"F32\"", "[1]", "[0,4]"), 5, "m.safetensors", "1 bytes after the last tensor"},
        {"{\"a\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[2,6]}}",
         6, "tensor b", "inside the tensor before it"},
        {"{\"a\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
         4, "tensor", "inside the tensor before it"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct safetensors *file = (void *)&file;
        struct error err = {0};
        int status = parse_text(&file, cases[i].header, cases[i].n_data, &err);
        cr_assert_eq(status, WEIR_E_INVALID, "case %zu: %s", i, cases[i].header);
        cr_assert_null(file);
        cr_assert_not_null(strstr(err.where, cases[i].where), "case %zu: where is %s", i, err.where);
        cr_assert_not_null(strstr(err.text, cases[i].text), "case %zu: text is %s", i, err.text);
    }
}

Test(safetensors, a_header_length_past_the_end_or_the_limit_is_refused_before_anything_is_allocated)
{
    struct safetensors *file;
    struct error err;
    cr_assert_eq(parse_bytes(&file, "{}", 3, 0, &err), WEIR_E_INVALID);
    cr_assert_not_null(strstr(err.text, "past the end"));
    cr_assert_eq(parse_bytes(&file, "{}", 100000001, 0, &err), WEIR_E_INVALID);
    cr_assert_not_null(strstr(err.text, "limit"));
    cr_assert_eq(parse_bytes(&file, "{}", UINT64_MAX, 0, &err), WEIR_E_INVALID);
    cr_assert_eq(parse_bytes(&file, "{}", UINT64_MAX - 7, 0, &err), WEIR_E_INVALID);
    cr_assert_eq(safetensors_parse(&file, "m", "short", 5, &err), WEIR_E_INVALID);
    cr_assert_eq(safetensors_parse(&file, "m", NULL, 0, &err), WEIR_E_INVALID);
}

Test(safetensors, a_file_cut_anywhere_is_refused)
{
    struct buffer whole;
    struct error err;
    buffer_init(&whole, 4 << 20);
    cr_assert_eq(file_read(WEIR_SHARED_DIR "/fixtures/hf/bert/model.safetensors", &whole, &err), 0,
                 "the shared fixtures are needed: %s", err.text);
    for (size_t n = 0; n < whole.n; n += n < 9000 ? 97 : 20011) {
        uint8_t *cut = malloc(n > 0 ? n : 1);
        memcpy(cut, whole.data, n);
        struct safetensors *file;
        cr_assert_eq(safetensors_parse(&file, "cut", cut, n, &err), WEIR_E_INVALID, "cut at %zu", n);
        free(cut);
    }
    buffer_release(&whole);
}

Test(safetensors, opens_a_real_file_and_names_a_missing_one)
{
    struct safetensors *file;
    struct error err;
    cr_assert_eq(safetensors_open(&file, WEIR_SHARED_DIR "/fixtures/hf/bert-published-names/model.safetensors", &err), 0,
                 "the shared fixtures are needed: %s", err.text);
    const struct tensor *ids = safetensors_find(file, "bert.embeddings.position_ids");
    cr_assert_not_null(ids);
    cr_assert_eq(ids->type, TENSOR_I64);
    int64_t last;
    memcpy(&last, (const char *)ids->data + 127 * sizeof last, sizeof last);
    cr_assert_eq(last, 127);
    safetensors_close(file);
    cr_assert_lt(safetensors_open(&file, "/nowhere/model.safetensors", &err), 0);
    cr_assert_not_null(strstr(err.where, "/nowhere/model.safetensors"));
}
