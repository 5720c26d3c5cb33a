/* weir route: where a request would go, and why. No daemon and no network. */
#include "cli/cli.h"
#include "decide/explain.h"

#include <stdio.h>

static const char help[] =
    "usage: weir route \"text\" [--config weir.yaml] [--model auto] [--tenant NAME]\n"
    "       weir route --messages FILE [--earlier ROUTE] [--json] [--config weir.yaml] [--model auto] [--tenant NAME]\n"
    "       weir route --json [--config weir.yaml] [--tenant NAME] < request.json\n\n"
    "Decides where a chat request would go, with the policies, the classifier, the prices and the documents of the\n"
    "configuration, and says why. Nothing is sent. Shares, budgets, thresholds moved by labels and the drift alarm stand as the\n"
    "ledger in data_dir has them; where classifier.probe is set, the answering model is asked too. What only a running Weir\n"
    "knows is told as unknown (POST /v1/route of one uses it): its providers' health (they count as healthy), what is left of\n"
    "a key's budget, cached answers, and who answered the turn before.\n\n"
    "With a text or --messages: in words, or with --json as an object. With --json alone: one chat request (as for\n"
    "/v1/chat/completions) a line, or a single one over several lines, on standard input; for each its decision with every\n"
    "input, as the ledger would hold it.\n\n"
    "  --config FILE   the configuration\n"
    "  --tenant NAME   who asks; without it: a caller without a key\n"
    "  --messages FILE a conversation: a JSON array of messages as in the API, or a chat request; - is standard input\n"
    "  --earlier ROUTE what answered the turn before, a moment ago: local, or remote:<provider>/<model>\n"
    "  --model NAME    of the text's or the messages' request: auto, auto:<max-regret>, local, remote/<provider>/<model> … [auto]\n";

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

/* What a head's promise stands on. */
static void say_terms(const json_t *promise)
{
    const char *about = json_string_value(json_object_get(promise, "about")), *remote = json_string_value(json_object_get(promise, "remote"));
    bool right = remote != NULL && strcmp(remote, "always_right") == 0;
    printf("          for queries like those%s%s%s\n", about != NULL && about[0] != '\0' ? ": " : "", about != NULL ? about : "",
           right ? "; the remote model was taken to be always right, so each wrong local answer counts" : "");
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
    if (kind == NULL && json_is_object(promise) && !labels)
        say_terms(promise);
}

/* Who answered the turn before, and what of its prompt may still be cached. */
static void say_earlier(const json_t *inputs)
{
    const json_t *earlier = json_object_get(inputs, "conversation");
    if (json_is_object(earlier))
        printf("earlier   %s answered the turn before; of about %lld tokens %lld may be cached there\n", json_string_value(json_object_get(earlier, "route")),
               (long long)json_integer_value(json_object_get(earlier, "prompt_tokens")), (long long)json_integer_value(json_object_get(earlier, "cached_tokens")));
}

static void say_unknown(const json_t *unknown)
{
    static const struct {
        const char *word, *says;
    } words[] = {{"provider_health", "whether the providers are up"},
                 {"key_budget", "what is left of the key's budget"},
                 {"answer_cache", "whether the answer is in the cache"},
                 {"earlier_turn", "who answered the turn before (--earlier tells it)"}};
    for (size_t i = 0; i < json_array_size(unknown); i++)
        for (size_t k = 0; k < sizeof words / sizeof *words; k++)
            if (strcmp(json_string_value(json_array_get(unknown, i)), words[k].word) == 0)
                printf("%s %s\n", i == 0 ? "unknown  " : "         ", words[k].says);
    if (json_array_size(unknown) > 0)
        printf("          (a running Weir knows: POST /v1/route)\n");
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
    const json_t *probe = json_object_get(json_object_get(json_object_get(decision, "inputs"), "score"), "probe");
    if (json_is_number(probe))
        printf("probe     the answering model itself: %.2f that it can answer\n", json_number_value(probe));
    say_earlier(json_object_get(decision, "inputs"));
    say_target(json_object_get(decision, "inputs"));
    say_cost(json_object_get(decision, "inputs"));
    const json_t *targets = json_object_get(decision, "targets");
    for (size_t i = 0; i < json_array_size(targets); i++)
        printf("%s %s\n", i == 0 ? "targets  " : "         ", json_string_value(json_array_get(targets, i)));
    say_unknown(json_object_get(decision, "unknown"));
}

static int answer(struct explainer *explainer, str body, bool as_json, struct error *err)
{
    json_t *decision = NULL;
    int status = explainer_run(explainer, body, &decision, err);
    if (status < 0)
        return status;
    if (as_json) {
        status = cli_print_json(decision, err);
    } else {
        say(decision);
    }
    json_decref(decision);
    return status;
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

static int read_input(struct buffer *in, struct error *err)
{
    char chunk[65536];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, stdin)) > 0;)
        if (buffer_append(in, chunk, n) < 0)
            return error_set(err, WEIR_E_LIMIT, "standard input", "is larger than 256 MiB");
    return 0;
}

/* A conversation from a file: its messages, or a request that has them. */
static int answer_messages(struct explainer *explainer, const char *model, const char *path, bool as_json, struct error *err)
{
    struct buffer in, body;
    bool is_input = strcmp(path, "-") == 0;
    const char *where = is_input ? "standard input" : path;
    json_t *given = NULL, *request = NULL;
    buffer_init(&in, 256 << 20);
    buffer_init(&body, 256 << 20);
    int status = is_input ? read_input(&in, err) : file_read(path, &in, err);
    if (status == 0 && (given = json_parse(str_after_mark(buffer_str(&in)), err)) == NULL)
        status = error_prefix(err, where);
    if (status == 0 && !json_is_array(given) && !json_is_array(json_object_get(given, "messages")))
        status = error_set(err, WEIR_E_INVALID, where, "must be a JSON array of messages, or a chat request with messages");
    if (status == 0) {
        request = json_is_array(given) ? json_pack("{s:O}", "messages", given) : json_incref(given);
        if (request != NULL && json_object_get(request, "model") == NULL)
            json_object_set_new(request, "model", json_string(model));
        status = request != NULL && json_write(request, &body) == 0 ? answer(explainer, buffer_str(&body), as_json, err)
                                                                   : error_set(err, WEIR_E_LIMIT, where, "is too long");
    }
    json_decref(request);
    json_decref(given);
    buffer_release(&in);
    buffer_release(&body);
    return status;
}

/* The whole of the input when it is one document, else each line. */
static int answer_input(struct explainer *explainer, struct error *err)
{
    struct buffer in;
    buffer_init(&in, 256 << 20);
    int status = read_input(&in, err);
    if (status < 0) {
        buffer_release(&in);
        return status;
    }
    str rest = str_trim(str_after_mark(buffer_str(&in))), line;
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

/* "local", or "remote:<provider>/<model>" of a provider that is there. */
static int check_earlier(const struct explainer *explainer, const char *route, struct error *err)
{
    str rest = str_of(route);
    const char *slash = strchr(route, '/');
    if (strcmp(route, "local") == 0)
        return 0;
    if (!str_starts(rest, STR("remote:")) || slash == NULL || slash[1] == '\0')
        return error_set(err, WEIR_E_INVALID, "--earlier", "\"%.100s\" is not like local or remote:<provider>/<model>", route);
    str provider = {route + strlen("remote:"), (size_t)(slash - route) - strlen("remote:")};
    return config_provider_find(explainer->config, provider) >= 0
               ? 0
               : error_set(err, WEIR_E_NOT_FOUND, "--earlier", "the configuration has no provider \"" STR_FMT "\"", STR_ARG(provider));
}

static int run(int argc, char **argv)
{
    extern const struct verb verb_route;
    const char *config = NULL, *model = "auto", *tenant = NULL, *messages = NULL, *earlier = NULL;
    bool as_json = false;
    int n = 0;
    const struct cli_option options[] = {{.name = "config", .text = &config}, {.name = "model", .text = &model, .words = true},
                                         {.name = "tenant", .text = &tenant, .words = true}, {.name = "messages", .text = &messages}, {.name = "earlier", .text = &earlier}, {.name = "json", .flag = &as_json}, {0}};
    int parsed = cli_parse(&verb_route, argc, argv, options, &n);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    if (n > 1 || (n == 1 && messages != NULL) || (n == 0 && messages == NULL && !as_json)) {
        fputs(help, stderr);
        return EXIT_USAGE;
    }
    struct explainer explainer = {NULL};
    struct error err = {0};
    int status = explainer_open(&explainer, config, &err);
    explainer.tenant = tenant;
    explainer.earlier = earlier;
    if (status == 0) {
        if (earlier != NULL)
            status = check_earlier(&explainer, earlier, &err);
        if (status == 0)
            status = n == 1 ? answer_text(&explainer, model, argv[1], as_json, &err)
                            : messages != NULL ? answer_messages(&explainer, model, messages, as_json, &err) : answer_input(&explainer, &err);
        explainer_close(&explainer);
    }
    return status < 0 ? cli_fail("route", &err) : EXIT_DONE;
}

const struct verb verb_route = {.name = "route", .summary = "where a request would go, and why", .help = help, .run = run};
