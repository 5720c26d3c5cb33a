/* Local reranking on a worker. With a cross-encoder (models.reranker) each document is read together with the query and scored by the
 * logistic function of its one logit (Nogueira and Cho 2019); without one the scores are cosines of the encoder's embeddings. */
#include "request/request.h"

#include <math.h>

struct ranked {
    size_t index;
    double score;
};

static int by_score(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

static int score_pairs(struct request *request, struct ranked *ranked, size_t n, struct error *err)
{
    struct model *reranker = request->service->reranker;
    const struct tokenizer *tokenizer = model_tokenizer_peek(reranker);
    if (tokenizer == NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, "reranker", "has no tokenizer");
    int status = 0;
    for (size_t i = 0; i < n && status == 0; i++) {
        struct ids ids = {0}, types = {0};
        float logit = 0;
        status = tokenizer_encode_pair(tokenizer, request->api.texts[0].text, request->api.texts[i + 1].text, (size_t)model_info_peek(reranker)->n_context,
                                       &ids, &types, err);
        struct encoder_input input = {ids.data, types.data, ids.n};
        if (status == 0)
            status = model_classify(reranker, &input, &logit, err);
        request->usage.prompt_tokens += (int64_t)ids.n;
        ranked[i].score = 1 / (1 + exp(-(double)logit));
        ids_release(&ids);
        ids_release(&types);
    }
    return status;
}

static int score_embeddings(struct request *request, struct ranked *ranked, size_t n, struct error *err)
{
    struct model *encoder = request->service->encoder;
    size_t width = (size_t)model_info_peek(encoder)->n_embd;
    struct ids *ids = calloc(n + 1, sizeof *ids);
    struct encoder_input *inputs = calloc(n + 1, sizeof *inputs);
    float *vectors = calloc(n + 1, width * sizeof *vectors);
    int status = ids != NULL && inputs != NULL && vectors != NULL ? 0 : error_set(err, WEIR_E_MEMORY, "documents", "do not fit into memory");
    for (size_t i = 0; i <= n && status == 0; i++) {
        status = model_text_ids(encoder, request->api.texts[i].text, &ids[i], err);
        inputs[i] = (struct encoder_input){.ids = ids[i].data, .n = ids[i].n};
        request->usage.prompt_tokens += (int64_t)ids[i].n;
    }
    if (status == 0)
        status = model_embed(encoder, inputs, n + 1, vectors, err);
    for (size_t i = 0; i < n && status == 0; i++) {
        double dot = 0, a = 0, b = 0;
        for (size_t k = 0; k < width; k++) {
            double x = (double)vectors[k], y = (double)vectors[(i + 1) * width + k];
            dot += x * y;
            a += x * x;
            b += y * y;
        }
        ranked[i].score = a > 0 && b > 0 ? dot / sqrt(a * b) : 0;
    }
    for (size_t i = 0; ids != NULL && i <= n; i++)
        ids_release(&ids[i]);
    free(ids);
    free(inputs);
    free(vectors);
    return status;
}

static void write_answer(struct request *request, const struct ranked *ranked, size_t n, str model)
{
    struct buffer *out = &request->out;
    size_t top = (uint64_t)request->api.top_n < n ? (size_t)request->api.top_n : n;
    buffer_printf(out, "{\"id\":\"rerank-%s\",\"object\":\"list\",\"model\":", request->decision_id);
    buffer_append_json_string(out, model);
    buffer_append_text(out, ",\"results\":[");
    for (size_t i = 0; i < top; i++) {
        buffer_printf(out, "%s{\"index\":%zu,\"relevance_score\":%.9g", i > 0 ? "," : "", ranked[i].index, ranked[i].score);
        if (request->api.return_documents) {
            buffer_append_text(out, ",\"document\":{\"text\":");
            buffer_append_json_string(out, request->api.texts[ranked[i].index + 1].text);
            buffer_append_char(out, '}');
        }
        buffer_append_char(out, '}');
    }
    buffer_printf(out, "],\"usage\":{\"prompt_tokens\":%lld,\"total_tokens\":%lld}}", (long long)request->usage.prompt_tokens,
                  (long long)request->usage.prompt_tokens);
}

int rerank_compute(struct request *request, struct error *err)
{
    size_t n = request->api.n_texts - 1;
    struct model *reranker = request->service->reranker;
    struct ranked *ranked = calloc(n, sizeof *ranked);
    if (ranked == NULL)
        return error_set(err, WEIR_E_MEMORY, "documents", "do not fit into memory");
    for (size_t i = 0; i < n; i++)
        ranked[i].index = i;
    int status = reranker != NULL ? score_pairs(request, ranked, n, err) : score_embeddings(request, ranked, n, err);
    if (status == 0) {
        qsort(ranked, n, sizeof *ranked, by_score);
        write_answer(request, ranked, n, str_of(model_info_peek(reranker != NULL ? reranker : request->service->encoder)->name));
        if (request->out.failed)
            status = error_set(err, WEIR_E_LIMIT, "documents", "the answer is larger than this server gives");
    }
    free(ranked);
    return status;
}
