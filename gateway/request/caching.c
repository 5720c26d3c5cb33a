/* Looking up, answering from, and keeping in the cache.
 *
 * Invariant: only what would be given to this caller for this question under this configuration and pack is given, and only a
 * finished answer of the decided kind is kept: text alone, finish reason "stop", no seam, usage known. */
#include "request/caching.h"

#include "request/cascade.h"
#include "request/knowing.h"
#include "request/scoring.h"

static struct answer_cache_options options_of(const struct config *config)
{
    bool on = config->cache.exact || config->cache.semantic;
    return (struct answer_cache_options){.max_bytes = on ? config->cache.max_bytes : 0, .ttl_us = config->cache.ttl_us};
}

int caching_open(struct service *service, struct error *err)
{
    const struct config *config = service->snapshot->config;
    struct answer_cache_options options = options_of(config);
    if (random_bytes(service->cache_secret, sizeof service->cache_secret) < 0)
        return error_set(err, WEIR_E_IO, "cache", "no random numbers can be had from the operating system");
    service->cache = answer_cache_new(&options);
    if (service->cache == NULL)
        return error_set(err, WEIR_E_MEMORY, "cache", "out of memory");
    if (config->cache.semantic && service->encoder == NULL)
        log_event(LOG_WARN, "cache", "cache.semantic finds nothing: there is no encoder");
    return 0;
}

void caching_close(struct service *service)
{
    answer_cache_free(service->cache);
    bytes_wipe(service->cache_secret, sizeof service->cache_secret);
}

void caching_reload(struct service *service)
{
    struct answer_cache_options options = options_of(service->snapshot->config);
    answer_cache_reset(service->cache, &options);
}

/* ------------------------------------------------------------------ looking up */

void caching_begin(struct request *request, const struct http_request *http)
{
    str control, word;
    request->cache_epoch = answer_cache_epoch(request->service->cache);
    if (!http_header_find(http, STR("cache-control"), &control))
        return;
    while (str_split(&control, ',', &word)) {
        request->cache_no_look |= str_equal_nocase(str_trim(word), STR("no-cache"));
        request->cache_no_keep |= str_equal_nocase(str_trim(word), STR("no-store"));
    }
}

static str tenant_of(const struct request *request)
{
    return request->has_key ? str_of(request->key.tenant) : (str){NULL, 0};
}

static bool make_question(struct request *request)
{
    char state[KNOWLEDGE_STATE_BYTES] = "";
    const struct config *config = request->snapshot->config;
    if ((!config->cache.exact && !config->cache.semantic) || !cache_key_eligible(&request->api, request->verdict))
        return false;
    bool known = knowing_wanted(request); /* The documents have a say in its answer. */
    if (known)
        knowledge_state(request->service->knowledge, state);
    struct cache_scope scope = {
        .secret = request->service->cache_secret,
        .tenant = tenant_of(request),
        .pack_sha256 = request->verdict->pack_sha256,
        .config_sha256 = config->sha256,
        .knowledge = known ? state : NULL,
        .endpoint = request->dry_run ? "/v1/chat/completions" : request->endpoint, /* What a dry run is of. */
    };
    return cache_key_make(&scope, &request->api, &request->question) == 0;
}

static bool found(struct request *request, int status, enum cache_hit hit, float likeness)
{
    if (status <= 0)
        return false;
    request->cached = hit;
    request->likeness = likeness;
    return true;
}

static void count(const struct request *request)
{
    if (request->cacheable && !request->dry_run)
        answer_cache_count(request->service->cache, request->cached);
}

bool caching_find(struct request *request)
{
    struct service *service = request->service;
    const struct config *config = request->snapshot->config;
    request->cacheable = make_question(request);
    if (!request->cacheable || request->cache_no_look)
        return false;
    bool is_found = config->cache.exact && found(request, answer_cache_find(service->cache, tenant_of(request), &request->question, &request->arena,
                                                                            &request->cached_answer), CACHE_EXACT, 1);
    if (is_found || !config->cache.semantic)
        count(request);
    return is_found;
}

bool caching_embeds(const struct request *request)
{
    return request->snapshot->config->cache.semantic && request->service->encoder != NULL && request->api.kind == API_CHAT;
}

bool caching_find_similar(struct request *request)
{
    struct cache_question *question = &request->question;
    if (!request->cacheable || !question->has_meaning || !caching_embeds(request)) {
        if (request->snapshot->config->cache.semantic && !request->cache_no_look)
            count(request);
        return false;
    }
    struct error err = {0};
    int status = scoring_embed(request, question->text, &question->embedding, &question->n_embd, &err);
    if (status < 0)
        log_event(LOG_WARN, "cache", "%s: %s", request->decision_id, err.text);
    if (request->cache_no_look)
        return false;
    float likeness = 0;
    if (status == 0)
        status = answer_cache_find_similar(request->service->cache, tenant_of(request), question, request->snapshot->config->cache.likeness,
                                           &request->arena, &request->cached_answer, &likeness);
    bool is_found = found(request, status, CACHE_SEMANTIC, likeness);
    count(request);
    return is_found;
}

/* ------------------------------------------------------------------ answering */

static void answer_whole(struct request *request)
{
    const struct cached_answer *answer = &request->cached_answer;
    answer_begin(&request->head, &request->out);
    answer_choice(&request->head, 0, &(struct answer_message){.text = answer->text, .annotations = answer->citations}, NULL, "stop", &request->out);
    answer_end(&request->head, &request->usage, &request->out);
    request_headers(request, true);
    reply_send(request->reply, 200, "application/json", buffer_str(&request->out));
    request->reply = NULL;
    request_end(request, "ok", 200, "stop", NULL);
}

static void answer_stream(struct request *request)
{
    stream_begin(request);
    stream_roles(request);
    chunk_text(&request->head, 0, request->cached_answer.text, NULL, &request->out);
    chunk_annotations(&request->head, 0, request->cached_answer.citations, &request->out);
    chunk_finish(&request->head, 0, "stop", &request->out);
    stream_finish(request, "stop");
}

void request_answer_cached(struct request *request)
{
    const struct cached_answer *answer = &request->cached_answer;
    char age[24];
    request_enter(request, REQUEST_CACHE);
    str_copy(request->route, sizeof request->route, STR("cache"));
    answer_head_init(&request->head, request->api.kind, request->decision_id, answer->model, request->api.stream && request->api.include_usage);
    request->usage = (struct answer_usage){answer->prompt_tokens, answer->cached_tokens, answer->completion_tokens, 0, 0};
    request->usage_known = true;
    request->first_token_us = clock_now_us() - request->started_us;
    if (choices_open(request, 1) < 0) {
        struct api_error error;
        api_error_set(&error, 503, NULL, NULL, "The request does not fit into memory");
        request_fail(request, &error, "error");
        return;
    }
    snprintf(age, sizeof age, "%lld", (long long)(answer->age_us / 1000000));
    reply_header(request->reply, "Age", str_of(age));
    if (request->api.stream)
        answer_stream(request);
    else
        answer_whole(request);
}

/* ------------------------------------------------------------------ keeping */

bool caching_gathers(const struct request *request)
{
    return request->cacheable && !request->cache_no_keep && request->cached == CACHE_NONE;
}

void caching_spoil(struct request *request)
{
    request->cache_no_keep = true;
}

/* Members of an answer's message that say nothing more than its text does. */
static bool message_is_text_alone(const json_t *message)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)message, name, value) {
        bool nothing = json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0);
        if (strcmp(name, "role") != 0 && strcmp(name, "content") != 0 && !nothing)
            return false;
    }
    return json_is_string(json_object_get(message, "content"));
}

void caching_take_answer(struct request *request, const json_t *answer)
{
    const json_t *choices = json_object_get(answer, "choices"), *message = json_object_get(json_array_get(choices, 0), "message");
    const json_t *content = json_object_get(message, "content"), *model = json_object_get(answer, "model");
    if (!caching_gathers(request))
        return;
    if (json_array_size(choices) != 1 || request->n_choices != 1 || !message_is_text_alone(message)) {
        caching_spoil(request);
        return;
    }
    buffer_clear(&request->choices[0].text);
    buffer_append(&request->choices[0].text, json_string_value(content), json_string_length(content));
    const char *name = json_is_string(model) ? arena_strdup(&request->arena, str_of(json_string_value(model))) : NULL;
    request->head.model = str_of(name != NULL ? name : "");
}

/* The answer is of the kind that was decided: a local one in place of a remote one is given for want of a better. */
static bool is_as_decided(const struct request *request)
{
    if (request->decision.kind == ROUTE_LOCAL && !cascade_left(request))
        return strcmp(request->route, "local") == 0;
    return (request->decision.kind == ROUTE_REMOTE || cascade_left(request)) && str_starts(str_of(request->route), STR("remote:"));
}

void caching_keep(struct request *request, const char *finish_reason)
{
    if (!caching_gathers(request) || request->n_choices != 1 || request->choices[0].text.failed || request->choices[0].text.n == 0)
        return;
    if (finish_reason == NULL || strcmp(finish_reason, "stop") != 0 || request->seams > 0 || !request->usage_known || request->usage.dropped_tokens > 0 ||
        !is_as_decided(request))
        return;
    struct cached_answer answer = {
        .model = request->head.model,
        .text = buffer_str(&request->choices[0].text),
        .citations = request->citations,
        .prompt_tokens = request->usage.prompt_tokens,
        .cached_tokens = request->usage.cached_tokens,
        .completion_tokens = request->usage.completion_tokens,
    };
    memcpy(answer.decision_id, request->decision_id, sizeof answer.decision_id);
    if (answer_cache_keep(request->service->cache, tenant_of(request), &request->question, request->cache_epoch, &answer) < 0)
        log_event(LOG_WARN, "cache", "%s: no memory to keep its answer", request->decision_id);
}

/* ------------------------------------------------------------------ administration */

json_t *caching_admin(void *user, const json_t *question)
{
    struct service *service = user;
    str what = {NULL, 0}, tenant = {NULL, 0};
    if (json_member_str(question, "do", &what, NULL) <= 0)
        return NULL;
    if (str_equal(what, STR("cache.stats")))
        return answer_cache_stats_json(service->cache);
    if (!str_equal(what, STR("cache.clear")))
        return NULL;
    int given = json_member_str(question, "tenant", &tenant, NULL);
    if (given < 0)
        return json_pack("{s:s, s:s}", "error", "tenant: must be a string", "status", status_name(WEIR_E_INVALID));
    if (given > 0 && tenant.n == 0) /* Callers without a key. */
        tenant.data = NULL;
    int64_t n = given > 0 ? answer_cache_clear_tenant(service->cache, tenant) : answer_cache_clear(service->cache);
    log_event(LOG_INFO, "cache_cleared", "%lld answers were forgotten", (long long)n);
    return json_pack("{s:I}", "cleared", (json_int_t)n);
}
