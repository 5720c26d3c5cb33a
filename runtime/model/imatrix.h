/* Importance matrix: how much each input column of each matrix has been worked, from running a model over text
 * (llama-imatrix). Immutable once open. */
#ifndef WEIR_MODEL_IMATRIX_H
#define WEIR_MODEL_IMATRIX_H

#include "model/gguf.h"

struct imatrix;

int imatrix_open(struct imatrix **out, const char *path, struct error *err) WEIR_CHECKED;
void imatrix_close(struct imatrix *imatrix); /* NULL is fine. */
/* Weights of tensor's columns for its matrix `index` (an expert's; 0 of a plain one) into out, ne[0] of them. False: the file has
 * none for it, or none that fit. */
bool imatrix_row(const struct imatrix *imatrix, const struct tensor *tensor, int64_t index, float *out);

#endif
