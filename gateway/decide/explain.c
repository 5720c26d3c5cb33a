/* Explaining: parse, scan, score, probe, decide, in the order of a request's life, with no money and no network; the ledger is read and never written.
 *
 * Invariant: it decides as the daemon would with all providers healthy, no budget of the key, no cached answer and the turn before as it is told. One thread; all it makes for one
 * request lives in one arena. */
#include "decide/explain.h"

#include "api/probe.h"
#include "decide/explain_past.h"
#include "goals/standing.h"
#include "request/request.h"

#include <math.h>

static int open_optional(struct model **out, const char *path, bool given, const struct model_options *options, struct error *err)
{
    *out = NULL;
    if (path == NULL || (!given && !file_exists(path)))
        return 0;
    return model_open(out, path, options, err);
}

static struct goals_context context_of(const struct explainer *explainer)
{
    return (struct goals_context){.config = explainer->config, .head = explainer->head, .wall_ns = clock_wall_ns()};
}

/* As the ledger's file has them; it is only read, and may be a running Weir's. */
static int open_labels(struct explainer *explainer, struct error *err)
{
    char path[4096], answers_id[STANDING_ID_BYTES];
    struct goals_context context = context_of(explainer);
    struct standing standing;
    explainer->goals = goals_new();
    if (explainer->goals == NULL)
        return error_set(err, WEIR_E_MEMORY, "targets", "out of memory");
    snprintf(path, sizeof path, "%s/ledger.db", explainer->config->data_dir);
    if (!file_exists(path))
        return 0;
    standing_id(explainer->config, explainer->chat, explainer->encoder, answers_id);
    standing_of(explainer->config, explainer->head, answers_id, &standing);
    context.scope = &standing.scope;
    int status = goals_read(explainer->goals, &context, path, err);
    return status == 0 ? explain_drift(explainer, path, &standing.scope, err) : status;
}

static int open_probe(struct explainer *explainer, struct error *err)
{
    if (explainer->config->probe_band <= 0 || explainer->chat == NULL || explainer->head == NULL || !head_judges_probe(explainer->head))
        return 0;
    return engine_start(&explainer->engine, explainer->chat, NULL, err);
}

int explainer_open(struct explainer *explainer, const char *config_path, struct error *err)
{
    int status = config_open(&explainer->config, config_path, err);
    if (status < 0)
        return status;
    const struct config *config = explainer->config;
    log_set_level(config->log_level > LOG_WARN ? config->log_level : LOG_WARN);
    status = pack_open(&explainer->pack, config->policy_pack, err);
    if (status == 0)
        status = prices_open(&explainer->prices, config->prices_path, err);
    if (status == 0)
        status = open_optional(&explainer->chat, config->chat_path, config->chat_path_given, &(struct model_options){.precision = config->precision, .n_threads = config->threads}, err);
    if (status == 0)
        status = open_optional(&explainer->encoder, config->encoder_path, config->encoder_path_given,
                               &(struct model_options){.precision = config->precision, .n_threads = config->threads}, err);
    if (status == 0 && config->head_path != NULL)
        status = head_open(&explainer->head, config->head_path, err);
    if (status == 0 && explainer->head != NULL)
        status = scorer_new(&explainer->scorer, explainer->head, explainer->encoder, err);
    if (status == 0 && config->knowledge.folder != NULL && explainer->encoder != NULL) {
        char path[4096];
        snprintf(path, sizeof path, "%s/knowledge.db", config->data_dir);
        status = knowledge_open(&explainer->knowledge, path, err);
    }
    if (status == 0)
        status = open_labels(explainer, err);
    if (status == 0)
        status = open_probe(explainer, err);
    if (status < 0)
        explainer_close(explainer);
    return status;
}

void explainer_close(struct explainer *explainer)
{
    drift_free(explainer->ratings);
    drift_free(explainer->samples);
    engine_stop(explainer->engine);
    goals_free(explainer->goals);
    knowledge_close(explainer->knowledge);
    if (explainer->scorer != NULL)
        scorer_free(explainer->scorer);
    if (explainer->head != NULL)
        head_close(explainer->head);
    if (explainer->encoder != NULL)
        model_close(explainer->encoder);
    if (explainer->chat != NULL)
        model_close(explainer->chat);
    if (explainer->prices != NULL)
        prices_drop(explainer->prices);
    if (explainer->pack != NULL)
        pack_close(explainer->pack);
    config_drop(explainer->config);
    memset(explainer, 0, sizeof *explainer);
}

/* Can the local model take it, and how many tokens is it? */
static enum local_state local_state_of(const struct explainer *explainer, const struct api_request *request, int64_t *n_tokens, char *detail, size_t n_detail)
{
    struct ids ids = {NULL};
    if (explainer->chat == NULL)
        return LOCAL_MISSING;
    if (request->local_unsupported[0] != '\0') {
        str_copy(detail, n_detail, str_of(request->local_unsupported));
        return LOCAL_UNSUPPORTED;
    }
    struct error err = {0};
    int status = api_local_prompt(request, explainer->chat, &ids, NULL, &err);
    *n_tokens = (int64_t)ids.n;
    ids_release(&ids);
    if (status < 0) {
        str_copy(detail, n_detail, str_of(err.where));
        return LOCAL_UNSUPPORTED;
    }
    return *n_tokens >= model_info_peek(explainer->chat)->n_context ? LOCAL_TOO_LONG : LOCAL_READY;
}

/* As request/probing.c asks it. A model that does not answer leaves the score as it was. */
static void probe(const struct explainer *explainer, const struct api_request *request, struct score *score, struct decide_inputs *inputs)
{
    struct ids prompt = {0};
    struct error err = {0};
    float said = NAN;
    if (explainer->engine == NULL || inputs->local != LOCAL_READY || !decide_is_unsure(inputs, explainer->config->probe_band))
        return;
    int status = api_local_prompt(request, explainer->chat, &prompt, NULL, &err);
    if (status == 0)
        status = probe_ask(PROBE_QUESTION, explainer->engine, explainer->chat, NULL, &prompt, NULL, &said, &err);
    if (status < 0)
        log_event(LOG_WARN, "probe", "the answering model was not asked: %s: %s", err.where, err.text);
    if (!isnan(said)) {
        scorer_score_probe(explainer->scorer, said, score);
        decide_inputs_score(inputs, score, said);
    }
    ids_release(&prompt);
}

/* What the documents hold about it, as the daemon searches them. A failure finds nothing. */
static void search(const struct explainer *explainer, const struct api_request *request, const struct score *score, const struct name *name, struct arena *arena,
                   struct decide_inputs *inputs)
{
    str question = score != NULL && score->text.n > 0 ? score->text : api_last_turn(request);
    struct ids ids = {0};
    struct knowledge_found *found = arena_alloc(arena, sizeof *found);
    int n_embd = explainer->encoder != NULL ? model_info_peek(explainer->encoder)->n_embd : 0;
    float *embedding = arena_array(arena, (size_t)n_embd, sizeof *embedding);
    if (explainer->knowledge == NULL || question.n == 0 || (name->kind != NAME_AUTO && name->kind != NAME_LOCAL) || explainer->chat == NULL || found == NULL ||
        embedding == NULL)
        return;
    int status = model_text_ids(explainer->encoder, question, &ids, NULL);
    if (status == 0)
        status = model_embed(explainer->encoder, &(struct encoder_input){.ids = ids.data, .n = ids.n}, 1, embedding, NULL);
    if (status == 0)
        status = knowledge_search(explainer->knowledge, question, embedding, n_embd, explainer->config->knowledge.passages, arena, found, NULL);
    if (status == 0)
        decide_inputs_know(inputs, found, explainer->config);
    ids_release(&ids);
}

static json_t *report(const struct decide_inputs *inputs, const struct decision *decision, const struct verdict *verdict, const struct score *score,
                      const struct explainer *explainer, const int64_t us[4])
{
    struct policy_provider providers[CONFIG_MAX_PROVIDERS];
    config_policy_providers(explainer->config, providers);
    json_t *targets = json_array();
    for (int i = 0; i < decision->n_targets; i++) {
        const struct decide_target *target = &inputs->targets[decision->targets[i]];
        json_array_append_new(targets, json_sprintf("remote:%s/%s", target->provider, target->model));
    }
    json_t *out = json_pack("{s:s, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:s, s:s}", "route", decision->route, "reasons", decision_reasons_json(decision),
                            "redact", decision->redact, "targets", targets, "inputs", decide_inputs_json(inputs), "verdict",
                            verdict_json(verdict, providers), "score", score != NULL ? score_json(score) : json_null(), "head",
                            explainer->head != NULL ? json_string(head_id(explainer->head)) : json_null(), "pack_sha256",
                            verdict->pack_sha256 != NULL ? verdict->pack_sha256 : "", "config_sha256", explainer->config->sha256);
    if (out == NULL)
        return NULL;
    if (decision->kind == ROUTE_REFUSE) {
        json_object_set_new(out, "status", json_integer(decision->status));
        json_object_set_new(out, "code", json_string(decision->code));
    }
    json_object_set_new(out, "times_us", json_pack("{s:I, s:I, s:I}", "policy", (json_int_t)(us[1] - us[0]), "score", (json_int_t)(us[2] - us[1]), "decide",
                                                   (json_int_t)(us[3] - us[2])));
    return out;
}

static int run_in(struct explainer *explainer, struct arena *arena, struct api_request *request, json_t **out, struct error *err)
{
    const struct config *config = explainer->config;
    struct name name;
    struct decide_inputs *inputs = arena_alloc(arena, sizeof *inputs);
    struct decision decision;
    struct policy_provider providers[CONFIG_MAX_PROVIDERS];
    struct policy_query query = {.providers = providers, .n_providers = (size_t)config->n_providers};
    struct policy_field *fields = NULL;
    struct verdict *verdict = NULL;
    struct score score;
    int64_t us[4] = {clock_now_us()}, prompt_tokens = 0, prompt_bytes = 64;
    if (inputs == NULL)
        return error_set(err, WEIR_E_MEMORY, "request", "out of memory");
    int status = name_resolve(config, explainer->chat != NULL ? model_info_peek(explainer->chat)->name : NULL, request->model, &name, err);
    if (status < 0)
        return status;
    config_policy_providers(config, providers);
    status = body_fields_collect(request->body, arena, &fields, &query.n_fields, err);
    if (status < 0)
        return status;
    query.fields = fields;
    if (policy_evaluate(explainer->pack, &query, arena, &verdict, err) < 0 && verdict == NULL)
        return err != NULL ? err->status : WEIR_E_MEMORY;
    us[1] = clock_now_us();
    struct goals_context context = context_of(explainer);
    struct goals_query goal = {.tenant = explainer->tenant, .regret_named = name.regret_named};
    struct score_limits limits = goals_limits(explainer->goals, &context, &goal, name.max_regret);
    limits.low -= config->probe_band;
    limits.high += config->probe_band;
    bool scored = explainer->scorer != NULL && scorer_score_messages_within(explainer->scorer, request->messages, &limits, arena, &score, err) == 0;
    us[2] = clock_now_us();
    for (size_t i = 0; i < query.n_fields; i++)
        prompt_bytes += (int64_t)fields[i].text.n;
    inputs->local = local_state_of(explainer, request, &prompt_tokens, inputs->local_detail, sizeof inputs->local_detail);
    decide_inputs_fill(inputs, config, request->model, &name, verdict, scored ? &score : NULL, explainer->prices, NULL, prompt_bytes,
                       (request->has_max_tokens ? request->max_tokens : 16384) * request->n);
    decide_inputs_expect(inputs, scored ? &score : NULL, explainer->prices, explainer->chat != NULL ? prompt_tokens : prompt_bytes / 4,
                         request->has_max_tokens ? request->max_tokens : 16384, request->n);
    search(explainer, request, scored ? &score : NULL, &name, arena, inputs);
    goal.prompt_tokens = prompt_tokens > 0 ? prompt_tokens : prompt_bytes / 4;
    goal.max_tokens = request->has_max_tokens ? request->max_tokens * request->n : -1;
    goals_fill(explainer->goals, &context, &goal, inputs);
    inputs->session_remote = request->called_afar;
    inputs->tool_loop = request->tool_loop;
    explain_conversation(explainer, request, &name, goal.prompt_tokens, inputs);
    inputs->drift = explain_alarmed(explainer);
    if (scored)
        probe(explainer, request, &score, inputs);
    decide(inputs, &decision);
    us[3] = clock_now_us();
    *out = report(inputs, &decision, verdict, scored ? &score : NULL, explainer, us);
    if (*out == NULL)
        return error_set(err, WEIR_E_MEMORY, "request", "out of memory");
    json_object_set_new(*out, "unknown", explain_unknown(explainer, request, &name));
    json_object_set_new(*out, "prompt_tokens", explainer->chat != NULL ? json_integer(prompt_tokens) : json_null());
    return 0;
}

int explainer_run(struct explainer *explainer, str body, json_t **out, struct error *err)
{
    struct arena arena;
    struct api_request request = {.kind = API_CHAT};
    struct api_error refusal = {0};
    arena_init(&arena, 256 << 20);
    int status = api_request_parse(&request, API_CHAT, body, &arena, &refusal);
    if (status < 0)
        error_set(err, WEIR_E_INVALID, str_starts(str_of(refusal.message), str_of(refusal.param)) ? "" : refusal.param, "%s", refusal.message); /* Named once. */
    else
        status = run_in(explainer, &arena, &request, out, err);
    api_request_release(&request);
    arena_release(&arena);
    return status;
}
