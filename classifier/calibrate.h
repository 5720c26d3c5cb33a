/* Calibrate: scores to probabilities, and how far probabilities are from the truth. */
#ifndef WEIR_CLASSIFIER_CALIBRATE_H
#define WEIR_CLASSIFIER_CALIBRATE_H

#include <jansson.h>
#include <stddef.h>

/* probability = 1 / (1 + exp(-(slope × score + shift))) */
struct platt {
    double slope;
    double shift;
};

/* Targets are probabilities in 0…1, weights NULL: all 1. With nothing to fit (no spread in the scores, or n < 2) the slope is 0
 * and the shift gives the mean target. The slope is never negative: calibration keeps the order. */
struct platt platt_fit(const float *scores, const float *targets, const float *weights, size_t n);
float platt_apply(struct platt platt, float score);
/* What two values before calibration say of the difference of the probabilities. */
float gain_value(float remote, float local);
/* The temperature in 0.05…20 by which logits are divided so that the likelihood of the classes is best. rows[i] has n_classes
 * logits; classes[i] < 0 leaves a row out. 1 when there is nothing to fit. */
double temperature_fit(const float *const *rows, const int *classes, size_t n, int n_classes);
/* Expected calibration error in 15 bins of equal width; mean squared error. 0 for n = 0. */
double calibration_error(const float *probabilities, const float *targets, size_t n);
double brier_score(const float *probabilities, const float *targets, size_t n);
/* A reliability diagram's bins that hold lines: [{"n", "said": mean probability, "was": mean target}]. New reference. */
json_t *reliability_json(const float *probabilities, const float *targets, size_t n);

#endif
