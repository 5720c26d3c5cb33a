/* See program.h. Code is made from the end to the beginning: every expression is emitted with the place that follows it. */
#include "grammar/program.h"

#include <stdlib.h>

enum { MOST_CODE = 1 << 19 };

struct compiler {
    const struct grammar_builder *builder;
    struct grammar *grammar;
    int32_t capacity;
    bool *nullable, *productive; /* Of rules. */
    int status;
};

/* ------------------------------------------------------------------ what holds of expressions */

static bool is_nullable(const struct compiler *c, const struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_BYTES:
        return false;
    case EXPR_RULE:
        return c->nullable[expr->rule];
    case EXPR_REPEAT:
        return expr->min == 0 || is_nullable(c, expr->first);
    case EXPR_CHOICE:
        for (const struct expr *child = expr->first; child != NULL; child = child->next)
            if (is_nullable(c, child))
                return true;
        return false;
    case EXPR_SEQUENCE:
        for (const struct expr *child = expr->first; child != NULL; child = child->next)
            if (!is_nullable(c, child))
                return false;
        return true;
    }
    return false;
}

/* Is there any text that fits? */
static bool is_productive(const struct compiler *c, const struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_BYTES:
        return expr->low <= expr->high;
    case EXPR_RULE:
        return c->productive[expr->rule];
    case EXPR_REPEAT:
        return expr->min == 0 || is_productive(c, expr->first);
    case EXPR_CHOICE:
        for (const struct expr *child = expr->first; child != NULL; child = child->next)
            if (is_productive(c, child))
                return true;
        return false;
    case EXPR_SEQUENCE:
        for (const struct expr *child = expr->first; child != NULL; child = child->next)
            if (!is_productive(c, child))
                return false;
        return true;
    }
    return false;
}

static void learn_rules(struct compiler *c)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = c->builder->n_rules - 1; i >= 0; i--) { /* Rules mostly call later ones. */
            const struct expr *body = c->builder->rules[i].body;
            bool nullable = c->nullable[i] || is_nullable(c, body), productive = c->productive[i] || is_productive(c, body);
            changed |= nullable != c->nullable[i] || productive != c->productive[i];
            c->nullable[i] = nullable;
            c->productive[i] = productive;
        }
    }
}

/* ------------------------------------------------------------------ rules that begin with themselves */

enum mark { MARK_NEW = 0, MARK_OPEN, MARK_DONE };

static bool begins_with_itself(const struct compiler *c, const struct expr *expr, uint8_t *marks, int *culprit);

static bool rule_begins_with_itself(const struct compiler *c, int rule, uint8_t *marks, int *culprit)
{
    if (marks[rule] == MARK_DONE)
        return false;
    if (marks[rule] == MARK_OPEN) {
        *culprit = rule;
        return true;
    }
    marks[rule] = MARK_OPEN;
    if (begins_with_itself(c, c->builder->rules[rule].body, marks, culprit))
        return true;
    marks[rule] = MARK_DONE;
    return false;
}

static bool begins_with_itself(const struct compiler *c, const struct expr *expr, uint8_t *marks, int *culprit)
{
    if (expr->kind == EXPR_RULE)
        return rule_begins_with_itself(c, expr->rule, marks, culprit);
    for (const struct expr *child = expr->first; child != NULL; child = child->next) {
        if (begins_with_itself(c, child, marks, culprit))
            return true;
        if (expr->kind == EXPR_SEQUENCE && !is_nullable(c, child))
            break;
    }
    return false;
}

/* ------------------------------------------------------------------ code */

static int32_t emit_instruction(struct compiler *c, struct grammar_instruction instruction)
{
    struct grammar *grammar = c->grammar;
    if (c->status < 0)
        return 0;
    if (grammar->n_code == c->capacity) {
        int32_t capacity = c->capacity == 0 ? 256 : c->capacity * 2;
        struct grammar_instruction *code = capacity > MOST_CODE ? NULL : realloc(grammar->code, (size_t)capacity * sizeof *code);
        if (code == NULL) {
            c->status = capacity > MOST_CODE ? WEIR_E_LIMIT : WEIR_E_MEMORY;
            return 0;
        }
        grammar->code = code;
        c->capacity = capacity;
    }
    grammar->code[grammar->n_code] = instruction;
    return grammar->n_code++;
}

static int32_t emit(struct compiler *c, const struct expr *expr, int32_t next);

static int32_t emit_repeat(struct compiler *c, const struct expr *expr, int32_t next)
{
    int32_t at = next;
    if (!is_productive(c, expr->first))
        return next; /* Zero times then: its least number is 0, or nobody would have come here. */
    if (expr->max < 0) {
        at = emit_instruction(c, (struct grammar_instruction){.op = GRAMMAR_SPLIT, .x = next, .y = next});
        int32_t body = emit(c, expr->first, at);
        if (c->status == 0)
            c->grammar->code[at].x = body;
    }
    for (int i = expr->min; i < expr->max && c->status == 0; i++) {
        int32_t body = emit(c, expr->first, at);
        at = emit_instruction(c, (struct grammar_instruction){.op = GRAMMAR_SPLIT, .x = body, .y = next});
    }
    for (int i = 0; i < expr->min && c->status == 0; i++)
        at = emit(c, expr->first, at);
    return at;
}

static int32_t emit(struct compiler *c, const struct expr *expr, int32_t next)
{
    int32_t at = next;
    switch (expr->kind) {
    case EXPR_BYTES:
        return emit_instruction(c, (struct grammar_instruction){.op = GRAMMAR_BYTES, .low = expr->low, .high = expr->high, .x = next});
    case EXPR_RULE:
        return emit_instruction(c, (struct grammar_instruction){.op = GRAMMAR_CALL, .x = expr->rule, .y = next});
    case EXPR_SEQUENCE:
        for (const struct expr *child = expr->last; child != NULL && c->status == 0; child = child->previous)
            at = emit(c, child, at);
        return at;
    case EXPR_REPEAT:
        return emit_repeat(c, expr, next);
    case EXPR_CHOICE:
        break;
    }
    at = -1;
    for (const struct expr *child = expr->last; child != NULL && c->status == 0; child = child->previous) {
        if (!is_productive(c, child))
            continue;
        int32_t start = emit(c, child, next);
        at = at < 0 ? start : emit_instruction(c, (struct grammar_instruction){.op = GRAMMAR_SPLIT, .x = start, .y = at});
    }
    return at < 0 ? 0 : at;
}

static void emit_rules(struct compiler *c)
{
    int32_t end = emit_instruction(c, (struct grammar_instruction){.op = GRAMMAR_RETURN});
    for (int i = 0; i < c->builder->n_rules && c->status == 0; i++)
        c->grammar->starts[i] = c->productive[i] ? emit(c, c->builder->rules[i].body, end) : end;
    int32_t start = emit_instruction(c, (struct grammar_instruction){.op = GRAMMAR_CALL, .x = 0, .y = end});
    c->grammar->blank = emit_instruction(c, (struct grammar_instruction){.op = GRAMMAR_BYTES, .low = ' ', .high = ' ', .x = start});
}

static void find_classes(struct grammar *grammar)
{
    bool begins[257] = {[0] = true};
    for (int32_t i = 0; i < grammar->n_code; i++)
        if (grammar->code[i].op == GRAMMAR_BYTES)
            begins[grammar->code[i].low] = begins[grammar->code[i].high + 1] = true;
    int class = -1;
    for (int byte = 0; byte < 256; byte++) {
        class += begins[byte];
        grammar->classes[byte] = (uint8_t)class;
    }
    grammar->n_classes = class + 1;
}

static int check_rules(struct compiler *c, const char *what, struct error *err)
{
    const struct grammar_builder *builder = c->builder;
    for (int i = 0; i < builder->n_rules; i++)
        if (builder->rules[i].body == NULL)
            return error_set(err, WEIR_E_INVALID, what, "rule " STR_FMT " is not defined", STR_ARG(builder->rules[i].name));
    learn_rules(c);
    if (!c->productive[0])
        return error_set(err, WEIR_E_INVALID, what, "no text satisfies it");
    int culprit = 0;
    uint8_t *marks = calloc((size_t)builder->n_rules, 1);
    if (marks == NULL)
        return error_set(err, WEIR_E_MEMORY, what, "out of memory");
    bool found = false;
    for (int i = 0; i < builder->n_rules && !found; i++)
        found = rule_begins_with_itself(c, i, marks, &culprit);
    free(marks);
    if (found)
        return error_set(err, WEIR_E_INVALID, what, "rule " STR_FMT " begins with itself (left recursion)", STR_ARG(builder->rules[culprit].name));
    return 0;
}

int grammar_compile(struct grammar **out, const struct grammar_builder *builder, const char *what, struct error *err)
{
    *out = NULL;
    if (builder->failed || builder->n_rules == 0)
        return error_set(err, WEIR_E_LIMIT, what, "is too large");
    size_t n_rules = (size_t)builder->n_rules;
    struct compiler c = {.builder = builder, .grammar = calloc(1, sizeof *c.grammar), .nullable = calloc(n_rules, sizeof *c.nullable),
                         .productive = calloc(n_rules, sizeof *c.productive)};
    if (c.grammar != NULL) {
        atomic_init(&c.grammar->references, 1);
        c.grammar->starts = calloc(n_rules, sizeof *c.grammar->starts);
    }
    int status = 0;
    if (c.nullable == NULL || c.productive == NULL || c.grammar == NULL || c.grammar->starts == NULL)
        status = error_set(err, WEIR_E_MEMORY, what, "out of memory");
    else
        status = check_rules(&c, what, err);
    if (status == 0) {
        emit_rules(&c);
        status = c.status;
        if (status < 0)
            error_set(err, (enum weir_status)status, what, status == WEIR_E_LIMIT ? "is too large" : "out of memory");
    }
    free(c.nullable);
    free(c.productive);
    if (status < 0) {
        grammar_free(c.grammar);
        return status;
    }
    find_classes(c.grammar);
    *out = c.grammar;
    return 0;
}

struct grammar *grammar_share(struct grammar *grammar)
{
    atomic_fetch_add(&grammar->references, 1);
    return grammar;
}

void grammar_free(struct grammar *grammar)
{
    if (grammar == NULL || atomic_fetch_sub(&grammar->references, 1) > 1)
        return;
    free(grammar->code);
    free(grammar->starts);
    free(grammar);
}
