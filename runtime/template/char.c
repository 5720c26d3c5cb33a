/* Properties and case mappings of characters, as Python's str methods see them. */
#include "template/value.h"

#include <utf8proc.h>

static const struct special_case {
    uint32_t code;
    uint32_t upper[3], title[3], lower[3];
} special_cases[] = {
#include "template/casing.inc"
};

static utf8proc_category_t category(uint32_t c)
{
    return utf8proc_category((utf8proc_int32_t)c);
}

bool char_is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool char_is_printable(uint32_t c)
{
    if (c < 0x7F)
        return c >= 0x20;
    switch (category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
        return false;
    default:
        return true;
    }
}

bool char_is_alpha(uint32_t c)
{
    if (c < 0x80)
        return (c | 32) >= 'a' && (c | 32) <= 'z';
    utf8proc_category_t k = category(c);
    return k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LL || k == UTF8PROC_CATEGORY_LT || k == UTF8PROC_CATEGORY_LM || k == UTF8PROC_CATEGORY_LO;
}

bool char_is_decimal(uint32_t c)
{
    return c < 0x80 ? c >= '0' && c <= '9' : category(c) == UTF8PROC_CATEGORY_ND;
}

bool char_is_digit(uint32_t c)
{
    /* Besides decimals, the characters whose Numeric_Type is Digit. */
    static const uint32_t ranges[][2] = {{0xB2, 0xB3}, {0xB9, 0xB9}, {0x1369, 0x1371}, {0x19DA, 0x19DA}, {0x2070, 0x2070}, {0x2074, 0x2079},
                                         {0x2080, 0x2089}, {0x2460, 0x2468}, {0x2474, 0x247C}, {0x2488, 0x2490}, {0x24EA, 0x24EA},
                                         {0x24F5, 0x24FD}, {0x24FF, 0x24FF}, {0x2776, 0x277E}, {0x2780, 0x2788}, {0x278A, 0x2792},
                                         {0x10A40, 0x10A43}, {0x10E60, 0x10E68}, {0x11052, 0x1105A}, {0x1F100, 0x1F10A}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    return char_is_decimal(c);
}

bool char_is_numeric(uint32_t c)
{
    /* Ideographs with a number are letters by category. */
    static const char han[] = "一二三四五六七八九十百千万萬亿億兆零〇壱壹弐貳贰参參叁肆伍陆陸柒捌玖拾佰仟廿卅两兩";
    if (c < 0x80)
        return c >= '0' && c <= '9';
    utf8proc_category_t k = category(c);
    if (k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_NO)
        return true;
    for (size_t at = 0; at < sizeof han - 1;)
        if (utf8_next((str){han, sizeof han - 1}, &at) == c)
            return true;
    return false;
}

bool char_is_upper(uint32_t c)
{
    return c < 0x80 ? c >= 'A' && c <= 'Z' : utf8proc_isupper((utf8proc_int32_t)c) && category(c) != UTF8PROC_CATEGORY_LT;
}

bool char_is_lower(uint32_t c)
{
    return c < 0x80 ? c >= 'a' && c <= 'z' : utf8proc_islower((utf8proc_int32_t)c) != 0;
}

bool char_is_title(uint32_t c)
{
    return c >= 0x80 && category(c) == UTF8PROC_CATEGORY_LT;
}

static const struct special_case *special(uint32_t c)
{
    size_t low = 0, high = sizeof special_cases / sizeof *special_cases;
    if (c < special_cases[0].code)
        return NULL;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (special_cases[middle].code == c)
            return &special_cases[middle];
        if (special_cases[middle].code < c)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static int copy_form(const uint32_t form[3], uint32_t out[3])
{
    int n = 0;
    for (; n < 3 && form[n] != 0; n++)
        out[n] = form[n];
    return n;
}

int char_upper(uint32_t c, uint32_t out[3])
{
    const struct special_case *known = special(c);
    if (known != NULL)
        return copy_form(known->upper, out);
    out[0] = c < 0x80 ? (c >= 'a' && c <= 'z' ? c - 32 : c) : (uint32_t)utf8proc_toupper((utf8proc_int32_t)c);
    return 1;
}

int char_lower(uint32_t c, uint32_t out[3])
{
    const struct special_case *known = special(c);
    if (known != NULL)
        return copy_form(known->lower, out);
    out[0] = c < 0x80 ? (c >= 'A' && c <= 'Z' ? c + 32 : c) : (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    return 1;
}

int char_title(uint32_t c, uint32_t out[3])
{
    const struct special_case *known = special(c);
    if (known != NULL)
        return copy_form(known->title, out);
    out[0] = c < 0x80 ? (c >= 'a' && c <= 'z' ? c - 32 : c) : (uint32_t)utf8proc_totitle((utf8proc_int32_t)c);
    return 1;
}
