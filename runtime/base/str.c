/* str: a borrowed pointer and length. Nothing here allocates. */
#include "weir_base.h"

#include <errno.h>
#include <locale.h>

str str_of(const char *terminated)
{
    return (str){terminated, terminated != NULL ? strlen(terminated) : 0};
}

bool str_equal(str a, str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.data, b.data, a.n) == 0);
}

static char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool str_equal_nocase(str a, str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (ascii_lower(a.data[i]) != ascii_lower(b.data[i]))
            return false;
    return true;
}

bool str_starts(str s, str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.data, prefix.data, prefix.n) == 0);
}

bool str_ends(str s, str suffix)
{
    return s.n >= suffix.n && (suffix.n == 0 || memcmp(s.data + s.n - suffix.n, suffix.data, suffix.n) == 0);
}

int str_compare(str a, str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n > 0 ? memcmp(a.data, b.data, n) : 0;
    if (order != 0)
        return order;
    return a.n < b.n ? -1 : a.n > b.n;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

str str_after_mark(str s)
{
    return str_starts(s, STR("\xef\xbb\xbf")) ? (str){s.data + 3, s.n - 3} : s;
}

str str_trim(str s)
{
    while (s.n > 0 && is_space(s.data[0])) {
        s.data++;
        s.n--;
    }
    while (s.n > 0 && is_space(s.data[s.n - 1]))
        s.n--;
    return s;
}

bool str_split(str *s, char separator, str *head)
{
    if (s->data == NULL)
        return false;
    const char *end = s->n > 0 ? memchr(s->data, separator, s->n) : NULL;
    if (end == NULL) {
        *head = *s;
        *s = (str){NULL, 0};
        return true;
    }
    *head = (str){s->data, (size_t)(end - s->data)};
    *s = (str){end + 1, s->n - head->n - 1};
    return true;
}

ptrdiff_t str_find(str s, str needle)
{
    if (needle.n == 0)
        return 0;
    const char *found = s.n > 0 ? memmem(s.data, s.n, needle.data, needle.n) : NULL;
    return found != NULL ? found - s.data : -1;
}

bool str_copy(char *out, size_t n_out, str s)
{
    if (n_out == 0)
        return false;
    size_t n = s.n < n_out - 1 ? s.n : n_out - 1;
    if (n > 0)
        memcpy(out, s.data, n);
    out[n] = '\0';
    return n == s.n;
}

int parse_i64(str s, int64_t *out)
{
    char digits[32], *end;
    if (s.n == 0 || is_space(s.data[0]) || s.data[0] == '+' || !str_copy(digits, sizeof digits, s))
        return WEIR_E_INVALID;
    errno = 0;
    long long value = strtoll(digits, &end, 10);
    if (errno != 0 || (size_t)(end - digits) != s.n)
        return WEIR_E_INVALID;
    *out = value;
    return 0;
}

int parse_f64(str s, double *out)
{
    static locale_t c_locale;
    if (c_locale == (locale_t)0) {
        locale_t made = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        locale_t none = (locale_t)0;
        if (!__atomic_compare_exchange_n(&c_locale, &none, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            freelocale(made);
    }
    char digits[64], *end;
    if (s.n == 0 || is_space(s.data[0]) || !str_copy(digits, sizeof digits, s))
        return WEIR_E_INVALID;
    double value = strtod_l(digits, &end, c_locale);
    if ((size_t)(end - digits) != s.n || value != value || value - value != 0)
        return WEIR_E_INVALID;
    *out = value;
    return 0;
}

uint64_t str_hash(str s)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < s.n; i++)
        hash = (hash ^ (uint8_t)s.data[i]) * 1099511628211u;
    return hash;
}
