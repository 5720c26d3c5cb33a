/* Arena: a chain of blocks, each at least 4 KiB and twice the one before up to 1 MiB; freed as one. */
#include "weir_base.h"

#include <assert.h>

enum { FIRST_BLOCK = 4096, LARGEST_BLOCK = 1 << 20, ALIGNMENT = 16 };

struct arena_block {
    struct arena_block *next;
    size_t capacity;
    size_t used;
    _Alignas(ALIGNMENT) unsigned char data[];
};

void arena_init(struct arena *arena, size_t max_bytes)
{
    *arena = (struct arena){.max_bytes = max_bytes};
}

void arena_release(struct arena *arena)
{
    for (struct arena_block *block = arena->head, *next; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    arena->head = NULL;
    arena->used_bytes = 0;
}

void *arena_alloc(struct arena *arena, size_t n_bytes)
{
    if (n_bytes > SIZE_MAX - ALIGNMENT)
        return NULL;
    n_bytes = (n_bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (n_bytes == 0)
        n_bytes = ALIGNMENT;
    if (arena->max_bytes > 0 && (n_bytes > arena->max_bytes || arena->used_bytes > arena->max_bytes - n_bytes))
        return NULL;
    struct arena_block *block = arena->head;
    if (block == NULL || block->capacity - block->used < n_bytes) {
        size_t capacity = block == NULL ? FIRST_BLOCK : block->capacity * 2;
        if (capacity > LARGEST_BLOCK)
            capacity = LARGEST_BLOCK;
        if (capacity < n_bytes)
            capacity = n_bytes;
        if (capacity > SIZE_MAX - sizeof *block)
            return NULL;
        block = malloc(sizeof *block + capacity);
        if (block == NULL)
            return NULL;
        block->capacity = capacity;
        block->used = 0;
        block->next = arena->head;
        arena->head = block;
    }
    void *out = block->data + block->used;
    block->used += n_bytes;
    arena->used_bytes += n_bytes;
    return memset(out, 0, n_bytes);
}

void *arena_array(struct arena *arena, size_t n, size_t size)
{
    size_t n_bytes;
    if (__builtin_mul_overflow(n, size, &n_bytes))
        return NULL;
    return arena_alloc(arena, n_bytes);
}

char *arena_strdup(struct arena *arena, str s)
{
    char *out = s.n < SIZE_MAX ? arena_alloc(arena, s.n + 1) : NULL;
    if (out != NULL && s.n > 0)
        memcpy(out, s.data, s.n);
    return out;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *out = n >= 0 ? arena_alloc(arena, (size_t)n + 1) : NULL;
    if (out != NULL)
        vsnprintf(out, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return out;
}
