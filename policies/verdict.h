/* Evaluation over findings that are already there: what the matrix asks. */
#ifndef WEIR_POLICIES_VERDICT_H
#define WEIR_POLICIES_VERDICT_H

#include "weir_policies.h"

/* As policy_evaluate, but with these findings instead of a scan when found is not NULL. */
int policy_evaluate_found(const struct pack *pack, const struct policy_query *query, const struct findings *found, struct arena *arena,
                          struct verdict **out, struct error *err) WEIR_CHECKED;

#endif
