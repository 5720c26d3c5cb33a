/* Promise: from calibration lines to the threshold under which a stated regret holds. */
#ifndef WEIR_CLASSIFIER_PROMISE_H
#define WEIR_CLASSIFIER_PROMISE_H

#include "weir_base.h"

/* The gain that no query reaches: with it as threshold nothing stays local. */
#define PROMISE_NOTHING (-2.0F)

struct promise {
    float threshold;    /* A query stays local when its gain is at most this. */
    size_t n_local;     /* Calibration lines that stay. */
    double regret;      /* Their mean loss. */
};

/* The loosest threshold at which the mean loss of what stays local is shown to be at most max_regret, wrongly so with a
 * probability of at most 1 - confidence, for lines and queries drawn alike and independently.
 *   losses[i] in 0 … 1: how much worse the local answer is (1: worse, 0: not worse).
 * PROMISE_NOTHING where nothing can be shown: too few lines, or a local model too weak. WEIR_E_MEMORY is the only error.
 * Fixed-sequence tests from several starts: Angelopoulos et al., Learn then Test (2021). */
int promise_find(const float *gains, const float *losses, size_t n, double max_regret, double confidence, struct promise *out) WEIR_CHECKED;

/* The probability that a mean loss of at most `mean` is seen over n draws when the true one is `risk` (an upper bound of it).
 * With losses of 0 and 1 alone exact (binomial), else the bound of Hoeffding and Bentkus. */
double promise_p_value(double mean, size_t n, double risk, bool binary);

#endif
