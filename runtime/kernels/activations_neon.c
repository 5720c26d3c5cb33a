/* Quantizing activations with NEON: a block is eight vectors. The same bits as the scalar form. */
#include "kernels/activations.h"

#include <arm_neon.h>

/* The largest magnitude of n blocks. */
static float largest_of(const float *x, int n)
{
    float32x4_t max = vdupq_n_f32(0);
    for (int i = 0; i < n * ACTIVATION_BLOCK; i += 4)
        max = vmaxnmq_f32(max, vabsq_f32(vld1q_f32(x + i)));
    return vmaxnmvq_f32(max);
}

/* Sixteen values, rounded to nearest even and held to bytes. */
static inline int8x16_t quantize(const float *x, float inverse)
{
    int16x4_t part[4];
    for (int i = 0; i < 4; i++)
        part[i] = vqmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + 4 * i), inverse)));
    return vcombine_s8(vqmovn_s16(vcombine_s16(part[0], part[1])), vqmovn_s16(vcombine_s16(part[2], part[3])));
}

void activations_fill_neon(const struct activations *a, const float *x, int from, int end)
{
    int tile = from / ACTIVATION_TILE, first = tile * ACTIVATION_TILE, width = activations_width(a, tile);
    size_t base = (size_t)first * (size_t)a->n_blocks;
    for (int t = from - first; t < end - first; t++) {
        const float *row = x + (size_t)(first + t) * (size_t)a->n_in;
        float d = 0, inverse = 0;
        for (int b = 0; b < a->n_blocks; b++) {
            if (b % a->together == 0) {
                int left = a->n_blocks - b;
                float max = largest_of(row + b * ACTIVATION_BLOCK, left < a->together ? left : a->together);
                d = max / 127.0f;
                inverse = max > 0 ? 127.0f / max : 0;
            }
            int8x16_t low = quantize(row + b * ACTIVATION_BLOCK, inverse), high = quantize(row + b * ACTIVATION_BLOCK + 16, inverse);
            size_t at = base + (size_t)(b * width + t);
            vst1q_s8(a->q + at * ACTIVATION_BLOCK, low);
            vst1q_s8(a->q + at * ACTIVATION_BLOCK + 16, high);
            int sum_low = vaddlvq_s8(low), sum_high = vaddlvq_s8(high);
            activations_put(a, first, width, t, b, d, sum_low, sum_high);
        }
    }
}
