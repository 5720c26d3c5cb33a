/* Which queries are sampled. Both sides ask for the same: a query that `auto` weighed, that either side could have answered in plain text, whose texts a judge
 * may read, and whose worst case has a price. So what is sampled is one kind of query on both sides of the threshold.
 *
 * Invariant: the coin and the gate are settled here, before anything is known of the answers; the gate (draining, load, the judge's breaker, the
 * month's money for all calls that either side could need) asks for nothing of the query's side. */
#include "request/shadow_job.h"

#include "request/knowing.h"
#include "request/scoring.h"

static const struct decide_target *first_target(const struct request *request)
{
    return &request->inputs->targets[request->decision.targets[0]];
}

/* Worst case of all calls of the judge. */
static int64_t judge_worst_nusd(const struct request *request, size_t conversation_bytes)
{
    const struct config *config = request->snapshot->config;
    const struct config_target *judge = &config->shadow.judge;
    const struct price *price = prices_find(request->snapshot->prices, config->providers[judge->provider].name, judge->model);
    /* A token is a byte at the least. */
    struct token_usage usage = {.prompt_tokens = (int64_t)conversation_bytes + 2 * SHADOW_ANSWER_BYTES + JUDGE_FRAME_BYTES,
                                .completion_tokens = JUDGE_TOKENS};
    int64_t each = price_cost_nusd(price, &usage);
    return each == MONEY_UNKNOWN || each > INT64_MAX / 4 ? MONEY_UNKNOWN : 2 * each;
}

/* Of what left the remote's call is not needed, but the money for it is asked for all the same: the gate must not know the side. */
static int64_t worst_nusd(const struct request *request, size_t conversation_bytes)
{
    int64_t remote = first_target(request)->worst_nusd, judge = judge_worst_nusd(request, conversation_bytes);
    return remote == MONEY_UNKNOWN || judge == MONEY_UNKNOWN || remote > INT64_MAX / 2 ? MONEY_UNKNOWN : remote + judge;
}

/* May what the judge reads go there, as far as the question says? What the answers say is scanned later. */
static bool judge_permitted(const struct request *request)
{
    const struct config *config = request->snapshot->config;
    const struct verdict *verdict = request->verdict;
    int provider = config->shadow.judge.provider;
    return verdict->effect <= EFFECT_REDACT && (verdict->permitted >> provider & 1) != 0 && config->providers[provider].usable;
}

/* Could both sides have answered it, and was it the tenant's own max_regret by which it went where it went? */
static bool is_two_sided(const struct request *request)
{
    const struct decide_inputs *inputs = request->inputs;
    const struct config_goal *goal = config_goal_of(request->snapshot->config, request->has_key ? request->key.tenant : NULL);
    return request->decision.weighed && goal->kind == GOAL_MAX_REGRET && inputs->max_regret == goal->max_regret && request->local == LOCAL_READY &&
           request->chat == &request->service->chat && request->n_prompts == 1;
}

/* The chance of being drawn; 0: it cannot be. *other: of one on the other side. */
static int64_t chance_of(const struct request *request, int64_t *other)
{
    const struct config *config = request->snapshot->config;
    bool left = request->decision.kind == ROUTE_REMOTE, two_sided = is_two_sided(request);
    *other = !two_sided ? 0 : left ? config->shadow.share_ppm : config->shadow.left_share_ppm;
    if (left)
        return two_sided ? config->shadow.left_share_ppm : 0;
    return request->decision.kind == ROUTE_LOCAL ? config->shadow.share_ppm : 0;
}

static struct shadow_job *job_new(struct request *request, int64_t chance_ppm, int64_t other_ppm, size_t conversation_bytes)
{
    struct shadow_job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return NULL;
    job->service = request->service;
    job->request = request;
    job->left = request->decision.kind == ROUTE_REMOTE;
    job->remote = *first_target(request);
    job->judge = request->snapshot->config->shadow.judge;
    job->probability_ppm = chance_ppm;
    job->other_ppm = other_ppm;
    job->local_first = shadow_local_first(shadow_key(job->service), request->decision_id);
    job->remote_us = job->judge_us = -1;
    job->reserved_nusd = worst_nusd(request, conversation_bytes);
    arena_init(&job->arena, (size_t)16 << 20);
    buffer_init(&job->local, SHADOW_ANSWER_BYTES);
    buffer_init(&job->answer, SHADOW_ANSWER_BYTES);
    buffer_init(&job->said, 1024);
    return job;
}

void shadowing_consider(struct request *request)
{
    size_t conversation_bytes;
    int64_t other_ppm, chance_ppm = request->name.kind == NAME_AUTO && request->decision.n_targets > 0 ? chance_of(request, &other_ppm) : 0;
    if (chance_ppm == 0)
        return;
    /* An answer from documents is about what the remote was not shown, and its text is theirs. */
    if (!request->scored || knowing_used(request) || !shadow_fits(&request->api, &conversation_bytes))
        return;
    if (!judge_permitted(request) || worst_nusd(request, conversation_bytes) == MONEY_UNKNOWN)
        return;
    if (request->verdict->effect == EFFECT_REDACT && request->redacted_body == NULL)
        return;
    if (!shadow_sampled(shadow_key(request->service), request->decision_id, chance_ppm))
        return;
    request->shadow = job_new(request, chance_ppm, other_ppm, conversation_bytes);
    if (request->shadow != NULL)
        request->shadow->gate = shadow_gate(request->shadow);
    else
        log_event(LOG_ERROR, "shadow_unrecorded", "%s: no memory for its shadow sample", request->decision_id);
}
