/* x.y, x[y] and x[a:b:c]. `.` looks for an attribute first and an item second, `[]` the other way round. Attributes are
 * methods and the few data attributes templates can reach; what begins with an underscore, and what would change a list or
 * mapping, is unsafe: an undefined whose use fails. */
#include "template/rendering.h"

static bool is_dunder(enum value_kind kind, str name)
{
    /* Attributes that objects have in Python; an undefined has no more than the first of them. */
    static const char *const names[] = {"__class__", "__init__", "__doc__", "__module__", "__hash__", "__eq__", "__ne__", "__str__",
                                        "__repr__", "__dir__", "__new__", "__reduce__", "__reduce_ex__", "__sizeof__", "__format__",
                                        "__getattribute__", "__setattr__", "__delattr__", "__init_subclass__", "__subclasshook__", "__lt__",
                                        "__le__", "__gt__", "__ge__", "__getstate__", "__call__", "__len__", "__iter__", "__getitem__",
                                        "__add__", "__mul__", "__mod__", "__bool__", "__int__", "__slots__", "__dict__", "__globals__",
                                        "__code__", "__contains__", "__name__", "__self__", "__func__", "__weakref__", NULL};
    if (!str_starts(name, STR("__")))
        return false;
    for (const char *const *known = names; *known != NULL; known++) {
        if (kind == VALUE_UNDEFINED && strcmp(*known, "__dict__") == 0)
            return false;
        if (str_equal(name, str_of(*known)))
            return true;
    }
    return false;
}

/* Methods that change their object: the sandbox refuses them. */
static bool is_mutator(enum value_kind kind, str name)
{
    static const char *const list[] = {"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort", NULL};
    static const char *const dict[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
    const char *const *names = kind == VALUE_LIST ? list : kind == VALUE_DICT ? dict : NULL;
    for (; names != NULL && *names != NULL; names++)
        if (str_equal(name, str_of(*names)))
            return true;
    return false;
}

static struct value number_attribute(struct rendering *r, struct value object, str name)
{
    bool real = object.kind == VALUE_FLOAT;
    int64_t integer = 0;
    (void)value_as_int(object, &integer);
    if (str_equal(name, STR("real")))
        return real ? object : value_int(integer);
    if (str_equal(name, STR("imag")))
        return real ? value_float(0) : value_int(0);
    if (!real && str_equal(name, STR("numerator")))
        return value_int(integer);
    if (!real && str_equal(name, STR("denominator")))
        return value_int(1);
    return (struct value){0};
}

static struct value macro_attribute(struct rendering *r, const struct macro *macro, str name)
{
    const struct node *node = macro->node;
    if (str_equal(name, STR("name")))
        return node->name == r->template->name_caller ? value_none() : value_text(r->template->names[node->name]);
    if (str_equal(name, STR("arguments"))) {
        struct value out = value_list_new(r, VALUE_TUPLE, node->list.n);
        for (size_t i = 0; i < node->list.n; i++)
            out.list->items[i] = value_text(r->template->names[node->list.items[i]->name]);
        return out;
    }
    if (str_equal(name, STR("catch_kwargs")))
        return value_bool((node->flag & MACRO_KWARGS) != 0);
    if (str_equal(name, STR("catch_varargs")))
        return value_bool((node->flag & MACRO_VARARGS) != 0);
    if (str_equal(name, STR("caller")))
        return value_bool((node->flag & MACRO_CALLER) != 0);
    return (struct value){0};
}

static struct value data_attribute(struct rendering *r, struct value object, str name)
{
    switch (object.kind) {
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_FLOAT:
        return number_attribute(r, object, name);
    case VALUE_TUPLE:
        if (object.mark == TUPLE_GROUP && str_equal(name, STR("grouper")))
            return object.list->items[0];
        if (object.mark == TUPLE_GROUP && str_equal(name, STR("list")))
            return object.list->items[1];
        break;
    case VALUE_RANGE:
        if (str_equal(name, STR("start")))
            return value_int(object.range->start);
        if (str_equal(name, STR("stop")))
            return value_int(object.range->stop);
        if (str_equal(name, STR("step")))
            return value_int(object.range->step);
        break;
    case VALUE_NAMESPACE: {
        const struct value *found = dict_get_text(object.dict, name);
        if (found != NULL)
            return *found;
        break;
    }
    case VALUE_MACRO:
        return macro_attribute(r, object.macro, name);
    case VALUE_LOOP:
        return loop_attribute(r, object.loop, name);
    case VALUE_CYCLER:
        if (str_equal(name, STR("current")))
            return object.cycler->items.items[object.cycler->at];
        if (str_equal(name, STR("pos")))
            return value_int((int64_t)object.cycler->at);
        break;
    case VALUE_JOINER:
        if (str_equal(name, STR("sep")))
            return object.joiner->separator;
        if (str_equal(name, STR("used")))
            return value_bool(object.joiner->used);
        break;
    case VALUE_SELF:
        for (size_t i = 0; i < r->template->blocks.n; i++) {
            const struct node *block = r->template->blocks.items[i];
            const struct text *block_name = r->template->names[block->name];
            if (str_equal(name, (str){block_name->data, block_name->n}))
                return (struct value){.kind = VALUE_BLOCK, .block = block};
        }
        break;
    default:
        break;
    }
    return (struct value){0};
}

struct value value_attribute_only(struct rendering *r, struct value object, str name)
{
    if (name.n > 0 && name.data[0] == '_') {
        if (is_dunder(object.kind, name))
            return value_undefined(r, UNDEFINED_UNSAFE, name);
        return (struct value){0};
    }
    if (is_mutator(object.kind, name))
        return value_undefined(r, UNDEFINED_UNSAFE, name);
    struct value found = data_attribute(r, object, name);
    if (found.kind != VALUE_MISSING)
        return found;
    const struct native *native = method_find(object.kind, name);
    if (native == NULL)
        return (struct value){0};
    struct method *method = rendering_alloc(r, sizeof *method);
    *method = (struct method){object, native};
    return (struct value){.kind = VALUE_METHOD, .method = method};
}

static _Noreturn void undefined_used(struct rendering *r, struct value undefined)
{
    str name = undefined.text != NULL ? value_bytes(undefined) : (str){NULL, 0};
    int n = name.n > 80 ? 80 : (int)name.n;
    if (undefined.mark == UNDEFINED_UNSAFE)
        rendering_fail(r, TEMPLATE_FAILED, "access to attribute '%.*s' is unsafe", n, name.data);
    if (undefined.mark == UNDEFINED_NAME)
        rendering_fail(r, TEMPLATE_FAILED, "'%.*s' is undefined", n, name.data);
    if (undefined.mark == UNDEFINED_PARAMETER)
        rendering_fail(r, TEMPLATE_FAILED, "parameter '%.*s' was not provided", n, name.data);
    if (name.n > 0)
        rendering_fail(r, TEMPLATE_FAILED, "the object has no attribute '%.*s'", n, name.data);
    rendering_fail(r, TEMPLATE_FAILED, "an undefined value is used");
}

/* The item alone: MISSING when there is none. */
static struct value item_only(struct rendering *r, struct value object, struct value key)
{
    int64_t index, n;
    const struct value *found;
    switch (object.kind) {
    case VALUE_UNDEFINED:
        undefined_used(r, object);
    case VALUE_DICT:
        if (key.kind == VALUE_LIST || key.kind == VALUE_DICT)
            break; /* Unhashable: as if absent. */
        found = key.kind == VALUE_TEXT ? dict_get_text(object.dict, value_bytes(key)) : dict_get(r, object.dict, key);
        if (found != NULL)
            return *found;
        break;
    case VALUE_TEXT:
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_RANGE:
        if (!value_as_int(key, &index))
            break;
        n = value_length(object);
        if (index < 0)
            index += n;
        if (index < 0 || index >= n)
            break;
        if (object.kind == VALUE_TEXT)
            return text_slice(r, object, index, 1, 1);
        if (object.kind == VALUE_RANGE)
            return value_int(object.range->start + index * object.range->step);
        return object.list->items[index];
    default:
        break;
    }
    return (struct value){0};
}

struct value value_attribute(struct rendering *r, struct value object, str name, const struct text *name_text)
{
    struct value found;
    if (object.kind == VALUE_DICT) { /* The commonest case: no method of a dict has such a name. */
        const struct native *method = method_find(VALUE_DICT, name);
        const struct value *value = method == NULL && name.n > 0 && name.data[0] != '_' && !is_mutator(VALUE_DICT, name) ? dict_get_text(object.dict, name) : NULL;
        if (value != NULL)
            return *value;
    }
    found = value_attribute_only(r, object, name);
    if (found.kind != VALUE_MISSING)
        return found;
    if (object.kind == VALUE_UNDEFINED)
        undefined_used(r, object);
    if (object.kind == VALUE_DICT) {
        const struct value *value = dict_get_text(object.dict, name);
        if (value != NULL)
            return *value;
    }
    return (struct value){.kind = VALUE_UNDEFINED, .mark = UNDEFINED_MEMBER, .text = name_text};
}

struct value value_item(struct rendering *r, struct value object, struct value key)
{
    struct value found = item_only(r, object, key);
    if (found.kind == VALUE_MISSING && key.kind == VALUE_TEXT)
        found = value_attribute_only(r, object, value_bytes(key));
    if (found.kind != VALUE_MISSING)
        return found;
    return (struct value){.kind = VALUE_UNDEFINED, .mark = UNDEFINED_MEMBER, .text = key.kind == VALUE_TEXT ? key.text : NULL};
}

int64_t slice_resolve(int64_t n, bool has_start, int64_t *start, bool has_stop, int64_t stop, int64_t step)
{
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
    if (!has_start)
        *start = step > 0 ? low : high;
    else if (*start < 0)
        *start = *start + n < low ? low : *start + n;
    else if (*start > high)
        *start = high;
    if (!has_stop)
        stop = step > 0 ? high : low;
    else if (stop < 0)
        stop = stop + n < low ? low : stop + n;
    else if (stop > high)
        stop = high;
    if (step > 0)
        return *start < stop ? (int64_t)(((uint64_t)(stop - *start) - 1) / (uint64_t)step) + 1 : 0;
    return stop < *start ? (int64_t)(((uint64_t)(*start - stop) - 1) / (0 - (uint64_t)step)) + 1 : 0;
}

static bool slice_bound(struct rendering *r, struct value bound, int64_t *out)
{
    if (bound.kind == VALUE_MISSING || bound.kind == VALUE_NONE)
        return false;
    if (!value_as_int(bound, out))
        rendering_fail(r, TEMPLATE_FAILED, "slice indices must be integers or None");
    return true;
}

struct value value_slice(struct rendering *r, struct value object, struct value start, struct value stop, struct value step)
{
    int64_t from = 0, to = 0, by = 1;
    if (object.kind == VALUE_UNDEFINED)
        undefined_used(r, object);
    if (object.kind != VALUE_TEXT && object.kind != VALUE_LIST && object.kind != VALUE_TUPLE && object.kind != VALUE_RANGE)
        return value_undefined(r, UNDEFINED_MEMBER, (str){NULL, 0});
    if ((step.kind != VALUE_MISSING && step.kind != VALUE_NONE && step.kind != VALUE_INT && step.kind != VALUE_BOOL) ||
        (start.kind == VALUE_TEXT || start.kind == VALUE_FLOAT || stop.kind == VALUE_TEXT || stop.kind == VALUE_FLOAT))
        return value_undefined(r, UNDEFINED_MEMBER, (str){NULL, 0}); /* A TypeError, which getting an item swallows. */
    bool has_step = slice_bound(r, step, &by), has_start = slice_bound(r, start, &from), has_stop = slice_bound(r, stop, &to);
    if (has_step && by == 0)
        rendering_fail(r, TEMPLATE_FAILED, "slice step cannot be zero");
    if (by == INT64_MIN)
        by = -INT64_MAX;
    int64_t n = slice_resolve(value_length(object), has_start, &from, has_stop, to, by);
    if (object.kind == VALUE_TEXT)
        return text_slice(r, object, from, by, n);
    if (object.kind == VALUE_RANGE) {
        struct range *range = rendering_alloc(r, sizeof *range);
        const struct range *of = object.range;
        *range = (struct range){of->start + from * of->step, 0, of->step * by, n};
        range->stop = range->start + n * range->step;
        return (struct value){.kind = VALUE_RANGE, .range = range};
    }
    struct value out = value_list_new(r, object.kind, (size_t)n);
    for (int64_t i = 0; i < n; i++)
        out.list->items[i] = object.list->items[from + i * by];
    return out;
}
