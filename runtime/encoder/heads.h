/* Heads: bidirectional multi-head attention (Vaswani et al. 2017) over the texts of a pass, each text by itself; with a
 * window of nearest neighbours (ModernBERT) or with disentangled relative positions (DeBERTa, He et al. 2021). */
#ifndef WEIR_ENCODER_HEADS_H
#define WEIR_ENCODER_HEADS_H

#include "encoder/pass.h"

struct heads {
    int n_heads;
    int head_dim;
    float scale; /* Of q·k and of the relative terms. */
    int window;  /* Keys farther away than this on either side are not seen; 0: all are. */
};

/* score(i, j) += scale (q_i · keys[b] + k_j · queries[b]), b = bucket of i - j. Either may be NULL. */
struct relative {
    const float *keys;    /* n_buckets × (n_heads head_dim): positions as keys to the content's queries (c2p). */
    const float *queries; /* Positions as queries to the content's keys (p2c). */
    int n_buckets;
    const int32_t *bucket; /* Of distance 0; valid for -(n_longest - 1) … n_longest - 1 around it. */
};

/* Floats each thread needs for texts of up to n_longest rows. */
size_t heads_thread_floats(const struct heads *heads, int n_buckets, int n_longest);
/* q, k, v, out: n_rows × (n_heads head_dim). relative may be NULL. */
void heads_attend(const struct heads *heads, const struct relative *relative, struct pass *pass, const float *q, const float *k,
                  const float *v, float *out);

/* ---- the two products of one head, in packed form (heads.c has the scalar ones, heads_avx2.c the fast) */

enum { HEADS_QUERIES = 4, HEADS_KEY_TILE = 16, HEADS_DIM_TILE = 8 };

/* scores[r][j] = queries[r] · column j of keys, for r < n_queries (at most HEADS_QUERIES), first <= j < end, both multiples
 * of HEADS_KEY_TILE. keys: dim × n_columns. */
typedef void heads_scores_fn(const float *keys, int dim, int n_columns, const float *const *queries, int n_queries, int first, int end,
                             float *scores);
/* out[r] = sum over j of weights[r][j] values[j], first <= j < end; values: rows of n_columns, a multiple of HEADS_DIM_TILE;
 * weights: rows of n_weights. */
typedef void heads_mix_fn(const float *values, int n_columns, const float *weights, int n_weights, int n_queries, int first, int end,
                          float *out);
heads_scores_fn heads_scores_scalar, heads_scores_avx2;
heads_mix_fn heads_mix_scalar, heads_mix_avx2;

#endif
