/* The text a scan works on: normalised, classified, with a way back to the bytes that were given. */
#ifndef WEIR_POLICIES_SCAN_TEXT_H
#define WEIR_POLICIES_SCAN_TEXT_H

#include "weir_base.h"

/* data is the given text itself when nothing had to be changed (plain ASCII, no character references); source and width are
 * then NULL. Otherwise normalised byte i comes from width[i] bytes at source[i]. */
struct scan_text {
    const char *data;
    size_t n;
    uint32_t *source;
    uint8_t *width;
    char *owned;
    uint64_t *digit; /* Bit i: data[i] is an ASCII digit. */
    uint64_t *word;  /* Bit i: data[i] belongs to a word: letter, digit, underscore, or a byte of a non-ASCII letter. */
    size_t n_words;  /* Elements of each bitmap; one more than needed, so that a window may read past the end. */
};

/* text.n must be below 2^31. Returns 0 or WEIR_E_MEMORY. */
int scan_text_init(struct scan_text *out, str text) WEIR_CHECKED;
void scan_text_release(struct scan_text *text);
/* Offsets in the text as given. */
size_t scan_text_source_start(const struct scan_text *text, size_t at);
size_t scan_text_source_end(const struct scan_text *text, size_t end);

static inline bool bit_test(const uint64_t *bits, size_t i)
{
    return bits[i >> 6] >> (i & 63) & 1;
}

/* Digits among the 64 bytes from `at`, as a mask. */
static inline uint64_t bits_window(const uint64_t *bits, size_t at)
{
    size_t shift = at & 63;
    uint64_t low = bits[at >> 6] >> shift;
    return shift == 0 ? low : low | bits[(at >> 6) + 1] << (64 - shift);
}

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static inline bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static inline bool is_alpha(char c)
{
    return is_upper(c) || is_lower(c);
}

static inline bool is_alnum(char c)
{
    return is_digit(c) || is_alpha(c);
}

static inline char to_lower(char c)
{
    return is_upper(c) ? (char)(c + 32) : c;
}

static inline char to_upper(char c)
{
    return is_lower(c) ? (char)(c - 32) : c;
}

#endif
