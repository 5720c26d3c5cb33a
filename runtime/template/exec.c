/* Executes statements, and keeps the scopes. A for iteration, macro, with, set block, filter block and generation block has
 * a scope of its own; `if` has none. Names are looked up outwards along the lexical chain, then in the context. */
#include "template/rendering.h"

struct scope *scope_push(struct rendering *r, struct scope *parent)
{
    struct scope *scope = rendering_alloc(r, sizeof *scope);
    scope->parent = parent;
    return scope;
}

void scope_set(struct rendering *r, struct scope *scope, int name, struct value value)
{
    for (int i = 0; i < scope->n; i++)
        if (scope->entries[i].name == name) {
            scope->entries[i].value = value;
            return;
        }
    if (scope->n == scope->capacity) {
        int capacity = scope->capacity > 0 ? scope->capacity * 2 : 4;
        struct scope_entry *entries = rendering_array(r, (size_t)capacity, sizeof *entries);
        if (scope->n > 0)
            memcpy(entries, scope->entries, (size_t)scope->n * sizeof *entries);
        scope->entries = entries;
        scope->capacity = capacity;
    }
    scope->entries[scope->n++] = (struct scope_entry){name, value};
}

void scope_keep(struct scope *scope)
{
    for (; scope != NULL && !scope->kept; scope = scope->parent)
        scope->kept = true;
}

static void assign_member(struct rendering *r, const struct node *target, struct value value)
{
    struct node object_node = {.type = NODE_NAME, .name = target->name};
    struct value object = eval(r, &object_node);
    const struct text *name = r->template->names[target->name2];
    if (object.kind != VALUE_NAMESPACE)
        rendering_fail(r, TEMPLATE_FAILED, "cannot assign attribute on non-namespace object");
    if (name->n > 0 && name->data[0] == '_')
        rendering_fail(r, TEMPLATE_FAILED, "a namespace takes no attribute that begins with an underscore");
    dict_set(r, object.dict, value_text(name), value);
}

static void assign_tuple(struct rendering *r, const struct node *target, struct value value)
{
    size_t n = target->list.n;
    struct iter *iter = iter_new(r, value);
    struct value *items = rendering_array(r, n, sizeof *items), extra;
    for (size_t i = 0; i < n; i++)
        if (!iter_next(r, iter, &items[i]))
            rendering_fail(r, TEMPLATE_FAILED, "not enough values to unpack (expected %zu, got %zu)", n, i);
    if (iter_next(r, iter, &extra))
        rendering_fail(r, TEMPLATE_FAILED, "too many values to unpack (expected %zu)", n);
    for (size_t i = 0; i < n; i++)
        exec_assign(r, target->list.items[i], items[i]);
}

void exec_assign(struct rendering *r, const struct node *target, struct value value)
{
    if (target->type == NODE_NAME)
        scope_set(r, r->scope, target->name, value);
    else if (target->type == NODE_MEMBER_TARGET)
        assign_member(r, target, value);
    else
        assign_tuple(r, target, value);
}

/* Runs a body in a scope of its own; its output is left at the end of the output. */
static enum flow exec_scoped(struct rendering *r, const struct node_list *body)
{
    struct scope *outer = r->scope;
    r->scope = scope_push(r, outer);
    enum flow flow = exec_body(r, body);
    r->scope = outer;
    return flow;
}

/* Applies the filters of a set or filter block to its text. */
static struct value filter_captured(struct rendering *r, const struct node *filters, struct value text)
{
    if (filters == NULL)
        return text;
    struct value subject = filter_captured(r, filters->a, text);
    struct args args;
    const struct text *name = r->template->names[filters->name];
    if (filters->native == NULL)
        rendering_fail(r, TEMPLATE_FAILED, "no filter named '%.*s'", name->n > 60 ? 60 : (int)name->n, name->data);
    call_arguments(r, &filters->list, &args);
    return call_native(r, filters->native, subject, &args);
}

static struct value capture(struct rendering *r, const struct node_list *body, enum flow *flow)
{
    size_t mark = rendering_mark(r);
    *flow = exec_scoped(r, body);
    return value_marked(rendering_take(r, mark), r->autoescape ? TEXT_MARKUP : 0);
}

static void output(struct rendering *r, struct value value)
{
    value_print(r, r->autoescape ? text_escape(r, value) : value);
}

static enum flow exec_if(struct rendering *r, const struct node *node)
{
    for (; node != NULL; node = node->c) {
        if (value_truth(eval(r, node->a)))
            return exec_body(r, &node->body);
        if (node->c == NULL)
            return exec_body(r, &node->other);
    }
    return FLOW_NEXT;
}

static enum flow exec_with(struct rendering *r, const struct node *node)
{
    struct scope *outer = r->scope, *inner = scope_push(r, outer);
    for (size_t i = 0; i + 1 < node->list.n; i += 2) {
        struct value value = eval(r, node->list.items[i + 1]);
        r->scope = inner;
        exec_assign(r, node->list.items[i], value);
        r->scope = outer;
    }
    r->scope = inner;
    enum flow flow = exec_body(r, &node->body);
    r->scope = outer;
    return flow;
}

static void exec_macro(struct rendering *r, const struct node *node)
{
    struct macro *macro = rendering_alloc(r, sizeof *macro);
    *macro = (struct macro){node, r->scope, r->autoescape};
    scope_keep(r->scope);
    scope_set(r, r->scope, node->name, (struct value){.kind = VALUE_MACRO, .macro = macro});
}

static void exec_call_block(struct rendering *r, const struct node *node)
{
    struct args args;
    struct macro *caller = rendering_alloc(r, sizeof *caller);
    *caller = (struct macro){node->b, r->scope, r->autoescape};
    scope_keep(r->scope);
    struct value callee = eval(r, node->a->a), caller_value = {.kind = VALUE_MACRO, .macro = caller};
    call_arguments(r, &node->a->list, &args);
    if (callee.kind == VALUE_MACRO) {
        output(r, call_macro(r, callee.macro, &args, caller_value));
        return;
    }
    struct args with_caller = args;
    with_caller.names = rendering_array(r, args.n_named + 1, sizeof *with_caller.names);
    with_caller.named = rendering_array(r, args.n_named + 1, sizeof *with_caller.named);
    for (size_t i = 0; i < args.n_named; i++) {
        with_caller.names[i] = args.names[i];
        with_caller.named[i] = args.named[i];
    }
    with_caller.names[args.n_named] = r->template->names[r->template->name_caller];
    with_caller.named[with_caller.n_named++] = caller_value;
    output(r, call_value(r, callee, &with_caller));
}

static enum flow exec_autoescape(struct rendering *r, const struct node *node)
{
    bool outer = r->autoescape;
    r->autoescape = value_truth(eval(r, node->a));
    enum flow flow = exec_scoped(r, &node->body);
    r->autoescape = outer;
    return flow;
}

static enum flow exec_named_block(struct rendering *r, const struct node *node)
{
    struct scope *outer = r->scope;
    r->scope = scope_push(r, node->flag ? outer : r->root); /* Not scoped: sees the top level only. */
    enum flow flow = exec_body(r, &node->body);
    r->scope = outer;
    return flow;
}

static enum flow exec_node(struct rendering *r, const struct node *node)
{
    enum flow flow = FLOW_NEXT;
    struct value value;
    switch (node->type) {
    case NODE_TEXT:
        rendering_emit(r, value_bytes(node->value));
        break;
    case NODE_OUTPUT:
        for (size_t i = 0; i < node->list.n; i++)
            output(r, eval(r, node->list.items[i]));
        break;
    case NODE_IF:
        return exec_if(r, node);
    case NODE_FOR:
        return exec_for(r, node, eval(r, node->b), r->scope, 0);
    case NODE_SET:
        exec_assign(r, node->a, eval(r, node->b));
        break;
    case NODE_SET_BLOCK:
        value = filter_captured(r, node->b, capture(r, &node->body, &flow));
        if (flow == FLOW_NEXT)
            exec_assign(r, node->a, value);
        break;
    case NODE_WITH:
        return exec_with(r, node);
    case NODE_MACRO:
        exec_macro(r, node);
        break;
    case NODE_CALL_BLOCK:
        exec_call_block(r, node);
        break;
    case NODE_FILTER_BLOCK:
        value = capture(r, &node->body, &flow);
        if (flow == FLOW_NEXT)
            output(r, filter_captured(r, node->a, value));
        break;
    case NODE_SCOPE:
        return exec_scoped(r, &node->body);
    case NODE_AUTOESCAPE:
        return exec_autoescape(r, node);
    case NODE_BLOCK:
        return exec_named_block(r, node);
    case NODE_BREAK:
        return FLOW_BREAK;
    case NODE_CONTINUE:
        return FLOW_CONTINUE;
    default:
        rendering_fail(r, TEMPLATE_FAILED, "there is nothing to load other templates from");
    }
    return flow;
}

enum flow exec_body(struct rendering *r, const struct node_list *body)
{
    if (++r->frames > r->max_frames)
        rendering_fail(r, TEMPLATE_LIMIT, "the template nests too deep");
    enum flow flow = FLOW_NEXT;
    for (size_t i = 0; i < body->n && flow == FLOW_NEXT; i++) {
        rendering_step(r, 1);
        flow = exec_node(r, body->items[i]);
    }
    r->frames--;
    return flow;
}
