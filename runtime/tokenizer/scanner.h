/* Scanner: the two word patterns that most byte-level vocabularies were trained with, by hand. */
#ifndef WEIR_TOKENIZER_SCANNER_H
#define WEIR_TOKENIZER_SCANNER_H

#include "weir_base.h"

/* End of the word that starts at `at` (at < text.n), by GPT-2's pattern:
 * 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
size_t scan_gpt2(str text, size_t at);
/* The same by the pattern of GPT-4's kind, with at most max_digits to a number (3: Llama 3, 1: Qwen 2):
 * (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
size_t scan_gpt4(str text, size_t at, int max_digits);

#endif
