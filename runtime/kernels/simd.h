/* One name for the vectors of the ISA a file is compiled for, so that a kernel in f32 is written once: vf is 16 floats with
 * AVX-512, 8 with AVX2, 4 with NEON. Only files named *_avx2.c, *_vnni.c and *_neon.c may include it. */
#ifndef WEIR_KERNELS_SIMD_H
#define WEIR_KERNELS_SIMD_H

#if defined(__aarch64__)
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif
#include <math.h>
#include <stdint.h>
#include <string.h>

#define SIMD_INLINE static inline __attribute__((always_inline, unused))

#if defined(__AVX512F__)
enum { VF = 16 };
typedef __m512 vf;
typedef __mmask16 vmask;
#define SIMD_NAME(name) name##_vnni
SIMD_INLINE vf vf_set(float x) { return _mm512_set1_ps(x); }
SIMD_INLINE vf vf_load(const float *at) { return _mm512_loadu_ps(at); }
SIMD_INLINE void vf_store(float *at, vf x) { _mm512_storeu_ps(at, x); }
SIMD_INLINE vmask vf_first(int n) { return n >= 16 ? (vmask)0xffff : n <= 0 ? (vmask)0 : (vmask)((1u << n) - 1); }
SIMD_INLINE vf vf_load_first(const float *at, int n) { return _mm512_maskz_loadu_ps(vf_first(n), at); }
SIMD_INLINE void vf_store_first(float *at, vf x, int n) { _mm512_mask_storeu_ps(at, vf_first(n), x); }
SIMD_INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
SIMD_INLINE vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
SIMD_INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
SIMD_INLINE vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
SIMD_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
SIMD_INLINE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
SIMD_INLINE vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
SIMD_INLINE vf vf_round(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
SIMD_INLINE vf vf_abs(vf a) { return _mm512_abs_ps(a); }
SIMD_INLINE vf vf_copysign(vf magnitude, vf sign)
{
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_set1_epi32((int)0x80000000), _mm512_castps_si512(sign),
                                                         _mm512_castps_si512(magnitude), 0xca));
}
/* x · 2ⁿ for whole n, -126 … 127. */
SIMD_INLINE vf vf_scale(vf x, vf n) { return _mm512_scalef_ps(x, n); }
/* a where x < y, else b. */
SIMD_INLINE vf vf_if_less(vf x, vf y, vf a, vf b) { return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, y, _CMP_LT_OQ), b, a); }
SIMD_INLINE vf vf_keep_first(vf x, int n, float rest) { return _mm512_mask_blend_ps(vf_first(n), _mm512_set1_ps(rest), x); }
SIMD_INLINE float vf_sum(vf x) { return _mm512_reduce_add_ps(x); }
SIMD_INLINE float vf_largest(vf x) { return _mm512_reduce_max_ps(x); }
SIMD_INLINE vf vf_load_f16(const uint16_t *at) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)at)); }
SIMD_INLINE vf vf_load_i8(const int8_t *at) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)at))); }
SIMD_INLINE void vf_store_f16(uint16_t *at, vf x) { _mm256_storeu_si256((__m256i *)(void *)at, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT)); }
SIMD_INLINE vf vf_swap_pairs(vf x) { return _mm512_permute_ps(x, 0xb1); }
SIMD_INLINE vf vf_from_int_bits_select(vf n, vf s, vf c, int bit_of_n) /* s where the bit of round n is clear, else c */
{
    __m512i bits = _mm512_cvtps_epi32(n);
    return _mm512_mask_blend_ps(_mm512_test_epi32_mask(bits, _mm512_set1_epi32(bit_of_n)), s, c);
}
#elif defined(__aarch64__)
enum { VF = 4 };
typedef float32x4_t vf;
#define SIMD_NAME(name) name##_neon
SIMD_INLINE vf vf_set(float x) { return vdupq_n_f32(x); }
SIMD_INLINE vf vf_load(const float *at) { return vld1q_f32(at); }
SIMD_INLINE void vf_store(float *at, vf x) { vst1q_f32(at, x); }
SIMD_INLINE uint32x4_t vf_first(int n)
{
    static const int32_t lanes[] = {0, 1, 2, 3};
    return vcltq_s32(vld1q_s32(lanes), vdupq_n_s32(n));
}
SIMD_INLINE vf vf_load_first(const float *at, int n)
{
    float part[4] = {0};
    if (n >= VF)
        return vld1q_f32(at);
    for (int i = 0; i < n; i++)
        part[i] = at[i];
    return vld1q_f32(part);
}
SIMD_INLINE void vf_store_first(float *at, vf x, int n)
{
    float part[4];
    if (n >= VF) {
        vst1q_f32(at, x);
        return;
    }
    vst1q_f32(part, x);
    for (int i = 0; i < n; i++)
        at[i] = part[i];
}
SIMD_INLINE vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
SIMD_INLINE vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
SIMD_INLINE vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
SIMD_INLINE vf vf_div(vf a, vf b) { return vdivq_f32(a, b); }
SIMD_INLINE vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
SIMD_INLINE vf vf_max(vf a, vf b) { return vmaxnmq_f32(a, b); } /* The number where one is none, as far as the others do. */
SIMD_INLINE vf vf_min(vf a, vf b) { return vminnmq_f32(a, b); }
SIMD_INLINE vf vf_round(vf a) { return vrndnq_f32(a); }
SIMD_INLINE vf vf_abs(vf a) { return vabsq_f32(a); }
SIMD_INLINE vf vf_copysign(vf magnitude, vf sign) { return vbslq_f32(vdupq_n_u32(0x80000000), sign, magnitude); }
SIMD_INLINE vf vf_scale(vf x, vf n)
{
    int32x4_t exponent = vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127)), 23);
    return vmulq_f32(x, vreinterpretq_f32_s32(exponent));
}
SIMD_INLINE vf vf_if_less(vf x, vf y, vf a, vf b) { return vbslq_f32(vcltq_f32(x, y), a, b); }
SIMD_INLINE vf vf_keep_first(vf x, int n, float rest) { return vbslq_f32(vf_first(n), x, vdupq_n_f32(rest)); }
SIMD_INLINE float vf_sum(vf x) { return vaddvq_f32(x); }
SIMD_INLINE float vf_largest(vf x) { return vmaxnmvq_f32(x); }
SIMD_INLINE vf vf_load_f16(const uint16_t *at) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(at))); }
SIMD_INLINE vf vf_load_i8(const int8_t *at)
{
    int32_t four;
    memcpy(&four, at, sizeof four);
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four))))));
}
SIMD_INLINE void vf_store_f16(uint16_t *at, vf x) { vst1_u16(at, vreinterpret_u16_f16(vcvt_f16_f32(x))); }
SIMD_INLINE vf vf_swap_pairs(vf x) { return vrev64q_f32(x); }
SIMD_INLINE vf vf_from_int_bits_select(vf n, vf s, vf c, int bit_of_n)
{
    return vbslq_f32(vtstq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(bit_of_n)), c, s);
}
#else
enum { VF = 8 };
typedef __m256 vf;
#define SIMD_NAME(name) name##_avx2
SIMD_INLINE vf vf_set(float x) { return _mm256_set1_ps(x); }
SIMD_INLINE vf vf_load(const float *at) { return _mm256_loadu_ps(at); }
SIMD_INLINE void vf_store(float *at, vf x) { _mm256_storeu_ps(at, x); }
SIMD_INLINE __m256i vf_first(int n) { return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)); }
SIMD_INLINE vf vf_load_first(const float *at, int n) { return _mm256_maskload_ps(at, vf_first(n)); }
SIMD_INLINE void vf_store_first(float *at, vf x, int n) { _mm256_maskstore_ps(at, vf_first(n), x); }
SIMD_INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
SIMD_INLINE vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
SIMD_INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
SIMD_INLINE vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
SIMD_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
SIMD_INLINE vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
SIMD_INLINE vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
SIMD_INLINE vf vf_round(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
SIMD_INLINE vf vf_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
SIMD_INLINE vf vf_copysign(vf magnitude, vf sign)
{
    return _mm256_or_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), magnitude), _mm256_and_ps(_mm256_set1_ps(-0.0f), sign));
}
SIMD_INLINE vf vf_scale(vf x, vf n)
{
    __m256i exponent = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(x, _mm256_castsi256_ps(exponent));
}
SIMD_INLINE vf vf_if_less(vf x, vf y, vf a, vf b) { return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, y, _CMP_LT_OQ)); }
SIMD_INLINE vf vf_keep_first(vf x, int n, float rest) { return _mm256_blendv_ps(_mm256_set1_ps(rest), x, _mm256_castsi256_ps(vf_first(n))); }
SIMD_INLINE float vf_sum(vf x)
{
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}
SIMD_INLINE float vf_largest(vf x)
{
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}
SIMD_INLINE vf vf_load_f16(const uint16_t *at) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)at)); }
SIMD_INLINE vf vf_load_i8(const int8_t *at) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)at))); }
SIMD_INLINE void vf_store_f16(uint16_t *at, vf x) { _mm_storeu_si128((__m128i *)(void *)at, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT)); }
SIMD_INLINE vf vf_swap_pairs(vf x) { return _mm256_permute_ps(x, 0xb1); }
SIMD_INLINE vf vf_from_int_bits_select(vf n, vf s, vf c, int bit_of_n)
{
    __m256i bit = _mm256_set1_epi32(bit_of_n), bits = _mm256_and_si256(_mm256_cvtps_epi32(n), bit);
    return _mm256_blendv_ps(s, c, _mm256_castsi256_ps(_mm256_cmpeq_epi32(bits, bit)));
}
#endif

/* exp(x) within 2 units in the last place; 0 below -87.3, the largest power at 88 and above. */
SIMD_INLINE vf vf_exp(vf x)
{
    vf clamped = vf_min(vf_max(x, vf_set(-87.33654f)), vf_set(88.0f));
    vf n = vf_round(vf_mul(clamped, vf_set(1.44269504f)));
    vf r = vf_fma(n, vf_set(-0.693359375f), clamped);
    r = vf_fma(n, vf_set(2.12194440e-4f), r);
    vf p = vf_set(1.9875691500e-4f);
    p = vf_fma(p, r, vf_set(1.3981999507e-3f));
    p = vf_fma(p, r, vf_set(8.3334519073e-3f));
    p = vf_fma(p, r, vf_set(4.1665795894e-2f));
    p = vf_fma(p, r, vf_set(1.6666665459e-1f));
    p = vf_fma(p, r, vf_set(0.5f));
    p = vf_fma(vf_mul(r, r), p, vf_add(r, vf_set(1.0f)));
    return vf_if_less(x, vf_set(-87.33654f), vf_set(0.0f), vf_scale(p, n));
}

/* 1 / (1 + exp(-x)) */
SIMD_INLINE vf vf_sigmoid(vf x)
{
    return vf_div(vf_set(1.0f), vf_add(vf_set(1.0f), vf_exp(vf_sub(vf_set(0.0f), x))));
}

/* tanh within 2e-7 absolute. */
SIMD_INLINE vf vf_tanh(vf x)
{
    vf e = vf_exp(vf_mul(vf_abs(x), vf_set(-2.0f)));
    return vf_copysign(vf_div(vf_sub(vf_set(1.0f), e), vf_add(vf_set(1.0f), e)), x);
}

/* erf within 4e-7 absolute: 1 - exp(-x²) p(1 / (1 + x / 2)), p fitted to erfc(x) exp(x²). */
SIMD_INLINE vf vf_erf(vf x)
{
    static const float p[] = {-5.330548502e-04f, 2.909257506e-01f, 2.188827451e-01f, 5.029355542e-01f, -4.660574465e-01f,
                              1.097448895e+00f, -9.571818015e-01f, 3.692983160e-01f, -5.571895740e-02f};
    vf magnitude = vf_abs(x), t = vf_div(vf_set(1.0f), vf_fma(magnitude, vf_set(0.5f), vf_set(1.0f)));
    vf sum = vf_set(p[8]);
#pragma GCC unroll 8
    for (int i = 7; i >= 0; i--)
        sum = vf_fma(sum, t, vf_set(p[i]));
    vf tail = vf_mul(sum, vf_exp(vf_sub(vf_set(0.0f), vf_mul(magnitude, magnitude))));
    return vf_copysign(vf_sub(vf_set(1.0f), tail), x);
}

/* sin and cos within 3e-7 absolute for |x| up to 100,000: the quadrant is taken off in three steps (Cody & Waite 1980). */
SIMD_INLINE void vf_sincos(vf x, vf *sine, vf *cosine)
{
    vf n = vf_round(vf_mul(x, vf_set(0.63661977f)));
    vf r = vf_fma(n, vf_set(-1.57079637f), x);
    r = vf_fma(n, vf_set(4.37113883e-8f), r);
    r = vf_fma(n, vf_set(1.71512489e-15f), r);
    vf r2 = vf_mul(r, r);
    vf s = vf_fma(vf_set(-1.9515295891e-4f), r2, vf_set(8.3321608736e-3f));
    s = vf_fma(s, r2, vf_set(-1.6666654611e-1f));
    s = vf_fma(vf_mul(s, r2), r, r);
    vf c = vf_fma(vf_set(2.443315711809948e-5f), r2, vf_set(-1.388731625493765e-3f));
    c = vf_fma(c, r2, vf_set(4.166664568298827e-2f));
    c = vf_fma(vf_mul(c, r2), r2, vf_fma(r2, vf_set(-0.5f), vf_set(1.0f)));
    vf quadrant = n, swapped_s = vf_from_int_bits_select(quadrant, s, c, 1), swapped_c = vf_from_int_bits_select(quadrant, c, s, 1);
    vf zero = vf_set(0.0f), next = vf_add(quadrant, vf_set(1.0f));
    *sine = vf_from_int_bits_select(quadrant, swapped_s, vf_sub(zero, swapped_s), 2);
    *cosine = vf_from_int_bits_select(next, swapped_c, vf_sub(zero, swapped_c), 2);
}

#endif
