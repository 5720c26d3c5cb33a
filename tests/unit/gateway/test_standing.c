/* What answers now, as one word: it changes with whatever changes answers, here or there, and with nothing else. */
#include "goals/standing.h"

#include "small_encoder.h"

static const struct config *configured(const char *more)
{
    const struct config *config;
    struct error err = {0};
    char yaml[2000];
    snprintf(yaml, sizeof yaml, "providers: [{name: p, base_url: 'https://x/', models: [m, j]}, {name: q, base_url: 'https://y/', models: [m]}]\n%s", more);
    cr_assert_eq(config_parse(&config, "weir.yaml", "/", str_of(yaml), &err), 0, "%s: %s: %s", more, err.where, err.text);
    return config;
}

/* With that in the place of what stands in the configuration otherwise. */
static void id_of(const char *more, const struct model *chat, const struct model *encoder, char out[STANDING_ID_BYTES])
{
    const struct config *config = configured(more);
    standing_id(config, chat, encoder, out);
    config_drop(config);
    cr_assert_eq(strlen(out), STANDING_ID_BYTES - 1);
}

Test(standing, whatever_answers_otherwise_is_another)
{
    static const char *const others[] = {
        "escalate: [q/m, p/m]\n",
        "escalate: [p/m]\n",
        "escalate: [p/m, p/j]\n",
        "models: {chat: {temperature: 0.3}}\n",
        "models: {chat: {top_p: 0.3}}\n",
        "precision: exact\n",
        "cascade: {hold_tokens: 24}\n",
        "cascade: {hold_tokens: 24, whole_tokens: 100}\n",
        "cascade: {hold_tokens: 24, self_check: true}\n",
        "classifier: {probe: 0.05}\n",
    };
    enum { N = sizeof others / sizeof *others };
    char ids[N + 1][STANDING_ID_BYTES];
    id_of("", NULL, NULL, ids[N]);
    for (int i = 0; i < N; i++)
        id_of(others[i], NULL, NULL, ids[i]);
    for (int i = 0; i <= N; i++)
        for (int k = 0; k < i; k++)
            cr_expect_str_neq(ids[i], ids[k], "%s%s", i < N ? others[i] : "defaults\n", others[k]);
}

Test(standing, prices_keys_limits_targets_and_places_are_no_part_of_it)
{
    static const char *const same[] = {
        "log: {level: error}\n", "limits: {max_requests: 7}\n", "classifier: {max_regret: 0.3}\n", "tenants: {a: {max_regret: 0.2}}\n",
        "classifier: {shadow: {share: 0.1, judge: p/j}}\n", "escalate: [p/m, q/m]\n",
    };
    char plain[STANDING_ID_BYTES], id[STANDING_ID_BYTES];
    id_of("", NULL, NULL, plain);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        id_of(same[i], NULL, NULL, id);
        cr_expect_str_eq(id, plain, "%s", same[i]);
    }
}

Test(standing, a_model_is_known_by_what_it_is_in_its_own_place)
{
    char folder[] = "/tmp/weir_standing_XXXXXX";
    struct error err = {0};
    struct model *model;
    char none[STANDING_ID_BYTES], chat[STANDING_ID_BYTES], encoder[STANDING_ID_BYTES];
    cr_assert_not_null(mkdtemp(folder));
    small_encoder_write(folder, false);
    cr_assert_eq(model_open(&model, folder, &(struct model_options){.precision = PRECISION_EXACT}, &err), 0, "%s: %s", err.where, err.text);
    id_of("", NULL, NULL, none);
    id_of("", model, NULL, chat);
    id_of("", NULL, model, encoder);
    cr_expect_str_neq(chat, none);
    cr_expect_str_neq(encoder, none);
    cr_expect_str_neq(encoder, chat);
    model_close(model);
    small_encoder_remove(folder);
}

Test(standing, labels_are_of_the_judge_where_samples_are_judged)
{
    struct standing standing;
    const struct config *config = configured("classifier: {shadow: {share: 0.1, judge: q/m}}\n");
    standing_of(config, NULL, "abc", &standing);
    cr_expect_str_eq(standing.scope.judge, "q/m");
    cr_expect_str_eq(standing.scope.answers_id, "abc");
    cr_expect_str_eq(standing.scope.head_id, "");
    cr_expect_str_eq(standing.scope.config_sha256, config->sha256);
    config_drop(config);
    config = configured("");
    standing_of(config, NULL, "abc", &standing);
    cr_expect_str_eq(standing.scope.judge, "");
    config_drop(config);
}

Test(standing, a_decision_speaks_of_the_target_under_its_own_configuration_or_the_same_max_regret)
{
    const struct config *config = configured("classifier: {max_regret: 0.1}\ntenants: {a: {max_regret: 0.2}, s: {max_remote_share: 0.5}}\n");
    cr_expect(standing_is_target(config, "b", 0.1, "another"));
    cr_expect(standing_is_target(config, "a", 0.2, "another"));
    cr_expect_not(standing_is_target(config, "a", 0.1, "another"));
    cr_expect_not(standing_is_target(config, "s", 0.1, "another"), "a share is no max_regret");
    cr_expect(standing_is_target(config, "a", 0.1, config->sha256), "whatever it was decided for");
    config_drop(config);
}
