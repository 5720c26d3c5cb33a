/* The sampler alone, on made-up logits. */
#include "engine/sampler.h"

#include <criterion/criterion.h>
#include <math.h>

enum { VOCABULARY = 1000 };

static void fill(float *logits)
{
    for (int i = 0; i < VOCABULARY; i++)
        logits[i] = (float)((i * 7919) % VOCABULARY) / 100.0f;
}

static struct sampler make(const struct sampling *settings)
{
    struct sampler sampler;
    struct error err = {0};
    cr_assert_eq(sampler_init(&sampler, settings, VOCABULARY, &err), 0, "%s: %s", err.where, err.text);
    return sampler;
}

Test(sampler, greedy_takes_the_lowest_id_of_equal_logits)
{
    float logits[VOCABULARY] = {0};
    logits[17] = logits[400] = 3;
    struct sampler sampler = make(&(struct sampling){0});
    cr_assert_eq(sampler_pick(&sampler, logits, NULL, NULL), 17);
    sampler_release(&sampler);
}

Test(sampler, same_seed_gives_the_same_draws_and_another_seed_others)
{
    float logits[VOCABULARY];
    fill(logits);
    int same = 0, other_same = 0;
    struct sampler a = make(&(struct sampling){.temperature = 1, .seeded = true, .seed = 7});
    struct sampler b = make(&(struct sampling){.temperature = 1, .seeded = true, .seed = 7});
    struct sampler c = make(&(struct sampling){.temperature = 1, .seeded = true, .seed = 8});
    for (int i = 0; i < 50; i++) {
        int32_t id = sampler_pick(&a, logits, NULL, NULL);
        same += id == sampler_pick(&b, logits, NULL, NULL);
        other_same += id == sampler_pick(&c, logits, NULL, NULL);
    }
    cr_assert_eq(same, 50);
    cr_assert_lt(other_same, 25);
    sampler_release(&a);
    sampler_release(&b);
    sampler_release(&c);
}

/* Draws many and returns how many distinct ids came; all must have a logit of at least `lowest`. */
static int distinct(const struct sampling *settings, const float *logits, float lowest)
{
    bool seen[VOCABULARY] = {0};
    int n = 0;
    struct sampler sampler = make(settings);
    for (int i = 0; i < 4000; i++) {
        int32_t id = sampler_pick(&sampler, logits, NULL, NULL);
        cr_assert_geq(logits[id], lowest);
        n += !seen[id];
        seen[id] = true;
    }
    sampler_release(&sampler);
    return n;
}

Test(sampler, truncations_keep_exactly_what_they_promise)
{
    float logits[VOCABULARY];
    fill(logits); /* 0.00 … 9.99, each once. */
    cr_assert_eq(distinct(&(struct sampling){.temperature = 1, .seeded = true, .seed = 1, .top_k = 5}, logits, 9.95f), 5);
    /* p(i)/p(top) = exp(-0.01 i) ≥ 0.9 for i ≤ 10: eleven ids. */
    cr_assert_eq(distinct(&(struct sampling){.temperature = 1, .seeded = true, .seed = 1, .min_p = 0.9f}, logits, 9.89f), 11);
    /* Mass of the first n of a geometric series with ratio e^-0.01, total 1 - e^-10: 0.05 is reached by n = 6. */
    cr_assert_eq(distinct(&(struct sampling){.temperature = 1, .seeded = true, .seed = 1, .top_p = 0.05f}, logits, 9.94f), 6);
    /* A nucleus wider than the first selection of 256. */
    int wide = distinct(&(struct sampling){.temperature = 4, .seeded = true, .seed = 1, .top_p = 0.9f}, logits, 0);
    cr_assert(wide > 400 && wide < 1000, "%d", wide);
}

Test(sampler, draws_follow_the_distribution)
{
    float logits[VOCABULARY];
    for (int i = 0; i < VOCABULARY; i++)
        logits[i] = -INFINITY;
    logits[3] = logf(0.7f);
    logits[9] = logf(0.3f);
    struct sampler sampler = make(&(struct sampling){.temperature = 1, .seeded = true, .seed = 42});
    int n = 0;
    for (int i = 0; i < 20000; i++)
        n += sampler_pick(&sampler, logits, NULL, NULL) == 3;
    cr_assert(n > 13700 && n < 14300, "%d of 20000 where 14000 are expected", n);
    sampler_release(&sampler);
}

Test(sampler, penalties_count_as_defined)
{
    float logits[VOCABULARY] = {0};
    logits[5] = 2.0f;
    logits[6] = 1.5f;
    struct sampler sampler = make(&(struct sampling){.presence_penalty = 0.3f, .frequency_penalty = 0.15f});
    cr_assert_eq(sampler_accept(&sampler, 5, false), 0); /* The prompt does not count. */
    cr_assert_eq(sampler_pick(&sampler, logits, NULL, NULL), 5);
    cr_assert_eq(sampler_accept(&sampler, 5, true), 0); /* 2.0 - 0.45 = 1.55 */
    cr_assert_eq(sampler_pick(&sampler, logits, NULL, NULL), 5);
    cr_assert_eq(sampler_accept(&sampler, 5, true), 0); /* 2.0 - 0.6 = 1.4 */
    cr_assert_eq(sampler_pick(&sampler, logits, NULL, NULL), 6);
    sampler_release(&sampler);
    sampler = make(&(struct sampling){.repetition_penalty = 1.4f});
    cr_assert_eq(sampler_accept(&sampler, 5, false), 0); /* 2.0 / 1.4 = 1.43: of the prompt too. */
    cr_assert_eq(sampler_pick(&sampler, logits, NULL, NULL), 6);
    sampler_release(&sampler);
}

Test(sampler, bias_bans_and_forces)
{
    float logits[VOCABULARY];
    fill(logits);
    struct logit_bias bias[] = {{123, 100}, {124, -100}};
    struct sampler sampler = make(&(struct sampling){.bias = bias, .n_bias = 2});
    cr_assert_eq(sampler_pick(&sampler, logits, NULL, NULL), 123);
    sampler_release(&sampler);
}

Test(sampler, logprobs_are_of_the_untouched_distribution_and_sorted)
{
    float logits[VOCABULARY];
    fill(logits);
    struct token_logprob chosen, top[20];
    struct sampler sampler = make(&(struct sampling){.temperature = 9, .seeded = true, .seed = 3, .logprobs = true, .n_top_logprobs = 20});
    int32_t id = sampler_pick(&sampler, logits, &chosen, top);
    double sum = 0;
    for (int i = 0; i < VOCABULARY; i++)
        sum += exp((double)logits[i]);
    cr_assert_eq(chosen.id, id);
    cr_assert_float_eq(chosen.logprob, (float)((double)logits[id] - log(sum)), 1e-5);
    for (int i = 0; i < 20; i++)
        cr_assert_float_eq(logits[top[i].id], 9.99f - 0.01f * (float)i, 1e-5);
    sampler_release(&sampler);
}

Test(sampler, entropy_and_margin_are_of_the_first_tokens_only)
{
    float logits[VOCABULARY];
    fill(logits);
    struct token_logprob chosen = {0};
    struct sampler sampler = make(&(struct sampling){.logprobs = true, .n_confidence = 1});
    int32_t id = sampler_pick(&sampler, logits, &chosen, NULL);
    double sum = 0, entropy = 0;
    for (int i = 0; i < VOCABULARY; i++)
        sum += exp((double)logits[i]);
    for (int i = 0; i < VOCABULARY; i++)
        entropy -= exp((double)logits[i]) / sum * log(exp((double)logits[i]) / sum);
    cr_assert_float_eq(chosen.entropy, (float)entropy, 1e-4);
    cr_assert_float_eq(chosen.margin, 0.01f, 1e-5);
    cr_assert_eq(sampler_accept(&sampler, id, true), 0);
    sampler_pick(&sampler, logits, &chosen, NULL);
    cr_assert_eq(chosen.entropy, 0);
    cr_assert_lt(chosen.logprob, 0);
    sampler_release(&sampler);
}

Test(sampler, labels_are_reported_however_unlikely_they_are)
{
    float logits[VOCABULARY];
    fill(logits);
    struct token_logprob chosen, top[SAMPLING_MAX_LABELS];
    struct sampler sampler = make(&(struct sampling){.logprobs = true, .n_top_logprobs = 2, .n_labels = 2, .labels = {77, 3}});
    sampler_pick(&sampler, logits, &chosen, top);
    cr_assert_eq(top[0].id, 77);
    cr_assert_eq(top[1].id, 3);
    cr_assert_float_eq(top[0].logprob - top[1].logprob, logits[77] - logits[3], 1e-5);
    sampler_release(&sampler);
}

Test(sampler, a_setting_out_of_range_is_refused_by_name)
{
    struct logit_bias outside = {VOCABULARY, 1};
    const struct {
        const char *name;
        struct sampling settings;
    } cases[] = {
        {"temperature", {.temperature = -1}},
        {"temperature", {.temperature = NAN}},
        {"top_p", {.top_p = 1.5f}},
        {"min_p", {.min_p = -0.1f}},
        {"top_k", {.top_k = -1}},
        {"top_logprobs", {.n_top_logprobs = 21}},
        {"logit_bias", {.bias = &outside, .n_bias = 1}},
        {"labels", {.n_labels = 1, .labels = {VOCABULARY}, .n_top_logprobs = 1}},
        {"labels", {.n_labels = 1, .labels = {1}}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sampler sampler;
        struct error err = {0};
        cr_assert_eq(sampler_init(&sampler, &cases[i].settings, VOCABULARY, &err), WEIR_E_INVALID, "%s", cases[i].name);
        cr_assert_str_eq(err.where, cases[i].name);
    }
}
