/* decide(): where a query goes. A pure function of what is written down in struct decide_inputs: no clock, no random, no
 * state. The inputs go into the decision row as JSON and read back bit for bit, so any decision can be replayed.
 *
 * Order of the rules (the first that settles it wins; each leaves a reason code):
 *   1. policy refuse                                   → refuse 403
 *   2. the cache has an answer                         → cache
 *   3. local named                                     → local, or refuse when it cannot (404, 400, 503)
 *   4. targets are struck out: not permitted by policy, no credentials, breaker open, over budget
 *   5. pinned or bare name: the targets left; none left → pinned: refuse with the reason of the first; bare: local if
 *      it can, else refuse
 *   6. auto: local cannot → remote; nothing left → local; a tool's result → whoever called the tool; the documents cover it → local;
 *      no score → local (closed on failure); else by the tenant's target (goal.h):
 *        max_regret: remote iff gain > the threshold that the head, or the tenant's labels, promise for max_regret, or max_regret
 *          itself without a promise; halved while the tenant's feedback has raised the drift alarm (`feedback_drift`);
 *        max_remote_share: remote iff there is credit and gain > the goal's threshold;
 *        a month's budget: targets whose worst case does not fit are struck out; remote iff gain a dollar > the goal's threshold.
 *          Under these two a max_regret of the request's own (auto:<max-regret>) keeps more here, and never sends more.
 *      Each of these thresholds is lowered by the share of the prompt's price that staying with the remote model of the turn before
 *      saves, whose cache a switch would throw away (by half, where that is not known and its tool calls show that it was remote).
 *      Staying here is not made easier in the same way, for that would break what max_regret promises. The remote model of the
 *      turn before comes first among the targets while its cache makes it no dearer than the first. */
#ifndef WEIR_DECIDE_DECIDE_H
#define WEIR_DECIDE_DECIDE_H

#include "cache/answer_cache.h"
#include "config/config.h"
#include "decide/goal.h"
#include "decide/names.h"
#include "money/prices.h"
#include "weir_classifier.h"

enum { DECIDE_MAX_TARGETS = NAME_MAX_TARGETS, DECIDE_MAX_REASONS = 24, DECIDE_WORD_BYTES = 64, DECIDE_NAME_BYTES = 160, DECIDE_ROUTE_BYTES = 256 };

/* Why the local model cannot take a request. LOCAL_UNASKED: nobody looked, for the cache has the answer. */
enum local_state { LOCAL_READY, LOCAL_MISSING, LOCAL_TOO_LONG, LOCAL_UNSUPPORTED, LOCAL_OVERLOADED, LOCAL_UNASKED, LOCAL_STATES };

struct decide_target {
    char provider[DECIDE_WORD_BYTES];
    char model[DECIDE_NAME_BYTES];
    int provider_index;          /* In the configuration; not part of the replayed inputs. */
    bool permitted;              /* The verdict's bit. */
    bool usable;                 /* Has its credentials. */
    bool healthy;                /* Its breaker lets a request (or a probe) through. */
    int64_t input_nusd, cached_input_nusd, output_nusd; /* Price per million tokens; MONEY_UNKNOWN. */
    int64_t worst_nusd;          /* Worst case of this request there; MONEY_UNKNOWN. */
    int64_t expected_nusd;       /* What it is expected to cost there; MONEY_UNKNOWN without a price or an expected length. */
};

struct decide_inputs {
    enum name_kind kind;
    char model[DECIDE_NAME_BYTES]; /* As asked for. */
    double max_regret;
    /* The promise for it, of the head (weir calibrate) or of the tenant's own labels (goals/evidence.h): gains up to the threshold may
     * stay. Without one max_regret is the threshold. */
    bool promised, promised_by_labels;
    double threshold, confidence;
    int64_t promise_lines;
    struct promise_terms promise_terms; /* Of the head's promise. */
    struct decide_goal goal;
    /* Verdict. */
    enum effect effect;
    bool local_permitted;
    char data_class[DECIDE_WORD_BYTES];
    /* Scores. */
    bool scored;
    float p_local, p_remote, gain, oos, domain_p;
    bool probed;
    float probe;                 /* What the answering model said of the question. The score has it in it. */
    char domain[DECIDE_WORD_BYTES];
    enum score_tier tier;
    float output_tokens;         /* Expected length of a remote answer; NAN: unknown. */
    /* What the cache found for it. */
    enum cache_hit cached;
    float likeness;              /* CACHE_SEMANTIC: cosine of the two questions' embeddings. */
    char cached_decision[DECIDE_WORD_BYTES]; /* Id of the decision that made the answer. */
    /* What the documents hold about it. It is covered when both numbers reach what is asked for. */
    bool searched;
    int n_passages;              /* That fit before the question. */
    float known_likeness, known_terms; /* Best cosine; share of the question's content words found. */
    double least_likeness, least_terms;
    char knowledge_state[DECIDE_WORD_BYTES]; /* Of the index. */
    /* The box, the money, the conversation. */
    enum local_state local;
    char local_detail[DECIDE_NAME_BYTES]; /* LOCAL_UNSUPPORTED: the field. */
    bool budget_limited;
    int64_t budget_nusd;         /* Left, when limited. */
    bool session_remote;         /* The conversation's last turn was answered remotely, as its tool calls show. */
    bool tool_loop;              /* What came last is a tool's result, not a question. */
    bool conversed;              /* The turn before is known (conversation/conversation.h); the next three are about it. */
    char earlier_route[DECIDE_ROUTE_BYTES]; /* What answered it, as outcome.route. */
    int64_t prompt_tokens;       /* About as many has this request. */
    int64_t cached_tokens;       /* Of them the provider that answered may still have read. */
    bool drift;                  /* The tenant's ratings say that max_regret does not hold (feedback/drift.h). */
    char prices_version[DECIDE_WORD_BYTES];
    struct decide_target targets[DECIDE_MAX_TARGETS];
    int n_targets;
};

enum route_kind { ROUTE_LOCAL, ROUTE_REMOTE, ROUTE_REFUSE, ROUTE_CACHE };

struct decision {
    enum route_kind kind;
    char route[DECIDE_ROUTE_BYTES]; /* "local", "remote:<provider>/<model>", "refuse", "cache". */
    int targets[DECIDE_MAX_TARGETS]; /* Indices into inputs.targets, in order of trial. */
    int n_targets;               /* ROUTE_REMOTE: at least 1. ROUTE_LOCAL of auto: where a weak answer may escalate to. */
    bool redact;                 /* Only redacted text may leave. */
    bool watched;                /* ROUTE_LOCAL because the gain is within the threshold: an answer that turns out weak may leave. */
    bool compared;               /* The gain settled it: against: */
    double threshold;            /* Of gain; a budget's, of gain a dollar, times what is expected to be paid. */
    bool local_last;             /* After all targets fail the local model may answer or finish. */
    const char *reasons[DECIDE_MAX_REASONS]; /* Static snake_case codes, the deciding one first. */
    int n_reasons;
    int status;                  /* ROUTE_REFUSE: the HTTP status, and OpenAI's error code. */
    const char *code;
    bool weighed;                /* The target's threshold decided, or would have with credit or money left. */
};

/* What a goal's threshold is compared with: the gain, or the gain a dollar. */
double decide_goal_value(const struct decide_inputs *inputs);
/* Is the first reason of a local or remote route one by which it was weighed? */
bool decide_weighed(str first_reason);
void decide(const struct decide_inputs *inputs, struct decision *out);

/* Fills the parts of inputs that come from these (each may be NULL except config and name): targets with price, worst
 * case (prompt_tokens and max_tokens; negative: unknown) and health (healthy[provider index], NULL: all). */
void decide_inputs_fill(struct decide_inputs *inputs, const struct config *config, str model, const struct name *name,
                        const struct verdict *verdict, const struct score *score, const struct prices *prices,
                        const bool *healthy, int64_t prompt_tokens, int64_t max_tokens);

/* The score anew, once the answering model was asked. */
void decide_inputs_score(struct decide_inputs *inputs, const struct score *score, float probe);
/* What each target is expected to cost, by the score's output_tokens (at most max_tokens) for each of n_answers; after
 * decide_inputs_fill. An estimate beside the worst case, which stays what is reserved. score NULL: unknown. */
void decide_inputs_expect(struct decide_inputs *inputs, const struct score *score, const struct prices *prices, int64_t prompt_tokens,
                          int64_t max_tokens, int64_t n_answers);

/* What the documents hold about it. */
struct knowledge_found;
void decide_inputs_know(struct decide_inputs *inputs, const struct knowledge_found *found, const struct config *config);

/* Between which thresholds decide() will compare a gain that this one is for, whatever the conversation and the tenant's ratings turn
 * out to be: known before the query is scored, so that only the tiers run that can change the route. */
struct score_limits decide_limits(double threshold);

/* Takes the head's promise for inputs->max_regret; after decide_inputs_fill. head NULL: none. */
void decide_inputs_promise(struct decide_inputs *inputs, const struct head *head);

/* Is the gain so near the threshold which it is compared with that the answering model is asked itself? band 0: never. */
bool decide_is_unsure(const struct decide_inputs *inputs, double band);

/* Puts a code before the decision's reasons: what came of it afterwards. */
void decision_reason_first(struct decision *decision, const char *code);
json_t *decide_inputs_json(const struct decide_inputs *inputs);          /* New reference. */
int decide_inputs_parse(const json_t *json, struct decide_inputs *out, struct error *err) WEIR_CHECKED;
json_t *decision_reasons_json(const struct decision *decision);          /* New reference: array of codes. */
const char *local_state_name(enum local_state state);

#endif
