/* How a line of `weir generate` wants its answer drawn: its own members win over the command line's options. */
#ifndef WEIR_CLI_LINE_SAMPLING_H
#define WEIR_CLI_LINE_SAMPLING_H

#include "weir_runtime.h"

/* Takes temperature, top_p, top_k, min_p, the penalties, max_tokens, ignore_eos, context_shift, n_keep, seed, adapter and stop of the line into *s. Texts are
 * the line's; stops: where s->stops points then. err.where names the member. */
int line_sampling(const json_t *line, struct sampling *s, str stops[SAMPLING_MAX_STOPS], struct error *err) WEIR_CHECKED;

#endif
