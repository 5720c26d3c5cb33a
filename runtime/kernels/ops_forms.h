/* The vector forms that ops.c chooses from. */
#ifndef WEIR_KERNELS_OPS_FORMS_H
#define WEIR_KERNELS_OPS_FORMS_H

#include "kernels/ops.h"

#define OPS_FORMS(isa)                                                                                                                 \
    void rms_norm_##isa(const float *x, const float *w, float w_offset, float eps, int n, float *y);                                   \
    void layer_norm_##isa(const float *x, const float *w, const float *b, float eps, int n, float *y);                                 \
    int64_t largest_at_##isa(const float *x, int64_t n);                                                                               \
    double sum_exp_##isa(const float *x, float shift, int64_t n);                                                                      \
    void softmax_##isa(float *x, int n);                                                                                               \
    void activate_##isa(enum activation activation, float *x, int64_t n);                                                              \
    void activate_gate_##isa(enum activation activation, float *x, const float *y, int64_t n);                                         \
    void rope_apply_##isa(const struct rope *rope, float *x, int n_heads, int head_dim, int32_t position);        \
    void rope_turn_##isa(const float *angles, int n_rot, bool interleaved, float *x, int n_heads, int head_dim);                       \
    void vector_add_##isa(float *x, const float *y, int n);
OPS_FORMS(avx2)
OPS_FORMS(vnni)
OPS_FORMS(neon)

#endif
