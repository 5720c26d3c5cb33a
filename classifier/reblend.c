/* Reblend: what is said of a local answer, set right on fresh lines.
 *
 * The answer's own probability, from its text, is calibrated as a question's is. Then each blend is fitted anew, for its
 * inputs mean something else now: the question's and the text's probability have changed, and these lines may know
 * confidences that the training's did not. A few lines fit a worse blend than the many that training had, so the new one is taken only
 * where it is no worse, fitted on one half of the lines and judged on the other, than the one there was. */
#include "recalibrate.h"
#include "apply.h"
#include "metrics.h"

#include <math.h>
#include <stdlib.h>

/* The lines that have an answer and a local score, one after the other. */
struct answered {
    size_t n;
    float *p, *truth, *crossed;
    float *inputs; /* n × N_BLEND_INPUTS */
    int *folds;
};

static bool is_usable(const struct line *line)
{
    return line->answer.text.data != NULL && !isnan(line->local);
}

static void release(struct answered *answered)
{
    free(answered->p);
    free(answered->inputs);
    free(answered->folds);
}

static int read_answers(struct answered *out, const struct recalibration *re)
{
    const struct lines *lines = &re->examples.lines;
    size_t n = out->n, k = 0;
    out->p = malloc(3 * n * sizeof *out->p);
    out->inputs = malloc(n * N_BLEND_INPUTS * sizeof *out->inputs);
    out->folds = malloc(n * sizeof *out->folds);
    int status = out->p == NULL || out->inputs == NULL || out->folds == NULL ? WEIR_E_MEMORY : 0;
    out->truth = out->p + n;
    out->crossed = out->truth + n;
    for (size_t i = 0; i < lines->n && status == 0; i++) {
        const struct line *line = &lines->items[i];
        if (!is_usable(line))
            continue;
        blend_inputs(&line->answer, recalibrate_score(re, i).p_local, out->inputs + k * N_BLEND_INPUTS);
        out->truth[k] = line->local;
        out->folds[k] = recalibrate_fold(line->text);
        status = head_answer_alone(re->head, line->text, &line->answer, &out->p[k++]);
    }
    return status;
}

/* What a blend says of line k; without one the question's word. */
static float said_by(const struct blend *blend, const struct answered *answered, size_t k)
{
    const float *inputs = answered->inputs + k * N_BLEND_INPUTS;
    return blend->present ? blend_value(blend, inputs) : isnan(inputs[BLEND_QUESTION]) ? 0.5F : 1 / (1 + expf(-inputs[BLEND_QUESTION]));
}

static int refit(const struct answered *answered, struct blend *blend, unsigned set, json_t **out)
{
    size_t n = answered->n;
    float *weights = malloc(3 * n * sizeof *weights), *before = weights + n, *after = before + n;
    struct blend fresh;
    bool has = true;
    if (weights == NULL)
        return WEIR_E_MEMORY;
    for (size_t k = 0; k < n; k++)
        before[k] = said_by(blend, answered, k);
    for (int fold = 0; fold < 2; fold++) {
        for (size_t k = 0; k < n; k++)
            weights[k] = answered->folds[k] != fold;
        blend_fit(&fresh, answered->inputs, answered->truth, weights, n, set);
        has = has && fresh.present;
        for (size_t k = 0; k < n; k++)
            if (answered->folds[k] == fold)
                after[k] = said_by(&fresh, answered, k);
    }
    for (size_t k = 0; k < n; k++)
        weights[k] = 1;
    blend_fit(&fresh, answered->inputs, answered->truth, weights, n, set);
    bool taken = has && fresh.present && brier_score(after, answered->truth, n) <= brier_score(before, answered->truth, n);
    const float *now = taken ? after : before;
    if (taken)
        *blend = fresh;
    if (taken || blend->present)
        *out = json_pack("{s:I,s:b,s:f,s:f,s:f,s:f}", "n", (json_int_t)n, "refitted", taken, "ece_before", calibration_error(before, answered->truth, n), "ece",
                         calibration_error(now, answered->truth, n), "brier_before", brier_score(before, answered->truth, n), "brier",
                         brier_score(now, answered->truth, n));
    free(weights);
    return 0;
}

int recalibrate_answer(struct recalibration *re, json_t *report)
{
    struct head_answer *answer = &re->head->answer;
    struct answered answered = {0};
    const struct {
        const char *name;
        struct blend *blend;
        unsigned set;
    } blends[] = {{"by_text", &answer->by_text, BLEND_OF_TEXT}, {"by_confidence", &answer->by_confidence, BLEND_OF_CONFIDENCE}, {"by_probe", &answer->by_probe, BLEND_OF_PROBE}};
    for (size_t i = 0; i < re->examples.lines.n; i++)
        answered.n += is_usable(&re->examples.lines.items[i]);
    if (!answer->present || answered.n < LEAST_CALIBRATION)
        return 0;
    json_t *of_answer = json_object(), *of_text = NULL;
    json_object_set_new(report, "answer", of_answer);
    answer->local.isotonic.n = 0;
    int status = read_answers(&answered, re);
    if (status == 0)
        status = recalibrate_linear(re->method, &answer->local, answered.p, answered.truth, answered.folds, answered.n, answered.crossed, &of_text);
    if (of_text != NULL)
        json_object_set_new(of_answer, "local", of_text);
    for (size_t k = 0; k < answered.n && status == 0; k++)
        answered.inputs[k * N_BLEND_INPUTS + BLEND_TEXT] = blend_logit(answered.crossed[k]);
    for (size_t i = 0; i < sizeof blends / sizeof *blends && status == 0; i++) {
        json_t *of_blend = NULL;
        status = refit(&answered, blends[i].blend, blends[i].set, &of_blend);
        if (of_blend != NULL)
            json_object_set_new(of_answer, blends[i].name, of_blend);
    }
    release(&answered);
    return status;
}
