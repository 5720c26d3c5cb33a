/* Recalibration: a trained head's probabilities set right on other lines, and the thresholds that keep a promise.
 *
 * The lines must not be those the head was trained on; the same file is refused. How good the new calibration is gets measured
 * by cross-fitting: fitted on one half of the lines, judged on the other. The gain and the choice of tiers stay as training
 * left them, so that the promises' thresholds are found on lines that nothing about the order of queries was fitted to. */
#include "apply.h"
#include "examples.h"

#include <math.h>
#include <stdlib.h>

enum { LEAST_CALIBRATION = 50, MIN_BLOCK = 20 };

struct recalibration {
    struct head *head;
    struct examples examples;
    enum calibration_method method;
    struct score *scores[N_HEAD_VIEWS];
};

static float score_target(const struct score *score, int target)
{
    return target == HEAD_LOCAL ? score->p_local : score->p_remote;
}

static float line_target(const struct line *line, int target)
{
    return target == HEAD_LOCAL ? line->local : line->remote;
}

static float logit(float p)
{
    p = p < 1e-6F ? 1e-6F : p > 1 - 1e-6F ? 1 - 1e-6F : p;
    return logf(p / (1 - p));
}

/* One calibration of probabilities; for Platt's method a sigmoid of their logits. */
struct fitted {
    enum calibration_method method;
    struct isotonic isotonic;
    struct platt platt;
};

static int fitted_fit(struct fitted *fitted, float *p, const float *targets, size_t n)
{
    if (fitted->method == CALIBRATION_ISOTONIC)
        return isotonic_fit(p, targets, n, MIN_BLOCK, &fitted->isotonic);
    float *logits = malloc((n + 1) * sizeof *logits);
    if (logits == NULL)
        return WEIR_E_MEMORY;
    for (size_t i = 0; i < n; i++)
        logits[i] = logit(p[i]);
    fitted->platt = platt_fit(logits, targets, NULL, n);
    free(logits);
    return 0;
}

static float fitted_apply(const struct fitted *fitted, float p)
{
    return fitted->method == CALIBRATION_ISOTONIC ? isotonic_apply(&fitted->isotonic, p) : platt_apply(fitted->platt, logit(p));
}

/* Calibrated as if by lines that a line is not one of. folds[i] is 0 or 1. */
static int cross_fit(enum calibration_method method, const float *p, const float *targets, const int *folds, size_t n, float *out)
{
    float *block = malloc((2 * n + 1) * sizeof *block);
    int status = block == NULL ? WEIR_E_MEMORY : 0;
    for (int fold = 0; fold < 2 && status == 0; fold++) {
        struct fitted fitted = {.method = method};
        size_t n_others = 0;
        for (size_t i = 0; i < n; i++)
            if (folds[i] != fold) {
                block[n_others] = p[i];
                block[n + n_others++] = targets[i];
            }
        status = fitted_fit(&fitted, block, block + n, n_others);
        for (size_t i = 0; i < n && status == 0; i++)
            if (folds[i] == fold)
                out[i] = fitted_apply(&fitted, p[i]);
    }
    free(block);
    return status;
}

/* Calibrates one probability and reports it; *out stays NULL with too few lines. */
static int recalibrate_target(struct recalibration *re, int view, int target, json_t **out)
{
    const struct lines *lines = &re->examples.lines;
    struct head_linear *linear = &re->head->linear[view][target];
    float *p = malloc(3 * lines->n * sizeof *p), *truth = p + lines->n, *crossed = truth + lines->n;
    int *folds = malloc(lines->n * sizeof *folds);
    struct fitted fitted = {.method = re->method};
    size_t n = 0;
    int status = p == NULL || folds == NULL ? WEIR_E_MEMORY : 0;
    for (size_t i = 0; i < lines->n && status == 0; i++) {
        float said = score_target(&re->scores[view][i], target), was = line_target(&lines->items[i], target);
        if (isnan(said) || isnan(was))
            continue;
        p[n] = said;
        truth[n] = was;
        folds[n++] = (int)(str_hash(lines->items[i].text) >> 17 & 1);
    }
    if (status < 0 || n < LEAST_CALIBRATION)
        goto done;
    status = cross_fit(re->method, p, truth, folds, n, crossed);
    if (status == 0)
        status = fitted_fit(&fitted, p, truth, n);
    if (status < 0)
        goto done;
    if (re->method == CALIBRATION_ISOTONIC) {
        linear->isotonic = fitted.isotonic;
    } else { /* A sigmoid of a sigmoid's logit is one sigmoid. */
        linear->platt.shift = fitted.platt.slope * linear->platt.shift + fitted.platt.shift;
        linear->platt.slope *= fitted.platt.slope;
    }
    *out = json_pack("{s:I,s:f,s:f,s:f,s:f,s:o,s:o}", "n", (json_int_t)n, "ece_before", calibration_error(p, truth, n), "ece",
                     calibration_error(crossed, truth, n), "brier_before", brier_score(p, truth, n), "brier", brier_score(crossed, truth, n),
                     "reliability_before", reliability_json(p, truth, n), "reliability", reliability_json(crossed, truth, n));
done:
    free(p);
    free(folds);
    return status;
}

/* What the tiers in use say of a line's gain, as scorer.c goes through them. */
static float gain_in_use(const struct recalibration *re, size_t i)
{
    struct score score;
    if (head_rule_value(re->head, re->examples.lines.items[i].text, &score))
        return score.gain;
    if (re->scores[VIEW_ENCODER] == NULL || head_settles(re->head, VIEW_FEATURES, &re->scores[VIEW_FEATURES][i]))
        return re->scores[VIEW_FEATURES][i].gain;
    float gain = re->scores[VIEW_ENCODER][i].gain;
    if (re->scores[VIEW_STATIC] != NULL) {
        const struct score *own = &re->scores[VIEW_STATIC][i];
        gain = head_settles(re->head, VIEW_STATIC, own) ? own->gain : head_within(re->head, VIEW_STATIC, own->gain, gain);
    }
    return head_within(re->head, VIEW_FEATURES, re->scores[VIEW_FEATURES][i].gain, gain);
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

static int make_promises(struct recalibration *re, double confidence, json_t *report)
{
    const struct lines *lines = &re->examples.lines;
    struct head_promises *promises = &re->head->promises;
    float *gains = malloc(2 * lines->n * sizeof *gains), *losses = gains + lines->n, loosest = PROMISE_NOTHING, share = 0;
    size_t n = 0;
    int status = gains == NULL ? WEIR_E_MEMORY : 0;
    *promises = (struct head_promises){.confidence = confidence};
    for (size_t i = 0; i < lines->n && status == 0; i++) {
        const struct line *line = &lines->items[i];
        if (isnan(line->local) || isnan(line->remote))
            continue;
        gains[n] = gain_in_use(re, i);
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
        json_object_set_new(report, "promises", json_pack("{s:I,s:f,s:O}", "n", (json_int_t)n, "confidence", confidence, "of", rows));
    }
    json_decref(rows);
    free(gains);
    return status;
}

static int score_view(struct recalibration *re, int view)
{
    struct examples *examples = &re->examples;
    size_t n = examples->lines.n, width = (size_t)examples->n_embd;
    int status = 0;
    re->scores[view] = malloc(n * sizeof *re->scores[view]);
    if (re->scores[view] == NULL)
        return WEIR_E_MEMORY;
    for (size_t i = 0; i < n && status == 0; i++) {
        const float *embedding = view == VIEW_ENCODER ? examples->embeddings + i * width : view == VIEW_STATIC ? examples->statics + i * (size_t)re->head->table.n_dims : NULL;
        status = head_value(re->head, (enum head_view)view, examples->surfaces + i * N_SURFACE, &examples->grams[i], embedding,
                            view == VIEW_ENCODER ? examples->inners + i * width : embedding, &re->scores[view][i]);
    }
    return status;
}

static int recalibrate(struct recalibration *re, double confidence, json_t *report)
{
    json_t *views = json_object();
    int status = 0;
    json_object_set_new(report, "calibration", views);
    for (size_t i = 0; i < re->examples.lines.n; i++)
        map_weigh(&re->head->map, &re->examples.grams[i]);
    for (int view = 0; view < N_HEAD_VIEWS; view++)
        for (int target = 0; target < N_HEAD_MODELS; target++)
            re->head->linear[view][target].isotonic.n = 0;
    for (int view = 0; view < N_HEAD_VIEWS && status == 0; view++)
        if (head_has_view(re->head, (enum head_view)view))
            status = score_view(re, view);
    if (status == 0)
        status = make_promises(re, confidence, report);
    for (int view = 0; view < N_HEAD_VIEWS && status == 0; view++) {
        if (re->scores[view] == NULL)
            continue;
        json_t *of_view = json_object();
        json_object_set_new(views, head_view_names[view], of_view);
        for (int target = 0; target < N_HEAD_MODELS && status == 0; target++) {
            json_t *of_target = NULL;
            /* Where a tier settles, its P(local) is what settling was measured on. */
            if (target == HEAD_LOCAL && head_may_settle(re->head, (enum head_view)view))
                continue;
            status = recalibrate_target(re, view, target, &of_target);
            if (of_target != NULL)
                json_object_set_new(of_view, head_target_names[target], of_target);
        }
    }
    return status;
}

int head_calibrate(const char *head_path, const char *data_path, const char *out_path, struct model *encoder,
                   const struct calibrate_options *options, json_t **out, struct error *err)
{
    struct recalibration re = {.method = options->method};
    struct pool *pool = pool_new(0);
    double confidence = options->confidence > 0 ? options->confidence : 0.9;
    *out = NULL;
    int status = pool == NULL ? error_set(err, WEIR_E_MEMORY, "", "out of memory") : head_open(&re.head, head_path, err);
    if (status == 0 && re.head->map.n_embd > 0 && (encoder == NULL || model_info_peek(encoder)->n_embd != re.head->map.n_embd))
        status = error_set(err, WEIR_E_INVALID, head_path, "was trained with the encoder %s and is calibrated with it", re.head->encoder);
    if (status == 0)
        status = examples_read(&re.examples, data_path, re.head->map.n_embd > 0 ? encoder : NULL, re.head->table.n_tokens > 0 ? &re.head->table : NULL, pool,
                               options->quiet, err);
    if (status == 0 && strcmp(re.examples.lines.sha256, re.head->data_sha256) == 0)
        status = error_set(err, WEIR_E_INVALID, data_path, "is what the head was trained on: calibration needs other lines");
    if (status < 0)
        goto done;
    *out = json_pack("{s:s,s:I,s:s}", "data_sha256", re.examples.lines.sha256, "n", (json_int_t)re.examples.lines.n, "method",
                     options->method == CALIBRATION_ISOTONIC ? "isotonic" : "platt");
    status = recalibrate(&re, confidence, *out);
    if (status < 0)
        status = error_set(err, status, "calibration", "out of memory");
    else if (json_object_size(json_object_get(json_object_get(*out, "calibration"), head_view_names[re.head->map.n_embd > 0 ? VIEW_ENCODER : VIEW_FEATURES])) == 0 &&
             !re.head->promises.present)
        status = error_set(err, WEIR_E_INVALID, data_path, "fewer than %d lines have labels or scores that the head was trained for", LEAST_CALIBRATION);
    if (status == 0)
        status = head_write(re.head, out_path, err);
done:
    for (int view = 0; view < N_HEAD_VIEWS; view++)
        free(re.scores[view]);
    examples_release(&re.examples);
    head_close(re.head);
    pool_free(pool);
    if (status < 0) {
        json_decref(*out);
        *out = NULL;
    }
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
