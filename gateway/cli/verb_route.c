/* weir route: where a request would go, and why. No daemon and no network. */
#include "cli/cli.h"
#include "decide/explain.h"

#include <stdio.h>

static const char help[] =
    "usage: weir route \"text\" [--config weir.yaml] [--model auto] [--tenant NAME]\n"
    "       weir route --json [--config weir.yaml] [--tenant NAME] < request.json\n\n"
    "Decides where a chat request would go, with the policies, the classifier and the prices of the configuration, and\n"
    "says why. Nothing is sent; providers count as healthy. Shares, budgets and thresholds of targets stand as the ledger in\n"
    "data_dir has them; the alarm of ratings is not looked at (POST /v1/route of a running Weir does).\n\n"
    "With a text: in words. With --json: one chat request (as for /v1/chat/completions) a line, or a single one over\n"
    "several lines, on standard input; for each its decision with every input, as the ledger would hold it.\n\n"
    "  --config FILE   the configuration\n"
    "  --tenant NAME   who asks; without it: a caller without a key\n"
    "  --model NAME    of the text's request: auto, auto:<max-regret>, local, remote/<provider>/<model> … [auto]\n";

/* What leaving is expected to cost. */
static void say_cost(const json_t *inputs)
{
    const json_t *tokens = json_object_get(json_object_get(inputs, "score"), "output_tokens"), *target = json_array_get(json_object_get(inputs, "targets"), 0),
                 *expected = json_object_get(target, "expected_nusd"), *worst = json_object_get(target, "worst_nusd");
    if (!json_is_number(tokens))
        return;
    printf("length    about %.0f tokens of a remote answer", json_number_value(tokens));
    if (json_is_integer(expected) && json_is_integer(worst))
        printf(": $%.6f at %s/%s, at worst $%.6f", json_number_value(expected) / 1e9, json_string_value(json_object_get(target, "provider")),
               json_string_value(json_object_get(target, "model")), json_number_value(worst) / 1e9);
    printf("\n");
}

static double number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static const char *source_text(const json_t *goal)
{
    const char *source = json_string_value(json_object_get(goal, "source"));
    return source != NULL && strcmp(source, "traffic") == 0 ? "recent queries" : source != NULL && strcmp(source, "calibration") == 0 ? "calibration lines" : NULL;
}

/* Which target chose which threshold, from how many lines. */
static void say_target(const json_t *inputs)
{
    const json_t *promise = json_object_get(inputs, "promise"), *goal = json_object_get(inputs, "goal");
    const char *source = json_string_value(json_object_get(promise, "source")), *kind = json_string_value(json_object_get(goal, "kind"));
    bool labels = source != NULL && strcmp(source, "labels") == 0;
    char usd[2][32];
    if (kind == NULL)
        printf("target    max_regret %g\n", number(inputs, "max_regret"));
    else if (strcmp(kind, "max_remote_share") == 0)
        printf("target    max_remote_share %g: credit for %.2f queries, so %.1f %% of those like the last ones may leave%s\n", number(goal, "max_remote_share"),
               number(goal, "credit_ppm") / 1e6, 100 * number(goal, "level"), json_is_true(json_object_get(goal, "open")) ? "" : "; this one may not");
    else
        printf("target    budget_usd_per_month: $%s spent of $%s, so %.1f %% of those like the last ones may leave\n",
               money_format_usd(json_integer_value(json_object_get(goal, "spent_nusd")), usd[0]),
               money_format_usd(json_integer_value(json_object_get(goal, "budget_nusd")), usd[1]), 100 * number(goal, "level"));
    if (kind != NULL && source_text(goal) != NULL)
        printf("threshold gains%s above %.4f leave, by %lld %s\n", strcmp(kind, "max_remote_share") == 0 ? "" : " a dollar", number(goal, "threshold"),
               (long long)json_integer_value(json_object_get(goal, "lines")), source_text(goal));
    else if (kind != NULL)
        printf("threshold gains%s above %.4f leave, until there are more queries to go by\n", strcmp(kind, "max_remote_share") == 0 ? "" : " a dollar",
               number(goal, "threshold"));
    else if (json_is_object(promise))
        printf("promise   gains up to %.4f stay: that regret holds with a confidence of %g by %lld %s\n", number(promise, "threshold"),
               number(promise, "confidence"), (long long)json_integer_value(json_object_get(promise, "lines")),
               labels ? "labels of the tenant's own answers" : "calibration lines");
}

static void say(const json_t *decision)
{
    const json_t *reasons = json_object_get(decision, "reasons"), *score = json_object_get(decision, "score"), *verdict = json_object_get(decision, "verdict");
    printf("route     %s\n", json_string_value(json_object_get(decision, "route")));
    printf("because   ");
    for (size_t i = 0; i < json_array_size(reasons); i++)
        printf("%s%s", i > 0 ? ", " : "", json_string_value(json_array_get(reasons, i)));
    const json_t *effect = json_object_get(verdict, "effect"), *class = json_object_get(verdict, "data_class");
    printf("\npolicy    %s%s%s\n", json_is_string(effect) ? json_string_value(effect) : "?", json_is_string(class) ? ", data class " : "",
           json_is_string(class) ? json_string_value(class) : "");
    if (json_is_object(score))
        printf("score     P(local answers well) %.2f, P(remote does) %.2f, gain %.2f against a largest regret of %.2f; %s, %s\n",
               json_number_value(json_object_get(score, "p_local")), json_number_value(json_object_get(score, "p_remote")),
               json_number_value(json_object_get(score, "gain")), json_number_value(json_object_get(json_object_get(decision, "inputs"), "max_regret")),
               json_is_string(json_object_get(score, "domain")) ? json_string_value(json_object_get(score, "domain")) : "no domain", json_string_value(json_object_get(score, "tier")));
    else
        printf("score     none: no trained head is there\n");
    say_target(json_object_get(decision, "inputs"));
    say_cost(json_object_get(decision, "inputs"));
    const json_t *targets = json_object_get(decision, "targets");
    for (size_t i = 0; i < json_array_size(targets); i++)
        printf("%s %s\n", i == 0 ? "targets  " : "         ", json_string_value(json_array_get(targets, i)));
}

static int answer(struct explainer *explainer, str body, bool as_json, struct error *err)
{
    json_t *decision = NULL;
    int status = explainer_run(explainer, body, &decision, err);
    if (status < 0)
        return status;
    if (as_json) {
        struct buffer out;
        buffer_init(&out, 64 << 20);
        json_write(decision, &out);
        buffer_append_char(&out, '\n');
        fwrite(out.data, 1, out.n, stdout);
        buffer_release(&out);
    } else {
        say(decision);
    }
    json_decref(decision);
    return 0;
}

static int answer_text(struct explainer *explainer, const char *model, const char *text, bool as_json, struct error *err)
{
    struct buffer body;
    buffer_init(&body, 64 << 20);
    buffer_append_text(&body, "{\"model\":");
    buffer_append_json_string(&body, str_of(model));
    buffer_append_text(&body, ",\"messages\":[{\"role\":\"user\",\"content\":");
    buffer_append_json_string(&body, str_of(text));
    buffer_append_text(&body, "}]}");
    int status = body.failed ? error_set(err, WEIR_E_LIMIT, "text", "is too long") : answer(explainer, buffer_str(&body), as_json, err);
    buffer_release(&body);
    return status;
}

/* The whole of the input when it is one document, else each line. */
static int answer_input(struct explainer *explainer, struct error *err)
{
    struct buffer in;
    char chunk[65536];
    buffer_init(&in, 256 << 20);
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, stdin)) > 0;)
        if (buffer_append(&in, chunk, n) < 0) {
            buffer_release(&in);
            return error_set(err, WEIR_E_LIMIT, "standard input", "is larger than 256 MiB");
        }
    str rest = str_trim(buffer_str(&in)), line;
    int status = 0;
    json_t *whole = json_parse(rest, NULL);
    if (whole != NULL || memchr(rest.data != NULL ? rest.data : "", '\n', rest.n) == NULL) {
        status = answer(explainer, rest, true, err);
    } else {
        for (int number = 1; status == 0 && str_split(&rest, '\n', &line); number++) {
            if (str_trim(line).n > 0 && (status = answer(explainer, line, true, err)) < 0) {
                char prefix[32];
                snprintf(prefix, sizeof prefix, "line %d", number);
                error_prefix(err, prefix);
            }
        }
    }
    json_decref(whole);
    buffer_release(&in);
    return status;
}

static int run(int argc, char **argv)
{
    extern const struct verb verb_route;
    const char *config = NULL, *model = "auto", *tenant = NULL;
    bool as_json = false;
    int n = 0;
    const struct cli_option options[] = {{.name = "config", .text = &config}, {.name = "model", .text = &model}, {.name = "tenant", .text = &tenant}, {.name = "json", .flag = &as_json}, {0}};
    int parsed = cli_parse(&verb_route, argc, argv, options, &n);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    if (n > 1 || (n == 0 && !as_json)) {
        fputs(help, stderr);
        return EXIT_USAGE;
    }
    struct explainer explainer = {NULL};
    struct error err = {0};
    int status = explainer_open(&explainer, config, &err);
    explainer.tenant = tenant;
    if (status == 0) {
        status = n == 1 ? answer_text(&explainer, model, argv[1], as_json, &err) : answer_input(&explainer, &err);
        explainer_close(&explainer);
    }
    return status < 0 ? cli_fail("route", &err) : EXIT_DONE;
}

const struct verb verb_route = {.name = "route", .summary = "where a request would go, and why", .help = help, .run = run};
