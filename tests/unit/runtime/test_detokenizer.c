/* The streaming detokenizer: whole UTF-8 at every push, the same text however the bytes are spread over tokens. */
#include "engine/session.h"
#include "tokenizer/parts.h"

#include <criterion/criterion.h>

static const char bytes_json[] =
    "{\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"unk_token\":\"<unk>\",\"merges\":[],\"vocab\":{\"<unk>\":256,\"\xE2\x96\x81\":257,\"ab\":258%s}},"
    "\"added_tokens\":[{\"id\":259,\"content\":\"<end>\",\"special\":true}],"
    "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\xE2\x96\x81\"},\"content\":\" \"},"
    "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]}}";

/* A vocabulary whose ids 0 … 255 are the bytes. */
static struct tokenizer *open_bytes(void)
{
    struct buffer vocab, text;
    buffer_init(&vocab, 1 << 16);
    buffer_init(&text, 1 << 16);
    for (int i = 0; i < 256; i++)
        buffer_printf(&vocab, ",\"<0x%02X>\":%d", i, i);
    buffer_printf(&text, bytes_json, vocab.data);
    struct tokenizer *tokenizer;
    struct error err = {0};
    cr_assert_eq(tokenizer_open_text(&tokenizer, buffer_str(&text), false, &err), 0, "%s: %s", err.where, err.text);
    buffer_release(&vocab);
    buffer_release(&text);
    return tokenizer;
}

static const str samples[] = {STR("plain"), STR("a\xC3\xA9z"), STR("\xE4\xB8\xAD\xE6\x96\x87"), STR("\xF0\x9F\x98\x80!"), STR("x\xED\x9F\xBFy\xEE\x80\x80")};

Test(detokenizer, gives_whole_characters_at_every_split_point)
{
    struct tokenizer *tokenizer = open_bytes();
    for (size_t s = 0; s < sizeof samples / sizeof *samples; s++) {
        struct detokenizer detokenizer;
        struct buffer out;
        buffer_init(&out, 1 << 16);
        detokenizer_init(&detokenizer, tokenizer);
        for (size_t i = 0; i < samples[s].n; i++) {
            cr_assert_eq(detokenizer_push(&detokenizer, (uint8_t)samples[s].data[i], &out), 0);
            cr_assert_lt(utf8_first_invalid(buffer_str(&out)), 0, "half a sequence after byte %zu of sample %zu", i, s);
            str given = {samples[s].data, i + 1};
            cr_assert_eq(out.n + utf8_incomplete_tail(given), given.n, "byte %zu of sample %zu is held too long", i, s);
        }
        cr_assert_eq(detokenizer_push(&detokenizer, -1, &out), 0);
        cr_assert(str_equal(buffer_str(&out), samples[s]));
        buffer_release(&out);
    }
    tokenizer_close(tokenizer);
}

Test(detokenizer, replaces_what_can_not_become_a_character)
{
    static const struct {
        str in, out;
    } cases[] = {
        {STR("\xFF""a"), STR("\xEF\xBF\xBD""a")},
        {STR("\xE4\xB8""a"), STR("\xEF\xBF\xBD""a")},
        {STR("\xE4\xB8"), STR("\xEF\xBF\xBD")},
        {STR("\xF0\x9F\x98\xF0\x9F\x98\x80"), STR("\xEF\xBF\xBD\xF0\x9F\x98\x80")},
        {STR("\xC0\xAF"), STR("\xEF\xBF\xBD\xEF\xBF\xBD")},
        {STR("\xED\xA0\x80"), STR("\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD")},
    };
    struct tokenizer *tokenizer = open_bytes();
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct ids ids = {0};
        struct buffer out;
        buffer_init(&out, 1 << 16);
        for (size_t i = 0; i < cases[c].in.n; i++)
            cr_assert_eq(ids_append(&ids, (uint8_t)cases[c].in.data[i]), 0);
        cr_assert_eq(tokenizer_decode(tokenizer, ids.data, ids.n, true, &out), 0);
        cr_assert(str_equal(buffer_str(&out), cases[c].out), "case %zu", c);
        buffer_release(&out);
        ids_release(&ids);
    }
    tokenizer_close(tokenizer);
}

Test(detokenizer, drops_only_the_first_blank_and_special_tokens_unless_kept)
{
    struct tokenizer *tokenizer = open_bytes();
    const int32_t ids[] = {257, 258, 257, 257, 258, 259};
    struct buffer out;
    buffer_init(&out, 1 << 16);
    cr_assert_eq(tokenizer_decode(tokenizer, ids, 6, false, &out), 0);
    cr_assert(str_equal(buffer_str(&out), STR("ab  ab")));
    buffer_clear(&out);
    cr_assert_eq(tokenizer_decode(tokenizer, ids, 6, true, &out), 0);
    cr_assert(str_equal(buffer_str(&out), STR("ab  ab<end>")));
    cr_assert_eq(tokenizer_decode(tokenizer, (const int32_t[]){260}, 1, true, &out), WEIR_E_INVALID);
    cr_assert_eq(tokenizer_decode(tokenizer, (const int32_t[]){-1}, 1, true, &out), WEIR_E_INVALID);
    buffer_release(&out);
    tokenizer_close(tokenizer);
}

/* What a session says first when the token is a blank, with and without something that the answer has begun with. */
static void blank_first(const struct tokenizer *tokenizer, str begun, str expected)
{
    struct session *session;
    struct error err = {0};
    bool stopped;
    int32_t prompt = 'a';
    struct sampling sampling = {.begun = begun};
    cr_assert_eq(session_new(&session, NULL, tokenizer, 260, &prompt, 1, &sampling, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(answer_push(&session->answer, 257, &(struct token_logprob){.id = 257}, NULL, &stopped), 0);
    cr_assert_eq(answer_push(&session->answer, 258, &(struct token_logprob){.id = 258}, NULL, &stopped), 0);
    cr_assert(str_equal(buffer_str(&session->answer.pending), expected), "begun \"%.*s\": \"%.*s\"", (int)begun.n, begun.data,
              (int)session->answer.pending.n, session->answer.pending.data);
    session_destroy(session);
}

Test(detokenizer, an_answer_loses_its_first_blank_and_one_that_is_carried_on_keeps_it)
{
    struct tokenizer *tokenizer = open_bytes();
    blank_first(tokenizer, STR(""), STR("ab"));
    blank_first(tokenizer, STR("carried"), STR(" ab"));
    tokenizer_close(tokenizer);
}
