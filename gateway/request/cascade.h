/* Cascade: a local answer to `auto` is held back until it has been judged; a weak one leaves before anything of it was sent, and what
 * was held goes on if nobody else can answer. See cascade.c. Loop thread. */
#ifndef WEIR_REQUEST_CASCADE_H
#define WEIR_REQUEST_CASCADE_H

#include "request/request.h"

/* Says in the log what a configured cascade lacks. At start and at a reload. */
void cascade_open(const struct service *service);
/* The same as a sentence, for `weir check`; NULL: it lacks nothing, or is off. head NULL: none. */
const char *cascade_lacks(const struct config *config, const struct head *head);

/* Before the local sessions of a request begin: is this answer to be held back? */
void cascade_begin(struct request *request);
/* What the session of a held answer must report. */
void cascade_sampling(const struct request *request, struct sampling *sampling);
/* Nothing may be sent now. */
bool cascade_holds(const struct request *request);
/* After each event of a held answer. False: it waits, or has left, or the request is no more; else go on. */
bool cascade_pass(struct request *request, const struct session_event *event);
/* At the beginning of a pump: false as cascade_pass. */
bool cascade_resume(struct request *request);
/* Nobody else answers: what was held goes on as if it had not left. False: nothing is held, or another has begun to answer. */
bool cascade_return(struct request *request);
/* The other's answer has waited so long that what is held should be sent. */
bool cascade_is_late(const struct request *request, int64_t now_us);
/* Frees what is held: another has begun to answer, or the request ends. */
void cascade_release(struct request *request);
/* The answer was judged weak and left. */
bool cascade_left(const struct request *request);

#endif
