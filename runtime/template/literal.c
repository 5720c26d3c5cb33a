/* Literals of the template language: Python's string escapes and numbers with underscores. */
#include "template/ast.h"

#include <errno.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 32) >= 'a' && (c | 32) <= 'f')
        return (c | 32) - 'a' + 10;
    return -1;
}

/* Reads n hexadecimal digits at body[*at]. */
static int read_hex(str body, size_t *at, int n, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < n; i++) {
        int digit = *at < body.n ? hex_value(body.data[*at]) : -1;
        if (digit < 0)
            return -1;
        *out = *out << 4 | (uint32_t)digit;
        ++*at;
    }
    return 0;
}

/* The code point of an escape beginning after its backslash at body[*at], or -1: bad, -2: nothing (a line break), -3: no
 * escape, the backslash stands for itself. */
static int64_t read_escape(str body, size_t *at)
{
    static const char letters[] = "\\'\"abfnrtv", meanings[] = "\\'\"\a\b\f\n\r\t\v";
    char c = body.data[*at];
    const char *known = c != '\0' ? strchr(letters, c) : NULL;
    if (known != NULL) {
        ++*at;
        return meanings[known - letters];
    }
    uint32_t code = 0;
    switch (c) {
    case '\n':
        ++*at;
        return -2;
    case 'x':
    case 'u':
    case 'U':
        ++*at;
        if (read_hex(body, at, c == 'x' ? 2 : c == 'u' ? 4 : 8, &code) < 0)
            return -1;
        return code;
    case 'N':
        return -1; /* Names of characters are not carried. */
    default:
        break;
    }
    if (c < '0' || c > '7')
        return -3;
    for (int i = 0; i < 3 && *at < body.n && body.data[*at] >= '0' && body.data[*at] <= '7'; i++)
        code = code * 8 + (uint32_t)(body.data[(*at)++] - '0');
    return code;
}

int lexer_string(struct arena *arena, str body, int line, str *out, struct error *err)
{
    if (memchr(body.data, '\\', body.n) == NULL) {
        *out = body;
        return 0;
    }
    char *data = arena_alloc(arena, body.n * 2 + 1); /* \é grows to \xe9; nothing grows more. */
    if (data == NULL)
        return error_set(err, WEIR_E_MEMORY, "", "out of memory");
    size_t n = 0, at = 0;
    while (at < body.n) {
        if (body.data[at] != '\\') {
            data[n++] = body.data[at++];
            continue;
        }
        at++;
        int64_t code = read_escape(body, &at);
        char encoded[4];
        if (code >= 0) {
            int width = utf8_encode((uint32_t)code, encoded);
            if (width == 0)
                return error_set(err, WEIR_E_INVALID, "", "line %d: an escape is no character", line);
            memcpy(data + n, encoded, (size_t)width);
            n += (size_t)width;
        } else if (code == -1) {
            return error_set(err, WEIR_E_INVALID, "", "line %d: bad escape in a string", line);
        } else if (code == -3) {
            data[n++] = '\\';
            if ((uint8_t)body.data[at] >= 0x80) { /* The reference spells such a character out. */
                uint32_t c = utf8_next(body, &at);
                n += (size_t)snprintf(data + n, 12, c < 0x100 ? "x%02x" : c < 0x10000 ? "u%04x" : "U%08x", (unsigned)c);
            }
        }
    }
    *out = (str){data, n};
    return 0;
}

static bool is_digit(str s, size_t at, int base)
{
    int digit = at < s.n ? hex_value(s.data[at]) : -1;
    return digit >= 0 && digit < base;
}

/* Digits with single underscores between them; returns the offset after the last. */
static size_t digits_end(str s, size_t at, int base)
{
    if (!is_digit(s, at, base))
        return at;
    for (;;) {
        if (is_digit(s, at, base))
            at++;
        else if (at < s.n && s.data[at] == '_' && is_digit(s, at + 1, base))
            at += 2;
        else
            return at;
    }
}

/* Where a float that begins at `at` ends, or `at`. */
static size_t float_end(str s, size_t at)
{
    size_t whole = digits_end(s, at, 10), end = at;
    if (whole == at)
        return at;
    size_t part = whole;
    if (part < s.n && s.data[part] == '.' && is_digit(s, part + 1, 10))
        end = part = digits_end(s, part + 1, 10);
    if (part < s.n && (s.data[part] | 32) == 'e') {
        size_t exponent = part + 1;
        if (exponent < s.n && (s.data[exponent] == '+' || s.data[exponent] == '-'))
            exponent++;
        if (is_digit(s, exponent, 10))
            end = digits_end(s, exponent, 10);
    }
    return end;
}

static size_t strip_underscores(str s, char *out, size_t n_out)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n && n + 1 < n_out; i++)
        if (s.data[i] != '_')
            out[n++] = s.data[i];
    out[n] = '\0';
    return n;
}

int lexer_number(str source, size_t *at, struct token *token, int line, struct error *err)
{
    if (!is_digit(source, *at, 10))
        return 0;
    size_t start = *at;
    size_t end = start > 0 && source.data[start - 1] == '.' ? start : float_end(source, start);
    if (end > start) {
        char digits[512];
        if (end - start >= sizeof digits)
            return error_set(err, WEIR_E_LIMIT, "", "line %d: a number of %zu digits", line, end - start);
        strip_underscores((str){source.data + start, end - start}, digits, sizeof digits);
        token->type = TOKEN_FLOAT;
        token->real = strtod(digits, NULL);
        *at = end;
        return 1;
    }
    int base = 10;
    size_t first = start;
    if (source.data[start] == '0' && start + 1 < source.n) {
        char kind = (char)(source.data[start + 1] | 32);
        int other = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
        size_t digit = start + 2 < source.n && source.data[start + 2] == '_' ? start + 3 : start + 2;
        if (other != 0 && is_digit(source, digit, other)) {
            base = other;
            first = digit;
        }
    }
    if (base == 10 && source.data[start] == '0') { /* Only zeros may follow a leading zero. */
        end = start + 1;
        while (end < source.n && (source.data[end] == '0' || (source.data[end] == '_' && end + 1 < source.n && source.data[end + 1] == '0')))
            end++;
    } else {
        end = digits_end(source, first, base);
    }
    char digits[128];
    if (end - first >= sizeof digits)
        return error_set(err, WEIR_E_LIMIT, "", "line %d: an integer of more than 64 bits", line);
    strip_underscores((str){source.data + first, end - first}, digits, sizeof digits);
    errno = 0;
    token->type = TOKEN_INTEGER;
    token->integer = strtoll(digits, NULL, base);
    if (errno == ERANGE)
        return error_set(err, WEIR_E_LIMIT, "", "line %d: an integer of more than 64 bits", line);
    *at = end;
    return 1;
}
