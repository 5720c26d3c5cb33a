/* f32 to packed blocks. The legacy formats follow llama.cpp's reference step for step, rounding included, so that their
 * bytes agree; dequantize.c describes the layouts. */
#include "kernels/half.h"
#include "kernels/quantize_k.h"

#include <math.h>

static void store_half(uint8_t *at, float value)
{
    uint16_t half = float_to_half(value);
    memcpy(at, &half, sizeof half);
}

/* The value of largest magnitude, with its sign; the first of equals. */
static float extreme(const float *x, int n)
{
    float best = 0, value = 0;
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > best) {
            best = fabsf(x[i]);
            value = x[i];
        }
    return value;
}

static int clamp_high(int value, int high)
{
    return value < high ? value : high;
}

static void range(const float *x, int n, float *min, float *max)
{
    *min = *max = x[0];
    for (int i = 1; i < n; i++) {
        *min = x[i] < *min ? x[i] : *min;
        *max = x[i] > *max ? x[i] : *max;
    }
}

static void quantize_q4_0(const float *x, uint8_t *block)
{
    float d = extreme(x, 32) / -8, inverse = d != 0 ? 1.0f / d : 0;
    store_half(block, d);
    for (int i = 0; i < 16; i++) {
        int low = clamp_high((int8_t)(x[i] * inverse + 8.5f), 15);
        int high = clamp_high((int8_t)(x[i + 16] * inverse + 8.5f), 15);
        block[2 + i] = (uint8_t)(low | high << 4);
    }
}

static void quantize_q4_1(const float *x, uint8_t *block)
{
    float min, max;
    range(x, 32, &min, &max);
    float d = (max - min) / 15, inverse = d != 0 ? 1.0f / d : 0;
    store_half(block, d);
    store_half(block + 2, min);
    for (int i = 0; i < 16; i++) {
        int low = clamp_high((int8_t)((x[i] - min) * inverse + 0.5f), 15);
        int high = clamp_high((int8_t)((x[i + 16] - min) * inverse + 0.5f), 15);
        block[4 + i] = (uint8_t)(low | high << 4);
    }
}

/* Nibbles into q, fifth bits into the 4 bytes at `fifth`. */
static void store_five_bits(const int *values, uint8_t *fifth, uint8_t *q)
{
    uint32_t bits = 0;
    for (int i = 0; i < 16; i++) {
        q[i] = (uint8_t)((values[i] & 15) | (values[i + 16] & 15) << 4);
        bits |= (uint32_t)(values[i] >> 4 & 1) << i | (uint32_t)(values[i + 16] >> 4 & 1) << (i + 16);
    }
    memcpy(fifth, &bits, sizeof bits);
}

static void quantize_q5_0(const float *x, uint8_t *block)
{
    float d = extreme(x, 32) / -16, inverse = d != 0 ? 1.0f / d : 0;
    int values[32];
    for (int i = 0; i < 32; i++)
        values[i] = clamp_high((int8_t)(x[i] * inverse + 16.5f), 31);
    store_half(block, d);
    store_five_bits(values, block + 2, block + 6);
}

static void quantize_q5_1(const float *x, uint8_t *block)
{
    float min, max;
    range(x, 32, &min, &max);
    float d = (max - min) / 31, inverse = d != 0 ? 1.0f / d : 0;
    int values[32];
    for (int i = 0; i < 32; i++)
        values[i] = (uint8_t)((x[i] - min) * inverse + 0.5f);
    store_half(block, d);
    store_half(block + 2, min);
    store_five_bits(values, block + 4, block + 8);
}

static void quantize_q8_0(const float *x, uint8_t *block)
{
    float d = fabsf(extreme(x, 32)) / 127, inverse = d != 0 ? 1.0f / d : 0;
    store_half(block, d);
    for (int i = 0; i < 32; i++)
        block[2 + i] = (uint8_t)(int8_t)roundf(x[i] * inverse);
}

int quantize_row(enum tensor_type type, const float *in, void *blocks, int64_t n, const float *importance)
{
    typedef void quantize_fn(const float *x, uint8_t *block);
    static quantize_fn *const by_type[] = {
        [TENSOR_Q4_0] = quantize_q4_0, [TENSOR_Q4_1] = quantize_q4_1, [TENSOR_Q5_0] = quantize_q5_0,
        [TENSOR_Q5_1] = quantize_q5_1, [TENSOR_Q8_0] = quantize_q8_0,
    };
    uint8_t *at = blocks;
    size_t n_bytes = tensor_type_bytes(type);
    int block = tensor_type_block(type);
    if (block == 0 || n % block != 0)
        return WEIR_E_INVALID;
    if (type == TENSOR_F32) {
        memcpy(at, in, (size_t)n * sizeof *in);
        return 0;
    }
    if (type == TENSOR_F16 || type == TENSOR_BF16) {
        for (int64_t i = 0; i < n; i++) {
            uint16_t bits = type == TENSOR_F16 ? float_to_half(in[i]) : float_to_bfloat(in[i]);
            memcpy(at + 2 * i, &bits, sizeof bits);
        }
        return 0;
    }
    quantize_block_fn *searched = quantize_k_find(type);
    if (searched != NULL) {
        for (int64_t i = 0; i < n; i += block, at += n_bytes)
            searched(in + i, importance == NULL ? NULL : importance + i, at);
        return 0;
    }
    if ((unsigned)type >= sizeof by_type / sizeof *by_type || by_type[type] == NULL)
        return WEIR_E_UNSUPPORTED;
    for (int64_t i = 0; i < n; i += block, at += n_bytes)
        by_type[type](in + i, at);
    return 0;
}
