/* The scalar form, which says what the others compute. */
#include "kernels/gemm.h"
#include "kernels/half.h"

#include <math.h>

size_t gemm_scratch_bytes(const struct packed *w, int n_rows)
{
    if (w->code_bytes > 0)
        return 2 * (GEMM_UNIT_BYTES + (size_t)n_rows * PACKED_ROWS * sizeof(float));
    return 2 * (size_t)w->n_blocks * PACKED_ROWS * (PACKED_BLOCK + 2 * sizeof(float));
}

/* Σ weight · value of `n` columns, and Σ value. */
static int dot_of(const struct packed *w, const uint8_t *q, const int8_t *a, int n, int *sum_q)
{
    int dot = 0;
    *sum_q = 0;
    for (int k = 0; k < n; k++) {
        dot += (q[k] - w->offset) * a[k];
        *sum_q += a[k];
    }
    return dot;
}

static float add_block(const struct packed *w, int group, int lane, int block, struct gemm_tile tile, int t, float sum)
{
    uint8_t q[PACKED_BLOCK];
    float d = tile.d[block * tile.width + t];
    size_t at = (size_t)block * PACKED_ROWS + (size_t)lane;
    int sum_q, dot;
    packed_block_quants(w, group, block, lane, q);
    dot = dot_of(w, q, tile.q + (block * tile.width + t) * ACTIVATION_BLOCK, PACKED_BLOCK, &sum_q);
    sum = fmaf((float)dot * d, half_to_float(packed_scales(w, group)[at]), sum);
    return w->has_min ? fmaf(half_to_float(packed_mins(w, group)[at]), d * (float)sum_q, sum) : sum;
}

static float add_unit(const struct packed *w, int group, int lane, int unit, struct gemm_tile tile, int t, float sum)
{
    int scales[PACKED_MOST_SPANS], mins[PACKED_MOST_SPANS] = {0}, total = 0, total_min = 0, n_spans = PACKED_BLOCK / w->span;
    float d = tile.d[unit * PACKED_SUPER * tile.width + t];
    size_t at = (size_t)unit * PACKED_ROWS + (size_t)lane;
    packed_unit_codes(w, group, unit, lane, scales, mins);
    for (int i = 0; i < PACKED_SUPER * n_spans; i++) {
        uint8_t q[PACKED_BLOCK];
        int block = unit * PACKED_SUPER + i / n_spans, from = i % n_spans * w->span, sum_q;
        packed_block_quants(w, group, block, lane, q);
        total += scales[i] * dot_of(w, q + from, tile.q + (block * tile.width + t) * ACTIVATION_BLOCK + from, w->span, &sum_q);
        total_min += mins[i] * sum_q;
    }
    sum = fmaf((float)total * d, half_to_float(packed_scales(w, group)[at]), sum);
    return w->has_min ? fmaf((float)total_min * d, half_to_float(packed_mins(w, group)[at]), sum) : sum;
}

static void one_group(const struct gemm *gemm, int group)
{
    const struct packed *w = gemm->w;
    int n_lanes = w->n_out - group * PACKED_ROWS < PACKED_ROWS ? w->n_out - group * PACKED_ROWS : PACKED_ROWS;
    for (int lane = 0; lane < n_lanes; lane++)
        for (int row = 0; row < gemm->a->n_rows; row++) {
            struct gemm_tile tile = gemm_tile_at(gemm->a, row / ACTIVATION_TILE);
            float sum = 0;
            for (int unit = 0; unit < w->n_units; unit++)
                sum = w->code_bytes > 0 ? add_unit(w, group, lane, unit, tile, row % ACTIVATION_TILE, sum)
                                        : add_block(w, group, lane, unit, tile, row % ACTIVATION_TILE, sum);
            size_t out = (size_t)group * PACKED_ROWS + (size_t)lane;
            sum *= gemm->scale;
            gemm->y[(size_t)row * (size_t)w->n_out + out] = gemm->bias == NULL ? sum : sum + gemm->bias[out];
        }
}

void gemm_groups_scalar(const struct gemm *gemm, int first, int end, void *scratch)
{
    for (int group = first; group < end; group++)
        one_group(gemm, group);
}
