/* Apply: linear heads, calibration and the domain head, put together into a score.
 *
 * What a head was not trained for stays neutral: a probability is NAN (null in JSON), the domain NULL. Without scores of both
 * models the gain is what is known of it: 1 - P(local), as if the remote model were always right; P(remote) - 1/2; or 0. */
#include "answer.h"
#include "apply.h"

#include <math.h>
#include <stdlib.h>

static const double MOST_LOG_TOKENS = 12; /* 160,000 tokens. */

int head_read(const struct head *head, str text, float surface[N_SURFACE], struct grams *grams)
{
    feature_surface(text, surface);
    int status = grams_read(grams, text);
    if (status == 0)
        map_weigh(&head->map, grams);
    return status;
}

static float probability(const struct head_linear *linear, float value)
{
    return linear->present ? isotonic_apply(&linear->isotonic, platt_apply(linear->platt, value)) : NAN;
}

static float expected_tokens(const struct head_linear *linear, float value)
{
    if (!linear->present)
        return NAN;
    double log_tokens = linear->platt.slope * (double)value + linear->platt.shift;
    return (float)exp(log_tokens < 0 ? 0 : log_tokens > MOST_LOG_TOKENS ? MOST_LOG_TOKENS : log_tokens);
}

static void apply_domain(const struct head *head, const struct head_domain *domain, const float *logits, struct score *out)
{
    int best = 0;
    double sum = 0;
    for (int c = 1; c < head->n_domains; c++)
        if (logits[c] > logits[best])
            best = c;
    for (int c = 0; c < head->n_domains; c++)
        sum += exp(((double)logits[c] - (double)logits[best]) / domain->temperature);
    out->domain = head->domains[best];
    out->domain_p = (float)(1 / sum);
    out->oos = platt_apply(domain->oos, -logits[best]);
}

bool head_rule_value(const struct head *head, str text, struct score *out)
{
    enum rule rule = rule_match(text);
    if (rule == RULE_NONE || !head->rules[rule].enough)
        return false;
    *out = head->rules[rule].answer;
    out->domain = head->rules[rule].domain >= 0 ? head->domains[head->rules[rule].domain] : NULL;
    out->tier = TIER_RULES;
    return true;
}

bool head_settles(const struct head *head, enum head_view view, const struct score *score)
{
    return score->p_local <= head->settle[view].low || score->p_local >= head->settle[view].high;
}

bool head_may_settle(const struct head *head, enum head_view view)
{
    return head_has_view(head, view) && (head->settle[view].low >= 0 || head->settle[view].high <= 1);
}

bool head_has_margin(const struct head *head, enum head_view view)
{
    return head_has_view(head, view) && isfinite(head->settle[view].margin);
}

float head_within(const struct head *head, enum head_view view, float own, float gain)
{
    float margin = head->settle[view].margin;
    return gain < own - margin ? own - margin : gain > own + margin ? own + margin : gain;
}

int head_value(const struct head *head, enum head_view view, const float surface[N_SURFACE], const struct grams *grams, const float *embedding,
               const float *inner, struct score *out)
{
    const struct head_linear *linear = head->linear[view];
    const struct head_domain *domain = &head->domain[view];
    const struct head_gain *known = &head->gain[view];
    size_t n_inputs = (size_t)head_domain_inputs(head, view), n_dense = (size_t)head->map.n_landmarks;
    float values[N_HEAD_TARGETS] = {0};
    *out = (struct score){0};
    float *scratch = malloc((n_inputs + n_dense + (size_t)head->n_domains) * sizeof *scratch);
    if (scratch == NULL)
        return WEIR_E_MEMORY;
    map_dense(head_map(head, view), surface, inner, scratch);
    for (int target = 0; target < N_HEAD_TARGETS; target++)
        values[target] = linear[target].present && linear[target].weights.dense != NULL ? linear_value(&linear[target].weights, scratch, grams) : NAN;
    if (view == VIEW_ENCODER && head->network.weights != NULL) {
        float plain[N_SURFACE + MOST_EMBD];
        map_plain(&head->map, surface, inner, plain);
        network_values(&head->network, plain, values);
    }
    out->p_local = probability(&linear[HEAD_LOCAL], values[HEAD_LOCAL]);
    out->p_remote = probability(&linear[HEAD_REMOTE], values[HEAD_REMOTE]);
    out->output_tokens = expected_tokens(&linear[HEAD_TOKENS], values[HEAD_TOKENS]);
    if (known->present) {
        double gain = known->slope * (double)gain_value(values[HEAD_REMOTE], values[HEAD_LOCAL]) + known->shift;
        out->gain = (float)(gain > 1 ? 1 : gain < -1 ? -1 : gain);
    } else if (!isnan(out->p_local)) {
        out->gain = 1 - out->p_local;
    } else if (!isnan(out->p_remote)) {
        out->gain = out->p_remote - 0.5F;
    }
    if (domain->present) {
        float *input = scratch + n_dense, *logits = input + n_inputs;
        head_domain_input(head, view, grams->sketch, embedding, input);
        softmax_apply(&domain->weights, input, logits);
        apply_domain(head, domain, logits, out);
    }
    free(scratch);
    return 0;
}

int head_answer_alone(const struct head *head, str question, const struct answer *answer, float *p_local)
{
    const struct map *map = &head->answer.map;
    float form[N_ANSWER], dense[MOST_LANDMARKS];
    struct grams grams;
    int status = grams_read(&grams, answer->text);
    if (status == 0) {
        answer_form(question, answer, form);
        map_weigh(map, &grams);
        map_dense(map, form, NULL, dense);
        *p_local = probability(&head->answer.local, linear_value(&head->answer.local.weights, dense, &grams));
    }
    grams_release(&grams);
    return status;
}

int head_answer_value(const struct head *head, str question, const struct answer *answer, struct score *score)
{
    bool reads = answer->text.data != NULL;
    const struct blend *blend = reads ? &head->answer.by_text : &head->answer.by_confidence;
    float inputs[N_BLEND_INPUTS], p_local = NAN;
    int status = 0;
    if (reads ? !head->answer.present : !blend->present)
        return 0;
    if (reads)
        status = head_answer_alone(head, question, answer, &p_local);
    if (status == 0 && blend->present) {
        blend_inputs(answer, score->p_local, inputs);
        inputs[BLEND_TEXT] = blend_logit(p_local);
        p_local = blend_value(blend, inputs);
    }
    if (status == 0) {
        score->p_local = p_local;
        score->gain = (isnan(score->p_remote) ? 1 : score->p_remote) - p_local;
        score->tier = TIER_ANSWER;
    }
    return status;
}

void head_probe_value(const struct head *head, float probe, struct score *score)
{
    struct answer answer = {.logprob_mean = NAN, .logprob_min = NAN, .entropy_mean = NAN, .margin_mean = NAN, .self_check = NAN, .probe = probe};
    float inputs[N_BLEND_INPUTS];
    if (!head->answer.by_probe.present || isnan(probe))
        return;
    blend_inputs(&answer, score->p_local, inputs);
    score->p_local = blend_value(&head->answer.by_probe, inputs);
    score->gain = (isnan(score->p_remote) ? 1 : score->p_remote) - score->p_local;
    score->tier = TIER_PROBE;
}
