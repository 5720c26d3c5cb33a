/* The weight formats: known blocks to known values, and back. The known values were computed by the Python package gguf from
 * the same bytes: block byte i of a format is (37 i + 11) mod 256, its halves set to 0.5 (scale) and 0.25 (min). */
#include "kernels/half.h"
#include "kernels/tensor.h"

#include <criterion/criterion.h>
#include <math.h>

#include "test_dequantize.inc"

Test(dequantize, known_blocks_have_the_values_of_the_reference)
{
    for (size_t c = 0; c < sizeof golden / sizeof *golden; c++) {
        enum tensor_type type = golden[c].type;
        size_t n_bytes = tensor_type_bytes(type);
        int n = tensor_type_block(type);
        uint8_t block[256];
        float out[256];
        for (size_t i = 0; i < n_bytes; i++)
            block[i] = (uint8_t)(37 * i + 11);
        const uint16_t half = 0x3800, quarter = 0x3400;
        memcpy(block + golden[c].scale_at, &half, 2);
        if (golden[c].min_at >= 0)
            memcpy(block + golden[c].min_at, &quarter, 2);
        dequantize_row(type, block, out, n);
        for (int i = 0; i < n; i++)
            cr_assert(out[i] == golden[c].values[i], "%s: value %d is %.9g, not %.9g", tensor_type_name(type), i, (double)out[i],
                      (double)golden[c].values[i]);
    }
}

/* Normalised squared error of a format on normally distributed weights: no worse than these, with some air. */
static const struct {
    enum tensor_type type;
    double budget;
} errors[] = {{TENSOR_Q8_0, 5e-5},  {TENSOR_Q6_K, 4e-4}, {TENSOR_Q5_K, 1.6e-3}, {TENSOR_Q5_1, 2e-3},    {TENSOR_Q5_0, 2.5e-3}, {TENSOR_Q4_K, 6.5e-3},
              {TENSOR_Q4_1, 8e-3},  {TENSOR_Q4_0, 1e-2}, {TENSOR_IQ4_NL, 7e-3}, {TENSOR_IQ4_XS, 7.5e-3}, {TENSOR_Q3_K, 3e-2},   {TENSOR_Q2_K, 1.1e-1},
              {TENSOR_F16, 1e-6},   {TENSOR_BF16, 1e-5}, {TENSOR_F32, 0}};

Test(dequantize, quantizing_and_back_stays_within_each_formats_error)
{
    enum { N = 256 * 32 };
    static float x[N], y[N];
    static uint8_t blocks[N * 4];
    uint32_t state = 9;
    for (int i = 0; i < N; i++) { /* Twelve uniforms make a fair normal. */
        x[i] = -6;
        for (int k = 0; k < 12; k++) {
            state = state * 1664525u + 1013904223u;
            x[i] += (float)(state >> 8) / 16777216.0f;
        }
        x[i] *= 0.02f;
    }
    for (size_t c = 0; c < sizeof errors / sizeof *errors; c++) {
        cr_assert_eq(quantize_row(errors[c].type, x, blocks, N, NULL), 0);
        dequantize_row(errors[c].type, blocks, y, N);
        double error = 0, power = 0;
        for (int i = 0; i < N; i++) {
            error += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
            power += (double)x[i] * (double)x[i];
        }
        cr_assert(error <= errors[c].budget * power, "%s: %.3g", tensor_type_name(errors[c].type), error / power);
    }
}

Test(dequantize, zeros_and_numbers_without_measure_quantize_to_something)
{
    static float x[256], y[256];
    static uint8_t blocks[1024];
    const float odd[] = {0, NAN, INFINITY, -INFINITY, 1e-38f};
    for (size_t k = 0; k < sizeof odd / sizeof *odd; k++)
        for (size_t c = 0; c < sizeof errors / sizeof *errors; c++) {
            for (int i = 0; i < 256; i++)
                x[i] = i % 2 == 0 ? odd[k] : 0;
            cr_assert_eq(quantize_row(errors[c].type, x, blocks, 256, NULL), 0);
            dequantize_row(errors[c].type, blocks, y, 256);
            cr_assert(odd[k] != 0 || y[3] == 0, "%s of zeros", tensor_type_name(errors[c].type));
        }
}

Test(dequantize, halves_round_to_nearest_even_and_back_exactly)
{
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        float value = half_to_float((uint16_t)bits);
        cr_assert(isnan(value) || float_to_half(value) == bits, "%04x", bits);
    }
    cr_assert_eq(float_to_half(1.0f + 0x1p-11f), 0x3c00);
    cr_assert_eq(float_to_half(1.0f + 3 * 0x1p-11f), 0x3c02);
    cr_assert_eq(float_to_half(65520.0f), 0x7c00);
    cr_assert_eq(float_to_bfloat(1.0f + 0x1p-8f), 0x3f80);
}

Test(dequantize, rows_of_unknown_types_and_part_blocks_have_no_size)
{
    cr_assert_eq(tensor_row_bytes(TENSOR_Q4_1, 33), 0);
    cr_assert_eq(tensor_row_bytes((enum tensor_type)4, 32), 0);
    cr_assert_eq(tensor_row_bytes((enum tensor_type)-1, 32), 0);
    cr_assert_eq(tensor_row_bytes(TENSOR_Q4_1, -32), 0);
    cr_assert_eq(tensor_row_bytes(TENSOR_Q4_1, 64), 40);
    cr_assert_not(tensor_type_is_weight(TENSOR_I32));
}
