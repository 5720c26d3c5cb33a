/* Context shift: makes room at the end of the context by forgetting the older half of what follows the positions to keep. */
#ifndef WEIR_ENGINE_CONTEXT_SHIFT_H
#define WEIR_ENGINE_CONTEXT_SHIFT_H

#include "engine/session.h"

/* Drops ids until fewer than n_context are left. The caches keep what precedes the gap; the rest is to be computed again. */
void context_shift(struct session *session, int n_context, int rope_border);

#endif
