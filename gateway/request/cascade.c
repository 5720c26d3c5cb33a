/* The cascade's way: HOLDS (tokens come, nothing is sent) → [CHECKS: the model is asked about its answer] → judged → OVER (sent, goes on
 * as any local answer), or RECORDS (the judgement's row becomes durable) → AWAY (others are asked; session, choices and chunks are set
 * aside) → OVER, when another has begun to answer, or nobody could and what was set aside goes on.
 *
 * Invariants: while it holds, nothing is sent, not even a head, so that x-weir-route can name who answers. No byte leaves before the
 * judgement's row is durable. At most hold_tokens (whole_tokens, 64 more unread in the session) are held. What is judged are exactly the
 * first so many tokens, whenever they come, so that the same answer is always judged alike.
 *
 * Only what decide() found good enough for its score is watched (no tool loop, nothing that documents cover, nothing without a score), with
 * the targets and the threshold that decide() left. Not held either: several choices, an echo, an answer from documents. Loop thread. */
#include "request/cascade.h"

#include "request/held.h"
#include "request/knowing.h"

#include <assert.h>

struct cascade {
    enum { CASCADE_HOLDS, CASCADE_CHECKS, CASCADE_RECORDS, CASCADE_AWAY, CASCADE_OVER } state;
    struct held held;
    int64_t patience_us;   /* CASCADE_AWAY: until then. */
    bool left;
    /* Set aside while away. */
    struct choice *choices;
    int n_choices;
    struct answer_head head;
    struct buffer out;
    struct answer_usage usage;
};

static bool is_watched(const struct request *request)
{
    const struct decision *decision = &request->decision;
    return request->snapshot->config->cascade.hold_tokens > 0 && decision->kind == ROUTE_LOCAL && decision->watched && decision->n_targets > 0 &&
           request->scored && request->n_choices == 1 && !request->api.echo && !knowing_used(request);
}

void cascade_begin(struct request *request)
{
    const struct config *config = request->snapshot->config;
    const struct head *head = snapshot_head(request->snapshot);
    if (!is_watched(request) || head == NULL)
        return;
    /* Of what has a form of its own the form says nothing. */
    bool as_text = request->api.tools == NULL && request->api.grammar == NULL && head_judges_text(head);
    if (!as_text && !head_judges_confidence(head))
        return;
    struct cascade *cascade = arena_alloc(&request->arena, sizeof *cascade);
    int limit = config->cascade.hold_tokens;
    if (!request->api.stream && config->cascade.whole_tokens > limit)
        limit = config->cascade.whole_tokens;
    if (cascade == NULL || held_init(&cascade->held, &request->arena, limit, as_text) < 0)
        return;
    request->cascade = cascade;
}

void cascade_sampling(const struct request *request, struct sampling *sampling)
{
    if (!cascade_holds(request))
        return;
    sampling->logprobs = true;
    sampling->n_confidence = request->cascade->held.limit;
}

bool cascade_holds(const struct request *request)
{
    return request->cascade != NULL && request->cascade->state <= CASCADE_RECORDS;
}

bool cascade_left(const struct request *request)
{
    return request->cascade != NULL && request->cascade->left;
}

/* ------------------------------------------------------------------ judging */

static int append_row(struct request *request, const char *reason, bool escalated, struct ledger_port *port, ledger_done_fn *done)
{
    struct buffer inputs;
    json_t *json = judgement_json(&request->cascade->held.judgement);
    buffer_init(&inputs, 8192);
    int status = json != NULL && json_write(json, &inputs) == 0 ? 0 : WEIR_E_MEMORY;
    json_decref(json);
    struct ledger_judgement row = {.decision_id = request->decision_id, .time_ns = clock_wall_ns(), .escalated = escalated, .reason = reason,
                                   .inputs = inputs.data, .reserved_nusd = request->reserved ? request->reserved_nusd : LEDGER_NULL};
    if (status == 0)
        status = ledger_append_judgement(request->service->ledger, &row, port, done, request);
    buffer_release(&inputs);
    return status;
}

/* Sent from now on. */
static void settle(struct request *request)
{
    request->cascade->state = CASCADE_OVER;
    if (request->first_token_us < 0 && request->cascade->held.judgement.n_tokens > 0)
        request->first_token_us = clock_now_us() - request->started_us;
    if (request->api.stream)
        stream_begin(request);
}

static void stay(struct request *request, const char *reason)
{
    const struct cascade *cascade = request->cascade;
    if (append_row(request, reason, false, NULL, NULL) < 0)
        log_event(LOG_ERROR, "judgement_lost", "%s: the ledger does not take its row", request->decision_id);
    metrics_cascade(request->service->metrics, METRIC_KEPT, cascade->held.judgement.n_tokens);
    settle(request);
}

/* ------------------------------------------------------------------ leaving */

static void give_money_back(struct request *request)
{
    if (request->reserved)
        budget_settle(request->service->budgets, request->key.id, request->reserved_nusd, 0, clock_wall_ns());
    request->reserved = false;
}

static void leave(struct request *request)
{
    struct cascade *cascade = request->cascade;
    int64_t now = clock_now_us();
    cascade->state = CASCADE_AWAY;
    cascade->left = true;
    cascade->patience_us = now + (request->deadline_us - now) / 2;
    cascade->choices = request->choices;
    cascade->n_choices = request->n_choices;
    cascade->head = request->head;
    cascade->out = request->out;
    cascade->usage = request->usage;
    request->choices = NULL;
    request->n_choices = 0;
    buffer_init(&request->out, cascade->out.max_bytes);
    request->usage = (struct answer_usage){0};
    request->usage_known = false;
    request->cost_nusd = MONEY_UNKNOWN;
    decision_reason_first(&request->decision, "answer_weak");
    metrics_cascade(request->service->metrics, METRIC_ESCALATED, cascade->held.judgement.n_tokens);
    request_answer_remote(request);
}

static void on_recorded(void *user, int status)
{
    struct request *request = user;
    if (request->gone) {
        request_end(request, "cancelled", LEDGER_NULL, NULL, "client_closed");
    } else if (status == 0) {
        leave(request);
    } else {
        log_event(LOG_WARN, "remote_closed", "%s: the ledger cannot write: the weak answer stays", request->decision_id);
        give_money_back(request);
        metrics_cascade(request->service->metrics, METRIC_KEPT, request->cascade->held.judgement.n_tokens);
        request_enter(request, REQUEST_LOCAL);
        settle(request);
        local_pump(request);
    }
    request_unpin(request);
}

/* True: it stays. */
static bool judge(struct request *request)
{
    struct cascade *cascade = request->cascade;
    struct judgement *judgement = &cascade->held.judgement;
    const char *reason;
    held_score(&cascade->held, request);
    judgement->threshold = request->decision.threshold;
    judgement->n_targets = request->decision.n_targets;
    judgement->affordable = true;
    if (judgement_escalates(judgement, &reason))
        judgement->affordable = request_reserve(request);
    if (!judgement_escalates(judgement, &reason)) {
        stay(request, reason);
        return true;
    }
    cascade->state = CASCADE_RECORDS;
    request->n_pins++;
    request_enter(request, REQUEST_RECORD);
    if (append_row(request, reason, true, request->service->port, on_recorded) == 0)
        return false;
    /* Nothing leaves without a row. */
    request_unpin(request);
    request_enter(request, REQUEST_LOCAL);
    give_money_back(request);
    log_event(LOG_WARN, "remote_closed", "%s: the ledger takes no row: the weak answer stays", request->decision_id);
    metrics_cascade(request->service->metrics, METRIC_KEPT, judgement->n_tokens);
    settle(request);
    return true;
}

/* ------------------------------------------------------------------ on the way */

bool cascade_resume(struct request *request)
{
    struct cascade *cascade = request->cascade;
    if (cascade == NULL || cascade->state != CASCADE_CHECKS)
        return true;
    return held_hear(&cascade->held) && judge(request);
}

bool cascade_pass(struct request *request, const struct session_event *event)
{
    struct cascade *cascade = request->cascade;
    if (!cascade_holds(request))
        return true;
    assert(cascade->state == CASCADE_HOLDS);
    cascade->held.judgement.whole = event->kind == SESSION_END;
    if (event->kind == SESSION_TOKEN)
        held_take(&cascade->held, event);
    if (cascade->held.judgement.n_tokens < cascade->held.limit && event->kind != SESSION_END)
        return true;
    if (request->snapshot->config->cascade.self_check && held_ask(&cascade->held, request) == 0) {
        cascade->state = CASCADE_CHECKS;
        return cascade_resume(request);
    }
    return judge(request);
}

bool cascade_is_late(const struct request *request, int64_t now_us)
{
    const struct cascade *cascade = request->cascade;
    return cascade != NULL && cascade->state == CASCADE_AWAY && now_us >= cascade->patience_us;
}

static void choices_release(struct choice *choices, int n)
{
    for (int i = 0; i < n; i++) {
        buffer_release(&choices[i].text);
        logprob_lists_release(&choices[i].logprobs);
        spoken_close(&choices[i]);
    }
}

bool cascade_return(struct request *request)
{
    struct cascade *cascade = request->cascade;
    if (cascade == NULL || cascade->state != CASCADE_AWAY)
        return false;
    log_event(LOG_INFO, "answer_returned", "%s: nobody else answers: the weak answer is sent", request->decision_id);
    remote_cancel(request);
    choices_release(request->choices, request->n_choices);
    buffer_release(&request->out);
    request->choices = cascade->choices;
    request->n_choices = cascade->n_choices;
    request->head = cascade->head;
    request->out = cascade->out;
    request->usage = cascade->usage;
    request->usage_known = true;
    cascade->choices = NULL;
    cascade->n_choices = 0;
    str_copy(request->route, sizeof request->route, STR("local"));
    metrics_cascade(request->service->metrics, METRIC_RETURNED, 0);
    request_enter(request, REQUEST_LOCAL);
    settle(request);
    local_pump(request);
    return true;
}

void cascade_release(struct request *request)
{
    struct cascade *cascade = request->cascade;
    if (cascade == NULL)
        return;
    held_release(&cascade->held);
    if (cascade->state == CASCADE_AWAY) {
        for (int i = 0; i < cascade->n_choices; i++) {
            metrics_cascade_wasted(request->service->metrics, cascade->choices[i].n_tokens);
            if (cascade->choices[i].session != NULL)
                session_free(cascade->choices[i].session);
        }
        choices_release(cascade->choices, cascade->n_choices);
        buffer_release(&cascade->out);
        cascade->n_choices = 0;
    }
    cascade->state = CASCADE_OVER;
}

/* ------------------------------------------------------------------ what it needs */

const char *cascade_lacks(const struct config *config, const struct head *head)
{
    if (config->cascade.hold_tokens == 0)
        return NULL;
    if (head == NULL)
        return "cascade: nothing is held back: there is no classifier head";
    if (!head_judges_text(head) && !head_judges_confidence(head))
        return "cascade: nothing is held back: the classifier's head was trained without answers (lines with \"answer\", see `weir train --help`)";
    return NULL;
}

void cascade_open(const struct service *service)
{
    const char *lacks = cascade_lacks(service->snapshot->config, snapshot_head(service->snapshot));
    if (lacks != NULL)
        log_event(LOG_WARN, "cascade", "%s", lacks);
}
