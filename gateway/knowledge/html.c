/* HTML as headings and paragraphs: a forgiving reader of tags, as browsers are. It builds no tree; what it keeps is text, the
 * headings, and where a block begins and ends. */
#include "knowledge/passages.h"

enum { TITLE_BYTES = 4096, LONGEST_NAME = 16 };

struct html {
    str text;
    size_t at;
    int line;
    struct cutter *cutter;
    struct buffer block;  /* Text of the paragraph or heading being read. */
    int first_line;
    int heading;          /* Level of the heading being read; 0: none. */
    int n_pre;
};

static const char *const skipped[] = {"script", "style", "template", "noscript", "svg", "nav", "head", NULL};
static const char *const blocks[] = {"p", "div", "li", "ul", "ol", "dl", "dt", "dd", "tr", "table", "section", "article", "header", "footer", "main", "aside",
                                     "blockquote", "pre", "figure", "figcaption", "form", "fieldset", "body", "hr", "details", "summary", NULL};

static const struct {
    const char *name, *text;
} entities[] = {{"amp", "&"}, {"lt", "<"}, {"gt", ">"}, {"quot", "\""}, {"apos", "'"}, {"nbsp", " "}, {"mdash", "\xE2\x80\x94"},
                {"ndash", "\xE2\x80\x93"}, {"hellip", "\xE2\x80\xA6"}, {"lsquo", "\xE2\x80\x98"}, {"rsquo", "\xE2\x80\x99"}, {"ldquo", "\xE2\x80\x9C"},
                {"rdquo", "\xE2\x80\x9D"}, {"euro", "\xE2\x82\xAC"}, {"copy", "\xC2\xA9"}, {"reg", "\xC2\xAE"}, {"deg", "\xC2\xB0"}, {"times", "\xC3\x97"},
                {"auml", "\xC3\xA4"}, {"ouml", "\xC3\xB6"}, {"uuml", "\xC3\xBC"}, {"Auml", "\xC3\x84"}, {"Ouml", "\xC3\x96"}, {"Uuml", "\xC3\x9C"},
                {"szlig", "\xC3\x9F"}, {"eacute", "\xC3\xA9"}, {"egrave", "\xC3\xA8"}, {"agrave", "\xC3\xA0"}, {"ccedil", "\xC3\xA7"}, {"ntilde", "\xC3\xB1"},
                {"middot", "\xC2\xB7"}, {"bull", "\xE2\x80\xA2"}, {"rarr", "\xE2\x86\x92"}, {"larr", "\xE2\x86\x90"}, {"pound", "\xC2\xA3"}, {"sect", "\xC2\xA7"}};

static bool is_among(str name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (str_equal_nocase(name, str_of(*names)))
            return true;
    return false;
}

static void advance(struct html *html, size_t to)
{
    for (; html->at < to; html->at++)
        html->line += html->text.data[html->at] == '\n';
}

static void block_end(struct html *html)
{
    str text = str_trim(buffer_str(&html->block));
    if (html->heading > 0 && text.n > 0)
        cutter_heading(html->cutter, html->heading, text);
    else if (text.n > 0)
        cutter_paragraph(html->cutter, text, html->first_line, html->line);
    if (html->block.failed)
        html->cutter->status = WEIR_E_MEMORY;
    buffer_clear(&html->block);
}

static void put(struct html *html, const char *text, size_t n)
{
    if (html->block.n == 0)
        html->first_line = html->line;
    buffer_append(&html->block, text, n);
}

static void put_char(struct html *html, char c)
{
    bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
    if (!blank || html->n_pre > 0)
        put(html, &c, 1);
    else if (html->block.n > 0 && html->block.data[html->block.n - 1] != ' ' && html->block.data[html->block.n - 1] != '\n')
        put(html, " ", 1);
}

/* At '&': writes what it stands for and returns its length, 0: it is an ampersand. */
static size_t put_entity(struct html *html)
{
    str rest = {html->text.data + html->at + 1, html->text.n - html->at - 1};
    size_t n = 0;
    while (n < rest.n && n < 10 && rest.data[n] != ';')
        n++;
    if (n == 0 || n >= rest.n || rest.data[n] != ';')
        return 0;
    str name = {rest.data, n};
    if (name.data[0] == '#' && n > 1) {
        bool hex = name.data[1] == 'x' || name.data[1] == 'X';
        uint32_t code = 0;
        for (size_t i = hex ? 2 : 1; i < n; i++) {
            char c = name.data[i];
            int digit = c >= '0' && c <= '9' ? c - '0' : hex && (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
            if (digit < 0 || code > 0x10FFFF)
                return 0;
            code = code * (hex ? 16 : 10) + (uint32_t)digit;
        }
        char bytes[4];
        int length = code >= 0x20 || code == '\n' || code == '\t' ? utf8_encode(code, bytes) : 0;
        if (length == 1)
            put_char(html, bytes[0]);
        else if (length > 0)
            put(html, bytes, (size_t)length);
        return n + 2;
    }
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++)
        if (str_equal(name, str_of(entities[i].name))) {
            if (entities[i].text[1] == '\0')
                put_char(html, entities[i].text[0]);
            else
                put(html, entities[i].text, strlen(entities[i].text));
            return n + 2;
        }
    return 0;
}

/* Offset after the '>' of a tag that begins at `at`; quoted values may hold one. */
static size_t tag_end(str text, size_t at)
{
    char quote = 0;
    for (at++; at < text.n; at++) {
        char c = text.data[at];
        if (quote != 0)
            quote = c == quote ? 0 : quote;
        else if ((c == '"' || c == '\'') && text.data[at - 1] == '=')
            quote = c;
        else if (c == '>')
            return at + 1;
    }
    return text.n;
}

/* Offset of "</name" from `at` on, or the text's end. */
static size_t closing_tag(str text, size_t at, str name)
{
    for (; at + name.n + 2 <= text.n; at++)
        if (text.data[at] == '<' && text.data[at + 1] == '/' && str_equal_nocase((str){text.data + at + 2, name.n}, name))
            return at;
    return text.n;
}

static bool is_name(char c, bool inside)
{
    return ((c | 32) >= 'a' && (c | 32) <= 'z') || (inside && c >= '0' && c <= '9');
}

/* At '<': a comment, a declaration or a tag. */
static void read_tag(struct html *html)
{
    str rest = {html->text.data + html->at, html->text.n - html->at};
    if (str_starts(rest, STR("<!--"))) {
        ptrdiff_t end = str_find(rest, STR("-->"));
        advance(html, end >= 0 ? html->at + (size_t)end + 3 : html->text.n);
        return;
    }
    bool closes = rest.n > 1 && rest.data[1] == '/';
    size_t start = closes ? 2 : 1, n = 0;
    while (start + n < rest.n && n < LONGEST_NAME && is_name(rest.data[start + n], n > 0))
        n++;
    if (n == 0 && rest.n > 1 && rest.data[1] != '!' && rest.data[1] != '?') {
        put_char(html, '<');
        advance(html, html->at + 1);
        return;
    }
    str name = {rest.data + start, n};
    size_t end = tag_end(html->text, html->at);
    bool heading = n == 2 && (name.data[0] | 32) == 'h' && name.data[1] >= '1' && name.data[1] <= '6';
    if (heading || is_among(name, blocks)) {
        block_end(html);
        html->heading = heading && !closes ? name.data[1] - '0' : 0;
        if (str_equal_nocase(name, STR("pre")))
            html->n_pre = closes ? 0 : 1;
    } else if (str_equal_nocase(name, STR("br"))) {
        put(html, "\n", 1);
    } else if (str_equal_nocase(name, STR("td")) || str_equal_nocase(name, STR("th"))) {
        put_char(html, ' ');
    } else if (!closes && is_among(name, skipped)) {
        block_end(html);
        end = closing_tag(html->text, end, name);
        end = end < html->text.n ? tag_end(html->text, end) : end;
    }
    advance(html, end);
}

void html_read(str text, struct cutter *cutter)
{
    struct html html = {.text = text, .line = 1, .cutter = cutter};
    buffer_init(&html.block, text.n + TITLE_BYTES);
    while (html.at < text.n && cutter->status == 0) {
        size_t entity;
        if (text.data[html.at] == '<') {
            read_tag(&html);
        } else if (text.data[html.at] == '&' && (entity = put_entity(&html)) > 0) {
            advance(&html, html.at + entity);
        } else {
            put_char(&html, text.data[html.at]);
            advance(&html, html.at + 1);
        }
    }
    block_end(&html);
    buffer_release(&html.block);
}
