/* Evaluates expressions. The C stack is bounded by frames (counted here and in exec.c), work by steps. */
#include "template/rendering.h"

static struct value global_value(struct rendering *r, int name)
{
    str s = {r->template->names[name]->data, r->template->names[name]->n};
    const struct native *native = global_find(s);
    if (native != NULL)
        return (struct value){.kind = VALUE_NATIVE, .native = native};
    if (name == r->template->name_self)
        return (struct value){.kind = VALUE_SELF};
    return (struct value){0};
}

/* A variable of the context, converted when it is first read. */
static struct value context_value(struct rendering *r, int name)
{
    struct value *known = &r->context_values[name];
    if (known->kind != VALUE_MISSING)
        return *known;
    const struct text *text = r->template->names[name];
    const json_t *json = json_object_getn(r->context, text->data, text->n);
    if (json != NULL)
        *known = value_from_json(r, json);
    else
        *known = global_value(r, name);
    if (known->kind == VALUE_MISSING)
        *known = (struct value){.kind = VALUE_UNDEFINED, .mark = UNDEFINED_NAME, .text = text};
    return *known;
}

static struct value eval_name(struct rendering *r, int name)
{
    for (const struct scope *scope = r->scope; scope != NULL; scope = scope->parent)
        for (int i = scope->n - 1; i >= 0; i--)
            if (scope->entries[i].name == name)
                return scope->entries[i].value;
    return context_value(r, name);
}

static struct value eval_items(struct rendering *r, const struct node *node, enum value_kind kind)
{
    struct value out = value_list_new(r, kind, node->list.n);
    for (size_t i = 0; i < node->list.n; i++)
        out.list->items[i] = eval(r, node->list.items[i]);
    return out;
}

static struct value eval_dict(struct rendering *r, const struct node *node)
{
    struct value out = dict_new(r, VALUE_DICT);
    for (size_t i = 0; i + 1 < node->list.n; i += 2) {
        struct value key = eval(r, node->list.items[i]);
        dict_set(r, out.dict, key, eval(r, node->list.items[i + 1]));
    }
    return out;
}

static struct value eval_compare(struct rendering *r, const struct node *node)
{
    struct value left = eval(r, node->a);
    for (size_t i = 0; i < node->list.n; i++) {
        const struct node *operand = node->list.items[i];
        struct value right = eval(r, operand->a);
        if (!value_compare(r, (enum operator)operand->op, left, right))
            return value_bool(false);
        left = right;
    }
    return value_bool(true);
}

static struct value eval_concat(struct rendering *r, const struct node *node)
{
    struct value parts[8], *items = node->list.n <= 8 ? parts : rendering_array(r, node->list.n, sizeof *items);
    bool markup = false;
    for (size_t i = 0; i < node->list.n; i++) {
        items[i] = eval(r, node->list.items[i]);
        markup |= r->autoescape && items[i].kind == VALUE_TEXT && items[i].mark == TEXT_MARKUP;
    }
    size_t mark = rendering_mark(r);
    for (size_t i = 0; i < node->list.n; i++)
        value_print(r, markup ? text_escape(r, items[i]) : items[i]);
    return value_marked(rendering_take(r, mark), markup ? TEXT_MARKUP : 0);
}

static struct value eval_item(struct rendering *r, const struct node *node)
{
    struct value object = eval(r, node->a);
    if (node->b->type != NODE_SLICE)
        return value_item(r, object, eval(r, node->b));
    struct value parts[3];
    const struct node *nodes[3] = {node->b->a, node->b->b, node->b->c};
    for (int i = 0; i < 3; i++)
        parts[i] = nodes[i] != NULL ? eval(r, nodes[i]) : (struct value){0};
    return value_slice(r, object, parts[0], parts[1], parts[2]);
}

static struct value eval_call(struct rendering *r, const struct node *node)
{
    struct args args;
    struct value callee = eval(r, node->a);
    call_arguments(r, &node->list, &args);
    return call_value(r, callee, &args);
}

static struct value eval_filter(struct rendering *r, const struct node *node, struct value subject)
{
    struct args args;
    const struct text *name = r->template->names[node->name];
    if (node->native == NULL)
        rendering_fail(r, TEMPLATE_FAILED, "no filter named '%.*s'", name->n > 60 ? 60 : (int)name->n, name->data);
    call_arguments(r, &node->list, &args);
    return call_native(r, node->native, subject, &args);
}

bool eval_test(struct rendering *r, const struct native *native, struct value self, const struct args *args)
{
    return value_truth(call_native(r, native, self, args));
}

static struct value eval_test_node(struct rendering *r, const struct node *node)
{
    struct args args;
    struct value subject = eval(r, node->a);
    const struct text *name = r->template->names[node->name];
    if (node->native == NULL)
        rendering_fail(r, TEMPLATE_FAILED, "no test named '%.*s'", name->n > 60 ? 60 : (int)name->n, name->data);
    call_arguments(r, &node->list, &args);
    return value_bool(eval_test(r, node->native, subject, &args));
}

static struct value eval_node(struct rendering *r, const struct node *node)
{
    struct value a;
    switch (node->type) {
    case NODE_CONST:
        return node->value;
    case NODE_NAME:
        return eval_name(r, node->name);
    case NODE_LIST:
        return eval_items(r, node, VALUE_LIST);
    case NODE_TUPLE:
        return eval_items(r, node, VALUE_TUPLE);
    case NODE_DICT:
        return eval_dict(r, node);
    case NODE_UNARY:
        return value_unary(r, (enum operator)node->op, eval(r, node->a));
    case NODE_NOT:
        return value_bool(!value_truth(eval(r, node->a)));
    case NODE_AND:
        a = eval(r, node->a);
        return value_truth(a) ? eval(r, node->b) : a;
    case NODE_OR:
        a = eval(r, node->a);
        return value_truth(a) ? a : eval(r, node->b);
    case NODE_BINARY:
        a = eval(r, node->a);
        return value_binary(r, (enum operator)node->op, a, eval(r, node->b));
    case NODE_COMPARE:
        return eval_compare(r, node);
    case NODE_CONCAT:
        return eval_concat(r, node);
    case NODE_COND:
        if (value_truth(eval(r, node->b)))
            return eval(r, node->a);
        return node->c != NULL ? eval(r, node->c) : value_undefined(r, UNDEFINED_ELSE, (str){NULL, 0});
    case NODE_ATTRIBUTE: {
        const struct text *name = r->template->names[node->name];
        return value_attribute(r, eval(r, node->a), (str){name->data, name->n}, name);
    }
    case NODE_ITEM:
        return eval_item(r, node);
    case NODE_CALL:
        return eval_call(r, node);
    case NODE_FILTER:
        a = node->a != NULL ? eval(r, node->a) : (struct value){0};
        return eval_filter(r, node, a);
    case NODE_TEST:
        return eval_test_node(r, node);
    case NODE_SLICE: /* One of several subscripts: an item no object has. */
        return value_undefined(r, UNDEFINED_MEMBER, (str){NULL, 0});
    default:
        rendering_fail(r, TEMPLATE_FAILED, "not an expression");
    }
}

struct value eval(struct rendering *r, const struct node *node)
{
    rendering_step(r, 1);
    if (++r->frames > r->max_frames)
        rendering_fail(r, TEMPLATE_LIMIT, "the template nests too deep");
    struct value value = eval_node(r, node);
    r->frames--;
    return value;
}
