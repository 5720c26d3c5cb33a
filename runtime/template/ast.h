/* The syntax tree of a template: one kind of node for everything, in the template's arena. Names are numbers into the
 * template's table, so that a rendering compares them by number. */
#ifndef WEIR_TEMPLATE_AST_H
#define WEIR_TEMPLATE_AST_H

#include "template/value.h"

enum node_type {
    /* Expressions */
    NODE_CONST,     /* value */
    NODE_NAME,      /* name */
    NODE_LIST,      /* list */
    NODE_TUPLE,     /* list */
    NODE_DICT,      /* list: key, value, key, value … */
    NODE_UNARY,     /* op, a */
    NODE_NOT,       /* a */
    NODE_AND,       /* a, b */
    NODE_OR,        /* a, b */
    NODE_BINARY,    /* op, a, b */
    NODE_COMPARE,   /* a, list of NODE_OPERAND (op, a) */
    NODE_OPERAND,
    NODE_CONCAT,    /* list */
    NODE_COND,      /* a if b else c (NULL: none) */
    NODE_ATTRIBUTE, /* a.name */
    NODE_ITEM,      /* a[b] */
    NODE_SLICE,     /* inside NODE_ITEM: a : b : c, each may be NULL */
    NODE_CALL,      /* a(list); items may be NODE_KEYWORD, NODE_SPLAT, NODE_SPLAT2 */
    NODE_FILTER,    /* a|native(list); a is NULL where a block supplies it */
    NODE_TEST,      /* a is native(list) */
    NODE_KEYWORD,   /* name=a */
    NODE_SPLAT,     /* *a */
    NODE_SPLAT2,    /* **a */
    NODE_MEMBER_TARGET, /* name.name2 on the left of a set */
    /* Statements */
    NODE_TEXT,      /* value */
    NODE_OUTPUT,    /* list */
    NODE_FOR,       /* a: target, b: iterable, c: test; body, other; flag: recursive */
    NODE_IF,        /* a: test; body, other (a list of one NODE_IF for elif) */
    NODE_SET,       /* a: target, b: value */
    NODE_SET_BLOCK, /* a: target, b: filters; body */
    NODE_WITH,      /* list: target, value, …; body */
    NODE_MACRO,     /* name, list: parameters (NODE_NAME, a: default); body; flag: MACRO_* */
    NODE_CALL_BLOCK, /* a: call; b: its NODE_MACRO */
    NODE_FILTER_BLOCK, /* a: filters; body */
    NODE_SCOPE,     /* generation: body */
    NODE_AUTOESCAPE, /* a; body */
    NODE_BLOCK,     /* name; body; flag: scoped */
    NODE_LOAD,      /* include, import, from, extends: there is nothing to load from */
    NODE_BREAK,
    NODE_CONTINUE,
};

enum { MACRO_CALLER = 1, MACRO_KWARGS = 2, MACRO_VARARGS = 4, MACRO_EXPLICIT_CALLER = 8 };

struct node_list {
    struct node **items;
    size_t n;
    size_t capacity;
};

struct node {
    uint8_t type;
    uint8_t op;
    uint8_t flag;
    int line;
    int depth; /* Of the tree below it: bounds the evaluation's recursion. */
    int name;
    int name2;
    struct value value;
    struct node *a, *b, *c;
    struct node_list list;
    struct node_list body, other;
    const struct native *native; /* NULL: unknown, an error only when it runs. */
};

enum { TEMPLATE_MAX_SOURCE = 4 << 20, TEMPLATE_MAX_NESTING = 200, TEMPLATE_MAX_TREE = 1000, TEMPLATE_MAX_NODES = 1 << 20 };

struct chat_template {
    struct arena arena;
    struct node_list body;
    const struct text **names;
    size_t n_names, names_capacity;
    int *name_index; /* Open addressing over names. */
    size_t n_name_index;
    struct node_list blocks;
    const char *refusal; /* What Python's compiler would refuse: a break outside a loop. NULL: nothing. */
    int name_loop, name_caller, name_kwargs, name_varargs, name_self, name_super;
};

/* ---- lexer.c */
enum token_type {
    TOKEN_TEXT, TOKEN_OUTPUT_BEGIN, TOKEN_OUTPUT_END, TOKEN_BLOCK_BEGIN, TOKEN_BLOCK_END,
    TOKEN_NAME, TOKEN_STRING, TOKEN_INTEGER, TOKEN_FLOAT, TOKEN_OPERATOR, TOKEN_END,
};
struct token {
    uint8_t type;
    char op[3];   /* Of an operator. */
    int line;
    str text;     /* Text, name; of a string its decoded value. */
    int64_t integer;
    double real;
};
struct tokens {
    struct token *items;
    size_t n, capacity;
};
/* All tokens of a source with their ends; memory from arena. */
int lexer_run(struct arena *arena, str source, struct tokens *out, struct error *err) WEIR_CHECKED;
int lexer_string(struct arena *arena, str body, int line, str *out, struct error *err) WEIR_CHECKED; /* literal.c */
int lexer_number(str source, size_t *at, struct token *token, int line, struct error *err) WEIR_CHECKED; /* literal.c: 1 a number, 0 none. */

/* ---- parser.c */
struct parser {
    struct chat_template *template;
    struct tokens tokens;
    size_t at;
    int nesting;
    size_t n_nodes;
    bool soft;              /* Unknown filters fail only when they run: inside if. */
    int loops;              /* For bodies around this statement, within the macro. */
    const char *unknown;    /* The first unknown filter or test outside soft places. */
    str unknown_name;
    unsigned used;          /* MACRO_* of the names read since the macro began. */
    bool stored_loop;
    struct error *err;
    void *failure;          /* jmp_buf. */
};
_Noreturn void parser_fail(struct parser *p, enum weir_status status, const char *format, ...) WEIR_PRINTF(3, 4);
struct node *parser_node(struct parser *p, enum node_type type);
void parser_append(struct parser *p, struct node_list *list, struct node *node);
void parser_enter(struct parser *p);
int parser_name(struct parser *p, str name);
const struct token *parser_peek(struct parser *p);
const struct token *parser_peek_next(struct parser *p);
const struct token *parser_take(struct parser *p);
bool parser_is_op(struct parser *p, const char *op);
bool parser_is_name(struct parser *p, const char *name);
bool parser_skip_op(struct parser *p, const char *op);
bool parser_skip_name(struct parser *p, const char *name);
void parser_expect_op(struct parser *p, const char *op);
str parser_expect_name(struct parser *p);
_Noreturn void parser_unexpected(struct parser *p, const char *wanted);
struct node *parser_deepen(struct parser *p, struct node *node); /* Sets depth from its children, within the bound. */
/* ---- parser_expr.c */
struct node *parse_expression(struct parser *p, bool with_cond);
struct node *parse_primary(struct parser *p);
struct node *parse_tuple(struct parser *p, bool simplified, bool with_cond, const char *end_name, bool parenthesised, bool members);
struct node *parse_filters(struct parser *p, struct node *node, bool start_inline);
/* ---- parser_stmt.c */
void parse_template(struct parser *p);

#endif
