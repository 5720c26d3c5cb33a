/* Decoding works token by token, so that an answer can be streamed: a step sees one token's text and whether it is the
 * first. Bytes that make up a character may come from several tokens; joining them is detokenizer.c's part. */
#include "tokenizer/decoding.h"

#include "tokenizer/characters.h"

struct decode_step *decoding_add(struct decoding *decoding, enum decode_kind kind)
{
    if (decoding->n_steps == DECODING_MAX_STEPS)
        return NULL;
    struct decode_step *step = &decoding->steps[decoding->n_steps++];
    *step = (struct decode_step){.kind = kind};
    return step;
}

void decoding_release(struct decoding *decoding)
{
    for (int i = 0; i < decoding->n_steps; i++)
        regex_free(decoding->steps[i].regex);
    decoding->n_steps = 0;
}

static int replace_all(struct buffer *out, str in, str text, str content)
{
    for (ptrdiff_t found; text.n > 0 && (found = str_find(in, text)) >= 0;) {
        buffer_append(out, in.data, (size_t)found);
        buffer_append_str(out, content);
        in = (str){in.data + found + text.n, in.n - (size_t)found - text.n};
    }
    return buffer_append_str(out, in);
}

static int replace_regex(struct buffer *out, str in, const struct decode_step *step)
{
    struct regex_search search;
    int status = regex_search_init(&search, step->regex);
    if (status < 0)
        return status;
    size_t plain = 0, start, end;
    if (utf8_first_invalid(in) < 0)
        while (plain < in.n && (status = regex_find(&search, in, plain, &start, &end)) > 0 && end > start) {
            buffer_append(out, in.data + plain, start - plain);
            buffer_append_str(out, step->content);
            plain = end;
        }
    regex_search_release(&search);
    return status < 0 ? status : buffer_append(out, in.data + plain, in.n - plain);
}

/* The bytes that the characters stand for; a text with another character stays as it is. */
static int decode_bytes(struct buffer *out, str in)
{
    size_t before = out->n;
    for (size_t at = 0; at < in.n;) {
        int byte = byte_of_character(utf8_next(in, &at));
        if (byte < 0) {
            out->n = before;
            return buffer_append_str(out, in);
        }
        int status = buffer_append_char(out, (char)byte);
        if (status < 0)
            return status;
    }
    return 0;
}

static int decode_fallback(struct buffer *out, str in)
{
    uint8_t byte;
    if (in.n == 6 && str_starts(in, STR("<0x")) && in.data[5] == '>' && hex_decode((str){in.data + 3, 2}, &byte, 1) == 0)
        return buffer_append_char(out, (char)byte);
    return buffer_append_str(out, in);
}

static int decode_wordpiece(const struct decode_step *step, bool first, str in, struct buffer *out, struct buffer *spare)
{
    /* English spelling as the tokenizers library cleans it; each applies to one token with the blank before it. */
    static const struct {
        str from, to;
    } spellings[] = {{STR(" ."), STR(".")},     {STR(" ?"), STR("?")},   {STR(" !"), STR("!")},   {STR(" ,"), STR(",")},
                     {STR(" ' "), STR("'")},    {STR(" n't"), STR("n't")}, {STR(" 'm"), STR("'m")}, {STR(" do not"), STR(" don't")},
                     {STR(" 's"), STR("'s")},   {STR(" 've"), STR("'ve")}, {STR(" 're"), STR("'re")}};
    if (!first && str_starts(in, step->text))
        in = (str){in.data + step->text.n, in.n - step->text.n};
    else if (!first)
        buffer_append_char(out, ' ');
    int status = buffer_append_str(out, in);
    for (size_t i = 0; step->clean && status == 0 && i < sizeof spellings / sizeof *spellings; i++) {
        if (str_find(buffer_str(out), spellings[i].from) < 0)
            continue;
        struct buffer swap = *spare;
        *spare = *out;
        *out = swap;
        buffer_clear(out);
        status = replace_all(out, buffer_str(spare), spellings[i].from, spellings[i].to);
    }
    return status;
}

static int decode_strip(const struct decode_step *step, bool first, str in, struct buffer *out)
{
    for (int i = 0; i < step->left && (!step->whole || first) && step->text.n > 0 && str_starts(in, step->text); i++)
        in = (str){in.data + step->text.n, in.n - step->text.n};
    for (int i = 0; i < step->right && !step->whole && step->text.n > 0 && str_ends(in, step->text); i++)
        in.n -= step->text.n;
    return buffer_append_str(out, in);
}

static int step_run(const struct decode_step *step, bool first, str in, struct buffer *out, struct buffer *spare)
{
    switch (step->kind) {
    case DECODE_BYTES:
        return decode_bytes(out, in);
    case DECODE_FALLBACK:
        return decode_fallback(out, in);
    case DECODE_METASPACE:
        return replace_all(out, in, step->text, first && step->first ? (str){0} : STR(" "));
    case DECODE_REPLACE:
        return step->regex != NULL ? replace_regex(out, in, step) : replace_all(out, in, step->text, step->content);
    case DECODE_WORDPIECE:
        return decode_wordpiece(step, first, in, out, spare);
    case DECODE_SUFFIX:
        if (!str_ends(in, step->text))
            return buffer_append_str(out, in);
        buffer_append(out, in.data, in.n - step->text.n);
        return buffer_append_char(out, ' ');
    case DECODE_STRIP:
        return decode_strip(step, first, in, out);
    }
    return 0;
}

int decoding_run(const struct decoding *decoding, bool first, struct buffer *text, struct buffer *spare)
{
    struct buffer third;
    buffer_init(&third, text->max_bytes);
    int status = 0;
    for (int i = 0; i < decoding->n_steps && status == 0; i++) {
        buffer_clear(spare);
        status = step_run(&decoding->steps[i], first, buffer_str(text), spare, &third);
        struct buffer swap = *text;
        *text = *spare;
        *spare = swap;
    }
    buffer_release(&third);
    return status;
}
