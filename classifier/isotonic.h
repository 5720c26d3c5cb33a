/* Isotonic: a calibration that keeps the order and follows what was seen. */
#ifndef WEIR_CLASSIFIER_ISOTONIC_H
#define WEIR_CLASSIFIER_ISOTONIC_H

#include "weir_base.h"

enum { MOST_KNOTS = 64 };

/* A rising line through knots, level outside of them. n = 0: leaves values as they are. */
struct isotonic {
    int n;
    float x[MOST_KNOTS]; /* Strictly rising. */
    float y[MOST_KNOTS]; /* In 0 … 1, never falling. */
};

/* The best rising fit of targets in 0 … 1 by least squares (pool adjacent violators, Ayer et al. 1955), with blocks joined to
 * hold at least min_block lines and to be at most MOST_KNOTS. */
int isotonic_fit(const float *values, const float *targets, size_t n, size_t min_block, struct isotonic *out) WEIR_CHECKED;
float isotonic_apply(const struct isotonic *isotonic, float value);

#endif
