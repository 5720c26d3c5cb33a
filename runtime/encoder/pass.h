/* Pass: one forward pass over several texts laid end to end, a row a token, without padding; and the memory it works in.
 *
 * The encoder fills the pass, an architecture's forward takes the row memory it said it needs (architecture.h) and can't
 * fail. Workspace is grown by the encoder before, never inside. */
#ifndef WEIR_ENCODER_PASS_H
#define WEIR_ENCODER_PASS_H

#include "encoder/weights.h"

struct pass {
    struct pool *pool; /* May be NULL. */
    const int32_t *ids;
    const int32_t *types;
    int n_rows;
    const int32_t *starts; /* First row of each text; starts[n_texts] = n_rows. */
    int n_texts;
    int n_longest; /* Rows of the longest text. */
    float *floats; /* Row memory: n_floats, the first n_used taken. */
    size_t n_floats;
    size_t n_used;
    float *thread_floats; /* For each of the pool's threads. */
    size_t n_thread_floats;
    float *inner; /* n_rows × width for pass_keep_inner; NULL: nobody asked. */
    bool inner_kept;
};

/* n_rows × width floats, not cleared, until the end of the pass. */
float *pass_take(struct pass *pass, int width);
/* Keeps the rows as they are before the last layer, for those who asked. */
void pass_keep_inner(struct pass *pass, const float *x, int width);
/* Where in its text a row stands, from 0. */
int32_t pass_position(const struct pass *pass, int row);
/* Calls fn for runs of rows [first, end), on all threads when there is enough to do; width tells how much a row costs. */
typedef void pass_rows_fn(void *arg, int first, int end);
void pass_rows(struct pass *pass, int width, pass_rows_fn *fn, void *arg);

/* x = norm(x + residual), row by row; residual may be NULL. */
void pass_norm(struct pass *pass, const struct norm *norm, const float *residual, float *x);
/* y = norm(x). */
void pass_norm_to(struct pass *pass, const struct norm *norm, const float *x, float *y);
void pass_activate(struct pass *pass, enum activation activation, float *x, int width);
/* x = act(x) · y. */
void pass_activate_gate(struct pass *pass, enum activation activation, float *x, const float *y, int width);
/* x += y. */
void pass_add(struct pass *pass, const float *y, float *x, int width);
/* One row. */
void norm_apply(const struct norm *norm, const float *x, float *y);

#endif
