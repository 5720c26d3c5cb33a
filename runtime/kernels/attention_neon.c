/* Attention with NEON. */
#include "kernels/attention_simd.h"
