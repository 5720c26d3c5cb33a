/* Paragraphs packed into passages. The readers of Markdown and HTML are files of their own; plain text is read here. */
#include "knowledge/passages.h"

bool document_kind_of(const char *path, enum document_kind *out)
{
    static const struct {
        str ending;
        enum document_kind kind;
    } endings[] = {{STR(".md"), DOCUMENT_MARKDOWN}, {STR(".markdown"), DOCUMENT_MARKDOWN}, {STR(".txt"), DOCUMENT_TEXT},
                   {STR(".text"), DOCUMENT_TEXT},   {STR(".html"), DOCUMENT_HTML},         {STR(".htm"), DOCUMENT_HTML}};
    str name = str_of(path);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        str ending = endings[i].ending;
        if (name.n > ending.n && str_equal_nocase((str){name.data + name.n - ending.n, ending.n}, ending)) {
            *out = endings[i].kind;
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------ packing */

static void add(struct cutter *cutter, str text, int first_line, int last_line)
{
    struct passages *out = cutter->out;
    if (cutter->status < 0)
        return;
    if (out->n == DOCUMENT_MAX_PASSAGES) {
        cutter->status = WEIR_E_LIMIT;
        return;
    }
    if (out->n == out->capacity) {
        size_t capacity = out->capacity > 0 ? 2 * out->capacity : 16;
        struct passage *grown = arena_array(cutter->arena, capacity, sizeof *grown);
        if (grown == NULL) {
            cutter->status = WEIR_E_MEMORY;
            return;
        }
        if (out->n > 0)
            memcpy(grown, out->items, out->n * sizeof *grown);
        out->items = grown;
        out->capacity = capacity;
    }
    const char *copy = arena_strdup(cutter->arena, text);
    if (copy == NULL)
        cutter->status = WEIR_E_MEMORY;
    else
        out->items[out->n++] = (struct passage){cutter->path, {copy, text.n}, first_line, last_line};
}

static void flush(struct cutter *cutter)
{
    if (cutter->text.failed)
        cutter->status = WEIR_E_MEMORY;
    if (cutter->text.n > 0)
        add(cutter, buffer_str(&cutter->text), cutter->first_line, cutter->last_line);
    buffer_clear(&cutter->text);
}

void cutter_heading(struct cutter *cutter, int level, str title)
{
    char path[PASSAGE_HEADING_BYTES];
    size_t n = 0;
    flush(cutter);
    title = str_trim(title);
    const char *copy = arena_strdup(cutter->arena, title);
    if (copy == NULL) {
        cutter->status = WEIR_E_MEMORY;
        return;
    }
    cutter->headings[level - 1] = (str){copy, title.n};
    for (int i = level; i < 6; i++)
        cutter->headings[i] = (str){NULL, 0};
    for (int i = 0; i < level; i++)
        if (cutter->headings[i].n > 0 && n < sizeof path)
            n += (size_t)snprintf(path + n, sizeof path - n, "%s" STR_FMT, n > 0 ? " > " : "", STR_ARG(cutter->headings[i]));
    if (n >= sizeof path)
        n = sizeof path - 1;
    n -= utf8_incomplete_tail((str){path, n});
    copy = arena_strdup(cutter->arena, (str){path, n});
    if (copy == NULL)
        cutter->status = WEIR_E_MEMORY;
    cutter->path = (str){copy, n};
}

/* Where a paragraph that is too long is cut: after a sentence in the second half, else at a blank there, else at a character. */
static size_t cut_at(str text)
{
    size_t most = PASSAGE_MAX_BYTES;
    for (size_t at = most; at > most / 2; at--)
        if ((text.data[at] == ' ' || text.data[at] == '\n') && strchr(".!?", text.data[at - 1]) != NULL && text.data[at - 1] != '\0')
            return at;
    for (size_t at = most; at > most / 2; at--)
        if (text.data[at] == ' ' || text.data[at] == '\n')
            return at;
    return most - utf8_incomplete_tail((str){text.data, most});
}

static int count_lines(str text)
{
    int n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += text.data[i] == '\n';
    return n;
}

void cutter_paragraph(struct cutter *cutter, str text, int first_line, int last_line)
{
    while (text.n > 0 && (text.data[0] == '\n' || text.data[0] == '\r')) {
        first_line += text.data[0] == '\n';
        text.data++;
        text.n--;
    }
    while (text.n > 0 && strchr(" \t\r\n", text.data[text.n - 1]) != NULL)
        text.n--;
    if (text.n == 0)
        return;
    if (cutter->text.n > 0 && cutter->text.n + 1 + text.n > PASSAGE_MAX_BYTES)
        flush(cutter);
    while (text.n > PASSAGE_MAX_BYTES) {
        size_t n = cut_at(text);
        int more = count_lines((str){text.data, n});
        int end = first_line + more <= last_line ? first_line + more : last_line;
        add(cutter, (str){text.data, n}, first_line, end);
        first_line = end;
        text = str_trim((str){text.data + n, text.n - n});
    }
    if (text.n == 0)
        return;
    if (cutter->text.n == 0)
        cutter->first_line = first_line;
    else
        buffer_append_char(&cutter->text, '\n');
    buffer_append_str(&cutter->text, text);
    cutter->last_line = last_line;
}

/* ------------------------------------------------------------------ plain text */

static void text_read(str text, struct cutter *cutter)
{
    size_t start = 0;
    int line = 1, first = 1;
    for (size_t at = 0; at < text.n;) {
        const char *newline = memchr(text.data + at, '\n', text.n - at);
        size_t end = newline != NULL ? (size_t)(newline - text.data) : text.n;
        if (str_trim((str){text.data + at, end - at}).n == 0) {
            cutter_paragraph(cutter, (str){text.data + start, at - start}, first, line);
            start = end < text.n ? end + 1 : end;
            first = line + 1;
        }
        at = end + 1;
        line++;
    }
    cutter_paragraph(cutter, (str){text.data + start, text.n - start}, first, line);
}

int passages_cut(enum document_kind kind, str text, struct arena *arena, struct passages *out, struct error *err)
{
    ptrdiff_t invalid = utf8_first_invalid(text);
    struct cutter cutter = {.arena = arena, .out = out};
    *out = (struct passages){0};
    if (invalid >= 0)
        return error_set(err, WEIR_E_INVALID, "", "byte %td is not UTF-8", invalid);
    if (text.n > 0 && memchr(text.data, '\0', text.n) != NULL)
        return error_set(err, WEIR_E_INVALID, "", "has NUL bytes: it is no text");
    if (str_starts(text, STR("\xEF\xBB\xBF")))
        text = (str){text.data + 3, text.n - 3};
    if (text.n > 0 && memchr(text.data, '\r', text.n) != NULL) {
        char *plain = arena_array(arena, text.n, 1);
        size_t n = 0;
        if (plain == NULL)
            return error_set(err, WEIR_E_MEMORY, "", "does not fit into memory");
        for (size_t i = 0; i < text.n; i++)
            if (text.data[i] != '\r')
                plain[n++] = text.data[i];
        text = (str){plain, n};
    }
    buffer_init(&cutter.text, 4 * PASSAGE_MAX_BYTES);
    if (kind == DOCUMENT_MARKDOWN)
        markdown_read(text, &cutter);
    else if (kind == DOCUMENT_HTML)
        html_read(text, &cutter);
    else
        text_read(text, &cutter);
    flush(&cutter);
    buffer_release(&cutter.text);
    if (cutter.status == WEIR_E_LIMIT)
        return error_set(err, WEIR_E_LIMIT, "", "has more than %d passages", DOCUMENT_MAX_PASSAGES);
    return cutter.status < 0 ? error_set(err, WEIR_E_MEMORY, "", "does not fit into memory") : 0;
}
