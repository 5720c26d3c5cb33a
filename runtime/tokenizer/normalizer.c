/* Normalizer: each step reads the whole text from one buffer and writes it to another. Which steps a vocabulary takes is
 * decided where it is opened (tokenizer_json.c, tokenizer_gguf.c). Every step is linear in the text. */
#include "tokenizer/normalizer.h"

#include "tokenizer/characters.h"
#include "tokenizer/normal_form.h"

#include <utf8proc.h>

struct normalize_step *normalizer_add(struct normalizer *normalizer, enum normalize_kind kind)
{
    if (normalizer->n_steps == NORMALIZER_MAX_STEPS)
        return NULL;
    struct normalize_step *step = &normalizer->steps[normalizer->n_steps++];
    *step = (struct normalize_step){.kind = kind};
    return step;
}

void normalizer_release(struct normalizer *normalizer)
{
    for (int i = 0; i < normalizer->n_steps; i++)
        regex_free(normalizer->steps[i].regex);
    normalizer->n_steps = 0;
}

static void append_point(struct buffer *out, uint32_t c)
{
    char bytes[4];
    buffer_append(out, bytes, (size_t)utf8_encode(c, bytes));
}

static bool is_blank(uint32_t c)
{
    return (character_class(c) & CLASS_SPACE) != 0;
}

/* What sentencepiece's nmt rules do to one code point. */
static uint32_t nmt_map(uint32_t c, bool *drop)
{
    *drop = (c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
    bool blank = c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028 ||
                 c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
    return blank ? ' ' : c;
}

/* What the canonical decomposition of a code point begins with: a letter without its marks, the first jamo of a syllable. */
static uint32_t base_letter(uint32_t c)
{
    utf8proc_int32_t points[32];
    int boundary = 0;
    if (c < 0xC0)
        return c;
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, points, 32, UTF8PROC_DECOMPOSE, &boundary);
    return n > 0 && n <= 32 ? (uint32_t)points[0] : c;
}

static void normalize_character(const struct normalize_step *step, uint32_t c, struct buffer *out)
{
    unsigned class = character_class(c);
    uint32_t lower[2];
    bool drop = false;
    switch (step->kind) {
    case NORMALIZE_LOWER:
        for (int i = 0, n = character_lower(c, lower); i < n; i++)
            append_point(out, lower[i]);
        return;
    case NORMALIZE_STRIP_MARKS:
        if ((class & (step->nonspacing ? CLASS_NONSPACING : CLASS_MARK)) == 0)
            append_point(out, c);
        return;
    case NORMALIZE_BERT_CLEAN:
        if (c == '\t' || c == '\n' || c == '\r')
            append_point(out, ' ');
        else if (c != 0 && c != 0xFFFD && (class & CLASS_CONTROL) == 0)
            append_point(out, (class & CLASS_SPACE) != 0 ? ' ' : c);
        return;
    case NORMALIZE_BERT_IDEOGRAPHS:
        if (!character_is_ideograph(c)) {
            append_point(out, c);
            return;
        }
        append_point(out, ' ');
        append_point(out, c);
        append_point(out, ' ');
        return;
    case NORMALIZE_BASE_LETTERS:
        append_point(out, base_letter(c));
        return;
    case NORMALIZE_NMT:
        c = nmt_map(c, &drop);
        if (!drop)
            append_point(out, c);
        return;
    default:
        append_point(out, c);
    }
}

static int normalize_replace(const struct normalize_step *step, str in, struct buffer *out)
{
    size_t plain = 0, start = 0, end = 0;
    if (step->regex == NULL) {
        for (ptrdiff_t found; step->text.n > 0 && (found = str_find((str){in.data + plain, in.n - plain}, step->text)) >= 0;) {
            buffer_append(out, in.data + plain, (size_t)found);
            buffer_append_str(out, step->content);
            plain += (size_t)found + step->text.n;
        }
        return buffer_append(out, in.data + plain, in.n - plain);
    }
    struct regex_search search;
    int status = regex_search_init(&search, step->regex);
    if (status < 0)
        return status;
    for (size_t at = 0; at <= in.n && (status = regex_find(&search, in, at, &start, &end)) > 0;) {
        buffer_append(out, in.data + plain, start - plain);
        buffer_append_str(out, step->content);
        plain = at = end;
        if (start == end) {
            if (end >= in.n)
                break;
            utf8_next(in, &at);
        }
    }
    regex_search_release(&search);
    return status < 0 ? status : buffer_append(out, in.data + plain, in.n - plain);
}

static int normalize_strip(const struct normalize_step *step, str in, struct buffer *out)
{
    size_t start = 0, end = 0;
    bool seen = false;
    for (size_t at = 0; at < in.n;) {
        size_t here = at;
        if (is_blank(utf8_next(in, &at)))
            continue;
        if (!seen)
            start = here;
        seen = true;
        end = at;
    }
    if (!seen)
        return step->left || step->right ? 0 : buffer_append_str(out, in);
    if (!step->left)
        start = 0;
    if (!step->right)
        end = in.n;
    return buffer_append(out, in.data + start, end - start);
}

/* A short grapheme is replaced as one where a rule fits its beginning, otherwise character by character. */
static int normalize_charsmap(const struct normalize_step *step, str in, struct buffer *out)
{
    for (size_t at = 0; at < in.n && !out->failed;) {
        size_t end = at;
        uint32_t c = utf8_next(in, &end);
        utf8proc_int32_t state = 0;
        while (end < in.n) {
            size_t next = end;
            uint32_t after = utf8_next(in, &next);
            if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)c, (utf8proc_int32_t)after, &state))
                break;
            c = after;
            end = next;
        }
        str replacement;
        if (end - at < 6 && charsmap_find(&step->charsmap, (str){in.data + at, end - at}, false, &replacement) > 0) {
            buffer_append_str(out, replacement);
            at = end;
            continue;
        }
        while (at < end) {
            size_t start = at;
            utf8_next(in, &at);
            str character = {in.data + start, at - start};
            bool found = charsmap_find(&step->charsmap, character, false, &replacement) > 0;
            buffer_append_str(out, found ? replacement : character);
        }
    }
    return out->failed ? WEIR_E_LIMIT : 0;
}

static int normalize_sentencepiece(const struct normalize_step *step, str in, struct buffer *out)
{
    bool in_word = false, front = step->right;
    for (size_t at = 0; at < in.n && !out->failed;) {
        str replacement;
        size_t n = charsmap_find(&step->charsmap, (str){in.data + at, in.n - at}, true, &replacement);
        if (n == 0) {
            size_t next = at;
            utf8_next(in, &next);
            n = next - at;
            replacement = (str){in.data + at, n};
        }
        at += n;
        for (size_t i = 0; i < replacement.n; i++) {
            char c = replacement.data[i];
            if (c == ' ') {
                in_word = false;
                if (!step->left)
                    buffer_append_str(out, step->content);
                continue;
            }
            if (!in_word && (front || (step->left && (out->n > 0 || step->right))))
                buffer_append_str(out, step->content);
            in_word = true;
            front = false;
            buffer_append_char(out, c);
        }
    }
    if (front && !step->left && in.n > 0) /* Nothing but blanks. */
        buffer_append_str(out, step->content);
    return out->failed ? WEIR_E_LIMIT : 0;
}

static int normalize_step_run(const struct normalize_step *step, str in, struct buffer *out)
{
    switch (step->kind) {
    case NORMALIZE_NFC:
        return normal_form_append(out, in, true, false);
    case NORMALIZE_NFD:
        return normal_form_append(out, in, false, false);
    case NORMALIZE_NFKC:
        return normal_form_append(out, in, true, true);
    case NORMALIZE_NFKD:
        return normal_form_append(out, in, false, true);
    case NORMALIZE_REPLACE:
        return normalize_replace(step, in, out);
    case NORMALIZE_PREPEND:
        if (in.n > 0)
            buffer_append_str(out, step->content);
        return buffer_append_str(out, in);
    case NORMALIZE_STRIP:
        return normalize_strip(step, in, out);
    case NORMALIZE_CHARSMAP:
        return normalize_charsmap(step, in, out);
    case NORMALIZE_SENTENCEPIECE:
        return normalize_sentencepiece(step, in, out);
    case NORMALIZE_BYTES:
        return byte_characters_append(out, in);
    default:
        for (size_t at = 0; at < in.n && !out->failed;)
            normalize_character(step, utf8_next(in, &at), out);
        return out->failed ? WEIR_E_LIMIT : 0;
    }
}

int normalizer_run(const struct normalizer *normalizer, struct buffer *text, struct buffer *spare)
{
    for (int i = 0; i < normalizer->n_steps; i++) {
        buffer_clear(spare);
        int status = normalize_step_run(&normalizer->steps[i], buffer_str(text), spare);
        if (status < 0)
            return status;
        struct buffer swap = *text;
        *text = *spare;
        *spare = swap;
    }
    return 0;
}
