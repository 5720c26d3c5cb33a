/* Standing: what answers now, here and there, so that labels of it (ratings, shadow samples, thresholds moved by them) outlive a change of
 * configuration or a restart that leaves it as it is. Private to request/. Loop thread. */
#ifndef WEIR_REQUEST_STANDING_H
#define WEIR_REQUEST_STANDING_H

#include "ledger/reader.h"
#include "request/service.h"

/* Sets snapshot->answers_id: of the answering model and how it draws, the encoder that scores are made with, the remote targets of `auto` in their order,
 * what is asked of a local answer before it goes out (cascade), and what joins the score (probe). Prices, keys, limits, policies, addresses
 * and other tenants' targets are no part of it. After the models are open. */
void standing_set(const struct service *service, struct snapshot *snapshot);

struct standing {
    struct ledger_scope scope; /* Borrows from the service's snapshot and head, and from: */
    char judge[320];
};
void standing_get(const struct service *service, struct standing *out);

#endif
