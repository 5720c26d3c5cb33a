/* Many words looked for at once, whatever their case: an Aho-Corasick automaton (Aho & Corasick, CACM 18(6), 1975). */
#ifndef WEIR_POLICIES_SCAN_WORDS_H
#define WEIR_POLICIES_SCAN_WORDS_H

#include "weir_base.h"

struct words;
/* The words are lower case and not empty; they are not kept. NULL when memory runs out. */
struct words *words_new(const char *const *list, size_t n);
void words_free(struct words *words);
/* Called for each word with its index in the list and the offset of its first byte; false ends the search. */
typedef bool words_fn(void *user, size_t index, size_t start);
/* One pass over text. Returns false when fn ended it. */
bool words_search(const struct words *words, str text, words_fn *fn, void *user);
size_t words_length(const struct words *words, size_t index);

#endif
