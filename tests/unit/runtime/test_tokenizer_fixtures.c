/* Token ids against the reference implementations': fixtures/tokenizers (llama.cpp), smollm2 and minilm (Hugging Face). */
#include "tokenizer/tokenizer.h"

#include <criterion/criterion.h>

enum { MOST_FIXTURE_BYTES = 64 << 20 };

struct opened {
    struct model_file *file;
    struct tokenizer *tokenizer;
};

static struct opened open_tokenizer(const char *path)
{
    struct opened opened = {0};
    struct error err = {0};
    char text[600];
    cr_assert(model_file_open(&opened.file, path, &err) == 0, "%s", error_format(&err, text, sizeof text));
    cr_assert(tokenizer_open(&opened.tokenizer, opened.file, &err) == 0, "%s", error_format(&err, text, sizeof text));
    cr_assert_not_null(opened.tokenizer);
    return opened;
}

static void close_tokenizer(struct opened opened)
{
    tokenizer_close(opened.tokenizer);
    model_file_close(opened.file);
}

static json_t *read_json(const char *path)
{
    struct buffer text;
    struct error err = {0};
    buffer_init(&text, MOST_FIXTURE_BYTES);
    cr_assert(file_read(path, &text, &err) == 0, "%s: the shared fixtures are not there", path);
    json_t *value = json_parse(buffer_str(&text), &err);
    cr_assert_not_null(value, "%s: %s", path, err.text);
    buffer_release(&text);
    return value;
}

/* "" when the ids are the wanted ones, else both lists. */
static const char *difference(const struct ids *ids, const json_t *wanted, char *out, size_t n_out)
{
    bool same = ids->n == json_array_size(wanted);
    for (size_t i = 0; i < ids->n && same; i++)
        same = ids->data[i] == (int32_t)json_integer_value(json_array_get(wanted, i));
    out[0] = '\0';
    size_t n = 0;
    for (size_t i = 0; i < ids->n && !same && n < n_out / 2; i++)
        n += (size_t)snprintf(out + n, n_out - n, "%d ", (int)ids->data[i]);
    if (!same)
        n += (size_t)snprintf(out + n, n_out - n, "instead of ");
    for (size_t i = 0; i < json_array_size(wanted) && !same && n + 16 < n_out; i++)
        n += (size_t)snprintf(out + n, n_out - n, "%d ", (int)json_integer_value(json_array_get(wanted, i)));
    return out;
}

static int check(const char *name, const struct tokenizer *tokenizer, str text, unsigned flags, const json_t *wanted)
{
    struct ids ids = {0};
    struct error err = {0};
    char shown[1200];
    int bad = 0;
    if (tokenizer_encode(tokenizer, text, flags, &ids, &err) < 0) {
        fprintf(stderr, "%s: %s\n", name, err.text);
        bad = 1;
    } else if (*difference(&ids, wanted, shown, sizeof shown) != '\0') {
        fprintf(stderr, "%s: flags %u: \"" STR_FMT "\": %s\n", name, flags, (int)(text.n < 200 ? text.n : 200), text.data, shown);
        bad = 1;
    }
    ids_release(&ids);
    return bad;
}

/* llama.cpp's command line, which gave the ids, takes backslash escapes in its text: what was tokenized is the text without. */
static str without_escapes(str text, struct buffer *out)
{
    static const char from[] = "nrt'\"\\", to[] = "\n\r\t'\"\\";
    buffer_clear(out);
    for (size_t i = 0; i < text.n; i++) {
        const char *found = text.data[i] == '\\' && i + 1 < text.n ? strchr(from, text.data[i + 1]) : NULL;
        i += found != NULL;
        buffer_append_char(out, found != NULL ? to[found - from] : text.data[i]);
    }
    return buffer_str(out);
}

static int check_cases(const char *name, const struct tokenizer *tokenizer, const json_t *cases, unsigned plain, unsigned special,
                       bool escapes)
{
    int bad = 0;
    struct buffer plain_text;
    buffer_init(&plain_text, MOST_FIXTURE_BYTES);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *item = json_array_get(cases, i);
        str text;
        cr_assert_eq(json_member_str(item, "text", &text, NULL), 1);
        if (escapes)
            text = without_escapes(text, &plain_text);
        bad += check(name, tokenizer, text, plain, json_object_get(item, "ids"));
        bad += check(name, tokenizer, text, special, json_object_get(item, "ids_with_special"));
    }
    buffer_release(&plain_text);
    return bad;
}

/* llama.cpp's own cases: texts divided by a marker line, ids as one line each. */
static int check_divided(const char *name, const struct tokenizer *tokenizer)
{
    char path[512];
    struct buffer in, out;
    buffer_init(&in, MOST_FIXTURE_BYTES);
    buffer_init(&out, MOST_FIXTURE_BYTES);
    snprintf(path, sizeof path, WEIR_SHARED_DIR "/fixtures/tokenizers/%s.inp", name);
    cr_assert_eq(file_read(path, &in, NULL), 0);
    snprintf(path, sizeof path, WEIR_SHARED_DIR "/fixtures/tokenizers/%s.out", name);
    cr_assert_eq(file_read(path, &out, NULL), 0);
    str texts = buffer_str(&in), lines = buffer_str(&out), line, word;
    const str marker = STR("\n__ggml_vocab_test__\n");
    int bad = 0;
    while (str_split(&lines, '\n', &line)) {
        ptrdiff_t end = str_find(texts, marker);
        if (end < 0)
            break;
        json_t *wanted = json_array();
        while (str_split(&line, ' ', &word)) {
            int64_t id;
            if (word.n > 0 && parse_i64(word, &id) == 0)
                json_array_append_new(wanted, json_integer(id));
        }
        bad += check(name, tokenizer, (str){texts.data, (size_t)end}, TOKENIZE_BARE, wanted);
        json_decref(wanted);
        texts = (str){texts.data + (size_t)end + marker.n, texts.n - (size_t)end - marker.n};
    }
    buffer_release(&in);
    buffer_release(&out);
    return bad;
}

Test(tokenizer, vocabularies_give_the_reference_ids)
{
    static const char *const names[] = {"gpt-2", "starcoder", "deepseek-coder", "falcon", "llama-spm", "phi-3", "bert-bge"};
    int bad = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[512];
        snprintf(path, sizeof path, WEIR_SHARED_DIR "/fixtures/tokenizers/%s.gguf", names[i]);
        struct opened opened = open_tokenizer(path);
        snprintf(path, sizeof path, WEIR_SHARED_DIR "/fixtures/tokenizers/%s.json", names[i]);
        json_t *cases = read_json(path);
        bad += check_cases(names[i], opened.tokenizer, cases, TOKENIZE_BARE, TOKENIZE_SPECIAL, true);
        bad += check_divided(names[i], opened.tokenizer);
        json_decref(cases);
        close_tokenizer(opened);
    }
    cr_assert_eq(bad, 0, "%d texts differ", bad);
}

Test(tokenizer, smollm2_gives_the_reference_ids_and_its_text_back)
{
    char path[512];
    cr_assert_eq(cache_path("models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf", path, sizeof path), 0);
    cr_assert(file_exists(path), "%s is missing: weir pull fetches it", path);
    struct opened opened = open_tokenizer(path);
    json_t *document = read_json(WEIR_SHARED_DIR "/fixtures/smollm2/tokens.json");
    const json_t *cases = json_object_get(document, "cases");
    cr_assert_eq(json_array_size(cases), 334);
    int bad = check_cases("smollm2", opened.tokenizer, cases, 0, TOKENIZE_SPECIAL, false);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        str text;
        cr_assert_eq(json_member_str(json_array_get(cases, i), "text", &text, NULL), 1);
        const unsigned flags[] = {0, TOKENIZE_SPECIAL};
        for (int k = 0; k < 2; k++) {
            struct ids ids = {0};
            struct buffer back;
            buffer_init(&back, MOST_FIXTURE_BYTES);
            cr_assert_eq(tokenizer_encode(opened.tokenizer, text, flags[k], &ids, NULL), 0);
            cr_assert_eq(tokenizer_decode(opened.tokenizer, ids.data, ids.n, true, &back), 0);
            bad += !str_equal(buffer_str(&back), text);
            buffer_release(&back);
            ids_release(&ids);
        }
    }
    cr_assert_eq(bad, 0, "%d texts differ", bad);
    cr_assert(tokenizer_is_end(opened.tokenizer, 2));
    cr_assert_eq(tokenizer_special_id(opened.tokenizer, STR("<|im_start|>")), 1);
    json_decref(document);
    close_tokenizer(opened);
}

Test(tokenizer, minilm_gives_the_reference_ids_and_pairs)
{
    char path[512];
    cr_assert_eq(cache_path("models/all-minilm-l6-v2", path, sizeof path), 0);
    cr_assert(file_exists(path), "%s is missing: weir pull fetches it", path);
    struct opened opened = open_tokenizer(path);
    json_t *document = read_json(WEIR_SHARED_DIR "/fixtures/minilm/tokens.json");
    const json_t *cases = json_object_get(document, "cases"), *pairs = json_object_get(document, "pairs");
    cr_assert_eq(json_array_size(cases), 352);
    int bad = check_cases("minilm", opened.tokenizer, cases, 0, TOKENIZE_SPECIAL, false);
    cr_assert_gt(json_array_size(pairs), 0);
    for (size_t i = 0; i < json_array_size(pairs); i++) {
        const json_t *pair = json_array_get(pairs, i);
        str a, b;
        int64_t most;
        char shown[1200];
        struct ids ids = {0}, types = {0};
        cr_assert_eq(json_member_str(pair, "a", &a, NULL), 1);
        cr_assert_eq(json_member_str(pair, "b", &b, NULL), 1);
        cr_assert_eq(json_member_i64(pair, "max", &most, NULL), 1);
        cr_assert_eq(tokenizer_encode_pair(opened.tokenizer, a, b, (size_t)most, &ids, &types, NULL), 0);
        bool same = *difference(&ids, json_object_get(pair, "ids"), shown, sizeof shown) == '\0';
        if (same)
            same = *difference(&types, json_object_get(pair, "token_type_ids"), shown, sizeof shown) == '\0';
        if (!same)
            fprintf(stderr, "pair %zu: %s\n", i, shown);
        bad += !same;
        ids_release(&ids);
        ids_release(&types);
    }
    cr_assert_eq(bad, 0, "%d texts differ", bad);
    json_decref(document);
    close_tokenizer(opened);
}
