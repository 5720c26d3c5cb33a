/* Promises: for each hundredth of regret the threshold that keeps it, found on a calibration's lines, and looked up in a head. */
#include "recalibrate.h"

#include <math.h>
#include <stdlib.h>

const char *promise_remote_name(bool always_right)
{
    return always_right ? "always_right" : "scored";
}

static int compare_gains(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

/* Twentieths of the gains, n > 0; sorts them. */
static void keep_gains(struct head_promises *promises, float *gains, size_t n)
{
    qsort(gains, n, sizeof *gains, compare_gains);
    for (int i = 0; i < N_GAINS; i++)
        promises->gains[i] = gains[(n - 1) * (size_t)i / (N_GAINS - 1)];
    promises->has_gains = true;
}

int recalibrate_promises(struct recalibration *re, const char *about, double confidence, json_t *report)
{
    const struct lines *lines = &re->examples.lines;
    struct head_promises *promises = &re->head->promises;
    float *gains = malloc(2 * lines->n * sizeof *gains), *losses = gains + lines->n, loosest = PROMISE_NOTHING, share = 0;
    size_t n = 0;
    int status = gains == NULL ? WEIR_E_MEMORY : 0;
    *promises = (struct head_promises){.confidence = confidence};
    snprintf(promises->terms.about, sizeof promises->terms.about, "%s", about);
    for (size_t i = 0; i < lines->n && status == 0; i++) {
        const struct line *line = &lines->items[i];
        if (isnan(line->local) || isnan(line->remote))
            continue;
        promises->terms.remote_always_right = (n == 0 || promises->terms.remote_always_right) && line->remote >= 1;
        gains[n] = recalibrate_score(re, i).gain;
        losses[n++] = line->remote > line->local ? line->remote - line->local : 0;
    }
    json_t *rows = json_array();
    for (int i = 0; i < N_PROMISES && n >= LEAST_CALIBRATION && status == 0; i++) {
        struct promise promise;
        status = promise_find(gains, losses, n, (i + 1) / 100.0, confidence, &promise);
        if (status == 0 && promise.threshold > loosest) { /* What is kept at a smaller regret is kept at this one. */
            loosest = promise.threshold;
            share = (float)promise.n_local / (float)n;
        }
        promises->thresholds[i] = loosest;
        promises->local_shares[i] = share;
        json_array_append_new(rows, json_pack("{s:f,s:o,s:f}", "max_regret", (i + 1) / 100.0, "threshold",
                                              loosest > PROMISE_NOTHING ? json_real((double)loosest) : json_null(), "local_share", (double)share));
    }
    if (status == 0 && n >= LEAST_CALIBRATION) {
        promises->present = true;
        promises->n_lines = (int64_t)n;
        keep_gains(promises, gains, n);
        json_object_set_new(report, "promises", json_pack("{s:I,s:f,s:s,s:s,s:O}", "n", (json_int_t)n, "confidence", confidence, "about", promises->terms.about,
                                                          "remote", promise_remote_name(promises->terms.remote_always_right), "of", rows));
    }
    json_decref(rows);
    free(gains);
    return status;
}

bool head_promise(const struct head *head, double max_regret, double *threshold, double *confidence, int64_t *n_lines)
{
    const struct head_promises *promises = &head->promises;
    if (!promises->present)
        return false;
    int i = (int)floor(max_regret * 100 + 1e-9) - 1;
    *threshold = i < 0 ? (double)PROMISE_NOTHING : max_regret >= 1 ? 1 : (double)promises->thresholds[i < N_PROMISES ? i : N_PROMISES - 1];
    *confidence = promises->confidence;
    *n_lines = promises->n_lines;
    return true;
}

const struct promise_terms *head_promise_terms_peek(const struct head *head)
{
    return head->promises.present ? &head->promises.terms : NULL;
}

double head_least_regret(const struct head *head)
{
    int i = 0;
    while (i < N_PROMISES && !(head->promises.thresholds[i] > PROMISE_NOTHING))
        i++;
    return head->promises.present && i < N_PROMISES ? (i + 1) / 100.0 : 1;
}

double head_promise_share(const struct head *head, double max_regret)
{
    int i = (int)floor(max_regret * 100 + 1e-9) - 1;
    return !head->promises.present || i < 0 ? 0 : (double)head->promises.local_shares[i < N_PROMISES ? i : N_PROMISES - 1];
}

double head_threshold(const struct head *head, double max_regret)
{
    double threshold, confidence;
    int64_t n_lines;
    return head != NULL && head_promise(head, max_regret, &threshold, &confidence, &n_lines) ? threshold : max_regret;
}

bool head_gain_above(const struct head *head, double share, double *gain, int64_t *n_lines)
{
    const struct head_promises *promises = &head->promises;
    if (!promises->present || !promises->has_gains)
        return false;
    double at = (1 - fmin(fmax(share, 0), 1)) * (N_GAINS - 1);
    int low = (int)at < N_GAINS - 1 ? (int)at : N_GAINS - 2;
    *gain = (double)promises->gains[low] + (at - low) * (double)(promises->gains[low + 1] - promises->gains[low]);
    *n_lines = promises->n_lines;
    return true;
}
