/* Packed weights times quantized activations: y[row][out] = scale · Σ_blocks + bias for the sixteen outputs of each group
 * and all rows of x.
 *
 * All forms give the same bits: dot products are exact in 32-bit integers, and each output's floats are, from zero and
 * block by block,
 *   sum = fma((float)dot · d, w_scale, sum), then, with mins, sum = fma(w_min, s, sum).
 * With integer scales inside (gemm_k*.c) integers reach over a unit of 256 columns: dot is Σ code · dot of a span (below 2³¹:
 * 128 · 63 · 127 · 256), and then, with mins, sum = fma((float)(Σ min code · Σq) · d, w_min, sum). Neither the number of rows
 * nor of threads has a part in it. */
#ifndef WEIR_KERNELS_GEMM_H
#define WEIR_KERNELS_GEMM_H

#include "kernels/activations.h"
#include "kernels/packed.h"

enum { GEMM_UNIT_BYTES = PACKED_SUPER * PACKED_BLOCK * PACKED_ROWS + 4096 }; /* An unpacked unit with its numbers, at most. */

struct gemm {
    const struct packed *w;
    const struct activations *a;
    const float *bias; /* n_out, or NULL. */
    float scale;
    float *y;          /* a->n_rows × w->n_out */
};

/* The outputs of groups first … end - 1. scratch: gemm_scratch_bytes of 64-byte alignment, one a thread: two groups unpacked; of weights with
 * codes a unit of them, and the sums of n_rows rows so far. */
size_t gemm_scratch_bytes(const struct packed *w, int n_rows);
typedef void gemm_groups_fn(const struct gemm *gemm, int first, int end, void *scratch);
gemm_groups_fn gemm_groups_scalar, gemm_groups_avx2, gemm_groups_vnni, gemm_groups_neon;
/* What they call for weights with codes. */
gemm_groups_fn gemm_k_groups_avx2, gemm_k_groups_vnni, gemm_k_groups_neon;

/* Where tile `tile` starts in the arrays, and how wide it is. */
struct gemm_tile {
    const int8_t *q;
    const float *d;
    const float *s;
    const int32_t *lift;
    const int32_t *half_sums;
    const int32_t *block_sums;
    int width;
    int first_row;
};

/* The same tile without its first n rows. */
static inline struct gemm_tile gemm_tile_skip(struct gemm_tile tile, int n)
{
    tile.q += n * ACTIVATION_BLOCK;
    tile.d += n;
    if (tile.s != NULL) {
        tile.s += n;
        tile.lift += n;
    } else {
        tile.half_sums += n;
        tile.block_sums += n;
    }
    tile.first_row += n;
    return tile;
}

/* The same tile from block `block` (an even one) on. */
static inline struct gemm_tile gemm_tile_from(struct gemm_tile tile, int block)
{
    size_t n = (size_t)block * (size_t)tile.width;
    tile.q += n * ACTIVATION_BLOCK;
    tile.d += n;
    if (tile.s != NULL) {
        tile.s += n;
        tile.lift += n;
    } else {
        tile.half_sums += n;
        tile.block_sums += n / 2;
    }
    return tile;
}

static inline struct gemm_tile gemm_tile_at(const struct activations *a, int tile)
{
    size_t base = (size_t)tile * ACTIVATION_TILE * (size_t)a->n_blocks;
    struct gemm_tile at = {.q = a->q + base * ACTIVATION_BLOCK, .d = a->d + base, .width = activations_width(a, tile),
                           .first_row = tile * ACTIVATION_TILE};
    if (a->together == 1) {
        at.s = a->s + base;
        at.lift = a->lift + base;
    } else {
        at.half_sums = a->half_sums + base;
        at.block_sums = a->block_sums + base / 2;
    }
    return at;
}

/* Asks for the weights of the groups that are next read, bit by bit with every unit of every row, so that they have arrived when their
 * turn comes and what the memory gives is spread over all products. In 1/65536 of cache lines. */
struct ahead {
    const char *at;
    uint32_t row_step;
    uint32_t step; /* The rows of a pass together. */
    uint32_t owed;
};

/* For the products of all rows with n_groups groups from `group` on; n_bytes: how much further than the next groups' beginning. */
static inline struct ahead ahead_of(const struct gemm *gemm, int group, int n_groups, size_t n_bytes)
{
    size_t n_lines = gemm->w->group_bytes / 64 * (size_t)n_groups, n_steps = (size_t)gemm->a->n_rows * (size_t)gemm->w->n_units;
    const char *next = (const char *)packed_scales(gemm->w, group) + gemm->w->group_bytes * (size_t)n_groups;
    return (struct ahead){.at = next + n_bytes, .row_step = (uint32_t)((n_lines * 65536 + n_steps - 1) / n_steps)};
}

static inline __attribute__((always_inline)) void ahead_step(struct ahead *ahead)
{
    for (ahead->owed += ahead->step; ahead->owed >= 65536; ahead->owed -= 65536, ahead->at += 64)
        __builtin_prefetch(ahead->at, 0, 2);
}

#endif
