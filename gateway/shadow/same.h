/* Do two answers say the same, so plainly that nobody need judge? */
#ifndef WEIR_SHADOW_SAME_H
#define WEIR_SHADOW_SAME_H

#include "weir_base.h"

/* True: they are the same text but for blanks, and (where a text looks like prose: one line, nothing of code) for the case of ASCII
 * letters, emphasis and marks at the end; or each of them is nothing but the same option (a letter from A to H) or the same number, however
 * wrapped ("B", "(b).", "The answer is B"; "1,200", "1200.0"). Everything else may differ in meaning: false. Pure; any thread. */
bool shadow_same(str a, str b);

#endif
