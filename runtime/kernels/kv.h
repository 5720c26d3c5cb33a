/* KV cache: pages of KV_PAGE positions, shared by reference between sessions that have a prefix in common, in F32, F16 or
 * Q8_0, under one memory budget; and the attention that reads them.
 *
 * A struct kv is one sequence: a list of pages and a length. kv_fork shares all whole pages with another sequence. One
 * thread (the engine's, or the one that holds the model's lock) calls everything here. */
#ifndef WEIR_KERNELS_KV_H
#define WEIR_KERNELS_KV_H

#include "weir_runtime.h"

enum { KV_PAGE = 32 };

struct kv_shape {
    int n_layers;
    int n_kv_heads;
    int head_dim_k;
    int head_dim_v;
    enum kv_type type; /* F32, F16 or Q8_0. */
};

/* Memory of one position. */
size_t kv_shape_token_bytes(const struct kv_shape *shape);

struct kv_store; /* All pages of a model. */
struct kv;       /* One sequence. */

int kv_store_new(struct kv_store **out, const struct kv_shape *shape, size_t budget_bytes, struct error *err) WEIR_CHECKED;
void kv_store_free(struct kv_store *store);
size_t kv_store_used_bytes(const struct kv_store *store);
size_t kv_store_page_bytes(const struct kv_store *store);
/* Makes one page more ready that nobody uses yet: the kernel clears memory when it is first written, which a prompt then need not wait for. False: 512
 * positions (64 MiB at most) are ready, or the budget has no more. */
bool kv_store_make_ready(struct kv_store *store);

int kv_new(struct kv **out, struct kv_store *store) WEIR_CHECKED;
void kv_free(struct kv *kv);
int kv_length(const struct kv *kv);
/* Makes room for positions up to length n (pages are taken from the store; a shared last page is copied first).
 * WEIR_E_FULL when the budget is used up. */
int kv_reserve(struct kv *kv, int n) WEIR_CHECKED;
/* Sets the length after a forward pass, or drops positions n… (n <= reserved). */
void kv_trim(struct kv *kv, int n);
/* A new sequence that shares the first n positions: whole pages by reference, the rest copied. */
int kv_fork(struct kv **out, const struct kv *from, int n) WEIR_CHECKED;

/* Asks the CPU for the memory that kv_write will write: a cache line for each dimension of the keys. */
void kv_write_soon(const struct kv *kv, int layer, int position);
/* Writes one position's keys and values of one layer (n_kv_heads × head_dim floats each) into reserved space. */
void kv_write(struct kv *kv, int layer, int position, const float *k, const float *v);

struct attention {
    int n_heads;
    float scale;    /* Of q·k, usually 1/sqrt(head_dim). */
    float soft_cap; /* c tanh(s/c) on the scores; 0: none (Gemma 2). */
    int window;     /* Keys at distance >= window are not seen; 0: all (Beltagy et al. 2020). */
};
/* For each row r: causal attention of query q[r] (n_heads × head_dim_k) at positions[r] over sequence kv[r], 0 … positions[r]
 * (already written), into out[r] (n_heads × head_dim_v). Query head h reads KV head h / (n_heads / n_kv_heads). */
void attention_apply(const struct attention *attention, struct pool *pool, struct kv *const *kv, const int32_t *positions,
                     int n_rows, int layer, const float *q, float *out);

#endif
