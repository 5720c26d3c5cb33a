/* Attention with AVX2. */
#include "kernels/attention_simd.h"
