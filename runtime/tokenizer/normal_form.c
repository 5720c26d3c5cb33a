/* Normal forms, with the decompositions and compositions of utf8proc. The canonical ordering is our own: utf8proc's
 * is quadratic in a run of combining marks, and a prompt may be a megabyte of them. */
#include "tokenizer/normal_form.h"

#include <utf8proc.h>

enum { STABLE_INSERTION = 32 };

static unsigned combining_class(int32_t c)
{
    return (unsigned)utf8proc_get_property(c)->combining_class & 255;
}

/* Sorts one run of marks by combining class, equal ones staying in order. */
static int marks_sort(int32_t *marks, size_t n)
{
    if (n <= STABLE_INSERTION) {
        for (size_t i = 1; i < n; i++) {
            int32_t mark = marks[i];
            size_t at = i;
            for (; at > 0 && combining_class(marks[at - 1]) > combining_class(mark); at--)
                marks[at] = marks[at - 1];
            marks[at] = mark;
        }
        return 0;
    }
    int32_t *sorted = malloc(n * sizeof *sorted);
    if (sorted == NULL)
        return WEIR_E_MEMORY;
    size_t starts[257] = {0};
    for (size_t i = 0; i < n; i++)
        starts[combining_class(marks[i]) + 1]++;
    for (int class = 0; class < 256; class ++)
        starts[class + 1] += starts[class];
    for (size_t i = 0; i < n; i++)
        sorted[starts[combining_class(marks[i])]++] = marks[i];
    memcpy(marks, sorted, n * sizeof *sorted);
    free(sorted);
    return 0;
}

static int canonical_order(int32_t *points, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t end = i;
        while (end < n && combining_class(points[end]) != 0)
            end++;
        int status = end - i > 1 ? marks_sort(points + i, end - i) : 0;
        if (status < 0)
            return status;
        i = end > i ? end : i + 1;
    }
    return 0;
}

int normal_form_append(struct buffer *out, str text, bool compose, bool compatible)
{
    size_t ascii = 0;
    while (ascii < text.n && (uint8_t)text.data[ascii] < 0x80)
        ascii++;
    if (ascii == text.n)
        return buffer_append_str(out, text);
    utf8proc_option_t options = UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0);
    size_t capacity = text.n + 64, n = 0;
    int32_t *points = malloc(capacity * sizeof *points);
    int status = points == NULL ? WEIR_E_MEMORY : 0;
    for (size_t at = 0; at < text.n && status == 0;) {
        if (capacity - n < 32) { /* The longest decomposition has 18 code points. */
            int32_t *grown = realloc(points, capacity * 2 * sizeof *points);
            if (grown == NULL) {
                status = WEIR_E_MEMORY;
                break;
            }
            points = grown;
            capacity *= 2;
        }
        int boundary = 0;
        utf8proc_ssize_t got = utf8proc_decompose_char((utf8proc_int32_t)utf8_next(text, &at), points + n,
                                                       (utf8proc_ssize_t)(capacity - n), options, &boundary);
        if (got < 0)
            status = WEIR_E_INVALID;
        else
            n += (size_t)got;
    }
    if (status == 0)
        status = canonical_order(points, n);
    if (status == 0 && compose)
        n = (size_t)utf8proc_normalize_utf32(points, (utf8proc_ssize_t)n, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    for (size_t i = 0; i < n && status == 0; i++) {
        char bytes[4];
        status = buffer_append(out, bytes, (size_t)utf8_encode((uint32_t)points[i], bytes));
    }
    free(points);
    return status;
}
