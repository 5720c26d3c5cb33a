/* Markdown (CommonMark's headings, fences and paragraphs) as headings and paragraphs. Marks inside a line stay: a reader of the
 * passage, human or model, reads them well. */
#include "knowledge/passages.h"

struct lines {
    str rest;
    str line;    /* Without its end. */
    int number;  /* Of line, from 1. */
};

static bool lines_next(struct lines *lines)
{
    if (!str_split(&lines->rest, '\n', &lines->line))
        return false;
    lines->number++;
    if (lines->line.n > 0 && lines->line.data[lines->line.n - 1] == '\r')
        lines->line.n--;
    return true;
}

/* "## Title ##" → level and title; 0: no heading. */
static int atx_heading(str line, str *title)
{
    size_t blanks = 0, level = 0;
    while (blanks < line.n && line.data[blanks] == ' ')
        blanks++;
    while (blanks + level < line.n && line.data[blanks + level] == '#')
        level++;
    size_t after = blanks + level;
    if (blanks > 3 || level < 1 || level > 6 || (after < line.n && line.data[after] != ' ' && line.data[after] != '\t'))
        return 0;
    str text = str_trim((str){line.data + after, line.n - after});
    size_t n = text.n;
    while (n > 0 && text.data[n - 1] == '#')
        n--;
    if (n == 0 || text.data[n - 1] == ' ')
        text = str_trim((str){text.data, n});
    *title = text;
    return (int)level;
}

/* "====" under a paragraph makes it a heading of level 1, "----" one of level 2. */
static int setext_level(str line)
{
    line = str_trim(line);
    if (line.n < 2 || (line.data[0] != '=' && line.data[0] != '-'))
        return 0;
    for (size_t i = 1; i < line.n; i++)
        if (line.data[i] != line.data[0])
            return 0;
    return line.data[0] == '=' ? 1 : 2;
}

/* Length of a fence at the line's head ("```" or "~~~"), 0: none. */
static size_t fence(str line, char *mark)
{
    str text = str_trim(line);
    size_t n = 0;
    if (text.n < 3 || (text.data[0] != '`' && text.data[0] != '~'))
        return 0;
    while (n < text.n && text.data[n] == text.data[0])
        n++;
    *mark = text.data[0];
    return n >= 3 ? n : 0;
}

static str front_matter_end(str text, int *n_lines)
{
    struct lines lines = {.rest = text};
    if (!lines_next(&lines) || !str_equal(lines.line, STR("---")))
        return text;
    while (lines_next(&lines))
        if (str_equal(lines.line, STR("---")) || str_equal(lines.line, STR("..."))) {
            *n_lines = lines.number;
            return lines.rest.data != NULL ? lines.rest : (str){text.data + text.n, 0};
        }
    return text; /* It never ends: it was a rule. */
}

void markdown_read(str text, struct cutter *cutter)
{
    int n_skipped = 0;
    struct lines lines = {.rest = front_matter_end(text, &n_skipped)};
    struct {
        str text;
        int first;
    } paragraph = {{NULL, 0}, 0};
    size_t fenced = 0;
    char mark = 0;
    lines.number = n_skipped;
    while (cutter->status == 0 && lines_next(&lines)) {
        char other = 0;
        str title;
        size_t n = fence(lines.line, &other);
        bool blank = str_trim(lines.line).n == 0;
        if (fenced > 0) {
            fenced = n >= fenced && other == mark ? 0 : fenced;
            blank = false;
        } else if (n > 0) {
            fenced = n;
            mark = other;
        } else if (paragraph.text.data != NULL && setext_level(lines.line) > 0 && memchr(paragraph.text.data, '\n', paragraph.text.n) == NULL) {
            cutter_heading(cutter, setext_level(lines.line), paragraph.text);
            paragraph.text = (str){NULL, 0};
            continue;
        } else if (atx_heading(lines.line, &title) > 0) {
            cutter_paragraph(cutter, paragraph.text, paragraph.first, lines.number - 1);
            cutter_heading(cutter, atx_heading(lines.line, &title), title);
            paragraph.text = (str){NULL, 0};
            continue;
        }
        if (blank) {
            cutter_paragraph(cutter, paragraph.text, paragraph.first, lines.number - 1);
            paragraph.text = (str){NULL, 0};
        } else if (paragraph.text.data == NULL) {
            paragraph.text = lines.line;
            paragraph.first = lines.number;
        } else {
            paragraph.text.n = (size_t)(lines.line.data + lines.line.n - paragraph.text.data);
        }
    }
    cutter_paragraph(cutter, paragraph.text, paragraph.first, lines.number);
}
