/* Normalisation before matching, with a map back to the given bytes, and the pass that classifies bytes.
 *
 * What is undone: full-width forms and the decimal digits of other scripts become ASCII; zero-width and other invisible
 * characters go; the many dashes and blanks become '-' and ' '; numeric character references to printable ASCII (and five
 * named ones) are decoded; a byte that is not UTF-8 becomes a control character, so that every later step sees valid UTF-8.
 * Letters keep their case and accents: homoglyphs are left alone, since folding them would invent values. */
#include "scan/text.h"

#include <stdlib.h>
#include <utf8proc.h>

/* The zero of each script's decimal digits (Unicode general category Nd, ten consecutive code points each). */
static const uint32_t digit_zeros[] = {
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6, 0x0E50, 0x0ED0, 0x0F20,
    0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0,
    0xA9F0, 0xAA50, 0xABF0, 0xFF10,
};

enum { DROP = -1, KEEP = 0 };

/* The ASCII character a code point stands for, DROP, or KEEP. */
static int fold(uint32_t c)
{
    if (c == 0xA0 || (c >= 0x2000 && c <= 0x200A) || c == 0x202F || c == 0x205F || c == 0x3000)
        return ' ';
    if (c == 0xAD || (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x2064) ||
        (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF || c == 0x180E || c == 0x034F)
        return DROP;
    if ((c >= 0x2010 && c <= 0x2015) || c == 0x2212 || c == 0xFE58 || c == 0xFE63)
        return '-';
    if (c >= 0xFF01 && c <= 0xFF5E)
        return (int)(c - 0xFF01 + '!');
    if (c >= 0x1D7CE && c <= 0x1D7FF)
        return (int)('0' + (c - 0x1D7CE) % 10);
    if (c < 0x0660 || c > 0xFF19)
        return KEEP;
    for (size_t i = 0; i < sizeof digit_zeros / sizeof *digit_zeros; i++)
        if (c >= digit_zeros[i] && c <= digit_zeros[i] + 9)
            return (int)('0' + c - digit_zeros[i]);
    return KEEP;
}

/* A character reference at s[at] that stands for printable ASCII: the character, and its length in *n. 0 when there is none. */
static char reference(str s, size_t at, size_t *n)
{
    static const struct {
        const char *name;
        char c;
    } named[] = {{"&nbsp;", ' '}, {"&commat;", '@'}, {"&period;", '.'}, {"&colon;", ':'}, {"&hyphen;", '-'}};
    str rest = {s.data + at, s.n - at};
    if (rest.n >= 4 && rest.data[1] == '#') {
        bool hex = rest.data[2] == 'x' || rest.data[2] == 'X';
        size_t i = hex ? 3 : 2, first = i;
        unsigned value = 0;
        for (; i < rest.n && i < first + 6; i++) {
            char c = rest.data[i];
            if (is_digit(c))
                value = value * (hex ? 16 : 10) + (unsigned)(c - '0');
            else if (hex && to_lower(c) >= 'a' && to_lower(c) <= 'f')
                value = value * 16 + (unsigned)(to_lower(c) - 'a' + 10);
            else
                break;
        }
        if (i > first && i < rest.n && rest.data[i] == ';' && value >= 0x20 && value < 0x7F) {
            *n = i + 1;
            return (char)value;
        }
        return 0;
    }
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (str_starts(rest, str_of(named[i].name))) {
            *n = strlen(named[i].name);
            return named[i].c;
        }
    return 0;
}

static bool is_plain(str text)
{
    size_t i = 0;
    for (; i + 8 <= text.n; i += 8) {
        uint64_t block;
        memcpy(&block, text.data + i, 8);
        if (block & 0x8080808080808080u)
            return false;
    }
    for (; i < text.n; i++)
        if ((unsigned char)text.data[i] >= 0x80)
            return false;
    for (const char *at = text.n > 0 ? memchr(text.data, '&', text.n) : NULL; at != NULL;) {
        size_t offset = (size_t)(at - text.data), n;
        if (reference(text, offset, &n) != 0)
            return false;
        at = memchr(at + 1, '&', text.n - offset - 1);
    }
    return true;
}

static int normalise(struct scan_text *out, str text)
{
    out->owned = malloc(text.n + 1);
    out->source = malloc((text.n + 1) * sizeof *out->source);
    out->width = malloc(text.n + 1);
    if (out->owned == NULL || out->source == NULL || out->width == NULL)
        return WEIR_E_MEMORY;
    size_t n = 0;
    for (size_t at = 0; at < text.n;) {
        size_t start = at, n_reference;
        unsigned char byte = (unsigned char)text.data[at];
        int folded = KEEP;
        if (byte < 0x80) {
            char c = byte == '&' ? reference(text, at, &n_reference) : 0;
            at += c != 0 ? n_reference : 1;
            folded = c != 0 ? c : byte;
        } else {
            uint32_t code_point = utf8_next(text, &at);
            if (code_point == 0xFFFD && at - start == 1)
                folded = 0x1A;
            else
                folded = fold(code_point);
        }
        if (folded == DROP)
            continue;
        if (folded != KEEP || byte == 0) {
            out->owned[n] = (char)folded;
            out->source[n] = (uint32_t)start;
            out->width[n++] = (uint8_t)(at - start);
            continue;
        }
        for (size_t i = start; i < at; i++) {
            out->owned[n] = text.data[i];
            out->source[n] = (uint32_t)i;
            out->width[n++] = 1;
        }
    }
    out->data = out->owned;
    out->n = n;
    return 0;
}

static bool is_letter_category(uint32_t code_point)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code_point);
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) || category == UTF8PROC_CATEGORY_ND ||
           category == UTF8PROC_CATEGORY_NL || category == UTF8PROC_CATEGORY_NO;
}

static int classify(struct scan_text *out)
{
    out->n_words = out->n / 64 + 3;
    out->digit = calloc(2 * out->n_words, sizeof *out->digit);
    if (out->digit == NULL)
        return WEIR_E_MEMORY;
    out->word = out->digit + out->n_words;
    const char *data = out->data;
    for (size_t block = 0; block < out->n; block += 64) {
        uint64_t digit = 0, word = 0, high = 0;
        size_t end = block + 64 < out->n ? 64 : out->n - block;
        for (size_t i = 0; i < end; i++) {
            unsigned char c = (unsigned char)data[block + i];
            uint64_t is_number = (unsigned char)(c - '0') < 10;
            uint64_t is_word = is_number | ((unsigned char)((c | 32) - 'a') < 26) | (c == '_');
            digit |= is_number << i;
            word |= is_word << i;
            high |= (uint64_t)(c >> 7) << i;
        }
        out->digit[block / 64] |= digit;
        out->word[block / 64] |= word;
        if (high == 0)
            continue;
        /* A code point belongs to the block its first byte is in; its other bytes may lie in the next. */
        for (size_t i = 0; i < end; i++) {
            unsigned char c = (unsigned char)data[block + i];
            if (c < 0xC0)
                continue;
            size_t at = block + i, first = at;
            if (is_letter_category(utf8_next((str){data, out->n}, &at)))
                for (size_t k = first; k < at; k++)
                    out->word[k >> 6] |= (uint64_t)1 << (k & 63);
        }
    }
    return 0;
}

int scan_text_init(struct scan_text *out, str text)
{
    *out = (struct scan_text){.data = text.data, .n = text.n};
    int status = is_plain(text) ? 0 : normalise(out, text);
    if (status == 0)
        status = classify(out);
    if (status < 0)
        scan_text_release(out);
    return status;
}

void scan_text_release(struct scan_text *text)
{
    free(text->owned);
    free(text->source);
    free(text->width);
    free(text->digit);
    *text = (struct scan_text){0};
}

size_t scan_text_source_start(const struct scan_text *text, size_t at)
{
    return text->source == NULL ? at : text->source[at];
}

size_t scan_text_source_end(const struct scan_text *text, size_t end)
{
    return text->source == NULL ? end : (size_t)text->source[end - 1] + text->width[end - 1];
}
