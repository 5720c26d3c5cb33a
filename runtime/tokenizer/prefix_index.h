/* Prefix index: which texts of a set are a prefix of what follows. */
#ifndef WEIR_TOKENIZER_PREFIX_INDEX_H
#define WEIR_TOKENIZER_PREFIX_INDEX_H

#include "weir_base.h"

struct prefix_index {
    const str *texts; /* Borrowed. */
    uint32_t *order;  /* Indices of texts, sorted by bytes. */
    size_t n;
    uint32_t starts[257]; /* First text that begins with byte b, or with a greater one. */
};
/* Sorts the texts whose index passes wanted (NULL: all); empty texts never match. */
int prefix_index_init(struct prefix_index *index, struct arena *arena, const str *texts, size_t n,
                      bool (*wanted)(const void *user, size_t i), const void *user) WEIR_CHECKED;

/* A walk along one text: the texts in [low, high) share the `depth` bytes seen so far. */
struct prefix_walk {
    uint32_t low, high, depth;
};
static inline struct prefix_walk prefix_begin(const struct prefix_index *index)
{
    return (struct prefix_walk){0, (uint32_t)index->n, 0};
}
/* Takes one more byte; false when no text goes on with it. */
bool prefix_step(const struct prefix_index *index, struct prefix_walk *walk, uint8_t byte);
/* The index of the text that is exactly what was walked, -1: none. */
static inline int32_t prefix_match(const struct prefix_index *index, const struct prefix_walk *walk)
{
    return index->texts[index->order[walk->low]].n == walk->depth ? (int32_t)index->order[walk->low] : -1;
}

#endif
