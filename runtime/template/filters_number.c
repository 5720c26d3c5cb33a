/* Filters that make or change numbers, and default. */
#include "template/rendering.h"

#include <errno.h>
#include <math.h>

#define FILTER(name) static struct value name(struct rendering *r, struct value self, const struct args *args, const struct value *bound)

FILTER(filter_default)
{
    struct value other = bound[0].kind == VALUE_MISSING ? value_text_borrow(r, STR("")) : bound[0];
    if (self.kind == VALUE_UNDEFINED || (value_truth(bound[1]) && !value_truth(self)))
        return other;
    return self;
}

FILTER(filter_abs)
{
    int64_t integer;
    if (self.kind == VALUE_FLOAT)
        return value_float(fabs(self.real));
    if (!value_as_int(self, &integer))
        rendering_fail(r, TEMPLATE_FAILED, "bad operand type for abs(): '%s'", value_type(self));
    return integer < 0 ? value_unary(r, OP_NEG, value_int(integer)) : value_int(integer);
}

/* The text of a number without white space around it, single underscores between digits, and with ASCII digits. False when
 * it can't be one. */
static bool number_text(struct value text, char *out, size_t n_out)
{
    str s = value_bytes(text);
    size_t n = 0;
    uint32_t last = 0;
    size_t from = 0, to = s.n;
    while (from < to) {
        size_t next = from;
        if (!char_is_space(utf8_next(s, &next)))
            break;
        from = next;
    }
    while (to > from) {
        size_t start = to - 1;
        while (start > from && ((uint8_t)s.data[start] & 0xC0) == 0x80)
            start--;
        size_t at = start;
        if (!char_is_space(utf8_next(s, &at)))
            break;
        to = start;
    }
    str inner = {s.data + from, to - from};
    for (size_t at = 0; at < inner.n;) {
        uint32_t c = utf8_next(inner, &at);
        if (c >= 0x80 && char_is_decimal(c)) { /* Decimals come in runs of ten that begin with a zero. */
            uint32_t zero = c;
            while (c - zero < 9 && char_is_decimal(zero - 1) && zero % 16 != 0 && zero % 16 != 6)
                zero--;
            c = '0' + (c - zero) % 10;
        }
        if (c == '_') {
            if (n == 0 || !(char_is_alpha(last) || char_is_decimal(last)) || at >= inner.n || inner.data[at] == '_')
                return false;
            last = c;
            continue;
        }
        if (c >= 0x80 || n + 1 >= n_out)
            return false;
        out[n++] = (char)c;
        last = c;
    }
    out[n] = '\0';
    return n > 0;
}

static bool parse_integer(struct rendering *r, struct value text, int64_t base, int64_t *out)
{
    char digits[600], *end, *start = digits;
    if (!number_text(text, digits, sizeof digits))
        return false;
    bool negative = *start == '-';
    if (*start == '-' || *start == '+')
        start++;
    char kind = (char)(start[0] == '0' ? start[1] | 32 : 0);
    int64_t prefixed = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
    if (prefixed != 0 && (base == prefixed || base == 0)) {
        start += 2;
        base = prefixed;
    } else if (base == 0) {
        base = 10;
    }
    if (*start == '\0' || *start == '-' || *start == '+' || char_is_space((uint8_t)*start) || (base == 16 && start[0] == '0' && (start[1] | 32) == 'x'))
        return false;
    errno = 0;
    unsigned long long value = strtoull(start, &end, (int)base);
    if (*end != '\0')
        return false;
    if (errno == ERANGE || value > (unsigned long long)INT64_MAX + negative)
        rendering_fail(r, TEMPLATE_LIMIT, "an integer of more than 64 bits");
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static bool parse_real(struct value text, double *out)
{
    char digits[600], *end;
    if (!number_text(text, digits, sizeof digits) || strpbrk(digits, "xXpP(") != NULL)
        return false;
    *out = strtod(digits, &end);
    return *end == '\0';
}

static int64_t truncated(struct rendering *r, double real)
{
    if (isnan(real) || isinf(real))
        rendering_fail(r, TEMPLATE_FAILED, "cannot convert float %s to integer", isnan(real) ? "NaN" : "infinity");
    if (fabs(real) >= 9223372036854775808.0)
        rendering_fail(r, TEMPLATE_LIMIT, "an integer of more than 64 bits");
    return (int64_t)real;
}

static _Noreturn void undefined_number(struct rendering *r)
{
    rendering_fail(r, TEMPLATE_FAILED, "an undefined value is no number");
}

FILTER(filter_int)
{
    int64_t integer, base = bound[1].kind == VALUE_MISSING ? 10 : value_need_int(r, bound[1]);
    double real;
    if (self.kind == VALUE_UNDEFINED)
        undefined_number(r);
    if (value_as_int(self, &integer))
        return value_int(integer);
    if (self.kind == VALUE_FLOAT && !isnan(self.real))
        return value_int(truncated(r, self.real));
    if (self.kind == VALUE_TEXT && base >= 0 && base <= 36 && base != 1 && parse_integer(r, self, base, &integer))
        return value_int(integer);
    if (self.kind == VALUE_TEXT && parse_real(self, &real) && !isnan(real))
        return value_int(truncated(r, real));
    return bound[0].kind == VALUE_MISSING ? value_int(0) : bound[0];
}

FILTER(filter_float)
{
    double real;
    if (self.kind == VALUE_UNDEFINED)
        undefined_number(r);
    if (value_as_real(self, &real) || (self.kind == VALUE_TEXT && parse_real(self, &real)))
        return value_float(real);
    return bound[0].kind == VALUE_MISSING ? value_float(0) : bound[0];
}

/* To a power of ten, halves to even. */
static int64_t round_integer(int64_t value, int64_t places)
{
    if (places >= 0)
        return value;
    if (places < -18)
        return 0;
    int64_t unit = 1;
    for (; places < 0; places++)
        unit *= 10;
    int64_t rest = value % unit, down = value - rest;
    int64_t twice = rest < 0 ? -rest : rest;
    bool up = twice > unit - twice || (twice == unit - twice && down / unit % 2 != 0);
    return up ? down + (rest < 0 ? -unit : unit) : down;
}

FILTER(filter_round)
{
    int64_t places = bound[0].kind == VALUE_MISSING ? 0 : value_need_int(r, bound[0]), integer;
    str method = bound[1].kind == VALUE_TEXT ? value_bytes(bound[1]) : bound[1].kind == VALUE_MISSING ? STR("common") : STR("");
    double real;
    if (!str_equal(method, STR("common")) && !str_equal(method, STR("ceil")) && !str_equal(method, STR("floor")))
        rendering_fail(r, TEMPLATE_FAILED, "method must be common, ceil or floor");
    if (!value_as_real(self, &real))
        rendering_fail(r, TEMPLATE_FAILED, "type %s doesn't define __round__ method", value_type(self));
    if (method.data[0] == 'c' && method.n == 6) {
        if (value_as_int(self, &integer))
            return value_int(round_integer(integer, places));
        if (places > 300 || isnan(real) || isinf(real))
            return self;
        if (places < 0) {
            double unit = pow(10, (double)-places);
            return value_float(places < -308 ? copysign(0.0, real) : nearbyint(real / unit) * unit);
        }
        char digits[720];
        snprintf(digits, sizeof digits, "%.*f", (int)places, real); /* Rounds the exact value, halves to even. */
        return value_float(strtod(digits, NULL));
    }
    double unit = pow(10, (double)places), scaled = real * unit;
    if (isnan(scaled) || isinf(scaled) || unit == 0)
        rendering_fail(r, TEMPLATE_FAILED, "cannot convert the number to integer");
    return value_float((method.data[0] == 'c' ? ceil(scaled) : floor(scaled)) / unit);
}

FILTER(filter_filesizeformat)
{
    static const char *const binary[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"};
    static const char *const decimal[] = {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
    double bytes, base = value_truth(bound[0]) ? 1024 : 1000, unit = base;
    char text[64];
    if (!value_as_real(self, &bytes) && !(self.kind == VALUE_TEXT && parse_real(self, &bytes)))
        rendering_fail(r, TEMPLATE_FAILED, "filesizeformat needs a number");
    if (bytes == 1) {
        snprintf(text, sizeof text, "1 Byte");
    } else if (bytes < base) {
        snprintf(text, sizeof text, "%lld Bytes", (long long)bytes);
    } else {
        size_t i = 0;
        for (unit = base * base; i < 7 && bytes >= unit; i++)
            unit *= base;
        snprintf(text, sizeof text, "%.1f %s", base * bytes / unit, (value_truth(bound[0]) ? binary : decimal)[i]);
    }
    return value_text_copy(r, str_of(text));
}

const struct native filters_number[] = {
    {"default", "default_value boolean", 0, filter_default},
    {"d", "default_value boolean", 0, filter_default},
    {"abs", "", 0, filter_abs},
    {"int", "default base", 0, filter_int},
    {"float", "default", 0, filter_float},
    {"round", "precision method", 0, filter_round},
    {"filesizeformat", "binary", 0, filter_filesizeformat},
    {NULL, NULL, 0, NULL},
};
