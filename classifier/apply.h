/* Apply: a head's numbers for one text whose features are known. */
#ifndef WEIR_CLASSIFIER_APPLY_H
#define WEIR_CLASSIFIER_APPLY_H

#include "head.h"

/* Fills all of *out but tier, us and embedding. grams are weighed already; embedding NULL: from features alone. */
int head_value(const struct head *head, const float surface[N_SURFACE], const struct grams *grams, const float *embedding,
               struct score *out) WEIR_CHECKED;
/* Reads the features of a text and weighs them. Release the grams also after an error. */
int head_read(const struct head *head, str text, float surface[N_SURFACE], struct grams *grams) WEIR_CHECKED;

#endif
