/* What may take longer than a loop may wait: the policy scan with its verdict, redaction, the look-ups in the cache, the
 * classifier's score, and the prompt's tokens. Runs on a worker of libuv's pool, or on the spot when there is little to do.
 *
 * While it runs the request is the worker's: it reads what was parsed, writes the results of PREPARE, allocates from the
 * request's arena. Whatever fails here closes the remote path (verdict) or the local one (request->local); the decision is
 * made from that and not by an error here. */
#include "request/aiming.h"
#include "request/caching.h"
#include "request/knowing.h"
#include "request/scoring.h"

enum {
    SMALL_BODY_BYTES = 2048, /* A scan of this takes well below a millisecond. */
};

static void close_remote(struct verdict *verdict, const char *reason)
{
    verdict->permitted = 0;
    if (verdict->n_reasons < VERDICT_MAX_REASONS)
        verdict->reasons[verdict->n_reasons++] = reason;
}

void request_tenant_key(const struct request *request, uint8_t out[32])
{
    const char *tenant = request->has_key ? request->key.tenant : "";
    hmac_sha256(request->service->pseudonym_key, sizeof request->service->pseudonym_key, tenant, strlen(tenant), out);
}

static void redact(struct request *request)
{
    uint8_t key[32];
    struct error err = {0};
    request_tenant_key(request, key);
    int status = redaction_new(&request->redaction, request->snapshot->pack, key, &err);
    bytes_wipe(key, sizeof key);
    if (status == 0)
        request->redacted_body = body_redact(request->api.body, request->redaction, request->verdict->findings, request->fields,
                                             request->n_fields, &err);
    if (request->redacted_body == NULL) {
        log_event(LOG_WARN, "redaction_failed", "%s: %s", request->decision_id, err.text);
        close_remote(request->verdict, "redaction_failed");
    }
}

static void scan(struct request *request)
{
    struct error err = {0};
    struct policy_provider providers[CONFIG_MAX_PROVIDERS];
    const struct config *config = request->snapshot->config;
    int collected = body_fields_collect(request->api.body, &request->arena, &request->fields, &request->n_fields, &err);
    config_policy_providers(config, providers);
    struct policy_query query = {
        .tenant = request->has_key ? request->key.tenant : NULL,
        .fields = request->fields,
        .n_fields = request->n_fields,
        .providers = providers,
        .n_providers = (size_t)config->n_providers,
    };
    int status = policy_evaluate(request->snapshot->pack, &query, &request->arena, &request->verdict, &err);
    if (request->verdict == NULL)
        return;
    if (status < 0)
        log_event(LOG_WARN, "policy_error", "%s: %s", request->decision_id, err.text);
    if (collected < 0)
        close_remote(request->verdict, "scan_truncated");
    if (request->api.token_input)
        close_remote(request->verdict, "unscannable_input");
    if (request->verdict->effect == EFFECT_REDACT && request->verdict->permitted != 0 && request->name.n_targets > 0)
        redact(request);
}

static void close_local(struct request *request, enum local_state state, const char *detail)
{
    request->local = state;
    str_copy(request->local_detail, sizeof request->local_detail, str_of(detail));
}

/* The conversation as the local model reads it, with as many passages of the documents as leave room for an answer. */
static int encode_chat(struct request *request, struct error *err)
{
    enum { ROOM = 512 };
    int n_context = model_info_peek(request->chat->model)->n_context;
    int64_t room = request->api.has_max_tokens && request->api.max_tokens < ROOM ? request->api.max_tokens : ROOM;
    struct ids *prompt = &request->prompts[0];
    for (;;) {
        if (knowing_ground(request) < 0)
            return error_set(err, WEIR_E_MEMORY, "messages", "out of memory");
        int status = api_local_prompt(&request->api, request->chat->model, prompt, &request->begun, err);
        if (status < 0 || (int64_t)prompt->n + room <= n_context || !knowing_drop_last(request))
            return status;
        ids_release(prompt);
        *prompt = (struct ids){0};
        chat_begun_release(&request->begun);
        chat_begun_init(&request->begun);
    }
}

/* How many of a conversation's first ids stay in a context shift: those that it shares with its instructions alone under another
 * question, hence the system message and what the template puts around it. */
static int count_kept(struct request *request)
{
    json_t *messages = api_local_messages(&request->api), *head = json_array(), *message;
    size_t i;
    json_array_foreach(messages, i, message) {
        const char *role = json_string_value(json_object_get(message, "role"));
        if (role == NULL || strcmp(role, "system") != 0)
            break;
        json_array_append(head, message);
    }
    json_array_append_new(head, json_pack("{s:s, s:s}", "role", "user", "content", "?"));
    struct ids ids = {0};
    struct error err;
    size_t n = 0;
    struct chat_settings settings = {.tools = request->api.tools};
    if (model_chat_prompt(request->chat->model, head, &settings, &ids, NULL, &err) == 0)
        while (n < ids.n && n < request->prompts[0].n && ids.data[n] == request->prompts[0].data[n])
            n++;
    ids_release(&ids);
    json_decref(head);
    json_decref(messages);
    int most = model_info_peek(request->chat->model)->n_context / 2;
    return n < (size_t)most ? (int)n : most;
}

/* Ids given by the caller must be the vocabulary's. */
static int copy_ids(struct ids *out, const struct api_text *text, int n_vocab, struct error *err)
{
    for (size_t i = 0; i < text->n_ids; i++) {
        if (text->ids[i] >= n_vocab)
            return error_set(err, WEIR_E_INVALID, "prompt", "token id %d is not in the vocabulary of %d", (int)text->ids[i], n_vocab);
        if (ids_append(out, text->ids[i]) < 0)
            return error_set(err, WEIR_E_MEMORY, "prompt", "out of memory");
    }
    return 0;
}

static const struct config_serving *serving_of(const struct request *request)
{
    const struct config *config = request->snapshot->config;
    for (int i = 0; i < config->n_others && request->name.other[0] != '\0'; i++)
        if (strcmp(config->others[i].name, request->name.other) == 0)
            return &config->others[i].serving;
    return &config->chat;
}

/* The prompts as the local chat model reads them. */
static void tokenize(struct request *request)
{
    struct error *err = &request->prepare_error;
    size_t n = request->api.kind == API_CHAT ? 1 : request->api.n_texts;
    const struct model_info *info = model_info_peek(request->chat->model);
    const struct tokenizer *tokenizer = model_tokenizer_peek(request->chat->model);
    request->prompts = arena_array(&request->arena, n, sizeof *request->prompts);
    if (request->prompts == NULL || tokenizer == NULL) {
        close_local(request, LOCAL_MISSING, "");
        return;
    }
    request->n_prompts = n;
    if (!request->api.names_shift)
        request->api.sampling.context_shift = serving_of(request)->context_shift;
    for (size_t i = 0; i < n; i++) {
        int status;
        if (request->api.kind == API_CHAT)
            status = encode_chat(request, err);
        else if (request->api.texts[i].ids != NULL)
            status = copy_ids(&request->prompts[i], &request->api.texts[i], info->n_vocab, err);
        else
            status = tokenizer_encode(tokenizer, request->api.texts[i].text, 0, &request->prompts[i], err);
        if (status < 0) {
            close_local(request, LOCAL_UNSUPPORTED, request->api.kind == API_CHAT ? err->where : "prompt");
            return;
        }
        if (request->prompts[i].n >= (size_t)info->n_context && !request->api.sampling.context_shift)
            close_local(request, LOCAL_TOO_LONG, "");
    }
    if (request->api.kind == API_CHAT && request->api.sampling.context_shift)
        request->api.sampling.n_keep = count_kept(request);
}

static void prepare_local(struct request *request)
{
    struct service *service = request->service;
    bool embeddings = !api_kind_generates(request->api.kind);
    bool reranks = request->api.kind == API_RERANK && service->reranker != NULL;
    request->local = LOCAL_READY;
    if (embeddings ? service->encoder == NULL && !reranks : request->chat == NULL) {
        close_local(request, LOCAL_MISSING, "");
    } else if (request->api.local_unsupported[0] != '\0') {
        close_local(request, LOCAL_UNSUPPORTED, request->api.local_unsupported);
    } else if (embeddings) {
        /* A provider's model is not replaced by the local encoder: vectors of two encoders don't compare. */
        if (request->name.kind == NAME_BARE)
            close_local(request, LOCAL_UNSUPPORTED, "model");
        else if (request->api.dimensions > 0 && request->api.dimensions != model_info_peek(service->encoder)->n_embd)
            close_local(request, LOCAL_UNSUPPORTED, "dimensions");
    } else if (request->name.kind != NAME_PINNED) {
        tokenize(request);
    }
}

/* The scan, and whether the very same question was answered before: then nothing else need be known. */
static void prepare_look(struct request *request)
{
    int64_t started = clock_now_us();
    scan(request);
    request->policy_us = clock_now_us() - started;
    request->looked = true;
    if (caching_find(request))
        close_local(request, LOCAL_UNASKED, "");
}

/* Under which keys the conversation's turns are noted. */
static void prepare_conversation(struct request *request)
{
    str tenant = request->has_key ? str_of(request->key.tenant) : (str){NULL, 0};
    request->conversing = request->api.kind == API_CHAT && request->name.kind == NAME_AUTO &&
                          conversation_keys_make(request->service->cache_secret, tenant, request->api.messages, &request->conversation) == 0;
}

static void prepare_run(struct request *request)
{
    if (!request->looked)
        prepare_look(request);
    prepare_conversation(request);
    if (request->cached != CACHE_NONE)
        return;
    int64_t started = clock_now_us();
    scoring_run(request);
    bool found = caching_find_similar(request);
    if (!found)
        knowing_search(request);
    request->score_us = clock_now_us() - started;
    if (found)
        close_local(request, LOCAL_UNASKED, "");
    else
        prepare_local(request);
}

static void on_work(uv_work_t *work)
{
    prepare_run(work->data);
}

static void on_worked(uv_work_t *work, int status)
{
    struct request *request = work->data;
    if (request->gone)
        request_end(request, "cancelled", LEDGER_NULL, NULL, "client_closed");
    else if (status < 0)
        prepare_run(request), request_prepared(request);
    else
        request_prepared(request);
    request_unpin(request);
}

void request_prepare(struct request *request)
{
    size_t n_body = reply_request_peek(request->reply)->body.n;
    aiming_limit(request);
    bool needs_encoder = scoring_wanted(request) || caching_embeds(request) || knowing_wanted(request);
    if (n_body <= SMALL_BODY_BYTES && request->snapshot->config->cache.exact)
        prepare_look(request);
    if (request->cached != CACHE_NONE || (n_body <= SMALL_BODY_BYTES && !needs_encoder)) {
        prepare_run(request);
        request_prepared(request);
        return;
    }
    request->work.data = request;
    request->n_pins++;
    if (uv_queue_work(&request->service->loop, &request->work, on_work, on_worked) < 0) {
        prepare_run(request);
        request_prepared(request);
        request_unpin(request);
    }
}
