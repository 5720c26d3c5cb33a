/* How often do two different texts share a phrase, and do they then mean the same? Reads "label<TAB>text" lines from standard input, prints
 * one JSON object: lines, pairs of different texts with one phrase, those of different labels (each also on standard error), and the time
 * a phrase takes.
 *
 *   tests/bench/gateway/phrase_lines.py ../shared/data/routing | build/release/tests/bench_phrase */
#include "cache/phrase.h"

#include <stdio.h>
#include <stdlib.h>

struct line {
    const char *label, *text;
    char *phrase;
};

static int by_phrase(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    int order = strcmp(x->phrase, y->phrase);
    return order != 0 ? order : strcmp(x->text, y->text);
}

int main(void)
{
    size_t n = 0, capacity = 0, n_bytes = 0, n_line = 0;
    struct line *lines = NULL;
    char *line = NULL;
    long pairs = 0, different = 0;
    int64_t spent = 0;
    for (ssize_t got; (got = getline(&line, &n_line, stdin)) > 0;) {
        char *tab = strchr(line, '\t');
        if (tab == NULL)
            continue;
        if (n == capacity) {
            capacity = capacity > 0 ? 2 * capacity : 1024;
            lines = realloc(lines, capacity * sizeof *lines);
            if (lines == NULL)
                return 1;
        }
        *tab = '\0';
        line[got - (line[got - 1] == '\n')] = '\0';
        str text = str_of(tab + 1);
        struct buffer phrase;
        buffer_init(&phrase, 1 << 20);
        int64_t before = clock_now_us();
        for (int i = 0; i < 10; i++) {
            buffer_clear(&phrase);
            if (phrase_append(text, &phrase) < 0)
                buffer_append_str(&phrase, text);
        }
        spent += clock_now_us() - before;
        n_bytes += text.n;
        lines[n++] = (struct line){strdup(line), strdup(tab + 1), buffer_detach(&phrase)};
    }
    if (n == 0)
        return 1;
    qsort(lines, n, sizeof *lines, by_phrase);
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n && strcmp(lines[k].phrase, lines[i].phrase) == 0; k++) {
            if (strcmp(lines[i].text, lines[k].text) == 0)
                continue;
            pairs++;
            if (strcmp(lines[i].label, lines[k].label) != 0 && ++different > 0)
                fprintf(stderr, "%s: %s\n%s: %s\n\n", lines[i].label, lines[i].text, lines[k].label, lines[k].text);
        }
    printf("{\"lines\": %zu, \"pairs\": %ld, \"pairs_of_different_labels\": %ld, \"us_per_phrase\": %.2f, \"bytes_per_line\": %.0f}\n", n, pairs, different,
           (double)spent / 10 / (double)n, (double)n_bytes / (double)n);
    return 0;
}
