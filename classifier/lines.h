/* Lines: training and evaluation data, read from JSON Lines. */
#ifndef WEIR_CLASSIFIER_LINES_H
#define WEIR_CLASSIFIER_LINES_H

#include "weir_classifier.h"

enum { DOMAIN_ABSENT = -1, DOMAIN_OOS = -2 };

struct line {
    str text;
    float label;  /* 1: the local model was right; NAN: not given. From "label", else from the local score. */
    float local;  /* Scores in 0…1, NAN: not given. A label stands for the local score where there is none. */
    float remote;
    float output_tokens;  /* Of a remote model's answer, NAN: not given. */
    struct answer answer; /* The local model's; text.data NULL: not given. */
    int domain;   /* Index into names, DOMAIN_OOS or DOMAIN_ABSENT. */
};

struct lines {
    struct line *items;
    size_t n;
    const char **names; /* In-scope domains in byte order. */
    int n_names;
    char sha256[2 * SHA256_BYTES + 1]; /* Of the file. */
    struct arena arena;                /* Owns texts and names. */
};

/* Reads a file of lines {"text", "label"?, "scores"?, "domain"?, "answer"?, …}; what else a line has is passed over. Errors name the
 * line: WEIR_E_INVALID for what is malformed, WEIR_E_LIMIT past the caps. Release also after an error. */
int lines_read(struct lines *lines, const char *path, struct error *err) WEIR_CHECKED;
void lines_release(struct lines *lines);

#endif
