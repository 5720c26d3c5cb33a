/* See price.h. Weighted least squares of time over rows with a prior slope: as long as all steps have the same number of rows nothing else is
 * known, so after a while without guesses they are tried again. */
#include "engine/price.h"

/* A small model's on two cores, between where memory bounds a row (.05) and where arithmetic does. */
static const double PRIOR = 0.15;
static const double PRIOR_WEIGHT = 0.1; /* As a variance of rows. */
static const double MEMORY = 64;        /* Steps. */
static const double OUTLIER = 3;        /* Another process had the core: no row's doing. */

void price_observe(struct price *price, int n_rows, int64_t us)
{
    if (us <= 0)
        return;
    double rows = n_rows, took = (double)us;
    if (price->n > 0 && took > OUTLIER * price->us)
        took = OUTLIER * price->us;
    price->n += price->n < MEMORY;
    double share = 1 / price->n, d_rows = rows - price->rows, d_us = took - price->us;
    price->rows += share * d_rows;
    price->us += share * d_us;
    price->rows_var = (1 - share) * (price->rows_var + share * d_rows * d_rows);
    price->rows_us = (1 - share) * (price->rows_us + share * d_rows * d_us);
}

double price_of_row(const struct price *price)
{
    if (price->n == 0)
        return PRIOR;
    double prior = PRIOR * price->us / (1 + PRIOR * (price->rows - 1));
    double slope = (price->rows_us + PRIOR_WEIGHT * prior) / (price->rows_var + PRIOR_WEIGHT);
    double one = price->us - slope * (price->rows - 1);
    double of_row = one > 0 ? slope / one : 1;
    return of_row < 0.01 ? 0.01 : of_row > 1 ? 1 : of_row;
}
