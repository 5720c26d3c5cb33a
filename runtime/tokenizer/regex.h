/* Regex: the patterns of tokenizer.json and of the rarer GGUF pre-tokenizers, on PCRE2. */
#ifndef WEIR_TOKENIZER_REGEX_H
#define WEIR_TOKENIZER_REGEX_H

#include "weir_base.h"

struct regex;

/* Compiles a pattern in Oniguruma's syntax as far as tokenizers use it. WEIR_E_INVALID with PCRE2's message and the offset. */
int regex_compile(struct regex **out, str pattern, struct error *err) WEIR_CHECKED;
void regex_free(struct regex *regex);

/* Searching one text: the state of one thread. */
struct regex_search {
    const struct regex *regex;
    void *match_data;
};
int regex_search_init(struct regex_search *search, const struct regex *regex) WEIR_CHECKED;
void regex_search_release(struct regex_search *search);
/* The first match at or after `at` in text, which must be valid UTF-8: 1 and its bounds, 0: none; WEIR_E_LIMIT: it took too long. */
int regex_find(struct regex_search *search, str text, size_t at, size_t *start, size_t *end);

#endif
