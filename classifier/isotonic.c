/* Isotonic regression: neighbours that fall are pooled until none does. A block becomes one knot at its mean value and mean
 * target, so that the line between knots has no jumps and a small change of a value makes a small change of probability. */
#include "isotonic.h"

#include <stdlib.h>

struct block {
    double value, target; /* Sums. */
    size_t n;
};

struct pair {
    float value, target;
};

static int compare_pairs(const void *a, const void *b)
{
    float x = ((const struct pair *)a)->value, y = ((const struct pair *)b)->value;
    return x < y ? -1 : x > y;
}

static void join(struct block *into, const struct block *other)
{
    into->value += other->value;
    into->target += other->target;
    into->n += other->n;
}

/* Pools from left to right; returns the number of blocks left. */
static size_t pool_falling(struct block *blocks, size_t n)
{
    size_t top = 0;
    for (size_t i = 0; i < n; i++) {
        blocks[top++] = blocks[i];
        while (top >= 2 && blocks[top - 2].target / (double)blocks[top - 2].n >= blocks[top - 1].target / (double)blocks[top - 1].n) {
            join(&blocks[top - 2], &blocks[top - 1]);
            top--;
        }
    }
    return top;
}

int isotonic_fit(const float *values, const float *targets, size_t n, size_t min_block, struct isotonic *out)
{
    struct pair *pairs = malloc((n + 1) * sizeof *pairs);
    struct block *blocks = malloc((n + 1) * sizeof *blocks);
    *out = (struct isotonic){0};
    if (pairs == NULL || blocks == NULL) {
        free(pairs);
        free(blocks);
        return WEIR_E_MEMORY;
    }
    size_t n_blocks = 0, least = n / MOST_KNOTS + 1;
    least = least > min_block ? least : min_block;
    for (size_t i = 0; i < n; i++)
        pairs[i] = (struct pair){values[i], targets[i]};
    if (n > 0)
        qsort(pairs, n, sizeof *pairs, compare_pairs);
    for (size_t i = 0; i < n;) { /* Blocks of `least`, equal values together. */
        struct block block = {0};
        for (; i < n && (block.n < least || pairs[i].value == pairs[i - 1].value); i++)
            join(&block, &(struct block){(double)pairs[i].value, (double)pairs[i].target, 1});
        blocks[n_blocks++] = block;
    }
    if (n_blocks >= 2 && blocks[n_blocks - 1].n < least) {
        join(&blocks[n_blocks - 2], &blocks[n_blocks - 1]);
        n_blocks--;
    }
    n_blocks = pool_falling(blocks, n_blocks);
    for (size_t i = 0; i < n_blocks && out->n < MOST_KNOTS; i++) {
        float x = (float)(blocks[i].value / (double)blocks[i].n);
        /* One half more of each kind: never a certain 0 or 1. */
        float y = (float)((blocks[i].target + 0.5) / ((double)blocks[i].n + 1));
        if (out->n > 0 && x <= out->x[out->n - 1])
            continue;
        out->x[out->n] = x;
        out->y[out->n] = out->n > 0 && y < out->y[out->n - 1] ? out->y[out->n - 1] : y;
        out->n++;
    }
    free(pairs);
    free(blocks);
    return 0;
}

float isotonic_apply(const struct isotonic *isotonic, float value)
{
    int low = 0, high = isotonic->n - 1;
    if (isotonic->n == 0)
        return value;
    if (!(value > isotonic->x[0]))
        return isotonic->y[0];
    if (value >= isotonic->x[high])
        return isotonic->y[high];
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (isotonic->x[middle] <= value)
            low = middle;
        else
            high = middle;
    }
    float share = (value - isotonic->x[low]) / (isotonic->x[high] - isotonic->x[low]);
    return isotonic->y[low] + share * (isotonic->y[high] - isotonic->y[low]);
}
