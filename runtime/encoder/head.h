/* Head: labels on top of hidden states, as transformers' …ForSequenceClassification and …ForTokenClassification define them. */
#ifndef WEIR_ENCODER_HEAD_H
#define WEIR_ENCODER_HEAD_H

#include "encoder/architecture.h"

/* Finds out whether the file has a head and which (config.json's architectures, or the tensors that are there). */
void task_head_open(struct weights *weights, const struct architecture *architecture, const struct body *body, struct head *head);
/* The names of n_labels labels, in the weights' arena. */
const char *const *head_labels(struct weights *weights, int n_labels);
/* Floats of scratch for a text of n_rows. */
size_t head_floats(const struct head *head, int n_rows, int width);
/* x: n_rows × width; out: n_labels, or n_rows × n_labels for HEAD_EACH. */
void head_apply(const struct head *head, struct pool *pool, const float *x, int n_rows, int width, float *scratch, float *out);

#endif
