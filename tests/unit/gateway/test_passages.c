/* Passages: headings, lines and texts of Markdown, HTML and plain text; nothing lost, nothing too long, nothing hostile fatal. */
#include "knowledge/knowledge.h"
#include "knowledge/passages.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct arena arena;
static struct passages passages;
static struct error err;

static void setup(void)
{
    arena_init(&arena, 64 << 20);
    err = (struct error){0};
}

static void teardown(void)
{
    arena_release(&arena);
}

TestSuite(passages, .init = setup, .fini = teardown);

static void cut(enum document_kind kind, const char *text)
{
    cr_assert_eq(passages_cut(kind, str_of(text), &arena, &passages, &err), 0, "%s", err.text);
}

static void expect(size_t i, const char *heading, const char *text, int first, int last)
{
    cr_assert_lt(i, passages.n, "there is no passage %zu", i);
    const struct passage *p = &passages.items[i];
    cr_expect(str_equal(p->heading, str_of(heading)), "passage %zu: heading \"" STR_FMT "\"", i, STR_ARG(p->heading));
    cr_expect(str_equal(p->text, str_of(text)), "passage %zu: text \"" STR_FMT "\"", i, STR_ARG(p->text));
    cr_expect(p->first_line == first && p->last_line == last, "passage %zu: lines %d-%d", i, p->first_line, p->last_line);
}

Test(passages, markdown_is_cut_along_its_headings)
{
    cut(DOCUMENT_MARKDOWN, "---\ntitle: x\n---\nBefore.\n\n# Guide #\n\nOne\ntwo.\n\nThree.\n## Install\nFour.\n\nLinux\n-----\nFive.\n```\n# no heading\n\nstill\n```\n# End\nSix.");
    cr_expect_eq(passages.n, 5);
    expect(0, "", "Before.", 4, 4);
    expect(1, "Guide", "One\ntwo.\nThree.", 8, 11);
    expect(2, "Guide > Install", "Four.", 13, 13);
    expect(3, "Guide > Linux", "Five.\n```\n# no heading\n\nstill\n```", 17, 22);
    expect(4, "End", "Six.", 24, 24);
}

Test(passages, what_only_looks_like_a_heading_is_text)
{
    cut(DOCUMENT_MARKDOWN, "#hashtag\n####### seven\n    # indented\n\n---\n\na\nb\n---\n");
    cr_expect_eq(passages.n, 1);
    cr_expect_eq(passages.items[0].heading.n, 0);
    cut(DOCUMENT_MARKDOWN, "```\n# never closed");
    expect(0, "", "```\n# never closed", 1, 2);
    cut(DOCUMENT_MARKDOWN, "---\nno end of it");
    expect(0, "", "---\nno end of it", 1, 2);
}

Test(passages, html_gives_its_text_and_headings_and_drops_the_rest)
{
    cut(DOCUMENT_HTML, "<!DOCTYPE html><html><head><title>t</title><style>p{}</style></head>\n<body><nav>menu</nav><h1>A &amp; B</h1>\n"
                       "<p>One <b>bold</b>\n word&nbsp;&#233;&#x20AC;.</p><script>if (a < b) {}</script><!-- <p>no</p> -->\n"
                       "<h2 class=\"a>b\">Sub</h2><ul><li>first<li>second</ul><pre>a  b\n c</pre><p>1 < 2 & 3</p></body></html>");
    cr_expect_eq(passages.n, 2);
    expect(0, "A & B", "One bold word \xC3\xA9\xE2\x82\xAC.", 3, 4);
    expect(1, "A & B > Sub", "first\nsecond\na  b\n c\n1 < 2 & 3", 5, 6);
}

Test(passages, plain_text_is_cut_between_paragraphs_and_lines_count_from_one)
{
    char text[4000] = "";
    for (int i = 0; i < 3; i++) {
        memset(text + strlen(text), 'a' + i, 700);
        strncat(text, "\n\n", sizeof text - strlen(text) - 1);
    }
    cut(DOCUMENT_TEXT, text);
    cr_expect_eq(passages.n, 3);
    cr_expect(passages.items[1].first_line == 3 && passages.items[1].last_line == 4 && passages.items[1].text.n == 700);
    cut(DOCUMENT_TEXT, "\xEF\xBB\xBFone\r\n\r\ntwo\r\n");
    expect(0, "", "one\ntwo", 1, 4);
}

Test(passages, a_long_paragraph_is_cut_after_a_sentence_and_never_inside_a_character)
{
    struct buffer text;
    buffer_init(&text, 1 << 20);
    for (int i = 0; i < 100; i++)
        buffer_printf(&text, "This is the sentence number %d of many. ", i);
    cut(DOCUMENT_TEXT, text.data);
    cr_expect_gt(passages.n, 2);
    for (size_t i = 0; i < passages.n; i++) {
        cr_expect_leq(passages.items[i].text.n, (size_t)PASSAGE_MAX_BYTES);
        cr_expect_eq(passages.items[i].text.data[passages.items[i].text.n - 1], '.');
    }
    buffer_clear(&text);
    for (int i = 0; i < 3000; i++)
        buffer_append_text(&text, "\xE2\x82\xAC");
    cut(DOCUMENT_TEXT, text.data);
    size_t n = 0;
    for (size_t i = 0; i < passages.n; i++) {
        cr_expect_eq(utf8_first_invalid(passages.items[i].text), -1);
        n += passages.items[i].text.n;
    }
    cr_expect_eq(n, text.n, "nothing is lost");
    buffer_release(&text);
}

Test(passages, what_is_no_text_is_refused_with_its_place)
{
    cr_expect_eq(passages_cut(DOCUMENT_TEXT, STR("ab\xFF"), &arena, &passages, &err), WEIR_E_INVALID);
    cr_expect_str_eq(err.text, "byte 2 is not UTF-8");
    cr_expect_eq(passages_cut(DOCUMENT_TEXT, STR("a\0b"), &arena, &passages, &err), WEIR_E_INVALID);
    cr_expect_eq(passages_cut(DOCUMENT_HTML, STR(""), &arena, &passages, &err), 0);
    cr_expect_eq(passages.n, 0);
    static const char *const broken[] = {"<", "</", "<h1", "<h1>", "<!--", "<script>", "<script", "&", "&#", "&#x;", "&#99999999;", "&#0;", "<p a='", "</p>", "<h9>x", "<1>"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        cr_expect_eq(passages_cut(DOCUMENT_HTML, str_of(broken[i]), &arena, &passages, &err), 0, "%s", broken[i]);
}

Test(passages, a_document_is_known_by_its_ending)
{
    enum document_kind kind;
    cr_expect(document_kind_of("a/b.MD", &kind) && kind == DOCUMENT_MARKDOWN);
    cr_expect(document_kind_of("b.htm", &kind) && kind == DOCUMENT_HTML);
    cr_expect(document_kind_of("b.txt", &kind) && kind == DOCUMENT_TEXT);
    cr_expect(!document_kind_of("b.pdf", &kind) && !document_kind_of("md", &kind) && !document_kind_of(".md", &kind));
}

Test(passages, content_words_are_found_in_their_inflections_but_numbers_exactly)
{
    str source = STR("Employees accrue 25 days of vacation; carrying over 5 days is allowed until March 2024.");
    cr_expect_float_eq(terms_share(STR("How many vacation days do employees get?"), &source, 1), 1.0f, 1e-6);
    cr_expect_float_eq(terms_share(STR("What is carried over?"), &source, 1), 0.5f, 1e-6, "over, but carried is no beginning of carrying");
    cr_expect_float_eq(terms_share(STR("2024"), &source, 1), 1.0f, 1e-6);
    cr_expect_float_eq(terms_share(STR("202"), &source, 1), 0.0f, 1e-6);
    cr_expect_float_eq(terms_share(STR("What is it?"), &source, 1), 0.0f, 1e-6, "no content words: nothing is covered");
    cr_expect_float_eq(terms_share(STR(""), &source, 1), 0.0f, 1e-6);
}
