/* Operators: Python's arithmetic on 64-bit integers and doubles, joining and repeating of sequences, comparisons. An integer
 * result past 64 bits is a limit, never a wrong number. */
#include "template/rendering.h"

#include <math.h>

static const char *const symbols[] = {"+", "-", "*", "/", "//", "%", "** or pow()", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "-", "+"};

static _Noreturn void unsupported(struct rendering *r, enum operator op, struct value a, struct value b)
{
    struct value undefined = a.kind == VALUE_UNDEFINED ? a : b;
    if (undefined.kind == VALUE_UNDEFINED) {
        if (undefined.text != NULL && undefined.mark == UNDEFINED_NAME)
            rendering_fail(r, TEMPLATE_FAILED, "'%.*s' is undefined", undefined.text->n > 80 ? 80 : (int)undefined.text->n, undefined.text->data);
        rendering_fail(r, TEMPLATE_FAILED, "an undefined value is used with '%s'", symbols[op]);
    }
    rendering_fail(r, TEMPLATE_FAILED, "unsupported operand type(s) for %s: '%s' and '%s'", symbols[op], value_type(a), value_type(b));
}

static _Noreturn void overflow(struct rendering *r)
{
    rendering_fail(r, TEMPLATE_LIMIT, "an integer of more than 64 bits");
}

static _Noreturn void division_by_zero(struct rendering *r)
{
    rendering_fail(r, TEMPLATE_FAILED, "division by zero");
}

static struct value int_power(struct rendering *r, int64_t base, int64_t exponent)
{
    if (exponent < 0) {
        if (base == 0)
            rendering_fail(r, TEMPLATE_FAILED, "0.0 cannot be raised to a negative power");
        return value_float(pow((double)base, (double)exponent));
    }
    int64_t result = 1;
    while (exponent > 0) {
        if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result))
            overflow(r);
        exponent >>= 1;
        if (exponent > 0 && __builtin_mul_overflow(base, base, &base))
            overflow(r);
    }
    return value_int(result);
}

static struct value int_binary(struct rendering *r, enum operator op, int64_t a, int64_t b)
{
    int64_t result = 0;
    switch (op) {
    case OP_ADD:
        if (__builtin_add_overflow(a, b, &result))
            overflow(r);
        return value_int(result);
    case OP_SUB:
        if (__builtin_sub_overflow(a, b, &result))
            overflow(r);
        return value_int(result);
    case OP_MUL:
        if (__builtin_mul_overflow(a, b, &result))
            overflow(r);
        return value_int(result);
    case OP_DIV:
        if (b == 0)
            division_by_zero(r);
        return value_float((double)((long double)a / (long double)b));
    case OP_FLOORDIV:
    case OP_MOD:
        if (b == 0)
            division_by_zero(r);
        if (b == -1) {
            if (op == OP_MOD)
                return value_int(0);
            if (a == INT64_MIN)
                overflow(r);
            return value_int(-a);
        }
        result = a % b;
        if (result != 0 && (result < 0) != (b < 0)) /* Python rounds down. */
            return value_int(op == OP_MOD ? result + b : a / b - 1);
        return value_int(op == OP_MOD ? result : a / b);
    default:
        return int_power(r, a, b);
    }
}

static struct value real_binary(struct rendering *r, enum operator op, double a, double b)
{
    double rest;
    switch (op) {
    case OP_ADD:
        return value_float(a + b);
    case OP_SUB:
        return value_float(a - b);
    case OP_MUL:
        return value_float(a * b);
    case OP_DIV:
        if (b == 0)
            division_by_zero(r);
        return value_float(a / b);
    case OP_FLOORDIV:
    case OP_MOD:
        if (b == 0)
            division_by_zero(r);
        rest = fmod(a, b);
        if (rest != 0 && (rest < 0) != (b < 0))
            rest += b;
        else if (rest == 0)
            rest = copysign(0.0, b);
        if (op == OP_MOD)
            return value_float(rest);
        double quotient = (a - rest) / b, whole = floor(quotient);
        if (quotient == 0)
            return value_float(copysign(0.0, a / b));
        return value_float(quotient - whole > 0.5 ? whole + 1 : whole);
    default:
        if (a == 0 && b < 0)
            rendering_fail(r, TEMPLATE_FAILED, "0.0 cannot be raised to a negative power");
        if (a < 0 && b != floor(b) && isfinite(a) && isfinite(b))
            rendering_fail(r, TEMPLATE_LIMIT, "complex numbers are not carried");
        rest = pow(a, b);
        if (isinf(rest) && isfinite(a) && isfinite(b))
            rendering_fail(r, TEMPLATE_FAILED, "numerical result out of range");
        return value_float(rest);
    }
}

static struct value repeat(struct rendering *r, struct value sequence, int64_t times)
{
    if (times < 0)
        times = 0;
    if (sequence.kind == VALUE_TEXT) {
        size_t mark = rendering_mark(r);
        rendering_emit_fill(r, value_bytes(sequence), times);
        return value_marked(rendering_take(r, mark), sequence.mark);
    }
    size_t n;
    if (__builtin_mul_overflow(sequence.list->n, (size_t)times, &n))
        rendering_fail(r, TEMPLATE_LIMIT, "a list of too many items");
    struct value out = value_list_new(r, sequence.kind, n);
    for (size_t i = 0; i < n; i++)
        out.list->items[i] = sequence.list->items[i % sequence.list->n];
    return out;
}

static struct value join_texts(struct rendering *r, struct value a, struct value b)
{
    if (a.mark != b.mark) { /* What meets markup is escaped. */
        a = text_escape(r, a);
        b = text_escape(r, b);
    }
    size_t n = a.text->n + b.text->n;
    char *data = rendering_alloc(r, n);
    rendering_step(r, n / 64);
    if (a.text->n > 0)
        memcpy(data, a.text->data, a.text->n);
    if (b.text->n > 0)
        memcpy(data + a.text->n, b.text->data, b.text->n);
    return value_marked(value_text_borrow(r, (str){data, n}), a.mark);
}

static struct value add_sequences(struct rendering *r, struct value a, struct value b)
{
    struct value out = value_list_new(r, a.kind, a.list->n + b.list->n);
    if (a.list->n > 0)
        memcpy(out.list->items, a.list->items, a.list->n * sizeof *out.list->items);
    if (b.list->n > 0)
        memcpy(out.list->items + a.list->n, b.list->items, b.list->n * sizeof *out.list->items);
    return out;
}

static bool is_sequence(struct value value)
{
    return value.kind == VALUE_TEXT || value.kind == VALUE_LIST || value.kind == VALUE_TUPLE;
}

struct value value_binary(struct rendering *r, enum operator op, struct value a, struct value b)
{
    int64_t x, y;
    double u, v;
    if (op == OP_ADD && a.kind == VALUE_TEXT && b.kind == VALUE_TEXT)
        return join_texts(r, a, b);
    if (value_as_int(a, &x) && value_as_int(b, &y))
        return int_binary(r, op, x, y);
    if (value_as_real(a, &u) && value_as_real(b, &v))
        return real_binary(r, op, u, v);
    if (op == OP_ADD && a.kind == b.kind && (a.kind == VALUE_LIST || a.kind == VALUE_TUPLE))
        return add_sequences(r, a, b);
    if (op == OP_ADD && is_sequence(a) && b.kind != VALUE_UNDEFINED)
        rendering_fail(r, TEMPLATE_FAILED, "can only concatenate %s (not \"%s\") to %s", value_type(a), value_type(b), value_type(a));
    if (op == OP_MOD && a.kind == VALUE_TEXT)
        return text_percent(r, a, b);
    if (op == OP_MUL && is_sequence(a) && value_as_int(b, &y))
        return repeat(r, a, y);
    if (op == OP_MUL && is_sequence(b) && value_as_int(a, &x))
        return repeat(r, b, x);
    if (op == OP_MUL && (is_sequence(a) || is_sequence(b)) && a.kind != VALUE_UNDEFINED && b.kind != VALUE_UNDEFINED)
        rendering_fail(r, TEMPLATE_FAILED, "can't multiply sequence by non-int of type '%s'", value_type(is_sequence(a) ? b : a));
    unsupported(r, op, a, b);
}

struct value value_unary(struct rendering *r, enum operator op, struct value a)
{
    int64_t integer;
    if (a.kind == VALUE_FLOAT)
        return value_float(op == OP_NEG ? -a.real : a.real);
    if (value_as_int(a, &integer)) {
        if (op == OP_NEG && __builtin_sub_overflow((int64_t)0, integer, &integer))
            overflow(r);
        return value_int(integer);
    }
    if (a.kind == VALUE_UNDEFINED)
        unsupported(r, op, a, a);
    rendering_fail(r, TEMPLATE_FAILED, "bad operand type for unary %s: '%s'", symbols[op], value_type(a));
}

bool value_compare(struct rendering *r, enum operator op, struct value a, struct value b)
{
    switch (op) {
    case OP_EQ:
        return value_equal(r, a, b);
    case OP_NE:
        return !value_equal(r, a, b);
    case OP_IN:
        return value_contains(r, b, a);
    case OP_NOT_IN:
        return !value_contains(r, b, a);
    default:
        break;
    }
    int order = value_order(r, a, b, symbols[op]);
    if (order == 2)
        return false;
    return op == OP_LT ? order < 0 : op == OP_LE ? order <= 0 : op == OP_GT ? order > 0 : order >= 0;
}
