/* Grammar program: a compiled grammar, a recursive transition network over bytes (Woods 1970). Rules are called and returned
 * from like subroutines, so nesting needs a stack; inside a rule it is a nondeterministic automaton (Thompson 1968).
 * Immutable, counted, may be shared by threads. */
#ifndef WEIR_GRAMMAR_PROGRAM_H
#define WEIR_GRAMMAR_PROGRAM_H

#include "grammar/expression.h"
#include "weir_runtime.h"

#include <stdatomic.h>

enum grammar_op {
    GRAMMAR_BYTES,  /* A byte of low … high, then x. */
    GRAMMAR_SPLIT,  /* x and y. */
    GRAMMAR_CALL,   /* Rule x, then y. */
    GRAMMAR_RETURN,
};

struct grammar_instruction {
    uint8_t op, low, high;
    int32_t x, y;
};

struct grammar {
    atomic_int references;
    struct grammar_instruction *code;
    int32_t n_code;
    int32_t *starts;         /* Of the rules, in code. */
    int32_t blank;           /* A blank, then the first rule. */
    uint8_t classes[256];    /* Bytes that no instruction tells apart share a class. */
    int n_classes;
};

/* Takes what the builder holds, from its first rule. `what` names the source in errors: WEIR_E_INVALID for a rule that is not
 * defined or begins with itself, or when no text at all fits; WEIR_E_LIMIT for one that is too large. */
int grammar_compile(struct grammar **out, const struct grammar_builder *builder, const char *what, struct error *err) WEIR_CHECKED;

#endif
