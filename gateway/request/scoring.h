/* The classifier's part in a request. Private to request/. */
#ifndef WEIR_REQUEST_SCORING_H
#define WEIR_REQUEST_SCORING_H

#include "request/request.h"

/* The classifier of the head that the configuration names, held, into *out; NULL: it names none. `present`, or NULL, is taken again where its
 * file is still the same. */
int scoring_open(struct classifier **out, const struct config *config, struct model *encoder, struct classifier *present, struct error *err) WEIR_CHECKED;
void scoring_drop(struct classifier *classifier); /* NULL is fine. */
/* Scores the query into request->score where its route depends on it; worker thread. */
void scoring_run(struct request *request);
/* Would scoring_run have something to do? Then it may take as long as an encoder pass. */
bool scoring_wanted(const struct request *request);
/* The encoder's embedding of a text into the request's arena; the score's own where it was made of the same text. Worker thread. */
int scoring_embed(struct request *request, str text, const float **out, int *n_embd, struct error *err) WEIR_CHECKED;
const char *scoring_head(const struct request *request); /* Id of the head that scored; NULL: none did. */
json_t *scoring_json(const struct request *request);     /* New reference; null when nothing was scored. */

#endif
