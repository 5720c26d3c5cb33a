/* Quantities: the numbers of a text and the words that join them. Deterministic, independent of the locale. */
#ifndef WEIR_CLASSIFIER_QUANTITIES_H
#define WEIR_CLASSIFIER_QUANTITIES_H

#include "weir_base.h"

enum { N_QUANTITIES = 24 };

/* Number words, fractions, multiples, percentages, money, rates, comparisons, totals, rests, shares, times, units, conditions, what
 * is asked for, trade; then how many numbers there are, how large, and in how many sentences. Each is finite and in 0 … 20. */
void quantities_read(str text, float out[N_QUANTITIES]);

#endif
