/* Counters and fixed-bucket histograms in arrays; the text format is written from them. */
#include "metrics/metrics.h"

/* Statuses that have a series of their own; anything else is "other". 0 is a cancelled request. */
static const int statuses[] = {200, 400, 401, 403, 404, 405, 408, 413, 429, 500, 502, 503, 504, 0, -1};
enum { N_STATUSES = sizeof statuses / sizeof *statuses };

/* Seconds, as OpenTelemetry advises for operation durations. */
static const double second_bounds[METRIC_BUCKETS] = {0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28,
                                                     2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68};
/* Tokens: powers of 4 (the last two of OpenTelemetry's are beyond any context). */
static const double token_bounds[METRIC_BUCKETS] = {1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864,
                                                    268435456, 1073741824};
static const char *const endpoint_names[METRIC_ENDPOINTS] = {"chat", "text_completion", "embeddings", "rerank"};
static const char *const route_names[METRIC_ROUTES] = {"local", "remote", "refused", "cache"};
static const char *const shadow_names[METRIC_SHADOWS] = {"local_better", "tie", "remote_better", "unjudged"};
static const char *const held_names[METRIC_HELDS] = {"kept", "escalated", "returned"};
static const char *const rating_names[METRIC_RATINGS] = {"up", "down", "neutral"};

struct histogram {
    int64_t counts[METRIC_BUCKETS + 1];
    double sum;
};

struct metrics {
    int64_t requests[METRIC_ENDPOINTS][METRIC_ROUTES][N_STATUSES];
    int64_t refused[N_STATUSES];
    struct histogram duration[METRIC_ENDPOINTS][METRIC_ROUTES];
    struct histogram first_token[METRIC_ENDPOINTS][METRIC_ROUTES];
    struct histogram input_tokens[METRIC_ENDPOINTS][METRIC_ROUTES];
    struct histogram output_tokens[METRIC_ENDPOINTS][METRIC_ROUTES];
    int64_t cost_nusd[METRIC_ROUTES];
    int64_t saved_nusd;
    int64_t unknown_costs;
    int64_t feedback[METRIC_ROUTES][METRIC_RATINGS];
    int64_t drift_alarms;
    int64_t shadows[2][METRIC_SHADOWS]; /* Of what stayed, and of what left. */
    int64_t shadows_lost, shadow_local_tokens;
    int64_t shadow_cost_nusd, unknown_shadow_costs;
    int64_t held[METRIC_HELDS], held_tokens, wasted_tokens;
    int64_t scores[N_TIERS], score_us[N_TIERS];
};

struct metrics *metrics_new(void)
{
    return calloc(1, sizeof(struct metrics));
}

void metrics_free(struct metrics *metrics)
{
    free(metrics);
}

static int status_index(int status)
{
    for (int i = 0; i < N_STATUSES - 1; i++)
        if (statuses[i] == status)
            return i;
    return N_STATUSES - 1;
}

static void observe(struct histogram *histogram, const double *bounds, double value)
{
    int i = 0;
    while (i < METRIC_BUCKETS && value > bounds[i])
        i++;
    histogram->counts[i]++;
    histogram->sum += value;
}

void metrics_request(struct metrics *metrics, const struct metric_request *request)
{
    enum metric_endpoint endpoint = request->endpoint;
    enum metric_route route = request->route;
    metrics->requests[endpoint][route][status_index(request->status)]++;
    observe(&metrics->duration[endpoint][route], second_bounds, (double)request->total_us / 1e6);
    if (request->first_token_us >= 0)
        observe(&metrics->first_token[endpoint][route], second_bounds, (double)request->first_token_us / 1e6);
    if (request->prompt_tokens > 0)
        observe(&metrics->input_tokens[endpoint][route], token_bounds, (double)request->prompt_tokens);
    if (request->completion_tokens > 0)
        observe(&metrics->output_tokens[endpoint][route], token_bounds, (double)request->completion_tokens);
    if (request->cost_nusd >= 0)
        metrics->cost_nusd[route] += request->cost_nusd;
    else
        metrics->unknown_costs++;
    if (request->saved_nusd > 0)
        metrics->saved_nusd += request->saved_nusd;
}

void metrics_refused(struct metrics *metrics, int status)
{
    metrics->refused[status_index(status)]++;
}

void metrics_feedback(struct metrics *metrics, enum metric_route route, enum metric_rating rating)
{
    metrics->feedback[route][rating]++;
}

void metrics_cascade(struct metrics *metrics, enum metric_held held, int64_t n_tokens)
{
    metrics->held[held]++;
    metrics->held_tokens += n_tokens;
}

void metrics_cascade_wasted(struct metrics *metrics, int64_t n_tokens)
{
    metrics->wasted_tokens += n_tokens;
}

void metrics_score(struct metrics *metrics, enum score_tier tier, int64_t us)
{
    metrics->scores[tier]++;
    metrics->score_us[tier] += us;
}

void metrics_drift_alarm(struct metrics *metrics)
{
    metrics->drift_alarms++;
}

void metrics_shadow_local(struct metrics *metrics, int64_t n_tokens)
{
    metrics->shadow_local_tokens += n_tokens;
}

void metrics_shadow(struct metrics *metrics, enum metric_shadow outcome, bool left, bool lost, int64_t cost_nusd)
{
    metrics->shadows[left][outcome]++;
    metrics->shadows_lost += lost;
    if (cost_nusd >= 0)
        metrics->shadow_cost_nusd += cost_nusd;
    else
        metrics->unknown_shadow_costs++;
}

/* ------------------------------------------------------------------ text format */

static void describe(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void gauge(struct buffer *out, const char *name, const char *help, double value)
{
    describe(out, name, "gauge", help);
    buffer_printf(out, "%s %.17g\n", name, value);
}

static void counter(struct buffer *out, const char *name, const char *help, double value)
{
    describe(out, name, "counter", help);
    buffer_printf(out, "%s %.17g\n", name, value);
}

static void status_text(int index, char out[8])
{
    if (statuses[index] < 0)
        str_copy(out, 8, STR("other"));
    else
        snprintf(out, 8, "%d", statuses[index] == 0 ? 499 : statuses[index]);
}

static void write_histogram(struct buffer *out, const char *name, const char *labels, const struct histogram *histogram, const double *bounds)
{
    int64_t n = 0;
    for (int i = 0; i < METRIC_BUCKETS; i++) {
        n += histogram->counts[i];
        buffer_printf(out, "%s_bucket{%s,le=\"%.10g\"} %lld\n", name, labels, bounds[i], (long long)n);
    }
    n += histogram->counts[METRIC_BUCKETS];
    buffer_printf(out, "%s_bucket{%s,le=\"+Inf\"} %lld\n", name, labels, (long long)n);
    buffer_printf(out, "%s_sum{%s} %.17g\n%s_count{%s} %lld\n", name, labels, histogram->sum, name, labels, (long long)n);
}

static void write_histograms(struct buffer *out, const char *name, const char *help, const char *extra,
                             const struct histogram table[METRIC_ENDPOINTS][METRIC_ROUTES], const double *bounds, bool first)
{
    if (first)
        describe(out, name, "histogram", help);
    for (int e = 0; e < METRIC_ENDPOINTS; e++) {
        for (int r = 0; r < METRIC_ROUTES; r++) {
            char labels[160];
            snprintf(labels, sizeof labels, "gen_ai_operation_name=\"%s\",route=\"%s\"%s", endpoint_names[e], route_names[r], extra);
            write_histogram(out, name, labels, &table[e][r], bounds);
        }
    }
}

static void write_requests(const struct metrics *metrics, struct buffer *out)
{
    describe(out, "weir_requests_total", "counter", "Accepted requests that have ended, by endpoint, route and HTTP status (499: the client left).");
    for (int e = 0; e < METRIC_ENDPOINTS; e++)
        for (int r = 0; r < METRIC_ROUTES; r++)
            for (int s = 0; s < N_STATUSES; s++) {
                char status[8];
                status_text(s, status);
                buffer_printf(out, "weir_requests_total{gen_ai_operation_name=\"%s\",route=\"%s\",status=\"%s\"} %lld\n", endpoint_names[e],
                              route_names[r], status, (long long)metrics->requests[e][r][s]);
            }
    describe(out, "weir_rejected_total", "counter", "Requests turned away before a decision, by HTTP status.");
    for (int s = 0; s < N_STATUSES; s++) {
        char status[8];
        status_text(s, status);
        buffer_printf(out, "weir_rejected_total{status=\"%s\"} %lld\n", status, (long long)metrics->refused[s]);
    }
}

void metrics_write(const struct metrics *metrics, const struct metric_gauges *gauges, struct buffer *out)
{
    write_requests(metrics, out);
    write_histograms(out, "gen_ai_server_request_duration_seconds", "From a request's parsing to the end of its answer.", "", metrics->duration,
                     second_bounds, true);
    write_histograms(out, "gen_ai_server_time_to_first_token_seconds", "From a request's parsing to the first token of its answer.", "",
                     metrics->first_token, second_bounds, true);
    write_histograms(out, "gen_ai_client_token_usage", "Tokens of a request, by gen_ai_token_type.", ",gen_ai_token_type=\"input\"",
                     metrics->input_tokens, token_bounds, true);
    write_histograms(out, "gen_ai_client_token_usage", "", ",gen_ai_token_type=\"output\"", metrics->output_tokens, token_bounds, false);
    describe(out, "weir_cost_usd_total", "counter", "What the answers cost, where the price is known.");
    for (int r = 0; r < METRIC_ROUTES; r++)
        buffer_printf(out, "weir_cost_usd_total{route=\"%s\"} %.17g\n", route_names[r], (double)metrics->cost_nusd[r] / 1e9);
    counter(out, "weir_saved_usd_total", "What local and cached answers would have cost at the first remote target.", (double)metrics->saved_nusd / 1e9);
    counter(out, "weir_unknown_costs_total", "Requests whose cost is unknown.", (double)metrics->unknown_costs);
    describe(out, "weir_scores_total", "counter", "Queries scored, by the tier of the classifier that decided.");
    for (int tier = 0; tier < N_TIERS; tier++)
        buffer_printf(out, "weir_scores_total{tier=\"%s\"} %lld\n", score_tier_name((enum score_tier)tier), (long long)metrics->scores[tier]);
    describe(out, "weir_score_seconds_total", "counter", "Time spent on scoring, by the tier of the classifier that decided.");
    for (int tier = 0; tier < N_TIERS; tier++)
        buffer_printf(out, "weir_score_seconds_total{tier=\"%s\"} %.17g\n", score_tier_name((enum score_tier)tier), (double)metrics->score_us[tier] / 1e6);
    describe(out, "weir_feedback_total", "counter", "Ratings taken, by the route of the answer.");
    for (int route = 0; route < METRIC_ROUTES; route++)
        for (int rating = 0; rating < METRIC_RATINGS; rating++)
            buffer_printf(out, "weir_feedback_total{route=\"%s\",rating=\"%s\"} %lld\n", route_names[route], rating_names[rating],
                          (long long)metrics->feedback[route][rating]);
    describe(out, "weir_cascade_answers_total", "counter",
             "Local answers held back, by what became of them: kept, escalated, or returned for want of another after that.");
    for (int held = 0; held < METRIC_HELDS; held++)
        buffer_printf(out, "weir_cascade_answers_total{result=\"%s\"} %lld\n", held_names[held], (long long)metrics->held[held]);
    counter(out, "weir_cascade_held_tokens_total", "Tokens held back until their answer was judged.", (double)metrics->held_tokens);
    counter(out, "weir_cascade_wasted_tokens_total", "Tokens made here of answers that another gave.", (double)metrics->wasted_tokens);
    counter(out, "weir_drift_alarms_total", "Times the ratings or shadow samples of a tenant's local answers raised the drift alarm.", (double)metrics->drift_alarms);
    describe(out, "weir_shadow_total", "counter", "Local answers sampled to be judged against the remote's, by what came of it.");
    for (int outcome = 0; outcome < METRIC_SHADOWS; outcome++)
        buffer_printf(out, "weir_shadow_total{outcome=\"%s\"} %lld\n", shadow_names[outcome], (long long)metrics->shadows[false][outcome]);
    describe(out, "weir_shadow_left_total", "counter", "Answers of queries that left, sampled to be judged against the local model's, by what came of it.");
    for (int outcome = 0; outcome < METRIC_SHADOWS; outcome++)
        buffer_printf(out, "weir_shadow_left_total{outcome=\"%s\"} %lld\n", shadow_names[outcome], (long long)metrics->shadows[true][outcome]);
    counter(out, "weir_shadow_lost_total", "Shadow samples of either side that were given up and count as the worst that they could be.", (double)metrics->shadows_lost);
    counter(out, "weir_shadow_local_tokens_total", "Tokens that the local model made in the background for samples of what left.", (double)metrics->shadow_local_tokens);
    gauge(out, "weir_shadow_waiting_local", "Samples of what left that wait for the local model, or have it.", gauges->shadows_waiting_local);
    counter(out, "weir_shadow_cost_usd_total", "What shadow samples cost, where it is known.", (double)metrics->shadow_cost_nusd / 1e9);
    counter(out, "weir_shadow_unknown_costs_total", "Shadow samples whose cost is unknown.", (double)metrics->unknown_shadow_costs);
    gauge(out, "weir_shadow_running", "Shadow samples being answered or judged.", gauges->shadows_running);
    gauge(out, "weir_shadow_month_usd", "What this month's shadow samples have been charged to their budget.", (double)gauges->shadow_month_nusd / 1e9);
    gauge(out, "weir_shadow_budget_usd", "What a month's shadow samples may cost; 0: none are taken.", (double)gauges->shadow_budget_nusd / 1e9);
    gauge(out, "weir_connections", "Open connections.", gauges->connections);
    gauge(out, "weir_requests_in_flight", "Requests being worked on.", gauges->requests);
    gauge(out, "weir_local_sessions_running", "Local generations decoding side by side.", gauges->sessions_running);
    gauge(out, "weir_local_sessions_waiting", "Local generations waiting for their turn.", gauges->sessions_waiting);
    gauge(out, "weir_kv_used_bytes", "Memory of the KV cache in use.", (double)gauges->kv_used_bytes);
    gauge(out, "weir_kv_budget_bytes", "Memory the KV cache may use.", (double)gauges->kv_budget_bytes);
    counter(out, "weir_local_generated_tokens_total", "Tokens the local model has generated.", (double)gauges->generated_tokens);
    counter(out, "weir_local_guessed_tokens_total", "Tokens guessed by speculation.", (double)gauges->guessed_tokens);
    counter(out, "weir_local_accepted_tokens_total", "Guessed tokens that the local model chose too.", (double)gauges->accepted_tokens);
    counter(out, "weir_local_context_shifts_total", "Times the older part of a context was dropped.", (double)gauges->context_shifts);
    gauge(out, "weir_models_loaded", "Further local models in memory.", gauges->models_loaded);
    gauge(out, "weir_models_used_bytes", "Memory of the further local models, caches at their budgets.", (double)gauges->models_used_bytes);
    gauge(out, "weir_models_budget_bytes", "Memory the further local models may use.", (double)gauges->models_budget_bytes);
    counter(out, "weir_model_loads_total", "Further local models loaded.", (double)gauges->model_loads);
    counter(out, "weir_model_unloads_total", "Further local models unloaded.", (double)gauges->model_unloads);
    counter(out, "weir_model_load_failures_total", "Further local models that could not be loaded.", (double)gauges->model_failures);
    counter(out, "weir_probes_total", "Questions that the answering model was asked about before it answered.", (double)gauges->probed);
    describe(out, "weir_knowledge_searches_total", "counter", "Questions searched for in the documents, by whether these cover them.");
    buffer_printf(out, "weir_knowledge_searches_total{covered=\"true\"} %lld\nweir_knowledge_searches_total{covered=\"false\"} %lld\n",
                  (long long)gauges->knowledge_covered, (long long)gauges->knowledge_uncovered);
    describe(out, "weir_cache_lookups_total", "counter", "Questions that could be answered from the cache, by what it found.");
    buffer_printf(out, "weir_cache_lookups_total{found=\"exact\"} %lld\nweir_cache_lookups_total{found=\"semantic\"} %lld\nweir_cache_lookups_total{found=\"none\"} %lld\n",
                  (long long)gauges->cache_exact, (long long)gauges->cache_semantic, (long long)gauges->cache_misses);
    gauge(out, "weir_cache_entries", "Answers in the cache.", (double)gauges->cache_entries);
    gauge(out, "weir_cache_used_bytes", "Memory of the answers in the cache.", (double)gauges->cache_used_bytes);
    gauge(out, "weir_cache_budget_bytes", "Memory the cache may use.", (double)gauges->cache_budget_bytes);
    counter(out, "weir_cache_evicted_total", "Answers that left the cache for lack of room.", (double)gauges->cache_evicted);
    counter(out, "weir_cache_expired_total", "Answers that outlived cache.ttl.", (double)gauges->cache_expired);
    gauge(out, "weir_ledger_waiting", "Rows waiting to be written.", (double)gauges->ledger_waiting);
    counter(out, "weir_ledger_rows_total", "Rows written.", (double)gauges->ledger_rows);
    counter(out, "weir_ledger_failures_total", "Commits that failed.", (double)gauges->ledger_failures);
    gauge(out, "weir_ledger_ok", "1 while rows can be written.", gauges->ledger_ok);
    gauge(out, "weir_ready", "1 while new requests are taken.", gauges->ready);
}
