/* The vector forms of ops.h, written once for all widths; included by ops_avx2.c, ops_vnni.c and ops_neon.c. */
#include "kernels/ops_forms.h"
#include "kernels/simd.h"

#define WHOLE(n) ((n) / VF * VF)

void SIMD_NAME(rms_norm)(const float *x, const float *w, float w_offset, float eps, int n, float *y)
{
    vf sum = vf_set(0), sum2 = vf_set(0);
    int i = 0;
    for (; i + 2 * VF <= n; i += 2 * VF) {
        vf a = vf_load(x + i), b = vf_load(x + i + VF);
        sum = vf_fma(a, a, sum);
        sum2 = vf_fma(b, b, sum2);
    }
    for (; i < n; i += VF) {
        vf a = vf_load_first(x + i, n - i);
        sum = vf_fma(a, a, sum);
    }
    float scale = 1.0f / sqrtf(vf_sum(vf_add(sum, sum2)) / (float)n + eps);
    vf by = vf_set(scale), offset = vf_set(w_offset), one = vf_set(1);
    for (i = 0; i < n; i += VF) {
        int left = n - i;
        vf weight = w == NULL ? one : vf_add(vf_load_first(w + i, left), offset);
        vf_store_first(y + i, vf_mul(vf_mul(vf_load_first(x + i, left), by), weight), left);
    }
}

void SIMD_NAME(layer_norm)(const float *x, const float *w, const float *b, float eps, int n, float *y)
{
    vf sum = vf_set(0), squares = vf_set(0);
    for (int i = 0; i < n; i += VF)
        sum = vf_add(sum, vf_load_first(x + i, n - i));
    vf mean = vf_set(vf_sum(sum) / (float)n);
    for (int i = 0; i < n; i += VF) {
        vf off = vf_keep_first(vf_sub(vf_load_first(x + i, n - i), mean), n - i, 0);
        squares = vf_fma(off, off, squares);
    }
    vf scale = vf_set(1.0f / sqrtf(vf_sum(squares) / (float)n + eps)), one = vf_set(1), zero = vf_set(0);
    for (int i = 0; i < n; i += VF) {
        int left = n - i;
        vf value = vf_mul(vf_sub(vf_load_first(x + i, left), mean), scale);
        value = vf_fma(value, w == NULL ? one : vf_load_first(w + i, left), b == NULL ? zero : vf_load_first(b + i, left));
        vf_store_first(y + i, value, left);
    }
}

void SIMD_NAME(softmax)(float *x, int n)
{
    vf max_v = vf_set(-INFINITY), sum_v = vf_set(0);
    for (int i = 0; i < n; i += VF)
        max_v = vf_max(max_v, vf_keep_first(vf_load_first(x + i, n - i), n - i, -INFINITY));
    float max = vf_largest(max_v);
    vf shift = vf_set(max == -INFINITY ? 0 : max);
    for (int i = 0; i < n; i += VF) {
        vf e = vf_exp(vf_sub(vf_keep_first(vf_load_first(x + i, n - i), n - i, -INFINITY), shift));
        sum_v = vf_add(sum_v, e);
        vf_store_first(x + i, e, n - i);
    }
    float sum = vf_sum(sum_v);
    vf by = vf_set(sum > 0 ? 1.0f / sum : 0);
    for (int i = 0; i < n; i += VF)
        vf_store_first(x + i, vf_mul(vf_load_first(x + i, n - i), by), n - i);
}

int64_t SIMD_NAME(largest_at)(const float *x, int64_t n)
{
    enum { PIECE = 64 * VF };
    float best = -INFINITY;
    int64_t piece = 0;
    for (int64_t from = 0; from < n; from += PIECE) { /* The piece that has it first, then the place in the piece. */
        int64_t end = n - from < PIECE ? n : from + PIECE;
        vf max = vf_set(-INFINITY);
        int64_t i = from;
        for (; i + VF <= end; i += VF)
            max = vf_max(vf_load(x + i), max);
        if (i < end)
            max = vf_max(vf_keep_first(vf_load_first(x + i, (int)(end - i)), (int)(end - i), -INFINITY), max);
        float here = vf_largest(max);
        if (here > best) {
            best = here;
            piece = from;
        }
    }
    for (int64_t i = piece; i < n; i++)
        if (x[i] == best)
            return i;
    return 0;
}

double SIMD_NAME(sum_exp)(const float *x, float shift, int64_t n)
{
    enum { PIECE = 16 * VF }; /* Summed in f32, then in f64. */
    double total = 0;
    for (int64_t from = 0; from < n; from += PIECE) {
        int64_t end = n - from < PIECE ? n : from + PIECE;
        vf sum = vf_set(0), by = vf_set(shift);
        int64_t i = from;
        for (; i + VF <= end; i += VF)
            sum = vf_add(sum, vf_exp(vf_sub(vf_load(x + i), by)));
        if (i < end)
            sum = vf_add(sum, vf_exp(vf_keep_first(vf_sub(vf_load_first(x + i, (int)(end - i)), by), (int)(end - i), -INFINITY)));
        total += (double)vf_sum(sum);
    }
    return total;
}

SIMD_INLINE vf activation_vector(enum activation activation, vf x)
{
    const vf zero = vf_set(0);
    switch (activation) {
    case ACTIVATION_SILU:
        return vf_mul(x, vf_sigmoid(x));
    case ACTIVATION_GELU:
        return vf_mul(vf_mul(x, vf_set(0.5f)), vf_add(vf_set(1), vf_erf(vf_mul(x, vf_set(0.70710678f)))));
    case ACTIVATION_GELU_TANH: {
        vf cubic = vf_mul(vf_mul(x, vf_set(1.59576912f)), vf_fma(vf_mul(x, x), vf_set(0.044715f), vf_set(1)));
        return vf_mul(x, vf_sigmoid(cubic)); /* (1 + tanh u) / 2 = sigmoid(2 u) */
    }
    case ACTIVATION_GELU_QUICK:
        return vf_mul(x, vf_sigmoid(vf_mul(x, vf_set(1.702f))));
    case ACTIVATION_RELU:
        return vf_max(x, zero);
    case ACTIVATION_RELU2:
        return vf_mul(vf_max(x, zero), vf_max(x, zero));
    case ACTIVATION_TANH:
        return vf_tanh(x);
    }
    return x;
}

/* The switch is taken once a call: activation is a constant in each loop. */
#define EACH_ACTIVATION(LOOP)                                                                                                          \
    switch (activation) {                                                                                                              \
    case ACTIVATION_SILU: LOOP(ACTIVATION_SILU) break;                                                                                 \
    case ACTIVATION_GELU: LOOP(ACTIVATION_GELU) break;                                                                                 \
    case ACTIVATION_GELU_TANH: LOOP(ACTIVATION_GELU_TANH) break;                                                                       \
    case ACTIVATION_GELU_QUICK: LOOP(ACTIVATION_GELU_QUICK) break;                                                                     \
    case ACTIVATION_RELU: LOOP(ACTIVATION_RELU) break;                                                                                 \
    case ACTIVATION_RELU2: LOOP(ACTIVATION_RELU2) break;                                                                               \
    case ACTIVATION_TANH: LOOP(ACTIVATION_TANH) break;                                                                                 \
    }

#define ALONE(kind)                                                                                                                    \
    for (int64_t i = 0; i < whole; i += VF)                                                                                            \
        vf_store(x + i, activation_vector(kind, vf_load(x + i)));                                                                      \
    if (whole < n)                                                                                                                     \
        vf_store_first(x + whole, activation_vector(kind, vf_load_first(x + whole, left)), left);

void SIMD_NAME(activate)(enum activation activation, float *x, int64_t n)
{
    int64_t whole = WHOLE(n);
    int left = (int)(n - whole);
    EACH_ACTIVATION(ALONE)
}

#define GATED(kind)                                                                                                                    \
    for (int64_t i = 0; i < whole; i += VF)                                                                                            \
        vf_store(x + i, vf_mul(activation_vector(kind, vf_load(x + i)), vf_load(y + i)));                                              \
    if (whole < n)                                                                                                                     \
        vf_store_first(x + whole, vf_mul(activation_vector(kind, vf_load_first(x + whole, left)), vf_load_first(y + whole, left)), left);

void SIMD_NAME(activate_gate)(enum activation activation, float *x, const float *y, int64_t n)
{
    int64_t whole = WHOLE(n);
    int left = (int)(n - whole);
    EACH_ACTIVATION(GATED)
}

enum { ROPE_SPAN = 256 };

/* Turns pairs first … first + n - 1 of every head; cosines and sines have room for 2 n and are used up. */
SIMD_INLINE void turn_pairs(float *cosines, float *sines, int first, int n, int n_pairs, bool interleaved, float *x, int n_heads, int head_dim)
{
    if (interleaved) /* Each twice, the sine with the sign of its place; from the end, in place. */
        for (int i = n - 1; i >= 0; i--) {
            float c = cosines[i], s = sines[i];
            cosines[2 * i] = cosines[2 * i + 1] = c;
            sines[2 * i] = -s;
            sines[2 * i + 1] = s;
        }
    for (int head = 0; head < n_heads; head++) {
        float *a = x + (size_t)head * (size_t)head_dim + (interleaved ? 2 * first : first), *b = a + n_pairs;
        if (interleaved) {
            for (int i = 0; i < 2 * n; i += VF) {
                int left = 2 * n - i;
                vf value = vf_load_first(a + i, left);
                vf_store_first(a + i, vf_fma(value, vf_load(cosines + i), vf_mul(vf_swap_pairs(value), vf_load(sines + i))), left);
            }
            continue;
        }
        for (int i = 0; i < n; i += VF) {
            vf c = vf_load(cosines + i), s = vf_load(sines + i), u = vf_load_first(a + i, n - i), v = vf_load_first(b + i, n - i);
            vf_store_first(a + i, vf_sub(vf_mul(u, c), vf_mul(v, s)), n - i);
            vf_store_first(b + i, vf_fma(u, s, vf_mul(v, c)), n - i);
        }
    }
}

void SIMD_NAME(rope_apply)(const struct rope *rope, float *x, int n_heads, int head_dim, int32_t position)
{
    _Alignas(64) float cosines[2 * ROPE_SPAN], sines[2 * ROPE_SPAN];
    int n_pairs = rope->n_rot / 2;
    vf scale = vf_set(rope->scale), at = vf_set((float)position);
    for (int from = 0; from < n_pairs; from += ROPE_SPAN) {
        int n = n_pairs - from < ROPE_SPAN ? n_pairs - from : ROPE_SPAN;
        for (int i = 0; i < n; i += VF) {
            vf s, c;
            vf_sincos(vf_mul(at, vf_load_first(rope->inv_freq + from + i, n - i)), &s, &c);
            vf_store(cosines + i, vf_mul(c, scale));
            vf_store(sines + i, vf_mul(s, scale));
        }
        turn_pairs(cosines, sines, from, n, n_pairs, rope->interleaved, x, n_heads, head_dim);
    }
}

void SIMD_NAME(rope_turn)(const float *angles, int n_rot, bool interleaved, float *x, int n_heads, int head_dim)
{
    _Alignas(64) float cosines[2 * ROPE_SPAN], sines[2 * ROPE_SPAN];
    int n_pairs = n_rot / 2;
    for (int from = 0; from < n_pairs; from += ROPE_SPAN) {
        int n = n_pairs - from < ROPE_SPAN ? n_pairs - from : ROPE_SPAN;
        for (int i = 0; i < n; i += VF) {
            vf_store(cosines + i, vf_load_first(angles + from + i, n - i));
            vf_store(sines + i, vf_load_first(angles + n_pairs + from + i, n - i));
        }
        turn_pairs(cosines, sines, from, n, n_pairs, interleaved, x, n_heads, head_dim);
    }
}

void SIMD_NAME(vector_add)(float *x, const float *y, int n)
{
    int i = 0;
    for (; i + VF <= n; i += VF)
        vf_store(x + i, vf_add(vf_load(x + i), vf_load(y + i)));
    if (i < n)
        vf_store_first(x + i, vf_add(vf_load_first(x + i, n - i), vf_load_first(y + i, n - i)), n - i);
}
