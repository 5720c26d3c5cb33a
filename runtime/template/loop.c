/* The for statement and its loop variable. Items come one at a time; last, nextitem and the like look one ahead, length
 * reads the rest of what has no length of its own. */
#include "template/rendering.h"

/* The items of a `for … if …` that pass. */
struct filtered {
    const struct node *node;
    struct scope *scope;
    struct iter *source;
};

static bool next_filtered(struct rendering *r, struct iter *iter, struct value *out)
{
    struct filtered *filtered = iter->state;
    struct scope *outer = r->scope, *own = scope_push(r, filtered->scope);
    bool found = false;
    while (!found && iter_next(r, filtered->source, out)) {
        if (own->kept)
            own = scope_push(r, filtered->scope);
        own->n = 0;
        r->scope = own;
        exec_assign(r, filtered->node->a, *out);
        found = value_truth(eval(r, filtered->node->c));
        r->scope = outer;
    }
    return found;
}

static void loop_peek(struct rendering *r, struct loop *loop)
{
    if (loop->after.kind == VALUE_MISSING && !loop->has_after)
        loop->has_after = iter_next(r, loop->iter, &loop->after);
    if (!loop->has_after)
        loop->after = (struct value){0};
}

static int64_t loop_length(struct rendering *r, struct loop *loop)
{
    if (loop->length < 0) {
        struct value rest = iter_collect(r, loop->iter, VALUE_LIST);
        loop->iter = iter_new(r, rest);
        loop->length = (int64_t)rest.list->n + loop->index0 + 1 + loop->has_after;
    }
    return loop->length;
}

struct value loop_attribute(struct rendering *r, struct loop *loop, str name)
{
    if (str_equal(name, STR("index")))
        return value_int(loop->index0 + 1);
    if (str_equal(name, STR("index0")))
        return value_int(loop->index0);
    if (str_equal(name, STR("first")))
        return value_bool(loop->index0 == 0);
    if (str_equal(name, STR("length")))
        return value_int(loop_length(r, loop));
    if (str_equal(name, STR("revindex")))
        return value_int(loop_length(r, loop) - loop->index0);
    if (str_equal(name, STR("revindex0")))
        return value_int(loop_length(r, loop) - loop->index0 - 1);
    if (str_equal(name, STR("depth")))
        return value_int(loop->depth0 + 1);
    if (str_equal(name, STR("depth0")))
        return value_int(loop->depth0);
    if (str_equal(name, STR("previtem")))
        return loop->index0 == 0 ? value_undefined(r, UNDEFINED_EMPTY, (str){NULL, 0}) : loop->before;
    if (str_equal(name, STR("last")) || str_equal(name, STR("nextitem"))) {
        loop_peek(r, loop);
        if (name.data[0] == 'l')
            return value_bool(!loop->has_after);
        return loop->has_after ? loop->after : value_undefined(r, UNDEFINED_EMPTY, (str){NULL, 0});
    }
    return (struct value){0};
}

static struct value loop_cycle(struct rendering *r, struct value self, const struct args *args, const struct value *bound)
{
    if (args->n == 0)
        rendering_fail(r, TEMPLATE_FAILED, "no items for cycling given");
    if (args->n_named > 0)
        rendering_fail(r, TEMPLATE_FAILED, "cycle() takes no keyword arguments");
    return args->positional[self.loop->index0 % (int64_t)args->n];
}

static struct value loop_changed(struct rendering *r, struct value self, const struct args *args, const struct value *bound)
{
    struct value now = value_list_new(r, VALUE_TUPLE, args->n);
    for (size_t i = 0; i < args->n; i++)
        now.list->items[i] = args->positional[i];
    bool changed = self.loop->changed.kind == VALUE_MISSING || !value_equal(r, self.loop->changed, now);
    if (changed)
        self.loop->changed = now;
    return value_bool(changed);
}

const struct native loop_methods[] = {
    {"cycle", NULL, 0, loop_cycle},
    {"changed", NULL, 0, loop_changed},
    {NULL, NULL, 0, NULL},
};

/* Takes the next item; false at the end. */
static bool loop_advance(struct rendering *r, struct loop *loop)
{
    struct value next;
    if (loop->has_after)
        next = loop->after;
    else if (!iter_next(r, loop->iter, &next))
        return false;
    loop->has_after = false;
    loop->after = (struct value){0};
    loop->index0++;
    loop->before = loop->current;
    loop->current = next;
    return true;
}

enum flow exec_for(struct rendering *r, const struct node *node, struct value iterable, struct scope *scope, int64_t depth0)
{
    struct loop *loop = rendering_alloc(r, sizeof *loop);
    struct scope *outer = r->scope, *own = scope_push(r, scope);
    loop->node = node;
    loop->scope = scope;
    loop->index0 = -1;
    loop->depth0 = depth0;
    loop->iter = iter_new(r, iterable);
    loop->length = value_length(iterable);
    if (node->c != NULL) {
        struct filtered *filtered = rendering_alloc(r, sizeof *filtered);
        *filtered = (struct filtered){node, scope, loop->iter};
        loop->iter = iter_value(r, next_filtered, (struct value){0}, filtered).iter;
        loop->length = -1;
    }
    enum flow flow = FLOW_NEXT;
    bool any = false;
    while (flow != FLOW_BREAK && loop_advance(r, loop)) {
        if (own->kept)
            own = scope_push(r, scope);
        own->n = 0;
        r->scope = own;
        scope_set(r, own, r->template->name_loop, (struct value){.kind = VALUE_LOOP, .loop = loop});
        exec_assign(r, node->a, loop->current);
        flow = exec_body(r, &node->body);
        r->scope = outer;
        any |= flow != FLOW_BREAK && flow != FLOW_CONTINUE;
    }
    if (any || node->other.n == 0)
        return FLOW_NEXT;
    r->scope = scope_push(r, scope);
    flow = exec_body(r, &node->other);
    r->scope = outer;
    return flow;
}
