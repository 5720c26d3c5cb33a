/* Attention with AVX-512. */
#include "kernels/attention_simd.h"
