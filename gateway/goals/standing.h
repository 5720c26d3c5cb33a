/* Standing: what answers now, here and there, so that labels of it (ratings, shadow samples, thresholds moved by them) outlive a change of
 * configuration or a restart that leaves it as it is. Pure functions. */
#ifndef WEIR_GOALS_STANDING_H
#define WEIR_GOALS_STANDING_H

#include "config/config.h"
#include "ledger/reader.h"
#include "weir_classifier.h"

enum { STANDING_ID_BYTES = 17 };

/* answers_id: of the answering model and how it draws, the encoder that scores are made with, the remote targets of `auto` in their order,
 * what is asked of a local answer before it goes out (cascade), and what joins the score (probe). Prices, keys, limits, policies, addresses
 * and tenants' targets are no part of it. Models NULL: none. Without memory: "", not known. */
void standing_id(const struct config *config, const struct model *chat, const struct model *encoder, char out[STANDING_ID_BYTES]);

struct standing {
    struct ledger_scope scope; /* Borrows from what it was made of, and from: */
    char judge[320];
};
/* head NULL: none. */
void standing_of(const struct config *config, const struct head *head, const char *answers_id, struct standing *out);
/* Does a decision that was made for max_regret under a configuration say whether what the tenant is promised now holds? Under this one: yes; else where
 * the tenant's target is the same. */
bool standing_is_target(const struct config *config, const char *tenant, double max_regret, const char *config_sha256);

#endif
