/* CPU features, asked once. AVX2 means AVX2 with FMA, F16C and BMI2; VNNI means AVX-512 F, BW, VL, DQ and VNNI besides; NEON
 * means 64-bit Arm with the dot product (Armv8.2).
 * Any thread may ask; the answer is one atomic integer. */
#include "kernels/cpu.h"
#include "weir_runtime.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif
#include <stdatomic.h>

static _Atomic int level_in_use = -1;

static enum cpu_level level_of_cpu(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    unsigned a, b, c = 0, d;
    bool has_f16c = __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1) != 0; /* Not every compiler's builtin knows its name. */
    if (!has_f16c || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi2"))
        return CPU_SCALAR;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni"))
        return CPU_VNNI;
    return CPU_AVX2;
#elif defined(__aarch64__)
    return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0 ? CPU_NEON : CPU_SCALAR;
#else
    return CPU_SCALAR;
#endif
}

enum cpu_level cpu_level_set(enum cpu_level level)
{
    enum cpu_level best = level_of_cpu();
    if (best == CPU_NEON && level != CPU_NEON)
        level = CPU_SCALAR;
    atomic_store(&level_in_use, level < best ? level : best);
    return cpu_level();
}

enum cpu_level cpu_level(void)
{
    int level = atomic_load_explicit(&level_in_use, memory_order_relaxed);
    if (level >= 0)
        return (enum cpu_level)level;
    const char *wish = getenv("WEIR_KERNELS");
    if (wish != NULL && strcmp(wish, "scalar") == 0)
        return cpu_level_set(CPU_SCALAR);
    if (wish != NULL && strcmp(wish, "avx2") == 0)
        return cpu_level_set(CPU_AVX2);
    return cpu_level_set(CPU_NEON); /* The last of them: whatever the CPU has. */
}

const char *runtime_kernels(void)
{
    static const char *const names[] = {"scalar", "avx2", "avx512-vnni", "neon"};
    return names[cpu_level()];
}
