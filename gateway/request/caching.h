/* The answer cache's part in a request. Private to request/.
 *
 * Order: the policy scan comes first, then the look-up of the very same question; on a miss the score, whose embedding the look-up
 * by meaning uses again; then decide(), which is told what was found. What was found is an input of the decision, not a way
 * around it: the row and the outcome are written as for any other route. */
#ifndef WEIR_REQUEST_CACHING_H
#define WEIR_REQUEST_CACHING_H

#include "request/request.h"

/* Opens the empty cache with a secret of its own. */
int caching_open(struct service *service, struct error *err) WEIR_CHECKED;
void caching_close(struct service *service);
/* A new configuration, pack or price list is in force: everything is forgotten. */
void caching_reload(struct service *service);

/* Loop thread, when a request is opened: what its Cache-Control asks for. */
void caching_begin(struct request *request, const struct http_request *http);
/* Worker: look-up of the very same question. True: found, nothing else need be prepared. */
bool caching_find(struct request *request);
/* Worker, after the score: look-up by meaning. */
bool caching_find_similar(struct request *request);
/* Might caching_find_similar have to run the encoder? */
bool caching_embeds(const struct request *request);

/* Answers from the cache. */
void request_answer_cached(struct request *request);
/* Must the text of a streamed answer be gathered, because it will be kept? */
bool caching_gathers(const struct request *request);
/* The answer being made has more than text: it won't be kept. */
void caching_spoil(struct request *request);
/* A provider's whole answer object. */
void caching_take_answer(struct request *request, const json_t *answer);
/* An answer has gone out whole, status 200. Keeps it where it may be kept. */
void caching_keep(struct request *request, const char *finish_reason);

/* Answers `cache.clear` and `cache.stats` of the admin socket; NULL: neither was asked. New reference. */
json_t *caching_admin(void *service, const json_t *question);

#endif
