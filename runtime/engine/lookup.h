/* Look-up: guesses what follows by what followed the same tokens before, in the prompt or the answer (prompt look-up decoding,
 * Saxena 2023). Pays where answers repeat their prompt: edits, extraction, code. */
#ifndef WEIR_ENGINE_LOOKUP_H
#define WEIR_ENGINE_LOOKUP_H

#include "weir_runtime.h"

/* At most `most` guesses into out; returns how many: 0 when the last LOOKUP_SHORTEST tokens stand nowhere before. The longest
 * match wins, the latest among equals. Looks back over LOOKUP_WINDOW tokens. */
enum { LOOKUP_SHORTEST = 2, LOOKUP_LONGEST = 5, LOOKUP_WINDOW = 8192 };
int lookup_guess(const int32_t *ids, size_t n_ids, int most, int32_t *out);

#endif
