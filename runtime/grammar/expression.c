/* See expression.h. */
#include "grammar/expression.h"

#include <stdlib.h>

enum { MOST_ARENA_BYTES = 64 << 20 };

void grammar_builder_init(struct grammar_builder *builder)
{
    *builder = (struct grammar_builder){0};
    arena_init(&builder->arena, MOST_ARENA_BYTES);
}

void grammar_builder_release(struct grammar_builder *builder)
{
    arena_release(&builder->arena);
    free(builder->rules);
    *builder = (struct grammar_builder){0};
}

int grammar_rule_new(struct grammar_builder *builder, str name)
{
    if (builder->n_rules == builder->capacity) {
        int capacity = builder->capacity == 0 ? 32 : builder->capacity * 2;
        struct grammar_rule *rules = capacity > GRAMMAR_MOST_RULES ? NULL : realloc(builder->rules, (size_t)capacity * sizeof *rules);
        if (rules == NULL) {
            builder->failed = true;
            return 0;
        }
        builder->rules = rules;
        builder->capacity = capacity;
    }
    char *copy = arena_strdup(&builder->arena, name);
    builder->failed |= copy == NULL;
    builder->rules[builder->n_rules] = (struct grammar_rule){.name = {copy, copy != NULL ? name.n : 0}};
    return builder->n_rules++;
}

void grammar_rule_define(struct grammar_builder *builder, int rule, struct expr *body)
{
    if (rule < builder->n_rules)
        builder->rules[rule].body = body;
}

static struct expr *node(struct grammar_builder *builder, enum expr_kind kind)
{
    struct expr *expr = arena_alloc(&builder->arena, sizeof *expr);
    if (expr == NULL) {
        builder->failed = true;
        expr = &builder->spare;
    }
    expr->kind = kind;
    return expr;
}

struct expr *expr_bytes(struct grammar_builder *builder, uint8_t low, uint8_t high)
{
    struct expr *expr = node(builder, EXPR_BYTES);
    expr->low = low;
    expr->high = high;
    return expr;
}

struct expr *expr_sequence(struct grammar_builder *builder)
{
    return node(builder, EXPR_SEQUENCE);
}

struct expr *expr_choice(struct grammar_builder *builder)
{
    return node(builder, EXPR_CHOICE);
}

struct expr *expr_add(struct expr *parent, struct expr *child)
{
    child->previous = parent->last;
    if (parent->last != NULL)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    return parent;
}

struct expr *expr_repeat(struct grammar_builder *builder, struct expr *child, int min, int max)
{
    struct expr *expr = node(builder, EXPR_REPEAT);
    builder->failed |= min > GRAMMAR_MOST_REPEATS || max > GRAMMAR_MOST_REPEATS;
    expr->min = min;
    expr->max = max;
    return expr_add(expr, child);
}

struct expr *expr_optional(struct grammar_builder *builder, struct expr *child)
{
    return expr_repeat(builder, child, 0, 1);
}

struct expr *expr_rule(struct grammar_builder *builder, int rule)
{
    struct expr *expr = node(builder, EXPR_RULE);
    expr->rule = rule;
    return expr;
}

struct expr *expr_text(struct grammar_builder *builder, str text)
{
    struct expr *sequence = expr_sequence(builder);
    for (size_t i = 0; i < text.n; i++)
        expr_add(sequence, expr_bytes(builder, (uint8_t)text.data[i], (uint8_t)text.data[i]));
    return sequence;
}

static int compare_texts(const void *a, const void *b)
{
    return str_compare(*(const str *)a, *(const str *)b);
}

/* Sorted texts that begin with the same `done` bytes: what follows those. */
static struct expr *one_of_rest(struct grammar_builder *builder, const str *texts, size_t n, size_t done)
{
    struct expr *choice = expr_choice(builder);
    for (size_t i = 0; i < n;) {
        if (texts[i].n == done) { /* Sorted, the text that ends here comes first. */
            if (choice->first == NULL)
                expr_add(choice, expr_sequence(builder));
            i++;
            continue;
        }
        size_t same = i + 1, common;
        while (same < n && texts[same].data[done] == texts[i].data[done])
            same++;
        for (common = done + 1; common < texts[i].n && common < texts[same - 1].n && texts[i].data[common] == texts[same - 1].data[common];)
            common++;
        struct expr *sequence = expr_text(builder, (str){texts[i].data + done, common - done});
        if (same > i + 1 || common < texts[i].n)
            expr_add(sequence, one_of_rest(builder, texts + i, same - i, common));
        expr_add(choice, sequence);
        i = same;
    }
    return choice;
}

struct expr *expr_one_of(struct grammar_builder *builder, str *texts, size_t n)
{
    if (n > 1)
        qsort(texts, n, sizeof *texts, compare_texts);
    return one_of_rest(builder, texts, n, 0);
}
