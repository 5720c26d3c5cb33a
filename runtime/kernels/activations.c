/* Quantizing activations, scalar; activations.h has the layout. The vector forms give the same bits. */
#include "kernels/activations.h"
#include "kernels/cpu.h"

#include <math.h>

static size_t padded(size_t n_bytes)
{
    return (n_bytes + 63) / 64 * 64;
}

size_t activations_bytes(int n_rows, int n_in)
{
    size_t n = (size_t)n_rows * (size_t)((n_in + ACTIVATION_BLOCK - 1) / ACTIVATION_BLOCK);
    return padded(n * ACTIVATION_BLOCK) + 3 * padded(n * 4) + 2 * padded(n * 8) + 64;
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
    activations->s = (float *)at;
    at += padded(n * 4);
    activations->lift = (int32_t *)at;
    at += padded(n * 4);
    activations->half_s = (float *)at;
    at += padded(n * 8);
    activations->half_lift = (int32_t *)at;
}

static float largest_of(const float *x, int n)
{
    float max = 0;
    for (int i = 0; i < n; i++)
        max = fabsf(x[i]) > max ? fabsf(x[i]) : max;
    return max;
}

static void block_fill(const struct activations *a, const float *x, int n, float max, size_t at, size_t half_at, int width)
{
    float d = max / 127.0f, inverse = max > 0 ? 127.0f / max : 0;
    int sums[2] = {0, 0};
    for (int i = 0; i < ACTIVATION_BLOCK; i++) {
        int value = i < n ? (int)lrintf(x[i] * inverse) : 0;
        value = value > 127 ? 127 : value < -127 ? -127 : value;
        a->q[at * ACTIVATION_BLOCK + (size_t)i] = (int8_t)value;
        sums[i / 16] += value;
    }
    a->d[at] = d;
    a->s[at] = d * (float)(sums[0] + sums[1]);
    a->lift[at] = -128 * (sums[0] + sums[1]);
    for (int h = 0; h < 2; h++) {
        a->half_s[half_at + (size_t)(h * width)] = d * (float)sums[h];
        a->half_lift[half_at + (size_t)(h * width)] = -128 * sums[h];
    }
}

static void fill_scalar(const struct activations *a, const float *x, int tile)
{
    int first = tile * ACTIVATION_TILE, width = activations_width(a, tile);
    int span = a->together * ACTIVATION_BLOCK;
    size_t base = (size_t)first * (size_t)a->n_blocks;
    for (int t = 0; t < width; t++) {
        const float *row = x + (size_t)(first + t) * (size_t)a->n_in;
        float max = 0;
        for (int b = 0; b < a->n_blocks; b++) {
            int from = b * ACTIVATION_BLOCK, left = a->n_in - from;
            if (b % a->together == 0)
                max = largest_of(row + from, left < span ? left : span);
            block_fill(a, row + from, left < ACTIVATION_BLOCK ? left : ACTIVATION_BLOCK, max, base + (size_t)(b * width + t),
                       2 * base + (size_t)(2 * b * width + t), width);
        }
    }
}

void activations_fill(const struct activations *activations, const float *x, int tile)
{
#if defined(__x86_64__)
    if (cpu_level() == CPU_VNNI && activations->n_in % ACTIVATION_BLOCK == 0) {
        activations_fill_vnni(activations, x, tile);
        return;
    }
    if (cpu_level() >= CPU_AVX2 && activations->n_in % ACTIVATION_BLOCK == 0) {
        activations_fill_avx2(activations, x, tile);
        return;
    }
#elif defined(__aarch64__)
    if (cpu_level() == CPU_NEON && activations->n_in % ACTIVATION_BLOCK == 0) {
        activations_fill_neon(activations, x, tile);
        return;
    }
#endif
    fill_scalar(activations, x, tile);
}
