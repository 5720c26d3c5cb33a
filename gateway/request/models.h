/* GET /v1/models and /v1/models/{id}, and what endpoints outside request.c share. Private to request/. */
#ifndef WEIR_REQUEST_MODELS_H
#define WEIR_REQUEST_MODELS_H

#include "api/api_error.h"
#include "request/service.h"

void models_list(struct service *service, struct reply *reply);
void models_show(struct service *service, struct reply *reply);
/* A whole answer that is none of a request of its own: with x-request-id, as all have it. */
void reply_whole(struct reply *reply, int status, const char *content_type, str body);
/* Sends an error object with a request id. */
void reply_api_error(struct reply *reply, const struct api_error *error);
/* Answers 401 and gives true when a key is required and the request has none that is good. */
bool reply_needs_key(struct service *service, struct reply *reply);

#endif
