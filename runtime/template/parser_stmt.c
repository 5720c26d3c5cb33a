/* Statements: what stands between {% and %}, and the text and outputs around them. */
#include "template/rendering.h"

static const char *parse_body(struct parser *p, struct node_list *body, const char *const *ends);

static void expect_block_end(struct parser *p)
{
    if (parser_peek(p)->type != TOKEN_BLOCK_END)
        parser_unexpected(p, "end of statement block");
    parser_take(p);
}

/* Skips the tag's end and parses up to the block that begins with one of `ends` (its name is taken). */
static const char *parse_block(struct parser *p, struct node_list *body, const char *const *ends)
{
    parser_skip_op(p, ":");
    expect_block_end(p);
    return parse_body(p, body, ends);
}

static void parse_block_to(struct parser *p, struct node_list *body, const char *end)
{
    const char *const ends[] = {end, NULL};
    (void)parse_block(p, body, ends);
}

static void check_target(struct parser *p, const struct node *target)
{
    if (target->type == NODE_NAME && target->name == p->template->name_loop)
        p->stored_loop = true;
    if (target->type == NODE_NAME || target->type == NODE_MEMBER_TARGET)
        return;
    if (target->type != NODE_TUPLE)
        parser_fail(p, WEIR_E_INVALID, "can't assign to this expression");
    for (size_t i = 0; i < target->list.n; i++)
        check_target(p, target->list.items[i]);
}

static struct node *parse_target(struct parser *p, const char *end_name, bool members)
{
    unsigned used = p->used;
    struct node *target = parse_tuple(p, true, true, end_name, false, members);
    check_target(p, target);
    p->used = used; /* Assigning to a name is no use of it. */
    return target;
}

static struct node *parse_for(struct parser *p)
{
    static const char *const ends[] = {"endfor", "else", NULL};
    struct node *node = parser_node(p, NODE_FOR);
    bool soft = p->soft, stored = p->stored_loop;
    p->stored_loop = false;
    node->a = parse_target(p, "in", false);
    if (!parser_skip_name(p, "in"))
        parser_unexpected(p, "'in'");
    node->b = parse_tuple(p, false, false, "recursive", false, false);
    p->soft = false;
    if (parser_skip_name(p, "if"))
        node->c = parse_expression(p, true);
    node->flag = parser_skip_name(p, "recursive");
    p->loops++;
    const char *end = parse_block(p, &node->body, ends);
    p->loops--;
    if (strcmp(end, "else") == 0)
        parse_block_to(p, &node->other, "endfor");
    if (p->stored_loop)
        parser_fail(p, WEIR_E_INVALID, "can't assign to the special variable loop inside a loop");
    p->stored_loop = stored;
    p->soft = soft;
    return parser_deepen(p, node);
}

static struct node *parse_if(struct parser *p)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    bool soft = p->soft;
    struct node *first = parser_node(p, NODE_IF), *node = first;
    p->soft = true;
    for (;;) { /* elif branches hang on node->c one after another: no recursion, here or in exec. */
        node->a = parse_tuple(p, false, false, NULL, false, false);
        const char *end = parse_block(p, &node->body, ends);
        if (strcmp(end, "elif") == 0) {
            struct node *next = parser_node(p, NODE_IF);
            parser_deepen(p, node);
            if (node->depth > first->depth)
                first->depth = node->depth;
            node->c = next;
            node = next;
            continue;
        }
        if (strcmp(end, "else") == 0)
            parse_block_to(p, &node->other, "endif");
        break;
    }
    parser_deepen(p, node);
    if (node->depth > first->depth)
        first->depth = node->depth;
    p->soft = soft;
    return first;
}

static struct node *parse_set(struct parser *p)
{
    struct node *node = parser_node(p, NODE_SET);
    node->a = parse_target(p, NULL, true);
    if (parser_skip_op(p, "=")) {
        node->b = parse_tuple(p, false, true, NULL, false, false);
        return parser_deepen(p, node);
    }
    node->type = NODE_SET_BLOCK;
    node->b = parse_filters(p, NULL, false);
    bool soft = p->soft;
    p->soft = false;
    parse_block_to(p, &node->body, "endset");
    p->soft = soft;
    return parser_deepen(p, node);
}

static void parse_signature(struct parser *p, struct node_list *list)
{
    bool defaults = false;
    parser_expect_op(p, "(");
    while (!parser_is_op(p, ")")) {
        if (list->n > 0)
            parser_expect_op(p, ",");
        struct node *parameter = parser_node(p, NODE_NAME);
        parameter->name = parser_name(p, parser_expect_name(p));
        if (parser_skip_op(p, "=")) {
            parameter->a = parse_expression(p, true);
            defaults = true;
        } else if (defaults) {
            parser_fail(p, WEIR_E_INVALID, "a parameter without a default follows one with a default");
        }
        parser_append(p, list, parser_deepen(p, parameter));
    }
    parser_expect_op(p, ")");
}

/* The body of a macro or caller: what it says about loops, soft places and special names is its own. */
static void parse_macro_body(struct parser *p, struct node *macro, const char *end)
{
    bool soft = p->soft, stored = p->stored_loop;
    int loops = p->loops;
    unsigned used = p->used;
    p->soft = false;
    p->loops = 0;
    p->used = 0;
    parse_block_to(p, &macro->body, end);
    macro->flag = (uint8_t)p->used;
    for (size_t i = 0; i < macro->list.n; i++) {
        int name = macro->list.items[i]->name;
        if (name == p->template->name_caller)
            macro->flag |= MACRO_CALLER | MACRO_EXPLICIT_CALLER;
        if (name == p->template->name_kwargs)
            macro->flag &= (uint8_t)~MACRO_KWARGS;
        if (name == p->template->name_varargs)
            macro->flag &= (uint8_t)~MACRO_VARARGS;
    }
    p->used |= used;
    p->loops = loops;
    p->soft = soft;
    p->stored_loop |= stored;
}

static struct node *parse_macro(struct parser *p)
{
    struct node *node = parser_node(p, NODE_MACRO);
    str name = parser_expect_name(p);
    static const char *const constants[] = {"true", "false", "none", "True", "False", "None", NULL};
    for (const char *const *c = constants; *c != NULL; c++)
        if (str_equal(name, str_of(*c)))
            parser_fail(p, WEIR_E_INVALID, "can't assign to %s", *c);
    node->name = parser_name(p, name);
    parse_signature(p, &node->list);
    parse_macro_body(p, node, "endmacro");
    return parser_deepen(p, node);
}

static struct node *parse_call_block(struct parser *p)
{
    struct node *node = parser_node(p, NODE_CALL_BLOCK), *macro = parser_node(p, NODE_MACRO);
    macro->name = p->template->name_caller;
    if (parser_is_op(p, "("))
        parse_signature(p, &macro->list);
    node->a = parse_expression(p, true);
    if (node->a->type != NODE_CALL)
        parser_fail(p, WEIR_E_INVALID, "expected a call");
    parse_macro_body(p, macro, "endcall");
    node->b = parser_deepen(p, macro);
    return parser_deepen(p, node);
}

/* A body with nothing but its tag's argument in front. */
static struct node *parse_scoped(struct parser *p, struct node *node, const char *end)
{
    bool soft = p->soft;
    p->soft = false;
    parse_block_to(p, &node->body, end);
    p->soft = soft;
    return parser_deepen(p, node);
}

static struct node *parse_with(struct parser *p)
{
    struct node *node = parser_node(p, NODE_WITH);
    while (parser_peek(p)->type != TOKEN_BLOCK_END) {
        if (node->list.n > 0)
            parser_expect_op(p, ",");
        parser_append(p, &node->list, parse_target(p, NULL, false));
        parser_expect_op(p, "=");
        parser_append(p, &node->list, parse_expression(p, true));
    }
    return parse_scoped(p, node, "endwith");
}

static struct node *parse_named_block(struct parser *p)
{
    struct node *node = parser_node(p, NODE_BLOCK);
    node->name = parser_name(p, parser_expect_name(p));
    for (size_t i = 0; i < p->template->blocks.n; i++)
        if (p->template->blocks.items[i]->name == node->name)
            parser_fail(p, WEIR_E_INVALID, "a block of this name exists already");
    node->flag = parser_skip_name(p, "scoped");
    if (parser_skip_name(p, "required"))
        parser_fail(p, WEIR_E_UNSUPPORTED, "required blocks need template inheritance");
    if (parser_is_op(p, "-"))
        parser_fail(p, WEIR_E_INVALID, "block names have no hyphens");
    int loops = p->loops;
    p->loops = 0;
    parse_scoped(p, node, "endblock");
    p->loops = loops;
    str name = {p->template->names[node->name]->data, p->template->names[node->name]->n};
    if (parser_peek(p)->type == TOKEN_NAME && str_equal(parser_peek(p)->text, name))
        parser_take(p);
    parser_append(p, &p->template->blocks, node);
    return node;
}

/* include, import, from, extends: parsed for their syntax; there is nothing to load from. */
static struct node *parse_load(struct parser *p, str tag)
{
    struct node *node = parser_node(p, NODE_LOAD);
    parser_append(p, &node->list, parse_expression(p, true));
    if (str_equal(tag, STR("import")) || str_equal(tag, STR("from"))) {
        const char *word = str_equal(tag, STR("import")) ? "as" : "import";
        if (!parser_skip_name(p, word))
            parser_unexpected(p, word);
        (void)parser_expect_name(p);
    }
    while (parser_peek(p)->type == TOKEN_NAME || parser_is_op(p, ","))
        parser_take(p);
    return parser_deepen(p, node);
}

static struct node *parse_print(struct parser *p)
{
    struct node *node = parser_node(p, NODE_OUTPUT);
    while (parser_peek(p)->type != TOKEN_BLOCK_END) {
        if (node->list.n > 0)
            parser_expect_op(p, ",");
        parser_append(p, &node->list, parse_expression(p, true));
    }
    return parser_deepen(p, node);
}

static struct node *parse_jump(struct parser *p, enum node_type type)
{
    if (p->loops == 0)
        p->template->refusal = type == NODE_BREAK ? "'break' outside a loop" : "'continue' outside a loop";
    return parser_node(p, type);
}

static struct node *parse_statement(struct parser *p)
{
    if (parser_peek(p)->type != TOKEN_NAME)
        parser_unexpected(p, "a tag's name");
    str tag = parser_take(p)->text;
    struct node *node;
    if (str_equal(tag, STR("for")))
        return parse_for(p);
    if (str_equal(tag, STR("if")))
        return parse_if(p);
    if (str_equal(tag, STR("set")))
        return parse_set(p);
    if (str_equal(tag, STR("macro")))
        return parse_macro(p);
    if (str_equal(tag, STR("call")))
        return parse_call_block(p);
    if (str_equal(tag, STR("filter"))) {
        node = parser_node(p, NODE_FILTER_BLOCK);
        bool soft = p->soft;
        p->soft = false;
        node->a = parse_filters(p, NULL, true);
        p->soft = soft;
        return parse_scoped(p, node, "endfilter");
    }
    if (str_equal(tag, STR("generation")))
        return parse_scoped(p, parser_node(p, NODE_SCOPE), "endgeneration");
    if (str_equal(tag, STR("with")))
        return parse_with(p);
    if (str_equal(tag, STR("block")))
        return parse_named_block(p);
    if (str_equal(tag, STR("autoescape"))) {
        node = parser_node(p, NODE_AUTOESCAPE);
        node->a = parse_expression(p, true);
        return parse_scoped(p, node, "endautoescape");
    }
    if (str_equal(tag, STR("print")))
        return parse_print(p);
    if (str_equal(tag, STR("break")))
        return parse_jump(p, NODE_BREAK);
    if (str_equal(tag, STR("continue")))
        return parse_jump(p, NODE_CONTINUE);
    if (str_equal(tag, STR("include")) || str_equal(tag, STR("import")) || str_equal(tag, STR("from")) || str_equal(tag, STR("extends")))
        return parse_load(p, tag);
    parser_fail(p, WEIR_E_INVALID, "unknown tag '%.*s'", tag.n > 60 ? 60 : (int)tag.n, tag.data);
}

static struct node *parse_text(struct parser *p)
{
    struct node *node = parser_node(p, NODE_TEXT);
    struct text *text = arena_alloc(&p->template->arena, sizeof *text);
    if (text == NULL)
        parser_fail(p, WEIR_E_LIMIT, "the template is too large");
    str s = parser_take(p)->text;
    *text = (struct text){s.data, s.n, SIZE_MAX};
    node->value = value_text(text);
    return node;
}

static struct node *parse_output(struct parser *p)
{
    parser_take(p);
    struct node *node = parser_node(p, NODE_OUTPUT);
    parser_append(p, &node->list, parse_tuple(p, false, true, NULL, false, false));
    if (parser_peek(p)->type != TOKEN_OUTPUT_END)
        parser_unexpected(p, "end of print statement");
    parser_take(p);
    return parser_deepen(p, node);
}

/* Up to a tag named in `ends`, whose name is taken and returned; NULL ends: up to the end of the template. */
static const char *parse_body(struct parser *p, struct node_list *body, const char *const *ends)
{
    parser_enter(p);
    for (;;) {
        switch (parser_peek(p)->type) {
        case TOKEN_TEXT:
            parser_append(p, body, parse_text(p));
            break;
        case TOKEN_OUTPUT_BEGIN:
            parser_append(p, body, parse_output(p));
            break;
        case TOKEN_BLOCK_BEGIN:
            parser_take(p);
            for (const char *const *end = ends; end != NULL && *end != NULL; end++)
                if (parser_skip_name(p, *end)) {
                    p->nesting--;
                    return *end;
                }
            parser_append(p, body, parse_statement(p));
            expect_block_end(p);
            break;
        default:
            if (ends != NULL)
                parser_fail(p, WEIR_E_INVALID, "the template ends where '%s' was expected", ends[0]);
            p->nesting--;
            return NULL;
        }
    }
}

void parse_template(struct parser *p)
{
    (void)parse_body(p, &p->template->body, NULL);
    if (p->unknown != NULL)
        parser_fail(p, WEIR_E_INVALID, "no %s named '%.*s'", p->unknown, p->unknown_name.n > 60 ? 60 : (int)p->unknown_name.n, p->unknown_name.data);
}
