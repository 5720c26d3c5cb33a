/* weir check: is the configuration, with all it names, fit to start with? */
#include "cli/cli.h"
#include "config/config.h"
#include "door/tls.h"
#include "keys/admin_socket.h"
#include "money/prices.h"
#include "request/cascade.h"
#include "request/probing.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static const char help[] =
    "usage: weir check [--config weir.yaml] [--json]\n\n"
    "Reads the configuration and opens what it names (policy pack, price list, certificates, models, head, credentials) and\n"
    "says what is wrong, with file, line and column, and what only deserves a warning. Nothing is started, made or sent.\n\n"
    "Exit code 0: Weir would start with it (warnings or not), if no other program has its ports; 1: it would not, or could\n"
    "not do what it is told.\n";

struct report {
    struct buffer warnings; /* Items of JSON arrays. */
    struct buffer errors;
    int n_errors;
    char promise[700];      /* What the head promises, in words; empty: nothing. */
    bool as_json;
};

static void add(struct buffer *items, const char *text)
{
    if (items->n > 0)
        buffer_append_char(items, ',');
    buffer_append_json_string(items, str_of(text));
}

static void warn(struct report *report, const char *text)
{
    add(&report->warnings, text);
    if (!report->as_json)
        printf("warning: %s\n", text);
}

static void fail(struct report *report, const struct error *err)
{
    char text[600];
    report->n_errors++;
    add(&report->errors, error_format(err, text, sizeof text));
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

/* Opens a model as the start does (its weights are mapped, not read), with its adapters and its draft. serving NULL: an encoder's. */
static void check_model(struct report *report, const struct config *config, const char *what, const char *path, const struct config_serving *serving)
{
    struct error err = {0};
    struct model *model = NULL;
    const struct model_options options = {.precision = config->precision, .n_threads = 1};
    if (path == NULL)
        return;
    int status = model_open(&model, path, &options, &err);
    for (int i = 0; status == 0 && serving != NULL && i < serving->n_adapters; i++)
        status = model_adapter_open(model, serving->adapters[i].name, serving->adapters[i].path, &err);
    if (status == 0 && (model_info_peek(model)->kind == MODEL_ENCODER) != (serving == NULL))
        status = error_set(&err, WEIR_E_INVALID, path, serving != NULL ? "is an encoder; a model that answers is needed" : "is no encoder");
    if (status < 0) {
        error_prefix(&err, what);
        fail(report, &err);
    }
    model_close(model);
    if (serving != NULL && serving->speculation == SPECULATE_DRAFT)
        check_model(report, config, "speculate.draft", serving->draft_path, &(struct config_serving){0});
}

/* A default model that was never pulled is a warning, at the start too. */
static void check_models(struct report *report, const struct config *config)
{
    const bool chat_there = config->chat_path != NULL && file_exists(config->chat_path);
    const bool encoder_there = config->encoder_path != NULL && file_exists(config->encoder_path);
    if (chat_there || config->chat_path_given)
        check_model(report, config, "models.chat", config->chat_path, &config->chat);
    else
        warn(report, "the default answering model is not there yet: `weir pull` fetches it");
    if (encoder_there || config->encoder_path_given)
        check_model(report, config, "models.encoder", config->encoder_path, NULL);
    else
        warn(report, "the default encoder model is not there yet: `weir pull` fetches it");
    check_model(report, config, "models.reranker", config->reranker_path, NULL);
    for (int i = 0; i < config->n_others; i++) {
        char what[96];
        snprintf(what, sizeof what, "models.others.%s", config->others[i].name);
        check_model(report, config, what, config->others[i].path, &config->others[i].serving);
    }
}

/* The folder, or the nearest one above it that is there, can be written to; nothing is made here. */
static void check_data_dir(struct report *report, const struct config *config)
{
    struct error err = {0};
    char path[4096];
    if (!str_copy(path, sizeof path - 16, str_of(config->data_dir)))
        error_set(&err, WEIR_E_INVALID, config->data_dir, "not a usable path");
    while (err.status == 0 && !file_exists(path)) {
        char *slash = strrchr(path, '/');
        if (errno == ENOTDIR)
            error_set(&err, WEIR_E_INVALID, config->data_dir, "%s", strerror(ENOTDIR));
        if (slash == NULL || slash == path)
            break;
        *slash = '\0';
    }
    if (err.status == 0 && file_exists(path) && !file_is_directory(path))
        error_set(&err, WEIR_E_INVALID, path, "exists and is not a directory");
    else if (err.status == 0 && access(path[0] != '\0' ? path : "/", W_OK | X_OK) != 0)
        error_set(&err, WEIR_E_DENIED, path, "cannot be written by this user");
    if (err.status < 0 || admin_socket_path(config->data_dir, path, &err) < 0) {
        if (strcmp(err.where, "data_dir") != 0)
            error_prefix(&err, "data_dir");
        fail(report, &err);
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
    struct tls_server *tls;
    if (config->tls_certificate != NULL) {
        if (tls_server_open(&tls, config->tls_certificate, config->tls_private_key, &err) < 0)
            fail(report, &err);
        else
            tls_server_close(tls);
    }
    if (config->knowledge.folder != NULL && !file_is_directory(config->knowledge.folder)) {
        error_set(&err, WEIR_E_NOT_FOUND, config->knowledge.folder, file_exists(config->knowledge.folder) ? "is no folder" : "does not exist");
        fail(report, &err);
    }
}

/* A max_regret under which a head with promises can keep nothing here deserves a warning. */
static bool is_promised(struct report *report, const char *whose, const struct config_goal *goal, const struct head *head)
{
    char text[600];
    double least = head_least_regret(head);
    if (goal->max_regret >= least)
        return true;
    snprintf(text, sizeof text, "%s.max_regret %g: the head %s can promise that for no query, so `auto` answers none here; the least it can promise is %g", whose,
             goal->max_regret, head_id(head), least);
    warn(report, text);
    return false;
}

/* What the head says of max_regret. */
static void check_promise(struct report *report, const struct config *config, const struct head *head)
{
    const struct promise_terms *terms = head != NULL ? head_promise_terms_peek(head) : NULL;
    double threshold, confidence;
    int64_t n_lines;
    char text[700];
    for (int i = 0; i < config->n_tenants && terms != NULL; i++)
        if (config->tenants[i].goal.kind == GOAL_MAX_REGRET && config->tenants[i].goal.max_regret > 0) {
            snprintf(text, sizeof text, "tenants.%s", config->tenants[i].name);
            (void)is_promised(report, text, &config->tenants[i].goal, head);
        }
    if (terms == NULL || config->goal.kind != GOAL_MAX_REGRET || !head_promise(head, config->goal.max_regret, &threshold, &confidence, &n_lines))
        return;
    if (!is_promised(report, "classifier", &config->goal, head))
        return;
    snprintf(report->promise, sizeof report->promise, "max_regret %g: gains up to %.4f stay here, %.1f %% of %lld calibration lines (%s); it holds with a confidence of %g for queries like those%s",
             config->goal.max_regret, threshold, 100 * head_promise_share(head, config->goal.max_regret), (long long)n_lines,
             terms->about[0] != '\0' ? terms->about : "not described", confidence,
             terms->remote_always_right ? "; the remote model was taken to be always right, so each wrong local answer counts" : "");
}

/* What the head promises, and what cascade and probe need of it. */
static void check_head(struct report *report, const struct config *config)
{
    struct error err = {0};
    struct head *head = NULL;
    if (config->head_path != NULL && head_open(&head, config->head_path, &err) < 0) {
        fail(report, &err);
        return;
    }
    check_promise(report, config, head);
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
    struct report report = {0};
    const struct cli_option options[] = {{.name = "config", .text = &path}, {.name = "json", .flag = &report.as_json}, {0}};
    int n = 0;
    int parsed = cli_parse(&verb_check, argc, argv, options, &n);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    if (path == NULL && n == 1)
        path = argv[1];
    buffer_init(&report.warnings, 1 << 20);
    buffer_init(&report.errors, 1 << 20);
    struct error err = {0};
    const struct config *config = NULL;
    if (config_open(&config, path, &err) < 0) {
        fail(&report, &err);
    } else {
        for (int i = 0; i < config->n_warnings; i++)
            warn(&report, config->warnings[i]);
        check_pack(&report, config);
        check_files(&report, config);
        check_models(&report, config);
        check_data_dir(&report, config);
        check_head(&report, config);
    }
    bool good = report.n_errors == 0;
    if (report.as_json) {
        str errors = buffer_str(&report.errors), warnings = buffer_str(&report.warnings);
        printf("{\"ok\":%s,\"errors\":[" STR_FMT "],\"warnings\":[" STR_FMT "]", good ? "true" : "false", STR_ARG(errors), STR_ARG(warnings));
        if (report.promise[0] != '\0') {
            struct buffer promise;
            buffer_init(&promise, 1 << 13);
            buffer_append_json_string(&promise, str_of(report.promise));
            printf(",\"promise\":" STR_FMT, STR_ARG(buffer_str(&promise)));
            buffer_release(&promise);
        }
        printf("}\n");
    } else if (good) {
        if (report.promise[0] != '\0')
            printf("promise: %s\n", report.promise);
        printf("%s: good; %d listener%s, %d provider%s, data in %s\n", path != NULL ? path : "defaults", config->n_listeners,
               config->n_listeners == 1 ? "" : "s", config->n_providers, config->n_providers == 1 ? "" : "s", config->data_dir);
    }
    buffer_release(&report.warnings);
    buffer_release(&report.errors);
    config_drop(config);
    return good ? EXIT_DONE : EXIT_FAILED;
}

const struct verb verb_check = {.name = "check", .summary = "check a configuration", .help = help, .run = run};
