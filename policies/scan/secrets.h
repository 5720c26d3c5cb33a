/* Secrets: keys, tokens and passwords, by gitleaks' rules. */
#ifndef WEIR_POLICIES_SCAN_SECRETS_H
#define WEIR_POLICIES_SCAN_SECRETS_H

#include "scan/scan.h"

size_t secret_entity_count(void);
const struct entity *secret_entity(size_t index);
ptrdiff_t secret_entity_index(const struct entity *entity); /* -1: none of them. */

#endif
