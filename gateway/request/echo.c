/* Log-probabilities of a prompt that a completion echoes: one causal pass over each prompt, on a worker, beside the engine. */
#include "request/request.h"

#include <math.h>

struct echo_pass {
    const struct ids *prompt;
    struct logprob_lists *lists;
    const struct tokenizer *tokenizer;
    int n_vocab;
    int n_top;
};

/* The k largest logits, sorted, as log-probabilities. */
static void find_top(const float *logits, int n_vocab, double log_sum, struct token_logprob *top, int k)
{
    int n = 0;
    for (int id = 0; id < n_vocab; id++) {
        if (n == k && logits[id] <= top[n - 1].logprob)
            continue;
        int at = n < k ? n++ : k - 1;
        while (at > 0 && top[at - 1].logprob < logits[id]) {
            top[at] = top[at - 1];
            at--;
        }
        top[at] = (struct token_logprob){.id = id, .logprob = logits[id]};
    }
    for (int i = 0; i < n; i++)
        top[i].logprob = (float)((double)top[i].logprob - log_sum);
}

static int on_row(void *user, size_t position, const float *logits)
{
    struct echo_pass *pass = user;
    if (position + 1 >= pass->prompt->n)
        return 0;
    double largest = -INFINITY, sum = 0;
    for (int i = 0; i < pass->n_vocab; i++)
        largest = (double)logits[i] > largest ? (double)logits[i] : largest;
    for (int i = 0; i < pass->n_vocab; i++)
        sum += exp((double)logits[i] - largest);
    double log_sum = largest + log(sum);
    struct token_logprob top[SAMPLING_MAX_TOP_LOGPROBS];
    if (pass->n_top > 0)
        find_top(logits, pass->n_vocab, log_sum, top, pass->n_top);
    int32_t id = pass->prompt->data[position + 1];
    struct token_logprob chosen = {.id = id, .logprob = (float)((double)logits[id] - log_sum)};
    logprob_lists_append(pass->lists, API_COMPLETIONS, pass->tokenizer, &id, &chosen, top, 1, pass->n_top);
    return 0;
}

static void on_work(uv_work_t *work)
{
    struct request *request = work->data;
    struct model *model = request->chat->model;
    for (int i = 0; i < request->n_choices; i++) {
        const struct ids *prompt = &request->prompts[i / request->api.best_of];
        struct echo_pass pass = {prompt, &request->choices[i].logprobs, model_tokenizer_peek(model), model_info_peek(model)->n_vocab,
                                 request->api.n_top_logprobs};
        if (prompt->n == 0)
            continue;
        logprob_lists_append(pass.lists, API_COMPLETIONS, pass.tokenizer, prompt->data, NULL, NULL, 1, 0); /* Nothing precedes the first. */
        if (model_logits(model, prompt->data, prompt->n, on_row, &pass, &request->compute_error) < 0)
            return;
    }
}

static void on_worked(uv_work_t *work, int status)
{
    struct request *request = work->data;
    if (request->gone) {
        request_end(request, "cancelled", LEDGER_NULL, NULL, "client_closed");
    } else if (status < 0 || request->compute_error.status < 0) {
        struct api_error error;
        log_event(LOG_ERROR, "local_failed", "%s: %s", request->decision_id, request->compute_error.text);
        api_error_set(&error, 500, "local_model_failed", NULL, "The local model failed");
        request_fail(request, &error, "error");
    } else {
        local_begin(request);
    }
    request_unpin(request);
}

void request_echo(struct request *request)
{
    request_enter(request, REQUEST_COMPUTE);
    request->work.data = request;
    request->n_pins++;
    if (uv_queue_work(&request->service->loop, &request->work, on_work, on_worked) < 0)
        on_worked(&request->work, WEIR_E_IO);
}
