/* The vector forms of the arithmetic between matrices against the scalar ones, within the budgets ops.h names. */
#include "kernels/cpu.h"
#include "kernels/ops.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

enum { MOST = 700 };

static uint32_t state = 7;

static float uniform(void)
{
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / 8388608.0f - 1.0f;
}

static void fill(float *x, int n, float size)
{
    for (int i = 0; i < n; i++)
        x[i] = uniform() * size;
}

/* Runs `body` on copies of x at every level and compares with the scalar level. */
typedef void body_fn(float *x, int n);

static void compare(const char *name, body_fn *body, const float *x, int n, double budget)
{
    float expected[MOST], y[MOST];
    memcpy(expected, x, sizeof *x * (size_t)n);
    cpu_level_set(CPU_SCALAR);
    body(expected, n);
    for (enum cpu_level level = CPU_AVX2; level <= CPU_NEON; level++) {
        if (cpu_level_set(level) != level)
            continue;
        memcpy(y, x, sizeof *x * (size_t)n);
        body(y, n);
        for (int i = 0; i < n; i++)
            cr_assert(fabs((double)y[i] - (double)expected[i]) <= budget * fmax(1.0, fabs((double)x[i])), "%s, level %d, width %d: %d is %.9g, not %.9g (x %g)",
                      name, (int)level, n, i, (double)y[i], (double)expected[i], (double)x[i]);
    }
}

static float weights[MOST], biases[MOST];
static enum activation kind;
static struct rope rope;
static int head_dim;
static int32_t position;

static void run_rms(float *x, int n) { rms_norm(x, weights, 1, 1e-5f, n, x); }
static void run_layer(float *x, int n) { layer_norm(x, weights, biases, 1e-5f, n, x); }
static void run_plain(float *x, int n) { layer_norm(x, NULL, NULL, 1e-5f, n, x); }
static void run_softmax(float *x, int n) { softmax(x, n); }
static void run_activate(float *x, int n) { activate(kind, x, n); }
static void run_gate(float *x, int n) { activate_gate(kind, x, weights, n); }
static void run_rope(float *x, int n) { rope_apply(&rope, x, n / head_dim, head_dim, position); }

static float angles[MOST];
static void run_turn(float *x, int n) { rope_turn(angles, rope.n_rot, rope.interleaved, x, n / head_dim, head_dim); }
static void run_add(float *x, int n) { vector_add(x, weights, n); }

static const int widths[] = {1, 7, 8, 15, 16, 17, 33, 100, 576, MOST};
enum { N_WIDTHS = sizeof widths / sizeof *widths };

Test(ops, norms_of_any_width_match_the_scalar_form)
{
    float x[MOST];
    fill(weights, MOST, 1);
    fill(biases, MOST, 1);
    for (int i = 0; i < N_WIDTHS; i++) {
        fill(x, widths[i], 8);
        compare("rms_norm", run_rms, x, widths[i], 2e-6);
        if (widths[i] > 1) { /* Of one value the variance is zero and the rest is rounding. */
            compare("layer_norm", run_layer, x, widths[i], 4e-6);
            compare("layer_norm without weights", run_plain, x, widths[i], 4e-6);
        }
    }
}

Test(ops, softmax_keeps_masked_places_at_zero)
{
    float x[MOST];
    for (int i = 0; i < N_WIDTHS; i++) {
        fill(x, widths[i], 20);
        compare("softmax", run_softmax, x, widths[i], 2e-6);
        for (int k = 1; k < widths[i]; k += 3)
            x[k] = -INFINITY;
        for (enum cpu_level level = CPU_SCALAR; level <= CPU_NEON; level++) {
            float y[MOST], sum = 0;
            cpu_level_set(level);
            memcpy(y, x, sizeof y);
            softmax(y, widths[i]);
            for (int k = 0; k < widths[i]; k++) {
                sum += y[k];
                cr_assert(k % 3 != 1 || y[k] == 0);
            }
            cr_assert(fabsf(sum - 1) < 1e-5f);
        }
    }
}

Test(ops, activations_match_the_scalar_form)
{
    float x[MOST];
    fill(weights, MOST, 1);
    for (kind = ACTIVATION_SILU; kind <= ACTIVATION_TANH; kind++) {
        char name[32];
        snprintf(name, sizeof name, "activation %d", (int)kind);
        for (float size = 0.01f; size < 200; size *= 9) {
            fill(x, MOST, size);
            x[0] = 0;
            double budget = kind == ACTIVATION_RELU2 ? 0 : 1e-6;
            compare(name, run_activate, x, MOST, budget);
            compare(name, run_gate, x, 77, budget);
        }
        cpu_level_set(CPU_NEON);
        float extreme[3] = {1e30f, -1e30f, -100};
        activate(kind, extreme, 3);
        cr_assert(!isnan(extreme[0]) && !isnan(extreme[1]) && !isnan(extreme[2]), "%s of 1e30", name);
    }
}

Test(ops, rotary_positions_match_the_scalar_form)
{
    static const int dims[][2] = {{64, 64}, {80, 32}, {128, 96}, {20, 18}, {256, 256}};
    static const int32_t positions[] = {0, 1, 17, 2047, 99999};
    float x[MOST], inv_freq[128];
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
        for (size_t p = 0; p < sizeof positions / sizeof *positions; p++)
            for (int interleaved = 0; interleaved < 2; interleaved++) {
                head_dim = dims[d][0];
                position = positions[p];
                for (int i = 0; i < dims[d][1] / 2; i++)
                    inv_freq[i] = powf(10000.0f, -2.0f * (float)i / (float)dims[d][1]);
                rope = (struct rope){inv_freq, dims[d][1], 1.25f, interleaved != 0};
                fill(x, MOST, 1);
                compare("rope", run_rope, x, MOST / head_dim * head_dim, 2e-6);
                for (int i = 0; i < dims[d][1] / 2; i++) {
                    angles[i] = 1.25f * cosf((float)position * inv_freq[i]);
                    angles[dims[d][1] / 2 + i] = 1.25f * sinf((float)position * inv_freq[i]);
                }
                compare("rope by angles", run_turn, x, MOST / head_dim * head_dim, 2e-6);
            }
}

Test(ops, rotation_by_angles_is_rotation_of_the_position)
{
    float x[160], y[160], inv_freq[32];
    head_dim = 80;
    for (int interleaved = 0; interleaved < 2; interleaved++) {
        for (int i = 0; i < 32; i++) {
            inv_freq[i] = powf(10000.0f, -(float)i / 32.0f);
            angles[i] = cosf(77.0f * inv_freq[i]);
            angles[32 + i] = sinf(77.0f * inv_freq[i]);
        }
        rope = (struct rope){inv_freq, 64, 1, interleaved != 0};
        fill(x, 160, 1);
        memcpy(y, x, sizeof y);
        cpu_level_set(CPU_SCALAR);
        rope_apply(&rope, x, 2, head_dim, 77);
        rope_turn(angles, 64, interleaved != 0, y, 2, head_dim);
        cr_assert(memcmp(x, y, sizeof x) == 0, "interleaved %d", interleaved);
    }
}

Test(ops, sums_of_vectors_are_the_same_bits_at_all_levels)
{
    float x[MOST];
    fill(weights, MOST, 3);
    for (int i = 0; i < N_WIDTHS; i++) {
        fill(x, widths[i], 8);
        compare("vector_add", run_add, x, widths[i], 0);
    }
}

Test(ops, the_largest_is_the_first_among_equals)
{
    static float x[5000];
    static const int lengths[] = {1, 5, 16, 33, 1024, 1025, 4999};
    for (enum cpu_level level = CPU_SCALAR; level <= CPU_NEON; level++) {
        if (cpu_level_set(level) != level)
            continue;
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            int n = lengths[i];
            for (int at = 0; at < n; at += 1 + n / 7) {
                fill(x, n, 1);
                x[at] = x[n - 1] = 3;
                cr_assert_eq(largest_at(x, n), at, "level %d, %d values: %lld, not %d", (int)level, n, (long long)largest_at(x, n), at);
            }
            for (int at = 0; at < n; at++)
                x[at] = -INFINITY;
            cr_assert_eq(largest_at(x, n), 0);
            x[n - 1] = -1e30f;
            cr_assert_eq(largest_at(x, n), n - 1);
        }
    }
}

Test(ops, sums_of_exponentials_agree_at_all_levels)
{
    static float x[5000];
    for (int n = 1; n < 5000; n = n * 3 + 1) {
        fill(x, n, 20);
        x[n / 2] = n > 2 ? -INFINITY : x[n / 2];
        cpu_level_set(CPU_SCALAR);
        double expected = sum_exp(x, 19, n);
        for (enum cpu_level level = CPU_AVX2; level <= CPU_NEON; level++)
            if (cpu_level_set(level) == level)
                cr_assert(fabs(sum_exp(x, 19, n) - expected) <= 1e-6 * expected, "level %d, %d values: %.9g, not %.9g", (int)level, n,
                          sum_exp(x, 19, n), expected);
    }
}
