/* Passages: a document cut along its headings into pieces that a question can be answered from.
 *
 * A passage is at most PASSAGE_MAX_BYTES of text under one heading; paragraphs stay whole where they fit, longer ones are cut
 * between sentences, else between words, never inside a character. Its heading is the path of headings above it ("Guide > Install"),
 * its lines are those of the file, counted from 1. Markdown (ATX and setext headings, fenced code; front matter is left out), HTML
 * (headings h1 to h6, entities; scripts, styles, templates and navigation are left out) and plain text. Pure; any thread. */
#ifndef WEIR_KNOWLEDGE_PASSAGES_H
#define WEIR_KNOWLEDGE_PASSAGES_H

#include "weir_base.h"

enum { PASSAGE_MAX_BYTES = 1200, PASSAGE_HEADING_BYTES = 240, DOCUMENT_MAX_PASSAGES = 20000 };

struct passage {
    str heading; /* May be empty. */
    str text;
    int first_line, last_line;
};

struct passages {
    struct passage *items;
    size_t n, capacity;
};

enum document_kind { DOCUMENT_TEXT, DOCUMENT_MARKDOWN, DOCUMENT_HTML };
/* By the name's ending: .md .markdown .txt .text .html .htm. False: none of ours. */
bool document_kind_of(const char *path, enum document_kind *out);
/* UTF-8 text to passages; everything lies in the arena. WEIR_E_INVALID: not UTF-8 (with the byte), WEIR_E_LIMIT: more passages than
 * are taken, WEIR_E_MEMORY. */
int passages_cut(enum document_kind kind, str text, struct arena *arena, struct passages *out, struct error *err) WEIR_CHECKED;

/* What the readers of each kind tell: a heading of level 1 to 6, and a paragraph under it. Private to passages. */
struct cutter {
    struct arena *arena;
    struct passages *out;
    str headings[6];
    str path;             /* Of the headings. */
    struct buffer text;   /* Paragraphs gathered for the next passage. */
    int first_line, last_line;
    int status;
};
void cutter_heading(struct cutter *cutter, int level, str title);
void cutter_paragraph(struct cutter *cutter, str text, int first_line, int last_line);
void markdown_read(str text, struct cutter *cutter);
void html_read(str text, struct cutter *cutter);

#endif
