/* Low rank: the best matrix of a given rank in place of another, where columns count by what comes into them. */
#ifndef WEIR_MODEL_LOW_RANK_H
#define WEIR_MODEL_LOW_RANK_H

#include "weir_base.h"

/* W (n_out x n_in) as b a, with b n_out x rank, stored by its columns (rank x n_out), and a rank x n_in, both the caller's. The error
 * that is made small is that of (W - b a) diag(importance); importance has n_in numbers above 0. *lost: its square as a share of
 * the whole's. Randomised subspace iteration (Halko, Martinsson, Tropp 2011) from a fixed seed: equal inputs give equal results,
 * whatever the number of threads. */
int low_rank(const float *w, int n_out, int n_in, int rank, const float *importance, struct pool *pool, float *b, float *a, double *lost,
             struct error *err) WEIR_CHECKED;

#endif
