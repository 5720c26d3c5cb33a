/* Static tables: a text's vector, and files that are taken whole or refused. */
#include "static_table.h"
#include "head.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

enum { TOKENS = 40, DIMS = 16 };

static void make(struct static_table *table)
{
    struct error err = {0};
    float vector[DIMS];
    json_t *about = json_pack("{s:s,s:s,s:s}", "encoder", "tiny", "encoder_sha256", "00", "vocabulary", "11");
    cr_assert_eq(static_table_init_take(table, TOKENS, DIMS, about, &err), 0, "%s: %s", err.where, err.text);
    for (int token = 1; token < TOKENS; token++) { /* Token 0 stays without a vector. */
        for (int k = 0; k < DIMS; k++)
            vector[k] = sinf((float)(token * (k + 1))) / (float)token;
        static_table_set(table, token, vector);
    }
}

static void format(const struct static_table *table, struct buffer *out)
{
    struct error err = {0};
    buffer_init(out, 1 << 20);
    cr_assert_eq(static_table_format(table, out, &err), 0, "%s: %s", err.where, err.text);
}

static int parse(const void *data, size_t n, struct error *err)
{
    struct static_table table;
    void *exact = malloc(n > 0 ? n : 1); /* So that the sanitizer sees a read past the end. */
    memcpy(exact, data, n);
    *err = (struct error){0};
    int status = static_table_parse(&table, exact, n, err);
    if (status == 0)
        static_table_release(&table);
    free(exact);
    return status;
}

Test(static_table, a_vector_is_the_direction_of_the_sum_of_its_tokens)
{
    struct static_table table;
    float out[DIMS], sum[DIMS] = {0};
    double length = 0, difference = 0;
    make(&table);
    const int32_t ids[] = {3, 7, 7, 0, -1, TOKENS, 1 << 30};
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < DIMS; k++)
            sum[k] += sinf((float)(ids[i] * (k + 1))) / (float)ids[i];
    for (int k = 0; k < DIMS; k++)
        length += (double)sum[k] * (double)sum[k];
    static_table_embed_ids(&table, ids, 7, out); /* Those outside of the table count nothing. */
    for (int k = 0; k < DIMS; k++)
        difference = fmax(difference, fabs((double)out[k] - (double)sum[k] / sqrt(length)));
    cr_assert_lt(difference, 0.01, "%g: rows have seven bits", difference);
    static_table_embed_ids(&table, ids + 3, 4, out);
    for (int k = 0; k < DIMS; k++)
        cr_assert_eq(out[k], 0);
    static_table_release(&table);
}

Test(static_table, a_file_reads_back_as_the_same_table)
{
    struct static_table table, again;
    struct error err = {0};
    struct buffer bytes, twice;
    make(&table);
    format(&table, &bytes);
    cr_assert_eq(bytes.n % 4, 0);
    cr_assert_eq(static_table_parse(&again, bytes.data, bytes.n, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_str_eq(again.encoder, "tiny");
    cr_assert_arr_eq(again.rows, table.rows, TOKENS * DIMS);
    cr_assert_arr_eq(again.scales, table.scales, TOKENS * sizeof *table.scales);
    format(&again, &twice);
    cr_assert_eq(twice.n, bytes.n);
    cr_assert_arr_eq(twice.data, bytes.data, bytes.n);
    buffer_release(&bytes);
    buffer_release(&twice);
    static_table_release(&table);
    static_table_release(&again);
}

Test(static_table, a_file_cut_or_changed_anywhere_is_refused_with_a_reason)
{
    struct static_table table;
    struct error err;
    struct buffer bytes;
    make(&table);
    format(&table, &bytes);
    for (size_t n = 0; n < bytes.n; n++)
        cr_assert(parse(bytes.data, n, &err) < 0 && err.text[0] != '\0', "cut at %zu", n);
    for (size_t at = 0; at < bytes.n; at++) {
        bytes.data[at] = (char)(bytes.data[at] ^ 0x41);
        cr_assert(parse(bytes.data, bytes.n, &err) < 0 && err.text[0] != '\0', "byte %zu", at);
        bytes.data[at] = (char)(bytes.data[at] ^ 0x41);
    }
    buffer_append(&bytes, "more", 4);
    cr_assert_lt(parse(bytes.data, bytes.n, &err), 0);
    cr_assert(strstr(err.text, "cut or added to") != NULL, "%s", err.text);
    buffer_release(&bytes);
    static_table_release(&table);
}

Test(static_table, a_newer_version_is_named)
{
    struct static_table table;
    struct error err;
    struct buffer bytes;
    make(&table);
    format(&table, &bytes);
    bytes.data[8] = 2;
    cr_assert_eq(parse(bytes.data, bytes.n, &err), WEIR_E_UNSUPPORTED);
    cr_assert(strstr(err.text, "version 2; this program reads 1") != NULL, "%s", err.text);
    buffer_release(&bytes);
    static_table_release(&table);
}

Test(static_table, a_head_without_a_table_is_told_from_one_with_a_bad_table)
{
    struct static_table table;
    struct error err = {0};
    cr_assert_lt(static_table_open(&table, WEIR_SOURCE_DIR "/README.md", &err), 0);
    cr_assert(strstr(err.where, "README.md") != NULL && strstr(err.text, "no static table") != NULL, "%s: %s", err.where, err.text);
}
