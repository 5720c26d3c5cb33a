/* Invariant: only rows are read, and nothing is remembered from one request to the next. */
#include "decide/explain_past.h"

#include "goals/standing.h"
#include "ledger/rated.h"
#include "ledger/shadowed.h"

static int count_rating(void *user, const struct rated *rated)
{
    struct explainer *explainer = user;
    if (!rated->is_auto || !standing_is_target(explainer->config, rated->tenant, rated->max_regret, rated->config_sha256))
        return 0;
    enum drift_before before = !rated->rated_before ? DRIFT_UNRATED : rated->was_down ? DRIFT_WAS_DOWN : DRIFT_WAS_FINE;
    return drift_rate(explainer->ratings, rated->tenant, rated->max_regret, before, rated->down);
}

static int count_sample(void *user, const struct shadowed *shadowed)
{
    struct explainer *explainer = user;
    if (!standing_is_target(explainer->config, shadowed->tenant, shadowed->max_regret, shadowed->config_sha256))
        return 0;
    return drift_rate(explainer->samples, shadowed->tenant, shadowed->max_regret, DRIFT_UNRATED, shadowed->remote_better);
}

int explain_drift(struct explainer *explainer, const char *ledger_path, const struct ledger_scope *scope, struct error *err)
{
    explainer->ratings = drift_new();
    explainer->samples = drift_new();
    if (explainer->ratings == NULL || explainer->samples == NULL)
        return error_set(err, WEIR_E_MEMORY, "feedback", "out of memory");
    int status = rated_each(ledger_path, scope, count_rating, explainer, err);
    return status == 0 ? shadowed_each(ledger_path, scope, count_sample, explainer, err) : status;
}

bool explain_alarmed(const struct explainer *explainer)
{
    const struct drift *tests[] = {explainer->ratings, explainer->samples};
    bool alarmed = false;
    for (int i = 0; i < 2; i++) /* NULL: there is no ledger yet. */
        alarmed = alarmed || (tests[i] != NULL && drift_alarmed(tests[i], explainer->tenant));
    return alarmed;
}

/* Messages before the last of the assistant; 0: there is none, or nothing before it. */
static size_t earlier_messages(const struct api_request *request)
{
    for (size_t i = json_array_size(request->messages); i-- > 1;) {
        const char *role = json_string_value(json_object_get(json_array_get(request->messages, i), "role"));
        if (role != NULL && strcmp(role, "assistant") == 0)
            return i;
    }
    return 0;
}

/* Tokens that the turn before was asked with, as the local tokenizer counts them. */
static int64_t earlier_tokens(const struct explainer *explainer, const struct api_request *request, size_t n_messages)
{
    struct ids ids = {0};
    json_t *messages = json_array();
    for (size_t i = 0; i < n_messages; i++)
        json_array_append(messages, json_array_get(request->messages, i));
    bool counted = explainer->chat != NULL && model_chat_ids(explainer->chat, messages, NULL, &ids, NULL) == 0;
    int64_t n = counted ? (int64_t)ids.n : 0;
    ids_release(&ids);
    json_decref(messages);
    return n;
}

void explain_conversation(const struct explainer *explainer, const struct api_request *request, const struct name *name, int64_t prompt_tokens,
                          struct decide_inputs *inputs)
{
    size_t n = earlier_messages(request);
    if (name->kind != NAME_AUTO || n == 0 || explainer->earlier == NULL)
        return;
    inputs->conversed = true;
    str_copy(inputs->earlier_route, sizeof inputs->earlier_route, str_of(explainer->earlier));
    inputs->prompt_tokens = prompt_tokens;
    inputs->cached_tokens = earlier_tokens(explainer, request, n);
}

json_t *explain_unknown(const struct explainer *explainer, const struct api_request *request, const struct name *name)
{
    json_t *out = json_array();
    if (name->n_targets > 0)
        json_array_append_new(out, json_string("provider_health"));
    if (explainer->tenant != NULL || explainer->config->keys_required)
        json_array_append_new(out, json_string("key_budget"));
    if (explainer->config->cache.exact || explainer->config->cache.semantic)
        json_array_append_new(out, json_string("answer_cache"));
    if (name->kind == NAME_AUTO && earlier_messages(request) > 0 && explainer->earlier == NULL)
        json_array_append_new(out, json_string("earlier_turn"));
    return out;
}
