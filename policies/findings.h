/* Growing and settling lists of findings. */
#ifndef WEIR_POLICIES_FINDINGS_H
#define WEIR_POLICIES_FINDINGS_H

#include "weir_policies.h"

int findings_append(struct findings *findings, struct finding finding) WEIR_CHECKED;
/* Puts the items from `first` on into order and drops those that lie inside another of their type (the better score stays). */
void findings_settle(struct findings *findings, size_t first);

#endif
