/* Words around a find. A word that speaks for the type, within a short window before or after it or in the name of the JSON
 * field, raises the score by 0.35 to at least 0.4; a word that speaks against ("order", "version") right before a weak find
 * lowers it. A context word counts where it begins a word: "phone" in "phones" and in "customerPhone", "lic" not in "duplicate". */
#include "scan/scan.h"

enum { WINDOW_BEFORE = 48, WINDOW_AFTER = 32, WINDOW_AGAINST = 20, LONGEST_FIELD = 64 };

static const char against[] = "order|ticket|version|sha256|sha1|md5|invoice|tracking|commit|build|isbn|sku|revision|timestamp|epoch|hash";

/* Whether the word at text[at, at + n) (given in lower case) stands in window as the beginning of a word. */
static bool window_has(str window, const char *word, size_t n)
{
    char first = word[0], upper = to_upper(first);
    for (size_t i = 0; i + n <= window.n; i++) {
        if (window.data[i] != first && window.data[i] != upper)
            continue;
        char before = i > 0 ? window.data[i - 1] : ' ';
        if (is_alnum(before) && !(is_lower(before) && is_upper(window.data[i])))
            continue;
        size_t k = 1;
        while (k < n && (to_lower(window.data[i + k]) == word[k] ||
                         (word[k] == ' ' && (window.data[i + k] == '_' || window.data[i + k] == '-'))))
            k++;
        if (k == n)
            return true;
    }
    return false;
}

static bool window_has_any(str window, const char *words)
{
    for (const char *word = words; *word != '\0';) {
        size_t n = strcspn(word, "|");
        if (n > 0 && window_has(window, word, n))
            return true;
        word += n + (word[n] == '|');
    }
    return false;
}

/* At most `limit` bytes, whole words: the window never begins or ends inside a word. */
static str window_before(const struct scan_text *text, size_t start, size_t limit)
{
    size_t from = start > limit ? start - limit : 0;
    while (from > 0 && from < start && bit_test(text->word, from) && bit_test(text->word, from - 1))
        from++;
    return (str){text->data + from, start - from};
}

static str window_after(const struct scan_text *text, size_t end, size_t limit)
{
    size_t to = text->n - end > limit ? end + limit : text->n;
    return (str){text->data + end, to - end};
}

float context_weigh(const struct scan *scan, const struct entity *entity, size_t start, size_t end, float score)
{
    if (score >= 1 || entity->context == NULL)
        return score;
    str field = scan->field;
    if (field.n > LONGEST_FIELD)
        field.n = LONGEST_FIELD;
    if (window_has_any(window_before(scan->text, start, WINDOW_BEFORE), entity->context) ||
        window_has_any(window_after(scan->text, end, WINDOW_AFTER), entity->context) ||
        (field.n > 0 && window_has_any(field, entity->context))) {
        score += 0.35f;
        return score < 0.4f ? 0.4f : score > 1 ? 1 : score;
    }
    if (score <= 0.5f && window_has_any(window_before(scan->text, start, WINDOW_AGAINST), against))
        return score > 0.31f ? score - 0.3f : 0.01f;
    return score;
}
