/* Packed weights times quantized activations: y[row][out] = scale · Σ_blocks + bias for the sixteen outputs of each group
 * and all rows of x.
 *
 * All forms give the same bits: dot products are exact in 32-bit integers, and each output's floats are, from zero and
 * block by block,
 *   sum = fma((float)dot · d, w_scale, sum), then, with mins, sum = fma(w_min, s, sum)
 * (twice a block where a scale covers 16 columns). Neither the number of rows nor of threads has a part in it. */
#ifndef WEIR_KERNELS_GEMM_H
#define WEIR_KERNELS_GEMM_H

#include "kernels/activations.h"
#include "kernels/packed.h"

struct gemm {
    const struct packed *w;
    const struct activations *a;
    const float *bias; /* n_out, or NULL. */
    float scale;
    float *y;          /* a->n_rows × w->n_out */
};

/* The outputs of groups first … end - 1. scratch: gemm_scratch_bytes (two groups unpacked) of 64-byte alignment, one a thread. */
size_t gemm_scratch_bytes(const struct packed *w);
typedef void gemm_groups_fn(const struct gemm *gemm, int first, int end, void *scratch);
gemm_groups_fn gemm_groups_scalar, gemm_groups_avx2, gemm_groups_vnni, gemm_groups_neon;

/* Where tile `tile` starts in the arrays, and how wide it is. */
struct gemm_tile {
    const int8_t *q;
    const float *d;
    const float *s;
    const int32_t *lift;
    const float *half_s;
    const int32_t *half_lift;
    int width;
    int first_row;
};

static inline struct gemm_tile gemm_tile_at(const struct activations *a, int tile)
{
    size_t base = (size_t)tile * ACTIVATION_TILE * (size_t)a->n_blocks;
    return (struct gemm_tile){a->q + base * ACTIVATION_BLOCK, a->d + base, a->s + base, a->lift + base, a->half_s + 2 * base,
                              a->half_lift + 2 * base, activations_width(a, tile), tile * ACTIVATION_TILE};
}

/* The same tile without its first n rows. */
static inline struct gemm_tile gemm_tile_skip(struct gemm_tile tile, int n)
{
    return (struct gemm_tile){tile.q + n * ACTIVATION_BLOCK, tile.d + n, tile.s + n, tile.lift + n, tile.half_s + n,
                              tile.half_lift + n, tile.width, tile.first_row + n};
}

#endif
