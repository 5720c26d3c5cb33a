/* Lists of findings: kept by start, and of one type never one inside another. */
#include "findings.h"

#include <stdlib.h>

void findings_release(struct findings *findings)
{
    free(findings->items);
    *findings = (struct findings){0};
}

int findings_append(struct findings *findings, struct finding finding)
{
    if (findings->n == findings->capacity) {
        size_t capacity = findings->capacity == 0 ? 16 : findings->capacity * 2;
        struct finding *items = realloc(findings->items, capacity * sizeof *items);
        if (items == NULL)
            return WEIR_E_MEMORY;
        findings->items = items;
        findings->capacity = capacity;
    }
    findings->items[findings->n++] = finding;
    return 0;
}

/* By type, then start, then the longer first: what is contained follows what contains it. */
static int compare_for_merge(const void *a, const void *b)
{
    const struct finding *x = a, *y = b;
    int types = strcmp(x->type, y->type);
    if (types != 0)
        return types;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    if (x->end != y->end)
        return x->end > y->end ? -1 : 1;
    return x->score > y->score ? -1 : x->score < y->score;
}

static int compare_by_place(const void *a, const void *b)
{
    const struct finding *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    if (x->end != y->end)
        return x->end > y->end ? -1 : 1;
    return strcmp(x->type, y->type);
}

void findings_settle(struct findings *findings, size_t first)
{
    size_t n = findings->n - first, kept = 0;
    if (n == 0)
        return;
    struct finding *items = findings->items + first;
    qsort(items, n, sizeof *items, compare_for_merge);
    for (size_t i = 0; i < n; i++) {
        struct finding *last = kept > 0 ? &items[kept - 1] : NULL;
        if (last != NULL && strcmp(last->type, items[i].type) == 0 && items[i].end <= last->end) {
            if (items[i].score > last->score)
                last->score = items[i].score;
            continue;
        }
        items[kept++] = items[i];
    }
    findings->n = first + kept;
    qsort(items, kept, sizeof *items, compare_by_place);
}
