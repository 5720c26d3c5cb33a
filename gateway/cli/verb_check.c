/* weir check: is the configuration, with all it names, fit to start with? */
#include "cli/cli.h"
#include "config/config.h"
#include "money/prices.h"
#include "request/cascade.h"
#include "request/probing.h"

#include <stdio.h>

static const char help[] =
    "usage: weir check [--config weir.yaml] [--json]\n\n"
    "Reads the configuration and what it names (policy pack, price list, certificates, models, credentials) and says what\n"
    "is wrong, with file, line and column, and what only deserves a warning. Nothing is started and nothing is sent.\n\n"
    "Exit code 0: Weir would start with it (warnings or not); 1: it would not.\n";

struct report {
    json_t *warnings;
    json_t *errors;
    bool as_json;
};

static void warn(struct report *report, const char *text)
{
    json_array_append_new(report->warnings, json_string(text));
    if (!report->as_json)
        printf("warning: %s\n", text);
}

static void fail(struct report *report, const struct error *err)
{
    char text[600];
    json_array_append_new(report->errors, json_string(error_format(err, text, sizeof text)));
    if (!report->as_json)
        printf("error: %s\n", text);
}

static void check_pack(struct report *report, const struct config *config)
{
    struct error err = {0};
    struct pack *pack;
    if (pack_open(&pack, config->policy_pack, &err) < 0) {
        fail(report, &err);
        return;
    }
    int failed = pack_test(pack, NULL, NULL, &err);
    char text[400];
    snprintf(text, sizeof text, "%s: %d of the pack's own tests fail", config->policy_pack, failed);
    if (failed < 0)
        fail(report, &err);
    else if (failed > 0)
        warn(report, text);
    pack_close(pack);
}

static void check_path(struct report *report, const char *path)
{
    struct error err = {0};
    if (path == NULL || file_exists(path))
        return;
    error_set(&err, WEIR_E_NOT_FOUND, path, "does not exist");
    fail(report, &err);
}

static void check_serving(struct report *report, const struct config_serving *serving)
{
    check_path(report, serving->draft_path);
    for (int i = 0; i < serving->n_adapters; i++)
        check_path(report, serving->adapters[i].path);
}

static void check_more_models(struct report *report, const struct config *config)
{
    check_path(report, config->reranker_path);
    check_serving(report, &config->chat);
    for (int i = 0; i < config->n_others; i++) {
        check_path(report, config->others[i].path);
        check_serving(report, &config->others[i].serving);
    }
}

/* Nothing is sampled whose cost could not be held to the budget. */
static void check_shadow(struct report *report, const struct config *config, const struct prices *prices)
{
    const struct config_target *targets[] = {&config->shadow.judge, config->n_escalate > 0 ? &config->escalate[0] : NULL};
    char text[600];
    for (int i = 0; i < 2 && config->shadow.share_ppm > 0; i++) {
        if (targets[i] == NULL || prices_find(prices, config->providers[targets[i]->provider].name, targets[i]->model) != NULL)
            continue;
        snprintf(text, sizeof text, "classifier.shadow: the price of %s/%s is not known, so nothing is sampled", config->providers[targets[i]->provider].name,
                 targets[i]->model);
        warn(report, text);
    }
}

/* What left is answered by the answering model, which must be there. */
static void check_left_share(struct report *report, const struct config *config)
{
    if (config->shadow.left_share_ppm > 0 && (config->chat_path == NULL || !file_exists(config->chat_path)))
        warn(report, "classifier.shadow.left_share: the answering model is not there, so nothing that left is sampled");
}

static bool has_budget_target(const struct config *config)
{
    bool any = config->goal.kind == GOAL_BUDGET;
    for (int i = 0; i < config->n_tenants; i++)
        any = any || config->tenants[i].goal.kind == GOAL_BUDGET;
    return any;
}

static void check_files(struct report *report, const struct config *config)
{
    struct error err = {0};
    char text[600];
    const struct prices *prices;
    if (prices_open(&prices, config->prices_path, &err) < 0) {
        fail(report, &err);
    } else {
        for (int i = 0; i < config->n_providers; i++)
            for (int k = 0; k < config->providers[i].n_models; k++)
                if (prices_find(prices, config->providers[i].name, config->providers[i].models[k]) == NULL) {
                    snprintf(text, sizeof text, "provider %s: the price of %s is not known (%s); its cost is recorded as null%s", config->providers[i].name,
                             config->providers[i].models[k], config->prices_path, has_budget_target(config) ? ", and under budget_usd_per_month `auto` never goes there" : "");
                    warn(report, text);
                }
        check_shadow(report, config, prices);
        check_left_share(report, config);
        prices_drop(prices);
    }
    const char *tls[] = {config->tls_certificate, config->tls_private_key};
    for (int i = 0; i < 2; i++)
        if (tls[i] != NULL && !file_exists(tls[i])) {
            error_set(&err, WEIR_E_NOT_FOUND, tls[i], "does not exist");
            fail(report, &err);
        }
    const struct {
        const char *path;
        bool given;
    } models[] = {{config->chat_path, config->chat_path_given}, {config->encoder_path, config->encoder_path_given}};
    for (int i = 0; i < 2; i++) {
        if (models[i].path != NULL && file_exists(models[i].path))
            continue;
        if (models[i].given) {
            error_set(&err, WEIR_E_NOT_FOUND, models[i].path, "does not exist");
            fail(report, &err);
        } else {
            snprintf(text, sizeof text, "the default %s model is not there yet: `weir pull` fetches it", i == 0 ? "answering" : "encoder");
            warn(report, text);
        }
    }
    check_more_models(report, config);
    check_path(report, config->knowledge.folder);
}

/* What cascade and probe need of the head. */
static void check_head(struct report *report, const struct config *config)
{
    struct error err = {0};
    struct head *head = NULL;
    if (config->cascade.hold_tokens == 0 && config->probe_band <= 0)
        return;
    if (config->head_path != NULL && head_open(&head, config->head_path, &err) < 0) {
        fail(report, &err);
        return;
    }
    const char *lacks[] = {cascade_lacks(config, head), probing_lacks(config, head)};
    for (int i = 0; i < 2; i++)
        if (lacks[i] != NULL)
            warn(report, lacks[i]);
    if (head != NULL)
        head_close(head);
}

static int run(int argc, char **argv)
{
    extern const struct verb verb_check;
    const char *path = NULL;
    struct report report = {.warnings = json_array(), .errors = json_array()};
    const struct cli_option options[] = {{.name = "config", .text = &path}, {.name = "json", .flag = &report.as_json}, {0}};
    int n = 0;
    int parsed = cli_parse(&verb_check, argc, argv, options, &n);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    if (path == NULL && n == 1)
        path = argv[1];
    struct error err = {0};
    const struct config *config = NULL;
    if (config_open(&config, path, &err) < 0) {
        fail(&report, &err);
    } else {
        for (int i = 0; i < config->n_warnings; i++)
            warn(&report, config->warnings[i]);
        check_pack(&report, config);
        check_files(&report, config);
        check_head(&report, config);
    }
    bool good = json_array_size(report.errors) == 0;
    if (report.as_json) {
        struct buffer out;
        json_t *all = json_pack("{s:b, s:O, s:O}", "ok", good, "errors", report.errors, "warnings", report.warnings);
        buffer_init(&out, 1 << 20);
        json_write(all, &out);
        printf("%s\n", out.data);
        buffer_release(&out);
        json_decref(all);
    } else if (good) {
        printf("%s: good; %d listener%s, %d provider%s, data in %s\n", path != NULL ? path : "defaults", config->n_listeners,
               config->n_listeners == 1 ? "" : "s", config->n_providers, config->n_providers == 1 ? "" : "s", config->data_dir);
    }
    json_decref(report.warnings);
    json_decref(report.errors);
    config_drop(config);
    return good ? EXIT_DONE : EXIT_FAILED;
}

const struct verb verb_check = {.name = "check", .summary = "check a configuration", .help = help, .run = run};
