/* Clearance: the token without which the upstream client sends nothing. It can only be minted from a policy verdict that
 * permits the provider, and is bound to the SHA-256 of the very bytes and to the provider's name; it is good for one send. */
#ifndef WEIR_UPSTREAM_CLEARANCE_H
#define WEIR_UPSTREAM_CLEARANCE_H

#include "config/config.h"

struct clearance;

/* provider: index into config.providers, which the verdict's bits follow. redacted: body was made from redacted fields
 * (redaction_apply); without it a verdict of EFFECT_REDACT mints nothing. WEIR_E_DENIED otherwise. */
int clearance_mint(struct clearance **out, const struct verdict *verdict, const struct config *config, int provider,
                   str body, bool redacted, struct error *err) WEIR_CHECKED;
void clearance_free(struct clearance *clearance); /* NULL is fine. */
/* Uses it up: 0 when it is fresh and fits provider and body, else WEIR_E_DENIED. */
int clearance_spend(struct clearance *clearance, const char *provider, str body, struct error *err) WEIR_CHECKED;
/* Hex digest of the cleared bytes, for the attempt's row. */
const char *clearance_sha256_peek(const struct clearance *clearance);

#endif
