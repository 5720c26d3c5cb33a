/* Metrics of routing and of scope, exactly as published (classifier/README.md has the definitions). */
#ifndef WEIR_CLASSIFIER_METRICS_H
#define WEIR_CLASSIFIER_METRICS_H

#include <stddef.h>

/* Quality over the share of calls sent to the remote model, highest gain first; equal gains count at their mean. */
struct curve {
    double *quality; /* n + 1 values: after 0 … n calls. */
    size_t n;
    double local, remote; /* Means of the two models. */
};

int curve_make(struct curve *curve, const float *gains, const float *local, const float *remote, size_t n);
void curve_release(struct curve *curve);
/* Mean performance gap recovered over all shares; NAN where both models are equally good. */
double curve_apgr(const struct curve *curve);
/* Smallest share at which the gap recovered is at least x. */
double curve_cpt(const struct curve *curve, double x);
/* Area under the non-decreasing convex hull of the curve over the share of remote calls (remote costs 1, local 0). */
double curve_aiq(const struct curve *curve);

/* P(score of a positive > score of a negative), ties a half. NAN without both. */
double auroc(const float *scores, const float *targets, size_t n);
/* Share of positives above the threshold that lets at most `loss` of the negatives be above. */
double recall_at_loss(const float *scores, const float *targets, size_t n, double loss);

#endif
