/* f32 to the super-blocks of 256: Q2_K … Q6_K, IQ4_NL and IQ4_XS. Scales are found by search: for a part of 16 or 32 values
 * several rounding grids are tried, for each the scale (and min) that is best in weighted least squares is solved for, and
 * the one with the smallest error is kept. Weights are x² + the mean square (|x| + its root with a min), or the importance times
 * its root where there is one.
 * Scales are then rounded to the integers the format has, and the values rounded again on what those give. */
#include "kernels/block.h"
#include "kernels/half.h"
#include "kernels/quantize_k.h"

#include <math.h>

enum { SUPER = 256 };

static void store_half(uint8_t *at, float value)
{
    uint16_t half = float_to_half(value);
    memcpy(at, &half, sizeof half);
}

static int rounded(float x, int low, int high)
{
    if (!(x > (float)low)) /* NaN too. */
        return low;
    return x >= (float)high ? high : (int)lrintf(x);
}

static void weigh(const float *x, const float *importance, int n, bool has_min, float *weight)
{
    float mean = 0;
    for (int i = 0; i < n; i++)
        mean += x[i] * x[i];
    mean /= (float)n;
    for (int i = 0; i < n; i++)
        weight[i] = importance != NULL ? importance[i] * sqrtf(mean + x[i] * x[i]) : has_min ? sqrtf(mean) + fabsf(x[i]) : mean + x[i] * x[i];
}

/* x ≈ scale · q with q in low … high; returns the scale. */
static float fit_scale(const float *x, const float *weight, int n, int low, int high)
{
    float extreme = 0, best_scale = 0, best = 0;
    for (int i = 0; i < n; i++)
        extreme = fabsf(x[i]) > fabsf(extreme) ? x[i] : extreme;
    if (!(fabsf(extreme) > 1e-15f) || !isfinite(extreme))
        return 0;
    for (int side = 0; side < 2; side++)
        for (int step = -9; step <= 9; step++) {
            float inverse = ((float)(side == 0 ? low : high) + 0.1f * (float)step) / extreme, xq = 0, qq = 0;
            for (int i = 0; i < n; i++) {
                float q = (float)rounded(x[i] * inverse, low, high);
                xq += weight[i] * x[i] * q;
                qq += weight[i] * q * q;
            }
            if (qq > 0 && xq * xq > best * qq) { /* The error is Σ w x² - xq² / qq. */
                best = xq * xq / qq;
                best_scale = xq / qq;
            }
        }
    return best_scale;
}

/* x ≈ scale · q - min with q in 0 … high and min >= 0; returns the scale. */
static float fit_scale_min(const float *x, const float *weight, int n, int high, float *min_out)
{
    float low = 0, top = x[0], sum_w = 0, sum_x = 0;
    for (int i = 0; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        top = x[i] > top ? x[i] : top;
        sum_w += weight[i];
        sum_x += weight[i] * x[i];
    }
    *min_out = -low;
    if (!(top > low) || !isfinite(top - low))
        return 0;
    float best_scale = (top - low) / (float)high, best = INFINITY;
    for (int step = -10; step <= 20; step++) {
        float inverse = ((float)high + 0.1f * (float)step) / (top - low), sum_q = 0, sum_qq = 0, sum_xq = 0;
        float q[32];
        for (int i = 0; i < n; i++) {
            q[i] = (float)rounded((x[i] - low) * inverse, 0, high);
            sum_q += weight[i] * q[i];
            sum_qq += weight[i] * q[i] * q[i];
            sum_xq += weight[i] * q[i] * x[i];
        }
        float determinant = sum_w * sum_qq - sum_q * sum_q;
        if (!(determinant > 0))
            continue;
        float scale = (sum_w * sum_xq - sum_x * sum_q) / determinant, min = (sum_qq * sum_x - sum_q * sum_xq) / determinant;
        if (min > 0) {
            min = 0;
            scale = sum_xq / sum_qq;
        }
        float error = 0;
        for (int i = 0; i < n; i++) {
            float off = scale * q[i] + min - x[i];
            error += weight[i] * off * off;
        }
        if (error < best) {
            best = error;
            best_scale = scale;
            *min_out = -min;
        }
    }
    return best_scale;
}

/* The largest scale's share of each, as integers up to `high`; returns the unit, rounded to a half. */
static float share_scales(const float *scales, int n, int high, int *out)
{
    float max = 0;
    for (int i = 0; i < n; i++)
        max = scales[i] > max ? scales[i] : max;
    float unit = half_to_float(float_to_half(max / (float)high));
    for (int i = 0; i < n; i++)
        out[i] = unit > 0 ? rounded(scales[i] / unit, 0, high) : 0;
    return unit;
}

/* What rounding x on a grid costs. */
static float grid_error(const float *x, const float *weight, int n, int high, float scale, float min)
{
    float error = 0;
    for (int i = 0; i < n; i++) {
        float off = scale * (float)(scale > 0 ? rounded((x[i] + min) / scale, 0, high) : 0) - min - x[i];
        error += weight[i] * off * off;
    }
    return error;
}

/* The rounded scale and min were each the nearest; together one of their neighbours may be better. */
static void settle_part(const float *x, const float *weight, int n, int high, int scale_high, float d, float dmin, int *scale_q, int *min_q)
{
    int scale = *scale_q, min = *min_q;
    float best = INFINITY;
    for (int s = scale - 1; s <= scale + 1; s++)
        for (int m = min - 1; m <= min + 1; m++) {
            if (s < 0 || m < 0 || s > scale_high || m > scale_high)
                continue;
            float error = grid_error(x, weight, n, high, d * (float)s, dmin * (float)m);
            if (error < best) {
                best = error;
                *scale_q = s;
                *min_q = m;
            }
        }
}

/* Q2_K, Q4_K, Q5_K: parts with a scale and a min, values 0 … high into q. */
static void quantize_min_parts(const float *x, const float *importance, int part, int high, int scale_high, float *d, float *dmin, int *scale_q,
                               int *min_q, uint8_t *q)
{
    float scales[16], mins[16], weight[SUPER];
    int n = SUPER / part;
    for (int p = 0; p < n; p++) {
        weigh(x + p * part, importance == NULL ? NULL : importance + p * part, part, true, weight + p * part);
        scales[p] = fit_scale_min(x + p * part, weight + p * part, part, high, &mins[p]);
    }
    *d = share_scales(scales, n, scale_high, scale_q);
    *dmin = share_scales(mins, n, scale_high, min_q);
    for (int p = 0; p < n; p++)
        settle_part(x + p * part, weight + p * part, part, high, scale_high, *d, *dmin, &scale_q[p], &min_q[p]);
    for (int i = 0; i < SUPER; i++) {
        float scale = *d * (float)scale_q[i / part], min = *dmin * (float)min_q[i / part];
        q[i] = (uint8_t)(scale > 0 ? rounded((x[i] + min) / scale, 0, high) : 0);
    }
}

static void pack_scales(const int *scale, const int *min, uint8_t *packed)
{
    for (int p = 0; p < 4; p++) {
        packed[p] = (uint8_t)(scale[p] | (scale[p + 4] >> 4) << 6);
        packed[p + 4] = (uint8_t)(min[p] | (min[p + 4] >> 4) << 6);
        packed[p + 8] = (uint8_t)((scale[p + 4] & 15) | (min[p + 4] & 15) << 4);
    }
}

static void quantize_q2_k(const float *x, const float *importance, uint8_t *block)
{
    float d, dmin;
    int scale[16], min[16];
    uint8_t q[SUPER];
    quantize_min_parts(x, importance, 16, 3, 15, &d, &dmin, scale, min, q);
    memset(block, 0, 84);
    for (int p = 0; p < 16; p++)
        block[p] = (uint8_t)(scale[p] | min[p] << 4);
    for (int i = 0; i < SUPER; i++)
        block[16 + i / 128 * 32 + i % 32] |= (uint8_t)(q[i] << (i % 128 / 32 * 2));
    store_half(block + 80, d);
    store_half(block + 82, dmin);
}

static void quantize_q4_k(const float *x, const float *importance, uint8_t *block)
{
    float d, dmin;
    int scale[8], min[8];
    uint8_t q[SUPER];
    quantize_min_parts(x, importance, 32, 15, 63, &d, &dmin, scale, min, q);
    memset(block, 0, 144);
    store_half(block, d);
    store_half(block + 2, dmin);
    pack_scales(scale, min, block + 4);
    for (int i = 0; i < SUPER; i++)
        block[16 + i / 64 * 32 + i % 32] |= (uint8_t)(q[i] << (i % 64 / 32 * 4));
}

static void quantize_q5_k(const float *x, const float *importance, uint8_t *block)
{
    float d, dmin;
    int scale[8], min[8];
    uint8_t q[SUPER];
    quantize_min_parts(x, importance, 32, 31, 63, &d, &dmin, scale, min, q);
    memset(block, 0, 176);
    store_half(block, d);
    store_half(block + 2, dmin);
    pack_scales(scale, min, block + 4);
    for (int i = 0; i < SUPER; i++) {
        block[48 + i / 64 * 32 + i % 32] |= (uint8_t)((q[i] & 15) << (i % 64 / 32 * 4));
        block[16 + i % 32] |= (uint8_t)((q[i] >> 4) << (i / 32));
    }
}

/* Parts with a signed scale: integers of magnitude up to `high`, values low … top into q. */
static float quantize_signed_parts(const float *x, const float *importance, int part, int low, int top, int high, int *scale_q, int *q)
{
    float scales[16], weight[32], extreme = 0;
    int n = SUPER / part;
    for (int p = 0; p < n; p++) {
        weigh(x + p * part, importance == NULL ? NULL : importance + p * part, part, false, weight);
        scales[p] = fit_scale(x + p * part, weight, part, low, top);
        extreme = fabsf(scales[p]) > fabsf(extreme) ? scales[p] : extreme;
    }
    float d = half_to_float(float_to_half(extreme / (float)-high)); /* The extreme one gets the integer -high, which both ranges have. */
    for (int p = 0; p < n; p++)
        scale_q[p] = d != 0 ? rounded(scales[p] / d, -high, high - 1) : 0;
    for (int i = 0; i < SUPER; i++) {
        float scale = d * (float)scale_q[i / part];
        q[i] = scale != 0 ? rounded(x[i] / scale, low, top) : 0;
    }
    return d;
}

static void quantize_q3_k(const float *x, const float *importance, uint8_t *block)
{
    int scale[16], q[SUPER];
    float d = quantize_signed_parts(x, importance, 16, -4, 3, 32, scale, q);
    memset(block, 0, 110);
    for (int i = 0; i < SUPER; i++) {
        int value = q[i] + 4;
        block[32 + i / 128 * 32 + i % 32] |= (uint8_t)((value & 3) << (i % 128 / 32 * 2));
        block[i % 32] |= (uint8_t)((value >> 2) << (i / 32));
    }
    for (int p = 0; p < 16; p++) {
        int value = scale[p] + 32;
        block[96 + p % 8] |= (uint8_t)((value & 15) << (p / 8 * 4));
        block[104 + p % 4] |= (uint8_t)((value >> 4) << (p / 4 * 2));
    }
    store_half(block + 108, d);
}

static void quantize_q6_k(const float *x, const float *importance, uint8_t *block)
{
    int scale[16], q[SUPER];
    float d = quantize_signed_parts(x, importance, 16, -32, 31, 128, scale, q);
    memset(block, 0, 210);
    for (int i = 0; i < SUPER; i++) {
        int value = q[i] + 32, half = i / 128, quarter = i % 128 / 32, l = i % 32;
        block[half * 64 + quarter % 2 * 32 + l] |= (uint8_t)((value & 15) << (quarter / 2 * 4));
        block[128 + half * 32 + l] |= (uint8_t)((value >> 4) << (quarter * 2));
    }
    for (int p = 0; p < 16; p++)
        block[192 + p] = (uint8_t)(int8_t)scale[p];
    store_half(block + 208, d);
}

static int nearest_level(float x)
{
    int best = 0;
    for (int i = 1; i < 16; i++)
        if (fabsf(x - (float)iq4_levels[i]) < fabsf(x - (float)iq4_levels[best]))
            best = i;
    return best;
}

/* The scale that suits 32 values best on the 16 levels. */
static float fit_levels(const float *x, const float *weight)
{
    float extreme = 0, best = 0, best_scale = 0;
    for (int i = 0; i < 32; i++)
        extreme = fabsf(x[i]) > fabsf(extreme) ? x[i] : extreme;
    if (!(fabsf(extreme) > 1e-15f) || !isfinite(extreme))
        return 0;
    for (int side = 0; side < 2; side++)
        for (int step = -7; step <= 7; step++) {
            float inverse = ((float)iq4_levels[side == 0 ? 0 : 15] + (float)step) / extreme, xq = 0, qq = 0;
            for (int i = 0; i < 32; i++) {
                float q = (float)iq4_levels[nearest_level(x[i] * inverse)];
                xq += weight[i] * x[i] * q;
                qq += weight[i] * q * q;
            }
            if (qq > 0 && xq * xq > best * qq) {
                best = xq * xq / qq;
                best_scale = xq / qq;
            }
        }
    return best_scale;
}

static void store_levels(const float *x, float scale, uint8_t *q)
{
    for (int i = 0; i < 16; i++) {
        int low = scale != 0 ? nearest_level(x[i] / scale) : 8, high = scale != 0 ? nearest_level(x[i + 16] / scale) : 8;
        q[i] = (uint8_t)(low | high << 4);
    }
}

static void quantize_iq4_nl(const float *x, const float *importance, uint8_t *block)
{
    float weight[32];
    weigh(x, importance, 32, false, weight);
    float d = half_to_float(float_to_half(fit_levels(x, weight)));
    store_half(block, d);
    store_levels(x, d, block + 2);
}

static void quantize_iq4_xs(const float *x, const float *importance, uint8_t *block)
{
    float scales[8], weight[32], extreme = 0;
    for (int p = 0; p < 8; p++) {
        weigh(x + p * 32, importance == NULL ? NULL : importance + p * 32, 32, false, weight);
        scales[p] = fit_levels(x + p * 32, weight);
        extreme = fabsf(scales[p]) > fabsf(extreme) ? scales[p] : extreme;
    }
    float d = half_to_float(float_to_half(extreme / -32));
    memset(block, 0, 136);
    store_half(block, d);
    unsigned high = 0;
    for (int p = 0; p < 8; p++) {
        int scale = d != 0 ? rounded(scales[p] / d, -32, 31) : 0;
        block[4 + p / 2] |= (uint8_t)(((scale + 32) & 15) << (p % 2 * 4));
        high |= (unsigned)(scale + 32) >> 4 << (p * 2);
        store_levels(x + p * 32, d * (float)scale, block + 8 + p * 16);
    }
    uint16_t packed = (uint16_t)high;
    memcpy(block + 2, &packed, sizeof packed);
}

quantize_block_fn *quantize_k_find(enum tensor_type type)
{
    switch ((int)type) {
    case TENSOR_Q2_K:
        return quantize_q2_k;
    case TENSOR_Q3_K:
        return quantize_q3_k;
    case TENSOR_Q4_K:
        return quantize_q4_k;
    case TENSOR_Q5_K:
        return quantize_q5_k;
    case TENSOR_Q6_K:
        return quantize_q6_k;
    case TENSOR_IQ4_NL:
        return quantize_iq4_nl;
    case TENSOR_IQ4_XS:
        return quantize_iq4_xs;
    default:
        return NULL;
    }
}
