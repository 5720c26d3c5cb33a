/* See lookup.h. One pass backwards: some 8,000 comparisons of one number, microseconds beside a forward pass. */
#include "engine/lookup.h"

int lookup_guess(const int32_t *ids, size_t n_ids, int most, int32_t *out)
{
    size_t lowest = n_ids > LOOKUP_WINDOW ? n_ids - LOOKUP_WINDOW : 0, best_at = 0, best = 0;
    for (size_t at = n_ids - (n_ids > 0); at > lowest && best < LOOKUP_LONGEST; at--) {
        /* ids[at - 1] as the last token of an earlier match. */
        size_t n = 0;
        while (n < LOOKUP_LONGEST && n < at - lowest && ids[at - 1 - n] == ids[n_ids - 1 - n])
            n++;
        if (n > best) {
            best = n;
            best_at = at;
        }
    }
    int n = 0;
    if (best >= LOOKUP_SHORTEST)
        for (; n < most && best_at + (size_t)n < n_ids; n++)
            out[n] = ids[best_at + (size_t)n];
    return n;
}
