/* Detokenizer: ids back to text, one by one. A character's bytes may be spread over several tokens, so bytes are held until
 * the sequence they begin is complete; what can't become a character any more is given out as U+FFFD, one for each longest
 * beginning of a sequence (the practice Unicode recommends). Nothing but whole UTF-8 ever leaves. */
#include "tokenizer/parts.h"

enum { LONGEST_TOKEN_TEXT = 4 * VOCABULARY_MAX_TOKEN_BYTES };

void detokenizer_init(struct detokenizer *detokenizer, const struct tokenizer *tokenizer)
{
    *detokenizer = (struct detokenizer){.tokenizer = tokenizer};
}

/* How many bytes at the start of s, which is no valid sequence, begin one: at least 1. */
static size_t broken_length(str s)
{
    for (size_t n = s.n < 3 ? s.n : 3; n > 1; n--)
        if (utf8_incomplete_tail((str){s.data, n}) == n)
            return n;
    return 1;
}

/* Appends the whole characters of s and returns how many bytes at its end wait for more. */
static size_t append_whole(str s, struct buffer *out)
{
    size_t waiting = utf8_incomplete_tail(s);
    s.n -= waiting;
    while (s.n > 0) {
        ptrdiff_t bad = utf8_first_invalid(s);
        size_t good = bad < 0 ? s.n : (size_t)bad;
        buffer_append(out, s.data, good);
        s = (str){s.data + good, s.n - good};
        if (bad < 0)
            break;
        buffer_append_text(out, "\xEF\xBF\xBD");
        size_t broken = broken_length(s);
        s = (str){s.data + broken, s.n - broken};
    }
    return waiting;
}

/* The bytes that an id adds: into text. */
static int token_bytes(const struct tokenizer *tokenizer, int32_t id, bool first, struct buffer *text, struct buffer *spare)
{
    const struct vocabulary *vocabulary = &tokenizer->vocabulary;
    enum token_kind kind = vocabulary->kinds[id];
    int status = buffer_append_str(text, vocabulary->texts[id]);
    bool as_spelled = tokenizer->added_raw && (kind == TOKEN_CONTROL || kind == TOKEN_USER_DEFINED || kind == TOKEN_UNKNOWN);
    return status < 0 || as_spelled ? status : decoding_run(&tokenizer->decoding, first, text, spare);
}

int detokenizer_push(struct detokenizer *detokenizer, int32_t id, struct buffer *out)
{
    const struct tokenizer *tokenizer = detokenizer->tokenizer;
    if (id < 0) {
        if (detokenizer->n_held > 0)
            buffer_append_text(out, "\xEF\xBF\xBD");
        detokenizer->n_held = 0;
        return out->failed ? WEIR_E_LIMIT : 0;
    }
    if (!vocabulary_has(&tokenizer->vocabulary, id))
        return WEIR_E_INVALID;
    struct buffer text, spare;
    buffer_init(&text, LONGEST_TOKEN_TEXT);
    buffer_init(&spare, LONGEST_TOKEN_TEXT);
    int status = token_bytes(tokenizer, id, !detokenizer->started, &text, &spare);
    detokenizer->started = true;
    if (status == 0 && detokenizer->n_held > 0) {
        buffer_clear(&spare);
        buffer_append(&spare, detokenizer->held, (size_t)detokenizer->n_held);
        status = buffer_append_str(&spare, buffer_str(&text));
    }
    if (status == 0) {
        str all = buffer_str(detokenizer->n_held > 0 ? &spare : &text);
        size_t waiting = append_whole(all, out);
        detokenizer->n_held = (int)waiting;
        if (waiting > 0)
            memcpy(detokenizer->held, all.data + all.n - waiting, waiting);
        status = out->failed ? WEIR_E_LIMIT : 0;
    }
    buffer_release(&text);
    buffer_release(&spare);
    return status;
}

bool tokenizer_is_text(const struct tokenizer *tokenizer, int32_t id)
{
    if (!vocabulary_has(&tokenizer->vocabulary, id) || tokenizer_is_special(tokenizer, id))
        return false;
    enum token_kind kind = tokenizer->vocabulary.kinds[id];
    return kind == TOKEN_NORMAL || kind == TOKEN_USER_DEFINED || kind == TOKEN_BYTE;
}

int tokenizer_token_bytes(const struct tokenizer *tokenizer, int32_t id, bool first, struct buffer *out)
{
    struct buffer text, spare;
    buffer_init(&text, LONGEST_TOKEN_TEXT);
    buffer_init(&spare, LONGEST_TOKEN_TEXT);
    int status = token_bytes(tokenizer, id, first, &text, &spare);
    if (status == 0)
        status = buffer_append_str(out, buffer_str(&text));
    buffer_release(&text);
    buffer_release(&spare);
    return status;
}

int tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *ids, size_t n, bool keep_special, struct buffer *out)
{
    struct detokenizer detokenizer;
    detokenizer_init(&detokenizer, tokenizer);
    for (size_t i = 0; i < n; i++) {
        if (!keep_special && tokenizer_is_special(tokenizer, ids[i]))
            continue;
        int status = ids[i] < 0 ? WEIR_E_INVALID : detokenizer_push(&detokenizer, ids[i], out);
        if (status < 0)
            return status;
    }
    return detokenizer_push(&detokenizer, -1, out);
}
