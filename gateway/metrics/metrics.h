/* Metrics: counters and histograms with label sets frozen at start, shown as Prometheus text 0.0.4 under OpenTelemetry's
 * GenAI names. Written and read on the loop thread only; memory is fixed. */
#ifndef WEIR_METRICS_METRICS_H
#define WEIR_METRICS_METRICS_H

#include "weir_classifier.h"

enum metric_endpoint { METRIC_CHAT, METRIC_COMPLETIONS, METRIC_EMBEDDINGS, METRIC_RERANK, METRIC_ENDPOINTS };
enum metric_route { METRIC_LOCAL, METRIC_REMOTE, METRIC_REFUSED, METRIC_CACHE, METRIC_ROUTES };

enum metric_rating { METRIC_UP, METRIC_DOWN, METRIC_NEUTRAL, METRIC_RATINGS };

/* As enum shadow_outcome. */
enum metric_shadow { METRIC_LOCAL_BETTER, METRIC_TIE, METRIC_REMOTE_BETTER, METRIC_UNJUDGED, METRIC_SHADOWS };

enum { METRICS_MAX_PROVIDERS = 64, METRIC_BUCKETS = 16 };

struct metrics;

struct metrics *metrics_new(void); /* NULL: no memory. */
void metrics_free(struct metrics *metrics);

struct metric_request {
    enum metric_endpoint endpoint;
    enum metric_route route;
    int status;                  /* 0: cancelled by the client. */
    int64_t prompt_tokens, completion_tokens;
    int64_t cost_nusd;           /* Negative: unknown. */
    int64_t saved_nusd;          /* Negative: unknown. */
    int64_t total_us;
    int64_t first_token_us;      /* Negative: none came. */
};
/* One accepted request has ended. */
void metrics_request(struct metrics *metrics, const struct metric_request *request);
/* One request was turned away before a decision, or belongs to no metered endpoint. */
void metrics_refused(struct metrics *metrics, int status);

/* An answer of `route` was rated. */
void metrics_feedback(struct metrics *metrics, enum metric_route route, enum metric_rating rating);
/* A query was scored, by this tier and in this time. */
void metrics_score(struct metrics *metrics, enum score_tier tier, int64_t us);
/* What became of a local answer that was held back, and the tokens held; METRIC_RETURNED follows METRIC_ESCALATED where nobody else
 * answered and what was held was sent. */
enum metric_held { METRIC_KEPT, METRIC_ESCALATED, METRIC_RETURNED, METRIC_HELDS };
void metrics_cascade(struct metrics *metrics, enum metric_held held, int64_t n_tokens);
/* Tokens made here in vain, for another answered. */
void metrics_cascade_wasted(struct metrics *metrics, int64_t n_tokens);
/* A shadow sample has come to its end, of a query that stayed or left. lost: it counts as the worst that it could be. cost_nusd negative: unknown. */
void metrics_shadow(struct metrics *metrics, enum metric_shadow outcome, bool left, bool lost, int64_t cost_nusd);
/* The local model has answered for a sample. */
void metrics_shadow_local(struct metrics *metrics, int64_t n_tokens);
/* Ratings or shadow samples have raised a tenant's drift alarm. */
void metrics_drift_alarm(struct metrics *metrics);

/* Gauges of the moment, given at each scrape. */
struct metric_gauges {
    int connections, requests;
    int sessions_running, sessions_waiting;
    size_t kv_used_bytes, kv_budget_bytes;
    int64_t guessed_tokens, accepted_tokens, context_shifts; /* Of the local models. */
    int models_loaded;
    int64_t model_loads, model_unloads, model_failures, models_used_bytes, models_budget_bytes;
    int64_t probed;
    int64_t knowledge_covered, knowledge_uncovered;
    int shadows_running, shadows_waiting_local;
    int64_t shadow_month_nusd, shadow_budget_nusd;
    int64_t cache_entries, cache_used_bytes, cache_budget_bytes, cache_exact, cache_semantic, cache_misses, cache_evicted, cache_expired;
    int64_t generated_tokens, ledger_waiting, ledger_rows, ledger_failures;
    bool ledger_ok, ready;
};
void metrics_write(const struct metrics *metrics, const struct metric_gauges *gauges, struct buffer *out);

#endif
