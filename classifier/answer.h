/* Answer: what a local answer's text and the model's confidence in it say of whether it is right. */
#ifndef WEIR_CLASSIFIER_ANSWER_H
#define WEIR_CLASSIFIER_ANSWER_H

#include "surface.h"
#include "weir_classifier.h"

enum { N_CHECKS = 48, N_ANSWER = N_CHECKS + 48 };

/* N_ANSWER numbers of an answer beside its question, its checks first; each finite and in -20 … 20. */
void answer_form(str question, const struct answer *answer, float out[N_ANSWER]);
/* The checks: do its equations hold and lead to its result, do they use the question's numbers, is the work about as much as the
 * question lets expect (work.h), does it end, does it repeat itself. */
void answer_checks(str question, str text, float out[N_CHECKS]);

#endif
