/* One block a thread and slot, grown by half, freed when the thread ends. */
#include "kernels/scratch.h"
#include "weir_base.h"

struct scratch {
    void *data[N_SCRATCH_SLOTS];
    size_t capacity[N_SCRATCH_SLOTS];
};

static _Thread_local struct scratch *own;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void scratch_free(void *arg)
{
    struct scratch *scratch = arg;
    for (int i = 0; i < N_SCRATCH_SLOTS; i++)
        free(scratch->data[i]);
    free(scratch);
    own = NULL;
}

static void key_make(void)
{
    (void)pthread_key_create(&key, scratch_free);
}

static void out_of_memory(size_t n_bytes)
{
    log_event(LOG_ERROR, "out_of_memory", "no memory for %zu bytes of a forward pass", n_bytes);
    abort();
}

void *scratch_take(enum scratch_slot slot, size_t n_bytes)
{
    if (own == NULL) {
        pthread_once(&once, key_make);
        own = calloc(1, sizeof *own);
        if (own == NULL)
            out_of_memory(sizeof *own);
        (void)pthread_setspecific(key, own);
    }
    if (own->capacity[slot] < n_bytes) {
        size_t capacity = (n_bytes + n_bytes / 2 + 63) / 64 * 64;
        free(own->data[slot]);
        own->data[slot] = aligned_alloc(64, capacity);
        own->capacity[slot] = capacity;
        if (own->data[slot] == NULL)
            out_of_memory(capacity);
    }
    return own->data[slot];
}
