/* Training of the linear heads: for each view and target one fit on all lines and one per fold; the folds' predictions on the
 * lines they did not see give the calibration, the gain's line and the metrics.
 *
 * The gain is the difference of two probabilities, not a fit of the difference: where both models are nearly sure to be right
 * or wrong the difference is small, which a fit of it would have to learn from the few lines on which they part.
 *
 * A head of another kind than kernel has a network (network.h) in the place of the encoder's local and remote fits.
 *
 * Threads: the fits are independent jobs, each done by one thread, so the result does not depend on how many there are. */
#include "metrics.h"
#include "train.h"
#include "whiten.h"

#include <math.h>
#include <stdlib.h>

/* Of ½ penalty |w|², by view: a kernel's diagonal is 4.7 with vectors of meaning and 2.3 without. */
static const double PENALTY[N_HEAD_VIEWS] = {6.5, 8.5, 8.5}, PENALTY_TOKENS = 1;
static const float SETTLE_ERROR = 0.03F; /* Wrong answers allowed where a tier before the encoder answers alone. */
static const double MARGIN_BEYOND = 0.03; /* Of the lines, those on which the encoder's gain is farther away than the margin. */
enum { SETTLE_LEAST = 60, MARGIN_LEAST = 200 };

/* One view's fits of the lines that have what a target needs. */
struct fits {
    struct training *training;
    enum head_view view;
    struct design design;
    const float *targets[N_HEAD_TARGETS]; /* NAN: the line has none. */
    size_t counts[N_HEAD_TARGETS];
    struct linear results[N_HEAD_TARGETS][N_FOLDS + 1]; /* The last one of all lines. */
    struct network networks[N_FOLDS + 1]; /* In the place of the first N_HEAD_MODELS targets' results, where they are trained. */
    float *plain;                         /* Their inputs: map_plain of each line. NULL: they are not. */
    float *class_weights[N_HEAD_MODELS];  /* Of each line. */
    bool failed; /* Set by any thread, read after the job. */
};

/* What a line counts in the fits of a target: 1, or, balanced, so that right and wrong weigh the same in all. */
static void weigh_classes(const struct fits *fits, int target, float *weights)
{
    double sum = 0, n = 0;
    for (size_t i = 0; i < fits->training->examples->lines.n; i++) {
        bool has = !isnan(fits->targets[target][i]);
        sum += has ? (double)fits->targets[target][i] : 0;
        n += has;
    }
    bool balanced = fits->training->balanced && sum > 0 && sum < n;
    for (size_t i = 0; i < fits->training->examples->lines.n; i++) {
        double t = (double)fits->targets[target][i];
        weights[i] = balanced && !isnan(t) ? (float)(0.5 * (t * n / sum + (1 - t) * n / (n - sum))) : 1;
    }
}

static void network_job(void *arg, int fold, int thread)
{
    (void)thread;
    struct fits *fits = arg;
    size_t n = fits->design.n;
    float *weights = malloc(N_HEAD_MODELS * n * sizeof *weights);
    int status = weights == NULL ? WEIR_E_MEMORY : network_init(&fits->networks[fold], (enum network_kind)(fits->training->kind - TRAIN_LOGISTIC),
                                                                 N_SURFACE + fits->training->head->map.n_embd);
    struct network_lines lines = {n, fits->plain, {fits->targets[HEAD_LOCAL], fits->targets[HEAD_REMOTE]}, {weights, weights + n}};
    for (size_t i = 0; i < n && status == 0; i++)
        for (int target = 0; target < N_HEAD_MODELS; target++)
            weights[(size_t)target * n + i] = fits->training->folds[i] != fold ? fits->class_weights[target][i] : 0;
    if (status == 0)
        status = network_fit(&fits->networks[fold], &lines, fits->training->seed);
    if (status < 0)
        __atomic_store_n(&fits->failed, true, __ATOMIC_RELAXED);
    free(weights);
}

static void fit_job(void *arg, int chunk, int thread)
{
    (void)thread;
    struct fits *fits = arg;
    int fold = chunk % (N_FOLDS + 1), target = chunk / (N_FOLDS + 1);
    const struct design *design = &fits->design;
    if (fits->counts[target] < LEAST_LINES || (fits->plain != NULL && target < N_HEAD_MODELS))
        return;
    float *weights = malloc(2 * design->n * sizeof *weights), *targets = weights + design->n;
    int status = weights == NULL ? WEIR_E_MEMORY : 0;
    for (size_t i = 0; i < design->n && status == 0; i++) {
        bool has = !isnan(fits->targets[target][i]);
        weights[i] = has && fits->training->folds[i] != fold ? target < N_HEAD_MODELS ? fits->class_weights[target][i] : 1 : 0;
        targets[i] = has ? fits->targets[target][i] : 0;
    }
    bool is_length = target == HEAD_TOKENS;
    if (status == 0)
        status = linear_fit(&fits->results[target][fold], design, targets, weights, is_length ? LOSS_SQUARED : LOSS_LOGISTIC,
                            is_length ? PENALTY_TOKENS : PENALTY[fits->view]);
    if (status < 0)
        __atomic_store_n(&fits->failed, true, __ATOMIC_RELAXED);
    free(weights);
}

/* ------------------------------------------------------------------ after the fits */

/* What the fit that did not see a line says of it. */
static float unseen(const struct fits *fits, int target, size_t i)
{
    const struct design *design = &fits->design;
    if (fits->plain != NULL && target < N_HEAD_MODELS) {
        const struct network *network = &fits->networks[fits->training->folds[i]];
        float values[NETWORK_OUTPUTS];
        network_values(network, fits->plain + i * (size_t)network->n_inputs, values);
        return values[target];
    }
    return linear_value(&fits->results[target][fits->training->folds[i]], design->dense + i * (size_t)design->n_dense, &design->grams[i]);
}

/* Least squares of targets on scores, never turning the order round. */
static struct platt line_fit(const float *scores, const float *targets, size_t n)
{
    double s = 0, t = 0, ss = 0, st = 0;
    for (size_t i = 0; i < n; i++) {
        s += (double)scores[i];
        t += (double)targets[i];
    }
    s /= (double)n;
    t /= (double)n;
    for (size_t i = 0; i < n; i++) {
        ss += ((double)scores[i] - s) * ((double)scores[i] - s);
        st += ((double)scores[i] - s) * ((double)targets[i] - t);
    }
    double slope = ss > 1e-9 ? st / ss : 0;
    slope = slope > 0.05 ? slope : 0.05;
    return (struct platt){slope, t - slope * s};
}

/* The widest ends of P(local) at which a tier was wrong no more often than allowed, of the lines that cheaper ones leave to it;
 * marks the lines that it settles. p and targets: room for all lines. */
static void choose_settle(struct fits *fits, float *p, float *targets)
{
    struct training *training = fits->training;
    struct head_settle *settle = &training->head->settle[fits->view];
    struct platt platt = training->head->linear[fits->view][HEAD_LOCAL].platt;
    size_t n = 0;
    for (size_t i = 0; i < fits->design.n; i++) {
        if (isnan(fits->targets[HEAD_LOCAL][i]) || training->settled[i])
            continue;
        p[n] = platt_apply(platt, unseen(fits, HEAD_LOCAL, i));
        targets[n++] = fits->targets[HEAD_LOCAL][i];
    }
    for (int step = 1; step <= 10; step++) {
        float low = 0.02F * (float)step, high = 1 - low;
        double wrong_low = 0, n_low = 0, wrong_high = 0, n_high = 0;
        for (size_t i = 0; i < n; i++) {
            n_low += p[i] <= low;
            wrong_low += p[i] <= low ? (double)targets[i] : 0;
            n_high += p[i] >= high;
            wrong_high += p[i] >= high ? 1 - (double)targets[i] : 0;
        }
        if (n_low >= SETTLE_LEAST && wrong_low <= (double)SETTLE_ERROR * n_low)
            settle->low = low;
        if (n_high >= SETTLE_LEAST && wrong_high <= (double)SETTLE_ERROR * n_high)
            settle->high = high;
    }
    for (size_t i = 0; i < fits->design.n; i++) {
        float said = platt_apply(platt, unseen(fits, HEAD_LOCAL, i));
        training->settled[i] = training->settled[i] || said <= settle->low || said >= settle->high;
    }
}

static void put(json_t *metrics, int view, const char *name, double value)
{
    char key[64];
    snprintf(key, sizeof key, "cv_%s_%s", name, head_view_names[view]);
    if (isfinite(value))
        json_object_set_new(metrics, key, json_real(value));
}

static void calibrate_target(struct fits *fits, int target, float *scores, float *targets)
{
    struct head *head = fits->training->head;
    struct head_linear *out = &head->linear[fits->view][target];
    char name[32];
    size_t n = 0;
    for (size_t i = 0; i < fits->design.n; i++) {
        if (isnan(fits->targets[target][i]))
            continue;
        scores[n] = unseen(fits, target, i);
        targets[n++] = fits->targets[target][i];
    }
    out->present = true;
    out->platt = platt_fit(scores, targets, NULL, n);
    for (size_t i = 0; target == HEAD_LOCAL && i < fits->design.n; i++)
        fits->training->unseen_local[i] = (float)(out->platt.slope * (double)unseen(fits, target, i) + out->platt.shift);
    snprintf(name, sizeof name, "auroc_%s", head_target_names[target]);
    put(head->metrics, (int)fits->view, name, auroc(scores, targets, n));
    for (size_t i = 0; i < n; i++)
        scores[i] = platt_apply(out->platt, scores[i]);
    snprintf(name, sizeof name, "brier_%s", head_target_names[target]);
    put(head->metrics, (int)fits->view, name, brier_score(scores, targets, n));
    if (fits->view != VIEW_ENCODER && target == HEAD_LOCAL && head->map.n_embd > 0)
        choose_settle(fits, scores, targets);
}

/* The line from values to logarithms, moved so that the expected numbers of tokens have the right sum (Duan 1983): the mean of
 * what is skewed is more than its median. */
static void calibrate_tokens(struct fits *fits, float *scores, float *targets)
{
    struct head *head = fits->training->head;
    struct head_linear *out = &head->linear[fits->view][HEAD_TOKENS];
    double was = 0, said = 0, error = 0;
    size_t n = 0;
    for (size_t i = 0; i < fits->design.n; i++) {
        if (isnan(fits->targets[HEAD_TOKENS][i]))
            continue;
        scores[n] = unseen(fits, HEAD_TOKENS, i);
        targets[n++] = fits->targets[HEAD_TOKENS][i];
    }
    out->present = true;
    out->platt = line_fit(scores, targets, n);
    for (size_t i = 0; i < n; i++) {
        was += exp((double)targets[i]);
        said += exp(out->platt.slope * (double)scores[i] + out->platt.shift);
    }
    out->platt.shift += log(was / said);
    for (size_t i = 0; i < n; i++)
        error += fabs(out->platt.slope * (double)scores[i] + out->platt.shift - (double)targets[i]);
    json_object_set_new(head->metrics, "cv_log_error_output_tokens", json_real(error / (double)n));
}

/* The gain of the lines with both scores. */
static void calibrate_gain(struct fits *fits, float *gains, float *differences, float *local, float *remote)
{
    struct head *head = fits->training->head;
    struct curve curve;
    size_t n = 0;
    for (size_t i = 0; i < fits->design.n; i++) {
        if (isnan(fits->targets[HEAD_LOCAL][i]) || isnan(fits->targets[HEAD_REMOTE][i]))
            continue;
        gains[n] = gain_value(unseen(fits, HEAD_REMOTE, i), unseen(fits, HEAD_LOCAL, i));
        local[n] = fits->targets[HEAD_LOCAL][i];
        remote[n] = fits->targets[HEAD_REMOTE][i];
        differences[n] = remote[n] - local[n];
        n++;
    }
    if (n < LEAST_LINES)
        return;
    struct platt line = line_fit(gains, differences, n);
    head->gain[fits->view] = (struct head_gain){true, line.slope, line.shift};
    if (curve_make(&curve, gains, local, remote, n) == 0)
        put(head->metrics, (int)fits->view, "apgr", curve_apgr(&curve));
    curve_release(&curve);
}

/* Each line's gain as this view's folds foretell it. */
static void note_gains(const struct fits *fits)
{
    const struct head *head = fits->training->head;
    const struct head_linear *linear = head->linear[fits->view];
    const struct head_gain *known = &head->gain[fits->view];
    for (size_t i = 0; i < fits->design.n; i++) {
        float *out = &fits->training->gains[fits->view][i];
        *out = NAN;
        if (isnan(fits->targets[HEAD_LOCAL][i]) && isnan(fits->targets[HEAD_REMOTE][i]))
            continue;
        float local = linear[HEAD_LOCAL].present ? unseen(fits, HEAD_LOCAL, i) : NAN, remote = linear[HEAD_REMOTE].present ? unseen(fits, HEAD_REMOTE, i) : NAN;
        if (known->present)
            *out = (float)(known->slope * (double)gain_value(remote, local) + known->shift);
        else if (linear[HEAD_LOCAL].present)
            *out = 1 - platt_apply(linear[HEAD_LOCAL].platt, local);
        else if (linear[HEAD_REMOTE].present)
            *out = platt_apply(linear[HEAD_REMOTE].platt, remote) - 0.5F;
    }
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

/* How far the encoder's gain is from each cheaper view's, but for a share MARGIN_BEYOND of the lines. distances: room for all lines. */
static void choose_margins(const struct training *training, float *distances)
{
    struct head *head = training->head;
    for (int view = 0; view < VIEW_ENCODER; view++) {
        size_t n = 0;
        for (size_t i = 0; i < training->examples->lines.n && head_has_view(head, (enum head_view)view); i++) {
            float distance = fabsf(training->gains[view][i] - training->gains[VIEW_ENCODER][i]);
            if (!isnan(distance))
                distances[n++] = distance;
        }
        qsort(distances, n, sizeof *distances, compare_floats);
        if (n >= MARGIN_LEAST)
            head->settle[view].margin = distances[n - 1 - (size_t)(MARGIN_BEYOND * (double)n)];
    }
}

static int fit_view(struct fits *fits, float *dense)
{
    struct training *training = fits->training;
    struct examples *examples = training->examples;
    struct head *head = training->head;
    const struct map *map = head_map(head, fits->view);
    const float *vectors = fits->view == VIEW_ENCODER ? examples->inners : fits->view == VIEW_STATIC ? examples->statics : NULL;
    size_t n = examples->lines.n, m = (size_t)map->n_landmarks, width = (size_t)map->n_embd;
    struct whiten whiten;
    char what[48];
    for (size_t i = 0; i < n; i++)
        map_dense(map, examples->surfaces + i * N_SURFACE, vectors != NULL ? vectors + i * width : NULL, dense + i * m);
    int status = whiten_init(&whiten, dense, training->landmarks, m);
    float *block = malloc(4 * n * sizeof *block);
    if (block == NULL)
        status = WEIR_E_MEMORY;
    if (status < 0)
        goto done;
    whiten_rows(&whiten, dense, n, training->pool);
    fits->design = (struct design){n, (int)m, dense, examples->grams};
    snprintf(what, sizeof what, "local, remote, length: %s", head_view_names[fits->view]);
    progress_show(training->quiet, what, 0, 1);
    pool_run(training->pool, N_HEAD_TARGETS * (N_FOLDS + 1), fit_job, fits);
    if (fits->plain != NULL)
        pool_run(training->pool, N_FOLDS + 1, network_job, fits);
    progress_show(training->quiet, what, 1, 1);
    if (fits->failed)
        status = WEIR_E_MEMORY;
    for (int target = 0; target < N_HEAD_MODELS && status == 0; target++)
        if (fits->counts[target] >= LEAST_LINES)
            calibrate_target(fits, target, block, block + n);
    if (status == 0 && fits->counts[HEAD_TOKENS] >= LEAST_LINES)
        calibrate_tokens(fits, block, block + n);
    if (status == 0 && fits->counts[HEAD_LOCAL] >= LEAST_LINES && fits->counts[HEAD_REMOTE] >= LEAST_LINES)
        calibrate_gain(fits, block, block + n, block + 2 * n, block + 3 * n);
    if (status == 0)
        note_gains(fits);
    for (int target = 0; target < N_HEAD_TARGETS && status == 0; target++) {
        if (fits->counts[target] < LEAST_LINES || (fits->plain != NULL && target < N_HEAD_MODELS))
            continue;
        head->linear[fits->view][target].weights = fits->results[target][N_FOLDS];
        fits->results[target][N_FOLDS] = (struct linear){0};
        whiten_undo(&whiten, head->linear[fits->view][target].weights.dense);
    }
    if (status == 0 && fits->plain != NULL) {
        head->network = fits->networks[N_FOLDS];
        fits->networks[N_FOLDS] = (struct network){0};
    }
done:
    for (int fold = 0; fold <= N_FOLDS; fold++)
        network_release(&fits->networks[fold]);
    for (int target = 0; target < N_HEAD_TARGETS; target++)
        for (int fold = 0; fold <= N_FOLDS; fold++)
            linear_release(&fits->results[target][fold]);
    free(block);
    whiten_release(&whiten);
    return status;
}

/* What the networks of the encoder's view see, where the head is to have one. */
static int make_plain(struct fits *fits)
{
    const struct training *training = fits->training;
    const struct map *map = &training->head->map;
    size_t width = (size_t)map->n_embd, n = training->examples->lines.n;
    bool any = fits->counts[HEAD_LOCAL] >= LEAST_LINES || fits->counts[HEAD_REMOTE] >= LEAST_LINES;
    if (training->kind == TRAIN_KERNEL || fits->view != VIEW_ENCODER || !any)
        return 0;
    fits->plain = malloc(n * (N_SURFACE + width) * sizeof *fits->plain);
    for (size_t i = 0; i < n && fits->plain != NULL; i++)
        map_plain(map, training->examples->surfaces + i * N_SURFACE, training->examples->inners + i * width, fits->plain + i * (N_SURFACE + width));
    return fits->plain == NULL ? WEIR_E_MEMORY : 0;
}

int train_linear(struct training *training, struct error *err)
{
    const struct head *head = training->head;
    size_t n = training->examples->lines.n, counts[N_HEAD_TARGETS] = {0};
    float *targets = malloc((N_HEAD_TARGETS + N_HEAD_MODELS) * n * sizeof *targets), *weights = targets + N_HEAD_TARGETS * n, *dense = malloc((n * (size_t)head->map.n_landmarks + 1) * sizeof *dense);
    int status = targets == NULL || dense == NULL ? WEIR_E_MEMORY : 0;
    for (size_t i = 0; i < n && status == 0; i++) {
        const struct line *line = &training->examples->lines.items[i];
        targets[i] = line->local;
        targets[n + i] = line->remote;
        targets[2 * n + i] = isnan(line->output_tokens) ? NAN : logf(line->output_tokens > 1 ? line->output_tokens : 1);
        counts[HEAD_LOCAL] += !isnan(line->local);
        counts[HEAD_REMOTE] += !isnan(line->remote);
        counts[HEAD_TOKENS] += !isnan(line->output_tokens);
    }
    bool enough = counts[HEAD_LOCAL] >= LEAST_LINES || counts[HEAD_REMOTE] >= LEAST_LINES || counts[HEAD_TOKENS] >= LEAST_LINES;
    for (int view = 0; view < N_HEAD_VIEWS && status == 0 && enough; view++) {
        struct fits fits = {.training = training, .view = (enum head_view)view, .targets = {targets, targets + n, targets + 2 * n},
                            .counts = {counts[HEAD_LOCAL], counts[HEAD_REMOTE], view == VIEW_FEATURES ? counts[HEAD_TOKENS] : 0}, .class_weights = {weights, weights + n}};
        for (int target = 0; target < N_HEAD_MODELS; target++)
            weigh_classes(&fits, target, fits.class_weights[target]);
        if (head_has_view(head, (enum head_view)view) && (status = make_plain(&fits)) == 0)
            status = fit_view(&fits, dense);
        free(fits.plain);
    }
    if (status == 0 && enough && head->map.n_embd > 0)
        choose_margins(training, targets);
    free(targets);
    free(dense);
    return status < 0 ? error_set(err, status, "training", "out of memory") : 0;
}
