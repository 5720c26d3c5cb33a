/* The parser's ground: tokens, nodes, names, failure. Grammar is in parser_expr.c and parser_stmt.c. A failure leaves by a
 * longjmp to template_compile; all memory is the template's arena. */
#include <setjmp.h>

#include "template/rendering.h"

void parser_fail(struct parser *p, enum weir_status status, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)error_set(p->err, status, "", "line %d: %s", parser_peek(p)->line, text);
    longjmp(*(jmp_buf *)p->failure, 1);
}

struct node *parser_node(struct parser *p, enum node_type type)
{
    struct node *node = ++p->n_nodes <= TEMPLATE_MAX_NODES ? arena_alloc(&p->template->arena, sizeof *node) : NULL;
    if (node == NULL)
        parser_fail(p, WEIR_E_LIMIT, "the template is too large");
    node->type = (uint8_t)type;
    node->line = parser_peek(p)->line;
    node->depth = 1;
    return node;
}

void parser_append(struct parser *p, struct node_list *list, struct node *node)
{
    if (list->n == list->capacity) {
        size_t capacity = list->capacity > 0 ? list->capacity * 2 : 4;
        struct node **items = arena_array(&p->template->arena, capacity, sizeof *items);
        if (items == NULL)
            parser_fail(p, WEIR_E_LIMIT, "the template is too large");
        if (list->n > 0)
            memcpy(items, list->items, list->n * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->n++] = node;
}

void parser_enter(struct parser *p)
{
    if (++p->nesting > TEMPLATE_MAX_NESTING)
        parser_fail(p, WEIR_E_LIMIT, "nests deeper than %d", TEMPLATE_MAX_NESTING);
}

static int list_depth(const struct node_list *list, int deepest)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i]->depth > deepest)
            deepest = list->items[i]->depth;
    return deepest;
}

struct node *parser_deepen(struct parser *p, struct node *node)
{
    int deepest = 0;
    struct node *children[3] = {node->a, node->b, node->c};
    for (int i = 0; i < 3; i++)
        if (children[i] != NULL && children[i]->depth > deepest)
            deepest = children[i]->depth;
    deepest = list_depth(&node->list, deepest);
    deepest = list_depth(&node->body, deepest);
    deepest = list_depth(&node->other, deepest);
    node->depth = deepest + 1;
    if (node->depth > TEMPLATE_MAX_TREE)
        parser_fail(p, WEIR_E_LIMIT, "an expression or block nests deeper than %d", TEMPLATE_MAX_TREE);
    return node;
}

static void names_index_put(struct chat_template *t, int name)
{
    size_t mask = t->n_name_index - 1, slot = str_hash((str){t->names[name]->data, t->names[name]->n}) & mask;
    while (t->name_index[slot] >= 0)
        slot = (slot + 1) & mask;
    t->name_index[slot] = name;
}

static void names_grow(struct parser *p)
{
    struct chat_template *t = p->template;
    size_t capacity = t->names_capacity > 0 ? t->names_capacity * 2 : 64;
    const struct text **names = arena_array(&t->arena, capacity, sizeof *names);
    t->name_index = arena_array(&t->arena, capacity * 2, sizeof *t->name_index);
    if (names == NULL || t->name_index == NULL)
        parser_fail(p, WEIR_E_LIMIT, "the template has too many names");
    if (t->n_names > 0)
        memcpy(names, t->names, t->n_names * sizeof *names);
    t->names = names;
    t->names_capacity = capacity;
    t->n_name_index = capacity * 2;
    memset(t->name_index, -1, t->n_name_index * sizeof *t->name_index);
    for (size_t i = 0; i < t->n_names; i++)
        names_index_put(t, (int)i);
}

int parser_name(struct parser *p, str name)
{
    struct chat_template *t = p->template;
    if (t->n_names == t->names_capacity)
        names_grow(p);
    size_t mask = t->n_name_index - 1;
    for (size_t slot = str_hash(name) & mask; t->name_index[slot] >= 0; slot = (slot + 1) & mask) {
        const struct text *known = t->names[t->name_index[slot]];
        if (str_equal((str){known->data, known->n}, name))
            return t->name_index[slot];
    }
    struct text *text = arena_alloc(&t->arena, sizeof *text);
    if (text == NULL)
        parser_fail(p, WEIR_E_LIMIT, "the template has too many names");
    *text = (struct text){name.data, name.n, SIZE_MAX};
    (void)text_length(text);
    t->names[t->n_names] = text;
    names_index_put(t, (int)t->n_names);
    return (int)t->n_names++;
}

const struct token *parser_peek(struct parser *p)
{
    return &p->tokens.items[p->at];
}

const struct token *parser_peek_next(struct parser *p)
{
    return &p->tokens.items[p->at + 1 < p->tokens.n ? p->at + 1 : p->at];
}

const struct token *parser_take(struct parser *p)
{
    const struct token *token = parser_peek(p);
    if (p->at + 1 < p->tokens.n)
        p->at++;
    return token;
}

bool parser_is_op(struct parser *p, const char *op)
{
    const struct token *token = parser_peek(p);
    return token->type == TOKEN_OPERATOR && strcmp(token->op, op) == 0;
}

bool parser_is_name(struct parser *p, const char *name)
{
    const struct token *token = parser_peek(p);
    return token->type == TOKEN_NAME && str_equal(token->text, str_of(name));
}

bool parser_skip_op(struct parser *p, const char *op)
{
    if (!parser_is_op(p, op))
        return false;
    parser_take(p);
    return true;
}

bool parser_skip_name(struct parser *p, const char *name)
{
    if (!parser_is_name(p, name))
        return false;
    parser_take(p);
    return true;
}

void parser_unexpected(struct parser *p, const char *wanted)
{
    static const char *const names[] = {"text", "begin of print statement", "end of print statement", "begin of statement block",
                                        "end of statement block", "a name", "a string", "an integer", "a float", "", "end of template"};
    const struct token *token = parser_peek(p);
    if (token->type == TOKEN_OPERATOR)
        parser_fail(p, WEIR_E_INVALID, "expected %s, got '%s'", wanted, token->op);
    if (token->type == TOKEN_NAME)
        parser_fail(p, WEIR_E_INVALID, "expected %s, got '%.*s'", wanted, token->text.n > 60 ? 60 : (int)token->text.n, token->text.data);
    parser_fail(p, WEIR_E_INVALID, "expected %s, got %s", wanted, names[token->type]);
}

void parser_expect_op(struct parser *p, const char *op)
{
    char wanted[8];
    if (parser_skip_op(p, op))
        return;
    snprintf(wanted, sizeof wanted, "'%s'", op);
    parser_unexpected(p, wanted);
}

str parser_expect_name(struct parser *p)
{
    if (parser_peek(p)->type != TOKEN_NAME)
        parser_unexpected(p, "a name");
    return parser_take(p)->text;
}
