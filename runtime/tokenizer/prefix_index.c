/* Prefix index: a sorted array narrowed by binary search, byte by byte. Four bytes a text and one sort to build, where a
 * trie would take a node for each byte; a walk costs log n a byte and the first byte is a table. */
#include "tokenizer/prefix_index.h"

static int text_order(const void *a, const void *b, void *user)
{
    const str *texts = user;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    int order = str_compare(texts[x], texts[y]);
    return order != 0 ? order : x < y ? -1 : 1;
}

int prefix_index_init(struct prefix_index *index, struct arena *arena, const str *texts, size_t n,
                      bool (*wanted)(const void *user, size_t i), const void *user)
{
    *index = (struct prefix_index){.texts = texts};
    index->order = arena_array(arena, n, sizeof *index->order);
    if (index->order == NULL || n > UINT32_MAX)
        return WEIR_E_MEMORY;
    for (size_t i = 0; i < n; i++)
        if (texts[i].n > 0 && (wanted == NULL || wanted(user, i)))
            index->order[index->n++] = (uint32_t)i;
    qsort_r(index->order, index->n, sizeof *index->order, text_order, (void *)(uintptr_t)texts);
    size_t at = 0;
    for (unsigned byte = 0; byte <= 256; byte++) {
        while (at < index->n && (uint8_t)texts[index->order[at]].data[0] < byte)
            at++;
        index->starts[byte] = (uint32_t)at;
    }
    return 0;
}

/* First index in [low, high) whose byte at depth is at least `byte`; texts that end there sort before. */
static uint32_t lower_bound(const struct prefix_index *index, uint32_t low, uint32_t high, uint32_t depth, unsigned byte)
{
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        str text = index->texts[index->order[middle]];
        if (text.n <= depth || (uint8_t)text.data[depth] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool prefix_step(const struct prefix_index *index, struct prefix_walk *walk, uint8_t byte)
{
    if (walk->depth == 0) {
        walk->low = index->starts[byte];
        walk->high = index->starts[byte + 1];
    } else {
        walk->low = lower_bound(index, walk->low, walk->high, walk->depth, byte);
        walk->high = lower_bound(index, walk->low, walk->high, walk->depth, byte + 1u);
    }
    walk->depth++;
    return walk->low < walk->high;
}
