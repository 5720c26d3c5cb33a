/* Turning pseudonyms back in a provider's answer. Private to request/. */
#ifndef WEIR_REQUEST_RESTORE_H
#define WEIR_REQUEST_RESTORE_H

#include "request/request.h"

/* The answer object with its texts turned back; the same object when nothing was redacted. New reference. */
json_t *restore_answer(const struct request *request, const json_t *answer);
/* A stream's delta with the arguments of its tool calls turned back as far as is certain. New reference. */
json_t *restore_delta(struct request *request, int choice, const json_t *delta);
/* What the calls of a finished choice still hold back, as a delta; NULL: nothing. New reference. */
json_t *restore_held_arguments(struct request *request, int choice);

#endif
