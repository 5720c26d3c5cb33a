/* A slab is one anonymous mapping of whole huge pages that pieces are cut from, front to back. The newest one is open for
 * more; each counts its pieces. Pages come into being when they are first written, by the thread that does it. */
#include "kernels/slab.h"
#include "weir_base.h"

#include <sys/mman.h>

enum { HUGE_PAGE_BYTES = 2 << 20, SLAB_BYTES = 32 << 20 };

struct slab {
    uint8_t *data;
    size_t n_bytes;
    size_t used_bytes;
    int n_pieces;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slab *newest;

static struct slab *slab_new(size_t n_bytes)
{
    struct slab *slab = calloc(1, sizeof *slab);
    if (slab == NULL)
        return NULL;
    slab->n_bytes = (n_bytes + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    slab->data = aligned_alloc(HUGE_PAGE_BYTES, slab->n_bytes);
    if (slab->data == NULL) {
        free(slab);
        return NULL;
    }
    (void)madvise(slab->data, slab->n_bytes, MADV_HUGEPAGE); /* Slower without, not wrong. */
    return slab;
}

void *slab_take(size_t n_bytes, struct slab **slab)
{
    if (n_bytes > SIZE_MAX / 2)
        return NULL;
    n_bytes = (n_bytes + 63) / 64 * 64;
    pthread_mutex_lock(&lock);
    if (newest == NULL || newest->n_bytes - newest->used_bytes < n_bytes) {
        struct slab *more = slab_new(n_bytes > SLAB_BYTES ? n_bytes : SLAB_BYTES);
        if (more == NULL) {
            pthread_mutex_unlock(&lock);
            return NULL;
        }
        newest = more;
    }
    *slab = newest;
    void *piece = newest->data + newest->used_bytes;
    newest->used_bytes += n_bytes;
    newest->n_pieces++;
    pthread_mutex_unlock(&lock);
    return piece;
}

void slab_drop(struct slab *slab)
{
    if (slab == NULL)
        return;
    pthread_mutex_lock(&lock);
    bool last = --slab->n_pieces == 0;
    if (last && newest == slab)
        newest = NULL;
    pthread_mutex_unlock(&lock);
    if (last) {
        free(slab->data);
        free(slab);
    }
}
