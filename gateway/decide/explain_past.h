/* What an explained decision is given of the past, where no daemon remembers it: the ledger's ratings and samples, the turn before as the caller tells it,
 * and by name what only a running Weir knows. Private to decide/explain.c. */
#ifndef WEIR_DECIDE_EXPLAIN_PAST_H
#define WEIR_DECIDE_EXPLAIN_PAST_H

#include "api/api_request.h"
#include "decide/explain.h"
#include "feedback/drift.h"
#include "goals/goals.h"

/* The tests of drift by the labels that are in force. */
int explain_drift(struct explainer *explainer, const char *ledger_path, const struct ledger_scope *scope, struct error *err) WEIR_CHECKED;
bool explain_alarmed(const struct explainer *explainer);
/* A turn that follows another: explainer->earlier as conversation/conversation.h would have noted it a moment ago. */
void explain_conversation(const struct explainer *explainer, const struct api_request *request, const struct name *name, int64_t prompt_tokens,
                          struct decide_inputs *inputs);
/* New reference: words for what may make a running Weir's decision another one. */
json_t *explain_unknown(const struct explainer *explainer, const struct api_request *request, const struct name *name);

#endif
