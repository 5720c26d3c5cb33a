/* Work: how much arithmetic a question takes, guessed from its form. */
#ifndef WEIR_CLASSIFIER_WORK_H
#define WEIR_CLASSIFIER_WORK_H

enum { N_SHAPE = 72, N_WORK = 12 }; /* N_SHAPE: the first numbers of feature_surface. */

/* Places in what work_expect gives. */
enum work {
    WORK_STEPS,      /* Calculations. */
    WORK_LINES,
    WORK_LENGTH,     /* Logarithm of the solution's bytes. */
    WORK_OPERATIONS, /* Of which: */
    WORK_SUMS,
    WORK_DIFFERENCES,
    WORK_PRODUCTS,
    WORK_QUOTIENTS,
    WORK_DECIMALS, /* 0 … 1: whether fractions occur. */
    WORK_RESULT,   /* Logarithm of 1 + the result. */
    WORK_PERCENT,  /* 0 … 1 */
    WORK_NUMBERS,  /* Different ones. */
};

/* A guess for a question in words with a number as its answer; zeros where a text offers choices or names fewer than two quantities. Each is
 * in -20 … 20. */
void work_expect(const float shape[N_SHAPE], float out[N_WORK]);

#endif
