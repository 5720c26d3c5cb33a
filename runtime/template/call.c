/* Calls: arguments, native functions by their parameter lists, macros. */
#include "template/rendering.h"

static void args_add_named(struct rendering *r, struct args *args, const struct text *name, struct value value)
{
    for (size_t i = 0; i < args->n_named; i++)
        if (str_equal((str){args->names[i]->data, args->names[i]->n}, (str){name->data, name->n}))
            rendering_fail(r, TEMPLATE_FAILED, "a keyword argument is given twice");
    args->names[args->n_named] = name;
    args->named[args->n_named++] = value;
}

void call_arguments(struct rendering *r, const struct node_list *list, struct args *out)
{
    *out = (struct args){0};
    if (list->n == 0)
        return;
    size_t n_named = 0, n_positional = 0;
    struct value *values = rendering_array(r, list->n, sizeof *values);
    for (size_t i = 0; i < list->n; i++) {
        const struct node *node = list->items[i];
        bool wrapped = node->type == NODE_KEYWORD || node->type == NODE_SPLAT || node->type == NODE_SPLAT2;
        values[i] = eval(r, wrapped ? node->a : node);
        if (node->type == NODE_SPLAT) {
            values[i] = value_collect(r, values[i], VALUE_LIST);
            n_positional += values[i].list->n;
        } else if (node->type == NODE_SPLAT2) {
            if (values[i].kind != VALUE_DICT)
                rendering_fail(r, TEMPLATE_FAILED, "argument after ** must be a mapping, not %s", value_type(values[i]));
            n_named += values[i].dict->n;
        } else if (node->type == NODE_KEYWORD) {
            n_named++;
        } else {
            n_positional++;
        }
    }
    out->positional = rendering_array(r, n_positional, sizeof *out->positional);
    out->names = rendering_array(r, n_named, sizeof *out->names);
    out->named = rendering_array(r, n_named, sizeof *out->named);
    for (size_t i = 0; i < list->n; i++) {
        const struct node *node = list->items[i];
        if (node->type == NODE_KEYWORD) {
            args_add_named(r, out, r->template->names[node->name], values[i]);
        } else if (node->type == NODE_SPLAT) {
            for (size_t k = 0; k < values[i].list->n; k++)
                out->positional[out->n++] = values[i].list->items[k];
        } else if (node->type == NODE_SPLAT2) {
            for (size_t k = 0; k < values[i].dict->n; k++) {
                if (values[i].dict->entries[k].key.kind != VALUE_TEXT)
                    rendering_fail(r, TEMPLATE_FAILED, "keywords must be strings");
                args_add_named(r, out, values[i].dict->entries[k].key.text, values[i].dict->entries[k].value);
            }
        } else {
            out->positional[out->n++] = values[i];
        }
    }
}

/* The number of a parameter called `name`, or -1. */
static int parameter_index(const char *params, str name)
{
    str rest = str_of(params), one;
    for (int i = 0; str_split(&rest, ' ', &one); i++)
        if (str_equal(one, name))
            return i;
    return -1;
}

static int parameter_count(const char *params)
{
    int n = params[0] != '\0';
    for (const char *c = params; *c != '\0'; c++)
        n += *c == ' ';
    return n;
}

struct value call_native(struct rendering *r, const struct native *native, struct value self, const struct args *args)
{
    struct value bound[NATIVE_MAX_PARAMS] = {0};
    rendering_step(r, 1);
    if (native->params == NULL)
        return native->fn(r, self, args, bound);
    int n = parameter_count(native->params);
    if (args->n > (size_t)n)
        rendering_fail(r, TEMPLATE_FAILED, "%s() takes at most %d arguments (%zu given)", native->name, n, args->n);
    for (size_t i = 0; i < args->n; i++)
        bound[i] = args->positional[i];
    for (size_t i = 0; i < args->n_named; i++) {
        str name = {args->names[i]->data, args->names[i]->n};
        int at = parameter_index(native->params, name);
        if (at < 0)
            rendering_fail(r, TEMPLATE_FAILED, "%s() has no keyword argument '%.*s'", native->name, name.n > 60 ? 60 : (int)name.n, name.data);
        if (bound[at].kind != VALUE_MISSING)
            rendering_fail(r, TEMPLATE_FAILED, "%s() got multiple values for argument '%.*s'", native->name, name.n > 60 ? 60 : (int)name.n, name.data);
        bound[at] = args->named[i];
    }
    for (int i = 0; i < native->required; i++)
        if (bound[i].kind == VALUE_MISSING)
            rendering_fail(r, TEMPLATE_FAILED, "%s() is missing a required argument", native->name);
    return native->fn(r, self, args, bound);
}

static const struct value *named_argument(const struct args *args, const struct text *name)
{
    for (size_t i = 0; i < args->n_named; i++)
        if (str_equal((str){args->names[i]->data, args->names[i]->n}, (str){name->data, name->n}))
            return &args->named[i];
    return NULL;
}

static bool is_parameter(const struct rendering *r, const struct node *macro, const struct text *name)
{
    for (size_t i = 0; i < macro->list.n; i++) {
        const struct text *own = r->template->names[macro->list.items[i]->name];
        if (str_equal((str){own->data, own->n}, (str){name->data, name->n}))
            return true;
    }
    return false;
}

/* Binds what the parameters did not take: varargs, kwargs, caller. */
static void bind_rest(struct rendering *r, struct macro *macro, const struct args *args, struct value caller, struct scope *scope)
{
    const struct node *node = macro->node;
    const struct chat_template *t = r->template;
    const struct text *name = t->names[node->name], *caller_name = t->names[t->name_caller];
    struct value kwargs = {0};
    if ((node->flag & MACRO_KWARGS) != 0)
        kwargs = dict_new(r, VALUE_DICT);
    for (size_t i = 0; i < args->n_named; i++) {
        if (is_parameter(r, node, args->names[i]))
            continue;
        if ((node->flag & MACRO_CALLER) != 0 && str_equal((str){args->names[i]->data, args->names[i]->n}, (str){caller_name->data, caller_name->n})) {
            caller = args->named[i];
            continue;
        }
        if (kwargs.kind == VALUE_MISSING)
            rendering_fail(r, TEMPLATE_FAILED, "macro '%.*s' takes no keyword argument '%.*s'", name->n > 60 ? 60 : (int)name->n, name->data,
                           args->names[i]->n > 60 ? 60 : (int)args->names[i]->n, args->names[i]->data);
        dict_set(r, kwargs.dict, value_text(args->names[i]), args->named[i]);
    }
    if (kwargs.kind != VALUE_MISSING)
        scope_set(r, scope, t->name_kwargs, kwargs);
    if (caller.kind != VALUE_MISSING && (node->flag & MACRO_CALLER) == 0) {
        if (kwargs.kind == VALUE_MISSING)
            rendering_fail(r, TEMPLATE_FAILED, "macro '%.*s' does not call its caller", name->n > 60 ? 60 : (int)name->n, name->data);
        dict_set(r, kwargs.dict, value_text(caller_name), caller);
    }
    if ((node->flag & MACRO_CALLER) != 0 && ((node->flag & MACRO_EXPLICIT_CALLER) == 0 || caller.kind != VALUE_MISSING))
        scope_set(r, scope, t->name_caller, caller.kind != VALUE_MISSING ? caller : value_undefined(r, UNDEFINED_NAME, STR("caller")));
    size_t n = node->list.n;
    if ((node->flag & MACRO_VARARGS) != 0) {
        struct value rest = value_list_new(r, VALUE_TUPLE, args->n > n ? args->n - n : 0);
        for (size_t i = n; i < args->n; i++)
            rest.list->items[i - n] = args->positional[i];
        scope_set(r, scope, t->name_varargs, rest);
    } else if (args->n > n) {
        rendering_fail(r, TEMPLATE_FAILED, "macro '%.*s' takes not more than %zu argument(s)", name->n > 60 ? 60 : (int)name->n, name->data, n);
    }
}

/* Calls nested too deep fail as they do in the reference, where the interpreter's recursion limit ends them. */
static void enter_call(struct rendering *r)
{
    if (++r->depth > r->max_depth)
        rendering_fail(r, TEMPLATE_FAILED, "maximum recursion depth exceeded");
}

struct value call_macro(struct rendering *r, struct macro *macro, const struct args *args, struct value caller)
{
    const struct node *node = macro->node;
    struct scope *outer = r->scope, *own = scope_push(r, macro->scope);
    bool autoescape = r->autoescape;
    enter_call(r);
    bool *given = rendering_array(r, node->list.n, sizeof *given);
    for (size_t i = 0; i < node->list.n; i++) {
        const struct text *name = r->template->names[node->list.items[i]->name];
        const struct value *named = named_argument(args, name);
        given[i] = i < args->n || named != NULL;
        if (i < args->n && named != NULL)
            rendering_fail(r, TEMPLATE_FAILED, "macro parameter '%.*s' is given twice", name->n > 60 ? 60 : (int)name->n, name->data);
        scope_set(r, own, node->list.items[i]->name, i < args->n ? args->positional[i] : named != NULL ? *named
                  : (struct value){.kind = VALUE_UNDEFINED, .mark = UNDEFINED_PARAMETER, .text = name});
    }
    bind_rest(r, macro, args, caller, own);
    r->scope = own;
    r->autoescape = macro->autoescape;
    for (size_t i = 0; i < node->list.n; i++) /* Defaults see the parameters before them. */
        if (!given[i] && node->list.items[i]->a != NULL)
            scope_set(r, own, node->list.items[i]->name, eval(r, node->list.items[i]->a));
    size_t mark = rendering_mark(r);
    (void)exec_body(r, &node->body);
    struct value text = value_marked(rendering_take(r, mark), r->autoescape ? TEXT_MARKUP : 0);
    r->scope = outer;
    r->autoescape = autoescape;
    rendering_shallower(r);
    return text;
}

/* loop(items): the loop once more, over other items. */
static struct value call_loop(struct rendering *r, struct loop *loop, const struct args *args)
{
    if (!loop->node->flag)
        rendering_fail(r, TEMPLATE_FAILED, "the loop must have the 'recursive' marker to be called");
    if (args->n != 1 || args->n_named > 0)
        rendering_fail(r, TEMPLATE_FAILED, "loop() takes one argument");
    enter_call(r);
    size_t mark = rendering_mark(r);
    (void)exec_for(r, loop->node, args->positional[0], loop->scope, loop->depth0 + 1);
    rendering_shallower(r);
    return value_marked(rendering_take(r, mark), r->autoescape ? TEXT_MARKUP : 0);
}

static struct value call_block(struct rendering *r, const struct node *block)
{
    struct scope *outer = r->scope;
    enter_call(r);
    size_t mark = rendering_mark(r);
    r->scope = scope_push(r, r->root);
    (void)exec_body(r, &block->body);
    r->scope = outer;
    rendering_shallower(r);
    return value_marked(rendering_take(r, mark), r->autoescape ? TEXT_MARKUP : 0);
}

struct value call_value(struct rendering *r, struct value callee, const struct args *args)
{
    switch (callee.kind) {
    case VALUE_NATIVE:
        return call_native(r, callee.native, (struct value){0}, args);
    case VALUE_METHOD:
        return call_native(r, callee.method->native, callee.method->self, args);
    case VALUE_MACRO:
        return call_macro(r, callee.macro, args, (struct value){0});
    case VALUE_LOOP:
        return call_loop(r, callee.loop, args);
    case VALUE_BLOCK:
        return call_block(r, callee.block);
    case VALUE_JOINER:
        if (!callee.joiner->used) {
            callee.joiner->used = true;
            return value_text_borrow(r, STR(""));
        }
        return callee.joiner->separator;
    case VALUE_UNDEFINED:
        if (callee.text != NULL && callee.mark == UNDEFINED_UNSAFE)
            rendering_fail(r, TEMPLATE_FAILED, "access to attribute '%.*s' is unsafe", callee.text->n > 80 ? 80 : (int)callee.text->n, callee.text->data);
        if (callee.text != NULL)
            rendering_fail(r, TEMPLATE_FAILED, "'%.*s' is undefined and can't be called", callee.text->n > 80 ? 80 : (int)callee.text->n, callee.text->data);
        rendering_fail(r, TEMPLATE_FAILED, "an undefined value is called");
    default:
        rendering_fail(r, TEMPLATE_FAILED, "'%s' object is not callable", value_type(callee));
    }
}
