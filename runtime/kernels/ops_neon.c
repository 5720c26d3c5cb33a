/* The arithmetic between matrices with NEON. */
#include "kernels/ops_simd.h"
