/* What the machine allows, for the shares that bench_models.py prints:
 *     bench_limits MEGABYTES [threads]
 * One JSON object: read_gbps, the best of several reads of that many megabytes by all threads together (huge pages, as the
 * weights lie), and dot_gmacs, multiplications of 8-bit numbers a second in all threads with the fastest instruction that the
 * kernels use (vpdpbusd of 512 bits; vpmaddubsw and vpaddw of 256, without the widening; sdot), operands in registers. */
#include "kernels/cpu.h"
#include "weir_runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

enum { CHUNK_BYTES = 1 << 18, N_READS = 9, N_CHAINS = 8, N_TURNS = 1 << 16, N_DOTS = 5 };

typedef uint64_t vector __attribute__((vector_size(32)));

struct reading {
    const vector *data;
    size_t n_bytes;
    _Alignas(64) vector sums[256];
};

static void read_chunk(void *arg, int chunk, int thread)
{
    struct reading *reading = arg;
    size_t from = (size_t)chunk * CHUNK_BYTES, end = from + CHUNK_BYTES < reading->n_bytes ? from + CHUNK_BYTES : reading->n_bytes;
    vector sums[4] = {{0}};
    for (const vector *at = reading->data + from / sizeof *at; at < reading->data + end / sizeof *at; at += 4) {
        __builtin_prefetch(at + 64);
        __builtin_prefetch(at + 66);
        for (int i = 0; i < 4; i++)
            sums[i] += at[i];
    }
    reading->sums[thread] += sums[0] + sums[1] + sums[2] + sums[3];
}

/* Both chains of operations are opaque to the compiler by way of their start values; returns multiplications done. */
#if defined(__x86_64__)
__attribute__((target("avx2"))) static double dots_avx2(int *sink)
{
    __m256i sums[N_CHAINS], a = _mm256_set1_epi8((char)*sink), b = _mm256_set1_epi8((char)(*sink + 1));
#pragma GCC unroll 8
    for (int i = 0; i < N_CHAINS; i++)
        sums[i] = _mm256_set1_epi16((short)i);
    for (int turn = 0; turn < N_TURNS; turn++)
#pragma GCC unroll 8
        for (int i = 0; i < N_CHAINS; i++) {
            __m256i product;
            __asm__("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" : "+x"(sums[i]), "=&x"(product) : "x"(a), "x"(b));
        }
#pragma GCC unroll 8
    for (int i = 0; i < N_CHAINS; i++)
        *sink += _mm256_extract_epi16(sums[i], 0);
    return 32.0 * N_CHAINS * N_TURNS;
}

__attribute__((target("avx512f,avx512vnni"))) static double dots_vnni(int *sink)
{
    __m512i sums[N_CHAINS], a = _mm512_set1_epi32(*sink), b = _mm512_set1_epi32(*sink + 1);
#pragma GCC unroll 8
    for (int i = 0; i < N_CHAINS; i++)
        sums[i] = _mm512_set1_epi32(i);
    for (int turn = 0; turn < N_TURNS; turn++)
#pragma GCC unroll 8
        for (int i = 0; i < N_CHAINS; i++)
            __asm__("vpdpbusd %2, %1, %0" : "+v"(sums[i]) : "v"(a), "v"(b));
#pragma GCC unroll 8
    for (int i = 0; i < N_CHAINS; i++)
        *sink += _mm512_reduce_add_epi32(sums[i]);
    return 64.0 * N_CHAINS * N_TURNS;
}
#elif defined(__aarch64__)
__attribute__((target("arch=armv8.2-a+dotprod"))) static double dots_neon(int *sink)
{
    int32x4_t sums[N_CHAINS];
    int8x16_t a = vdupq_n_s8((int8_t)*sink), b = vdupq_n_s8((int8_t)(*sink + 1));
    for (int i = 0; i < N_CHAINS; i++)
        sums[i] = vdupq_n_s32(i);
    for (int turn = 0; turn < N_TURNS; turn++)
        for (int i = 0; i < N_CHAINS; i++) {
            sums[i] = vdotq_s32(sums[i], a, b);
            __asm__("" : "+w"(a));
        }
    for (int i = 0; i < N_CHAINS; i++)
        *sink += vaddvq_s32(sums[i]);
    return 16.0 * N_CHAINS * N_TURNS;
}
#endif

static double dots_scalar(int *sink)
{
    int sum = 0;
    for (int turn = 0; turn < N_TURNS * N_CHAINS; turn++) {
        sum += turn * (turn + *sink);
        __asm__("" : "+r"(sum));
    }
    *sink += sum;
    return (double)N_TURNS * N_CHAINS;
}

struct counting {
    double macs[256];
};

static void dot_chunk(void *arg, int chunk, int thread)
{
    (void)thread;
    struct counting *counting = arg;
    int sink = chunk;
    double n;
    const char *kernels = runtime_kernels();
#if defined(__x86_64__)
    n = strcmp(kernels, "avx512-vnni") == 0 ? dots_vnni(&sink) : strcmp(kernels, "avx2") == 0 ? dots_avx2(&sink) : dots_scalar(&sink);
#elif defined(__aarch64__)
    n = strcmp(kernels, "neon") == 0 ? dots_neon(&sink) : dots_scalar(&sink);
#else
    n = dots_scalar(&sink);
#endif
    counting->macs[chunk] = n + (sink == 12345 ? 1 : 0); /* So that the sums are needed. */
}

int main(int argc, char **argv)
{
    int64_t megabytes = 0, n_threads = 2;
    if (argc < 2 || parse_i64(str_of(argv[1]), &megabytes) < 0 || megabytes < 1 || megabytes > 1 << 20 ||
        (argc > 2 && (parse_i64(str_of(argv[2]), &n_threads) < 0 || n_threads < 1 || n_threads > 256))) {
        fprintf(stderr, "usage: bench_limits MEGABYTES [threads]\n");
        return 2;
    }
    struct pool *pool = pool_new((int)n_threads);
    size_t n_bytes = (size_t)megabytes << 20;
    void *data = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct reading *reading = aligned_alloc(64, (sizeof *reading + 63) / 64 * 64);
    if (pool == NULL || data == MAP_FAILED || reading == NULL)
        return 1;
    (void)madvise(data, n_bytes, MADV_HUGEPAGE);
    memset(data, 1, n_bytes);
    *reading = (struct reading){.data = data, .n_bytes = n_bytes};
    double best_gbps = 0, best_gmacs = 0;
    for (int i = 0; i < N_READS; i++) {
        int64_t start_us = clock_now_us();
        pool_run(pool, (int)((n_bytes + CHUNK_BYTES - 1) / CHUNK_BYTES), read_chunk, reading);
        double gbps = (double)n_bytes / (double)(clock_now_us() - start_us) * 1e-3;
        best_gbps = gbps > best_gbps ? gbps : best_gbps;
    }
    static struct counting counting;
    for (int i = 0; i < N_DOTS; i++) {
        int n_chunks = (int)n_threads * 4 < 256 ? (int)n_threads * 4 : (int)n_threads;
        int64_t start_us = clock_now_us();
        pool_run(pool, n_chunks, dot_chunk, &counting);
        double us = (double)(clock_now_us() - start_us), macs = 0;
        for (int k = 0; k < n_chunks; k++)
            macs += counting.macs[k];
        best_gmacs = macs / us * 1e-3 > best_gmacs ? macs / us * 1e-3 : best_gmacs;
    }
    printf("{\"kernels\": \"%s\", \"threads\": %lld, \"read_gbps\": %.2f, \"dot_gmacs\": %.1f}\n", runtime_kernels(), (long long)n_threads,
           best_gbps, best_gmacs);
    munmap(data, n_bytes);
    free(reading);
    pool_free(pool);
    return 0;
}
