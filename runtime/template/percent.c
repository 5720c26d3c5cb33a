/* 'format' % arguments, as Python has it: flags, width, precision, %(name)s. */
#include "template/rendering.h"

#include <math.h>

enum { WIDEST = 16 << 20, MOST_DIGITS = 400 };

struct directive {
    bool left, plus, blank, zero, alternate;
    int64_t width, precision; /* precision -1: none given. */
    char letter;
};

struct percent {
    struct value arguments;
    size_t at;     /* Next of a tuple. */
    bool used;     /* The one argument that is no tuple. */
    bool named;
};

static struct value next_argument(struct rendering *r, struct percent *percent)
{
    if (percent->arguments.kind == VALUE_TUPLE) {
        if (percent->at >= percent->arguments.list->n)
            rendering_fail(r, TEMPLATE_FAILED, "not enough arguments for format string");
        return percent->arguments.list->items[percent->at++];
    }
    if (percent->used)
        rendering_fail(r, TEMPLATE_FAILED, "not enough arguments for format string");
    percent->used = true;
    return percent->arguments;
}

static void emit_padded(struct rendering *r, str sign, str body, const struct directive *d, bool number)
{
    struct text text = {body.data, body.n, SIZE_MAX};
    int64_t pad = d->width - (int64_t)text_length(&text) - (int64_t)sign.n;
    if (!d->left && !(d->zero && number))
        rendering_emit_fill(r, STR(" "), pad);
    rendering_emit(r, sign);
    if (!d->left && d->zero && number)
        rendering_emit_fill(r, STR("0"), pad);
    rendering_emit(r, body);
    if (d->left)
        rendering_emit_fill(r, STR(" "), pad);
}

static str sign_of(bool negative, const struct directive *d)
{
    return negative ? STR("-") : d->plus ? STR("+") : d->blank ? STR(" ") : STR("");
}

static void emit_integer(struct rendering *r, struct value value, const struct directive *d)
{
    int64_t integer;
    bool decimal = strchr("diu", d->letter) != NULL;
    if (value.kind == VALUE_FLOAT && decimal) {
        if (!isfinite(value.real))
            rendering_fail(r, TEMPLATE_FAILED, "cannot convert float to integer");
        if (fabs(value.real) >= 9.2e18)
            rendering_fail(r, TEMPLATE_LIMIT, "an integer of more than 64 bits");
        integer = (int64_t)value.real;
    } else if (!value_as_int(value, &integer)) {
        rendering_fail(r, TEMPLATE_FAILED, "%%%c format: a number is required, not %s", d->letter, value_type(value));
    }
    uint64_t magnitude = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;
    char digits[32], sign[4];
    const char *format = d->letter == 'x' ? "%llx" : d->letter == 'X' ? "%llX" : d->letter == 'o' ? "%llo" : "%llu";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(digits, sizeof digits, format, (unsigned long long)magnitude);
#pragma GCC diagnostic pop
    str base = sign_of(integer < 0, d);
    snprintf(sign, sizeof sign, "%.*s%s", (int)base.n, base.data, !d->alternate || decimal ? "" : d->letter == 'o' ? "0o" : d->letter == 'x' ? "0x" : "0X");
    size_t mark = rendering_mark(r);
    rendering_emit_fill(r, STR("0"), d->precision - (int64_t)strlen(digits));
    rendering_emit(r, str_of(digits));
    emit_padded(r, str_of(sign), value_bytes(rendering_take(r, mark)), d, true);
}

static void emit_real(struct rendering *r, struct value value, const struct directive *d)
{
    double real;
    char text[MOST_DIGITS + 400], format[16];
    if (!value_as_real(value, &real))
        rendering_fail(r, TEMPLATE_FAILED, "must be real number, not %s", value_type(value));
    if (d->precision > MOST_DIGITS)
        rendering_fail(r, TEMPLATE_LIMIT, "a precision of more than %d digits", MOST_DIGITS);
    snprintf(format, sizeof format, d->alternate ? "%%#.*%c" : "%%.*%c", d->letter);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof text, format, d->precision < 0 ? 6 : (int)d->precision, fabs(real));
#pragma GCC diagnostic pop
    emit_padded(r, sign_of(signbit(real) != 0 && !isnan(real), d), str_of(text), d, isfinite(real));
}

static void emit_ascii(struct rendering *r, str s)
{
    for (size_t at = 0; at < s.n;) {
        uint32_t c = utf8_next(s, &at);
        char text[16];
        snprintf(text, sizeof text, c < 0x80 ? "%c" : c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)c);
        rendering_emit(r, str_of(text));
    }
}

static void emit_text(struct rendering *r, struct value value, const struct directive *d, bool markup)
{
    size_t mark = rendering_mark(r);
    if (d->letter == 's')
        value_print(r, markup ? text_escape(r, value) : value);
    else
        value_repr(r, value);
    struct value text = rendering_take(r, mark);
    if (d->letter == 'a') {
        emit_ascii(r, value_bytes(text));
        text = rendering_take(r, mark);
    }
    if (d->letter == 'r' && markup)
        text = text_escape(r, text);
    if (d->precision >= 0 && (size_t)d->precision < text_length(text.text))
        text = text_slice(r, text, 0, 1, d->precision);
    emit_padded(r, STR(""), value_bytes(text), d, false);
}

static void emit_char(struct rendering *r, struct value value, const struct directive *d)
{
    int64_t code;
    char bytes[4];
    if (value.kind == VALUE_TEXT && text_length(value.text) == 1) {
        emit_padded(r, STR(""), value_bytes(value), d, false);
        return;
    }
    if (!value_as_int(value, &code))
        rendering_fail(r, TEMPLATE_FAILED, "%%c requires int or char");
    int n = code >= 0 && code <= 0x10FFFF ? utf8_encode((uint32_t)code, bytes) : 0;
    if (n == 0)
        rendering_fail(r, TEMPLATE_FAILED, "%%c arg not in range(0x110000)");
    emit_padded(r, STR(""), (str){bytes, (size_t)n}, d, false);
}

/* A number or * at s[*at]. */
static int64_t read_size(struct rendering *r, str s, size_t *at, struct percent *percent)
{
    int64_t size = 0;
    if (*at < s.n && s.data[*at] == '*') {
        ++*at;
        struct value value = next_argument(r, percent);
        if (!value_as_int(value, &size))
            rendering_fail(r, TEMPLATE_FAILED, "* wants int");
        if (size > WIDEST || size < -WIDEST)
            rendering_fail(r, TEMPLATE_LIMIT, "a field of more than %d characters", WIDEST);
        return size;
    }
    for (; *at < s.n && s.data[*at] >= '0' && s.data[*at] <= '9'; ++*at) {
        size = size * 10 + (s.data[*at] - '0');
        if (size > WIDEST)
            rendering_fail(r, TEMPLATE_LIMIT, "a field of more than %d characters", WIDEST);
    }
    return size;
}

static struct value named_argument(struct rendering *r, str s, size_t *at, struct percent *percent)
{
    size_t start = ++*at;
    int open = 1;
    for (; *at < s.n && open > 0; ++*at)
        open += s.data[*at] == '(' ? 1 : s.data[*at] == ')' ? -1 : 0;
    if (open > 0)
        rendering_fail(r, TEMPLATE_FAILED, "incomplete format key");
    if (percent->arguments.kind != VALUE_DICT)
        rendering_fail(r, TEMPLATE_FAILED, "format requires a mapping");
    percent->named = true;
    const struct value *found = dict_get_text(percent->arguments.dict, (str){s.data + start, *at - start - 1});
    if (found == NULL)
        rendering_fail(r, TEMPLATE_FAILED, "the mapping has no such key");
    return *found;
}

static void emit_directive(struct rendering *r, str s, size_t *at, struct percent *percent, bool markup)
{
    struct directive d = {.precision = -1};
    struct value value = {0};
    if (*at < s.n && s.data[*at] == '(')
        value = named_argument(r, s, at, percent);
    for (; *at < s.n && s.data[*at] != '\0' && strchr("-+ 0#", s.data[*at]) != NULL; ++*at) {
        char flag = s.data[*at];
        d.left |= flag == '-';
        d.plus |= flag == '+';
        d.blank |= flag == ' ';
        d.zero |= flag == '0';
        d.alternate |= flag == '#';
    }
    d.width = read_size(r, s, at, percent);
    if (d.width < 0) {
        d.left = true;
        d.width = -d.width;
    }
    if (*at < s.n && s.data[*at] == '.') {
        ++*at;
        d.precision = read_size(r, s, at, percent);
        d.precision = d.precision < 0 ? 0 : d.precision;
    }
    while (*at < s.n && (s.data[*at] == 'l' || s.data[*at] == 'h' || s.data[*at] == 'L'))
        ++*at;
    if (*at >= s.n)
        rendering_fail(r, TEMPLATE_FAILED, "incomplete format");
    d.letter = s.data[(*at)++];
    if (d.letter == '%') {
        rendering_emit(r, STR("%"));
        return;
    }
    if (d.letter == '\0' || strchr("diouxXeEfFgGcrsa", d.letter) == NULL)
        rendering_fail(r, TEMPLATE_FAILED, "unsupported format character at index %zu", *at - 1);
    if (value.kind == VALUE_MISSING)
        value = next_argument(r, percent);
    if (strchr("diouxX", d.letter) != NULL)
        emit_integer(r, value, &d);
    else if (strchr("eEfFgG", d.letter) != NULL)
        emit_real(r, value, &d);
    else if (d.letter == 'c')
        emit_char(r, value, &d);
    else
        emit_text(r, value, &d, markup);
}

struct value text_percent(struct rendering *r, struct value format, struct value arguments)
{
    struct percent percent = {.arguments = arguments};
    str s = value_bytes(format);
    size_t mark = rendering_mark(r);
    for (size_t at = 0; at < s.n;) {
        const char *next = memchr(s.data + at, '%', s.n - at);
        size_t end = next != NULL ? (size_t)(next - s.data) : s.n;
        rendering_emit(r, (str){s.data + at, end - at});
        at = end;
        if (next != NULL) {
            at++;
            emit_directive(r, s, &at, &percent, format.mark == TEXT_MARKUP);
        }
    }
    bool left = arguments.kind == VALUE_TUPLE ? percent.at < arguments.list->n
                : !percent.used && !percent.named && arguments.kind != VALUE_DICT && arguments.kind != VALUE_LIST;
    if (left)
        rendering_fail(r, TEMPLATE_FAILED, "not all arguments converted during string formatting");
    return value_marked(rendering_take(r, mark), format.mark);
}
