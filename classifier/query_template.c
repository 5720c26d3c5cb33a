/* The question inside a prompt template.
 *
 * Applications wrap what a human asked into instructions and documents: "Use the following context … Context: … Question: … Answer:",
 * or a transcript "Human: … AI: … Human: … AI:". A line that begins with a label and a colon opens a section, which ends before the
 * next labelled line. The question is the last section of a human's label, when the text shows that it is a template: a section of
 * documents, of an answer or of an assistant stands in it too. Labels are English, case and decoration (#, *, -, <, [) apart. */
#include "query.h"

enum { MOST_LABEL_BYTES = 40 };

enum label { LABEL_NONE, LABEL_QUESTION, LABEL_HUMAN, LABEL_DOCUMENTS, LABEL_ANSWER };

static const struct {
    const char *word;
    enum label label;
} labels[] = {
    {"question", LABEL_QUESTION}, {"user question", LABEL_QUESTION}, {"query", LABEL_QUESTION}, {"user query", LABEL_QUESTION}, {"follow up input", LABEL_QUESTION},
    {"standalone question", LABEL_ANSWER}, {"user input", LABEL_QUESTION}, {"customer question", LABEL_QUESTION},
    {"human", LABEL_HUMAN}, {"user", LABEL_HUMAN}, {"customer", LABEL_HUMAN},
    {"context", LABEL_DOCUMENTS}, {"contexts", LABEL_DOCUMENTS}, {"document", LABEL_DOCUMENTS}, {"documents", LABEL_DOCUMENTS}, {"passage", LABEL_DOCUMENTS},
    {"passages", LABEL_DOCUMENTS}, {"sources", LABEL_DOCUMENTS}, {"source", LABEL_DOCUMENTS}, {"search results", LABEL_DOCUMENTS}, {"references", LABEL_DOCUMENTS},
    {"background", LABEL_DOCUMENTS}, {"chat history", LABEL_DOCUMENTS}, {"current conversation", LABEL_DOCUMENTS}, {"conversation history", LABEL_DOCUMENTS},
    {"answer", LABEL_ANSWER}, {"helpful answer", LABEL_ANSWER}, {"final answer", LABEL_ANSWER}, {"response", LABEL_ANSWER},
    {"ai", LABEL_ANSWER}, {"assistant", LABEL_ANSWER}, {"bot", LABEL_ANSWER},
};

/* A line's label, and where the text behind it begins. */
static enum label label_of(str line, size_t *after)
{
    const char *colon = line.n > 0 ? memchr(line.data, ':', line.n < MOST_LABEL_BYTES ? line.n : MOST_LABEL_BYTES) : NULL;
    size_t start = 0, end = colon != NULL ? (size_t)(colon - line.data) : 0;
    *after = end + 1;
    while (start < end && strchr(" \t#*-<[", line.data[start]) != NULL)
        start++;
    while (end > start && strchr(" \t*>]0123456789", line.data[end - 1]) != NULL) /* "Document 2:", "**Context**:" */
        end--;
    while (*after < line.n && strchr("*> \t", line.data[*after]) != NULL)
        ++*after;
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        if (str_equal_nocase((str){line.data + start, end - start}, str_of(labels[i].word)))
            return labels[i].label;
    return LABEL_NONE;
}

str query_in_template(str text)
{
    str rest = text, line, question = {NULL, 0}, human = {NULL, 0}, *open = NULL;
    bool documents = false, answers = false;
    while (str_split(&rest, '\n', &line)) {
        size_t after = 0;
        enum label label = label_of(line, &after);
        if (label == LABEL_NONE) {
            if (open != NULL)
                open->n = (size_t)(line.data + line.n - open->data);
            continue;
        }
        documents = documents || label == LABEL_DOCUMENTS;
        answers = answers || label == LABEL_ANSWER;
        str section = {line.data + after, line.n - after};
        open = label == LABEL_QUESTION ? &question : label == LABEL_HUMAN ? &human : NULL;
        if (open != NULL)
            *open = section;
    }
    question = str_trim(question);
    human = str_trim(human);
    if (question.n > 0 && (documents || answers))
        return question;
    if (human.n > 0 && answers)
        return human;
    return text;
}
