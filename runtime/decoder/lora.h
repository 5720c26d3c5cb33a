/* LoRA beside the weights: an adapter whose changes are computed apart, y = W x + s B (A x), for the rows of a batch that ask
 * for it (Hu et al. 2021). So sessions with different adapters, or none, share one pass over W. */
#ifndef WEIR_DECODER_LORA_H
#define WEIR_DECODER_LORA_H

#include "decoder/loader.h"
#include "kernels/linear.h"

struct lora;

/* Reads an adapter for a model whose matrices the loader has made. Changes of experts, routers or a tied embedding are
 * WEIR_E_UNSUPPORTED. Call before forward passes run. */
int lora_open(struct lora **out, const struct loader *loader, const char *path, struct error *err) WEIR_CHECKED;
void lora_close(struct lora *lora); /* NULL is fine. */

/* y += s B A x of this matrix, for each row with an adapter that changes it. of_row: one a row, NULL: none. A row's sum doesn't
 * depend on the other rows. Under the model's lock: an adapter has one scratch memory. */
void lora_add(struct lora *const *of_row, int n_rows, const struct linear *linear, struct pool *pool, const float *x, float *y);

#endif
