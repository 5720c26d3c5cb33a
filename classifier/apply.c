/* Apply: linear heads, calibration and the domain head, put together into a score.
 *
 * What a head was not trained for stays neutral: a probability is NAN (null in JSON), the domain NULL. Without scores of both
 * models the gain is what is known of it: 1 - P(local), as if the remote model were always right; P(remote) - 1/2; or 0. */
#include "apply.h"

#include <math.h>
#include <stdlib.h>

int head_read(const struct head *head, str text, float surface[N_SURFACE], struct grams *grams)
{
    feature_surface(text, surface);
    int status = grams_read(grams, text);
    if (status == 0)
        map_weigh(&head->map, grams);
    return status;
}

static float probability(const struct head_linear *linear, const float *dense, const struct grams *grams)
{
    return linear->present ? platt_apply(linear->platt, linear_value(&linear->weights, dense, grams)) : NAN;
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

int head_value(const struct head *head, const float surface[N_SURFACE], const struct grams *grams, const float *embedding,
               struct score *out)
{
    enum head_view view = embedding != NULL ? VIEW_ENCODER : VIEW_FEATURES;
    const struct head_linear *linear = head->linear[view];
    const struct head_domain *domain = &head->domain[view];
    size_t n_inputs = (size_t)head_domain_inputs(head, view), n_dense = (size_t)map_n_dense(&head->map);
    *out = (struct score){0};
    float *scratch = malloc((n_inputs + n_dense + (size_t)head->n_domains) * sizeof *scratch);
    if (scratch == NULL)
        return WEIR_E_MEMORY;
    map_dense(&head->map, surface, embedding, scratch);
    out->p_local = probability(&linear[HEAD_LOCAL], scratch, grams);
    out->p_remote = probability(&linear[HEAD_REMOTE], scratch, grams);
    if (linear[HEAD_GAIN].present) {
        double gain = (double)linear_value(&linear[HEAD_GAIN].weights, scratch, grams);
        gain = linear[HEAD_GAIN].platt.slope * gain + linear[HEAD_GAIN].platt.shift;
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
