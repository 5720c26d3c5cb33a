/* The arithmetic between the matrices, in f32: norms, activations, softmax, rotary positions. Each has a scalar form that
 * reads like its paper and, chosen at run time, a vector form. Their budget against the scalar form: norms and softmax 2e-6
 * of the largest value, activations 1e-6 · max(1, |x|), rotary positions 1e-6 of the vector's length (|angle| up to 1e5). */
#ifndef WEIR_KERNELS_OPS_H
#define WEIR_KERNELS_OPS_H

#include "weir_base.h"

/* y = x / sqrt(mean(x²) + eps) · (w + w_offset), n wide; w NULL: all ones (Zhang & Sennrich 2019). y may be x. */
void rms_norm(const float *x, const float *w, float w_offset, float eps, int n, float *y);
/* y = (x - mean) / sqrt(var + eps) · w + b; w, b may be NULL (Ba et al. 2016). y may be x. */
void layer_norm(const float *x, const float *w, const float *b, float eps, int n, float *y);
/* Softmax in place over n values; with -INFINITY as mask. */
void softmax(float *x, int n);

/* The index of the largest of n values, the first among equals; 0 when all are NAN or -INFINITY. */
int64_t largest_at(const float *x, int64_t n);
/* Σ exp(x - shift). The vector forms are within 1e-6 of the sum. */
double sum_exp(const float *x, float shift, int64_t n);

enum activation { ACTIVATION_SILU, ACTIVATION_GELU, ACTIVATION_GELU_TANH, ACTIVATION_GELU_QUICK, ACTIVATION_RELU, ACTIVATION_RELU2, ACTIVATION_TANH };
void activate(enum activation activation, float *x, int64_t n);
/* x = act(x) · y: SwiGLU and GeGLU (Shazeer 2020). */
void activate_gate(enum activation activation, float *x, const float *y, int64_t n);

/* Rotary positions (Su et al. 2021). inv_freq: n_rot / 2 angles per position; scale multiplies cos and sin (YaRN, LongRoPE:
 * the attention factor). Rotates n_heads heads of head_dim floats, the first n_rot dimensions of each. interleaved: pairs
 * (2i, 2i+1) as in GGUF Llama files; otherwise halves (i, i + n_rot/2). */
struct rope {
    const float *inv_freq;
    int n_rot;
    float scale;
    bool interleaved;
};
void rope_apply(const struct rope *rope, float *x, int n_heads, int head_dim, int32_t position);
/* The same by angles worked out before: n_rot / 2 cosines, then the sines. */
void rope_turn(const float *angles, int n_rot, bool interleaved, float *x, int n_heads, int head_dim);

/* x += y; the same bits in all forms. */
void vector_add(float *x, const float *y, int n);

#endif
