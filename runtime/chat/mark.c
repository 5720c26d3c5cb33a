/* Marks: comparing text with them, white space taken loosely. A run of blanks in a mark stands for any run of blanks, but of at
 * least one after a letter or digit. Pure; any thread. */
#include "chat/answer_format.h"

bool mark_is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool mark_set(mark_text mark, str text)
{
    while (text.n > 0 && mark_is_blank(text.data[0]))
        text = (str){text.data + 1, text.n - 1};
    size_t n = text.n;
    while (n > 0 && mark_is_blank(text.data[n - 1]))
        n--;
    if (n > 0 && n < text.n && is_word(text.data[n - 1]))
        n++; /* A word is whole only when something ends it. */
    mark[0] = '\0';
    return n < MARK_TEXT_BYTES && memchr(text.data, '\0', n) == NULL && str_copy(mark, MARK_TEXT_BYTES, (str){text.data, n});
}

enum mark_match mark_match(const char *mark, str text, size_t *n)
{
    size_t i = 0;
    for (const char *m = mark; *m != '\0';) {
        if (mark_is_blank(*m)) {
            bool needed = m > mark && is_word(m[-1]);
            while (mark_is_blank(*m))
                m++;
            if (needed && i < text.n && !mark_is_blank(text.data[i]))
                return MARK_NO;
            if (needed && i < text.n)
                i++;
            else if (needed)
                return MARK_BEGINS;
            while (*m != '\0' && i < text.n && mark_is_blank(text.data[i]))
                i++;
            continue;
        }
        if (i == text.n)
            return MARK_BEGINS;
        if (text.data[i] != *m)
            return MARK_NO;
        i++;
        m++;
    }
    *n = i;
    return i > 0 ? MARK_WHOLE : MARK_NO;
}

size_t mark_at_end(const char *mark, str text)
{
    size_t m = strlen(mark), i = text.n;
    if (m == 0)
        return 0;
    while (m > 0) {
        if (mark_is_blank(mark[m - 1])) {
            while (m > 0 && mark_is_blank(mark[m - 1]))
                m--;
            bool needed = m > 0 && is_word(mark[m - 1]);
            size_t before = i;
            while (i > 0 && mark_is_blank(text.data[i - 1]))
                i--;
            if (needed && i == before)
                return 0;
            continue;
        }
        if (i == 0 || text.data[i - 1] != mark[m - 1])
            return 0;
        i--;
        m--;
    }
    return text.n - i;
}
