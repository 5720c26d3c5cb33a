/* Metrics: Prometheus text that describes every series, counters that rise, and a set of series that traffic cannot grow. */
#include "metrics/metrics.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static char *scrape(const struct metrics *metrics)
{
    struct metric_gauges gauges = {.ledger_ok = true, .ready = true};
    struct buffer out;
    buffer_init(&out, (size_t)4 << 20);
    metrics_write(metrics, &gauges, &out);
    cr_assert(!out.failed);
    char *text = strndup(out.data, out.n);
    buffer_release(&out);
    return text;
}

/* The value of a series, by its whole name with labels. */
static double value(const char *text, const char *series)
{
    size_t n = strlen(series);
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n') != NULL ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, series, n) == 0 && line[n] == ' ')
            return strtod(line + n + 1, NULL);
    cr_assert(false, "no series %s", series);
    return -1;
}

static int count_series(const char *text)
{
    int n = 0;
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
        n += line[0] != '#';
    return n;
}

static void describe_name(const char *line, char *out, size_t n_out)
{
    static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
    size_t n = strcspn(line, "{ ");
    str name = {line, n};
    for (int i = 0; i < 3; i++)
        if (str_ends(name, str_of(suffixes[i])))
            name.n -= strlen(suffixes[i]);
    cr_assert(str_copy(out, n_out, name));
}

Test(metrics, every_series_has_help_and_type_once_before_it)
{
    struct metrics *metrics = metrics_new();
    char *text = scrape(metrics);
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        char name[128], type[160], help[160];
        if (line[0] == '#')
            continue;
        describe_name(line, name, sizeof name);
        snprintf(type, sizeof type, "# TYPE %s ", name);
        snprintf(help, sizeof help, "# HELP %s ", name);
        const char *typed = strstr(text, type);
        cr_assert(typed != NULL && typed < line, "%s has a type before it", name);
        cr_assert_null(strstr(typed + 1, type), "%s has one type", name);
        const char *helped = strstr(text, help);
        cr_assert(helped != NULL && helped < line, "%s is explained", name);
        cr_assert(helped[strlen(help)] != '\n', "%s is explained in words", name);
    }
    free(text);
    metrics_free(metrics);
}

Test(metrics, counters_rise_with_what_happened)
{
    struct metrics *metrics = metrics_new();
    struct metric_request local = {.endpoint = METRIC_CHAT, .route = METRIC_LOCAL, .status = 200, .prompt_tokens = 10, .completion_tokens = 5,
                                   .cost_nusd = 0, .saved_nusd = 2000000000, .total_us = 30000, .first_token_us = 9000};
    struct metric_request remote = {.endpoint = METRIC_CHAT, .route = METRIC_REMOTE, .status = 502, .cost_nusd = -1, .saved_nusd = -1,
                                    .total_us = 1000, .first_token_us = -1};
    metrics_request(metrics, &local);
    metrics_request(metrics, &local);
    metrics_request(metrics, &remote);
    metrics_refused(metrics, 401);
    char *text = scrape(metrics);
    cr_assert_eq(value(text, "weir_requests_total{gen_ai_operation_name=\"chat\",route=\"local\",status=\"200\"}"), 2);
    cr_assert_eq(value(text, "weir_requests_total{gen_ai_operation_name=\"chat\",route=\"remote\",status=\"502\"}"), 1);
    cr_assert_eq(value(text, "weir_rejected_total{status=\"401\"}"), 1);
    cr_assert_eq(value(text, "weir_saved_usd_total"), 4);
    cr_assert_eq(value(text, "weir_unknown_costs_total"), 1, "an unknown cost is not zero");
    const char *seconds = "gen_ai_server_request_duration_seconds";
    char series[256];
    snprintf(series, sizeof series, "%s_count{gen_ai_operation_name=\"chat\",route=\"local\"}", seconds);
    cr_assert_eq(value(text, series), 2);
    snprintf(series, sizeof series, "%s_bucket{gen_ai_operation_name=\"chat\",route=\"local\",le=\"0.02\"}", seconds);
    cr_assert_eq(value(text, series), 0);
    snprintf(series, sizeof series, "%s_bucket{gen_ai_operation_name=\"chat\",route=\"local\",le=\"0.04\"}", seconds);
    cr_assert_eq(value(text, series), 2);
    snprintf(series, sizeof series, "%s_bucket{gen_ai_operation_name=\"chat\",route=\"local\",le=\"+Inf\"}", seconds);
    cr_assert_eq(value(text, series), 2, "buckets are cumulative");
    cr_assert_eq(value(text, "gen_ai_server_time_to_first_token_seconds_count{gen_ai_operation_name=\"chat\",route=\"remote\"}"), 0);
    cr_assert_eq(value(text, "weir_ledger_ok"), 1);
    free(text);
    metrics_free(metrics);
}

Test(metrics, no_traffic_makes_a_new_series)
{
    struct metrics *metrics = metrics_new();
    char *before = scrape(metrics);
    for (int status = -5; status < 700; status++) {
        struct metric_request request = {.endpoint = (enum metric_endpoint)((status + 5) % METRIC_ENDPOINTS), .route = METRIC_REMOTE, .status = status,
                                         .total_us = status, .first_token_us = status, .prompt_tokens = INT64_MAX, .cost_nusd = status};
        metrics_request(metrics, &request);
        metrics_refused(metrics, status);
    }
    char *after = scrape(metrics);
    cr_assert_eq(count_series(before), count_series(after));
    free(before);
    free(after);
    metrics_free(metrics);
}

Test(metrics, held_answers_are_counted_by_what_became_of_them)
{
    struct metrics *metrics = metrics_new();
    metrics_cascade(metrics, METRIC_KEPT, 24);
    metrics_cascade(metrics, METRIC_ESCALATED, 10);
    metrics_cascade(metrics, METRIC_RETURNED, 0);
    metrics_cascade_wasted(metrics, 17);
    char *text = scrape(metrics);
    cr_assert_eq(value(text, "weir_cascade_answers_total{result=\"kept\"}"), 1);
    cr_assert_eq(value(text, "weir_cascade_answers_total{result=\"escalated\"}"), 1);
    cr_assert_eq(value(text, "weir_cascade_answers_total{result=\"returned\"}"), 1);
    cr_assert_eq(value(text, "weir_cascade_held_tokens_total"), 34);
    cr_assert_eq(value(text, "weir_cascade_wasted_tokens_total"), 17);
    free(text);
    metrics_free(metrics);
}

Test(metrics, ratings_and_drift_alarms_are_counted_by_route)
{
    struct metrics *metrics = metrics_new();
    metrics_feedback(metrics, METRIC_LOCAL, METRIC_DOWN);
    metrics_feedback(metrics, METRIC_LOCAL, METRIC_DOWN);
    metrics_feedback(metrics, METRIC_REMOTE, METRIC_UP);
    metrics_drift_alarm(metrics);
    char *text = scrape(metrics);
    cr_assert_eq(value(text, "weir_feedback_total{route=\"local\",rating=\"down\"}"), 2);
    cr_assert_eq(value(text, "weir_feedback_total{route=\"remote\",rating=\"up\"}"), 1);
    cr_assert_eq(value(text, "weir_feedback_total{route=\"cache\",rating=\"neutral\"}"), 0);
    cr_assert_eq(value(text, "weir_drift_alarms_total"), 1);
    free(text);
    metrics_free(metrics);
}

Test(metrics, shadow_samples_are_counted_by_what_came_of_them)
{
    struct metrics *metrics = metrics_new();
    metrics_shadow(metrics, METRIC_REMOTE_BETTER, false, false, 1500000000);
    metrics_shadow(metrics, METRIC_REMOTE_BETTER, false, false, 500000000);
    metrics_shadow(metrics, METRIC_UNJUDGED, false, false, -1);
    metrics_shadow(metrics, METRIC_UNJUDGED, true, true, 0);
    metrics_shadow(metrics, METRIC_TIE, true, false, 0);
    metrics_shadow_local(metrics, 7);
    char *text = scrape(metrics);
    cr_assert_eq(value(text, "weir_shadow_total{outcome=\"remote_better\"}"), 2);
    cr_assert_eq(value(text, "weir_shadow_total{outcome=\"unjudged\"}"), 1);
    cr_assert_eq(value(text, "weir_shadow_total{outcome=\"tie\"}"), 0);
    cr_assert(value(text, "weir_shadow_left_total{outcome=\"tie\"}") == 1 && value(text, "weir_shadow_left_total{outcome=\"unjudged\"}") == 1);
    cr_assert(value(text, "weir_shadow_lost_total") == 1 && value(text, "weir_shadow_local_tokens_total") == 7);
    cr_assert_eq(value(text, "weir_shadow_cost_usd_total"), 2);
    cr_assert_eq(value(text, "weir_shadow_unknown_costs_total"), 1, "an unknown cost is not zero");
    free(text);
    metrics_free(metrics);
}
