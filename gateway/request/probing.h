/* Probing: where the score is near the threshold the answering model itself is asked, before it answers, whether it can answer well. See
 * probing.c. Loop thread. */
#ifndef WEIR_REQUEST_PROBING_H
#define WEIR_REQUEST_PROBING_H

#include "request/request.h"

/* Between the inputs and the decision: true: the model is being asked, and request_decide follows. */
bool probing_begin(struct request *request);
/* Something is new in a session. */
void probing_pump(struct request *request);
void probing_cancel(struct request *request);
/* What a configured probe lacks, as cascade_lacks. */
const char *probing_lacks(const struct config *config, const struct head *head);
void probing_open(const struct service *service);

#endif
