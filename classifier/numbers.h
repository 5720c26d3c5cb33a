/* Numbers: those a text names, in digits and in words. */
#ifndef WEIR_CLASSIFIER_NUMBERS_H
#define WEIR_CLASSIFIER_NUMBERS_H

#include "weir_base.h"

enum { MOST_NUMBERS = 200 };

struct number {
    size_t start, end; /* Bytes of the text. */
    double value;
    bool decimal;
};

struct numbers {
    struct number items[MOST_NUMBERS];
    size_t n;
};

/* The first MOST_NUMBERS numbers in digits: runs of digits with commas between and a decimal part, at most 1e15; a minus counts as a sign
 * where neither digit, letter nor bracket stands before it. */
void numbers_read(struct numbers *numbers, str text);
bool numbers_have(const struct numbers *numbers, double value); /* Whatever the sign. */
double numbers_largest(const struct numbers *numbers);          /* Of the magnitudes; 0 for none. */

/* What a lower-case word counts ("six", "dozen", "half" and "twice" as 2, "week" as 7); 0: nothing. */
double number_of_word(str word);

#endif
