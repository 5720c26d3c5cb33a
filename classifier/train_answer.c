/* Training of the cascade's combiner: P(the local model answered well) from its answer's text and confidence, a logistic head
 * on a map of answers. Out-of-fold values calibrate it, as in train_linear.c.
 *
 * Threads: the fits are independent jobs, each done by one thread. */
#include "answer.h"
#include "metrics.h"
#include "train.h"
#include "whiten.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_ANSWER_LANDMARKS = 768 };
static const double PENALTY = 0.5;

/* The lines that have an answer and a local score, one after the other. */
struct answers {
    size_t n;
    float *forms; /* n × N_ANSWER */
    float *targets;
    int *folds;
    struct grams *grams;
    float *dense;
    struct linear results[N_FOLDS + 1]; /* The last one of all lines. */
    float *inputs; /* n × N_BLEND_INPUTS, of fits that did not see the line. */
    int n_dense;
    bool failed; /* Set by any thread, read after the job. */
};

static bool is_usable(const struct line *line)
{
    return line->answer.text.data != NULL && !isnan(line->local);
}

static void fit_job(void *arg, int fold, int thread)
{
    (void)thread;
    struct answers *answers = arg;
    struct design design = {answers->n, answers->n_dense, answers->dense, answers->grams};
    float *weights = malloc((answers->n + 1) * sizeof *weights);
    for (size_t i = 0; weights != NULL && i < answers->n; i++)
        weights[i] = answers->folds[i] != fold;
    if (weights == NULL || linear_fit(&answers->results[fold], &design, answers->targets, weights, LOSS_LOGISTIC, PENALTY) < 0)
        __atomic_store_n(&answers->failed, true, __ATOMIC_RELAXED);
    free(weights);
}

static int read_answers(struct answers *answers, const struct training *training)
{
    const struct lines *lines = &training->examples->lines;
    size_t k = 0;
    answers->forms = malloc(answers->n * N_ANSWER * sizeof *answers->forms);
    answers->targets = malloc(answers->n * sizeof *answers->targets);
    answers->folds = malloc(answers->n * sizeof *answers->folds);
    answers->grams = calloc(answers->n, sizeof *answers->grams);
    answers->inputs = malloc(answers->n * N_BLEND_INPUTS * sizeof *answers->inputs);
    if (answers->inputs == NULL || answers->forms == NULL || answers->targets == NULL || answers->folds == NULL || answers->grams == NULL)
        return WEIR_E_MEMORY;
    for (size_t i = 0; i < lines->n; i++) {
        if (!is_usable(&lines->items[i]))
            continue;
        answer_form(lines->items[i].text, &lines->items[i].answer, answers->forms + k * N_ANSWER);
        answers->targets[k] = lines->items[i].local;
        answers->folds[k] = training->folds[i];
        blend_inputs(&lines->items[i].answer, NAN, answers->inputs + k * N_BLEND_INPUTS);
        float logit = training->unseen_local[i]; /* As far as a probability says it. */
        answers->inputs[k * N_BLEND_INPUTS + BLEND_QUESTION] = blend_logit(1 / (1 + expf(-logit)));
        if (grams_read(&answers->grams[k], lines->items[i].answer.text) < 0)
            return WEIR_E_MEMORY;
        k++;
    }
    return 0;
}

/* Landmarks are spread evenly over the lines. */
static int make_map(struct answers *answers, struct map *map, size_t *places)
{
    size_t m = answers->n < MOST_ANSWER_LANDMARKS ? answers->n : MOST_ANSWER_LANDMARKS;
    int status = map_init(map, MAP_ANSWERS, 0, (int)m);
    if (status == 0)
        status = map_fit(map, answers->forms, NULL, answers->grams, answers->n);
    if (status < 0)
        return status;
    answers->n_dense = (int)m;
    answers->dense = malloc(answers->n * m * sizeof *answers->dense);
    if (answers->dense == NULL)
        return WEIR_E_MEMORY;
    for (size_t k = 0; k < m; k++) {
        places[k] = k * answers->n / m;
        map_set_landmark(map, (int)k, answers->forms + places[k] * N_ANSWER, NULL);
    }
    for (size_t i = 0; i < answers->n; i++) {
        map_weigh(map, &answers->grams[i]);
        map_dense(map, answers->forms + i * N_ANSWER, NULL, answers->dense + i * m);
    }
    return 0;
}

static int calibrate(const struct answers *answers, struct head *head)
{
    float *scores = malloc((answers->n + 1) * sizeof *scores);
    if (scores == NULL)
        return WEIR_E_MEMORY;
    for (size_t i = 0; i < answers->n; i++)
        scores[i] = linear_value(&answers->results[answers->folds[i]], answers->dense + i * (size_t)answers->n_dense, &answers->grams[i]);
    head->answer.local.platt = platt_fit(scores, answers->targets, NULL, answers->n);
    double area = auroc(scores, answers->targets, answers->n);
    if (isfinite(area))
        json_object_set_new(head->metrics, "cv_auroc_local_answer", json_real(area));
    for (size_t i = 0; i < answers->n; i++)
        answers->inputs[i * N_BLEND_INPUTS + BLEND_TEXT] = blend_logit(platt_apply(head->answer.local.platt, scores[i]));
    free(scores);
    return 0;
}

/* One blend of all lines, and by blends of the other folds' lines how well it orders. */
static int join(const struct answers *answers, struct head *head, struct blend *out, unsigned set, const char *metric)
{
    float *weights = malloc(2 * (answers->n + 1) * sizeof *weights), *said = weights + answers->n + 1;
    if (weights == NULL)
        return WEIR_E_MEMORY;
    for (int fold = 0; fold <= N_FOLDS; fold++) {
        struct blend blend;
        for (size_t i = 0; i < answers->n; i++)
            weights[i] = answers->folds[i] != fold;
        blend_fit(fold == N_FOLDS ? out : &blend, answers->inputs, answers->targets, weights, answers->n, set);
        for (size_t i = 0; i < answers->n && fold < N_FOLDS; i++)
            if (answers->folds[i] == fold)
                said[i] = blend_value(&blend, answers->inputs + i * N_BLEND_INPUTS);
    }
    double area = auroc(said, answers->targets, answers->n);
    if (out->present && isfinite(area))
        json_object_set_new(head->metrics, metric, json_real(area));
    free(weights);
    return 0;
}

int train_answer(struct training *training, struct error *err)
{
    struct head *head = training->head;
    const struct lines *lines = &training->examples->lines;
    struct answers answers = {0};
    struct whiten whiten = {0};
    size_t places[MOST_ANSWER_LANDMARKS];
    for (size_t i = 0; i < lines->n; i++)
        answers.n += is_usable(&lines->items[i]);
    if (answers.n < LEAST_LINES)
        return 0;
    int status = read_answers(&answers, training);
    if (status == 0)
        status = make_map(&answers, &head->answer.map, places);
    if (status == 0)
        status = whiten_init(&whiten, answers.dense, places, (size_t)answers.n_dense);
    if (status == 0) {
        whiten_rows(&whiten, answers.dense, answers.n, training->pool);
        pool_run(training->pool, N_FOLDS + 1, fit_job, &answers);
        progress_show(training->quiet, "answers", 1, 1);
        status = answers.failed ? WEIR_E_MEMORY : calibrate(&answers, head);
    }
    if (status == 0)
        status = join(&answers, head, &head->answer.by_text, BLEND_OF_TEXT, "cv_auroc_local_joined");
    if (status == 0)
        status = join(&answers, head, &head->answer.by_confidence, BLEND_OF_CONFIDENCE, "cv_auroc_local_confidence");
    if (status == 0)
        status = join(&answers, head, &head->answer.by_probe, BLEND_OF_PROBE, "cv_auroc_local_probe");
    if (status == 0) {
        head->answer.present = head->answer.local.present = true;
        head->answer.local.weights = answers.results[N_FOLDS];
        answers.results[N_FOLDS] = (struct linear){0};
        whiten_undo(&whiten, head->answer.local.weights.dense);
    }
    for (int fold = 0; fold <= N_FOLDS; fold++)
        linear_release(&answers.results[fold]);
    for (size_t i = 0; answers.grams != NULL && i < answers.n; i++)
        grams_release(&answers.grams[i]);
    free(answers.forms);
    free(answers.targets);
    free(answers.folds);
    free(answers.inputs);
    free(answers.grams);
    free(answers.dense);
    whiten_release(&whiten);
    return status < 0 ? error_set(err, status, "answers", "out of memory") : 0;
}
