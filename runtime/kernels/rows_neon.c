/* f32 dot products with NEON: sixteen running sums are four registers; four rows of weights take one row of x at a time. */
#include "kernels/rows.h"
#include "kernels/half.h"

#include <arm_neon.h>

static void one_row(const float *const w[ROWS_AT_ONCE], const float *x, int n, float *sums)
{
    float32x4_t acc[ROWS_AT_ONCE][4];
    int k = 0;
#pragma GCC unroll 4
    for (int row = 0; row < ROWS_AT_ONCE; row++)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            acc[row][i] = vdupq_n_f32(0);
    for (; k + 16 <= n; k += 16)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            float32x4_t value = vld1q_f32(x + k + 4 * i);
#pragma GCC unroll 4
            for (int row = 0; row < ROWS_AT_ONCE; row++)
                acc[row][i] = vfmaq_f32(acc[row][i], vld1q_f32(w[row] + k + 4 * i), value);
        }
    for (int row = 0; row < ROWS_AT_ONCE; row++) {
        float rest = 0;
        for (int i = k; i < n; i++)
            rest += w[row][i] * x[i];
        sums[row] += vaddvq_f32(vaddq_f32(vaddq_f32(acc[row][0], acc[row][1]), vaddq_f32(acc[row][2], acc[row][3]))) + rest;
    }
}

void rows_dot_neon(const float *const w[ROWS_AT_ONCE], const float *x, size_t x_stride, int n_x, int n, float *sums)
{
    for (int i = 0; i < n_x; i++)
        one_row(w, x + (size_t)i * x_stride, n, sums + i * ROWS_AT_ONCE);
}

void rows_widen_f16_neon(const uint8_t *in, float *out, int64_t n)
{
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(out + i, vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(in + 2 * i))));
    for (; i < n; i++)
        out[i] = load_half(in + 2 * i);
}

void rows_narrow_f16_neon(const float *in, int n, uint16_t *out)
{
    int i = 0;
    for (; i + 4 <= n; i += 4)
        vst1_u16(out + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(in + i))));
    for (; i < n; i++)
        out[i] = float_to_half(in[i]);
}
