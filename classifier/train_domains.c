/* Training of the domain heads: a softmax over the in-scope names; temperature and out-of-scope calibration from lines that a
 * fit did not see.
 *
 * Out of scope: with lines marked "oos", their largest logits against those of held-out in-scope lines. Without any, each
 * fold leaves out a share of the names as well, and their lines play the part. With too few names for that, the calibration
 * says that about one held-out line in twenty with the smallest logits is as likely out as in. */
#include "metrics.h"
#include "train.h"

#include <math.h>
#include <stdlib.h>

enum { FULL_STEPS = 80, FOLD_STEPS = 45, DOMAIN_FOLDS = 3, LEAST_OOS = 10, LEAST_NAMES = 6 };

struct domain_fit {
    struct training *training;
    enum head_view view;
    float *block;          /* Inputs, row after row. */
    const float **rows;    /* Into block. */
    int *classes;          /* Of the fit under way. */
    int *truth;            /* Class, or -1. */
    bool *is_oos;
    float *weights;        /* Of the names; NULL: all count as their lines do. */
    float *logits;         /* Held-out logits: n × n_domains. */
    const float **logit_rows;
    size_t n;
};

static int fit_once(struct domain_fit *fit, struct softmax *softmax, int n_steps)
{
    struct softmax_rows rows = {fit->rows, fit->classes, fit->n, fit->weights};
    return softmax_fit(softmax, &rows, n_steps, fit->training->pool);
}

static float largest(const float *logits, int n)
{
    float most = logits[0];
    for (int c = 1; c < n; c++)
        most = logits[c] > most ? logits[c] : most;
    return most;
}

/* One fold: fit on the others, logits of its own lines. left_out: names whose number mod DOMAIN_FOLDS is the fold are not
 * trained on. */
static int run_fold(struct domain_fit *fit, int fold, bool leave_out)
{
    const struct head *head = fit->training->head;
    struct softmax softmax;
    int status = softmax_init(&softmax, head->n_domains, head_domain_inputs(head, fit->view));
    for (size_t i = 0; i < fit->n; i++) {
        bool own = fit->training->folds[i] % DOMAIN_FOLDS == fold, out = leave_out && fit->truth[i] >= 0 && fit->truth[i] % DOMAIN_FOLDS == fold;
        fit->classes[i] = own || out ? -1 : fit->truth[i];
    }
    if (status == 0)
        status = fit_once(fit, &softmax, FOLD_STEPS);
    for (size_t i = 0; i < fit->n && status == 0; i++) {
        if (fit->training->folds[i] % DOMAIN_FOLDS != fold)
            continue;
        float *logits = fit->logits + i * (size_t)head->n_domains;
        softmax_apply(&softmax, fit->rows[i], logits);
        for (int c = 0; c < head->n_domains && leave_out; c++)
            if (c % DOMAIN_FOLDS == fold)
                logits[c] = -1e30F; /* Never trained: not to be chosen. */
    }
    softmax_release(&softmax);
    return status;
}

static void put(struct domain_fit *fit, const char *name, double value)
{
    char key[64];
    snprintf(key, sizeof key, "cv_%s_%s", name, head_view_names[fit->view]);
    if (isfinite(value))
        json_object_set_new(fit->training->head->metrics, key, json_real(value));
}

/* Temperature, out-of-scope sigmoid and metrics from the held-out logits. */
static int calibrate(struct domain_fit *fit, bool leave_out, bool have_oos)
{
    struct head *head = fit->training->head;
    struct head_domain *domain = &head->domain[fit->view];
    float *scores = malloc(3 * fit->n * sizeof *scores), *targets = scores + fit->n, *weights = targets + fit->n;
    size_t n = 0, n_right = 0, n_in = 0, n_out = 0;
    if (scores == NULL)
        return WEIR_E_MEMORY;
    for (size_t i = 0; i < fit->n; i++) {
        const float *logits = fit->logit_rows[i];
        bool left = leave_out && fit->truth[i] >= 0 && fit->truth[i] % DOMAIN_FOLDS == fit->training->folds[i] % DOMAIN_FOLDS;
        fit->classes[i] = left ? -1 : fit->truth[i];
        if (fit->truth[i] < 0 && !fit->is_oos[i])
            continue;
        float most = largest(logits, head->n_domains);
        bool out = fit->is_oos[i] || left;
        if (!out) {
            n_in++;
            n_right += logits[fit->truth[i]] >= most;
        }
        n_out += out;
        scores[n] = -most;
        targets[n++] = out ? 1 : 0;
    }
    domain->temperature = temperature_fit(fit->logit_rows, fit->classes, fit->n, head->n_domains);
    put(fit, leave_out ? "accuracy_in_scope_two_thirds_of_names" : "accuracy_in_scope", n_in > 0 ? (double)n_right / (double)n_in : NAN);
    if (n_out > 0 && (have_oos || leave_out)) {
        put(fit, have_oos ? "auroc_oos" : "auroc_left_out_names", auroc(scores, targets, n));
        for (size_t i = 0; i < n; i++) /* Even odds: how many lines are out of scope in use is not known here. */
            weights[i] = targets[i] > 0 ? (float)n_in / (float)n_out : 1;
        domain->oos = platt_fit(scores, targets, weights, n);
    } else {
        double mean = 0, square = 0;
        for (size_t i = 0; i < n; i++) {
            mean += (double)scores[i];
            square += (double)scores[i] * (double)scores[i];
        }
        mean /= (double)(n > 0 ? n : 1);
        double sd = sqrt(fmax(square / (double)(n > 0 ? n : 1) - mean * mean, 1e-6));
        domain->oos = (struct platt){2 / sd, -2 / sd * (mean + 1.645 * sd)};
    }
    free(scores);
    return 0;
}

/* Every name counts as much as any other. */
static void balance(struct domain_fit *fit)
{
    int n_names = fit->training->head->n_domains;
    double n = 0, n_used = 0;
    for (int c = 0; c < n_names; c++)
        fit->weights[c] = 0;
    for (size_t i = 0; i < fit->n; i++) {
        if (fit->truth[i] >= 0)
            fit->weights[fit->truth[i]]++;
        n += fit->truth[i] >= 0;
    }
    for (int c = 0; c < n_names; c++)
        n_used += fit->weights[c] > 0;
    for (int c = 0; c < n_names; c++)
        fit->weights[c] = fit->weights[c] > 0 ? (float)(n / (n_used * (double)fit->weights[c])) : 1;
}

static int fit_view(struct domain_fit *fit)
{
    struct training *training = fit->training;
    struct head *head = training->head;
    size_t n_inputs = (size_t)head_domain_inputs(head, fit->view), width = (size_t)head->map.n_embd;
    size_t n_oos = 0;
    char what[32];
    snprintf(what, sizeof what, "domains, %s", head_view_names[fit->view]);
    for (size_t i = 0; i < fit->n; i++) {
        const struct line *line = &training->examples->lines.items[i];
        const float *embedding = fit->view == VIEW_ENCODER ? training->examples->embeddings + i * width
                                 : fit->view == VIEW_STATIC ? training->examples->statics + i * (size_t)head->table.n_dims : NULL;
        fit->rows[i] = fit->block + i * n_inputs;
        fit->logit_rows[i] = fit->logits + i * (size_t)head->n_domains;
        head_domain_input(head, fit->view, training->examples->grams[i].sketch, embedding, fit->block + i * n_inputs);
        fit->truth[i] = line->domain >= 0 ? line->domain : -1;
        fit->is_oos[i] = line->domain == DOMAIN_OOS;
        n_oos += line->domain == DOMAIN_OOS;
    }
    if (fit->weights != NULL)
        balance(fit);
    bool have_oos = n_oos >= LEAST_OOS, leave_out = !have_oos && head->n_domains >= LEAST_NAMES;
    int status = 0;
    for (int fold = 0; fold < DOMAIN_FOLDS && status == 0; fold++) {
        status = run_fold(fit, fold, leave_out);
        progress_show(training->quiet, what, (size_t)fold + 1, DOMAIN_FOLDS + 1);
    }
    if (status == 0)
        status = calibrate(fit, leave_out, have_oos);
    if (status == 0)
        status = softmax_init(&head->domain[fit->view].weights, head->n_domains, (int)n_inputs);
    memcpy(fit->classes, fit->truth, fit->n * sizeof *fit->classes);
    if (status == 0)
        status = fit_once(fit, &head->domain[fit->view].weights, FULL_STEPS);
    progress_show(training->quiet, what, DOMAIN_FOLDS + 1, DOMAIN_FOLDS + 1);
    head->domain[fit->view].present = status == 0;
    return status;
}

int train_domains(struct training *training, struct error *err)
{
    struct head *head = training->head;
    size_t n = training->examples->lines.n;
    int status = 0;
    for (int view = 0; view < N_HEAD_VIEWS && status == 0 && head->n_domains > 0; view++) {
        if (!head_has_view(head, (enum head_view)view))
            continue;
        struct domain_fit fit = {.training = training, .view = (enum head_view)view, .n = n};
        fit.block = malloc(n * (size_t)head_domain_inputs(head, view) * sizeof *fit.block);
        fit.rows = malloc(n * sizeof *fit.rows);
        fit.classes = malloc(n * sizeof *fit.classes);
        fit.truth = malloc(n * sizeof *fit.truth);
        fit.is_oos = malloc(n * sizeof *fit.is_oos);
        fit.logits = calloc(n * (size_t)head->n_domains, sizeof *fit.logits);
        fit.logit_rows = malloc(n * sizeof *fit.logit_rows);
        if (training->balanced && (fit.weights = malloc((size_t)head->n_domains * sizeof *fit.weights)) == NULL)
            status = WEIR_E_MEMORY;
        if (fit.block == NULL || fit.rows == NULL || fit.classes == NULL || fit.truth == NULL || fit.is_oos == NULL || fit.logits == NULL ||
            fit.logit_rows == NULL)
            status = WEIR_E_MEMORY;
        else if (status == 0)
            status = fit_view(&fit);
        free(fit.block);
        free(fit.rows);
        free(fit.classes);
        free(fit.truth);
        free(fit.is_oos);
        free(fit.logits);
        free(fit.logit_rows);
        free(fit.weights);
    }
    return status < 0 ? error_set(err, status, "training", "out of memory") : 0;
}
