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

int probe_ask(enum probe_kind kind, struct engine *engine, const struct model *model, const char *adapter, const struct ids *prompt, const struct ids *answer,
              float *out, struct error *err)
{
    struct sampling sampling = {.adapter = adapter};
    struct session *session;
    struct session_event event;
    struct ids ids = {0};
    int status = 0;
    *out = NAN;
    for (size_t i = 0; i < prompt->n + (answer != NULL ? answer->n : 0) && status == 0; i++)
        status = ids_append(&ids, i < prompt->n ? prompt->data[i] : answer->data[i - prompt->n]);
    if (status == 0)
        status = probe_make(kind, model, &ids, &sampling, err);
    if (status == 0)
        status = engine_submit(engine, ids.data, ids.n, &sampling, NULL, NULL, &session, err);
    ids_release(&ids);
    if (status < 0)
        return status;
    while (session_wait(session, &event, -1) == 1)
        if (event.kind == SESSION_TOKEN)
            *out = probe_read(&event);
    session_free(session);
    return 0;
}
