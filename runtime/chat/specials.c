/* See specials.h. */
#include "chat/specials.h"

#include <stdlib.h>

enum { MAX_TEXT_BYTES = 16 << 20 };

int specials_open(struct specials *specials, const struct tokenizer *tokenizer, struct error *err)
{
    int n = tokenizer != NULL ? tokenizer_size(tokenizer) : 0;
    size_t capacity = 0;
    struct buffer text;
    int status = 0;
    *specials = (struct specials){.tokenizer = tokenizer};
    buffer_init(&text, 4096);
    for (int32_t id = 0; id < n && status == 0; id++) {
        if (!tokenizer_is_special(tokenizer, id))
            continue;
        buffer_clear(&text);
        if (tokenizer_decode(tokenizer, &id, 1, true, &text) < 0 || text.n < 2 || memchr(text.data, '\0', text.n) != NULL)
            continue;
        if (specials->n == capacity) {
            capacity = capacity == 0 ? 64 : 2 * capacity;
            char **texts = realloc(specials->texts, capacity * sizeof *texts);
            if (texts == NULL) {
                status = error_set(err, WEIR_E_MEMORY, "chat template", "no memory");
                break;
            }
            specials->texts = texts;
        }
        specials->texts[specials->n] = strndup(text.data, text.n);
        if (specials->texts[specials->n] == NULL)
            status = error_set(err, WEIR_E_MEMORY, "chat template", "no memory");
        else
            specials->n++;
    }
    buffer_release(&text);
    return status;
}

void specials_close(struct specials *specials)
{
    for (size_t i = 0; i < specials->n; i++)
        free(specials->texts[i]);
    free(specials->texts);
    *specials = (struct specials){0};
}

/* ------------------------------------------------------------------ marking */

/* Bytes of the longest special token at s[at], 0: none begins there. */
static size_t special_at(const struct specials *specials, str s, size_t at)
{
    size_t longest = 0;
    for (size_t i = 0; i < specials->n; i++) {
        size_t n = strlen(specials->texts[i]);
        if (n > longest && n <= s.n - at && memcmp(specials->texts[i], s.data + at, n) == 0)
            longest = n;
    }
    return longest;
}

/* Appends text with the mark inside everything that is spelled like a special token. */
static void text_mark(const struct specials *specials, str text, const char *mark, struct buffer *out, bool *marked)
{
    for (size_t i = 0; i < text.n; i++) {
        buffer_append_char(out, text.data[i]);
        if (special_at(specials, text, i) == 0)
            continue;
        size_t more = 0; /* To the end of the first character: a mark must not split one. */
        while (i + 1 + more < text.n && ((unsigned char)text.data[i + 1 + more] & 0xc0) == 0x80)
            more++;
        buffer_append(out, text.data + i + 1, more);
        buffer_append(out, mark, SPECIALS_MARK_BYTES);
        i += more;
        *marked = true;
    }
}

/* A copy of a JSON value with all its strings marked. NULL: no memory. */
json_t *specials_mark(const struct specials *specials, const json_t *value, const char *mark, bool *marked)
{
    if (json_is_string(value)) {
        struct buffer text;
        buffer_init(&text, MAX_TEXT_BYTES);
        text_mark(specials, (str){json_string_value(value), json_string_length(value)}, mark, &text, marked);
        json_t *copy = text.failed ? NULL : json_stringn(text.data != NULL ? text.data : "", text.n);
        buffer_release(&text);
        return copy;
    }
    if (json_is_array(value)) {
        json_t *copy = json_array(), *item;
        size_t index;
        json_array_foreach(value, index, item) {
            if (json_array_append_new(copy, specials_mark(specials, item, mark, marked)) < 0) {
                json_decref(copy);
                return NULL;
            }
        }
        return copy;
    }
    if (json_is_object(value)) {
        json_t *copy = json_object();
        for (void *at = json_object_iter((json_t *)(uintptr_t)value); at != NULL; at = json_object_iter_next((json_t *)(uintptr_t)value, at)) {
            struct buffer key;
            buffer_init(&key, MAX_TEXT_BYTES);
            text_mark(specials, str_of(json_object_iter_key(at)), mark, &key, marked);
            int status = key.failed ? -1 : json_object_set_new(copy, key.data != NULL ? key.data : "", specials_mark(specials, json_object_iter_value(at), mark, marked));
            buffer_release(&key);
            if (status < 0) {
                json_decref(copy);
                return NULL;
            }
        }
        return copy;
    }
    return json_incref((json_t *)(uintptr_t)value);
}

/* A noncharacter (U+FDD0 … U+FDEF) that is nowhere in the text. */
bool specials_pick_mark(str text, char mark[SPECIALS_MARK_BYTES + 1])
{
    for (uint32_t point = 0xfdd0; point <= 0xfdef; point++) {
        mark[utf8_encode(point, mark)] = '\0';
        if (str_find(text, str_of(mark)) < 0)
            return true;
    }
    return false;
}

/* ------------------------------------------------------------------ text to ids */

/* Encodes one stretch between special tokens, as plain text without its marks when it has some. */
static int encode_stretch(const struct specials *specials, str stretch, const char *mark, struct ids *out, struct error *err)
{
    if (stretch.n == 0)
        return 0;
    if (str_find(stretch, str_of(mark)) < 0)
        return tokenizer_encode(specials->tokenizer, stretch, TOKENIZE_BARE | TOKENIZE_SPECIAL, out, err);
    struct buffer plain;
    buffer_init(&plain, stretch.n + 1);
    for (size_t i = 0; i < stretch.n; i++) {
        if (stretch.n - i >= SPECIALS_MARK_BYTES && memcmp(stretch.data + i, mark, SPECIALS_MARK_BYTES) == 0)
            i += SPECIALS_MARK_BYTES - 1;
        else
            buffer_append_char(&plain, stretch.data[i]);
    }
    int status = plain.failed ? error_set(err, WEIR_E_MEMORY, "messages", "no memory") : tokenizer_encode(specials->tokenizer, buffer_str(&plain), TOKENIZE_BARE, out, err);
    buffer_release(&plain);
    return status;
}

int specials_encode(const struct specials *specials, str text, const char *mark, struct ids *out, struct error *err)
{
    size_t begin = 0;
    int status = 0;
    for (size_t i = 0; i < text.n && status == 0;) {
        size_t n = special_at(specials, text, i);
        if (n == 0) {
            i++;
            continue;
        }
        status = encode_stretch(specials, (str){text.data + begin, i - begin}, mark, out, err);
        if (status == 0)
            status = tokenizer_encode(specials->tokenizer, (str){text.data + i, n}, TOKENIZE_BARE | TOKENIZE_SPECIAL, out, err);
        i += n;
        begin = i;
    }
    return status < 0 ? status : encode_stretch(specials, (str){text.data + begin, text.n - begin}, mark, out, err);
}

