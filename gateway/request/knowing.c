/* Searching, prompting with passages, citing, and the indexing that the daemon does by itself. */
#include "request/knowing.h"

#include "request/scoring.h"

enum { MOST_PROMPT_BYTES = 64 << 10, MOST_CITATION_BYTES = 64 << 10 };
/* An answer leans on a passage when this share of its content words stands there. */
static const float least_support = 0.5f;

/* ------------------------------------------------------------------ indexing */

struct indexing {
    uv_work_t work;
    struct service *service;
    const struct config *config; /* Held while it runs. */
    volatile int cancelled;
    bool runs, again;
    struct knowledge_report report;
    int status;
    struct error error;
};

static void on_document(void *user, const char *path, const char *reason)
{
    if (reason != NULL)
        log_event(LOG_WARN, "knowledge", "skipped %s: %s", path, reason);
}

static void on_work(uv_work_t *work)
{
    struct indexing *indexing = work->data;
    const struct config *config = indexing->config;
    struct knowledge_index index;
    char path[4096];
    snprintf(path, sizeof path, "%s/knowledge.db", config->data_dir);
    indexing->status = knowledge_index_open(&index, path, true, &indexing->error);
    if (indexing->status < 0)
        return;
    indexing->status = knowledge_index_sync(&index, config->knowledge.folder, indexing->service->encoder, &indexing->cancelled, on_document, NULL,
                                            &indexing->report, &indexing->error);
    knowledge_index_close(&index);
}

static void on_worked(uv_work_t *work, int status)
{
    struct indexing *indexing = work->data;
    const struct knowledge_report *report = &indexing->report;
    char text[600];
    indexing->runs = false;
    config_drop(indexing->config);
    if (indexing->status < 0 && indexing->status != WEIR_E_CANCELLED)
        log_event(LOG_ERROR, "knowledge", "%s", error_format(&indexing->error, text, sizeof text));
    else if (indexing->status == 0)
        log_event(LOG_INFO, "knowledge", "indexed: %d new, %d changed, %d unchanged, %d removed, %d skipped; %lld passages", report->n_new,
                  report->n_changed, report->n_unchanged, report->n_removed, report->n_skipped, (long long)report->n_passages);
    if (indexing->again && !indexing->cancelled)
        knowing_index(indexing->service);
}

void knowing_index(struct service *service)
{
    struct indexing *indexing = service->indexing;
    const struct config *config = service->snapshot->config;
    if (config->knowledge.folder == NULL || service->encoder == NULL)
        return;
    indexing->again = indexing->runs;
    if (indexing->runs)
        return;
    indexing->config = config_hold(config);
    indexing->report = (struct knowledge_report){0};
    indexing->runs = uv_queue_work(&service->loop, &indexing->work, on_work, on_worked) == 0;
    if (!indexing->runs)
        config_drop(indexing->config);
}

void knowing_stop(struct service *service)
{
    service->indexing->cancelled = 1;
}

int knowing_open(struct service *service, struct error *err)
{
    const struct config *config = service->snapshot->config;
    char path[4096];
    service->indexing = calloc(1, sizeof *service->indexing);
    if (service->indexing == NULL)
        return error_set(err, WEIR_E_MEMORY, "knowledge", "out of memory");
    service->indexing->service = service;
    service->indexing->work.data = service->indexing;
    if (config->knowledge.folder != NULL && service->encoder == NULL)
        log_event(LOG_WARN, "knowledge", "nothing is found in %s: there is no encoder", config->knowledge.folder);
    snprintf(path, sizeof path, "%s/knowledge.db", config->data_dir);
    return knowledge_open(&service->knowledge, path, err);
}

void knowing_close(struct service *service)
{
    knowledge_close(service->knowledge);
    free(service->indexing);
}

/* ------------------------------------------------------------------ searching */

bool knowing_wanted(const struct request *request)
{
    return request->snapshot->config->knowledge.folder != NULL && request->service->encoder != NULL && request->api.kind == API_CHAT &&
           (request->name.kind == NAME_AUTO || request->name.kind == NAME_LOCAL) && request->chat != NULL && request->api.tools == NULL && api_last_turn(&request->api).n > 0;
}

void knowing_search(struct request *request)
{
    const struct config *config = request->snapshot->config;
    struct error err = {0};
    const float *embedding;
    int n_embd;
    if (!knowing_wanted(request))
        return;
    /* A turn that leans on earlier ones ("and on Linux?") was scored together with them. */
    str question = request->scored && request->score.text.n > 0 ? request->score.text : api_last_turn(&request->api);
    struct knowledge_found *known = arena_alloc(&request->arena, sizeof *known);
    int status = known != NULL ? scoring_embed(request, question, &embedding, &n_embd, &err) : WEIR_E_MEMORY;
    if (status == 0)
        status = knowledge_search(request->service->knowledge, question, embedding, n_embd, config->knowledge.passages, &request->arena, known, &err);
    if (status < 0)
        log_event(LOG_WARN, "knowledge", "%s: %s: %s", request->decision_id, err.where, err.text);
    else
        request->known = known;
}

bool knowing_used(const struct request *request)
{
    return request->known != NULL && knowledge_covers(request->known, request->snapshot->config->knowledge.likeness);
}

bool knowing_drop_last(struct request *request)
{
    if (!knowing_used(request))
        return false;
    request->known->n--;
    return true;
}

/* ------------------------------------------------------------------ the prompt */

int knowing_ground(struct request *request)
{
    str question = api_last_turn(&request->api);
    struct buffer prompt;
    request->api.grounded = (str){NULL, 0};
    if (!knowing_used(request))
        return 0;
    buffer_init(&prompt, MOST_PROMPT_BYTES + question.n);
    for (int i = request->known->n - 1; i >= 0; i--) { /* The best stands next to the question: a small model looks there first. */
        const struct knowledge_hit *hit = &request->known->items[i];
        buffer_printf(&prompt, "[%d] " STR_FMT "%s" STR_FMT "\n", i + 1, STR_ARG(hit->heading), hit->heading.n > 0 ? ": " : "", STR_ARG(hit->text));
    }
    buffer_append_text(&prompt, "\nUse the text above to answer, and name its number like [1]: ");
    buffer_append_str(&prompt, question);
    const char *copy = prompt.failed ? NULL : arena_strdup(&request->arena, buffer_str(&prompt));
    request->api.grounded = (str){copy, copy != NULL ? prompt.n : 0};
    buffer_release(&prompt);
    return copy != NULL ? 0 : WEIR_E_MEMORY;
}

/* ------------------------------------------------------------------ citations */

static int64_t code_points(str text)
{
    int64_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    return n;
}

/* Which characters of the answer a passage stands behind: its mark, else the whole. False: it is not cited. */
static bool find_cited(const struct knowledge_hit *hit, int number, str text, int64_t *start, int64_t *end)
{
    char mark[16];
    int n = snprintf(mark, sizeof mark, "[%d]", number);
    ptrdiff_t at = str_find(text, (str){mark, (size_t)n});
    if (at >= 0) {
        *start = code_points((str){text.data, (size_t)at});
        *end = *start + n;
        return true;
    }
    *start = 0;
    *end = code_points(text);
    return terms_support(text, hit->text) >= least_support;
}

str knowing_cite(struct request *request, str text)
{
    struct buffer out;
    str none = {NULL, 0};
    if (!knowing_used(request) || request->decision.kind != ROUTE_LOCAL)
        return none;
    buffer_init(&out, MOST_CITATION_BYTES);
    for (int i = 0; i < request->known->n; i++) {
        const struct knowledge_hit *hit = &request->known->items[i];
        int64_t start, end;
        if (!find_cited(hit, i + 1, text, &start, &end))
            continue;
        char lines[48];
        snprintf(lines, sizeof lines, "#L%d-L%d", hit->first_line, hit->last_line);
        char *url = arena_printf(&request->arena, STR_FMT "%s", STR_ARG(hit->path), lines);
        buffer_printf(&out, "%s{\"type\":\"url_citation\",\"url_citation\":{\"start_index\":%lld,\"end_index\":%lld,\"title\":", out.n > 0 ? "," : "[",
                      (long long)start, (long long)end);
        buffer_append_json_string(&out, hit->heading.n > 0 ? hit->heading : hit->path);
        buffer_append_text(&out, ",\"url\":");
        buffer_append_json_string(&out, str_of(url));
        buffer_append_text(&out, "}}");
    }
    if (out.n > 0)
        buffer_append_char(&out, ']');
    const char *copy = out.failed || out.n == 0 ? NULL : arena_strdup(&request->arena, buffer_str(&out));
    str cited = {copy, copy != NULL ? out.n : 0};
    buffer_release(&out);
    return cited;
}
