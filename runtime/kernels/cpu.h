/* Which kernels this CPU runs: found once by CPUID or the auxiliary vector, lowered by WEIR_KERNELS=scalar|avx2. Scalar forms are
 * always compiled and are what the others are tested against. */
#ifndef WEIR_KERNELS_CPU_H
#define WEIR_KERNELS_CPU_H

enum cpu_level { CPU_SCALAR = 0, CPU_AVX2, CPU_VNNI, CPU_NEON };

enum cpu_level cpu_level(void);
/* For tests and benchmarks: uses `level`, if the CPU has it, from now on; returns what is used. Linears made before keep
 * the layout of their level. */
enum cpu_level cpu_level_set(enum cpu_level level);

#endif
