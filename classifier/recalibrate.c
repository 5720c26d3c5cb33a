/* Recalibration: a trained head's probabilities set right on other lines, and the thresholds that keep a promise.
 *
 * The lines must not be those the head was trained on; the same file is refused. How good the new calibration is gets measured
 * by cross-fitting: fitted on one half of the lines, judged on the other. The gain and the choice of tiers stay as training
 * left them, so that the promises' thresholds (head_promises.c) are found on lines that nothing about the order of queries was fitted to.
 * What is said once there is an answer comes last (reblend.c), for it is made of the question's probability. */
#include "recalibrate.h"
#include "apply.h"

#include <math.h>
#include <stdlib.h>

enum { MIN_BLOCK = 20 };

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

int recalibrate_linear(enum calibration_method method, struct head_linear *linear, float *p, const float *truth, const int *folds, size_t n, float *crossed,
                       json_t **out)
{
    struct fitted fitted = {.method = method};
    int status = cross_fit(method, p, truth, folds, n, crossed);
    if (status == 0)
        status = fitted_fit(&fitted, p, truth, n);
    if (status < 0)
        return status;
    if (method == CALIBRATION_ISOTONIC) {
        linear->isotonic = fitted.isotonic;
    } else { /* A sigmoid of a sigmoid's logit is one sigmoid. */
        linear->platt.shift = fitted.platt.slope * linear->platt.shift + fitted.platt.shift;
        linear->platt.slope *= fitted.platt.slope;
    }
    *out = json_pack("{s:I,s:f,s:f,s:f,s:f,s:o,s:o}", "n", (json_int_t)n, "ece_before", calibration_error(p, truth, n), "ece",
                     calibration_error(crossed, truth, n), "brier_before", brier_score(p, truth, n), "brier", brier_score(crossed, truth, n),
                     "reliability_before", reliability_json(p, truth, n), "reliability", reliability_json(crossed, truth, n));
    return 0;
}

int recalibrate_fold(str text)
{
    return (int)(str_hash(text) >> 17 & 1);
}

/* Calibrates one probability and reports it; *out stays NULL with too few lines. */
static int recalibrate_target(struct recalibration *re, int view, int target, json_t **out)
{
    const struct lines *lines = &re->examples.lines;
    float *p = malloc(3 * lines->n * sizeof *p), *truth = p + lines->n, *crossed = truth + lines->n;
    int *folds = malloc(lines->n * sizeof *folds);
    size_t n = 0;
    int status = p == NULL || folds == NULL ? WEIR_E_MEMORY : 0;
    for (size_t i = 0; i < lines->n && status == 0; i++) {
        float said = score_target(&re->scores[view][i], target), was = line_target(&lines->items[i], target);
        if (isnan(said) || isnan(was))
            continue;
        p[n] = said;
        truth[n] = was;
        folds[n++] = recalibrate_fold(lines->items[i].text);
    }
    if (status == 0 && n >= LEAST_CALIBRATION)
        status = recalibrate_linear(re->method, &re->head->linear[view][target], p, truth, folds, n, crossed, out);
    free(p);
    free(folds);
    return status;
}

struct score recalibrate_score(const struct recalibration *re, size_t i)
{
    struct score score, own;
    if (head_rule_value(re->head, re->examples.lines.items[i].text, &score))
        return score;
    score = re->scores[VIEW_FEATURES][i];
    if (re->scores[VIEW_ENCODER] == NULL || head_settles(re->head, VIEW_FEATURES, &score))
        return score;
    float features = score.gain;
    score = re->scores[VIEW_ENCODER][i];
    if (re->scores[VIEW_STATIC] != NULL) {
        own = re->scores[VIEW_STATIC][i];
        if (head_settles(re->head, VIEW_STATIC, &own))
            score = own;
        else
            score.gain = head_within(re->head, VIEW_STATIC, own.gain, score.gain);
    }
    score.gain = head_within(re->head, VIEW_FEATURES, features, score.gain);
    return score;
}

static int score_view(struct recalibration *re, int view)
{
    struct examples *examples = &re->examples;
    size_t n = examples->lines.n, width = (size_t)examples->n_embd;
    int status = 0;
    free(re->scores[view]);
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

static int score_views(struct recalibration *re)
{
    int status = 0;
    for (int view = 0; view < N_HEAD_VIEWS && status == 0; view++)
        if (head_has_view(re->head, (enum head_view)view))
            status = score_view(re, view);
    return status;
}

static int recalibrate(struct recalibration *re, const char *about, double confidence, json_t *report)
{
    json_t *views = json_object();
    json_object_set_new(report, "calibration", views);
    for (size_t i = 0; i < re->examples.lines.n; i++)
        map_weigh(&re->head->map, &re->examples.grams[i]);
    for (int view = 0; view < N_HEAD_VIEWS; view++)
        for (int target = 0; target < N_HEAD_MODELS; target++)
            re->head->linear[view][target].isotonic.n = 0;
    int status = score_views(re);
    if (status == 0)
        status = recalibrate_promises(re, about, confidence, report);
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
    if (status == 0 && re->head->answer.present) /* The question's probability, which the blends look at, has changed. */
        status = score_views(re);
    if (status == 0)
        status = recalibrate_answer(re, report);
    return status;
}

int head_calibrate(const char *head_path, const char *data_path, const char *out_path, struct model *encoder,
                   const struct calibrate_options *options, json_t **out, struct error *err)
{
    struct recalibration re = {.method = options->method};
    struct pool *pool = pool_new(0);
    double confidence = options->confidence > 0 ? options->confidence : 0.9;
    const char *slash = strrchr(data_path, '/'), *about = options->about != NULL ? options->about : slash != NULL ? slash + 1 : data_path;
    *out = NULL;
    int status = options->about != NULL && strlen(about) >= PROMISE_ABOUT_BYTES ? error_set(err, WEIR_E_LIMIT, "about", "at most %d bytes", PROMISE_ABOUT_BYTES - 1) : 0;
    if (status < 0)
        goto done;
    status = pool == NULL ? error_set(err, WEIR_E_MEMORY, "", "out of memory") : head_open(&re.head, head_path, err);
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
    status = recalibrate(&re, about, confidence, *out);
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
