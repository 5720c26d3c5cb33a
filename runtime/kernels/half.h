/* Half precision and bfloat16, converted by their bits (IEEE 754 binary16; round to nearest, ties to even). */
#ifndef WEIR_KERNELS_HALF_H
#define WEIR_KERNELS_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t rest = half & 0x7fff;
    if (rest >= 0x7c00) /* Infinity; a NaN is made quiet, as the hardware does. */
        return float_of_bits(sign | 0x7f800000 | (rest & 0x3ff) << 13 | (rest > 0x7c00 ? 0x400000 : 0));
    if (rest >= 0x400)
        return float_of_bits(sign | ((rest << 13) + 0x38000000));
    float magnitude = (float)rest * 0x1p-24f; /* Subnormal. */
    return float_of_bits(sign | float_bits(magnitude));
}

static inline uint16_t float_to_half(float value)
{
    uint32_t bits = float_bits(value);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7fffffff;
    if (bits > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (bits >> 13 & 0x3ff));
    if (bits >= 0x477ff000) /* Rounds to 65536 or above. */
        return (uint16_t)(sign | 0x7c00);
    if (bits < 0x38800000) { /* Subnormal: adding 0.5 aligns the last place at 2⁻²⁴ and rounds. */
        float aligned = float_of_bits(bits) + 0.5f;
        return (uint16_t)(sign | (float_bits(aligned) - 0x3f000000));
    }
    bits += 0xfff + (bits >> 13 & 1);
    return (uint16_t)(sign | (bits - 0x38000000) >> 13);
}

static inline float bfloat_to_float(uint16_t bfloat)
{
    return float_of_bits((uint32_t)bfloat << 16);
}

static inline uint16_t float_to_bfloat(float value)
{
    uint32_t bits = float_bits(value);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + (0x7fff + (bits >> 16 & 1))) >> 16);
}

/* A 16-bit value at any address. */
static inline uint16_t load_u16(const void *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline float load_half(const void *at)
{
    return half_to_float(load_u16(at));
}

#endif
