/* See lesson.h. Pure; any thread. */
#include "chat/lesson.h"

str stretch_from(str s, size_t at)
{
    return at <= s.n ? (str){s.data + at, s.n - at} : (str){s.data + s.n, 0};
}

str stretch_upto(str s, size_t n)
{
    return (str){s.data, n < s.n ? n : s.n};
}

str stretch_between(str s, ptrdiff_t begin, ptrdiff_t end)
{
    return begin >= 0 && end > begin ? (str){s.data + begin, (size_t)(end - begin)} : (str){s.data, 0};
}

ptrdiff_t stretch_find(str s, const char *word, ptrdiff_t at)
{
    if (at < 0)
        return -1;
    ptrdiff_t found = str_find(stretch_from(s, (size_t)at), str_of(word));
    return found < 0 ? -1 : found + at;
}

size_t stretch_common_prefix(str a, str b)
{
    size_t n = 0;
    while (n < a.n && n < b.n && a.data[n] == b.data[n])
        n++;
    return n;
}

size_t stretch_common_suffix(str a, str b)
{
    size_t n = 0;
    while (n < a.n && n < b.n && a.data[a.n - 1 - n] == b.data[b.n - 1 - n])
        n++;
    return n;
}

size_t stretch_mark_begin(str s, size_t at)
{
    for (size_t back = 1; back <= at && back <= 48; back++) {
        char c = s.data[at - back];
        if (c == '>' || c == ']' || mark_is_blank(c))
            return at;
        if (c == '<' || c == '[')
            return at - back;
    }
    return at;
}

size_t lesson_answer_begin(const struct lesson *lesson, str rendering)
{
    str prompt = buffer_str(&lesson->prompt);
    size_t n = stretch_common_prefix(prompt, rendering);
    if (n == prompt.n)
        return n;
    n = stretch_mark_begin(rendering, n);
    /* A prompt that says something more before its end: the end comes in the rendering too. */
    for (size_t k = prompt.n - n < rendering.n - n ? prompt.n - n : rendering.n - n; k > 0; k--)
        if (memcmp(prompt.data + prompt.n - k, rendering.data + n, k) == 0 && rendering.data[n] == '<')
            return n + k;
    return n;
}

str lesson_skip_no_thought(const struct answer_format *format, str s)
{
    for (;;) {
        size_t n;
        str rest = str_trim(s);
        rest = (str){rest.data, (size_t)(s.data + s.n - rest.data)};
        if (rest.n > 0 && format->think_open[0] != '\0' && mark_match(format->think_open, rest, &n) == MARK_WHOLE)
            s = stretch_from(rest, n);
        else if (rest.n > 0 && format->think_close[0] != '\0' && mark_match(format->think_close, rest, &n) == MARK_WHOLE)
            s = stretch_from(rest, n);
        else
            return s;
    }
}

size_t lesson_common_end(str a, str b)
{
    size_t n = stretch_common_suffix(a, b);
    while (n > 0 && a.data[a.n - n] != '<' && a.data[a.n - n] != '[' && !mark_is_blank(a.data[a.n - n]))
        n--;
    return n;
}

str lesson_after_said(const struct lesson *lesson)
{
    str plain = buffer_str(&lesson->plain);
    ptrdiff_t said = str_find(plain, STR(PROBE_SAID));
    return said < 0 ? (str){NULL, 0} : stretch_from(plain, (size_t)said + sizeof PROBE_SAID - 1);
}

str lesson_before_turn_end(const struct lesson *lesson, str after_call)
{
    return stretch_upto(after_call, after_call.n - lesson_common_end(after_call, lesson_after_said(lesson)));
}
