/* Activations in 8 bits: rows of x cut into blocks of 32, laid out for the tile of rows that a kernel holds in registers. A
 * scale is that of one block, or of eight for weights that come in blocks of 256, as llama.cpp has it for them.
 *
 * Rows form tiles of ACTIVATION_TILE; the last one is as wide as there are rows left. A tile of `width` rows from `first`:
 * block b of its row t has its bytes at q[(first × n_blocks + b × width + t) × 32] and its numbers at index
 * first × n_blocks + b × width + t of each array; of the halves at 2 first n_blocks + (2 b + h) width + t. */
#ifndef WEIR_KERNELS_ACTIVATIONS_H
#define WEIR_KERNELS_ACTIVATIONS_H

#include "weir_base.h"

enum { ACTIVATION_TILE = 12, ACTIVATION_BLOCK = 32 };

struct activations {
    int n_rows;
    int n_in;
    int n_blocks;
    int together;         /* Blocks with the same scale: 1 or 8. */
    int8_t *q;            /* -127 … 127, zero past n_in. */
    float *d;             /* A value is d · q. */
    float *s;             /* d · Σq: what a weight's min is multiplied with. */
    int32_t *lift;        /* -128 Σq: takes back an offset of 128 added to the weights. */
    float *half_s;        /* The same of 16 columns. */
    int32_t *half_lift;
};

/* Lays the arrays out in scratch of activations_bytes, a multiple of 64. */
size_t activations_bytes(int n_rows, int n_in);
void activations_init(struct activations *activations, void *scratch, int n_rows, int n_in, int together);
/* Quantizes tile `tile` of x (row stride n_in): scale max|x| / 127, rounded to nearest even. */
void activations_fill(const struct activations *activations, const float *x, int tile);
void activations_fill_avx2(const struct activations *activations, const float *x, int tile);
void activations_fill_vnni(const struct activations *activations, const float *x, int tile);
void activations_fill_neon(const struct activations *activations, const float *x, int tile);

static inline int activations_tiles(const struct activations *activations)
{
    return (activations->n_rows + ACTIVATION_TILE - 1) / ACTIVATION_TILE;
}

static inline int activations_width(const struct activations *activations, int tile)
{
    int left = activations->n_rows - tile * ACTIVATION_TILE;
    return left < ACTIVATION_TILE ? left : ACTIVATION_TILE;
}

#endif
