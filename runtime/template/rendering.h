/* One rendering: its memory, its bounds, its output, and the calls between the parts of the interpreter.
 *
 * A failure anywhere leaves by rendering_fail (a longjmp to template_render): everything a rendering owns is in its arena
 * and its output buffer, so nothing is left behind. Text is built at the end of the output buffer and cut off again
 * (rendering_mark, rendering_take), which makes captures free of further buffers. */
#ifndef WEIR_TEMPLATE_RENDERING_H
#define WEIR_TEMPLATE_RENDERING_H

#include <setjmp.h>

#include "template/ast.h"

struct scope_entry {
    int name;
    struct value value;
};

/* Variables of a block; found from the inside out. */
struct scope {
    struct scope *parent;
    struct scope_entry *entries;
    int n, capacity;
    bool kept; /* A macro or caller remembers it: it is not used again. */
};

struct rendering {
    const struct chat_template *template;
    const json_t *context;
    struct value *context_values; /* One a name; MISSING: not looked up yet. */
    struct arena arena;
    struct buffer out;
    struct scope *scope;
    struct scope *root;
    bool autoescape;
    size_t steps, max_steps;
    int depth, max_depth;      /* Macro calls, recursive loops, nested values. */
    int frames, max_frames;    /* Nested evaluations: what bounds the C stack. */
    int64_t now_unix;
    enum template_failure failure;
    struct error error;
    struct buffer *message;
    jmp_buf escape;
};

_Noreturn void rendering_fail(struct rendering *r, enum template_failure failure, const char *format, ...) WEIR_PRINTF(3, 4);
/* The same with a whole text (raise_exception). */
_Noreturn void rendering_raise(struct rendering *r, str message);
void *rendering_alloc(struct rendering *r, size_t n_bytes);
void *rendering_array(struct rendering *r, size_t n, size_t size);
/* Counts work; a limit failure past the bound. */
static inline void rendering_step(struct rendering *r, size_t n)
{
    r->steps += n;
    if (__builtin_expect(r->steps > r->max_steps, 0))
        rendering_fail(r, TEMPLATE_LIMIT, "the template takes more than %zu steps", r->max_steps);
}
static inline void rendering_deeper(struct rendering *r)
{
    if (++r->depth > r->max_depth)
        rendering_fail(r, TEMPLATE_LIMIT, "the template nests deeper than %d", r->max_depth);
}
static inline void rendering_shallower(struct rendering *r)
{
    r->depth--;
}
void rendering_emit(struct rendering *r, str s);
void rendering_emit_char(struct rendering *r, uint32_t code_point);
void rendering_emit_fill(struct rendering *r, str pattern, int64_t count); /* Nothing for a negative count. */
static inline size_t rendering_mark(const struct rendering *r)
{
    return r->out.n;
}
/* What was written since the mark, as a text value, and off the output. */
struct value rendering_take(struct rendering *r, size_t mark);

/* Arguments of a call. */
struct args {
    struct value *positional;
    size_t n;
    const struct text **names;
    struct value *named;
    size_t n_named;
};

/* A filter, test, method or global. params: names separated by blanks, "-name" for positional only; NULL: takes whatever
 * comes and looks at args itself. bound[i] is MISSING where not given. */
typedef struct value native_fn(struct rendering *r, struct value self, const struct args *args, const struct value *bound);
struct native {
    const char *name;
    const char *params;
    int required;
    native_fn *fn;
};
enum { NATIVE_MAX_PARAMS = 8 };

const struct native *filter_find(str name);
const struct native *test_find(str name);
const struct native *global_find(str name);
const struct native *method_find(enum value_kind kind, str name);
const struct native *native_find(const struct native *table, str name); /* Table ended by a NULL name. */

struct method {
    struct value self;
    const struct native *native;
};

struct macro {
    const struct node *node;
    struct scope *scope;
    bool autoescape;
};

struct loop {
    const struct node *node;
    struct scope *scope; /* Where the for stands. */
    struct iter *iter;
    int64_t length;      /* -1: not known yet. */
    int64_t index0;
    struct value before, current, after;
    bool has_after;
    int64_t depth0;
    struct value changed; /* MISSING before the first. */
};

/* eval.c */
struct value eval(struct rendering *r, const struct node *node);
bool eval_test(struct rendering *r, const struct native *native, struct value self, const struct args *args);
/* exec.c */
enum flow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE };
enum flow exec_body(struct rendering *r, const struct node_list *body);
void exec_assign(struct rendering *r, const struct node *target, struct value value);
struct scope *scope_push(struct rendering *r, struct scope *parent);
void scope_set(struct rendering *r, struct scope *scope, int name, struct value value);
void scope_keep(struct scope *scope);
/* loop.c */
enum flow exec_for(struct rendering *r, const struct node *node, struct value iterable, struct scope *scope, int64_t depth0);
struct value loop_attribute(struct rendering *r, struct loop *loop, str name);
extern const struct native loop_methods[];
/* call.c */
struct value call_value(struct rendering *r, struct value callee, const struct args *args);
struct value call_native(struct rendering *r, const struct native *native, struct value self, const struct args *args);
struct value call_macro(struct rendering *r, struct macro *macro, const struct args *args, struct value caller);
void call_arguments(struct rendering *r, const struct node_list *list, struct args *out);
/* Tables */
extern const struct native filters_text[], filters_sequence[], filters_number[], filters_select[];
extern const struct native methods_text[], methods_text_split[], methods_container[];
struct value make_attribute_path(struct rendering *r, struct value object, struct value path); /* 'a.b.0' of map(attribute=). */
struct value global_strftime(struct rendering *r, str format);

#endif
