/* See probe.h. Any thread. The words are plain text after whatever the prompt's end is, not a turn of their own: so they need nothing
 * of the template, and the cache holds all that stands before them. */
#include "api/probe.h"

#include <math.h>

static const char *const words[] = {[PROBE_QUESTION] = "Am I able to answer this correctly, Yes or No? Answer:",
                                    [PROBE_ANSWER] = "\n\nIs the answer above right, Yes or No? Answer:"};
static const char *const labels[] = {" Yes", " No"};

static int label_id(const struct tokenizer *tokenizer, const char *label, int32_t *out, struct error *err)
{
    struct ids ids = {0};
    int status = tokenizer_encode(tokenizer, str_of(label), TOKENIZE_BARE, &ids, err);
    if (status == 0 && ids.n == 0)
        status = error_set(err, WEIR_E_UNSUPPORTED, "probe", "the vocabulary has no%s", label);
    if (status == 0)
        *out = ids.data[ids.n - 1]; /* Before it, perhaps, the blank alone. */
    ids_release(&ids);
    return status;
}

int probe_make(enum probe_kind kind, const struct model *model, struct ids *ids, struct sampling *sampling, struct error *err)
{
    const struct tokenizer *tokenizer = model_tokenizer_peek(model);
    int status = tokenizer_encode(tokenizer, str_of(words[kind]), TOKENIZE_BARE, ids, err);
    for (int i = 0; i < 2 && status == 0; i++)
        status = label_id(tokenizer, labels[i], &sampling->labels[i], err);
    if (status == 0 && sampling->labels[0] == sampling->labels[1])
        status = error_set(err, WEIR_E_UNSUPPORTED, "probe", "the vocabulary has one beginning for Yes and No");
    sampling->logprobs = true;
    sampling->n_labels = sampling->n_top_logprobs = 2;
    sampling->max_tokens = 1;
    sampling->ignore_end = true;
    return status;
}

float probe_read(const struct session_event *event)
{
    if (event->kind != SESSION_TOKEN || event->n_tokens < 1 || event->top == NULL || event->n_top != 2)
        return NAN;
    return 1 / (1 + expf(event->top[1].logprob - event->top[0].logprob));
}
