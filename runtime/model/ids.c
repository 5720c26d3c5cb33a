/* A growing list of token ids. */
#include "weir_runtime.h"

int ids_append(struct ids *ids, int32_t id)
{
    if (ids->n == ids->capacity) {
        size_t capacity = ids->capacity < 32 ? 32 : ids->capacity * 2;
        int32_t *data = realloc(ids->data, capacity * sizeof *data);
        if (data == NULL)
            return WEIR_E_MEMORY;
        ids->data = data;
        ids->capacity = capacity;
    }
    ids->data[ids->n++] = id;
    return 0;
}

void ids_release(struct ids *ids)
{
    free(ids->data);
    *ids = (struct ids){0};
}
