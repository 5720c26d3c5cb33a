/* Expressions, in the reference's order of binding: `if`, or, and, not, comparisons, + -, ~, * / // %, unary signs (which
 * bind tighter than ** and filters), then what follows a value: .name, [index], (call), |filter, is test. */
#include "template/rendering.h"

static struct node *parse_postfix(struct parser *p, struct node *node);
static struct node *parse_unary(struct parser *p, bool with_filter);

static struct node *binary(struct parser *p, enum node_type type, int op, struct node *a, struct node *b)
{
    struct node *node = parser_node(p, type);
    node->op = (uint8_t)op;
    node->a = a;
    node->b = b;
    return parser_deepen(p, node);
}

static struct node *constant(struct parser *p, struct value value)
{
    struct node *node = parser_node(p, NODE_CONST);
    node->value = value;
    return node;
}

static struct node *constant_text(struct parser *p, str s)
{
    struct text *text = arena_alloc(&p->template->arena, sizeof *text);
    if (text == NULL)
        parser_fail(p, WEIR_E_LIMIT, "the template is too large");
    *text = (struct text){s.data, s.n, SIZE_MAX};
    (void)text_length(text);
    return constant(p, value_text(text));
}

/* Adjacent strings are one. */
static struct node *parse_string(struct parser *p)
{
    str whole = parser_take(p)->text;
    while (parser_peek(p)->type == TOKEN_STRING) {
        str more = parser_take(p)->text;
        char *joined = arena_alloc(&p->template->arena, whole.n + more.n + 1);
        if (joined == NULL || whole.n + more.n > TEMPLATE_MAX_SOURCE)
            parser_fail(p, WEIR_E_LIMIT, "the template is too large");
        memcpy(joined, whole.data, whole.n);
        memcpy(joined + whole.n, more.data, more.n);
        whole = (str){joined, whole.n + more.n};
    }
    return constant_text(p, whole);
}

static struct node *parse_name(struct parser *p)
{
    str name = parser_take(p)->text;
    if (str_equal(name, STR("true")) || str_equal(name, STR("True")))
        return constant(p, value_bool(true));
    if (str_equal(name, STR("false")) || str_equal(name, STR("False")))
        return constant(p, value_bool(false));
    if (str_equal(name, STR("none")) || str_equal(name, STR("None")))
        return constant(p, value_none());
    struct node *node = parser_node(p, NODE_NAME);
    node->name = parser_name(p, name);
    if (node->name == p->template->name_caller)
        p->used |= MACRO_CALLER;
    if (node->name == p->template->name_kwargs)
        p->used |= MACRO_KWARGS;
    if (node->name == p->template->name_varargs)
        p->used |= MACRO_VARARGS;
    return node;
}

static struct node *parse_list(struct parser *p)
{
    struct node *node = parser_node(p, NODE_LIST);
    parser_expect_op(p, "[");
    while (!parser_is_op(p, "]")) {
        if (node->list.n > 0)
            parser_expect_op(p, ",");
        if (parser_is_op(p, "]"))
            break;
        parser_append(p, &node->list, parse_expression(p, true));
    }
    parser_expect_op(p, "]");
    return parser_deepen(p, node);
}

static struct node *parse_dict(struct parser *p)
{
    struct node *node = parser_node(p, NODE_DICT);
    parser_expect_op(p, "{");
    while (!parser_is_op(p, "}")) {
        if (node->list.n > 0)
            parser_expect_op(p, ",");
        if (parser_is_op(p, "}"))
            break;
        parser_append(p, &node->list, parse_expression(p, true));
        parser_expect_op(p, ":");
        parser_append(p, &node->list, parse_expression(p, true));
    }
    parser_expect_op(p, "}");
    return parser_deepen(p, node);
}

struct node *parse_primary(struct parser *p)
{
    const struct token *token = parser_peek(p);
    struct node *node;
    parser_enter(p);
    switch (token->type) {
    case TOKEN_NAME:
        node = parse_name(p);
        break;
    case TOKEN_STRING:
        node = parse_string(p);
        break;
    case TOKEN_INTEGER:
        node = constant(p, value_int(parser_take(p)->integer));
        break;
    case TOKEN_FLOAT:
        node = constant(p, value_float(parser_take(p)->real));
        break;
    default:
        if (parser_is_op(p, "[")) {
            node = parse_list(p);
        } else if (parser_is_op(p, "{")) {
            node = parse_dict(p);
        } else if (parser_skip_op(p, "(")) {
            node = parse_tuple(p, false, true, NULL, true, false);
            parser_expect_op(p, ")");
        } else {
            parser_unexpected(p, "an expression");
        }
    }
    p->nesting--;
    return node;
}

static bool tuple_ends(struct parser *p, const char *end_name)
{
    const struct token *token = parser_peek(p);
    return token->type == TOKEN_OUTPUT_END || token->type == TOKEN_BLOCK_END || parser_is_op(p, ")") ||
           (end_name != NULL && parser_is_name(p, end_name));
}

/* A target of the form name.member, on the left of a set. */
static struct node *parse_member_target(struct parser *p)
{
    const struct token *next = parser_peek_next(p);
    if (parser_peek(p)->type != TOKEN_NAME || next->type != TOKEN_OPERATOR || strcmp(next->op, ".") != 0)
        return parse_primary(p);
    struct node *node = parser_node(p, NODE_MEMBER_TARGET);
    node->name = parser_name(p, parser_take(p)->text);
    parser_take(p);
    node->name2 = parser_name(p, parser_expect_name(p));
    return node;
}

struct node *parse_tuple(struct parser *p, bool simplified, bool with_cond, const char *end_name, bool parenthesised, bool members)
{
    struct node *tuple = NULL, *first = NULL;
    while (!tuple_ends(p, end_name)) {
        struct node *item = members ? parse_member_target(p) : simplified ? parse_primary(p) : parse_expression(p, with_cond);
        if (first == NULL)
            first = item;
        else
            parser_append(p, &tuple->list, item);
        if (!parser_is_op(p, ","))
            break;
        parser_take(p);
        if (tuple == NULL) {
            tuple = parser_node(p, NODE_TUPLE);
            parser_append(p, &tuple->list, first);
        }
    }
    if (tuple != NULL)
        return parser_deepen(p, tuple);
    if (first != NULL)
        return first;
    if (!parenthesised)
        parser_unexpected(p, "an expression");
    return parser_node(p, NODE_TUPLE);
}

static void parse_arguments(struct parser *p, struct node_list *list)
{
    bool keywords = false, splat = false, splat2 = false;
    parser_expect_op(p, "(");
    for (size_t n = 0; !parser_is_op(p, ")"); n++) {
        if (n > 0)
            parser_expect_op(p, ",");
        if (parser_is_op(p, ")"))
            break;
        struct node *node;
        const struct token *next = parser_peek_next(p);
        bool keyword = parser_peek(p)->type == TOKEN_NAME && next->type == TOKEN_OPERATOR && strcmp(next->op, "=") == 0;
        bool star = parser_is_op(p, "*"), star2 = parser_is_op(p, "**");
        if (splat2 || (star && splat) || (!star && !star2 && !keyword && (splat || keywords)))
            parser_fail(p, WEIR_E_INVALID, "invalid syntax for a call");
        if (star || star2) {
            parser_take(p);
            node = parser_node(p, star ? NODE_SPLAT : NODE_SPLAT2);
            splat |= star;
            splat2 |= star2;
        } else if (keyword) {
            node = parser_node(p, NODE_KEYWORD);
            node->name = parser_name(p, parser_take(p)->text);
            parser_take(p);
            keywords = true;
        } else {
            parser_append(p, list, parse_expression(p, true));
            continue;
        }
        node->a = parse_expression(p, true);
        parser_append(p, list, parser_deepen(p, node));
    }
    parser_expect_op(p, ")");
}

static struct node *parse_call(struct parser *p, struct node *callee)
{
    struct node *node = parser_node(p, NODE_CALL);
    node->a = callee;
    parse_arguments(p, &node->list);
    return parser_deepen(p, node);
}

/* One part of a subscript: an expression, or a slice. */
static struct node *parse_subscribed(struct parser *p)
{
    struct node *parts[3] = {NULL, NULL, NULL};
    if (!parser_is_op(p, ":")) {
        parts[0] = parse_expression(p, true);
        if (!parser_is_op(p, ":"))
            return parts[0];
    }
    parser_take(p);
    for (int i = 1; i < 3; i++) {
        if (!parser_is_op(p, ":") && !parser_is_op(p, "]") && !parser_is_op(p, ","))
            parts[i] = parse_expression(p, true);
        if (i == 1 && !parser_skip_op(p, ":"))
            break;
    }
    struct node *slice = parser_node(p, NODE_SLICE);
    slice->a = parts[0];
    slice->b = parts[1];
    slice->c = parts[2];
    return parser_deepen(p, slice);
}

static struct node *parse_subscript(struct parser *p, struct node *object)
{
    if (parser_skip_op(p, ".")) {
        const struct token *token = parser_peek(p);
        struct node *node = parser_node(p, token->type == TOKEN_NAME ? NODE_ATTRIBUTE : NODE_ITEM);
        node->a = object;
        if (token->type == TOKEN_NAME)
            node->name = parser_name(p, parser_take(p)->text);
        else if (token->type == TOKEN_INTEGER)
            node->b = constant(p, value_int(parser_take(p)->integer));
        else
            parser_unexpected(p, "a name or number");
        return parser_deepen(p, node);
    }
    parser_expect_op(p, "[");
    struct node *node = parser_node(p, NODE_ITEM), *tuple = NULL;
    node->a = object;
    for (size_t n = 0; !parser_is_op(p, "]"); n++) {
        if (n > 0)
            parser_expect_op(p, ",");
        struct node *part = parse_subscribed(p);
        if (n == 0)
            node->b = part;
        if (n == 1) {
            tuple = parser_node(p, NODE_TUPLE);
            parser_append(p, &tuple->list, node->b);
        }
        if (n >= 1)
            parser_append(p, &tuple->list, part);
    }
    parser_expect_op(p, "]");
    if (tuple != NULL)
        node->b = parser_deepen(p, tuple);
    if (node->b == NULL)
        node->b = parser_node(p, NODE_TUPLE);
    return parser_deepen(p, node);
}

static struct node *parse_postfix(struct parser *p, struct node *node)
{
    for (;;) {
        if (parser_is_op(p, ".") || parser_is_op(p, "["))
            node = parse_subscript(p, node);
        else if (parser_is_op(p, "("))
            node = parse_call(p, node);
        else
            return node;
    }
}

/* The name of a filter or test, which may have dots. */
static str parse_dotted(struct parser *p)
{
    str name = parser_expect_name(p);
    while (parser_skip_op(p, ".")) {
        str more = parser_expect_name(p);
        char *joined = arena_printf(&p->template->arena, STR_FMT "." STR_FMT, STR_ARG(name), STR_ARG(more));
        if (joined == NULL)
            parser_fail(p, WEIR_E_LIMIT, "the template is too large");
        name = str_of(joined);
    }
    return name;
}

static void note_unknown(struct parser *p, struct node *node, const char *what, str name)
{
    node->name = parser_name(p, name);
    if (node->native != NULL || p->soft || p->unknown != NULL)
        return;
    p->unknown = what;
    p->unknown_name = name;
}

struct node *parse_filters(struct parser *p, struct node *node, bool start_inline)
{
    while (start_inline || parser_skip_op(p, "|")) {
        start_inline = false;
        struct node *filter = parser_node(p, NODE_FILTER);
        str name = parse_dotted(p);
        filter->a = node;
        filter->native = filter_find(name);
        note_unknown(p, filter, "filter", name);
        if (parser_is_op(p, "("))
            parse_arguments(p, &filter->list);
        node = parser_deepen(p, filter);
    }
    return node;
}

static bool test_argument_begins(struct parser *p)
{
    const struct token *token = parser_peek(p);
    if (token->type == TOKEN_NAME)
        return !parser_is_name(p, "else") && !parser_is_name(p, "or") && !parser_is_name(p, "and");
    return token->type == TOKEN_STRING || token->type == TOKEN_INTEGER || token->type == TOKEN_FLOAT || parser_is_op(p, "[") ||
           parser_is_op(p, "{");
}

static struct node *parse_test(struct parser *p, struct node *object)
{
    parser_take(p);
    bool negated = parser_skip_name(p, "not");
    struct node *test = parser_node(p, NODE_TEST);
    str name = parse_dotted(p);
    test->a = object;
    test->native = test_find(name);
    note_unknown(p, test, "test", name);
    if (parser_is_op(p, "(")) {
        parse_arguments(p, &test->list);
    } else if (test_argument_begins(p)) {
        if (parser_is_name(p, "is"))
            parser_fail(p, WEIR_E_INVALID, "tests with `is` can't be chained");
        parser_append(p, &test->list, parse_postfix(p, parse_primary(p)));
    }
    parser_deepen(p, test);
    return negated ? binary(p, NODE_NOT, 0, test, NULL) : test;
}

static struct node *parse_filter_expr(struct parser *p, struct node *node)
{
    for (;;) {
        if (parser_is_op(p, "|"))
            node = parse_filters(p, node, false);
        else if (parser_is_name(p, "is"))
            node = parse_test(p, node);
        else if (parser_is_op(p, "("))
            node = parse_call(p, node);
        else
            return node;
    }
}

static struct node *parse_unary(struct parser *p, bool with_filter)
{
    struct node *node;
    parser_enter(p);
    if (parser_skip_op(p, "-"))
        node = binary(p, NODE_UNARY, OP_NEG, parse_unary(p, false), NULL);
    else if (parser_skip_op(p, "+"))
        node = binary(p, NODE_UNARY, OP_POS, parse_unary(p, false), NULL);
    else
        node = parse_primary(p);
    node = parse_postfix(p, node);
    p->nesting--;
    return with_filter ? parse_filter_expr(p, node) : node;
}

static struct node *parse_power(struct parser *p)
{
    struct node *node = parse_unary(p, true);
    while (parser_skip_op(p, "**"))
        node = binary(p, NODE_BINARY, OP_POW, node, parse_unary(p, true));
    return node;
}

static struct node *parse_product(struct parser *p)
{
    struct node *node = parse_power(p);
    for (;;) {
        int op = parser_is_op(p, "*") ? OP_MUL : parser_is_op(p, "/") ? OP_DIV : parser_is_op(p, "//") ? OP_FLOORDIV : parser_is_op(p, "%") ? OP_MOD : -1;
        if (op < 0)
            return node;
        parser_take(p);
        node = binary(p, NODE_BINARY, op, node, parse_power(p));
    }
}

static struct node *parse_concat(struct parser *p)
{
    struct node *first = parse_product(p);
    if (!parser_is_op(p, "~"))
        return first;
    struct node *node = parser_node(p, NODE_CONCAT);
    parser_append(p, &node->list, first);
    while (parser_skip_op(p, "~"))
        parser_append(p, &node->list, parse_product(p));
    return parser_deepen(p, node);
}

static struct node *parse_sum(struct parser *p)
{
    struct node *node = parse_concat(p);
    for (;;) {
        int op = parser_is_op(p, "+") ? OP_ADD : parser_is_op(p, "-") ? OP_SUB : -1;
        if (op < 0)
            return node;
        parser_take(p);
        node = binary(p, NODE_BINARY, op, node, parse_concat(p));
    }
}

/* The comparison operator here, taken; or -1. */
static int take_comparison(struct parser *p)
{
    static const struct {
        const char *text;
        int op;
    } operators[] = {{"==", OP_EQ}, {"!=", OP_NE}, {"<", OP_LT}, {"<=", OP_LE}, {">", OP_GT}, {">=", OP_GE}};
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (parser_skip_op(p, operators[i].text))
            return operators[i].op;
    if (parser_skip_name(p, "in"))
        return OP_IN;
    const struct token *next = parser_peek_next(p);
    if (parser_is_name(p, "not") && next->type == TOKEN_NAME && str_equal(next->text, STR("in"))) {
        parser_take(p);
        parser_take(p);
        return OP_NOT_IN;
    }
    return -1;
}

static struct node *parse_comparison(struct parser *p)
{
    struct node *first = parse_sum(p), *node = NULL;
    int op;
    while ((op = take_comparison(p)) >= 0) {
        if (node == NULL) {
            node = parser_node(p, NODE_COMPARE);
            node->a = first;
        }
        parser_append(p, &node->list, binary(p, NODE_OPERAND, op, parse_sum(p), NULL));
    }
    return node != NULL ? parser_deepen(p, node) : first;
}

static struct node *parse_not(struct parser *p)
{
    if (!parser_is_name(p, "not"))
        return parse_comparison(p);
    parser_enter(p);
    parser_take(p);
    struct node *node = binary(p, NODE_NOT, 0, parse_not(p), NULL);
    p->nesting--;
    return node;
}

static struct node *parse_and(struct parser *p)
{
    struct node *node = parse_not(p);
    while (parser_skip_name(p, "and"))
        node = binary(p, NODE_AND, 0, node, parse_not(p));
    return node;
}

static struct node *parse_or(struct parser *p)
{
    struct node *node = parse_and(p);
    while (parser_skip_name(p, "or"))
        node = binary(p, NODE_OR, 0, node, parse_and(p));
    return node;
}

struct node *parse_expression(struct parser *p, bool with_cond)
{
    parser_enter(p);
    const char *unknown = p->unknown;
    struct node *node = parse_or(p);
    while (with_cond && parser_skip_name(p, "if")) {
        struct node *cond = parser_node(p, NODE_COND);
        cond->a = node;
        cond->b = parse_or(p);
        if (parser_skip_name(p, "else"))
            cond->c = parse_expression(p, true);
        node = parser_deepen(p, cond);
        p->unknown = unknown; /* Inside an inline if an unknown filter fails only when it runs. */
    }
    p->nesting--;
    return node;
}
