/* Characters: categories from utf8proc (Unicode 15), ASCII from a table built of them, GPT-2's alphabet of bytes. */
#include "tokenizer/characters.h"

#include <utf8proc.h>

static unsigned class_of(uint32_t c)
{
    unsigned space = (c >= 9 && c <= 13) || c == 0x85 ? CLASS_SPACE : 0;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return CLASS_LETTER;
    case UTF8PROC_CATEGORY_MN:
        return CLASS_MARK | CLASS_NONSPACING;
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        return CLASS_MARK;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return CLASS_NUMBER;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        return CLASS_PUNCTUATION;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
        return CLASS_SYMBOL;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return CLASS_SPACE;
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CS:
        return CLASS_CONTROL | space;
    default:
        return 0;
    }
}

unsigned character_class(uint32_t code_point)
{
    if (code_point >= 128)
        return class_of(code_point);
    if ((code_point | 0x20) >= 'a' && (code_point | 0x20) <= 'z')
        return CLASS_LETTER;
    if (code_point == ' ')
        return CLASS_SPACE;
    return class_of(code_point);
}

int character_lower(uint32_t code_point, uint32_t out[2])
{
    if (code_point < 128) {
        out[0] = code_point >= 'A' && code_point <= 'Z' ? code_point + 32 : code_point;
        return 1;
    }
    if (code_point == 0x130) { /* The one code point whose unconditional mapping is two. */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)code_point);
    return 1;
}

bool character_is_punctuation(uint32_t c)
{
    if (c < 128)
        return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
    return (character_class(c) & CLASS_PUNCTUATION) != 0;
}

bool character_is_word(uint32_t c)
{
    if (c < 128)
        return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    case UTF8PROC_CATEGORY_SO: /* Circled and squared letters are alphabetic. */
        return (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
               (c >= 0x1F170 && c <= 0x1F189);
    default:
        return c == 0x200C || c == 0x200D || (class_of(c) & (CLASS_LETTER | CLASS_MARK)) != 0;
    }
}

bool character_is_ideograph(uint32_t c)
{
    /* The gap from 2B820 on is the one that the published implementation has, and its vocabularies were made with. */
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
           (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

static bool byte_prints(uint32_t byte)
{
    return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

/* The bytes that do not print are, in order: 00…20, 7F…A0, AD. */
static uint32_t character_of_byte(uint32_t byte)
{
    if (byte_prints(byte))
        return byte;
    if (byte <= 0x20)
        return 0x100 + byte;
    return byte == 0xAD ? 0x143 : 0x121 + (byte - 0x7F);
}

int byte_of_character(uint32_t code_point)
{
    if (code_point < 0x100)
        return byte_prints(code_point) ? (int)code_point : -1;
    if (code_point <= 0x120)
        return (int)(code_point - 0x100);
    if (code_point <= 0x142)
        return (int)(code_point - 0x121 + 0x7F);
    return code_point == 0x143 ? 0xAD : -1;
}

int byte_characters_append(struct buffer *out, str bytes)
{
    char run[512];
    size_t n = 0;
    for (size_t i = 0; i < bytes.n; i++) {
        n += (size_t)utf8_encode(character_of_byte((uint8_t)bytes.data[i]), run + n);
        if (n > sizeof run - 4 || i + 1 == bytes.n) {
            int status = buffer_append(out, run, n);
            if (status < 0)
                return status;
            n = 0;
        }
    }
    return 0;
}
