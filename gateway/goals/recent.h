/* The last values of a stream and their order, for quantiles: a ring beside a sorted copy. Its memory is its own size. */
#ifndef WEIR_GOALS_RECENT_H
#define WEIR_GOALS_RECENT_H

#include "weir_base.h"

enum { RECENT_VALUES = 256 };

struct recent {
    int n, next;                 /* How many there are, and where in the ring the next one goes. */
    float ring[RECENT_VALUES];
    float sorted[RECENT_VALUES];
};

/* value is finite. At RECENT_VALUES the oldest makes room. */
void recent_add(struct recent *recent, float value);
/* The value that at most floor(share × n) of them are above; below all of them where that is everything. n > 0. */
double recent_above(const struct recent *recent, double share);

#endif
