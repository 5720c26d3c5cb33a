/* Targets of many tenants through decide(), with a ledger behind them: what they hold to, and that a start goes on where it stopped. */
#include "goals/goals.h"

#include "coin.h"
#include "ledger/history.h"
#include "ledger/verify.h"
#include "money/month.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#define DAY_NS 86400000000000

static char folder[64], path[128];
static const struct config *config;
static struct ledger *ledger;
static struct goals *goals;
static int64_t now_ns;

static void configure(const char *yaml)
{
    struct error err = {0};
    config_drop(config);
    cr_assert_eq(config_parse(&config, "weir.yaml", "/", str_of(yaml), &err), 0, "%s: %s", err.where, err.text);
}

static struct head *head;

static struct goals_context context(void)
{
    return (struct goals_context){.config = config, .head = head, .ledger = ledger, .wall_ns = now_ns};
}

static void read_goals(void)
{
    struct goals_context c = context();
    struct error err = {0};
    ledger_settle(ledger);
    cr_assert_eq(goals_read(goals, &c, path, &err), 0, "%s: %s", err.where, err.text);
}

static void start(void)
{
    struct error err = {0};
    struct ledger_options options = {.path = path, .durability = DURABILITY_PROCESS};
    cr_assert_eq(ledger_open(&ledger, &options, &err), 0, "%s", err.text);
    goals = goals_new();
    read_goals();
}

static void stop(void)
{
    goals_free(goals);
    ledger_close(ledger);
}

static void set_up(void)
{
    str_copy(folder, sizeof folder, STR("/tmp/weir-goals-XXXXXX"));
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/ledger.db", folder);
    now_ns = month_begin_ns(2026 * 12 + 10) + 2 * DAY_NS;
    config = NULL;
}

static void tear_down(void)
{
    char command[160];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
    config_drop(config);
    head_close(head);
}

TestSuite(goals, .init = set_up, .fini = tear_down);

static struct decide_inputs inputs_for(const char *tenant, double gain)
{
    struct decide_inputs in = {.kind = NAME_AUTO, .max_regret = config->max_regret, .effect = EFFECT_ALLOW, .local_permitted = true, .scored = true, .p_local = 0.5f,
                               .p_remote = 0.9f, .gain = (float)gain, .local = LOCAL_READY, .n_targets = 1};
    struct decide_target *target = &in.targets[0];
    str_copy(target->provider, sizeof target->provider, STR("p"));
    str_copy(target->model, sizeof target->model, STR("m"));
    target->permitted = target->usable = target->healthy = true;
    target->input_nusd = target->cached_input_nusd = 1000000000;
    target->output_nusd = 2000000000; /* A micro-dollar a token, two of an answer. */
    target->worst_nusd = 4000000;
    struct goals_context c = context();
    goals_fill(goals, &c, &(struct goals_query){.tenant = tenant, .prompt_tokens = 100, .max_tokens = -1}, &in);
    return in;
}

/* A query that the documents cover: of the share, but not weighed. */
static void ask_covered(void)
{
    struct goals_context c = context();
    struct decide_inputs in = inputs_for(NULL, 0.5);
    struct decision decision;
    in.searched = true;
    in.n_passages = 1;
    decide(&in, &decision);
    cr_assert(decision.kind == ROUTE_LOCAL && !decision.weighed);
    cr_assert_eq(goals_decided(goals, &c, NULL, &in, &decision), 0);
}

static int n_asked;

/* One request's life, as the daemon lives it. Did it leave? */
static bool ask(const char *tenant, double gain, int64_t cost_nusd)
{
    struct goals_context c = context();
    struct decide_inputs in = inputs_for(tenant, gain);
    struct decision decision;
    char id[32];
    snprintf(id, sizeof id, "d%d", n_asked++);
    decide(&in, &decision);
    bool left = decision.kind == ROUTE_REMOTE;
    json_t *inputs = decide_inputs_json(&in), *reasons = decision_reasons_json(&decision);
    char *texts[2] = {json_dumps(inputs, 0), json_dumps(reasons, 0)};
    struct ledger_decision row = {.decision_id = id, .time_ns = now_ns, .tenant = tenant, .endpoint = "/v1/chat/completions", .model = "auto", .route = decision.route,
                                  .reasons = texts[1], .inputs = texts[0], .config_sha256 = config->sha256, .prompt_tokens = LEDGER_NULL, .reserved_nusd = LEDGER_NULL};
    while (ledger_append_decision(ledger, &row, NULL, NULL, NULL) == WEIR_E_FULL)
        ledger_settle(ledger);
    int64_t committed = goals_decided(goals, &c, tenant, &in, &decision);
    goals_end(goals, &c, &(struct goals_end){.tenant = tenant, .committed_nusd = committed, .cost_nusd = left ? cost_nusd : 0, .completion_tokens = 100});
    struct ledger_outcome outcome = {.decision_id = id, .time_ns = now_ns, .tenant = tenant, .route = decision.route, .result = "ok", .status = 200,
                                     .cost_nusd = left ? cost_nusd : 0};
    cr_assert_eq(ledger_append_outcome(ledger, &outcome), 0);
    free(texts[0]);
    free(texts[1]);
    json_decref(inputs);
    json_decref(reasons);
    return left;
}

Test(goals, each_tenant_has_its_own_target_and_its_own_share)
{
    configure("classifier: {max_remote_share: 0.3}\ntenants: {a: {max_regret: 0.5}, b: {max_remote_share: 0.1}}\n");
    start();
    uint64_t state = 3;
    int left[3] = {0};
    for (int i = 1; i <= 600; i++) {
        double gain = coin(&state);
        bool a = ask("a", gain, 1000);
        cr_assert_eq(a, (double)(float)gain > 0.5, "by max_regret");
        left[0] += a;
        left[1] += ask("b", coin(&state), 1000);
        left[2] += ask(NULL, coin(&state), 1000);
        cr_assert(left[1] <= 0.1 * i && left[2] <= 0.3 * i, "%d and %d of %d", left[1], left[2], i);
    }
    cr_assert(left[1] > 45 && left[2] > 150);
    stop();
}

Test(goals, a_start_goes_on_with_the_credit_and_the_gains_of_the_last_one)
{
    configure("tenants: {b: {max_remote_share: 0.2}}\n");
    start();
    uint64_t state = 9;
    int left = 0, n = 0;
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 150; i++) {
            left += ask("b", coin(&state), 1000);
            cr_assert_leq(left, 0.2 * ++n, "round %d: %d of %d", round, left, n);
        }
        struct decide_inputs before = inputs_for("b", 0.5);
        stop();
        start();
        struct decide_inputs after = inputs_for("b", 0.5);
        cr_assert_eq(memcmp(&before.goal, &after.goal, sizeof before.goal), 0, "round %d: credit %lld and %lld, thresholds %g and %g", round,
                     (long long)before.goal.credit_ppm, (long long)after.goal.credit_ppm, before.goal.threshold, after.goal.threshold);
        cr_assert(round == 0 || after.goal.source == GOAL_FROM_TRAFFIC);
    }
    cr_assert_gt(left, 0.85 * 0.2 * n);
    struct decide_inputs was = inputs_for("b", 0.5);
    read_goals();
    struct decide_inputs is = inputs_for("b", 0.5);
    cr_assert_eq(memcmp(&was.goal, &is.goal, sizeof was.goal), 0, "a reload changes nothing");
    configure("tenants: {b: {max_remote_share: 0.6}}\n");
    read_goals();
    cr_assert_eq(inputs_for("b", 0.5).goal.credit_ppm, 0, "credit of another share is none of this one");
    stop();
}

Test(goals, what_left_late_is_owed_after_a_start_too)
{
    configure("classifier: {max_remote_share: 0.5}\n");
    start();
    for (int i = 0; i < 10; i++)
        cr_assert(!ask(NULL, 0, 0));
    struct goals_context c = context();
    struct ledger_outcome outcome = {.decision_id = "late", .time_ns = now_ns, .route = "remote:p/m", .result = "ok", .status = 200, .cost_nusd = 10};
    struct decide_inputs in = inputs_for(NULL, 0);
    struct decision decision;
    decide(&in, &decision);
    json_t *json = decide_inputs_json(&in);
    char *text = json_dumps(json, 0);
    struct ledger_decision row = {.decision_id = "late", .time_ns = now_ns, .endpoint = "/v1/chat/completions", .route = "local", .reasons = "[\"gain_within_threshold\"]",
                                  .inputs = text, .prompt_tokens = LEDGER_NULL, .reserved_nusd = LEDGER_NULL};
    cr_assert_eq(ledger_append_decision(ledger, &row, NULL, NULL, NULL), 0);
    cr_assert_eq(goals_decided(goals, &c, NULL, &in, &decision), 0);
    goals_end(goals, &c, &(struct goals_end){.cost_nusd = 10, .completion_tokens = 1, .left_late = true});
    cr_assert_eq(ledger_append_outcome(ledger, &outcome), 0);
    int64_t credit = inputs_for(NULL, 0).goal.credit_ppm;
    cr_assert_eq(credit, 11 * 500000 - 1000000);
    stop();
    start();
    cr_assert_eq(inputs_for(NULL, 0).goal.credit_ppm, credit);
    free(text);
    json_decref(json);
    stop();
}

Test(goals, a_months_money_is_counted_over_starts_and_month_ends_and_never_overspent)
{
    configure("classifier: {budget_usd_per_month: 1}\n");
    start();
    uint64_t state = 5;
    int64_t spent = 0, month = month_of(now_ns);
    for (int i = 0; i < 2400; i++) { /* Sixty days of forty queries. */
        now_ns += DAY_NS / 40;
        if (month_of(now_ns) != month) {
            cr_assert_gt(spent, 900000000, "%lld of a dollar was spent", (long long)spent);
            month = month_of(now_ns);
            spent = 0;
        }
        int64_t cost = 1500000 + (int64_t)(2000000 * coin(&state));
        spent += ask(NULL, coin(&state), cost) ? cost : 0;
        cr_assert_leq(spent, 1000000000);
        if (i % 400 == 200) {
            struct decide_inputs before = inputs_for(NULL, 0.5);
            stop();
            start();
            struct decide_inputs after = inputs_for(NULL, 0.5);
            cr_assert(after.goal.spent_nusd == spent && before.goal.spent_nusd == spent && after.goal.left_nusd == before.goal.left_nusd, "%lld and %lld",
                      (long long)spent, (long long)after.goal.spent_nusd);
            /* Rows hold the means from before their own answer. */
            cr_assert(fabs(after.goal.level / before.goal.level - 1) < 0.05, "%g and %g", before.goal.level, after.goal.level);
            cr_assert_eq(after.goal.lines, before.goal.lines);
        }
    }
    stop();
}

Test(goals, what_named_models_cost_counts_for_the_month_and_an_unknown_cost_is_the_worst)
{
    configure("classifier: {budget_usd_per_month: 1}\n");
    start();
    struct goals_context c = context();
    goals_end(goals, &c, &(struct goals_end){.tenant = "t", .cost_nusd = 600000000, .completion_tokens = 10});
    cr_assert_eq(inputs_for("t", 0.5).goal.spent_nusd, 600000000);
    struct decide_inputs in = inputs_for("u", 0.9);
    struct decision decision;
    decide(&in, &decision);
    cr_assert_eq(decision.kind, ROUTE_REMOTE);
    int64_t committed = goals_decided(goals, &c, "u", &in, &decision);
    cr_assert_eq(committed, 4000000);
    cr_assert_eq(inputs_for("u", 0.5).goal.month_left_nusd, 1000000000 - 4000000);
    goals_end(goals, &c, &(struct goals_end){.tenant = "u", .committed_nusd = committed, .cost_nusd = MONEY_UNKNOWN, .completion_tokens = -1});
    cr_assert_eq(inputs_for("u", 0.5).goal.spent_nusd, 4000000);
    stop();
}

/* Lines whose right answer can be learned from their words; half are easy. */
static void write_lines(const char *name, int first, int n)
{
    static const char *const easy[] = {"say hello to", "greet", "wish good morning to", "thank"};
    static const char *const hard[] = {"prove the theorem about", "derive the integral of", "optimise the compiler for", "design a database for"};
    FILE *file = fopen(name, "w");
    cr_assert_not_null(file);
    for (int i = first; i < first + n; i++)
        fprintf(file, "{\"text\":\"%s the trees number %d\",\"scores\":{\"local\":%d,\"remote\":1}}\n", i % 2 ? hard[i / 2 % 4] : easy[i / 2 % 4], i, i % 2 == 0);
    fclose(file);
}

static void calibrate_head(void)
{
    char names[3][96];
    struct error err = {0};
    json_t *report;
    static const char *const ends[] = {"lines.jsonl", "a.head", "b.head"};
    for (int i = 0; i < 3; i++)
        snprintf(names[i], sizeof names[i], "%s/%s", folder, ends[i]);
    write_lines(names[0], 0, 160);
    cr_assert_eq(head_train(names[0], names[1], NULL, &(struct train_options){.seed = 7, .quiet = true}, &err), 0, "%s: %s", err.where, err.text);
    write_lines(names[0], 160, 300);
    cr_assert_eq(head_calibrate(names[1], names[0], names[2], NULL, &(struct calibrate_options){.quiet = true}, &report, &err), 0, "%s: %s", err.where, err.text);
    json_decref(report);
    cr_assert_eq(head_open(&head, names[2], &err), 0, "%s", err.text);
}

Test(goals, a_calibrated_head_gives_the_first_thresholds)
{
    configure("classifier: {max_remote_share: 0.5}\ntenants: {b: {budget_usd_per_month: 1000}, r: {max_regret: 0.1}}\n");
    start();
    struct decide_inputs in = inputs_for(NULL, 0.5);
    cr_assert(in.goal.source == GOAL_FROM_DEFAULT && in.goal.threshold == 0.1 && in.goal.lines == 0, "no calibration: max_regret's default");
    calibrate_head();
    double easy, hard;
    int64_t n_lines;
    cr_assert(head_gain_above(head, 0.9, &easy, &n_lines) && head_gain_above(head, 0.1, &hard, &n_lines) && easy < hard - 0.2, "%g and %g", easy, hard);
    in = inputs_for(NULL, 0.5);
    cr_assert(in.goal.source == GOAL_FROM_CALIBRATION && in.goal.lines == 300 && in.goal.threshold >= hard, "no credit yet: %g", in.goal.threshold);
    for (int i = 0; i < 60; i++) /* None of them weighed: the threshold is still the calibration's. */
        ask_covered();
    in = inputs_for(NULL, 0.5);
    cr_assert(in.goal.source == GOAL_FROM_CALIBRATION && in.goal.level > 0.29 && in.goal.threshold <= hard, "%g", in.goal.threshold);
    in = inputs_for("b", 0.5);
    cr_assert(in.goal.source == GOAL_FROM_CALIBRATION && in.goal.lines == 300 && in.goal.level == 1);
    cr_assert_float_eq(in.goal.threshold * (double)in.goal.expected_nusd / 1e9, fmax(0, easy), 0.2, "of the gain a dollar");
    in = inputs_for("r", 0.5);
    cr_assert(in.promised && !in.promised_by_labels && in.promise_lines == 300);
    stop();
}

Test(goals, a_ledger_that_cannot_be_read_closes_shares_and_budgets)
{
    configure("classifier: {max_remote_share: 1}\ntenants: {b: {budget_usd_per_month: 1000}, r: {max_regret: 0.1}}\n");
    start();
    struct goals_context c = context();
    struct error err = {0};
    cr_assert(inputs_for(NULL, 0.9).goal.open && inputs_for("b", 0.9).goal.left_nusd > 0);
    cr_assert_lt(goals_read(goals, &c, "/no/such/ledger.db", &err), 0);
    cr_assert(!inputs_for(NULL, 0.9).goal.open && inputs_for("b", 0.9).goal.month_left_nusd == 0);
    cr_assert_eq(inputs_for("r", 0.9).goal.kind, GOAL_MAX_REGRET);
    read_goals();
    cr_assert(inputs_for(NULL, 0.9).goal.open && inputs_for("b", 0.9).goal.left_nusd > 0);
    stop();
}

static int label(const char *tenant, int id, double gain, double reach, bool worse)
{
    struct goals_context c = context();
    char text[32];
    snprintf(text, sizeof text, "x%d", id);
    struct goals_label of = {.tenant = tenant, .decision_id = text, .max_regret = 0.1, .gain = gain, .reach = reach, .regret = worse, .probability = 1, .least_probability = 1};
    return goals_label(goals, &c, &of);
}

static int n_rows, n_refuted;
static struct history_threshold last_row;
static int see_row(void *user, const struct history_threshold *row)
{
    n_rows++;
    n_refuted += row->refuted;
    last_row = *row;
    return 0;
}

static void see_rows(void)
{
    struct error err = {0};
    n_rows = n_refuted = 0;
    ledger_settle(ledger);
    struct ledger_scope scope = {.config_sha256 = config->sha256, .head_id = "", .answers_id = "", .judge = ""};
    cr_assert_eq(history_thresholds(path, &scope, see_row, NULL, &err), 0, "%s", err.text);
}

Test(goals, labels_move_a_tenants_threshold_each_time_on_record)
{
    configure("classifier: {max_regret: 0.1}\n");
    start();
    int id = 0, moved = EVIDENCE_STAYS;
    while (moved != EVIDENCE_UP && id < 500) {
        moved = label("a", id, 0.25 * (id % 11) / 11, EVIDENCE_ALL, id % 60 == 59);
        id++;
    }
    cr_assert_eq(moved, EVIDENCE_UP);
    struct decide_inputs in = inputs_for("a", 0.15);
    cr_assert(in.promised && in.promised_by_labels && in.threshold > 0.15 && in.promise_lines >= EVIDENCE_LEAST && in.confidence == 0.9);
    cr_assert(!inputs_for("b", 0.15).promised, "nobody else's");
    see_rows();
    cr_assert(n_rows == 1 && n_refuted == 0 && last_row.max_regret_ppm == 100000 && llround(in.threshold * 1e6) == last_row.new_ppm && last_row.n_labels == in.promise_lines);
    double up = in.threshold;
    while (moved != EVIDENCE_DOWN && id < 1000) {
        moved = label("a", id, up * (id % 11) / 11, up, id % 2 == 0);
        id++;
    }
    cr_assert_eq(moved, EVIDENCE_DOWN);
    in = inputs_for("a", 0.15);
    cr_assert_lt(in.threshold, up);
    see_rows();
    cr_assert(n_rows >= 2 && last_row.refuted && llround(in.threshold * 1e6) == last_row.new_ppm);
    for (int i = 0; i < EVIDENCE_LEAST - 1; i++)
        cr_assert_eq(label("a", id++, -0.2, in.threshold, true), EVIDENCE_STAYS, "labels that refuted are used up: this is only number %d", i + 1);
    struct goals_context c = context();
    struct goals_query named = {.tenant = "a", .regret_named = true, .prompt_tokens = 1, .max_tokens = -1};
    struct decide_inputs other = in;
    other.max_regret = 0.4;
    goals_fill(goals, &c, &named, &other);
    cr_assert(!other.promised && other.max_regret == 0.4, "labels speak of the tenant's own max_regret alone");
    stop();
    start();
    cr_assert_eq(inputs_for("a", 0.15).threshold, in.threshold, "a start goes on with it");
    struct verify_report report;
    struct error err = {0};
    ledger_settle(ledger);
    cr_assert_eq(ledger_verify(path, &report, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(report.n_rows, (uint64_t)n_rows);
    configure("classifier: {max_regret: 0.1}\nlog: {level: warn}\n");
    read_goals();
    cr_assert(!inputs_for("a", 0.15).promised, "another configuration begins anew");
    stop();
}

Test(goals, a_start_takes_ratings_and_judged_samples_from_the_ledger)
{
    configure("classifier: {max_regret: 0.1}\n");
    start();
    int moved = EVIDENCE_STAYS;
    for (int i = 0; i < EVIDENCE_LEAST; i++) {
        if (i == EVIDENCE_LEAST - 1) { /* The one that makes them enough comes after a start. */
            stop();
            start();
        }
        cr_assert(!ask("a", 0.05, 0));
        char id[32];
        snprintf(id, sizeof id, "d%d", n_asked - 1);
        struct ledger_feedback rating = {.decision_id = id, .time_ns = now_ns, .tenant = "a", .rating_ppm = -1000000, .correct = LEDGER_NULL};
        struct ledger_shadow sample = {.decision_id = id, .time_ns = now_ns, .tenant = "a", .probability_ppm = 20000, .outcome = "remote_better", .reason = "judge",
                                       .provider = "p", .provider_model = "m", .judge_provider = "q", .judge_provider_model = "j"};
        cr_assert_eq(i % 2 == 0 ? ledger_append_feedback(ledger, &rating, NULL, NULL, NULL) : ledger_append_shadow(ledger, &sample, NULL, NULL, NULL), 0);
        struct goals_context c = context();
        struct goals_label of = {.tenant = "a", .decision_id = id, .max_regret = 0.1, .gain = (double)0.05F, .reach = 0.1, .regret = 1, .probability = 1, .least_probability = 1};
        moved = goals_label(goals, &c, &of);
        cr_assert_eq(moved, i == EVIDENCE_LEAST - 1 ? EVIDENCE_DOWN : EVIDENCE_STAYS, "label %d", i);
    }
    double threshold = inputs_for("a", 0.5).threshold;
    cr_assert_lt(threshold, 0.05);
    stop();
    start();
    cr_assert_eq(inputs_for("a", 0.5).threshold, threshold);
    for (int i = 0; i < EVIDENCE_LEAST - 1; i++)
        cr_assert_eq(label("a", i, -0.2, threshold, true), EVIDENCE_STAYS, "labels that refuted are used up: this is only number %d", i + 1);
    stop();
}

/* The i-th query of a tenant, on one side or the other, its sample's row and its label. */
static int sample(const char *tenant, int i)
{
    bool left = ask(tenant, i % 3 == 0 ? 0.15 : 0.05, 0), lost = i % 40 == 17;
    cr_assert_eq(left, i % 3 == 0);
    char id[32];
    snprintf(id, sizeof id, "d%d", n_asked - 1);
    struct ledger_shadow row = {.decision_id = id, .time_ns = now_ns, .tenant = tenant, .probability_ppm = left ? 500000 : 400000, .other_ppm = left ? 400000 : 500000,
                                .outcome = lost ? "unjudged" : "tie", .reason = lost ? "late" : "judge", .provider = "p", .provider_model = "m",
                                .judge_provider = "q", .judge_provider_model = "j"};
    cr_assert_eq(ledger_append_shadow(ledger, &row, NULL, NULL, NULL), 0);
    struct goals_context c = context();
    struct goals_label of = {.tenant = tenant, .decision_id = id, .max_regret = 0.1, .gain = (double)(left ? 0.15F : 0.05F), .lost = lost};
    goals_label_drawn(&of, row.probability_ppm, row.other_ppm, 0.1);
    cr_assert(of.reach == EVIDENCE_ALL && of.least_probability == 0.4 && of.probability == (left ? 0.5 : 0.4));
    return goals_label(goals, &c, &of);
}

Test(goals, samples_of_both_sides_raise_a_threshold_and_a_start_takes_them_with_their_chances_and_losses)
{
    configure("classifier: {max_regret: 0.1}\n");
    start();
    int n = 0;
    while (n < 1000 && sample("a", n) == EVIDENCE_STAYS)
        n++;
    double threshold = inputs_for("a", 0.5).threshold;
    cr_assert(n < 1000 && threshold > 0.15, "%d labels, %g", n, threshold);
    for (int i = 0; i < n; i++)
        cr_assert_eq(sample("b", i), EVIDENCE_STAYS);
    stop();
    start();
    cr_assert_eq(inputs_for("a", 0.5).threshold, threshold);
    cr_assert_eq(sample("b", n), EVIDENCE_UP, "the very next label moves it, as without a start");
    cr_assert_eq(inputs_for("b", 0.5).threshold, threshold);
    stop();
}

/* A tenant's sample, of a query that was drawn with that probability where the rarest has .1. */
static void drawn(const char *tenant, int id, double gain, double probability, bool worse, bool lost)
{
    struct goals_context c = context();
    char name[32];
    snprintf(name, sizeof name, "l%d", id);
    struct goals_label of = {.tenant = tenant, .decision_id = name, .max_regret = 0.1, .gain = gain, .reach = EVIDENCE_ALL, .regret = worse, .probability = probability,
                             .least_probability = 0.1, .lost = lost};
    cr_assert_geq(goals_label(goals, &c, &of), 0);
}

Test(goals, samples_that_are_lost_move_nothing_and_those_that_are_drawn_more_often_count_for_less)
{
    configure("classifier: {max_regret: 0.1}\n");
    start();
    for (int i = 0; i < 400; i++)
        drawn("lost", i, 0.05, 0.1, false, true);
    cr_assert(!inputs_for("lost", 0.05).promised);
    /* As many queries have a gain of .05, and are never worse, as one of .15, of which every other is; of the former ten times as many are drawn. */
    for (int i = 0; i < 990; i++)
        drawn("drawn", i, i % 11 == 0 ? 0.15 : 0.05, i % 11 == 0 ? 0.1 : 1, i % 22 == 0, false);
    cr_assert_lt(inputs_for("drawn", 0.05).threshold, 0.15);
    for (int i = 0; i < 990; i++)
        drawn("even", i, i % 11 == 0 ? 0.15 : 0.05, 0.1, i % 22 == 0, false);
    cr_assert_gt(inputs_for("even", 0.05).threshold, 0.15, "drawn alike they are few");
    stop();
}

Test(goals, a_label_has_its_chance_and_its_reach_by_how_it_was_drawn)
{
    struct goals_label of = {.gain = 0};
    goals_label_drawn(&of, 0, 0, 0.3);
    cr_assert(of.reach == 0.3 && of.probability == 1 && of.least_probability == 1, "a rating");
    goals_label_drawn(&of, 20000, 0, 0.3);
    cr_assert(of.reach == 0.3 && of.probability == of.least_probability, "a sample of what stays, where nothing else is sampled");
    goals_label_drawn(&of, 20000, 50000, 0.3);
    cr_assert(of.reach == EVIDENCE_ALL && of.probability == 0.02 && of.least_probability == 0.02, "the rarer side counts whole");
    goals_label_drawn(&of, 50000, 20000, 0.3);
    cr_assert(of.reach == EVIDENCE_ALL && of.probability == 0.05 && of.least_probability == 0.02, "and the other by so much less");
}

Test(goals, a_query_goes_by_one_threshold_from_its_scoring_to_its_decision_whatever_labels_come_meanwhile)
{
    configure("classifier: {max_regret: 0.1}\n");
    start();
    struct goals_context c = context();
    struct goals_view before = goals_view(goals, "a");
    struct goals_query query = {.tenant = "a", .prompt_tokens = 100, .max_tokens = -1, .view = &before};
    struct score_limits limits = goals_limits(goals, &c, &query, 0);
    int id = 0;
    while (id < 500 && label("a", id, 0.25 * (id % 11) / 11, EVIDENCE_ALL, false) != EVIDENCE_UP)
        id++;
    struct decide_inputs in = inputs_for("a", 0.15), now = in; /* Of one that is scored now. */
    cr_assert_gt(now.threshold, 0.15);
    in.promised = in.promised_by_labels = false;
    in.threshold = 0;
    goals_fill(goals, &c, &query, &in);
    struct decision decision;
    decide(&in, &decision);
    cr_assert(!in.promised && decision.kind == ROUTE_REMOTE && decision.threshold == 0.1, "it was scored for %g", limits.high);
    cr_assert(decision.threshold >= limits.low && decision.threshold <= limits.high);
    decide(&now, &decision);
    cr_assert(decision.kind == ROUTE_LOCAL && decision.threshold > limits.high);
    struct goals_view after = goals_view(goals, "a");
    cr_assert(after.moved && after.threshold == now.threshold && after.n_labels == now.promise_lines);
    stop();
}

Test(goals, labels_of_another_max_regret_or_target_are_left_out)
{
    configure("classifier: {max_regret: 0.2}\ntenants: {s: {max_remote_share: 0.5}}\n");
    start();
    for (int i = 0; i < 300; i++)
        cr_assert(label("a", i, 0.05, EVIDENCE_ALL, true) == EVIDENCE_STAYS && label("s", i, 0.05, EVIDENCE_ALL, true) == EVIDENCE_STAYS);
    see_rows();
    cr_assert_eq(n_rows, 0);
    stop();
}

Test(goals, tenants_beyond_the_limit_have_no_credit_and_no_labels)
{
    configure("classifier: {max_remote_share: 0.5}\n");
    start();
    char name[32];
    struct goals_context c = context();
    for (int i = 0; i <= GOALS_MAX_TENANTS; i++) {
        snprintf(name, sizeof name, "t%d", i);
        struct decide_inputs in = inputs_for(name, 0.9);
        struct decision decision;
        decide(&in, &decision);
        cr_assert_eq(goals_decided(goals, &c, name, &in, &decision), 0);
    }
    cr_assert_gt(inputs_for("t9999", 0.9).goal.credit_ppm, 0);
    cr_assert(!inputs_for(name, 0.9).goal.open && inputs_for(name, 0.9).goal.credit_ppm == 0);
    stop();
    configure("classifier: {max_regret: 0.1}\n");
    start();
    for (int i = 0; i < GOALS_MAX_LABELLED; i++) {
        snprintf(name, sizeof name, "t%d", i);
        cr_assert_eq(label(name, 1, 0.1, 0.1, true), EVIDENCE_STAYS);
    }
    cr_assert_eq(label("one more", 1, 0.1, 0.1, true), WEIR_E_LIMIT);
    cr_assert_eq(label("t5", 2, 0.1, 0.1, true), EVIDENCE_STAYS);
    stop();
}

Test(goals, gauges_are_bounded_and_escape_names)
{
    configure("classifier: {max_remote_share: 0.5}\n");
    start();
    struct goals_context c = context();
    for (int i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof name, i == 3 ? "a\"b\\%d" : "t%d", i);
        struct decide_inputs in = inputs_for(name, 0.9);
        struct decision decision;
        decide(&in, &decision);
        cr_assert_eq(goals_decided(goals, &c, name, &in, &decision), 0);
    }
    struct buffer out;
    buffer_init(&out, 1 << 20);
    goals_write_metrics(goals, config, &out);
    buffer_append_char(&out, '\0');
    int n = 0;
    for (const char *at = out.data; (at = strstr(at, "weir_target_credit{")) != NULL; at++)
        n++;
    cr_assert_eq(n, GOALS_MAX_SHOWN);
    cr_assert_not_null(strstr(out.data, "weir_target_credit{tenant=\"a\\\"b\\\\3\",target=\"max_remote_share\"} 0.5"));
    cr_assert_not_null(strstr(out.data, "weir_target_tenants 200"));
    buffer_release(&out);
    stop();
}
