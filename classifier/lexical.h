/* Lexical: the words and character runs of a text. Deterministic, independent of the locale. */
#ifndef WEIR_CLASSIFIER_LEXICAL_H
#define WEIR_CLASSIFIER_LEXICAL_H

#include "weir_base.h"

enum {
    N_BUCKETS = 1 << 16, /* Hashed word and character n-grams share them. */
    N_SKETCH = 1024,     /* The same n-grams folded with signs into a short dense vector. */
    LONGEST_TEXT = 16384, /* Bytes looked at: the beginning and the end of a longer text. */
};

struct gram {
    uint32_t bucket;
    float value;
};

/* n-grams of one text by bucket, ascending; each half (words, characters) has values 1 + ln(count), not yet weighted. */
struct grams {
    struct gram *items;
    size_t n;
    size_t n_words; /* The first n_words items are of words, the others of characters. */
    float sketch[N_SKETCH]; /* Words and characters each of length 1, summed; 0 for a text without letters. */
};

/* Word 1- and 2-grams and character 2- to 5-grams within words, lower-cased in ASCII. Release also after an error. */
int grams_read(struct grams *grams, str text) WEIR_CHECKED;
void grams_release(struct grams *grams);

#endif
