/* str.format: replacement fields with attributes and items, conversions, and the format specification of text and
 * numbers. Attributes go through the sandbox like all others. */
#include "template/rendering.h"

#include <math.h>

enum { MOST_WIDTH = 16 << 20, MOST_PRECISION = 400, DEEPEST_SPEC = 2 };

struct spec {
    str fill;
    char align, sign, type;
    bool alternate, zero;
    char group; /* ',' or '_' between digits; 0: none. */
    int64_t width, precision;
};

struct formatter {
    const struct args *args;
    int64_t next; /* Of automatic numbering; -1 once a field had a number. */
    bool automatic, manual;
    bool markup;
};

static int64_t read_number(struct rendering *r, str s, size_t *at, int64_t most)
{
    int64_t number = 0;
    for (; *at < s.n && s.data[*at] >= '0' && s.data[*at] <= '9'; ++*at) {
        number = number * 10 + (s.data[*at] - '0');
        if (number > most)
            rendering_fail(r, TEMPLATE_LIMIT, "a field of more than %lld characters", (long long)most);
    }
    return number;
}

static struct spec read_spec(struct rendering *r, str s)
{
    struct spec spec = {.fill = STR(" "), .precision = -1};
    size_t at = 0, next = 0;
    if (s.n > 0)
        utf8_next(s, &next);
    if (next > 0 && next < s.n && s.data[next] != '\0' && strchr("<>=^", s.data[next]) != NULL) {
        spec.fill = (str){s.data, next};
        spec.align = s.data[next];
        at = next + 1;
    } else if (s.n > 0 && s.data[0] != '\0' && strchr("<>=^", s.data[0]) != NULL) {
        spec.align = s.data[at++];
    }
    if (at < s.n && (s.data[at] == '+' || s.data[at] == '-' || s.data[at] == ' '))
        spec.sign = s.data[at++];
    if (at < s.n && s.data[at] == '#') {
        spec.alternate = true;
        at++;
    }
    if (at < s.n && s.data[at] == '0') {
        spec.zero = true;
        at++;
        if (next == 0 || spec.fill.data != s.data)
            spec.fill = STR("0");
    }
    spec.width = read_number(r, s, &at, MOST_WIDTH);
    if (at < s.n && (s.data[at] == ',' || s.data[at] == '_'))
        spec.group = s.data[at++];
    if (at < s.n && s.data[at] == '.') {
        size_t digits = ++at;
        spec.precision = read_number(r, s, &at, MOST_PRECISION * 1000);
        if (at == digits)
            rendering_fail(r, TEMPLATE_FAILED, "format specifier missing precision");
    }
    if (at < s.n)
        spec.type = s.data[at++];
    if (at < s.n)
        rendering_fail(r, TEMPLATE_FAILED, "invalid format specifier");
    return spec;
}

static void emit_aligned(struct rendering *r, str sign, str body, const struct spec *spec, char align)
{
    struct text text = {body.data, body.n, SIZE_MAX};
    int64_t pad = spec->width - (int64_t)text_length(&text) - (int64_t)sign.n, before = align == '>' ? pad : align == '^' ? pad / 2 : 0;
    if (align != '=')
        rendering_emit_fill(r, spec->fill, before);
    rendering_emit(r, sign);
    if (align == '=')
        rendering_emit_fill(r, spec->fill, pad);
    rendering_emit(r, body);
    if (align == '<' || align == '^')
        rendering_emit_fill(r, spec->fill, pad - (pad > 0 ? before : 0));
}

static void format_text(struct rendering *r, struct value value, const struct spec *spec)
{
    if (spec->type != 0 && spec->type != 's')
        rendering_fail(r, TEMPLATE_FAILED, "unknown format code '%c' for object of type 'str'", spec->type);
    if (spec->sign != 0 || spec->align == '=' || spec->alternate || spec->group != 0)
        rendering_fail(r, TEMPLATE_FAILED, "a sign, '=', '#' or ',' is not allowed in a string format specifier");
    if (spec->precision >= 0 && (size_t)spec->precision < text_length(value.text))
        value = text_slice(r, value, 0, 1, spec->precision);
    emit_aligned(r, STR(""), value_bytes(value), spec, spec->align != 0 ? spec->align : '<');
}

/* The digits with separators every three (or four, of hexadecimal and binary) before the point. */
static str grouped(struct rendering *r, str digits, char group, int every)
{
    size_t whole = 0;
    while (whole < digits.n && ((digits.data[whole] >= '0' && digits.data[whole] <= '9') || (every == 4 && (digits.data[whole] | 32) >= 'a' && (digits.data[whole] | 32) <= 'f')))
        whole++;
    size_t mark = rendering_mark(r);
    for (size_t i = 0; i < whole; i++) {
        if (i > 0 && (whole - i) % (size_t)every == 0)
            rendering_emit(r, (str){&group, 1});
        rendering_emit(r, (str){digits.data + i, 1});
    }
    rendering_emit(r, (str){digits.data + whole, digits.n - whole});
    return value_bytes(rendering_take(r, mark));
}

/* Zeros that fill a width are grouped with the digits: they come first. */
static str zero_filled(struct rendering *r, str digits, size_t n_sign, const struct spec *spec, int every)
{
    if (spec->group == 0)
        return digits;
    str out = grouped(r, digits, spec->group, every);
    while (spec->zero && spec->align == 0 && (int64_t)(out.n + n_sign) < spec->width) {
        size_t mark = rendering_mark(r);
        rendering_emit(r, STR("0"));
        rendering_emit(r, digits);
        digits = value_bytes(rendering_take(r, mark));
        out = grouped(r, digits, spec->group, every);
    }
    return out;
}

static void emit_number(struct rendering *r, bool negative, const char *prefix, str digits, const struct spec *spec, int every)
{
    char sign[8];
    snprintf(sign, sizeof sign, "%s%s", negative ? "-" : spec->sign == '+' ? "+" : spec->sign == ' ' ? " " : "", prefix);
    digits = zero_filled(r, digits, strlen(sign), spec, every);
    emit_aligned(r, str_of(sign), digits, spec, spec->align != 0 ? spec->align : spec->zero ? '=' : '>');
}

static void format_real(struct rendering *r, double real, const struct spec *spec)
{
    char text[MOST_PRECISION + 400], format[16];
    char type = spec->type == 0 || spec->type == 'n' ? 'g' : spec->type == '%' ? 'f' : spec->type;
    if (strchr("eEfFgG", type) == NULL)
        rendering_fail(r, TEMPLATE_FAILED, "unknown format code '%c' for object of type 'float'", spec->type);
    if (spec->precision > MOST_PRECISION)
        rendering_fail(r, TEMPLATE_LIMIT, "a precision of more than %d digits", MOST_PRECISION);
    double magnitude = fabs(spec->type == '%' ? real * 100 : real);
    if (spec->type == 0 && spec->precision < 0) {
        real_format(magnitude, text);
    } else {
        snprintf(format, sizeof format, spec->alternate ? "%%#.*%c" : "%%.*%c", type);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof text, format, spec->precision < 0 ? 6 : (int)spec->precision, magnitude);
#pragma GCC diagnostic pop
        if (spec->type == 0 && strpbrk(text, ".en") == NULL) {
            size_t n = strlen(text);
            snprintf(text + n, sizeof text - n, ".0");
        }
    }
    if (spec->type == '%') {
        size_t n = strlen(text);
        snprintf(text + n, sizeof text - n, "%%");
    }
    emit_number(r, signbit(real) != 0 && !isnan(real), "", str_of(text), spec, 3);
}

static void format_integer(struct rendering *r, int64_t integer, const struct spec *spec)
{
    uint64_t magnitude = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;
    char digits[80];
    size_t at = sizeof digits;
    unsigned base = spec->type == 'b' ? 2 : spec->type == 'o' ? 8 : spec->type == 'x' || spec->type == 'X' ? 16 : 10;
    if (spec->type == 'c') {
        size_t mark = rendering_mark(r);
        if (integer < 0 || integer > 0x10FFFF)
            rendering_fail(r, TEMPLATE_FAILED, "%%c arg not in range(0x110000)");
        rendering_emit_char(r, (uint32_t)integer);
        emit_aligned(r, STR(""), value_bytes(rendering_take(r, mark)), spec, spec->align != 0 ? spec->align : '<');
        return;
    }
    if (spec->type != 0 && strchr("bdnoxX", spec->type) == NULL) {
        format_real(r, (double)integer, spec);
        return;
    }
    if (spec->precision >= 0)
        rendering_fail(r, TEMPLATE_FAILED, "precision not allowed in integer format specifier");
    do
        digits[--at] = (spec->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef")[magnitude % base];
    while ((magnitude /= base) > 0);
    const char *prefix = !spec->alternate ? "" : base == 2 ? "0b" : base == 8 ? "0o" : spec->type == 'X' ? "0X" : base == 16 ? "0x" : "";
    emit_number(r, integer < 0, prefix, (str){digits + at, sizeof digits - at}, spec, base == 10 ? 3 : 4);
}

void value_format(struct rendering *r, struct value value, str spec_text)
{
    if (spec_text.n == 0) {
        value_print(r, value);
        return;
    }
    struct spec spec;
    switch (value.kind) {
    case VALUE_TEXT:
        spec = read_spec(r, spec_text);
        format_text(r, value, &spec);
        return;
    case VALUE_BOOL:
        spec = read_spec(r, spec_text);
        format_integer(r, value.truth, &spec);
        return;
    case VALUE_INT:
        spec = read_spec(r, spec_text);
        format_integer(r, value.integer, &spec);
        return;
    case VALUE_FLOAT:
        spec = read_spec(r, spec_text);
        format_real(r, value.real, &spec);
        return;
    default:
        rendering_fail(r, TEMPLATE_FAILED, "unsupported format string passed to %s.__format__", value_type(value));
    }
}

static struct value first_argument(struct rendering *r, struct formatter *f, str name)
{
    int64_t index;
    bool digits = name.n > 0;
    for (size_t i = 0; i < name.n; i++)
        digits &= name.data[i] >= '0' && name.data[i] <= '9';
    if (name.n == 0 || digits) {
        if ((name.n == 0 && f->manual) || (digits && f->automatic))
            rendering_fail(r, TEMPLATE_FAILED, "automatic and manual field numbering can't be mixed");
        f->automatic |= name.n == 0;
        f->manual |= digits;
        if (name.n == 0)
            index = f->next++;
        else if (parse_i64(name, &index) < 0)
            rendering_fail(r, TEMPLATE_FAILED, "too many decimal digits in format string");
        if (index >= (int64_t)f->args->n)
            rendering_fail(r, TEMPLATE_FAILED, "replacement index %lld out of range", (long long)index);
        return f->args->positional[index];
    }
    for (size_t i = 0; i < f->args->n_named; i++)
        if (str_equal((str){f->args->names[i]->data, f->args->names[i]->n}, name))
            return f->args->named[i];
    rendering_fail(r, TEMPLATE_FAILED, "no argument named '%.*s'", name.n > 60 ? 60 : (int)name.n, name.data);
}

/* name.attribute[item]… */
static struct value field_value(struct rendering *r, struct formatter *f, str field)
{
    size_t at = 0;
    while (at < field.n && field.data[at] != '.' && field.data[at] != '[')
        at++;
    if (at == 0 && field.n > 0)
        rendering_fail(r, TEMPLATE_FAILED, "a field without a name has no attributes or items");
    struct value value = first_argument(r, f, (str){field.data, at});
    while (at < field.n) {
        bool item = field.data[at++] == '[';
        size_t start = at;
        while (at < field.n && (item ? field.data[at] != ']' : field.data[at] != '.' && field.data[at] != '['))
            at++;
        str name = {field.data + start, at - start};
        int64_t index;
        if (name.n == 0 || (item && at >= field.n))
            rendering_fail(r, TEMPLATE_FAILED, "empty attribute or missing ']' in format string");
        at += item;
        if (item && at < field.n && field.data[at] != '.' && field.data[at] != '[')
            rendering_fail(r, TEMPLATE_FAILED, "only '.' or '[' may follow ']' in format field specifier");
        if (item && parse_i64(name, &index) == 0 && name.data[0] >= '0' && name.data[0] <= '9')
            value = value_item(r, value, value_int(index));
        else if (item)
            value = value_item(r, value, value_text_borrow(r, name));
        else
            value = value_attribute(r, value, name, value_text_borrow(r, name).text);
    }
    return value;
}

static void format_into(struct rendering *r, struct formatter *f, str s, int depth);

/* One field, after its '{' at s[*at]; leaves *at after its '}'. */
static void format_field(struct rendering *r, struct formatter *f, str s, size_t *at, int depth)
{
    size_t start = *at, name_end, end = *at;
    int open = 1;
    bool brackets = false;
    while (end < s.n && (s.data[end] != '}' || brackets) && s.data[end] != '!' && s.data[end] != ':' ) {
        if (s.data[end] == '{')
            rendering_fail(r, TEMPLATE_FAILED, "unexpected '{' in field name");
        brackets = s.data[end] == '[' || (brackets && s.data[end] != ']');
        end++;
    }
    name_end = end;
    char conversion = 0;
    if (end < s.n && s.data[end] == '!') {
        conversion = end + 1 < s.n ? s.data[end + 1] : '\0';
        end += 2;
        if (end >= s.n || (s.data[end] != ':' && s.data[end] != '}'))
            rendering_fail(r, TEMPLATE_FAILED, "expected ':' after conversion specifier");
    }
    str spec = {NULL, 0};
    if (end < s.n && s.data[end] == ':') {
        size_t spec_start = ++end;
        for (; end < s.n && open > 0; end++)
            open += s.data[end] == '{' ? 1 : s.data[end] == '}' ? -1 : 0;
        end -= open == 0;
        spec = (str){s.data + spec_start, end - spec_start};
    }
    if (end >= s.n || s.data[end] != '}')
        rendering_fail(r, TEMPLATE_FAILED, "expected '}' before end of string");
    *at = end + 1;
    struct value value = field_value(r, f, (str){s.data + start, name_end - start});
    size_t mark = rendering_mark(r);
    if (conversion == 'r' || conversion == 'a') {
        value_repr(r, value);
        value = rendering_take(r, mark);
    } else if (conversion == 's') {
        value = value_str(r, value);
    } else if (conversion != 0) {
        rendering_fail(r, TEMPLATE_FAILED, "unknown conversion specifier");
    }
    if (memchr(spec.data != NULL ? spec.data : "", '{', spec.n) != NULL) {
        format_into(r, f, spec, depth + 1);
        spec = value_bytes(rendering_take(r, mark));
    }
    if (f->markup && depth == 0) {
        value_format(r, value, spec);
        struct value text = rendering_take(r, mark);
        rendering_emit(r, value_bytes(value.kind == VALUE_TEXT && value.mark == TEXT_MARKUP ? text : text_escape(r, text)));
        return;
    }
    value_format(r, value, spec);
}

static void format_into(struct rendering *r, struct formatter *f, str s, int depth)
{
    if (depth >= DEEPEST_SPEC)
        rendering_fail(r, TEMPLATE_FAILED, "max string recursion exceeded");
    for (size_t at = 0; at < s.n;) {
        char c = s.data[at];
        rendering_step(r, 1);
        if (c != '{' && c != '}') {
            size_t start = at;
            while (at < s.n && s.data[at] != '{' && s.data[at] != '}')
                at++;
            rendering_emit(r, (str){s.data + start, at - start});
        } else if (at + 1 < s.n && s.data[at + 1] == c) {
            rendering_emit(r, (str){&c, 1});
            at += 2;
        } else if (c == '}' || at + 1 >= s.n) {
            rendering_fail(r, TEMPLATE_FAILED, "single '%c' encountered in format string", c);
        } else {
            at++;
            format_field(r, f, s, &at, depth);
        }
    }
}

struct value text_format(struct rendering *r, struct value format, const struct args *args)
{
    struct formatter formatter = {.args = args, .markup = format.mark == TEXT_MARKUP};
    size_t mark = rendering_mark(r);
    format_into(r, &formatter, value_bytes(format), 0);
    return value_marked(rendering_take(r, mark), format.mark);
}
