/* Packed blocks to f32: the exact meaning of each weight format, which every fast kernel is tested against.
 *
 * All formats are little-endian; a row is a run of blocks. d and m are halves.
 *   Q4_0   18 bytes for 32: d, 16 bytes whose low nibbles are values 0…15 and high nibbles 16…31; w = d (q - 8)
 *   Q4_1   20: d, m, nibbles; w = d q + m          Q5_0 22: d, 32 fifth bits, nibbles; w = d (q - 16)
 *   Q5_1   24: d, m, fifth bits, nibbles           Q8_0 34: d, 32 signed bytes; w = d q
 *   IQ4_NL 18: as Q4_0, the nibble an index into a table of 16 levels
 *   Super-blocks of 256, parts of 16 or 32 with small integer scales under one d (and dmin):
 *   Q2_K   84: 16 × (scale | min << 4), 64 bytes of 2-bit values, d, dmin; w = d s q - dmin m
 *   Q3_K  110: 32 bytes of third bits (clear: minus 4), 64 bytes of 2-bit values, 12 bytes of 6-bit scales, d
 *   Q4_K  144: d, dmin, 12 bytes of 6-bit scales and mins, 128 bytes of nibbles
 *   Q5_K  176: d, dmin, scales, 32 bytes of fifth bits, 128 bytes of nibbles
 *   Q6_K  210: 128 bytes of low nibbles, 64 of high pairs of bits, 16 signed scales, d; w = d s (q - 32)
 *   IQ4_XS 136: d, 8 × 2 high scale bits, 4 bytes of low scale nibbles, 128 bytes of table indices; w = d (s - 32) level */
#include "kernels/block.h"
#include "kernels/half.h"
#include "kernels/tensor.h"

#include <assert.h>

const int8_t iq4_levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

static void dequantize_q4_0(const uint8_t *block, float *out)
{
    float d = load_half(block);
    for (int i = 0; i < 16; i++) {
        out[i] = (float)((block[2 + i] & 15) - 8) * d;
        out[i + 16] = (float)((block[2 + i] >> 4) - 8) * d;
    }
}

static void dequantize_q4_1(const uint8_t *block, float *out)
{
    float d = load_half(block), m = load_half(block + 2);
    for (int i = 0; i < 16; i++) {
        out[i] = (float)(block[4 + i] & 15) * d + m;
        out[i + 16] = (float)(block[4 + i] >> 4) * d + m;
    }
}

static uint32_t load_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static void dequantize_q5_0(const uint8_t *block, float *out)
{
    float d = load_half(block);
    uint32_t fifth = load_u32(block + 2);
    for (int i = 0; i < 16; i++) {
        int low = (block[6 + i] & 15) | (int)(fifth >> i & 1) << 4;
        int high = block[6 + i] >> 4 | (int)(fifth >> (i + 16) & 1) << 4;
        out[i] = (float)(low - 16) * d;
        out[i + 16] = (float)(high - 16) * d;
    }
}

static void dequantize_q5_1(const uint8_t *block, float *out)
{
    float d = load_half(block), m = load_half(block + 2);
    uint32_t fifth = load_u32(block + 4);
    for (int i = 0; i < 16; i++) {
        int low = (block[8 + i] & 15) | (int)(fifth >> i & 1) << 4;
        int high = block[8 + i] >> 4 | (int)(fifth >> (i + 16) & 1) << 4;
        out[i] = (float)low * d + m;
        out[i + 16] = (float)high * d + m;
    }
}

static void dequantize_q8_0(const uint8_t *block, float *out)
{
    float d = load_half(block);
    for (int i = 0; i < 32; i++)
        out[i] = (float)(int8_t)block[2 + i] * d;
}

static void dequantize_iq4_nl(const uint8_t *block, float *out)
{
    float d = load_half(block);
    for (int i = 0; i < 16; i++) {
        out[i] = d * (float)iq4_levels[block[2 + i] & 15];
        out[i + 16] = d * (float)iq4_levels[block[2 + i] >> 4];
    }
}

static void dequantize_q2_k(const uint8_t *block, float *out)
{
    const uint8_t *scales = block, *q = block + 16;
    float d = load_half(block + 80), dmin = load_half(block + 82);
    for (int i = 0; i < 256; i++) {
        int part = i / 16, half = i / 128, shift = i % 128 / 32 * 2;
        float scale = d * (float)(scales[part] & 15), min = dmin * (float)(scales[part] >> 4);
        out[i] = scale * (float)(q[half * 32 + i % 32] >> shift & 3) - min;
    }
}

static void dequantize_q3_k(const uint8_t *block, float *out)
{
    const uint8_t *third = block, *q = block + 32, *packed = block + 96;
    float d = load_half(block + 108);
    for (int i = 0; i < 256; i++) {
        int half = i / 128, quarter = i % 128 / 32;
        float scale = d * (float)(q3_k_scale(packed, i / 16) - 32);
        int value = (q[half * 32 + i % 32] >> (quarter * 2) & 3) - (third[i % 32] >> (half * 4 + quarter) & 1 ? 0 : 4);
        out[i] = scale * (float)value;
    }
}

static void dequantize_q4_k(const uint8_t *block, float *out)
{
    const uint8_t *packed = block + 4, *q = block + 16;
    float d = load_half(block), dmin = load_half(block + 2);
    for (int part = 0; part < 8; part++) {
        int s, m;
        q4_k_scale(packed, part, &s, &m);
        float scale = d * (float)s, min = dmin * (float)m;
        for (int i = 0; i < 32; i++)
            out[part * 32 + i] = scale * (float)(q[part / 2 * 32 + i] >> (part % 2 * 4) & 15) - min;
    }
}

static void dequantize_q5_k(const uint8_t *block, float *out)
{
    const uint8_t *packed = block + 4, *fifth = block + 16, *q = block + 48;
    float d = load_half(block), dmin = load_half(block + 2);
    for (int part = 0; part < 8; part++) {
        int s, m;
        q4_k_scale(packed, part, &s, &m);
        float scale = d * (float)s, min = dmin * (float)m;
        for (int i = 0; i < 32; i++) {
            int value = (q[part / 2 * 32 + i] >> (part % 2 * 4) & 15) | (fifth[i] >> part & 1) << 4;
            out[part * 32 + i] = scale * (float)value - min;
        }
    }
}

static void dequantize_q6_k(const uint8_t *block, float *out)
{
    const uint8_t *low = block, *high = block + 128;
    const int8_t *scales = (const int8_t *)block + 192;
    float d = load_half(block + 208);
    for (int i = 0; i < 256; i++) {
        int half = i / 128, quarter = i % 128 / 32, l = i % 32;
        int nibble = low[half * 64 + quarter % 2 * 32 + l] >> (quarter / 2 * 4) & 15;
        int pair = high[half * 32 + l] >> (quarter * 2) & 3;
        out[i] = d * (float)scales[i / 16] * (float)((nibble | pair << 4) - 32);
    }
}

static void dequantize_iq4_xs(const uint8_t *block, float *out)
{
    float d = load_half(block);
    unsigned high = load_u16(block + 2);
    for (int part = 0; part < 8; part++) {
        int s = (block[4 + part / 2] >> (part % 2 * 4) & 15) | (int)(high >> (part * 2) & 3) << 4;
        float scale = d * (float)(s - 32);
        const uint8_t *q = block + 8 + part * 16;
        for (int i = 0; i < 16; i++) {
            out[part * 32 + i] = scale * (float)iq4_levels[q[i] & 15];
            out[part * 32 + i + 16] = scale * (float)iq4_levels[q[i] >> 4];
        }
    }
}

typedef void dequantize_fn(const uint8_t *block, float *out);

static dequantize_fn *const by_type[] = {
    [TENSOR_Q4_0] = dequantize_q4_0, [TENSOR_Q4_1] = dequantize_q4_1,     [TENSOR_Q5_0] = dequantize_q5_0,
    [TENSOR_Q5_1] = dequantize_q5_1, [TENSOR_Q8_0] = dequantize_q8_0,     [TENSOR_Q2_K] = dequantize_q2_k,
    [TENSOR_Q3_K] = dequantize_q3_k, [TENSOR_Q4_K] = dequantize_q4_k,     [TENSOR_Q5_K] = dequantize_q5_k,
    [TENSOR_Q6_K] = dequantize_q6_k, [TENSOR_IQ4_NL] = dequantize_iq4_nl, [TENSOR_IQ4_XS] = dequantize_iq4_xs,
};

bool tensor_type_is_weight(enum tensor_type type)
{
    return type == TENSOR_F32 || type == TENSOR_F16 || type == TENSOR_BF16 ||
           ((unsigned)type < sizeof by_type / sizeof *by_type && by_type[type] != NULL);
}

void dequantize_row(enum tensor_type type, const void *blocks, float *out, int64_t n)
{
    const uint8_t *at = blocks;
    if (type == TENSOR_F32) {
        memcpy(out, at, (size_t)n * sizeof *out);
    } else if (type == TENSOR_F16) {
        for (int64_t i = 0; i < n; i++)
            out[i] = load_half(at + 2 * i);
    } else if (type == TENSOR_BF16) {
        for (int64_t i = 0; i < n; i++)
            out[i] = bfloat_to_float(load_u16(at + 2 * i));
    } else {
        assert(tensor_type_is_weight(type));
        int block = tensor_type_block(type);
        size_t n_bytes = tensor_type_bytes(type);
        for (int64_t i = 0; i < n; i += block, at += n_bytes)
            by_type[type](at, out + i);
    }
}
