/* Making values, their truth, their type's name, and values from JSON. */
#include "template/rendering.h"

struct value value_text_borrow(struct rendering *r, str s)
{
    struct text *text = rendering_alloc(r, sizeof *text);
    *text = (struct text){s.data, s.n, SIZE_MAX};
    return value_text(text);
}

struct value value_text_copy(struct rendering *r, str s)
{
    char *data = rendering_alloc(r, s.n);
    if (s.n > 0)
        memcpy(data, s.data, s.n);
    rendering_step(r, s.n / 64);
    return value_text_borrow(r, (str){data, s.n});
}

struct value value_marked(struct value text, uint8_t mark)
{
    text.mark = mark;
    return text;
}

struct value value_list_new(struct rendering *r, enum value_kind kind, size_t n)
{
    struct list *list = rendering_alloc(r, sizeof *list);
    list->items = rendering_array(r, n, sizeof *list->items);
    list->n = n;
    rendering_step(r, n / 4);
    return (struct value){.kind = (uint8_t)kind, .list = list};
}

struct value value_undefined(struct rendering *r, uint8_t why, str name)
{
    struct value value = {.kind = VALUE_UNDEFINED, .mark = why};
    if (name.n > 0)
        value.text = value_text_borrow(r, name).text;
    return value;
}

struct value value_from_json(struct rendering *r, const json_t *json)
{
    struct value value;
    size_t i = 0;
    rendering_step(r, 1);
    switch (json_typeof(json)) {
    case JSON_NULL:
        return value_none();
    case JSON_TRUE:
    case JSON_FALSE:
        return value_bool(json_is_true(json));
    case JSON_INTEGER:
        return value_int(json_integer_value(json));
    case JSON_REAL:
        return value_float(json_real_value(json));
    case JSON_STRING:
        return value_text_borrow(r, (str){json_string_value(json), json_string_length(json)});
    case JSON_ARRAY: {
        json_t *item;
        rendering_deeper(r);
        value = value_list_new(r, VALUE_LIST, json_array_size(json));
        json_array_foreach((json_t *)json, i, item) value.list->items[i] = value_from_json(r, item);
        rendering_shallower(r);
        return value;
    }
    case JSON_OBJECT:
    default:
        rendering_deeper(r);
        value = dict_new(r, VALUE_DICT);
        for (void *at = json_object_iter((json_t *)json); at != NULL; at = json_object_iter_next((json_t *)json, at)) {
            str key = {json_object_iter_key(at), json_object_iter_key_len(at)};
            dict_set(r, value.dict, value_text_borrow(r, key), value_from_json(r, json_object_iter_value(at)));
        }
        rendering_shallower(r);
        return value;
    }
}

bool value_truth(struct value value)
{
    switch (value.kind) {
    case VALUE_UNDEFINED:
    case VALUE_NONE:
    case VALUE_MISSING:
        return false;
    case VALUE_BOOL:
        return value.truth;
    case VALUE_INT:
        return value.integer != 0;
    case VALUE_FLOAT:
        return value.real != 0;
    case VALUE_NAMESPACE: /* An object without a length. */
    case VALUE_CYCLER:
        return true;
    default:
        return value_length(value) != 0;
    }
}

const char *value_type(struct value value)
{
    switch (value.kind) {
    case VALUE_UNDEFINED:
        return "Undefined";
    case VALUE_NONE:
        return "NoneType";
    case VALUE_BOOL:
        return "bool";
    case VALUE_INT:
        return "int";
    case VALUE_FLOAT:
        return "float";
    case VALUE_TEXT:
        return value.mark == TEXT_MARKUP ? "Markup" : "str";
    case VALUE_LIST:
        return "list";
    case VALUE_TUPLE:
        return value.mark == TUPLE_GROUP ? "_GroupTuple" : "tuple";
    case VALUE_DICT:
        return "dict";
    case VALUE_VIEW:
        return value.mark == VIEW_KEYS ? "dict_keys" : value.mark == VIEW_VALUES ? "dict_values" : "dict_items";
    case VALUE_RANGE:
        return "range";
    case VALUE_ITER:
        return "generator";
    case VALUE_NAMESPACE:
        return "Namespace";
    case VALUE_NATIVE:
        return "function";
    case VALUE_METHOD:
        return "builtin_function_or_method";
    case VALUE_MACRO:
        return "Macro";
    case VALUE_LOOP:
        return "LoopContext";
    case VALUE_CYCLER:
        return "Cycler";
    case VALUE_JOINER:
        return "Joiner";
    case VALUE_SELF:
        return "TemplateReference";
    default:
        return "BlockReference";
    }
}

bool value_as_int(struct value value, int64_t *out)
{
    if (value.kind == VALUE_BOOL)
        *out = value.truth;
    else if (value.kind == VALUE_INT)
        *out = value.integer;
    else
        return false;
    return true;
}

bool value_as_real(struct value value, double *out)
{
    int64_t integer;
    if (value.kind == VALUE_FLOAT)
        *out = value.real;
    else if (value_as_int(value, &integer))
        *out = (double)integer;
    else
        return false;
    return true;
}

int64_t value_need_int(struct rendering *r, struct value value)
{
    int64_t integer;
    if (!value_as_int(value, &integer))
        rendering_fail(r, TEMPLATE_FAILED, "'%s' object cannot be interpreted as an integer", value_type(value));
    return integer;
}

struct value value_str(struct rendering *r, struct value value)
{
    if (value.kind == VALUE_TEXT)
        return value;
    size_t mark = rendering_mark(r);
    value_print(r, value);
    return rendering_take(r, mark);
}
