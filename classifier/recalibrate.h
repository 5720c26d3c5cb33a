/* Recalibrate: the parts of head_calibrate, in the order they run. */
#ifndef WEIR_CLASSIFIER_RECALIBRATE_H
#define WEIR_CLASSIFIER_RECALIBRATE_H

#include "examples.h"
#include "head.h"

enum { LEAST_CALIBRATION = 50 };

struct recalibration {
    struct head *head;
    struct examples examples;
    enum calibration_method method;
    struct score *scores[N_HEAD_VIEWS]; /* Of each line by each view that the head has. */
};

/* What the tiers in use say of a line, as scorer.c goes through them. */
struct score recalibrate_score(const struct recalibration *re, size_t i);
/* The half of the lines, 0 or 1, that a text is in where one half is judged by what the other was fitted to. */
int recalibrate_fold(str text);
/* Sets the probabilities p of a head right. crossed: room for n; what each line's probability is by the other half of the lines. *out: a
 * report, new reference. */
int recalibrate_linear(enum calibration_method method, struct head_linear *linear, float *p, const float *truth, const int *folds, size_t n, float *crossed,
                       json_t **out) WEIR_CHECKED;

/* "always_right" or "scored": what the remote model was in the lines of a promise. */
const char *promise_remote_name(bool always_right);
/* The promises, before the probabilities are touched; nothing with too few lines of both scores. */
int recalibrate_promises(struct recalibration *re, const char *about, double confidence, json_t *report) WEIR_CHECKED;
/* P(local) once there is an answer, after those of the question; nothing with too few lines with answers. */
int recalibrate_answer(struct recalibration *re, json_t *report) WEIR_CHECKED;

#endif
