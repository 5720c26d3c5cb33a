/* The arithmetic between matrices with AVX2. */
#include "kernels/ops_simd.h"
