/* The same random numbers in every run: splitmix64 (Steele et al. 2014). */
#ifndef WEIR_TESTS_COIN_H
#define WEIR_TESTS_COIN_H

#include <stdint.h>

static inline double coin(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}

#endif
