/* Quantizing activations, scalar; activations.h has the layout. The vector forms give the same bits. */
#include "kernels/activations.h"
#include "kernels/cpu.h"

#include <assert.h>
#include <math.h>

static size_t padded(size_t n_bytes)
{
    return (n_bytes + 63) / 64 * 64;
}

size_t activations_bytes(int n_rows, int n_in)
{
    size_t n = (size_t)n_rows * (size_t)((n_in + ACTIVATION_BLOCK - 1) / ACTIVATION_BLOCK);
    return padded(n * ACTIVATION_BLOCK) + 3 * padded(n * 4) + 64;
}

void activations_init(struct activations *activations, void *scratch, int n_rows, int n_in, int together)
{
    int n_blocks = (n_in + ACTIVATION_BLOCK - 1) / ACTIVATION_BLOCK;
    size_t n = (size_t)n_rows * (size_t)n_blocks;
    uint8_t *at = scratch;
    *activations = (struct activations){.n_rows = n_rows, .n_in = n_in, .n_blocks = n_blocks, .together = together};
    activations->q = (int8_t *)at;
    at += padded(n * ACTIVATION_BLOCK);
    activations->d = (float *)at;
    at += padded(n * 4);
    if (together == 1) {
        activations->s = (float *)at;
        at += padded(n * 4);
        activations->lift = (int32_t *)at;
        return;
    }
    activations->flip = cpu_level() == CPU_VNNI && n_rows > GEMM_FEW_ROWS ? 0x80 : 0;
    activations->half_sums = (int32_t *)at;
    at += padded(n * 4);
    activations->block_sums = (int32_t *)at;
}

static float largest_of(const float *x, int n)
{
    float max = 0;
    for (int i = 0; i < n; i++)
        max = fabsf(x[i]) > max ? fabsf(x[i]) : max;
    return max;
}

static void fill_scalar(const struct activations *a, const float *x, int from_row, int end_row)
{
    int tile = from_row / ACTIVATION_TILE, first = tile * ACTIVATION_TILE, width = activations_width(a, tile);
    int span = a->together * ACTIVATION_BLOCK;
    for (int t = from_row - first; t < end_row - first; t++) {
        const float *row = x + (size_t)(first + t) * (size_t)a->n_in;
        float d = 0, inverse = 0;
        for (int b = 0; b < a->n_blocks; b++) {
            int from = b * ACTIVATION_BLOCK, left = a->n_in - from, sums[2] = {0, 0};
            int8_t *q = a->q + ((size_t)first * (size_t)a->n_blocks + (size_t)(b * width + t)) * ACTIVATION_BLOCK;
            if (b % a->together == 0) {
                float max = largest_of(row + from, left < span ? left : span);
                d = max / 127.0f;
                inverse = max > 0 ? 127.0f / max : 0;
            }
            for (int i = 0; i < ACTIVATION_BLOCK; i++) {
                int value = i < left ? (int)lrintf(row[from + i] * inverse) : 0;
                value = value > 127 ? 127 : value < -127 ? -127 : value;
                q[i] = (int8_t)(value ^ a->flip);
                sums[i / 16] += value;
            }
            activations_put(a, first, width, t, b, d, sums[0], sums[1]);
        }
    }
}

void activations_fill(const struct activations *activations, const float *x, int from, int end)
{
    assert(from < end && from / ACTIVATION_TILE == (end - 1) / ACTIVATION_TILE);
#if defined(__x86_64__)
    if (cpu_level() == CPU_VNNI && activations->n_in % ACTIVATION_BLOCK == 0) {
        activations_fill_vnni(activations, x, from, end);
        return;
    }
    if (cpu_level() >= CPU_AVX2 && activations->n_in % ACTIVATION_BLOCK == 0) {
        activations_fill_avx2(activations, x, from, end);
        return;
    }
#elif defined(__aarch64__)
    if (cpu_level() == CPU_NEON && activations->n_in % ACTIVATION_BLOCK == 0) {
        activations_fill_neon(activations, x, from, end);
        return;
    }
#endif
    fill_scalar(activations, x, from, end);
}
