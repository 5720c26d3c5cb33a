/* WordPiece: from each place of a word the longest piece that the vocabulary has; a word with a place where none fits is
 * unknown as a whole. The work for a place is bounded by the longest token, so a long word costs linear time. */
#include "tokenizer/wordpiece.h"

static size_t count_chars(str word)
{
    size_t n = 0;
    for (size_t i = 0; i < word.n; i++)
        n += ((uint8_t)word.data[i] & 0xC0) != 0x80;
    return n;
}

/* The longest piece at `at`; its end goes to *end. With GGUF's word mark the first piece may be the mark alone (`at` stays). */
static int32_t longest_piece(const struct wordpiece *wordpiece, str word, size_t at, str prefix, bool empty, size_t *end)
{
    size_t longest = wordpiece->vocabulary->longest;
    size_t stop = word.n - at > longest ? at + longest : word.n;
    for (; stop > at || (empty && stop == at); stop--) {
        if (stop < word.n && ((uint8_t)word.data[stop] & 0xC0) == 0x80)
            continue;
        int32_t id = vocabulary_find_joined(wordpiece->vocabulary, prefix, (str){word.data + at, stop - at});
        if (id >= 0) {
            *end = stop;
            return id;
        }
        if (stop == 0)
            break;
    }
    return -1;
}

int wordpiece_encode(const struct wordpiece *wordpiece, str word, struct ids *out)
{
    size_t before = out->n;
    if (wordpiece->whole) {
        int32_t id = vocabulary_find(wordpiece->vocabulary, word);
        id = id >= 0 ? id : wordpiece->unknown;
        return id < 0 ? 0 : ids_append(out, id);
    }
    bool known = wordpiece->max_chars == 0 || count_chars(word) <= wordpiece->max_chars;
    str prefix = wordpiece->start;
    for (size_t at = 0, end = 0; known && at < word.n; at = end) {
        int32_t id = longest_piece(wordpiece, word, at, prefix, at == 0 && prefix.n > 0, &end);
        known = id >= 0;
        prefix = wordpiece->continuation;
        if (known) {
            int status = ids_append(out, id);
            if (status < 0)
                return status;
        }
    }
    if (known)
        return 0;
    out->n = before;
    return wordpiece->unknown < 0 ? 0 : ids_append(out, wordpiece->unknown);
}
