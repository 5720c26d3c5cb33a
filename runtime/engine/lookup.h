/* Look-up: guesses what follows by what followed the same tokens before, in the prompt or the answer (prompt look-up decoding,
 * Saxena 2023). Pays where answers repeat their prompt or themselves: edits, extraction, code, lists. */
#ifndef WEIR_ENGINE_LOOKUP_H
#define WEIR_ENGINE_LOOKUP_H

#include "weir_runtime.h"

/* How often guesses came true, by the length of their match, lately. */
struct lookup_record {
    float tried[2], right[2]; /* The first guess, and those behind a right one. */
};

enum { LOOKUP_LONGEST = 8, LOOKUP_WINDOW = 8192 };

/* At most `most` guesses into out; returns how many, 0 when the last token stands nowhere before. *length: of the match, 1 to LOOKUP_LONGEST.
 * The longest match wins, the latest among equals. What overlaps the end goes on as it began. Looks back over LOOKUP_WINDOW tokens. */
int lookup_guess(const int32_t *ids, size_t n_ids, int most, int32_t *out, int *length);

/* The probability that the first guess of such a match is right, and that the next is, once one was. records[LOOKUP_LONGEST + 1], by length,
 * all 0 at the beginning. */
double lookup_chance(const struct lookup_record *records, int length, bool first);
/* Of n guesses n_right were; n = 1 where none was made, of what the first would have been. */
void lookup_learn(struct lookup_record *records, int length, int n, int n_right);

#endif
