/* See lookup.h. One pass backwards: some 8,000 comparisons of one number, microseconds beside a forward pass. */
#include "engine/lookup.h"

/* Of SmolLM2's greedy and drawn answers to 427 instructions. A session's own record soon outweighs them. */
static const struct {
    float first, next;
} priors[LOOKUP_LONGEST + 1] = {{0, 0}, {.15f, .4f}, {.3f, .55f}, {.45f, .7f}, {.55f, .75f}, {.7f, .85f}, {.75f, .87f}, {.8f, .9f}, {.85f, .92f}};
static const float PRIOR_TRIES = 6, KEPT = .95f;

int lookup_guess(const int32_t *ids, size_t n_ids, int most, int32_t *out, int *length)
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
    *length = (int)best;
    if (best == 0)
        return 0;
    for (int i = 0; i < most; i++)
        out[i] = best_at + (size_t)i < n_ids ? ids[best_at + (size_t)i] : out[best_at + (size_t)i - n_ids];
    return most > 0 ? most : 0;
}

double lookup_chance(const struct lookup_record *records, int length, bool first)
{
    const struct lookup_record *record = &records[length];
    float prior = first ? priors[length].first : priors[length].next;
    return (double)((record->right[!first] + prior * PRIOR_TRIES) / (record->tried[!first] + PRIOR_TRIES));
}

void lookup_learn(struct lookup_record *records, int length, int n, int n_right)
{
    struct lookup_record *record = &records[length];
    for (int i = 0; i < n && i <= n_right; i++) {
        int kind = i > 0;
        record->tried[kind] = record->tried[kind] * KEPT + 1;
        record->right[kind] = record->right[kind] * KEPT + (i < n_right ? 1 : 0);
    }
}
