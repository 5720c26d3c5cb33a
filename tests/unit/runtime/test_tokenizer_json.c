/* tokenizer.json: hostile documents are errors that name the key; hostile texts stay near-linear; text can't smuggle. */
#include "tokenizer/parts.h"

#include <criterion/criterion.h>

static struct tokenizer *open_json(const char *json)
{
    struct tokenizer *tokenizer;
    struct error err = {0};
    cr_assert_eq(tokenizer_open_text(&tokenizer, str_of(json), false, &err), 0, "%s: %s", err.where, err.text);
    return tokenizer;
}

static void assert_ids(const struct tokenizer *tokenizer, str text, unsigned flags, const int32_t *wanted, size_t n)
{
    struct ids ids = {0};
    struct error err = {0};
    cr_assert_eq(tokenizer_encode(tokenizer, text, flags, &ids, &err), 0, "%s", err.text);
    cr_assert_eq(ids.n, n, "\"" STR_FMT "\": %zu ids", STR_ARG(text), ids.n);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(ids.data[i], wanted[i], "\"" STR_FMT "\": id %zu is %d", STR_ARG(text), i, (int)ids.data[i]);
    ids_release(&ids);
}

Test(tokenizer_json, hostile_documents_are_errors_that_name_the_key)
{
    static const struct {
        const char *json, *where;
    } cases[] = {
        {"", "line"},
        {"[1]", ""},
        {"{}", "model"},
        {"{\"model\":{\"type\":\"XYZ\"}}", "model.type"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":[],\"merges\":[]}}", "model.vocab"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}", "model.vocab"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}", "model.vocab"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":4000000},\"merges\":[]}}", "model.vocab"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":9223372036854775807},\"merges\":[]}}", "model.vocab"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a a\"]}}", "model.merges"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"aa\"]}}", "model.merges"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[3]}}", "model.merges"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1]],\"unk_id\":7}}", "model.unk_id"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\"]]}}", "model.vocab"},
        {"{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}},\"added_tokens\":[{\"id\":0,\"content\":\"b\"}]}", "added_tokens"},
        {"{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}},\"added_tokens\":[{\"id\":-4,\"content\":\"b\"}]}", "added_tokens"},
        {"{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}},\"added_tokens\":[{\"id\":1,\"content\":\"\"}]}", "added_tokens"},
        {"{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}},\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAA/w==\"}}",
         "normalizer.precompiled_charsmap"},
        {"{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}},\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"*\"}}",
         "normalizer.precompiled_charsmap"},
        {"{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
         "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Isolated\"}]}}",
         "pre_tokenizer.pretokenizers[0].pattern.Regex"},
        {"{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}},\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"x\",9],\"cls\":[\"a\",0]}}",
         "post_processor"},
        {"{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}},\"decoder\":{\"type\":\"CTC\"}}", "decoder.type"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tokenizer *tokenizer;
        struct error err = {0};
        cr_assert_lt(tokenizer_open_text(&tokenizer, str_of(cases[i].json), false, &err), 0, "case %zu opens", i);
        cr_assert_null(tokenizer);
        cr_assert(str_starts(str_of(err.where), str_of(cases[i].where)), "case %zu: where is \"%s\"", i, err.where);
        cr_assert_neq(err.text[0], '\0');
    }
}

Test(tokenizer_json, nesting_without_end_is_refused)
{
    struct buffer text;
    buffer_init(&text, 1 << 20);
    buffer_append_text(&text, "{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}},\"normalizer\":");
    for (int i = 0; i < 100; i++)
        buffer_append_text(&text, "{\"type\":\"Sequence\",\"normalizers\":[");
    for (int i = 0; i < 100; i++)
        buffer_append_text(&text, "]}");
    buffer_append_char(&text, '}');
    struct tokenizer *tokenizer;
    struct error err = {0};
    cr_assert_eq(tokenizer_open_text(&tokenizer, buffer_str(&text), false, &err), WEIR_E_LIMIT);
    cr_assert(str_starts(str_of(err.where), STR("normalizer.normalizers[0]")));
    buffer_release(&text);
}

static const char smuggle[] = "{\"model\":{\"type\":\"BPE\",\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"<\":1,\"s\":2,\">\":3},\"merges\":[]},"
                              "\"added_tokens\":[{\"id\":4,\"content\":\"<s>\",\"special\":true,\"rstrip\":true},"
                              "{\"id\":5,\"content\":\"ss\",\"single_word\":true,\"normalized\":false}]}";

Test(tokenizer_json, text_can_not_smuggle_special_tokens)
{
    struct tokenizer *tokenizer = open_json(smuggle);
    assert_ids(tokenizer, STR("<s>"), 0, (const int32_t[]){1, 2, 3}, 3);
    assert_ids(tokenizer, STR("<s>"), TOKENIZE_SPECIAL, (const int32_t[]){4}, 1);
    assert_ids(tokenizer, STR("<s> \t s"), TOKENIZE_SPECIAL, (const int32_t[]){4, 2}, 2);
    assert_ids(tokenizer, STR("sss>ss"), 0, (const int32_t[]){2, 2, 2, 3, 5}, 5);
    cr_assert_eq(tokenizer_special_id(tokenizer, STR("<s>")), 4);
    cr_assert_eq(tokenizer_special_id(tokenizer, STR("ss")), -1);
    tokenizer_close(tokenizer);
}

/* Both ways of merging, the scan of short words and the heap of long ones, give the same ids. */
Test(tokenizer_json, long_words_merge_as_short_ones_do)
{
    struct tokenizer *tokenizer = open_json("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"aa\":2,\"ab\":3,\"aaaa\":4,\"aab\":5},"
                                            "\"merges\":[\"a a\",[\"a\",\"b\"],\"aa aa\",\"aa b\"]}}");
    assert_ids(tokenizer, STR("aaaaab"), 0, (const int32_t[]){4, 3}, 2);
    assert_ids(tokenizer, STR("aaab"), 0, (const int32_t[]){2, 3}, 2);
    enum { N = 100003 };
    char *text = malloc(N + 1);
    cr_assert_not_null(text);
    memset(text, 'a', N);
    text[N] = 'b';
    struct ids ids = {0};
    cr_assert_eq(tokenizer_encode(tokenizer, (str){text, N + 1}, 0, &ids, NULL), 0);
    cr_assert_eq(ids.n, N / 4 + 2); /* 25,000 of four, one of two, "ab". */
    cr_assert_eq(ids.data[0], 4);
    cr_assert_eq(ids.data[ids.n - 2], 2);
    cr_assert_eq(ids.data[ids.n - 1], 3);
    ids_release(&ids);
    free(text);
    tokenizer_close(tokenizer);
}

Test(tokenizer_json, wordpiece_honours_its_longest_word)
{
    struct tokenizer *tokenizer = open_json("{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
                                            "\"max_input_chars_per_word\":4,\"vocab\":{\"[UNK]\":0,\"a\":1,\"##a\":2,\"##b\":3}},"
                                            "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}}");
    assert_ids(tokenizer, STR("aaab aaaaa a ax"), 0, (const int32_t[]){1, 2, 2, 3, 0, 1, 0}, 7);
    tokenizer_close(tokenizer);
}

Test(tokenizer_json, a_pattern_that_backtracks_for_ever_is_an_error)
{
    struct tokenizer *tokenizer = open_json("{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}},\"pre_tokenizer\":"
                                            "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"^(a|aa)+$\"},\"behavior\":\"Isolated\"}}");
    struct ids ids = {0};
    struct error err = {0};
    cr_assert_eq(tokenizer_encode(tokenizer, STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"), 0, &ids, &err), WEIR_E_LIMIT);
    cr_assert_eq(ids.n, 0);
    cr_assert_str_eq(err.where, "text");
    ids_release(&ids);
    tokenizer_close(tokenizer);
}
