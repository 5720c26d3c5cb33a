/* The scalar form, which says what the others compute. */
#include "kernels/gemm.h"
#include "kernels/half.h"

#include <math.h>

size_t gemm_scratch_bytes(const struct packed *w)
{
    size_t n_spans = (size_t)w->n_blocks * (size_t)(PACKED_BLOCK / w->span);
    return 2 * ((size_t)w->n_blocks * PACKED_BLOCK * PACKED_ROWS + 2 * n_spans * PACKED_ROWS * sizeof(float));
}

static void one_group(const struct gemm *gemm, int group)
{
    const struct packed *w = gemm->w;
    const uint16_t *scales = packed_scales(w, group), *mins = packed_mins(w, group);
    int n_lanes = w->n_out - group * PACKED_ROWS < PACKED_ROWS ? w->n_out - group * PACKED_ROWS : PACKED_ROWS;
    int n_spans = PACKED_BLOCK / w->span;
    for (int lane = 0; lane < n_lanes; lane++)
        for (int row = 0; row < gemm->a->n_rows; row++) {
            struct gemm_tile tile = gemm_tile_at(gemm->a, row / ACTIVATION_TILE);
            int t = row % ACTIVATION_TILE;
            float sum = 0;
            for (int block = 0; block < w->n_blocks; block++) {
                uint8_t q[PACKED_BLOCK];
                packed_block_quants(w, group, block, lane, q);
                const int8_t *a = tile.q + (block * tile.width + t) * ACTIVATION_BLOCK;
                float d = tile.d[block * tile.width + t];
                for (int span = 0; span < n_spans; span++) {
                    int dot = 0, sum_q = 0;
                    for (int k = span * w->span; k < (span + 1) * w->span; k++) {
                        dot += (q[k] - w->offset) * a[k];
                        sum_q += a[k];
                    }
                    size_t at = (size_t)(block * n_spans + span) * PACKED_ROWS + (size_t)lane;
                    sum = fmaf((float)dot * d, half_to_float(scales[at]), sum);
                    if (w->has_min)
                        sum = fmaf(half_to_float(mins[at]), d * (float)sum_q, sum);
                }
            }
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
