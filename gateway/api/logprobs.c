/* Log-probabilities in the two forms of OpenAI's API. A token's text may be a part of a UTF-8 sequence: `token` then shows
 * U+FFFD, `bytes` has it exactly. */
#include "api/answer.h"

enum { MAX_LIST_BYTES = 64 << 20 };

void logprob_lists_init(struct logprob_lists *lists)
{
    *lists = (struct logprob_lists){0};
    for (int i = 0; i < 4; i++)
        buffer_init(&lists->lists[i], MAX_LIST_BYTES);
}

void logprob_lists_release(struct logprob_lists *lists)
{
    for (int i = 0; i < 4; i++)
        buffer_release(&lists->lists[i]);
    lists->n = 0;
}

void logprob_lists_clear(struct logprob_lists *lists)
{
    for (int i = 0; i < 4; i++)
        buffer_clear(&lists->lists[i]);
    lists->n = 0;
}

static void token_text(const struct tokenizer *tokenizer, int32_t id, struct buffer *out)
{
    buffer_clear(out);
    if (tokenizer == NULL || tokenizer_decode(tokenizer, &id, 1, true, out) < 0)
        buffer_clear(out);
}

/* JSON has no infinity; -9999 is what OpenAI gives for the impossible. */
static void write_logprob(float logprob, struct buffer *out)
{
    if (!(logprob > -9999.0f))
        buffer_append_text(out, "-9999.0");
    else
        buffer_printf(out, "%.9g", (double)logprob);
}

static void write_chat_token(str text, float logprob, struct buffer *out)
{
    buffer_append_text(out, "{\"token\":");
    buffer_append_json_string(out, text);
    buffer_append_text(out, ",\"logprob\":");
    write_logprob(logprob, out);
    buffer_append_text(out, ",\"bytes\":[");
    for (size_t i = 0; i < text.n; i++)
        buffer_printf(out, "%s%u", i > 0 ? "," : "", (unsigned)(unsigned char)text.data[i]);
    buffer_append_char(out, ']');
}

static int64_t count_code_points(str text)
{
    int64_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    return n;
}

static void append_chat(struct logprob_lists *lists, const struct tokenizer *tokenizer, int32_t id, const struct token_logprob *chosen,
                        const struct token_logprob *top, int n_top, struct buffer *text)
{
    struct buffer *out = &lists->lists[0];
    token_text(tokenizer, id, text);
    write_chat_token(buffer_str(text), chosen != NULL ? chosen->logprob : 0.0f, out);
    buffer_append_text(out, ",\"top_logprobs\":[");
    for (int k = 0; top != NULL && k < n_top; k++) {
        token_text(tokenizer, top[k].id, text);
        buffer_append_text(out, k > 0 ? "," : "");
        write_chat_token(buffer_str(text), top[k].logprob, out);
        buffer_append_char(out, '}');
    }
    buffer_append_text(out, "]}");
}

static void append_completion(struct logprob_lists *lists, const struct tokenizer *tokenizer, int32_t id, const struct token_logprob *chosen,
                              const struct token_logprob *top, int n_top, struct buffer *text)
{
    token_text(tokenizer, id, text);
    buffer_append_json_string(&lists->lists[0], buffer_str(text));
    buffer_printf(&lists->lists[3], "%lld", (long long)lists->text_offset);
    lists->text_offset += count_code_points(buffer_str(text));
    struct buffer *out = &lists->lists[2];
    if (chosen == NULL) {
        buffer_append_text(&lists->lists[1], "null");
        buffer_append_text(out, "null");
        return;
    }
    write_logprob(chosen->logprob, &lists->lists[1]);
    buffer_append_char(out, '{');
    for (int k = 0; top != NULL && k < n_top; k++) {
        token_text(tokenizer, top[k].id, text);
        buffer_append_text(out, k > 0 ? "," : "");
        buffer_append_json_string(out, buffer_str(text));
        buffer_append_char(out, ':');
        write_logprob(top[k].logprob, out);
    }
    buffer_append_char(out, '}');
}

void logprob_lists_append(struct logprob_lists *lists, enum api_kind kind, const struct tokenizer *tokenizer, const int32_t *tokens,
                          const struct token_logprob *chosen, const struct token_logprob *top, int n, int n_top)
{
    struct buffer text;
    buffer_init(&text, 65536);
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < 4 && lists->n > 0; k++)
            buffer_append_char(&lists->lists[k], ',');
        const struct token_logprob *one = chosen != NULL ? &chosen[i] : NULL;
        const struct token_logprob *others = top != NULL ? &top[(size_t)i * (size_t)n_top] : NULL;
        if (kind == API_CHAT)
            append_chat(lists, tokenizer, tokens[i], one, others, n_top, &text);
        else
            append_completion(lists, tokenizer, tokens[i], one, others, n_top, &text);
        lists->n++;
    }
    buffer_release(&text);
}

void logprob_lists_write(const struct logprob_lists *lists, enum api_kind kind, struct buffer *out)
{
    static const char *const names[4] = {"tokens", "token_logprobs", "top_logprobs", "text_offset"};
    if (kind == API_CHAT) {
        buffer_append_text(out, "{\"content\":[");
        buffer_append_str(out, buffer_str(&lists->lists[0]));
        buffer_append_text(out, "],\"refusal\":null}");
        return;
    }
    for (int k = 0; k < 4; k++) {
        buffer_printf(out, "%s\"%s\":[", k == 0 ? "{" : ",", names[k]);
        buffer_append_str(out, buffer_str(&lists->lists[k]));
        buffer_append_char(out, ']');
    }
    buffer_append_char(out, '}');
}
