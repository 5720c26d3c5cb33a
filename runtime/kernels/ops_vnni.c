/* The arithmetic between matrices with AVX-512. */
#include "kernels/ops_simd.h"
