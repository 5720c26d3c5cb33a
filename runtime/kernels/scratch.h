/* Scratch memory that a thread keeps between calls, so that a steady state allocates nothing. */
#ifndef WEIR_KERNELS_SCRATCH_H
#define WEIR_KERNELS_SCRATCH_H

#include <stddef.h>

enum scratch_slot { SCRATCH_ACTIVATIONS, SCRATCH_UNPACKED, SCRATCH_ATTENTION, SCRATCH_TILES, SCRATCH_PARTIAL, SCRATCH_INNER, N_SCRATCH_SLOTS };

/* At least n_bytes, aligned to 64, contents undefined; the same slot's earlier pointer is no longer valid. Ends the process
 * with a message when memory runs out: a forward pass has no way back from there. */
void *scratch_take(enum scratch_slot slot, size_t n_bytes);

#endif
