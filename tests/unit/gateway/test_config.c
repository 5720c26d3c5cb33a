/* The configuration: every key of the documented block, errors with their place, what must fit together, reload. */
#include "config/config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct config *parse(const char *yaml, struct error *err)
{
    const struct config *config = NULL;
    return config_parse(&config, "weir.yaml", "/etc/weir", str_of(yaml), err) == 0 ? config : NULL;
}

Test(config, without_a_file_there_are_defaults_for_everything)
{
    const struct config *config;
    struct error err = {0};
    cr_assert_eq(config_open(&config, NULL, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(config->n_listeners, 1);
    cr_assert_str_eq(config->listeners[0].host, "127.0.0.1");
    cr_assert_eq(config->listeners[0].port, 8080);
    cr_assert(!config->listeners[0].tls && config->listeners[0].loopback);
    cr_assert_eq(config->n_providers, 0);
    cr_assert(!config->keys_required);
    cr_assert_eq(config->durability, DURABILITY_POWER);
    cr_assert_not_null(config->chat_path);
    cr_assert_not_null(config->data_dir);
    config_drop(config);
}

Test(config, the_cache_is_off_until_it_is_asked_for)
{
    struct error err = {0};
    const struct config *c = parse("", &err);
    cr_assert(c != NULL && !c->cache.exact && !c->cache.semantic && c->cache.ttl_us == 3600000000 && c->cache.max_bytes == 64 << 20 && c->n_warnings == 0);
    config_drop(c);
    c = parse("cache: {exact: true, semantic: 0.92, ttl: 10m, max_bytes: 1GiB}\n", &err);
    cr_assert_not_null(c, "%s: %s", err.where, err.text);
    cr_assert(c->cache.exact && c->cache.semantic && c->cache.likeness == 0.92 && c->cache.ttl_us == 600000000 && c->cache.max_bytes == 1 << 30);
    config_drop(c);
    c = parse("cache: {semantic: true}\n", &err);
    cr_assert(c != NULL && !c->cache.exact && c->cache.semantic && c->cache.likeness == 0.8);
    config_drop(c);
    c = parse("cache: {ttl: 1h}\n", &err);
    cr_assert(c != NULL && c->n_warnings == 1 && strstr(c->warnings[0], "neither") != NULL);
    config_drop(c);
    static const struct {
        const char *yaml, *place, *text;
    } faults[] = {{"cache: {semantic: 1.5}\n", "weir.yaml:1:19", "0.5 to 1"}, {"cache: {semantic: often}\n", "weir.yaml:1:19", "true, false"},
                  {"cache: {exact: 1}\n", "weir.yaml:1:16", "true or false"}, {"cache: {ttl: 0}\n", "weir.yaml:1:14", "1 to"},
                  {"cache: {max_bytes: 10}\n", "weir.yaml:1:20", "65536"}, {"cache: {exakt: true}\n", "weir.yaml:1:9", "\"exact\""},
                  {"cache: true\n", "weir.yaml:1:8", "mapping"}};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        cr_assert_null(parse(faults[i].yaml, &err));
        cr_expect(str_find(str_of(err.where), str_of(faults[i].place)) == 0 && strstr(err.text, faults[i].text) != NULL, "%s: %s", err.where, err.text);
    }
}

Test(config, nothing_is_held_back_until_it_is_asked_for)
{
    struct error err = {0};
    const struct config *c = parse("", &err);
    cr_assert(c != NULL && c->cascade.hold_tokens == 0 && c->cascade.whole_tokens == 1024 && !c->cascade.self_check);
    config_drop(c);
    c = parse("cascade: {hold_tokens: 24, whole_tokens: 0, self_check: true}\n", &err);
    cr_assert_not_null(c, "%s: %s", err.where, err.text);
    cr_assert(c->cascade.hold_tokens == 24 && c->cascade.whole_tokens == 0 && c->cascade.self_check);
    config_drop(c);
    static const struct {
        const char *yaml, *place, *text;
    } faults[] = {{"cascade: {hold_tokens: 257}\n", "weir.yaml:1:24", "256"}, {"cascade: {self_check: true}\n", "weir.yaml:1:10", "without hold_tokens"},
                  {"cascade: {hold_token: 5}\n", "weir.yaml:1:11", "\"hold_tokens\""}, {"cascade: {hold_tokens: 1, whole_tokens: 5000}\n", "weir.yaml:1:41", "4096"}};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        cr_assert_null(parse(faults[i].yaml, &err));
        cr_expect(str_find(str_of(err.where), str_of(faults[i].place)) == 0 && strstr(err.text, faults[i].text) != NULL, "%s: %s", err.where, err.text);
    }
}

Test(config, documents_are_a_folder_with_bounds)
{
    struct error err = {0};
    const struct config *c = parse("", &err);
    cr_assert(c != NULL && c->knowledge.folder == NULL);
    config_drop(c);
    c = parse("knowledge: {folder: docs}\n", &err);
    cr_assert_not_null(c, "%s: %s", err.where, err.text);
    cr_assert_str_eq(c->knowledge.folder, "/etc/weir/docs");
    cr_assert(c->knowledge.passages == 4 && c->knowledge.likeness == 0.45);
    config_drop(c);
    cr_assert_null(parse("knowledge: {passages: 4}\n", &err));
    cr_assert(strstr(err.text, "\"folder\" is missing") != NULL);
    cr_assert_null(parse("knowledge: {folder: d, passages: 17}\n", &err));
    cr_assert(strstr(err.text, "1 to 16") != NULL);
    cr_assert_null(parse("knowledge: {folder: d, likeness: 2}\n", &err));
}

Test(config, shadow_samples_are_off_until_they_are_asked_for)
{
    static const char providers[] = "providers: [{name: p, base_url: 'https://x/', models: [m, j]}]\n";
    struct error err = {0};
    char yaml[400];
    const struct config *c = parse(providers, &err);
    cr_assert(c != NULL && c->shadow.share_ppm == 0 && c->shadow.judge.model == NULL && c->shadow.budget_nusd == 5000000000);
    config_drop(c);
    snprintf(yaml, sizeof yaml, "%sclassifier: {max_regret: 0.2, shadow: {share: 0.02, judge: p/j, budget_usd_per_month: 0.5}}\n", providers);
    c = parse(yaml, &err);
    cr_assert_not_null(c, "%s: %s", err.where, err.text);
    cr_assert(c->shadow.share_ppm == 20000 && c->shadow.budget_nusd == 500000000 && c->max_regret == 0.2);
    cr_assert_str_eq(c->shadow.judge.model, "j");
    cr_assert_eq(c->n_warnings, 0);
    config_drop(c);
    snprintf(yaml, sizeof yaml, "%sclassifier: {shadow: {share: 0.000001, judge: p/m}}\n", providers);
    c = parse(yaml, &err);
    cr_assert(c != NULL && c->shadow.share_ppm == 1);
    cr_assert(c->n_warnings == 1 && strstr(c->warnings[0], "favour their own answers") != NULL);
    config_drop(c);
    snprintf(yaml, sizeof yaml, "%sclassifier: {shadow: {share: 0.1}}\n", providers);
    cr_assert_null(parse(yaml, &err));
    cr_assert(strcmp(err.where, "weir.yaml:2:22") == 0 && strstr(err.text, "needs judge") != NULL, "%s: %s", err.where, err.text);
}

Test(config, the_documented_block_is_read_whole)
{
    setenv("WEIR_TEST_KEY", "secret-1", 1);
    struct error err = {0};
    const struct config *c = parse(
        "listen: [\"http://127.0.0.1:8080\", \"https://0.0.0.0:8443\"]\n"
        "tls: {certificate: server.pem, private_key: /k/server.key}\n"
        "data_dir: /var/lib/weir\n"
        "models: {chat: {path: some.gguf}, encoder: {path: some-directory}}\n"
        "precision: exact\n"
        "providers:\n"
        "  - {name: openai-eu, dialect: openai, base_url: \"https://eu.api.openai.com/v1/\", api_key_env: WEIR_TEST_KEY,\n"
        "     region: eu, models: [gpt-4o-mini, gpt-4o], timeouts: {connect: 2s, first_byte: 500ms, stall: 15s, total: 2m}}\n"
        "  - {name: azure-eu, base_url: \"http://127.0.0.1:9/v1\", models: [gpt-4o-mini]}\n"
        "fallbacks: {gpt-4o-mini: [azure-eu, openai-eu]}\n"
        "escalate: [openai-eu/gpt-4o]\n"
        "aliases: {gpt-4: auto, mini: remote/azure-eu/gpt-4o-mini}\n"
        "policy: {pack: packs/eu-only.yaml}\n"
        "keys: {required: true}\n"
        "ledger: {durability: process}\n"
        "prices: prices.yaml\n"
        "classifier: {max_regret: 0.25}\n"
        "log: {level: warn}\n"
        "limits: {max_body: 16MiB, head_timeout: 5s}\n", &err);
    cr_assert_not_null(c, "%s: %s", err.where, err.text);
    cr_assert_eq(c->n_listeners, 2);
    cr_assert(c->listeners[1].tls && !c->listeners[1].loopback && c->listeners[1].port == 8443);
    cr_assert_str_eq(c->tls_certificate, "/etc/weir/server.pem", "relative to the file");
    cr_assert_str_eq(c->tls_private_key, "/k/server.key");
    cr_assert_str_eq(c->chat_path, "/etc/weir/some.gguf");
    cr_assert(c->chat_path_given && c->encoder_path_given);
    cr_assert_eq(c->precision, PRECISION_EXACT);
    const struct config_provider *p = &c->providers[0];
    cr_assert_str_eq(p->base_url, "https://eu.api.openai.com/v1", "without its last slash");
    cr_assert_str_eq(p->api_key, "secret-1");
    cr_assert(p->usable);
    cr_assert_str_eq(p->region, "eu");
    cr_assert_eq(p->n_models, 2);
    cr_assert_eq(p->connect_timeout_us, 2000000);
    cr_assert_eq(p->first_byte_timeout_us, 500000);
    cr_assert_eq(p->total_timeout_us, 120000000);
    cr_assert_eq(c->providers[1].stall_timeout_us, 15000000, "the default");
    cr_assert_eq(c->n_fallbacks, 1);
    cr_assert_eq(c->fallbacks[0].providers[0], 1);
    cr_assert_eq(c->n_escalate, 1);
    cr_assert_str_eq(c->escalate[0].model, "gpt-4o");
    cr_assert_eq(c->n_aliases, 2);
    cr_assert(c->keys_required);
    cr_assert_eq(c->durability, DURABILITY_PROCESS);
    cr_assert_str_eq(c->prices_path, "/etc/weir/prices.yaml");
    cr_assert_str_eq(c->policy_pack, "/etc/weir/packs/eu-only.yaml");
    cr_assert_eq(c->max_regret, 0.25);
    cr_assert_eq(c->log_level, LOG_WARN);
    cr_assert_eq(c->limits.max_body_bytes, 16 << 20);
    config_drop(c);
}

Test(config, escalation_defaults_to_each_providers_first_model_in_file_order)
{
    struct error err = {0};
    const struct config *c = parse("providers:\n - {name: a, base_url: 'https://a/v1', models: [m1, m2]}\n - {name: b, base_url: 'https://b/v1', models: [m3]}\n", &err);
    cr_assert_not_null(c, "%s", err.text);
    cr_assert_eq(c->n_escalate, 2);
    cr_assert_str_eq(c->escalate[0].model, "m1");
    cr_assert_str_eq(c->escalate[1].model, "m3");
    config_drop(c);
}

Test(config, an_error_names_file_line_column_and_what_was_meant)
{
    static const struct {
        const char *yaml, *where, *text;
    } cases[] = {
        {"listne: x\n", "weir.yaml:1:1", "did you mean \"listen\""},
        {"keys:\n  requird: true\n", "weir.yaml:2:3", "did you mean \"required\""},
        {"keys: {required: maybe}\n", "weir.yaml:1:18", "must be true or false"},
        {"ledger: {durability: never}\n", "weir.yaml:1:22", "must be one of power, process"},
        {"keys: 3\n", "weir.yaml:1:7", "must be a mapping"},
        {"keys: {required: true, required: false}\n", "weir.yaml:1:24", "twice"},
        {"listen: ['https://0.0.0.0:8443']\n", "weir.yaml:1:10", "needs tls"},
        {"listen: ['ftp://x']\n", "weir.yaml:1:10", "http or https"},
        {"listen: ['http://x:99999']\n", "weir.yaml:1:10", "is not like"},
        {"providers: [{name: a, base_url: 'http://example.com/v1'}]\n", "weir.yaml:1:13", "only to a loopback"},
        {"providers: [{name: a, base_url: 'https://u:p@example.com/v1'}]\n", "weir.yaml:1:13", "base_url"},
        {"providers: [{name: a}]\n", "weir.yaml:1:13", "\"base_url\" is missing"},
        {"providers: [{name: ~, base_url: \"https://x/v1\"}]\n", "weir.yaml:1:14", "\"name\" is required"},
        {"providers: [{name: a, base_url: 'https://x/', api_key: sk-1}]\n", "weir.yaml:1:47", "did you mean \"api_key_env\""},
        {"providers: [{name: a, base_url: 'https://x/', timeouts: {connect: 5}}]\n", "weir.yaml:1:67", "a duration like"},
        {"providers: [{name: a, base_url: 'https://x/'}, {name: a, base_url: 'https://y/'}]\n", "weir.yaml:1:48", "taken already"},
        {"providers: [{name: azure, base_url: 'https://x/', models: [m]}]\nfallbacks: {m: [azur]}\n", "weir.yaml:2:17", "did you mean \"azure\""},
        {"providers: [{name: p, base_url: 'https://x/', models: [gpt-4o-mini]}]\nescalate: [p/gpt-4o-mni]\n", "weir.yaml:2:12", "did you mean \"gpt-4o-mini\""},
        {"aliases: {x: nothing}\n", "weir.yaml:1:14", "no provider lists"},
        {"aliases: {auto: local}\n", "weir.yaml:1:11", "a meaning of its own"},
        {"a: &x 1\nb: *x\n", "weir.yaml:1:4", "anchors"},
        {"listen: [\n", "weir.yaml:2:1", ""},
        {"- a\n- b\n", "weir.yaml:1:1", "must be a mapping"},
        {"classifier: {max_regret: 2}\n", "weir.yaml:1:26", "0 to 1"},
        {"classifier: {shadow: {share: 1.5, judge: p/m}}\n", "weir.yaml:1:30", "from 0.000001 to 1"},
        {"classifier: {shadow: {share: nan, judge: p/m}}\n", "weir.yaml:1:30", "from 0.000001 to 1"},
        {"classifier: {shadow: {budget_usd_per_month: -1}}\n", "weir.yaml:1:45", "above 0"},
        {"classifier: {shadow: {shares: 1}}\n", "weir.yaml:1:23", "did you mean \"share\""},
        {"classifier: {max_remote_shar: 0.3}\n", "weir.yaml:1:14", "did you mean \"max_remote_share\""},
        {"classifier: {max_remote_share: 1.5}\n", "weir.yaml:1:32", "0 to 1"},
        {"classifier: {budget_usd_per_month: many}\n", "weir.yaml:1:36", "US dollars"},
        {"classifier: {max_regret: 0.1, max_remote_share: 0.3}\n", "weir.yaml:1:31", "contradict"},
        {"classifier: {budget_usd_per_month: 5, max_regret: 0.1}\n", "weir.yaml:1:39", "contradict"},
        {"tenants: {sales: {max_remote_share: 0.1, budget_usd_per_month: 3}}\n", "weir.yaml:1:42", "tenants.sales: max_remote_share and budget_usd_per_month"},
        {"tenants: {sales: {}}\n", "weir.yaml:1:18", "names no target"},
        {"tenants: {sales: {max_regrets: 0.1}}\n", "weir.yaml:1:19", "did you mean \"max_regret\""},
        {"tenants: {sales: {max_regret: 0.1}, sales: {max_regret: 0.2}}\n", "weir.yaml:1:37", "twice"},
        {"tenants: [sales]\n", "weir.yaml:1:10", "must be a mapping"},
        {"tenant: {sales: {max_regret: 0.1}}\n", "weir.yaml:1:1", "did you mean \"tenants\""},
        {"listen: ['http://127.0.0.1:8080', 'http://127.0.0.1:8080']\n", "weir.yaml:1:35", "twice"},
        {"providers: [{name: a, base_url: \"https://x/v1\\nHost: y\"}]\n", "weir.yaml:1:13", "is not like"},
        {"providers: [{name: a, base_url: 'https://x/v1/chat/completions'}]\n", "weir.yaml:1:13", "must end before /chat/completions"},
        {"aliases: {x: 'local:legal'}\n", "weir.yaml:1:14", "no adapter \"legal\""},
        {"data_dir: ~/weir\n", "weir.yaml:1:11", "~ is not expanded"},
        {"limits: {max_body: 0}\n", "weir.yaml:1:20", "1024 to 1073741824"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        const struct config *c = parse(cases[i].yaml, &err);
        cr_assert_null(c, "taken: %s", cases[i].yaml);
        cr_assert_str_eq(err.where, cases[i].where, "%s gives %s (%s)", cases[i].yaml, err.where, err.text);
        cr_assert_not_null(strstr(err.text, cases[i].text), "%s gives: %s", cases[i].yaml, err.text);
    }
}

Test(config, a_key_in_place_of_its_variables_name_is_refused_and_not_repeated)
{
    struct error err = {0};
    cr_assert_null(parse("providers: [{name: a, base_url: 'https://x/', api_key_env: sk-proj-1234, models: [m]}]\n", &err));
    cr_expect_not_null(strstr(err.text, "the name of an environment variable"));
    cr_expect_null(strstr(err.text, "1234"));
    cr_expect_null(strstr(err.where, "1234"));
}

Test(config, an_alias_may_name_an_adapter)
{
    struct error err = {0};
    const struct config *c = parse("models: {chat: {adapters: {legal: legal.gguf}}}\naliases: {lawyer: 'local:legal'}\n", &err);
    cr_assert_not_null(c, "%s: %s", err.where, err.text);
    cr_expect_str_eq(c->aliases[0].target, "local:legal");
    config_drop(c);
}

Test(config, a_tenants_target_takes_the_place_of_the_classifiers)
{
    struct error err = {0};
    const struct config *c = parse("classifier: {max_remote_share: 0.3}\n"
                                   "tenants:\n  sales: {max_regret: 0.05}\n  legal: {budget_usd_per_month: 12.345678901}\n  ann: {max_remote_share: 0}\n", &err);
    cr_assert_not_null(c, "%s: %s", err.where, err.text);
    cr_assert(config_goal_of(c, NULL)->kind == GOAL_REMOTE_SHARE && config_goal_of(c, "nobody")->max_remote_share == 0.3);
    cr_assert(config_goal_of(c, "sales")->kind == GOAL_MAX_REGRET && config_goal_of(c, "sales")->max_regret == 0.05);
    cr_assert(config_goal_of(c, "legal")->kind == GOAL_BUDGET && config_goal_of(c, "legal")->budget_nusd == 12345678901);
    cr_assert(config_goal_of(c, "ann")->kind == GOAL_REMOTE_SHARE && config_goal_of(c, "ann")->max_remote_share == 0);
    cr_assert_eq(c->max_regret, 0.1, "of names that say nothing else");
    config_drop(c);
    c = parse("classifier: {max_regret: 0.2, max_remote_share: ~}\n", &err);
    cr_assert(c != NULL && config_goal_of(c, "x")->kind == GOAL_MAX_REGRET && config_goal_of(c, "x")->max_regret == 0.2 && c->max_regret == 0.2);
    config_drop(c);
}

Test(config, a_key_that_is_not_there_makes_its_provider_unusable_with_a_warning)
{
    unsetenv("WEIR_TEST_NO_SUCH_KEY");
    struct error err = {0};
    const struct config *c = parse("providers: [{name: a, base_url: 'https://x/', api_key_env: WEIR_TEST_NO_SUCH_KEY, models: [m]}]\n", &err);
    cr_assert_not_null(c, "%s", err.text);
    cr_assert(!c->providers[0].usable);
    cr_assert_eq(c->n_warnings, 1);
    cr_assert_not_null(strstr(c->warnings[0], "WEIR_TEST_NO_SUCH_KEY"));
    config_drop(c);
    setenv("WEIR_TEST_NO_SUCH_KEY", "a\r\nX-Evil: 1", 1);
    c = parse("providers: [{name: a, base_url: 'https://x/', api_key_env: WEIR_TEST_NO_SUCH_KEY, models: [m]}]\n", &err);
    cr_assert(!c->providers[0].usable, "a key with a line break would end its header");
    config_drop(c);
}

Test(config, a_reload_that_fails_keeps_the_old_snapshot_whole)
{
    char path[] = "/tmp/weir-config-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    cr_assert_gt(write(fd, "log: {level: warn}\n", 19), 0);
    struct config_store *store;
    struct error err = {0};
    cr_assert_eq(config_store_open(&store, path, &err), 0, "%s", err.text);
    const struct config *before = config_store_hold(store);
    FILE *file = fopen(path, "w");
    fputs("log: {level: loud}\n", file);
    fclose(file);
    cr_assert_lt(config_store_reload(store, NULL, &err), 0);
    const struct config *after = config_store_hold(store);
    cr_assert_eq(before, after);
    config_drop(after);
    file = fopen(path, "w");
    fputs("log: {level: error}\ndata_dir: elsewhere\n", file);
    fclose(file);
    bool restart = false;
    cr_assert_eq(config_store_reload(store, &restart, &err), 0, "%s", err.text);
    cr_assert(restart);
    static const char *const at_start_only[] = {"models: {chat: {path: other.gguf}}", "limits: {max_body: 2MiB}", "limits: {idle_timeout: 5s}"};
    config_store_restore(store, before);
    for (size_t i = 0; i < sizeof at_start_only / sizeof *at_start_only; i++) {
        file = fopen(path, "w");
        fprintf(file, "%s\n", at_start_only[i]);
        fclose(file);
        cr_assert_eq(config_store_reload(store, &restart, &err), 0, "%s", err.text);
        cr_assert(restart, "%s", at_start_only[i]);
        cr_assert_eq(config_store_reload(store, &restart, &err), 0, "%s", err.text);
        cr_assert(restart, "%s: what runs is still what was read at the start", at_start_only[i]);
        config_store_restore(store, before);
        file = fopen(path, "w");
        fputs("log: {level: warn}\nclassifier: {head: other.head}\n", file);
        fclose(file);
        cr_assert_eq(config_store_reload(store, &restart, &err), 0, "%s", err.text);
        cr_assert(!restart, "what was read at the start is configured again, and a head is read at a reload");
        config_store_restore(store, before);
    }
    after = config_store_hold(store);
    cr_assert_eq(after, before);
    config_drop(after);
    file = fopen(path, "w");
    fputs("log: {level: error}\n", file);
    fclose(file);
    cr_assert_eq(config_store_reload(store, NULL, &err), 0, "%s", err.text);
    after = config_store_hold(store);
    cr_assert_eq(after->log_level, LOG_ERROR);
    cr_assert_eq(before->log_level, LOG_WARN, "who holds the old one still reads it");
    config_drop(after);
    config_drop(before);
    config_store_close(store);
    close(fd);
    unlink(path);
}

Test(config, the_example_file_holds_the_defaults)
{
    const struct config *defaults, *example;
    struct error err = {0};
    cr_assert_eq(config_open(&defaults, NULL, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(config_open(&example, WEIR_SOURCE_DIR "/deploy/examples/weir.yaml", &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(memcmp(&defaults->limits, &example->limits, sizeof defaults->limits), 0);
    cr_assert_eq(defaults->max_regret, example->max_regret);
    cr_assert(example->goal.kind == GOAL_MAX_REGRET && example->n_tenants == 0);
    cr_assert_eq(defaults->chat_temperature, example->chat_temperature);
    cr_assert_eq(defaults->chat_top_p, example->chat_top_p);
    cr_assert_str_eq(defaults->chat_path, example->chat_path);
    cr_assert(!example->chat_path_given);
    cr_assert_eq(defaults->durability, example->durability);
    cr_assert_eq(defaults->precision, example->precision);
    cr_assert_eq(defaults->log_level, example->log_level);
    cr_assert_str_eq(defaults->data_dir, example->data_dir);
    cr_assert_str_eq(defaults->policy_pack, example->policy_pack);
    cr_assert_eq(example->n_warnings, 0);
    config_drop(defaults);
    config_drop(example);
}

Test(config, local_sampling_is_bounded_and_needs_no_path)
{
    struct error err = {0};
    const struct config *c = parse("models: {chat: {temperature: 0, top_p: 1}}\n", &err);
    cr_assert_not_null(c, "%s: %s", err.where, err.text);
    cr_assert(c->chat_temperature == 0 && c->chat_top_p == 1 && !c->chat_path_given);
    config_drop(c);
    c = parse("models: {chat: {path: a.gguf}}\n", &err);
    cr_assert_not_null(c, "%s: %s", err.where, err.text);
    cr_assert(c->chat_path_given && c->chat_temperature == 0.2 && c->chat_top_p == 0.9);
    config_drop(c);
    const char *const bad[] = {"models: {chat: {temperature: 2.1}}", "models: {chat: {top_p: 0}}", "models: {chat: {top_p: 1.1}}",
                               "models: {chat: {temprature: 1}}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_null(parse(bad[i], &err), "%s", bad[i]);
}
