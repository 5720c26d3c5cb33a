/* Rules: kinds of text so plain that reading them is enough. */
#ifndef WEIR_CLASSIFIER_RULES_H
#define WEIR_CLASSIFIER_RULES_H

#include "weir_base.h"

enum rule { RULE_GREETING, RULE_SMALL_SUM, RULE_LARGE_SUM, N_RULES, RULE_NONE = -1 };

extern const char *const rule_names[N_RULES];

/* The rule a whole text falls under, or RULE_NONE. What the rule means for an answer, a head learns from its training data. */
enum rule rule_match(str text);

#endif
