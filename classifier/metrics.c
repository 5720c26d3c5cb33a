/* Metrics: cost–quality curves (PGR, APGR and CPT as RouteLLM defines them, on every point instead of eleven; AIQ as
 * RouterBench) and detection. */
#include "metrics.h"

#include <math.h>
#include <stdlib.h>

struct ranked {
    float score;
    float value;
};

static int compare_ranked(const void *a, const void *b)
{
    float x = ((const struct ranked *)a)->score, y = ((const struct ranked *)b)->score;
    return x > y ? -1 : x < y;
}

/* Scores with values, highest first. NULL when memory runs out. */
static struct ranked *rank(const float *scores, const float *values, size_t n)
{
    struct ranked *ranked = malloc((n + 1) * sizeof *ranked);
    for (size_t i = 0; ranked != NULL && i < n; i++)
        ranked[i] = (struct ranked){scores[i], values[i]};
    if (ranked != NULL && n > 0)
        qsort(ranked, n, sizeof *ranked, compare_ranked);
    return ranked;
}

int curve_make(struct curve *curve, const float *gains, const float *local, const float *remote, size_t n)
{
    *curve = (struct curve){.n = n, .quality = malloc((n + 1) * sizeof(double))};
    float *differences = malloc((n + 1) * sizeof *differences);
    struct ranked *ranked = NULL;
    double sum_local = 0, sum_remote = 0;
    for (size_t i = 0; differences != NULL && i < n; i++) {
        differences[i] = remote[i] - local[i];
        sum_local += (double)local[i];
        sum_remote += (double)remote[i];
    }
    if (differences != NULL)
        ranked = rank(gains, differences, n);
    if (curve->quality == NULL || ranked == NULL) {
        free(differences);
        free(ranked);
        return -1;
    }
    curve->local = sum_local / (double)n;
    curve->remote = sum_remote / (double)n;
    curve->quality[0] = curve->local;
    for (size_t i = 0; i < n;) {
        size_t end = i;
        double sum = 0;
        for (; end < n && ranked[end].score == ranked[i].score; end++)
            sum += (double)ranked[end].value;
        double each = sum / (double)(end - i) / (double)n;
        for (; i < end; i++)
            curve->quality[i + 1] = curve->quality[i] + each;
    }
    free(differences);
    free(ranked);
    return 0;
}

void curve_release(struct curve *curve)
{
    free(curve->quality);
    curve->quality = NULL;
}

static double gap_recovered(const struct curve *curve, size_t i)
{
    return (curve->quality[i] - curve->local) / (curve->remote - curve->local);
}

double curve_apgr(const struct curve *curve)
{
    if (curve->n == 0 || fabs(curve->remote - curve->local) < 1e-12)
        return NAN;
    double sum = 0;
    for (size_t i = 0; i < curve->n; i++)
        sum += (gap_recovered(curve, i) + gap_recovered(curve, i + 1)) / 2;
    return sum / (double)curve->n;
}

double curve_cpt(const struct curve *curve, double x)
{
    if (curve->n == 0 || fabs(curve->remote - curve->local) < 1e-12)
        return NAN;
    for (size_t i = 0; i < curve->n; i++) {
        double here = gap_recovered(curve, i), next = gap_recovered(curve, i + 1);
        if (next >= x)
            return ((double)i + (next > here ? fmax(0, (x - here) / (next - here)) : 0)) / (double)curve->n;
    }
    return 1;
}

double curve_aiq(const struct curve *curve)
{
    size_t n = 0;
    size_t *hull = malloc((curve->n + 1) * sizeof *hull);
    if (hull == NULL || curve->n == 0) {
        free(hull);
        return NAN;
    }
    for (size_t i = 0; i <= curve->n; i++) { /* Upper hull, left to right. */
        while (n >= 2) {
            size_t a = hull[n - 2], b = hull[n - 1];
            if ((curve->quality[b] - curve->quality[a]) * (double)(i - a) > (curve->quality[i] - curve->quality[a]) * (double)(b - a))
                break;
            n--;
        }
        hull[n++] = i;
    }
    double area = 0, best = curve->quality[hull[0]];
    for (size_t k = 0; k + 1 < n; k++) {
        double from = fmax(best, curve->quality[hull[k]]), to = fmax(from, curve->quality[hull[k + 1]]);
        area += (from + to) / 2 * (double)(hull[k + 1] - hull[k]);
        best = to;
    }
    free(hull);
    return area / (double)curve->n;
}

double auroc(const float *scores, const float *targets, size_t n)
{
    struct ranked *ranked = rank(scores, targets, n);
    double positives = 0, negatives = 0, area = 0;
    for (size_t i = 0; ranked != NULL && i < n;) {
        size_t end = i;
        double p = 0, q = 0;
        for (; end < n && ranked[end].score == ranked[i].score; end++) {
            p += ranked[end].value >= 0.5F;
            q += ranked[end].value < 0.5F;
        }
        area += q * (positives + p / 2);
        positives += p;
        negatives += q;
        i = end;
    }
    free(ranked);
    return positives > 0 && negatives > 0 ? area / positives / negatives : NAN;
}

double recall_at_loss(const float *scores, const float *targets, size_t n, double loss)
{
    struct ranked *ranked = rank(scores, targets, n);
    double positives = 0, negatives = 0, caught = 0, lost = 0, best = 0;
    for (size_t i = 0; i < n; i++) {
        positives += targets[i] >= 0.5F;
        negatives += targets[i] < 0.5F;
    }
    for (size_t i = 0; ranked != NULL && i < n;) {
        size_t end = i;
        for (; end < n && ranked[end].score == ranked[i].score; end++) {
            caught += ranked[end].value >= 0.5F;
            lost += ranked[end].value < 0.5F;
        }
        if (lost > loss * negatives)
            break;
        best = caught;
        i = end;
    }
    free(ranked);
    return positives > 0 && negatives > 0 ? best / positives : NAN;
}
