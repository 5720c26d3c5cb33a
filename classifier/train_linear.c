/* Training of the linear heads: for each view and target one fit on all lines and one per fold; the folds' predictions on the
 * lines they did not see give the calibration and the metrics.
 *
 * Threads: the fits are independent jobs, each done by one thread, so the result does not depend on how many there are. */
#include "metrics.h"
#include "train.h"

#include <math.h>
#include <stdlib.h>

/* Of ½ penalty |w|², by view: a kernel's diagonal is about 2 with the encoder and 1 without. */
static const double PENALTY_SQUARED[N_HEAD_VIEWS] = {6, 12}, PENALTY_LOGISTIC[N_HEAD_VIEWS] = {1.5, 3};
static const double JITTER = 1e-3;
static const float SETTLE_ERROR = 0.03F; /* Wrong answers allowed where the features tier answers alone. */
enum { SETTLE_LEAST = 60 };

/* The lines that have what a target needs, with rows of dense numbers. */
struct fits {
    struct training *training;
    struct design design[N_HEAD_VIEWS];
    float *targets[N_HEAD_TARGETS]; /* NAN: the line has none. */
    size_t counts[N_HEAD_TARGETS];
    struct linear results[N_HEAD_VIEWS][N_HEAD_TARGETS][N_FOLDS + 1]; /* The last one of all lines. */
    bool failed;
};

static void fit_job(void *arg, int chunk, int thread)
{
    (void)thread;
    struct fits *fits = arg;
    int fold = chunk % (N_FOLDS + 1), target = chunk / (N_FOLDS + 1) % N_HEAD_TARGETS, view = chunk / (N_FOLDS + 1) / N_HEAD_TARGETS;
    const struct design *design = &fits->design[view];
    if (fits->counts[target] < LEAST_LINES || design->dense == NULL)
        return;
    float *weights = malloc(2 * design->n * sizeof *weights), *targets = weights + design->n;
    int status = weights == NULL ? WEIR_E_MEMORY : 0;
    for (size_t i = 0; i < design->n && status == 0; i++) {
        bool has = !isnan(fits->targets[target][i]);
        weights[i] = has && fits->training->folds[i] != fold ? 1 : 0;
        targets[i] = has ? fits->targets[target][i] : 0;
    }
    bool gain = target == HEAD_GAIN;
    if (status == 0)
        status = linear_fit(&fits->results[view][target][fold], design, targets, weights, gain ? LOSS_SQUARED : LOSS_LOGISTIC,
                            gain ? PENALTY_SQUARED[view] : PENALTY_LOGISTIC[view]);
    if (status < 0)
        __atomic_store_n(&fits->failed, true, __ATOMIC_RELAXED);
    free(weights);
}

/* ------------------------------------------------------------------ landmarks */

/* Lower triangle of the landmarks' kernel, factorised in place (Cholesky). */
static int factorise(const struct map *map, const float *dense, const size_t *places, float **out)
{
    size_t m = (size_t)map->n_landmarks, stride = (size_t)map_n_dense(map);
    float *l = malloc((m * m + 1) * sizeof *l);
    if (l == NULL)
        return WEIR_E_MEMORY;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j <= i; j++)
            l[i * m + j] = dense[places[i] * stride + N_SURFACE + j] + (i == j ? (float)JITTER : 0);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j <= i; j++) {
            double lanes[4] = {0}, sum;
            size_t k = 0;
            for (; k + 4 <= j; k += 4)
                for (size_t q = 0; q < 4; q++)
                    lanes[q] += (double)l[i * m + k + q] * (double)l[j * m + k + q];
            sum = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
            for (; k < j; k++)
                sum += (double)l[i * m + k] * (double)l[j * m + k];
            double rest = (double)l[i * m + j] - sum;
            l[i * m + j] = i == j ? (float)sqrt(rest > 1e-6 ? rest : 1e-6) : (float)(rest / (double)l[j * m + j]);
        }
    }
    *out = l;
    return 0;
}

struct whiten_job {
    const struct map *map;
    const float *factor;
    float *dense;
    size_t n;
};

enum { ROWS_PER_CHUNK = 32 };

/* k → L⁻¹ k, row by row. */
static void whiten_chunk(void *arg, int chunk, int thread)
{
    (void)thread;
    struct whiten_job *job = arg;
    size_t m = (size_t)job->map->n_landmarks, stride = (size_t)map_n_dense(job->map), end = ((size_t)chunk + 1) * ROWS_PER_CHUNK;
    for (size_t r = (size_t)chunk * ROWS_PER_CHUNK; r < end && r < job->n; r++) {
        float *x = job->dense + r * stride + N_SURFACE;
        for (size_t i = 0; i < m; i++) {
            const float *row = job->factor + i * m;
            float lanes[8] = {0}, sum = 0;
            size_t k = 0;
            for (; k + 8 <= i; k += 8)
                for (size_t q = 0; q < 8; q++)
                    lanes[q] += row[k + q] * x[k + q];
            for (; k < i; k++)
                sum += row[k] * x[k];
            for (size_t q = 0; q < 8; q++)
                sum += lanes[q];
            x[i] = (x[i] - sum) / row[i];
        }
    }
}

/* Weights on L⁻¹ k become weights on k: w → L⁻ᵀ w. */
static void unwhiten(const struct map *map, const float *factor, float *w)
{
    size_t m = (size_t)map->n_landmarks;
    for (size_t i = m; i-- > 0;) {
        w[i] /= factor[i * m + i];
        for (size_t k = 0; k < i; k++)
            w[k] -= factor[i * m + k] * w[i];
    }
}

/* ------------------------------------------------------------------ after the fits */

/* What the folds say of the lines they did not see; only of lines with the target. Returns how many. */
static size_t out_of_fold(const struct fits *fits, int view, int target, float *scores, float *targets)
{
    const struct design *design = &fits->design[view];
    size_t n = 0;
    for (size_t i = 0; i < design->n; i++) {
        if (isnan(fits->targets[target][i]))
            continue;
        const struct linear *linear = &fits->results[view][target][fits->training->folds[i]];
        scores[n] = linear_value(linear, design->dense + i * (size_t)design->stride, &design->grams[i]);
        targets[n++] = fits->targets[target][i];
    }
    return n;
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

/* The widest ends of P(local) at which the features tier was wrong no more often than allowed. */
static void choose_settle(struct head *head, const float *p, const float *targets, size_t n)
{
    head->settle_low = -1;
    head->settle_high = 2;
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
            head->settle_low = low;
        if (n_high >= SETTLE_LEAST && wrong_high <= (double)SETTLE_ERROR * n_high)
            head->settle_high = high;
    }
}

static void put(json_t *metrics, int view, const char *name, double value)
{
    char key[64];
    snprintf(key, sizeof key, "cv_%s_%s", name, head_view_names[view]);
    if (isfinite(value))
        json_object_set_new(metrics, key, json_real(value));
}

static int calibrate(struct fits *fits, int view, int target)
{
    struct training *training = fits->training;
    struct head_linear *out = &training->head->linear[view][target];
    size_t all = fits->design[view].n;
    float *scores = malloc(4 * all * sizeof *scores), *targets = scores + all, *local = targets + all, *remote = local + all;
    char name[32];
    if (scores == NULL)
        return WEIR_E_MEMORY;
    size_t n = out_of_fold(fits, view, target, scores, targets);
    out->present = true;
    out->weights = fits->results[view][target][N_FOLDS];
    fits->results[view][target][N_FOLDS] = (struct linear){0};
    if (target == HEAD_GAIN) {
        struct curve curve;
        size_t k = 0;
        out->platt = line_fit(scores, targets, n);
        for (size_t i = 0; i < all; i++) {
            if (isnan(fits->targets[target][i]))
                continue;
            local[k] = training->examples->lines.items[i].local;
            remote[k++] = training->examples->lines.items[i].remote;
        }
        if (curve_make(&curve, scores, local, remote, n) == 0)
            put(training->head->metrics, view, "apgr", curve_apgr(&curve));
        curve_release(&curve);
    } else {
        out->platt = platt_fit(scores, targets, NULL, n);
        snprintf(name, sizeof name, "auroc_%s", head_target_names[target]);
        put(training->head->metrics, view, name, auroc(scores, targets, n));
        for (size_t i = 0; i < n; i++)
            scores[i] = platt_apply(out->platt, scores[i]);
        snprintf(name, sizeof name, "brier_%s", head_target_names[target]);
        put(training->head->metrics, view, name, brier_score(scores, targets, n));
        if (view == VIEW_FEATURES && target == HEAD_LOCAL && training->head->map.n_embd > 0)
            choose_settle(training->head, scores, targets, n);
    }
    free(scores);
    return 0;
}

static int prepare(struct fits *fits, float *dense, float **factor)
{
    struct training *training = fits->training;
    struct examples *examples = training->examples;
    const struct map *map = &training->head->map;
    size_t n = examples->lines.n, stride = (size_t)map_n_dense(map), width = (size_t)map->n_embd;
    for (size_t i = 0; i < n; i++)
        map_dense(map, examples->surfaces + i * N_SURFACE, map->n_landmarks > 0 ? examples->embeddings + i * width : NULL, dense + i * stride);
    int status = factorise(map, dense, training->landmarks, factor);
    if (status < 0)
        return status;
    struct whiten_job job = {map, *factor, dense, n};
    pool_run(training->pool, (int)((n + ROWS_PER_CHUNK - 1) / ROWS_PER_CHUNK), whiten_chunk, &job);
    return 0;
}

int train_linear(struct training *training, struct error *err)
{
    struct head *head = training->head;
    size_t n = training->examples->lines.n, stride = (size_t)map_n_dense(&head->map);
    struct fits fits = {.training = training};
    float *block = malloc(N_HEAD_TARGETS * n * sizeof *block), *dense = malloc(n * stride * sizeof *dense), *factor = NULL;
    int status = block == NULL || dense == NULL ? WEIR_E_MEMORY : 0;
    for (int target = 0; target < N_HEAD_TARGETS && status == 0; target++) {
        fits.targets[target] = block + (size_t)target * n;
        for (size_t i = 0; i < n; i++) {
            const struct line *line = &training->examples->lines.items[i];
            float value = target == HEAD_GAIN ? line->remote - line->local : target == HEAD_LOCAL ? line->local : line->remote;
            fits.targets[target][i] = value;
            fits.counts[target] += !isnan(value);
        }
    }
    if (status < 0 || (fits.counts[HEAD_LOCAL] < LEAST_LINES && fits.counts[HEAD_REMOTE] < LEAST_LINES))
        goto done;
    if ((status = prepare(&fits, dense, &factor)) < 0)
        goto done;
    fits.design[VIEW_FEATURES] = (struct design){n, N_SURFACE, (int)stride, dense, training->examples->grams};
    if (head->map.n_embd > 0)
        fits.design[VIEW_ENCODER] = (struct design){n, (int)stride, (int)stride, dense, training->examples->grams};
    progress_show(training->quiet, "fitting gain, local, remote", 0, 1);
    pool_run(training->pool, N_HEAD_VIEWS * N_HEAD_TARGETS * (N_FOLDS + 1), fit_job, &fits);
    progress_show(training->quiet, "fitting gain, local, remote", 1, 1);
    status = fits.failed ? WEIR_E_MEMORY : 0;
    for (int view = 0; view < N_HEAD_VIEWS && status == 0; view++)
        for (int target = 0; target < N_HEAD_TARGETS && status == 0; target++)
            if (fits.results[view][target][N_FOLDS].dense != NULL) {
                status = calibrate(&fits, view, target);
                if (view == VIEW_ENCODER && status == 0)
                    unwhiten(&head->map, factor, head->linear[view][target].weights.dense + N_SURFACE);
            }
done:
    for (int view = 0; view < N_HEAD_VIEWS; view++)
        for (int target = 0; target < N_HEAD_TARGETS; target++)
            for (int fold = 0; fold <= N_FOLDS; fold++)
                linear_release(&fits.results[view][target][fold]);
    free(block);
    free(dense);
    free(factor);
    return status < 0 ? error_set(err, status, "training", "out of memory") : 0;
}
