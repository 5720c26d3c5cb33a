/* Scoring: what the classifier expects of the local and of a remote answer. A failure is no score, and no score keeps the
 * query here. The scorer may be used by several workers at a time. */
#include "request/scoring.h"

int scoring_open(struct classifier **out, const struct config *config, struct model *encoder, struct classifier *present, struct error *err)
{
    *out = NULL;
    if (config->head_path == NULL)
        return 0;
    uint64_t file = file_identity(config->head_path);
    if (present != NULL && file != 0 && file == present->file) {
        present->n_holders++;
        *out = present;
        return 0;
    }
    struct classifier *classifier = calloc(1, sizeof *classifier);
    if (classifier == NULL)
        return error_set(err, WEIR_E_MEMORY, config->head_path, "out of memory");
    classifier->n_holders = 1;
    classifier->file = file; /* As it was before it was read: one that is replaced meanwhile counts as another. */
    int status = head_open(&classifier->head, config->head_path, err);
    if (status == 0)
        status = scorer_new(&classifier->scorer, classifier->head, encoder, err);
    if (status < 0) {
        scoring_drop(classifier);
        return status;
    }
    if (present != NULL)
        log_event(LOG_INFO, "head_open", "%s: the classifier's head is %s now, where it was %s", config->head_path, head_id(classifier->head), head_id(present->head));
    *out = classifier;
    return 0;
}

void scoring_drop(struct classifier *classifier)
{
    if (classifier == NULL || --classifier->n_holders > 0)
        return;
    if (classifier->scorer != NULL)
        scorer_free(classifier->scorer);
    if (classifier->head != NULL)
        head_close(classifier->head);
    free(classifier);
}

bool scoring_wanted(const struct request *request)
{
    return request->snapshot->classifier != NULL && request->name.kind == NAME_AUTO && request->name.n_targets > 0 &&
           api_kind_generates(request->api.kind);
}

void scoring_run(struct request *request)
{
    struct error err = {0};
    if (!scoring_wanted(request))
        return;
    struct scorer *scorer = request->snapshot->classifier->scorer;
    int status = request->api.kind == API_CHAT
                     ? scorer_score_messages_within(scorer, request->api.messages, &request->limits, &request->arena, &request->score, &err)
                     : scorer_score_text_within(scorer, request->api.texts[0].text, &request->limits, &request->arena, &request->score, &err);
    request->scored = status == 0;
    request->p_question = request->score.p_local;
    if (status < 0)
        log_event(LOG_WARN, "score_failed", "%s: %s", request->decision_id, err.text);
}

int scoring_embed(struct request *request, str text, const float **out, int *n_embd, struct error *err)
{
    struct model *encoder = request->service->encoder;
    *n_embd = model_info_peek(encoder)->n_embd;
    if (request->scored && request->score.embedding != NULL && str_equal(request->score.text, str_trim(text))) {
        *out = request->score.embedding;
        return 0;
    }
    struct ids ids = {0};
    float *embedding = arena_array(&request->arena, (size_t)*n_embd, sizeof *embedding);
    int status = embedding != NULL ? model_text_ids(encoder, text, &ids, err) : error_set(err, WEIR_E_MEMORY, "embedding", "does not fit into memory");
    if (status == 0)
        status = model_embed(encoder, &(struct encoder_input){.ids = ids.data, .n = ids.n}, 1, embedding, err);
    ids_release(&ids);
    *out = status == 0 ? embedding : NULL;
    return status;
}

const char *scoring_head(const struct request *request)
{
    return request->scored ? head_id(request->snapshot->classifier->head) : NULL;
}

json_t *scoring_json(const struct request *request)
{
    return request->scored ? score_json(&request->score) : json_null();
}
