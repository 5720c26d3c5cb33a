/* Evaluation: a head's scores of labelled lines against what they say, as one JSON object. Each metric stands with the number of
 * lines it is of; a metric that the lines or the head do not have is absent. Tiers count as in use: rules where they apply,
 * features and the static table where the head settles them, the encoder for the rest. */
#include "apply.h"
#include "calibrate.h"
#include "head.h"
#include "lines.h"
#include "metrics.h"

#include <math.h>
#include <stdlib.h>

enum { CURVE_POINTS = 50, N_COLUMNS = 19 };

struct evaluation {
    const struct head *head;
    size_t n;
    float *gains, *local, *remote, *p_local, *p_remote, *oos, *is_oos; /* Each of n, filled up to its own count. */
    size_t n_scores, n_local, n_remote, n_domain, n_right, n_scope;
    struct lengths {
        size_t n;
        float *said, *was; /* Logarithms of numbers of tokens. */
    } lengths;
    float *true_local, *true_remote;
    struct answered {
        size_t n;
        float *gains, *local, *remote, *p_local;
        float *before, *alone, *either; /* By the question, by the answer's text alone, by whichever of question and answer is larger. */
        float *probed;                  /* By the question once the model was asked about it. */
        size_t n_probed;
    } answered; /* Lines with both scores and an answer. */
    int64_t tier_us[N_TIERS];
    size_t tier_n[N_TIERS];
    json_t *confusion;
};

static void put(json_t *out, const char *name, double value)
{
    if (isfinite(value))
        json_object_set_new(out, name, json_real(value));
}

static void confuse(json_t *confusion, const char *truth, const char *said)
{
    json_t *row = json_object_get(confusion, truth);
    if (row == NULL) {
        json_object_set_new(confusion, truth, json_object());
        row = json_object_get(confusion, truth);
    }
    json_object_set_new(row, said, json_integer(json_integer_value(json_object_get(row, said)) + 1));
}

static void take_tier(struct evaluation *e, const struct score *score)
{
    e->tier_n[score->tier]++;
    e->tier_us[score->tier] += score->us;
}

static void take(struct evaluation *e, const struct lines *lines, const struct line *line, const struct score *score)
{
    if (!isnan(line->local) && !isnan(line->remote)) {
        e->gains[e->n_scores] = score->gain;
        e->local[e->n_scores] = line->local;
        e->remote[e->n_scores++] = line->remote;
    }
    if (!isnan(line->local) && !isnan(score->p_local)) {
        e->p_local[e->n_local] = score->p_local;
        e->true_local[e->n_local++] = line->local;
    }
    if (!isnan(line->remote) && !isnan(score->p_remote)) {
        e->p_remote[e->n_remote] = score->p_remote;
        e->true_remote[e->n_remote++] = line->remote;
    }
    if (!isnan(line->output_tokens) && !isnan(score->output_tokens)) {
        struct lengths *lengths = &e->lengths;
        lengths->said[lengths->n] = logf(score->output_tokens > 1 ? score->output_tokens : 1);
        lengths->was[lengths->n++] = logf(line->output_tokens > 1 ? line->output_tokens : 1);
    }
    if (line->domain == DOMAIN_ABSENT || score->domain == NULL)
        return;
    e->oos[e->n_scope] = score->oos;
    e->is_oos[e->n_scope++] = line->domain == DOMAIN_OOS;
    confuse(e->confusion, line->domain == DOMAIN_OOS ? "oos" : lines->names[line->domain], score->domain);
    if (line->domain >= 0) {
        e->n_domain++;
        e->n_right += strcmp(lines->names[line->domain], score->domain) == 0;
    }
}

static int take_answer(struct evaluation *e, struct scorer *scorer, const struct line *line, struct score *score, struct error *err)
{
    struct answered *answered = &e->answered;
    int64_t before = score->us;
    float gain = score->gain, alone = NAN;
    struct score after_probe = *score;
    if (line->answer.text.data == NULL || isnan(line->local) || isnan(line->remote))
        return 0;
    scorer_score_probe(scorer, line->answer.probe, &after_probe);
    int status = scorer_score_answer(scorer, line->text, &line->answer, score, err);
    if (status < 0 || score->tier != TIER_ANSWER)
        return status;
    if (head_answer_alone(e->head, line->text, &line->answer, &alone) < 0)
        return error_set(err, WEIR_E_MEMORY, "answer", "out of memory");
    answered->before[answered->n] = gain;
    answered->alone[answered->n] = 1 - alone;
    answered->probed[answered->n] = after_probe.gain;
    answered->n_probed += after_probe.tier == TIER_PROBE;
    answered->either[answered->n] = gain > score->gain ? gain : score->gain;
    e->tier_n[TIER_ANSWER]++;
    e->tier_us[TIER_ANSWER] += score->us - before;
    answered->gains[answered->n] = score->gain;
    answered->local[answered->n] = line->local;
    answered->remote[answered->n] = line->remote;
    answered->p_local[answered->n++] = score->p_local;
    return 0;
}

static void put_probability(json_t *out, const char *who, const float *p, const float *truth, size_t n)
{
    char name[48];
    if (n == 0)
        return;
    snprintf(name, sizeof name, "n_%s", who);
    json_object_set_new(out, name, json_integer((json_int_t)n));
    snprintf(name, sizeof name, "auroc_%s", who);
    put(out, name, auroc(p, truth, n));
    snprintf(name, sizeof name, "brier_%s", who);
    put(out, name, brier_score(p, truth, n));
    snprintf(name, sizeof name, "ece_%s", who);
    put(out, name, calibration_error(p, truth, n));
    snprintf(name, sizeof name, "reliability_%s", who);
    json_object_set_new(out, name, reliability_json(p, truth, n));
}

/* [share of calls to the remote model, quality] at CURVE_POINTS even steps. */
static json_t *curve_json(const struct curve *curve)
{
    json_t *points = json_array();
    for (size_t i = 0; i <= CURVE_POINTS; i++) {
        size_t at = i * curve->n / CURVE_POINTS;
        json_array_append_new(points, json_pack("[f,f]", (double)at / (double)curve->n, curve->quality[at]));
    }
    return points;
}

/* Metrics of the curve that these gains give. */
static void put_curve(json_t *object, const float *gains, const float *local, const float *remote, size_t n)
{
    struct curve curve = {0};
    if (curve_make(&curve, gains, local, remote, n) == 0) {
        put(object, "apgr", curve_apgr(&curve));
        put(object, "cpt50", curve_cpt(&curve, 0.5));
        put(object, "cpt80", curve_cpt(&curve, 0.8));
        put(object, "aiq", curve_aiq(&curve));
        json_object_set_new(object, "curve", curve_json(&curve));
    }
    curve_release(&curve);
}

/* The lines with an answer, once it is read; and, on the very same lines, routing by the question alone (scoring), by the answer's text alone
 * (answer), and as the cascade does it, which escalates when one of the two gains is above the threshold (both); where the lines have probes, by
 * the question and its probe, each line's (probe). */
static void put_answered(json_t *out, const struct answered *answered)
{
    const struct {
        const char *name;
        const float *gains;
    } ways[] = {{"scoring", answered->before}, {"answer", answered->alone}, {"both", answered->either}, {"probe", answered->probed}};
    double local = 0, remote = 0;
    if (answered->n == 0)
        return;
    json_t *object = json_pack("{s:I}", "n", (json_int_t)answered->n), *cascade = json_pack("{s:I}", "n", (json_int_t)answered->n);
    put_curve(object, answered->gains, answered->local, answered->remote, answered->n);
    put(object, "auroc_local", auroc(answered->p_local, answered->local, answered->n));
    put(object, "ece_local", calibration_error(answered->p_local, answered->local, answered->n));
    json_object_set_new(out, "with_answer", object);
    for (size_t i = 0; i < answered->n; i++) {
        local += (double)answered->local[i] / (double)answered->n;
        remote += (double)answered->remote[i] / (double)answered->n;
    }
    put(cascade, "quality_local", local);
    put(cascade, "quality_remote", remote);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (ways[i].gains == answered->probed && answered->n_probed == 0)
            continue;
        json_t *way = json_object();
        put_curve(way, ways[i].gains, answered->local, answered->remote, answered->n);
        json_object_set_new(cascade, ways[i].name, way);
    }
    json_object_set_new(out, "cascade", cascade);
}

/* log_error: mean of |log said - log was|; log_error_of_mean: the same of one number for all, their geometric mean; ratio: of the sums. */
static void put_lengths(json_t *out, const struct lengths *lengths)
{
    double error = 0, constant = 0, mean = 0, said = 0, was = 0, n = (double)lengths->n;
    if (lengths->n == 0)
        return;
    for (size_t i = 0; i < lengths->n; i++)
        mean += (double)lengths->was[i] / n;
    for (size_t i = 0; i < lengths->n; i++) {
        error += fabs((double)lengths->said[i] - (double)lengths->was[i]) / n;
        constant += fabs(mean - (double)lengths->was[i]) / n;
        said += exp((double)lengths->said[i]);
        was += exp((double)lengths->was[i]);
    }
    json_object_set_new(out, "output_tokens", json_pack("{s:I,s:f,s:f,s:f}", "n", (json_int_t)lengths->n, "log_error", error, "log_error_of_mean", constant,
                                                        "ratio", said / was));
}

static json_t *report(const struct evaluation *e, const struct head *head)
{
    json_t *out = json_pack("{s:s,s:I}", "head", head->id, "n", (json_int_t)e->n);
    struct curve curve = {0};
    if (e->n_scores > 0 && curve_make(&curve, e->gains, e->local, e->remote, e->n_scores) == 0) {
        json_object_set_new(out, "n_scores", json_integer((json_int_t)e->n_scores));
        put(out, "quality_local", curve.local);
        put(out, "quality_remote", curve.remote);
        put(out, "apgr", curve_apgr(&curve));
        put(out, "cpt50", curve_cpt(&curve, 0.5));
        put(out, "cpt80", curve_cpt(&curve, 0.8));
        put(out, "aiq", curve_aiq(&curve));
        json_object_set_new(out, "curve", curve_json(&curve));
        curve_release(&curve);
    }
    put_probability(out, "local", e->p_local, e->true_local, e->n_local);
    put_probability(out, "remote", e->p_remote, e->true_remote, e->n_remote);
    put_answered(out, &e->answered);
    put_lengths(out, &e->lengths);
    if (e->n_scope > 0) {
        json_object_set_new(out, "n_in_scope", json_integer((json_int_t)e->n_domain));
        json_object_set_new(out, "n_oos", json_integer((json_int_t)(e->n_scope - e->n_domain)));
        put(out, "accuracy_in_scope", e->n_domain > 0 ? (double)e->n_right / (double)e->n_domain : NAN);
        put(out, "auroc_oos", auroc(e->oos, e->is_oos, e->n_scope));
        put(out, "recall_oos_at_5pct_in_scope_rejected", recall_at_loss(e->oos, e->is_oos, e->n_scope, 0.05));
        json_object_set(out, "confusion", e->confusion);
    }
    json_t *tiers = json_object();
    for (int tier = 0; tier < N_TIERS; tier++)
        if (e->tier_n[tier] > 0)
            json_object_set_new(tiers, score_tier_name((enum score_tier)tier),
                                json_pack("{s:I,s:f,s:f}", "n", (json_int_t)e->tier_n[tier], "share", (double)e->tier_n[tier] / (double)e->n, "mean_us",
                                          (double)e->tier_us[tier] / (double)e->tier_n[tier]));
    json_object_set_new(out, "tiers", tiers);
    return out;
}

static bool is_labelled(const struct lines *lines)
{
    for (size_t i = 0; i < lines->n; i++) {
        const struct line *line = &lines->items[i];
        if (!isnan(line->local) || !isnan(line->remote) || !isnan(line->output_tokens) || line->domain != DOMAIN_ABSENT)
            return true;
    }
    return false;
}

int head_evaluate(const struct head *head, struct model *encoder, const char *data_path, const struct score_limits *limits, json_t **out,
                  struct error *err)
{
    struct lines lines;
    struct evaluation e = {.head = head};
    struct scorer *scorer = NULL;
    float *block = NULL;
    int status = lines_read(&lines, data_path, err);
    if (status == 0 && !is_labelled(&lines))
        status = error_set(err, WEIR_E_INVALID, data_path, "there is nothing to judge: none of its %zu lines has a label, scores, domain or output_tokens", lines.n);
    if (status == 0)
        status = scorer_new(&scorer, head, encoder, err);
    if (status < 0)
        goto done;
    e.n = lines.n;
    e.confusion = json_object();
    block = malloc(N_COLUMNS * e.n * sizeof *block);
    if (block == NULL || e.confusion == NULL) {
        status = error_set(err, WEIR_E_MEMORY, "", "out of memory");
        goto done;
    }
    float **const columns[N_COLUMNS] = {&e.gains, &e.local, &e.remote, &e.p_local, &e.p_remote, &e.oos, &e.is_oos, &e.true_local, &e.true_remote,
                                 &e.answered.gains, &e.answered.local, &e.answered.remote, &e.answered.p_local,
                                 &e.answered.before, &e.answered.alone, &e.answered.either, &e.answered.probed,
                                 &e.lengths.said, &e.lengths.was};
    for (size_t i = 0; i < N_COLUMNS; i++)
        *columns[i] = block + i * e.n;
    for (size_t i = 0; i < e.n && status == 0; i++) {
        struct arena arena;
        struct score score;
        arena_init(&arena, 0);
        if (limits != NULL && (status = scorer_score_text_within(scorer, lines.items[i].text, limits, &arena, &score, err)) == 0)
            take_tier(&e, &score);
        if (status == 0)
            status = scorer_score_text(scorer, lines.items[i].text, &arena, &score, err);
        if (status == 0 && limits == NULL)
            take_tier(&e, &score);
        if (status == 0) {
            take(&e, &lines, &lines.items[i], &score);
            status = take_answer(&e, scorer, &lines.items[i], &score, err);
        }
        arena_release(&arena);
    }
    if (status == 0 && e.n_scores + e.n_local + e.n_remote + e.n_scope + e.lengths.n == 0)
        status = error_set(err, WEIR_E_INVALID, data_path, "there is nothing to judge: of what its lines are labelled with the head says nothing");
    if (status == 0)
        *out = report(&e, head);
done:
    json_decref(e.confusion);
    free(block);
    scorer_free(scorer);
    lines_release(&lines);
    return status;
}
