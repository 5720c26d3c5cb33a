/* Surface: what a text's form says without a model and without knowing its words. Deterministic, independent of the locale. */
#ifndef WEIR_CLASSIFIER_SURFACE_H
#define WEIR_CLASSIFIER_SURFACE_H

#include "weir_base.h"

enum { N_SURFACE = 48, N_CORE = 20 };

/* Length, digits, lines, marks of code and of questions, kinds of words, and the form of the choices a text offers, if any.
 * Each is finite and at most 20. Looks at the first 8 KB and the last 8 KB of a longer text. */
void feature_surface(str text, float out[N_SURFACE]);

#endif
