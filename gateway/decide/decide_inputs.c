/* The inputs of decide(): gathered from configuration, verdict, score and prices, and their JSON in the ledger.
 *
 * Invariant: decide_inputs_parse(decide_inputs_json(x)) decides as x does. Reals are written with as many digits as read
 * back the same (json_write), floats are widened to double first, so a replay compares the very same bits. */
#include "decide/decide.h"

#include "knowledge/knowledge.h"

#include <math.h>

const char *local_state_name(enum local_state state)
{
    static const char *const words[] = {[LOCAL_READY] = "ready", [LOCAL_MISSING] = "missing", [LOCAL_TOO_LONG] = "too_long",
                                        [LOCAL_UNSUPPORTED] = "unsupported", [LOCAL_OVERLOADED] = "overloaded",
                                        [LOCAL_UNASKED] = "unasked"};
    return words[state];
}

/* Copies what fits; names longer than the field were refused when the configuration was read. */
static void copy(char *out, size_t n_out, const char *text)
{
    str_copy(out, n_out, str_of(text != NULL ? text : ""));
}

static int64_t cost_of(const struct price *price, int64_t prompt_tokens, int64_t answer_tokens)
{
    if (price == NULL || prompt_tokens < 0 || answer_tokens < 0)
        return MONEY_UNKNOWN;
    struct token_usage usage = {.prompt_tokens = prompt_tokens, .completion_tokens = answer_tokens};
    return price_cost_nusd(price, &usage);
}

static void fill_score(struct decide_inputs *inputs, const struct score *score)
{
    /* A score that is not a number is none. */
    inputs->scored = score != NULL && isfinite(score->p_local) && isfinite(score->p_remote) && isfinite(score->gain) &&
                     isfinite(score->oos) && isfinite(score->domain_p);
    if (!inputs->scored)
        return;
    inputs->p_local = score->p_local;
    inputs->p_remote = score->p_remote;
    inputs->gain = score->gain;
    inputs->oos = score->oos;
    inputs->domain_p = score->domain_p;
    inputs->tier = score->tier;
    copy(inputs->domain, sizeof inputs->domain, score->domain);
}

void decide_inputs_score(struct decide_inputs *inputs, const struct score *score, float probe)
{
    fill_score(inputs, score);
    inputs->probed = isfinite(probe);
    inputs->probe = inputs->probed ? probe : 0;
}

void decide_inputs_fill(struct decide_inputs *inputs, const struct config *config, str model, const struct name *name,
                        const struct verdict *verdict, const struct score *score, const struct prices *prices,
                        const bool *healthy, int64_t prompt_tokens, int64_t max_tokens)
{
    inputs->kind = name->kind;
    inputs->max_regret = name->max_regret;
    if (model.n >= sizeof inputs->model)
        model.n = sizeof inputs->model - 1 - utf8_incomplete_tail((str){model.data, sizeof inputs->model - 1});
    str_copy(inputs->model, sizeof inputs->model, model);
    /* Without a verdict nothing may leave. */
    inputs->effect = verdict != NULL ? verdict->effect : EFFECT_LOCAL_ONLY;
    inputs->local_permitted = verdict == NULL || verdict->local_permitted;
    copy(inputs->data_class, sizeof inputs->data_class, verdict != NULL ? verdict->data_class : NULL);
    fill_score(inputs, score);
    copy(inputs->prices_version, sizeof inputs->prices_version, prices != NULL ? prices_version(prices) : NULL);
    inputs->output_tokens = NAN;
    inputs->n_targets = 0;
    for (int i = 0; i < name->n_targets; i++) {
        const struct config_provider *provider = &config->providers[name->targets[i].provider];
        struct decide_target *target = &inputs->targets[inputs->n_targets++];
        int index = name->targets[i].provider;
        const struct price *price = prices_find(prices, provider->name, name->targets[i].model);
        copy(target->provider, sizeof target->provider, provider->name);
        copy(target->model, sizeof target->model, name->targets[i].model);
        target->provider_index = index;
        target->permitted = verdict != NULL && (verdict->permitted >> index & 1) != 0;
        target->usable = provider->usable;
        target->healthy = healthy == NULL || healthy[index];
        target->input_nusd = price != NULL ? price->input_nusd : MONEY_UNKNOWN;
        target->cached_input_nusd = price != NULL ? price->cached_input_nusd : MONEY_UNKNOWN;
        target->output_nusd = price != NULL ? price->output_nusd : MONEY_UNKNOWN;
        target->worst_nusd = cost_of(price, prompt_tokens, max_tokens);
        target->expected_nusd = MONEY_UNKNOWN;
    }
}

void decide_inputs_expect(struct decide_inputs *inputs, const struct score *score, const struct prices *prices, int64_t prompt_tokens,
                          int64_t max_tokens, int64_t n_answers)
{
    if (!inputs->scored || score == NULL || !isfinite(score->output_tokens))
        return;
    inputs->output_tokens = score->output_tokens;
    int64_t each = (int64_t)ceil((double)score->output_tokens);
    each = max_tokens >= 0 && each > max_tokens ? max_tokens : each;
    for (int i = 0; i < inputs->n_targets; i++) {
        struct decide_target *target = &inputs->targets[i];
        target->expected_nusd = cost_of(prices_find(prices, target->provider, target->model), prompt_tokens, each * n_answers);
    }
}

void decide_inputs_know(struct decide_inputs *inputs, const struct knowledge_found *found, const struct config *config)
{
    inputs->searched = true;
    inputs->n_passages = found->n;
    inputs->known_likeness = found->likeness;
    inputs->known_terms = found->terms;
    inputs->least_likeness = config->knowledge.likeness;
    inputs->least_terms = (double)KNOWLEDGE_LEAST_TERMS;
    copy(inputs->knowledge_state, sizeof inputs->knowledge_state, found->state);
}

/* ------------------------------------------------------------------ JSON */

static json_t *money(int64_t nusd)
{
    return nusd == MONEY_UNKNOWN ? json_null() : json_integer(nusd);
}

void decide_inputs_promise(struct decide_inputs *inputs, const struct head *head)
{
    inputs->promised = head != NULL && head_promise(head, inputs->max_regret, &inputs->threshold, &inputs->confidence, &inputs->promise_lines);
    inputs->promised_by_labels = false;
    inputs->promise_terms = inputs->promised ? *head_promise_terms_peek(head) : (struct promise_terms){0};
}

struct score_limits decide_limits(double threshold)
{
    /* A conversation takes up to its whole size off the threshold, the alarm half of what is left. */
    return (struct score_limits){threshold < 0 ? 3 * threshold : 0, threshold};
}

json_t *decide_inputs_json(const struct decide_inputs *in)
{
    json_t *targets = json_array();
    for (int i = 0; i < in->n_targets; i++) {
        const struct decide_target *t = &in->targets[i];
        json_array_append_new(targets, json_pack("{s:s, s:s, s:b, s:b, s:b, s:o, s:o, s:o, s:o, s:o}", "provider", t->provider, "model", t->model,
                                                 "permitted", t->permitted, "usable", t->usable, "healthy", t->healthy, "input_nusd",
                                                 money(t->input_nusd), "cached_input_nusd", money(t->cached_input_nusd), "output_nusd",
                                                 money(t->output_nusd), "worst_nusd", money(t->worst_nusd), "expected_nusd",
                                                 money(t->expected_nusd)));
    }
    json_t *score = in->scored ? json_pack("{s:f, s:f, s:f, s:f, s:s, s:f, s:s, s:o}", "p_local", (double)in->p_local, "p_remote", (double)in->p_remote,
                                           "gain", (double)in->gain, "oos", (double)in->oos, "domain", in->domain, "domain_p",
                                           (double)in->domain_p, "tier", score_tier_name(in->tier), "output_tokens",
                                           isnan(in->output_tokens) ? json_null() : json_real((double)in->output_tokens))
                               : json_null();
    if (in->scored && in->probed)
        json_object_set_new(score, "probe", json_real((double)in->probe));
    json_t *cache = in->cached != CACHE_NONE ? json_pack("{s:s, s:f, s:s}", "hit", cache_hit_name(in->cached), "likeness", (double)in->likeness,
                                                         "decision_id", in->cached_decision)
                                             : json_null();
    json_t *knowledge = in->searched ? json_pack("{s:i, s:f, s:f, s:f, s:f, s:s}", "passages", in->n_passages, "likeness", (double)in->known_likeness,
                                                 "terms", (double)in->known_terms, "least_likeness", in->least_likeness, "least_terms",
                                                 in->least_terms, "state", in->knowledge_state)
                                     : json_null();
    json_t *conversation = in->conversed ? json_pack("{s:s, s:I, s:I}", "route", in->earlier_route, "prompt_tokens", (json_int_t)in->prompt_tokens,
                                                     "cached_tokens", (json_int_t)in->cached_tokens)
                                         : json_null();
    json_t *promise = in->promised ? json_pack("{s:f, s:f, s:I, s:s}", "threshold", in->threshold, "confidence", in->confidence, "lines",
                                               (json_int_t)in->promise_lines, "source", in->promised_by_labels ? "labels" : "calibration")
                                   : json_null();
    if (in->promised && !in->promised_by_labels) {
        json_object_set_new(promise, "about", json_string(in->promise_terms.about));
        json_object_set_new(promise, "remote", json_string(in->promise_terms.remote_always_right ? "always_right" : "scored"));
    }
    return json_pack("{s:s, s:s, s:f, s:o, s:o, s:{s:s, s:b, s:s}, s:o, s:o, s:o, s:{s:s, s:s}, s:o, s:b, s:b, s:o, s:b, s:s, s:o}", "name", name_kind_name(in->kind), "model", in->model,
                     "max_regret", in->max_regret, "promise", promise, "goal", goal_json(&in->goal), "verdict", "effect", effect_name(in->effect), "local_permitted", in->local_permitted,
                     "data_class", in->data_class, "score", score, "cache", cache, "knowledge", knowledge, "local", "state", local_state_name(in->local), "detail", in->local_detail,
                     "budget_nusd", in->budget_limited ? json_integer(in->budget_nusd) : json_null(), "session_remote", in->session_remote, "tool_loop", in->tool_loop,
                     "conversation", conversation, "drift", in->drift,
                     "prices_version", in->prices_version, "targets", targets);
}

json_t *decision_reasons_json(const struct decision *decision)
{
    json_t *array = json_array();
    for (int i = 0; i < decision->n_reasons; i++)
        json_array_append_new(array, json_string(decision->reasons[i]));
    return array;
}

/* Reads members one after another; the first fault stays in err and makes the rest do nothing. */
struct reader {
    struct error *err;
    int status;
};

static void fault(struct reader *r, const char *name, const char *text)
{
    if (r->status == 0)
        r->status = error_set(r->err, WEIR_E_INVALID, name, "%s", text);
}

static void read_text(struct reader *r, const json_t *object, const char *name, char *out, size_t n_out)
{
    str text = {NULL, 0};
    if (r->status == 0 && (json_member_str(object, name, &text, r->err) <= 0 || !str_copy(out, n_out, text)))
        fault(r, name, "must be a text of the right length");
}

static void read_bool(struct reader *r, const json_t *object, const char *name, bool *out)
{
    if (r->status == 0 && json_member_bool(object, name, out, r->err) <= 0)
        fault(r, name, "must be true or false");
}

static double read_real(struct reader *r, const json_t *object, const char *name)
{
    double value = 0;
    if (r->status == 0 && json_member_f64(object, name, &value, r->err) <= 0)
        fault(r, name, "must be a number");
    return value;
}

static int64_t read_money(struct reader *r, const json_t *object, const char *name)
{
    int64_t value = MONEY_UNKNOWN;
    if (r->status == 0 && json_member_i64(object, name, &value, r->err) < 0)
        fault(r, name, "must be an integer or null");
    return value;
}

static int64_t read_count(struct reader *r, const json_t *object, const char *name)
{
    int64_t value = 0;
    if (r->status == 0 && (json_member_i64(object, name, &value, r->err) <= 0 || value < 0))
        fault(r, name, "must be a number of tokens");
    return value;
}

/* The number whose name the member holds, of n. */
static int read_word(struct reader *r, const json_t *object, const char *name, int n, const char *(*word)(int))
{
    char text[64] = "";
    read_text(r, object, name, text, sizeof text);
    for (int i = 0; i < n && r->status == 0; i++)
        if (strcmp(text, word(i)) == 0)
            return i;
    fault(r, name, "is not a known word");
    return 0;
}

static const char *kind_word(int i)
{
    return name_kind_name((enum name_kind)i);
}

static const char *effect_word(int i)
{
    return effect_name((enum effect)i);
}

static const char *tier_word(int i)
{
    return score_tier_name((enum score_tier)i);
}

static const char *hit_word(int i)
{
    return cache_hit_name((enum cache_hit)i);
}

static const char *local_word(int i)
{
    return local_state_name((enum local_state)i);
}

static void read_targets(struct reader *r, const json_t *array, struct decide_inputs *out)
{
    size_t index;
    json_t *item;
    if (!json_is_array(array) || json_array_size(array) > DECIDE_MAX_TARGETS) {
        fault(r, "targets", "must be an array of at most 64");
        return;
    }
    json_array_foreach(array, index, item) {
        struct decide_target *t = &out->targets[out->n_targets++];
        t->provider_index = -1;
        read_text(r, item, "provider", t->provider, sizeof t->provider);
        read_text(r, item, "model", t->model, sizeof t->model);
        read_bool(r, item, "permitted", &t->permitted);
        read_bool(r, item, "usable", &t->usable);
        read_bool(r, item, "healthy", &t->healthy);
        t->input_nusd = read_money(r, item, "input_nusd");
        t->cached_input_nusd = read_money(r, item, "cached_input_nusd");
        t->output_nusd = read_money(r, item, "output_nusd");
        t->worst_nusd = read_money(r, item, "worst_nusd");
        t->expected_nusd = read_money(r, item, "expected_nusd");
    }
}

int decide_inputs_parse(const json_t *json, struct decide_inputs *out, struct error *err)
{
    struct reader r = {.err = err};
    memset(out, 0, sizeof *out);
    out->output_tokens = NAN;
    out->kind = (enum name_kind)read_word(&r, json, "name", 4, kind_word);
    read_text(&r, json, "model", out->model, sizeof out->model);
    out->max_regret = read_real(&r, json, "max_regret");
    const json_t *promise = json_object_get(json, "promise"); /* Rows from before there were promises have none. */
    out->promised = json_is_object(promise);
    if (out->promised) {
        out->threshold = read_real(&r, promise, "threshold");
        out->confidence = read_real(&r, promise, "confidence");
        out->promise_lines = json_integer_value(json_object_get(promise, "lines"));
        const char *source = json_string_value(json_object_get(promise, "source"));
        out->promised_by_labels = source != NULL && strcmp(source, "labels") == 0;
        const char *remote = json_string_value(json_object_get(promise, "remote"));
        out->promise_terms.remote_always_right = remote != NULL && strcmp(remote, "always_right") == 0;
        copy(out->promise_terms.about, sizeof out->promise_terms.about, json_string_value(json_object_get(promise, "about")));
    }
    if (r.status == 0 && goal_parse(json_object_get(json, "goal"), &out->goal, err) < 0)
        r.status = error_prefix(err, "goal");
    const json_t *verdict = json_object_get(json, "verdict"), *score = json_object_get(json, "score"), *local = json_object_get(json, "local");
    out->effect = (enum effect)read_word(&r, verdict, "effect", 4, effect_word);
    read_bool(&r, verdict, "local_permitted", &out->local_permitted);
    read_text(&r, verdict, "data_class", out->data_class, sizeof out->data_class);
    out->scored = json_is_object(score);
    if (out->scored) {
        out->p_local = (float)read_real(&r, score, "p_local");
        out->p_remote = (float)read_real(&r, score, "p_remote");
        out->gain = (float)read_real(&r, score, "gain");
        out->oos = (float)read_real(&r, score, "oos");
        out->domain_p = (float)read_real(&r, score, "domain_p");
        read_text(&r, score, "domain", out->domain, sizeof out->domain);
        out->tier = (enum score_tier)read_word(&r, score, "tier", N_TIERS, tier_word);
        out->probed = json_object_get(score, "probe") != NULL;
        if (out->probed)
            out->probe = (float)read_real(&r, score, "probe");
        double tokens = NAN; /* Rows of before lengths were foretold have none. */
        if (json_member_f64(score, "output_tokens", &tokens, err) < 0)
            fault(&r, "output_tokens", "must be a number or null");
        out->output_tokens = (float)tokens;
    }
    const json_t *cache = json_object_get(json, "cache"); /* Rows of before the cache have none. */
    if (json_is_object(cache)) {
        out->cached = (enum cache_hit)read_word(&r, cache, "hit", 3, hit_word);
        out->likeness = (float)read_real(&r, cache, "likeness");
        read_text(&r, cache, "decision_id", out->cached_decision, sizeof out->cached_decision);
    }
    const json_t *knowledge = json_object_get(json, "knowledge"); /* As old rows have no documents. */
    out->searched = json_is_object(knowledge);
    if (out->searched) {
        out->n_passages = (int)read_real(&r, knowledge, "passages");
        out->known_likeness = (float)read_real(&r, knowledge, "likeness");
        out->known_terms = (float)read_real(&r, knowledge, "terms");
        out->least_likeness = read_real(&r, knowledge, "least_likeness");
        out->least_terms = read_real(&r, knowledge, "least_terms");
        read_text(&r, knowledge, "state", out->knowledge_state, sizeof out->knowledge_state);
    }
    out->local = (enum local_state)read_word(&r, local, "state", LOCAL_STATES, local_word);
    read_text(&r, local, "detail", out->local_detail, sizeof out->local_detail);
    int64_t budget = read_money(&r, json, "budget_nusd");
    out->budget_limited = budget != MONEY_UNKNOWN;
    out->budget_nusd = out->budget_limited ? budget : 0;
    read_bool(&r, json, "session_remote", &out->session_remote);
    if (json_object_get(json, "tool_loop") != NULL) /* Older rows know of no conversations. */
        read_bool(&r, json, "tool_loop", &out->tool_loop);
    const json_t *conversation = json_object_get(json, "conversation");
    out->conversed = json_is_object(conversation);
    if (out->conversed) {
        read_text(&r, conversation, "route", out->earlier_route, sizeof out->earlier_route);
        out->prompt_tokens = read_count(&r, conversation, "prompt_tokens");
        out->cached_tokens = read_count(&r, conversation, "cached_tokens");
    }
    if (json_object_get(json, "drift") != NULL) /* Rows of before there was feedback have none. */
        read_bool(&r, json, "drift", &out->drift);
    read_text(&r, json, "prices_version", out->prices_version, sizeof out->prices_version);
    read_targets(&r, json_object_get(json, "targets"), out);
    return r.status;
}
