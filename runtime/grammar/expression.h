/* Expression: what grammars are written in on their way to a program: trees over bytes, in rules that may call each other.
 * Every front end (JSON Schema, regular expressions, GBNF) builds these and nothing else.
 *
 * All nodes live in the builder's arena. A node is added to one parent only; what is used twice becomes a rule. Nothing fails
 * on the way: memory or a cap that ran out is remembered in `failed` and told by grammar_compile. One thread. */
#ifndef WEIR_GRAMMAR_EXPRESSION_H
#define WEIR_GRAMMAR_EXPRESSION_H

#include "weir_base.h"

enum expr_kind {
    EXPR_BYTES,    /* One byte of low … high. */
    EXPR_SEQUENCE, /* Its children one after another; none: the empty text. */
    EXPR_CHOICE,   /* One of its children; none: nothing fits. */
    EXPR_REPEAT,   /* Its only child, min to max times (max -1: no bound). */
    EXPR_RULE,
};

struct expr {
    enum expr_kind kind;
    uint8_t low, high;
    int rule;
    int min, max;
    struct expr *first, *last, *next, *previous;
};

enum { GRAMMAR_MOST_RULES = 1 << 16, GRAMMAR_MOST_REPEATS = 100000 };

struct grammar_rule {
    struct expr *body; /* NULL: not defined yet. */
    str name;          /* For messages; may be empty. */
};

struct grammar_builder {
    struct arena arena;
    struct grammar_rule *rules; /* The first is where a text begins. */
    int n_rules, capacity;
    struct expr spare;          /* Stands for the nodes there was no memory for. */
    bool failed;
};

void grammar_builder_init(struct grammar_builder *builder);
void grammar_builder_release(struct grammar_builder *builder);
int grammar_rule_new(struct grammar_builder *builder, str name); /* Its number; the name is copied. */
void grammar_rule_define(struct grammar_builder *builder, int rule, struct expr *body);

struct expr *expr_bytes(struct grammar_builder *builder, uint8_t low, uint8_t high);
struct expr *expr_sequence(struct grammar_builder *builder);
struct expr *expr_choice(struct grammar_builder *builder);
struct expr *expr_add(struct expr *parent, struct expr *child); /* Gives the parent back. */
struct expr *expr_repeat(struct grammar_builder *builder, struct expr *child, int min, int max);
struct expr *expr_rule(struct grammar_builder *builder, int rule);
struct expr *expr_text(struct grammar_builder *builder, str text);
/* One of n texts, along their common beginnings. Sorts them. */
struct expr *expr_one_of(struct grammar_builder *builder, str *texts, size_t n);
/* a, or nothing. */
struct expr *expr_optional(struct grammar_builder *builder, struct expr *child);

/* Sets of code points, as character classes name them. */
struct char_set {
    struct char_range {
        uint32_t low, high;
    } ranges[512]; /* Sorted and apart once char_set_finish was called. */
    int n;
    bool full;     /* There were more. */
};
void char_set_add(struct char_set *set, uint32_t low, uint32_t high);
void char_set_add_set(struct char_set *set, const struct char_set *other);
void char_set_finish(struct char_set *set, bool negate);
/* One character of a finished set in UTF-8; as_json: as it stands in a JSON string, escaped where RFC 8259 asks for it. */
struct expr *expr_char_set(struct grammar_builder *builder, const struct char_set *set, bool as_json);

#endif
