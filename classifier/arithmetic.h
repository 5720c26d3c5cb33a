/* Arithmetic: the equations a text states. */
#ifndef WEIR_CLASSIFIER_ARITHMETIC_H
#define WEIR_CLASSIFIER_ARITHMETIC_H

#include "weir_base.h"

enum { MOST_EQUATIONS = 64, MOST_OPERANDS = 8 };

struct equation {
    double operands[MOST_OPERANDS]; /* The first of its left side. */
    size_t n_operands;
    int n_sums, n_differences, n_products, n_quotients; /* Operators of its left side: at least one. */
    double value;  /* Of the left side. */
    double stated; /* The right side's. */
};

/* The first equations of a text, in order: "2 x ($40 - $15) = 50", "5 apples + 3 pears = 8", "<<6/2=3>>", and each step of "6 + 3 - 1 = 9 - 1 = 8".
 * The operators are + - * / with x, × and ÷; 20% is 0.2; between a number and an operator may stand a unit of at most three words. */
size_t equations_read(str text, struct equation out[MOST_EQUATIONS]);
bool equation_holds(const struct equation *equation); /* To one in a hundred, the rounding of money and of shares. */

#endif
