/* Spelling of pseudonyms. */
#include "redaction/pseudonym.h"

#include <stdlib.h>

/* Crockford's base32: no I, L, O, U. */
static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static int digit_value(char c)
{
    const char *at = c != '\0' ? strchr(alphabet, c) : NULL;
    return at != NULL ? (int)(at - alphabet) : -1;
}

/* A weighted sum modulo 31: one changed digit or two swapped neighbours always show. */
static char check_digit(const char *digits)
{
    int sum = 0;
    for (int i = 0; i < ID_DIGITS - 1; i++)
        sum = (sum + (i + 2) * digit_value(digits[i])) % 31;
    return alphabet[sum];
}

void pseudonym_id(const uint8_t key[32], const char *type, str value, unsigned attempt, char out[ID_DIGITS + 1])
{
    struct buffer message;
    uint8_t digest[SHA256_BYTES];
    buffer_init(&message, value.n + strlen(type) + 64);
    buffer_printf(&message, "%s%c%u%c", type, '\0', attempt, '\0');
    buffer_append_str(&message, value);
    hmac_sha256(key, 32, message.data, message.n, digest);
    if (message.data != NULL)
        bytes_wipe(message.data, message.n);
    buffer_release(&message);
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | digest[i];
    for (int i = 0; i < ID_DIGITS - 1; i++)
        out[i] = alphabet[bits >> (59 - 5 * i) & 31];
    out[ID_DIGITS - 1] = check_digit(out);
    out[ID_DIGITS] = '\0';
}

bool pseudonym_id_is_sound(str id)
{
    if (id.n != ID_DIGITS)
        return false;
    for (size_t i = 0; i < id.n; i++)
        if (digit_value(id.data[i]) < 0)
            return false;
    return id.data[ID_DIGITS - 1] == check_digit(id.data);
}

size_t mark_length(str s, bool open, bool *partial)
{
    static const char *const spellings[2][4] = {{MARK_CLOSE, "\\u27e7", "&#x27e7;", "&#10215;"},
                                                {MARK_OPEN, "\\u27e6", "&#x27e6;", "&#10214;"}};
    *partial = false;
    for (int i = 0; i < 4; i++) {
        str mark = str_of(spellings[open][i]);
        size_t n = s.n < mark.n ? s.n : mark.n;
        if (n == 0 || !str_equal_nocase((str){s.data, n}, (str){mark.data, n}))
            continue;
        if (n == mark.n)
            return n;
        *partial = true;
    }
    return 0;
}
