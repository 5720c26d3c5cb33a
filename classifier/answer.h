/* Answer: what a local answer's text and the model's confidence in it say of whether it is right. */
#ifndef WEIR_CLASSIFIER_ANSWER_H
#define WEIR_CLASSIFIER_ANSWER_H

#include "surface.h"
#include "weir_classifier.h"

/* N_SURFACE numbers of an answer beside its question, the N_CORE that say most first; each finite and in -20 … 20. */
void answer_form(str question, const struct answer *answer, float out[N_SURFACE]);

#endif
