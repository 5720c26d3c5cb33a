/* The arithmetic between matrices: the scalar forms, and the choice of a vector form where the CPU has one. */
#include "kernels/cpu.h"
#include "kernels/ops_forms.h"

#include <math.h>

/* Calls the vector form and returns, if there is one for this CPU. */
#if defined(__x86_64__)
#define CHOSEN_FORM(name) (level == CPU_VNNI ? name##_vnni : name##_avx2)
#elif defined(__aarch64__)
#define CHOSEN_FORM(name) name##_neon
#endif
#if defined(CHOSEN_FORM)
#define VECTOR_FORM(name, ...)                                                                                                         \
    do {                                                                                                                               \
        enum cpu_level level = cpu_level();                                                                                            \
        if (level != CPU_SCALAR) {                                                                                                     \
            CHOSEN_FORM(name)(__VA_ARGS__);                                                                                            \
            return;                                                                                                                    \
        }                                                                                                                              \
    } while (0)
/* The same of a function with a value. */
#define VECTOR_VALUE(name, ...)                                                                                                        \
    do {                                                                                                                               \
        enum cpu_level level = cpu_level();                                                                                            \
        if (level != CPU_SCALAR)                                                                                                       \
            return CHOSEN_FORM(name)(__VA_ARGS__);                                                                                     \
    } while (0)
#else
#define VECTOR_FORM(name, ...)
#define VECTOR_VALUE(name, ...)
#endif

void rms_norm(const float *x, const float *w, float w_offset, float eps, int n, float *y)
{
    VECTOR_FORM(rms_norm, x, w, w_offset, eps, n, y);
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    float scale = 1.0f / sqrtf((float)(sum / n) + eps);
    for (int i = 0; i < n; i++)
        y[i] = x[i] * scale * (w == NULL ? 1.0f : w[i] + w_offset);
}

void layer_norm(const float *x, const float *w, const float *b, float eps, int n, float *y)
{
    VECTOR_FORM(layer_norm, x, w, b, eps, n, y);
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++)
        sum += (double)x[i];
    float mean = (float)(sum / n);
    for (int i = 0; i < n; i++)
        squares += (double)(x[i] - mean) * (double)(x[i] - mean);
    float scale = 1.0f / sqrtf((float)(squares / n) + eps);
    for (int i = 0; i < n; i++)
        y[i] = (x[i] - mean) * scale * (w == NULL ? 1.0f : w[i]) + (b == NULL ? 0.0f : b[i]);
}

void softmax(float *x, int n)
{
    VECTOR_FORM(softmax, x, n);
    float max = -INFINITY;
    for (int i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    if (max == -INFINITY)
        max = 0;
    double sum = 0;
    for (int i = 0; i < n; i++) {
        x[i] = expf(x[i] - max);
        sum += (double)x[i];
    }
    float scale = sum > 0 ? (float)(1.0 / sum) : 0;
    for (int i = 0; i < n; i++)
        x[i] *= scale;
}

int64_t largest_at(const float *x, int64_t n)
{
    VECTOR_VALUE(largest_at, x, n);
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

double sum_exp(const float *x, float shift, int64_t n)
{
    VECTOR_VALUE(sum_exp, x, shift, n);
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)(x[i] - shift));
    return sum;
}

static float activation_value(enum activation activation, float x)
{
    switch (activation) {
    case ACTIVATION_SILU:
        return x / (1.0f + expf(-x));
    case ACTIVATION_GELU:
        return 0.5f * x * (1.0f + erff(x * 0.70710678f));
    case ACTIVATION_GELU_TANH:
        return 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
    case ACTIVATION_GELU_QUICK:
        return x / (1.0f + expf(-1.702f * x));
    case ACTIVATION_RELU:
        return x > 0 ? x : 0;
    case ACTIVATION_RELU2:
        return x > 0 ? x * x : 0;
    case ACTIVATION_TANH:
        return tanhf(x);
    }
    return x;
}

void activate(enum activation activation, float *x, int64_t n)
{
    VECTOR_FORM(activate, activation, x, n);
    for (int64_t i = 0; i < n; i++)
        x[i] = activation_value(activation, x[i]);
}

void activate_gate(enum activation activation, float *x, const float *y, int64_t n)
{
    VECTOR_FORM(activate_gate, activation, x, y, n);
    for (int64_t i = 0; i < n; i++)
        x[i] = activation_value(activation, x[i]) * y[i];
}

void rope_apply(const struct rope *rope, float *x, int n_heads, int head_dim, int32_t position)
{
    VECTOR_FORM(rope_apply, rope, x, n_heads, head_dim, position);
    int n_pairs = rope->n_rot / 2, step = rope->interleaved ? 2 : 1, distance = rope->interleaved ? 1 : n_pairs;
    for (int i = 0; i < n_pairs; i++) {
        float angle = (float)position * rope->inv_freq[i];
        float c = cosf(angle) * rope->scale, s = sinf(angle) * rope->scale;
        for (int head = 0; head < n_heads; head++) {
            float *pair = x + (size_t)head * (size_t)head_dim + (size_t)i * (size_t)step;
            float a = pair[0], b = pair[distance];
            pair[0] = a * c - b * s;
            pair[distance] = a * s + b * c;
        }
    }
}

void rope_turn(const float *angles, int n_rot, bool interleaved, float *x, int n_heads, int head_dim)
{
    VECTOR_FORM(rope_turn, angles, n_rot, interleaved, x, n_heads, head_dim);
    int n_pairs = n_rot / 2, step = interleaved ? 2 : 1, distance = interleaved ? 1 : n_pairs;
    const float *cosines = angles, *sines = angles + n_pairs;
    for (int head = 0; head < n_heads; head++, x += head_dim)
        for (int i = 0; i < n_pairs; i++) {
            float *pair = x + (size_t)i * (size_t)step, a = pair[0], b = pair[distance];
            pair[0] = a * cosines[i] - b * sines[i];
            pair[distance] = a * sines[i] + b * cosines[i];
        }
}

void vector_add(float *x, const float *y, int n)
{
    VECTOR_FORM(vector_add, x, y, n);
    for (int i = 0; i < n; i++)
        x[i] += y[i];
}
