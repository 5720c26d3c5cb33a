/* Train: the parts of head_train, in the order they run. */
#ifndef WEIR_CLASSIFIER_TRAIN_H
#define WEIR_CLASSIFIER_TRAIN_H

#include "examples.h"
#include "head.h"

enum { N_FOLDS = 5, LEAST_LINES = 20 };

struct training {
    struct head *head;
    struct examples *examples; /* The grams get weighed on the way. */
    struct pool *pool;
    uint64_t seed;
    bool quiet;
    enum train_kind kind;
    bool balanced;
    const struct static_table *table; /* NULL: no static view. */
    size_t most_landmarks;
    size_t *landmarks; /* Lines that are the head's landmarks. */
    int *folds; /* Of each line, by its text: equal texts share one. */
    float *unseen_local; /* Of each line the logit of P(local) that the fit which did not see it says, with the best view; NAN: none. */
    float *gains[N_HEAD_VIEWS]; /* Of each line by the fold that did not see it; NAN: no local or remote score. */
    bool *settled; /* Lines that a cheaper tier would have answered alone, as its folds found. */
};

/* Gain, local, remote and length heads of all views with their calibration and metrics. */
int train_linear(struct training *training, struct error *err) WEIR_CHECKED;
/* P(local) after the answer, where enough lines have one. */
int train_answer(struct training *training, struct error *err) WEIR_CHECKED;
/* Domain heads of all views. */
int train_domains(struct training *training, struct error *err) WEIR_CHECKED;
/* What each rule's texts were like. */
void train_rules(struct training *training);

#endif
