/* The global functions: range, dict, namespace, cycler, joiner, lipsum, raise_exception, strftime_now. */
#include "template/rendering.h"

#define GLOBAL(name) static struct value name(struct rendering *r, struct value self, const struct args *args, const struct value *bound)

enum { LONGEST_RANGE = 100000 };

GLOBAL(global_range)
{
    struct range *range = rendering_alloc(r, sizeof *range);
    if (args->n_named > 0 || args->n == 0 || args->n > 3)
        rendering_fail(r, TEMPLATE_FAILED, "range expected 1 to 3 positional arguments");
    int64_t first = value_need_int(r, args->positional[0]);
    range->start = args->n > 1 ? first : 0;
    range->stop = args->n > 1 ? value_need_int(r, args->positional[1]) : first;
    range->step = args->n > 2 ? value_need_int(r, args->positional[2]) : 1;
    if (range->step == 0)
        rendering_fail(r, TEMPLATE_FAILED, "range() arg 3 must not be zero");
    uint64_t span = range->step > 0 ? (range->start < range->stop ? (uint64_t)range->stop - (uint64_t)range->start : 0)
                                    : (range->start > range->stop ? (uint64_t)range->start - (uint64_t)range->stop : 0);
    uint64_t step = range->step > 0 ? (uint64_t)range->step : 0 - (uint64_t)range->step;
    uint64_t n = span == 0 ? 0 : (span - 1) / step + 1;
    if (n > LONGEST_RANGE)
        rendering_fail(r, TEMPLATE_LIMIT, "range too big: more than %d items", LONGEST_RANGE);
    range->n = (int64_t)n;
    return (struct value){.kind = VALUE_RANGE, .range = range};
}

/* What dict() and namespace() take: a mapping or pairs, then keywords. */
static struct value fill_dict(struct rendering *r, const struct args *args, enum value_kind kind)
{
    struct value out = dict_new(r, kind), item;
    if (args->n > 1)
        rendering_fail(r, TEMPLATE_FAILED, "expected at most 1 positional argument, got %zu", args->n);
    if (args->n == 1 && (args->positional[0].kind == VALUE_DICT)) {
        const struct dict *from = args->positional[0].dict;
        for (size_t i = 0; i < from->n; i++)
            dict_set(r, out.dict, from->entries[i].key, from->entries[i].value);
    } else if (args->n == 1) {
        struct iter *iter = iter_new(r, args->positional[0]);
        while (iter_next(r, iter, &item)) {
            struct value pair = value_collect(r, item, VALUE_LIST);
            if (pair.list->n != 2)
                rendering_fail(r, TEMPLATE_FAILED, "a mapping is made of pairs, not of %zu items", pair.list->n);
            dict_set(r, out.dict, pair.list->items[0], pair.list->items[1]);
        }
    }
    for (size_t i = 0; i < args->n_named; i++)
        dict_set(r, out.dict, value_text(args->names[i]), args->named[i]);
    return out;
}

GLOBAL(global_dict)
{
    return fill_dict(r, args, VALUE_DICT);
}

GLOBAL(global_namespace)
{
    struct value out = fill_dict(r, args, VALUE_NAMESPACE);
    for (size_t i = 0; i < out.dict->n; i++) {
        struct value key = out.dict->entries[i].key;
        if (key.kind == VALUE_TEXT && key.text->n > 0 && key.text->data[0] == '_')
            rendering_fail(r, TEMPLATE_FAILED, "a namespace takes no attribute that begins with an underscore");
    }
    return out;
}

GLOBAL(global_cycler)
{
    if (args->n == 0 || args->n_named > 0)
        rendering_fail(r, TEMPLATE_FAILED, "at least one item has to be provided");
    struct cycler *cycler = rendering_alloc(r, sizeof *cycler);
    cycler->items = (struct list){args->positional, args->n};
    return (struct value){.kind = VALUE_CYCLER, .cycler = cycler};
}

GLOBAL(global_joiner)
{
    struct joiner *joiner = rendering_alloc(r, sizeof *joiner);
    joiner->separator = bound[0].kind == VALUE_MISSING ? value_text_borrow(r, STR(", ")) : bound[0];
    return (struct value){.kind = VALUE_JOINER, .joiner = joiner};
}

/* Filler text: n paragraphs of min to max words, drawn at random as the reference's is. */
GLOBAL(global_lipsum)
{
    static const char *const words[] = {"lorem", "ipsum", "dolor", "sit", "amet", "consectetuer", "adipiscing", "elit", "sed", "non", "mauris", "vitae", "turpis", "nulla", "porta"};
    int64_t paragraphs = bound[0].kind == VALUE_MISSING ? 5 : value_need_int(r, bound[0]);
    int64_t low = bound[2].kind == VALUE_MISSING ? 20 : value_need_int(r, bound[2]), high = bound[3].kind == VALUE_MISSING ? 100 : value_need_int(r, bound[3]);
    bool html = bound[1].kind == VALUE_MISSING || value_truth(bound[1]);
    if (low >= high || low < 0)
        rendering_fail(r, TEMPLATE_FAILED, "lipsum needs min below max");
    size_t mark = rendering_mark(r);
    for (int64_t i = 0; i < paragraphs; i++) {
        uint32_t number[2];
        rendering_step(r, 1);
        if (random_bytes(number, sizeof number) < 0)
            rendering_fail(r, TEMPLATE_FAILED, "no random numbers to be had");
        int64_t n = low + (int64_t)(number[0] % (uint64_t)(high - low));
        rendering_emit(r, i > 0 ? (html ? STR("\n") : STR("\n\n")) : STR(""));
        rendering_emit(r, html ? STR("<p>") : STR(""));
        for (int64_t k = 0; k < n; k++) {
            number[1] = number[1] * 1664525u + 1013904223u;
            rendering_step(r, 1);
            rendering_emit(r, k > 0 ? STR(" ") : STR(""));
            rendering_emit(r, str_of(words[(number[1] >> 16) % (sizeof words / sizeof *words)]));
        }
        rendering_emit(r, html ? STR(".</p>") : STR("."));
    }
    return value_marked(rendering_take(r, mark), html ? TEXT_MARKUP : 0);
}

GLOBAL(global_raise_exception)
{
    rendering_raise(r, value_bytes(value_str(r, bound[0])));
}

/* strftime of the C locale, in UTC, with the GNU flags that Python hands through to it. */
GLOBAL(global_strftime_now)
{
    struct value format = bound[0];
    char text[512];
    struct tm tm;
    time_t now = (time_t)r->now_unix;
    if (format.kind != VALUE_TEXT)
        rendering_fail(r, TEMPLATE_FAILED, "strftime() argument 1 must be str, not %s", value_type(format));
    if (gmtime_r(&now, &tm) == NULL)
        rendering_fail(r, TEMPLATE_FAILED, "the time is out of range");
    str s = value_bytes(format);
    size_t mark = rendering_mark(r);
    for (size_t at = 0; at < s.n;) { /* One directive at a time, so that no bound of strftime's is met. */
        if (s.data[at] != '%' || at + 1 >= s.n) {
            rendering_emit(r, (str){s.data + at, 1});
            at++;
            continue;
        }
        size_t end = at + 1;
        while (end < s.n && strchr("-_0^#EO", s.data[end]) != NULL && s.data[end] != '\0')
            end++;
        int64_t width = 0;
        while (end < s.n && s.data[end] >= '0' && s.data[end] <= '9')
            width = width < 1000 ? width * 10 + (s.data[end++] - '0') : (end++, width);
        char letter = end < s.n ? s.data[end] : '\0';
        char directive[24];
        if (width > 400)
            rendering_fail(r, TEMPLATE_LIMIT, "a field of the date is wider than 400");
        if (letter == 'f') {
            rendering_emit(r, STR("000000"));
        } else if (letter == 'z' || letter == 'Z') {
            /* The reference's time has no zone. */
        } else if (letter != '\0' && (uint8_t)letter < 0x80 && end + 1 - at < sizeof directive) {
            str_copy(directive, sizeof directive, (str){s.data + at, end + 1 - at});
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            size_t n = strftime(text, sizeof text, directive, &tm);
#pragma GCC diagnostic pop
            rendering_emit(r, (str){text, n});
        } else {
            rendering_emit(r, (str){s.data + at, (end < s.n ? end + 1 : end) - at});
        }
        at = end < s.n ? end + 1 : end;
    }
    return rendering_take(r, mark);
}

static const struct native globals[] = {
    {"range", NULL, 0, global_range},
    {"dict", NULL, 0, global_dict},
    {"namespace", NULL, 0, global_namespace},
    {"cycler", NULL, 0, global_cycler},
    {"joiner", "sep", 0, global_joiner},
    {"lipsum", "n html min max", 0, global_lipsum},
    {"raise_exception", "message", 1, global_raise_exception},
    {"strftime_now", "format", 1, global_strftime_now},
    {NULL, NULL, 0, NULL},
};

const struct native *global_find(str name)
{
    return native_find(globals, name);
}
