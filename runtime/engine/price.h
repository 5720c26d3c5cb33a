/* What one more row in a step costs, as a share of a step of one row: a regression over the steps of late, so it knows the model, the
 * precision, the depth and the company on the machine. The engine's thread. */
#ifndef WEIR_ENGINE_PRICE_H
#define WEIR_ENGINE_PRICE_H

#include <stdint.h>

struct price {
    double n;          /* Steps seen, at most the memory's length. */
    double rows, us;   /* Means; what is older counts less. */
    double rows_var, rows_us; /* Variance, covariance. */
};

/* A step of so many rows took so long. No time (a clock that stood) says nothing. */
void price_observe(struct price *price, int n_rows, int64_t us);
/* Of a further row, in steps of one row: 0.01 to 1. */
double price_of_row(const struct price *price);

#endif
