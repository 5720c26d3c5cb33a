/* Surface: what a text's form says without a model and without knowing its words. Deterministic, independent of the locale. */
#ifndef WEIR_CLASSIFIER_SURFACE_H
#define WEIR_CLASSIFIER_SURFACE_H

#include "quantities.h"
#include "work.h"

enum { N_MARKS = 48, N_SURFACE = N_MARKS + N_QUANTITIES + N_WORK, N_CORE = 20 };

/* Length, digits, lines, marks of code and of questions, kinds of words, and the form of the choices a text offers, if any; its
 * quantities (quantities.h); the work that those let expect (work.h). Each is finite and at most 20. Looks at the first 8 KB and the
 * last 8 KB of a longer text. */
void feature_surface(str text, float out[N_SURFACE]);

#endif
