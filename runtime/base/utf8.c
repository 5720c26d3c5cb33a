/* UTF-8 as RFC 3629 has it: shortest forms only, no surrogates, at most U+10FFFF. */
#include "weir_base.h"

/* Length of the sequence that `lead` begins, or 0; *low and *high bound the second byte. */
static int sequence_length(uint8_t lead, uint8_t *low, uint8_t *high)
{
    *low = 0x80;
    *high = 0xBF;
    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF)
        return 2;
    if (lead >= 0xE0 && lead <= 0xEF) {
        if (lead == 0xE0)
            *low = 0xA0;
        if (lead == 0xED)
            *high = 0x9F;
        return 3;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        if (lead == 0xF0)
            *low = 0x90;
        if (lead == 0xF4)
            *high = 0x8F;
        return 4;
    }
    return 0;
}

/* Valid length of the sequence at s[at], or 0. */
static int sequence_at(str s, size_t at)
{
    uint8_t low, high;
    int n = sequence_length((uint8_t)s.data[at], &low, &high);
    if (n == 0 || (size_t)n > s.n - at)
        return 0;
    for (int i = 1; i < n; i++) {
        uint8_t c = (uint8_t)s.data[at + (size_t)i];
        if (c < low || c > high)
            return 0;
        low = 0x80;
        high = 0xBF;
    }
    return n;
}

ptrdiff_t utf8_first_invalid(str s)
{
    for (size_t at = 0; at < s.n;) {
        while (at + 8 <= s.n) { /* Eight ASCII bytes at a time. */
            uint64_t word;
            memcpy(&word, s.data + at, 8);
            if ((word & 0x8080808080808080u) != 0)
                break;
            at += 8;
        }
        if (at == s.n)
            break;
        int n = sequence_at(s, at);
        if (n == 0)
            return (ptrdiff_t)at;
        at += (size_t)n;
    }
    return -1;
}

uint32_t utf8_next(str s, size_t *at)
{
    int n = sequence_at(s, *at);
    const uint8_t *c = (const uint8_t *)s.data + *at;
    *at += n > 0 ? (size_t)n : 1;
    switch (n) {
    case 1:
        return c[0];
    case 2:
        return (uint32_t)(c[0] & 0x1F) << 6 | (c[1] & 0x3F);
    case 3:
        return (uint32_t)(c[0] & 0x0F) << 12 | (uint32_t)(c[1] & 0x3F) << 6 | (c[2] & 0x3F);
    case 4:
        return (uint32_t)(c[0] & 0x07) << 18 | (uint32_t)(c[1] & 0x3F) << 12 | (uint32_t)(c[2] & 0x3F) << 6 | (c[3] & 0x3F);
    default:
        return 0xFFFD;
    }
}

int utf8_encode(uint32_t code_point, char out[4])
{
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        out[0] = (char)(0xC0 | code_point >> 6);
        out[1] = (char)(0x80 | (code_point & 0x3F));
        return 2;
    }
    if (code_point < 0x10000) {
        if (code_point >= 0xD800 && code_point <= 0xDFFF)
            return 0;
        out[0] = (char)(0xE0 | code_point >> 12);
        out[1] = (char)(0x80 | (code_point >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code_point & 0x3F));
        return 3;
    }
    if (code_point > 0x10FFFF)
        return 0;
    out[0] = (char)(0xF0 | code_point >> 18);
    out[1] = (char)(0x80 | (code_point >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code_point >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code_point & 0x3F));
    return 4;
}

size_t utf8_incomplete_tail(str s)
{
    for (size_t back = 1; back <= 3 && back <= s.n; back++) {
        uint8_t c = (uint8_t)s.data[s.n - back], low, high;
        if (c >= 0x80 && c < 0xC0)
            continue;
        int n = sequence_length(c, &low, &high);
        if (n <= (int)back)
            return 0;
        if (back > 1) {
            uint8_t second = (uint8_t)s.data[s.n - back + 1];
            if (second < low || second > high)
                return 0;
        }
        return back;
    }
    return 0;
}
