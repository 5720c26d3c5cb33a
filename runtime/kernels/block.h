/* Small facts of the block formats that more than one file needs; dequantize.c describes the formats. */
#ifndef WEIR_KERNELS_BLOCK_H
#define WEIR_KERNELS_BLOCK_H

#include <stdint.h>

/* The 16 levels of IQ4_NL and IQ4_XS. */
extern const int8_t iq4_levels[16];

/* 6-bit scale and min of part 0…7 from the 12 bytes of Q4_K and Q5_K. */
static inline void q4_k_scale(const uint8_t *packed, int part, int *scale, int *min)
{
    if (part < 4) {
        *scale = packed[part] & 63;
        *min = packed[part + 4] & 63;
    } else {
        *scale = (packed[part + 4] & 15) | (packed[part - 4] >> 6) << 4;
        *min = packed[part + 4] >> 4 | (packed[part] >> 6) << 4;
    }
}

/* 6-bit scale (32 too large) of part 0…15 from the 12 bytes of Q3_K. */
static inline int q3_k_scale(const uint8_t *packed, int part)
{
    int low = part < 8 ? packed[part] & 15 : packed[part - 8] >> 4;
    return low | (packed[8 + part % 4] >> (part / 4 * 2) & 3) << 4;
}

#endif
