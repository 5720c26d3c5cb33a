/* Memory for weights and pages of the KV cache: pieces taken one after the other lie one after the other, in huge pages. */
#ifndef WEIR_KERNELS_SLAB_H
#define WEIR_KERNELS_SLAB_H

#include <stddef.h>

struct slab;

/* n_bytes aligned to a cache line, in *slab; NULL when memory runs out. Thread-safe. */
void *slab_take(size_t n_bytes, struct slab **slab);
/* Gives one piece back; a slab is freed with its last piece. */
void slab_drop(struct slab *slab);

#endif
