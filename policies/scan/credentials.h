/* Credentials that no issuer's prefix betrays: what is assigned to a name that means a secret, and bare tokens. */
#ifndef WEIR_POLICIES_SCAN_CREDENTIALS_H
#define WEIR_POLICIES_SCAN_CREDENTIALS_H

#include "scan/scan.h"

size_t credential_entity_count(void);
const struct entity *credential_entity(size_t index);
ptrdiff_t credential_entity_index(const struct entity *entity); /* -1: none of them. */

/* credential_value.c: how likely the value of an assignment is a real one, 0: it is a placeholder, code, or nothing. */
float credential_quoted_score(str value);
float credential_bare_score(str value);
double entropy_bits(str s); /* Shannon's, of the bytes, per byte. */

#endif
