/* Linear: y = x Wᵀ (+ b), the one place where weights meet activations. W is a tensor's rows in any format; a linear uses
 * either the mapped rows (exact; float weights) or a repacked copy for dot-product instructions (fast, integer formats).
 *
 * Every output element is the sum of its block products in one fixed order, whatever the number of rows and threads:
 * answers don't depend on the batch. */
#ifndef WEIR_KERNELS_LINEAR_H
#define WEIR_KERNELS_LINEAR_H

#include "kernels/ops.h"
#include "kernels/tensor.h"
#include "weir_runtime.h"

struct linear;

/* n_out × n_in from w (2-dimensional, or slice `expert` of a 3-dimensional one). bias (n_out floats, borrowed for life) may
 * be NULL; scale multiplies W x before the bias (1 as a rule). */
int linear_new(struct linear **out, const struct tensor *w, int expert, const float *bias, float scale,
               enum precision precision, struct error *err) WEIR_CHECKED;
/* The same, but float weights too are brought to 8 bits (32 columns a scale) when precision is fast: for encoders, whose
 * embeddings bear it (cosine >= 0.998). */
int linear_new_int8(struct linear **out, const struct tensor *w, int expert, const float *bias, float scale,
                    enum precision precision, struct error *err) WEIR_CHECKED;
/* From f32 rows the caller computed (merged adapters, unpacked GPTQ/AWQ): copied, then not needed. */
int linear_new_f32(struct linear **out, const float *w, int n_out, int n_in, const float *bias, enum precision precision,
                   struct error *err) WEIR_CHECKED;
/* y = w (inner x) + b: a matrix of low rank as two. inner is freed with it, or at once on failure. */
int linear_new_product(struct linear **out, const struct tensor *w, struct linear *inner_take, const float *bias, enum precision precision,
                       struct error *err) WEIR_CHECKED;
void linear_free(struct linear *linear);
int linear_n_in(const struct linear *linear);
int linear_n_out(const struct linear *linear);
size_t linear_bytes(const struct linear *linear); /* Of weights held. */

/* Repacks now, with the pool's threads, what would be repacked at the first use. From any thread, also while another applies. */
void linear_pack(const struct linear *linear, struct pool *pool);

/* x: n_rows × n_in (row stride n_in), y: n_rows × n_out. pool may be NULL. No allocation in steady state: scratch is kept
 * with the calling thread. */
void linear_apply(const struct linear *linear, struct pool *pool, const float *x, int n_rows, float *y);
/* Several matrices on the same x (q, k, v; gate, up): activations are prepared once. y[i] is n_rows × n_out of i. */
void linear_apply_many(const struct linear *const *linears, int n_linears, struct pool *pool, const float *x, int n_rows, float *const *y);
/* y_gate = act(gate x) · (up x), in one go over both matrices, which have the same n_out; y_up is what up gave. */
void linear_apply_gated(const struct linear *gate, const struct linear *up, enum activation activation, struct pool *pool, const float *x,
                        int n_rows, float *y_gate, float *y_up);
/* Row `id` of W as f32, from the file's own rows: the embedding look-up of a tied matrix. */
void linear_row(const struct linear *linear, int64_t id, float *out);

#endif
