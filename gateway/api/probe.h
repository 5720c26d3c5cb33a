/* Probe: a question put to the answering model about itself. A few words go behind a prompt (and an answer), and the probabilities of
 * "Yes" and "No" as the next word are read; the rest of the prompt is in the engine's prefix cache, so that only the words cost. */
#ifndef WEIR_API_PROBE_H
#define WEIR_API_PROBE_H

#include "weir_runtime.h"

enum probe_kind {
    PROBE_QUESTION, /* Can it be answered well here? Behind the prompt. */
    PROBE_ANSWER,  /* Is the answer, as far as it has come, right? */
};

/* Appends the words to ids and sets sampling (one token, greedy, log-probabilities of the two labels); the rest of sampling stays.
 * WEIR_E_UNSUPPORTED: the vocabulary has no two labels. */
int probe_make(enum probe_kind kind, const struct model *model, struct ids *ids, struct sampling *sampling, struct error *err) WEIR_CHECKED;
/* P(Yes) of the two, from the session's first token; NAN: the event has none. */
float probe_read(const struct session_event *event);
/* Asks and waits: P(Yes) behind the prompt, and the answer where it is about that (NULL: not); NAN: not a word of it. For threads that own
 * nothing else. */
int probe_ask(enum probe_kind kind, struct engine *engine, const struct model *model, const char *adapter, const struct ids *prompt, const struct ids *answer,
              float *out, struct error *err) WEIR_CHECKED;

#endif
