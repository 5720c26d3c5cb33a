/* Scanner: GPT-2's and GPT-4's word patterns as hand-written automata, several times faster than a compiled expression.
 * Each step takes the first alternative that matches, as a backtracking matcher would; every byte is looked at a bounded
 * number of times, so a call over a whole text is linear. A byte that is not UTF-8 counts as a symbol. */
#include "tokenizer/characters.h"
#include "tokenizer/scanner.h"

enum { WORD = CLASS_LETTER | CLASS_NUMBER | CLASS_SPACE };

/* CLASS_… of the character at `at`, whose end goes to *end; at the end of text 0 with *end == at. */
static unsigned class_at(str text, size_t at, size_t *end)
{
    *end = at;
    if (at >= text.n)
        return 0;
    uint8_t byte = (uint8_t)text.data[at];
    if (byte < 0x80) {
        *end = at + 1;
        return character_class(byte);
    }
    return character_class(utf8_next(text, end));
}

/* End of the run of characters that have (want true) or lack (false) any bit of the mask. */
static size_t run_end(str text, size_t at, unsigned mask, bool want)
{
    for (size_t end; at < text.n; at = end)
        if (((class_at(text, at, &end) & mask) != 0) != want)
            break;
    return at;
}

/* Length of the English contraction at an apostrophe, 0: none. */
static size_t contraction(str text, size_t at, bool any_case)
{
    size_t left = text.n - at;
    if (left < 2 || text.data[at] != '\'')
        return 0;
    char fold = any_case ? 0x20 : 0;
    char a = text.data[at + 1] | fold, b = left > 2 ? text.data[at + 2] | fold : '\0';
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* A run of blanks leaves its last one to the word that follows. */
static size_t blanks_end(str text, size_t at)
{
    size_t last = at, end = at;
    for (size_t next; end < text.n && (class_at(text, end, &next) & CLASS_SPACE) != 0; end = next)
        last = end;
    return end == text.n || last == at ? end : last;
}

size_t scan_gpt2(str text, size_t at)
{
    size_t n = contraction(text, at, false);
    if (n > 0)
        return at + n;
    size_t end, after;
    unsigned class = class_at(text, at, &end);
    if (text.data[at] == ' ' && end < text.n) {
        unsigned next = class_at(text, end, &after);
        if ((next & CLASS_SPACE) == 0) {
            class = next;
            end = after;
        }
    }
    if ((class & CLASS_LETTER) != 0)
        return run_end(text, end, CLASS_LETTER, true);
    if ((class & CLASS_NUMBER) != 0)
        return run_end(text, end, CLASS_NUMBER, true);
    if ((class & CLASS_SPACE) == 0)
        return run_end(text, end, WORD, false);
    return blanks_end(text, at);
}

size_t scan_gpt4(str text, size_t at, int max_digits)
{
    size_t n = contraction(text, at, true);
    if (n > 0)
        return at + n;
    size_t end, after;
    unsigned class = class_at(text, at, &end);
    if ((class & CLASS_LETTER) != 0)
        return run_end(text, end, CLASS_LETTER, true);
    char c = text.data[at];
    unsigned next = class_at(text, end, &after);
    if ((class & CLASS_NUMBER) == 0 && c != '\r' && c != '\n' && (next & CLASS_LETTER) != 0)
        return run_end(text, after, CLASS_LETTER, true);
    if ((class & CLASS_NUMBER) != 0) {
        for (int i = 1; i < max_digits && (class_at(text, end, &after) & CLASS_NUMBER) != 0; i++)
            end = after;
        return end;
    }
    bool blank_first = c == ' ' && end < text.n && (next & WORD) == 0;
    if ((class & CLASS_SPACE) == 0 || blank_first) {
        end = run_end(text, end, WORD, false);
        while (end < text.n && (text.data[end] == '\r' || text.data[end] == '\n'))
            end++;
        return end;
    }
    size_t stop = run_end(text, at, CLASS_SPACE, true);
    for (size_t i = stop; i > at; i--)
        if (text.data[i - 1] == '\r' || text.data[i - 1] == '\n')
            return i;
    return blanks_end(text, at);
}
