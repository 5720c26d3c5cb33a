/* Activations in 8 bits: rows of x cut into blocks of 32, laid out for the tile of rows that a kernel holds in registers. A
 * scale is that of one block, or of eight for weights that come in blocks of 256, as llama.cpp has it for them.
 *
 * Rows form tiles of ACTIVATION_TILE; the last one is as wide as there are rows left. A tile of `width` rows from `first`:
 * block b of its row t has its bytes at q[(first × n_blocks + b × width + t) × 32] and its numbers at index
 * first × n_blocks + b × width + t of each array, the pair of blocks p at first n_blocks / 2 + p width + t. */
#ifndef WEIR_KERNELS_ACTIVATIONS_H
#define WEIR_KERNELS_ACTIVATIONS_H

#include "weir_base.h"

enum { ACTIVATION_TILE = 12, ACTIVATION_BLOCK = 32 };
enum { ACTIVATION_ROWS = 4 }; /* Are quantized together; tiles are whole multiples. */
enum { GEMM_FEW_ROWS = 2 }; /* Up to so many, x86 products take weights of K formats as they are packed. */

struct activations {
    int n_rows;
    int n_in;
    int n_blocks;
    int together;         /* Blocks with the same scale: 1 or 8. */
    int8_t *q;            /* -127 … 127, zero past n_in. */
    float *d;             /* A value is d · q. */
    /* With scales of one block: */
    float *s;             /* d · Σq: what a weight's min is multiplied with. */
    int32_t *lift;        /* -128 Σq: takes back an offset of 128 added to the weights. */
    /* With scales of eight, whose sums stay integers: */
    int32_t *half_sums;   /* Σq of the first and of the last 16 columns, in the lower and upper 16 bits. */
    int32_t *block_sums;  /* Σq of two blocks, likewise. */
    uint8_t flip;         /* What bytes are xored with: 0x80 where the product takes activations as unsigned, 128 too high. */
};

/* Lays the arrays out in scratch of activations_bytes, a multiple of 64. */
size_t activations_bytes(int n_rows, int n_in);
void activations_init(struct activations *activations, void *scratch, int n_rows, int n_in, int together);
/* Quantizes rows from … end - 1 of x (row stride n_in), which lie in one tile: scale max|x| / 127, rounded to nearest even. */
void activations_fill(const struct activations *activations, const float *x, int from, int end);
void activations_fill_avx2(const struct activations *activations, const float *x, int from, int end);
void activations_fill_vnni(const struct activations *activations, const float *x, int from, int end);
void activations_fill_neon(const struct activations *activations, const float *x, int from, int end);

/* Two sums as two 16-bit numbers. */
static inline int32_t activations_pair(int low, int high)
{
    return (int32_t)((uint32_t)low & 0xffff) | (int32_t)((uint32_t)high << 16);
}

/* Writes the numbers that follow from a block's bytes: the sums of its halves. */
static inline void activations_put(const struct activations *a, int first, int width, int t, int block, float d, int low, int high)
{
    size_t base = (size_t)first * (size_t)a->n_blocks, at = base + (size_t)(block * width + t);
    a->d[at] = d;
    if (a->together == 1) {
        a->s[at] = d * (float)(low + high);
        a->lift[at] = -128 * (low + high);
        return;
    }
    a->half_sums[at] = activations_pair(low, high);
    int32_t *pair = a->block_sums + base / 2 + (size_t)(block / 2 * width + t);
    *pair = block % 2 == 0 ? activations_pair(low + high, 0) : activations_pair(*pair, low + high);
}

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
