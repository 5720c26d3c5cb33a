/* Charsmap. The blob: a 32-bit count of bytes, that many bytes of a double-array trie (darts-clone), then the replacement
 * strings, each ended by NUL. A trie unit holds in bits 0-7 its label, bit 8 "a value hangs below", bit 9 "the offset is
 * shifted by 8 more", bits 10-30 the offset to its children (combined by exclusive or); a value unit has bit 31 set
 * and its lower 31 bits are the offset of the replacement. Each step is bounds-checked, so a hostile trie ends the search. */
#include "tokenizer/charsmap.h"

static uint32_t unit_at(const struct charsmap *map, size_t index)
{
    const uint8_t *p = map->units + index * 4;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static size_t unit_offset(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & 0x200) >> 6);
}

int charsmap_init(struct charsmap *map, str blob, struct error *err)
{
    *map = (struct charsmap){0};
    if (blob.n == 0)
        return 0;
    if (blob.n < 4)
        return error_set(err, WEIR_E_INVALID, "", "precompiled charsmap of %zu bytes has no header", blob.n);
    const uint8_t *p = (const uint8_t *)blob.data;
    size_t n_trie = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
    if (n_trie > blob.n - 4 || n_trie % 4 != 0 || n_trie == 0)
        return error_set(err, WEIR_E_INVALID, "", "precompiled charsmap: a trie of %zu bytes in a blob of %zu", n_trie, blob.n);
    map->units = p + 4;
    map->n_units = n_trie / 4;
    map->replacements = (str){blob.data + 4 + n_trie, blob.n - 4 - n_trie};
    return 0;
}

size_t charsmap_find(const struct charsmap *map, str text, bool longest, str *replacement)
{
    if (map->n_units == 0)
        return 0;
    size_t found = 0, value = 0, node = unit_offset(unit_at(map, 0));
    for (size_t i = 0; i < text.n && text.data[i] != '\0'; i++) {
        uint8_t c = (uint8_t)text.data[i];
        node ^= c;
        if (node >= map->n_units)
            break;
        uint32_t unit = unit_at(map, node);
        if ((unit & 0x800000FFu) != c)
            break;
        node ^= unit_offset(unit);
        if (node >= map->n_units)
            break;
        if ((unit & 0x100) != 0) {
            value = unit_at(map, node) & 0x7FFFFFFF;
            found = i + 1;
            if (!longest)
                break;
        }
    }
    if (found == 0 || value >= map->replacements.n)
        return 0;
    const char *start = map->replacements.data + value;
    *replacement = (str){start, strnlen(start, map->replacements.n - value)};
    return found;
}

int base64_append(struct buffer *out, str text)
{
    uint32_t bits = 0;
    int n_bits = 0;
    size_t padding = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.data[i];
        int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                    : c >= 'a' && c <= 'z' ? c - 'a' + 26
                    : c >= '0' && c <= '9' ? c - '0' + 52
                    : c == '+'             ? 62
                    : c == '/'             ? 63
                                           : -1;
        if (c == '=' && ++padding <= 2)
            continue;
        if (value < 0 || padding > 0)
            return WEIR_E_INVALID;
        bits = bits << 6 | (uint32_t)value;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            int status = buffer_append_char(out, (char)(bits >> n_bits));
            if (status < 0)
                return status;
        }
    }
    return 0;
}
