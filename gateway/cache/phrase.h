/* Phrase: a question in the form that tells whether another asks the same, whatever its harmless words.
 *
 * Two questions with equal phrases have the same content words, numbers, negations, names, quoted texts and punctuation inside, in
 * the same order. Only this may differ: white space; the case of letters (not of acronyms, of words that are another word with a
 * capital, or inside quotes); contractions against their long form; "the"; a greeting, a polite opening and a closing thanks;
 * the stop or question mark at the end. A text that looks like code or has several lines is its own phrase, byte for byte.
 *
 * It is strict on purpose: what it does not know counts as different. Words are English ones; in other languages it only finds
 * texts equal that differ in case, white space and the last mark. Pure; any thread. */
#ifndef WEIR_CACHE_PHRASE_H
#define WEIR_CACHE_PHRASE_H

#include "weir_base.h"

enum { PHRASE_MAX_BYTES = 4096 }; /* Longer texts have none. */

/* Appends the phrase. WEIR_E_LIMIT: the text has none (empty, too long, nothing but politeness, or not valid UTF-8). */
int phrase_append(str text, struct buffer *out) WEIR_CHECKED;

#endif
