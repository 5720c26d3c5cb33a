/* The documents' part in a request. Private to request/.
 *
 * For a chat that may be answered here (`auto`, `local`) the passages that bear on its last turn are searched before the decision.
 * Where they cover it, `auto` stays here and the local model reads them in front of the question; its answer carries citations of
 * those it leans on. Passages go into the local model's prompt and nowhere else: the body that a provider may get is the caller's. */
#ifndef WEIR_REQUEST_KNOWING_H
#define WEIR_REQUEST_KNOWING_H

#include "request/request.h"

/* Opens the index of the data folder, which need not be there. */
int knowing_open(struct service *service, struct error *err) WEIR_CHECKED;
void knowing_close(struct service *service);
/* Loop thread: indexes the configured folder on a worker; asked again while one runs, once more after it. */
void knowing_index(struct service *service);
/* The loop is to end: what runs is broken off. */
void knowing_stop(struct service *service);

/* Might knowing_search have to run the encoder? */
bool knowing_wanted(const struct request *request);
/* Worker: fills request->known. */
void knowing_search(struct request *request);
/* Do its passages stand before the question? */
bool knowing_used(const struct request *request);
/* Puts the passages in front of the question (request->api.grounded). WEIR_E_MEMORY. */
int knowing_ground(struct request *request) WEIR_CHECKED;
/* One passage fewer, because the prompt is too long. False: there is none left. */
bool knowing_drop_last(struct request *request);
/* The citations of a finished answer as a JSON array in the request's arena; empty: none. */
str knowing_cite(struct request *request, str text);

#endif
