/* Distillation: what its parts share. */
#ifndef WEIR_CLASSIFIER_DISTILL_H
#define WEIR_CLASSIFIER_DISTILL_H

#include "distill_fit.h"
#include "examples.h"
#include "static_table.h"

enum part { PART_FIT, PART_TUNE, PART_HELD };

struct distill {
    struct model *encoder;
    const struct tokenizer *tokenizer;
    struct pool *pool;
    const struct distill_options *options;
    size_t n_tokens, n_dims, width;
    float *tokens;     /* n_tokens × width: the encoder's vectors, zero for special ones. */
    float *directions; /* n_dims × width */
    float *prior, *rows, *best; /* n_tokens × n_dims */
    struct lines lines; /* n = 0 without texts. */
    float *embeddings; /* lines × width */
    float *targets;    /* lines × n_dims */
    enum part *parts;
    float *weights;    /* Of a fit, by line. */
    struct corpus corpus;
    size_t n_held;
};

/* Reads the texts, their embeddings and tokens; parts say what each is for. */
int distill_read(struct distill *d, struct error *err) WEIR_CHECKED;
/* From d->prior to d->best; notes in metrics what it found. d->weights: 1 for the lines to fit. */
int distill_texts(struct distill *d, json_t *metrics) WEIR_CHECKED;
/* Agreement of the table as it is written on the lines held out. */
int distill_measure(const struct distill *d, const struct static_table *table, json_t *metrics) WEIR_CHECKED;

#endif
