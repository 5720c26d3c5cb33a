/* Apply: a head's numbers for one text whose features are known. */
#ifndef WEIR_CLASSIFIER_APPLY_H
#define WEIR_CLASSIFIER_APPLY_H

#include "head.h"

/* Fills all of *out but tier, us and embedding. grams are weighed already; embedding and inner (model_embed_inner) NULL: from
 * features alone. */
int head_value(const struct head *head, const float surface[N_SURFACE], const struct grams *grams, const float *embedding,
               const float *inner, struct score *out) WEIR_CHECKED;
/* Whether a rule of the head answers for a text, and what it answers. */
bool head_rule_value(const struct head *head, str text, struct score *out);
/* Whether features alone are sure enough of a text. */
bool head_settles(const struct head *head, const struct score *score);
/* p_local and gain of a score, by the answer; head->answer must be present. */
int head_answer_value(const struct head *head, str question, const struct answer *answer, struct score *score) WEIR_CHECKED;
/* Reads the features of a text and weighs them. Release the grams also after an error. */
int head_read(const struct head *head, str text, float surface[N_SURFACE], struct grams *grams) WEIR_CHECKED;

#endif
