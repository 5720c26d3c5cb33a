/* Invariant: sorted holds what the ring holds, in ascending order. One thread. */
#include "goals/recent.h"

#include <math.h>

/* The first place whose value is not below it. */
static int place_of(const struct recent *recent, float value)
{
    int low = 0, high = recent->n;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (recent->sorted[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void forget_oldest(struct recent *recent)
{
    int at = place_of(recent, recent->ring[recent->next]);
    recent->n--;
    memmove(&recent->sorted[at], &recent->sorted[at + 1], (size_t)(recent->n - at) * sizeof *recent->sorted);
}

void recent_add(struct recent *recent, float value)
{
    if (recent->n == RECENT_VALUES)
        forget_oldest(recent);
    int at = place_of(recent, value);
    memmove(&recent->sorted[at + 1], &recent->sorted[at], (size_t)(recent->n - at) * sizeof *recent->sorted);
    recent->sorted[at] = value;
    recent->ring[recent->next] = value;
    recent->next = (recent->next + 1) % RECENT_VALUES;
    recent->n++;
}

double recent_above(const struct recent *recent, double share)
{
    int above = (int)floor(fmin(fmax(share, 0), 1) * recent->n);
    return above < recent->n ? (double)recent->sorted[recent->n - 1 - above] : (double)nextafterf(recent->sorted[0], -INFINITY);
}
