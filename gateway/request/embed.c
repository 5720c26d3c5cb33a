/* What encoders answer. Local embeddings: tokens, one batched encoder pass, and the JSON of its vectors, all on a worker; reranking is rerank.c's. */
#include "request/request.h"

/* Ids of the special tokens around every text of this encoder: what it makes of nothing. */
static int wrap_ids(const struct tokenizer *tokenizer, const struct api_text *text, struct ids *out, struct error *err)
{
    struct ids bare = {0};
    int status = tokenizer_encode(tokenizer, STR(""), 0, &bare, err);
    bool wrapped = bare.n < 2 || (text->n_ids > 0 && text->ids[0] == bare.data[0]);
    if (status == 0 && !wrapped)
        status = ids_append(out, bare.data[0]);
    for (size_t i = 0; i < text->n_ids && status == 0; i++)
        status = ids_append(out, text->ids[i]);
    if (status == 0 && !wrapped)
        status = ids_append(out, bare.data[bare.n - 1]);
    ids_release(&bare);
    return status;
}

static int read_input(struct request *request, size_t index, struct ids *out, struct error *err)
{
    struct model *encoder = request->service->encoder;
    const struct model_info *info = model_info_peek(encoder);
    const struct api_text *text = &request->api.texts[index];
    const struct tokenizer *tokenizer = model_tokenizer_peek(encoder);
    for (size_t i = 0; i < text->n_ids; i++)
        if (text->ids[i] >= info->n_vocab)
            return error_set(err, WEIR_E_INVALID, "input", "token id %d is not in the encoder's vocabulary of %d", (int)text->ids[i], info->n_vocab);
    int status = text->ids != NULL ? wrap_ids(tokenizer, text, out, err) : tokenizer_encode(tokenizer, text->text, 0, out, err);
    if (status < 0)
        return status;
    if (out->n > (size_t)info->n_context) { /* Cut there; the closing token stays the last. */
        out->data[info->n_context - 1] = out->data[out->n - 1];
        out->n = (size_t)info->n_context;
    }
    return out->n > 0 ? 0 : error_set(err, WEIR_E_INVALID, "input", "an input has no tokens");
}

static int embed(struct request *request, struct ids *ids, struct error *err)
{
    struct model *encoder = request->service->encoder;
    const struct model_info *info = model_info_peek(encoder);
    size_t n = request->api.n_texts;
    struct encoder_input *inputs = calloc(n, sizeof *inputs);
    float *vectors = calloc(n, (size_t)info->n_embd * sizeof *vectors);
    int status = inputs != NULL && vectors != NULL ? 0 : error_set(err, WEIR_E_MEMORY, "input", "does not fit into memory");
    for (size_t i = 0; i < n && status == 0; i++) {
        status = read_input(request, i, &ids[i], err);
        inputs[i] = (struct encoder_input){.ids = ids[i].data, .n = ids[i].n};
        request->usage.prompt_tokens += (int64_t)ids[i].n;
    }
    if (status == 0)
        status = model_embed(encoder, inputs, n, vectors, err);
    if (status == 0) {
        embeddings_write(vectors, n, info->n_embd, request->api.base64, str_of(info->name), request->usage.prompt_tokens, &request->out);
        if (request->out.failed)
            status = error_set(err, WEIR_E_LIMIT, "input", "the answer is larger than this server gives");
    }
    free(inputs);
    free(vectors);
    return status;
}

static void on_work(uv_work_t *work)
{
    struct request *request = work->data;
    if (request->api.kind == API_RERANK) {
        (void)rerank_compute(request, &request->compute_error);
        return;
    }
    struct ids *ids = calloc(request->api.n_texts, sizeof *ids);
    if (ids == NULL) {
        error_set(&request->compute_error, WEIR_E_MEMORY, "input", "does not fit into memory");
        return;
    }
    (void)embed(request, ids, &request->compute_error);
    for (size_t i = 0; i < request->api.n_texts; i++)
        ids_release(&ids[i]);
    free(ids);
}

static void on_worked(uv_work_t *work, int status)
{
    struct request *request = work->data;
    const struct error *err = &request->compute_error;
    if (request->gone) {
        request_end(request, "cancelled", LEDGER_NULL, NULL, "client_closed");
    } else if (status < 0 || err->status < 0) {
        struct api_error error;
        bool theirs = err->status == WEIR_E_INVALID || err->status == WEIR_E_LIMIT;
        if (theirs)
            api_error_set(&error, 400, NULL, request->api.kind == API_RERANK ? "documents" : "input", "%s: %s", request->api.kind == API_RERANK ? "documents" : "input", err->text);
        else
            api_error_set(&error, 500, "local_model_failed", NULL, "The local encoder failed");
        if (!theirs)
            log_event(LOG_ERROR, "local_failed", "%s: %s", request->decision_id, err->text);
        request_fail(request, &error, theirs ? "refused" : "error");
    } else {
        request->usage_known = true;
        request->first_token_us = clock_now_us() - request->started_us;
        request_headers(request, true);
        reply_send(request->reply, 200, "application/json", buffer_str(&request->out));
        request->reply = NULL;
        request_end(request, "ok", 200, NULL, NULL);
    }
    request_unpin(request);
}

void request_embed(struct request *request)
{
    request_enter(request, REQUEST_COMPUTE);
    request->work.data = request;
    request->n_pins++;
    if (uv_queue_work(&request->service->loop, &request->work, on_work, on_worked) < 0)
        on_worked(&request->work, WEIR_E_IO);
}
