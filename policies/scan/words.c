/* The automaton as one dense table over the classes of bytes that occur in the words: a step is one load, and a state says with
 * one bit whether anything ends there. Immutable once built. */
#include "scan/words.h"

#include "scan/text.h"

#include <stdlib.h>

struct words {
    uint8_t class_of[256];
    size_t n_classes, n_states, n_words;
    uint16_t *next;      /* n_states × n_classes. */
    uint16_t *fail;
    uint16_t *output;    /* First state on the chain of suffixes (itself included) where a word ends; 0: none. */
    int32_t *ends;       /* First word that ends here, -1: none. */
    int32_t *same;       /* By word: the next that ends at the same state, -1: none. */
    uint32_t *lengths;
};

enum { MOST_STATES = 65535 };

void words_free(struct words *words)
{
    if (words == NULL)
        return;
    free(words->next);
    free(words->fail);
    free(words->output);
    free(words->ends);
    free(words->same);
    free(words->lengths);
    free(words);
}

static size_t assign_classes(struct words *words, const char *const *list, size_t n)
{
    size_t n_bytes = 1;
    words->n_classes = 1; /* Class 0: bytes in no word. */
    for (size_t i = 0; i < n; i++)
        for (const char *c = list[i]; *c != '\0'; c++, n_bytes++)
            if (words->class_of[(unsigned char)*c] == 0)
                words->class_of[(unsigned char)*c] = (uint8_t)words->n_classes++;
    for (int c = 'A'; c <= 'Z'; c++)
        words->class_of[c] = words->class_of[c + 32];
    return n_bytes;
}

static void link_failures(struct words *words, uint16_t *queue)
{
    size_t head = 0, tail = 0, n_classes = words->n_classes;
    for (size_t c = 0; c < n_classes; c++)
        if (words->next[c] != 0)
            queue[tail++] = words->next[c];
    while (head < tail) {
        uint16_t state = queue[head++], fail = words->fail[state];
        words->output[state] = words->ends[state] >= 0 ? state : words->output[fail];
        for (size_t c = 0; c < n_classes; c++) {
            uint16_t *child = &words->next[state * n_classes + c], via_fail = words->next[fail * n_classes + c];
            if (*child == 0) {
                *child = via_fail;
                continue;
            }
            words->fail[*child] = via_fail;
            queue[tail++] = *child;
        }
    }
}

struct words *words_new(const char *const *list, size_t n)
{
    struct words *words = calloc(1, sizeof *words);
    if (words == NULL)
        return NULL;
    size_t most = assign_classes(words, list, n);
    uint16_t *queue = malloc((most + 1) * sizeof *queue);
    words->next = calloc(most * words->n_classes, sizeof *words->next);
    words->fail = calloc(most, sizeof *words->fail);
    words->output = calloc(most, sizeof *words->output);
    words->ends = malloc(most * sizeof *words->ends);
    words->same = malloc((n + 1) * sizeof *words->same);
    words->lengths = calloc(n + 1, sizeof *words->lengths);
    if (most > MOST_STATES || queue == NULL || words->next == NULL || words->fail == NULL || words->output == NULL ||
        words->ends == NULL || words->same == NULL || words->lengths == NULL) {
        free(queue);
        words_free(words);
        return NULL;
    }
    for (size_t i = 0; i < most; i++)
        words->ends[i] = -1;
    words->n_states = 1;
    words->n_words = n;
    for (size_t i = 0; i < n; i++) {
        size_t state = 0;
        for (const char *c = list[i]; *c != '\0'; c++) {
            uint16_t *child = &words->next[state * words->n_classes + words->class_of[(unsigned char)*c]];
            if (*child == 0)
                *child = (uint16_t)words->n_states++;
            state = *child;
            words->lengths[i]++;
        }
        words->same[i] = words->ends[state];
        words->ends[state] = (int32_t)i;
    }
    link_failures(words, queue);
    free(queue);
    return words;
}

size_t words_length(const struct words *words, size_t index)
{
    return words->lengths[index];
}

bool words_search(const struct words *words, str text, words_fn *fn, void *user)
{
    size_t state = 0, n_classes = words->n_classes;
    for (size_t i = 0; i < text.n; i++) {
        state = words->next[state * n_classes + words->class_of[(unsigned char)text.data[i]]];
        for (uint16_t hit = words->output[state]; hit != 0; hit = words->output[words->fail[hit]])
            for (int32_t word = words->ends[hit]; word >= 0; word = words->same[word])
                if (!fn(user, (size_t)word, i + 1 - words->lengths[word]))
                    return false;
    }
    return true;
}
