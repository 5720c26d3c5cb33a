/* The formats whose scales are searched for. */
#ifndef WEIR_KERNELS_QUANTIZE_K_H
#define WEIR_KERNELS_QUANTIZE_K_H

#include "kernels/tensor.h"

/* One block; importance may be NULL. */
typedef void quantize_block_fn(const float *x, const float *importance, uint8_t *block);
/* NULL: not one of them. */
quantize_block_fn *quantize_k_find(enum tensor_type type);

#endif
