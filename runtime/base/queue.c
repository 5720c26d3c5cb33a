/* A bounded ring of pointers under one mutex. Locks nothing else while it holds it. */
#include "weir_base.h"

#include <errno.h>

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t not_empty;
    pthread_cond_t not_full;
    size_t capacity;
    size_t first;
    size_t n;
    bool closed;
    void *items[];
};

struct queue *queue_new(size_t capacity)
{
    if (capacity == 0 || capacity > SIZE_MAX / sizeof(void *) - sizeof(struct queue))
        return NULL;
    struct queue *queue = calloc(1, sizeof *queue + capacity * sizeof(void *));
    if (queue == NULL)
        return NULL;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->not_empty, &monotonic);
    pthread_cond_init(&queue->not_full, &monotonic);
    pthread_condattr_destroy(&monotonic);
    queue->capacity = capacity;
    return queue;
}

void queue_free(struct queue *queue)
{
    if (queue == NULL)
        return;
    pthread_cond_destroy(&queue->not_full);
    pthread_cond_destroy(&queue->not_empty);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

static void put(struct queue *queue, void *item)
{
    queue->items[(queue->first + queue->n++) % queue->capacity] = item;
    pthread_cond_signal(&queue->not_empty);
}

static void *take(struct queue *queue)
{
    if (queue->n == 0)
        return NULL;
    void *item = queue->items[queue->first];
    queue->first = (queue->first + 1) % queue->capacity;
    queue->n--;
    pthread_cond_signal(&queue->not_full);
    return item;
}

int queue_try_push(struct queue *queue, void *item)
{
    pthread_mutex_lock(&queue->lock);
    int status = queue->closed ? WEIR_E_STATE : queue->n == queue->capacity ? WEIR_E_FULL : 0;
    if (status == 0)
        put(queue, item);
    pthread_mutex_unlock(&queue->lock);
    return status;
}

int queue_push(struct queue *queue, void *item)
{
    pthread_mutex_lock(&queue->lock);
    while (!queue->closed && queue->n == queue->capacity)
        pthread_cond_wait(&queue->not_full, &queue->lock);
    int status = queue->closed ? WEIR_E_STATE : 0;
    if (status == 0)
        put(queue, item);
    pthread_mutex_unlock(&queue->lock);
    return status;
}

void *queue_try_pop(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    void *item = take(queue);
    pthread_mutex_unlock(&queue->lock);
    return item;
}

void *queue_pop(struct queue *queue, int64_t timeout_us)
{
    struct timespec deadline;
    if (timeout_us >= 0) {
        clock_gettime(CLOCK_MONOTONIC, &deadline);
        int64_t ns = deadline.tv_nsec + timeout_us % 1000000 * 1000;
        deadline.tv_sec += (time_t)(timeout_us / 1000000 + ns / 1000000000);
        deadline.tv_nsec = (long)(ns % 1000000000);
    }
    pthread_mutex_lock(&queue->lock);
    while (queue->n == 0 && !queue->closed) {
        if (timeout_us < 0)
            pthread_cond_wait(&queue->not_empty, &queue->lock);
        else if (pthread_cond_timedwait(&queue->not_empty, &queue->lock, &deadline) == ETIMEDOUT)
            break;
    }
    void *item = take(queue);
    pthread_mutex_unlock(&queue->lock);
    return item;
}

void queue_close(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_cond_broadcast(&queue->not_empty);
    pthread_cond_broadcast(&queue->not_full);
    pthread_mutex_unlock(&queue->lock);
}

size_t queue_depth(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    size_t n = queue->n;
    pthread_mutex_unlock(&queue->lock);
    return n;
}
