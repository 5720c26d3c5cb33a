/* KV pages: taken from and given back to one store, counted by reference. A page with more than one reference is never
 * written: kv_reserve copies it first. Freed pages stay in the store for the next sequence. */
#include "kernels/cpu.h"
#include "kernels/half.h"
#include "kernels/kv_page.h"
#include "kernels/rows.h"
#include "kernels/slab.h"

#include <assert.h>
#include <math.h>

enum { HALVES_AT_ONCE = 64 };

static void halves_of(const float *x, int n, uint16_t *out)
{
#if defined(__x86_64__)
    if (cpu_level() >= CPU_AVX2) {
        rows_narrow_f16_avx2(x, n, out);
        return;
    }
#elif defined(__aarch64__)
    if (cpu_level() == CPU_NEON) {
        rows_narrow_f16_neon(x, n, out);
        return;
    }
#endif
    for (int i = 0; i < n; i++)
        out[i] = float_to_half(x[i]);
}

static size_t element_bytes(enum kv_type type)
{
    return type == KV_F32 ? 4 : type == KV_F16 ? 2 : 1;
}

/* Bytes of one head's KV_PAGE vectors, a whole number of cache lines. */
static size_t head_bytes(enum kv_type type, int dim)
{
    size_t n = (size_t)dim * KV_PAGE * element_bytes(type);
    if (type == KV_Q8_0)
        n += (size_t)((dim + KV_SCALE_SPAN - 1) / KV_SCALE_SPAN) * KV_PAGE * sizeof(float);
    return (n + 63) / 64 * 64;
}

size_t kv_shape_token_bytes(const struct kv_shape *shape)
{
    return (size_t)shape->n_layers * (size_t)shape->n_kv_heads * (head_bytes(shape->type, shape->head_dim_k) + head_bytes(shape->type, shape->head_dim_v)) /
           KV_PAGE;
}

int kv_store_new(struct kv_store **out, const struct kv_shape *shape, size_t budget_bytes, struct error *err)
{
    if (shape->type != KV_F32 && shape->type != KV_F16 && shape->type != KV_Q8_0)
        return error_set(err, WEIR_E_INVALID, "kv", "the type of the cache must be F32, F16 or Q8_0");
    if (shape->n_layers < 1 || shape->n_kv_heads < 1 || shape->head_dim_k < 1 || shape->head_dim_v < 1 ||
        shape->n_layers > 1024 || shape->n_kv_heads > 1024 || shape->head_dim_k > 4096 || shape->head_dim_v > 4096)
        return error_set(err, WEIR_E_INVALID, "kv", "a cache of %d layers, %d heads of %d and %d is out of bounds", shape->n_layers,
                         shape->n_kv_heads, shape->head_dim_k, shape->head_dim_v);
    struct kv_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return error_set(err, WEIR_E_MEMORY, "kv", "no memory");
    store->shape = *shape;
    store->budget_bytes = budget_bytes;
    store->key_bytes = head_bytes(shape->type, shape->head_dim_k);
    store->value_bytes = head_bytes(shape->type, shape->head_dim_v);
    store->layer_bytes = (size_t)shape->n_kv_heads * (store->key_bytes + store->value_bytes);
    store->page_bytes = sizeof(struct kv_page) + (size_t)shape->n_layers * store->layer_bytes;
    *out = store;
    return 0;
}

void kv_store_free(struct kv_store *store)
{
    if (store == NULL)
        return;
    for (struct kv_page *page = store->free; page != NULL;) {
        struct kv_page *next = page->next_free;
        slab_drop(page->slab);
        page = next;
    }
    free(store);
}

size_t kv_store_used_bytes(const struct kv_store *store)
{
    return store->used_bytes;
}

size_t kv_store_page_bytes(const struct kv_store *store)
{
    return store->page_bytes;
}

bool kv_store_make_ready(struct kv_store *store)
{
    enum { READY_POSITIONS = 512, READY_BYTES = 64 << 20, SMALL_PAGE_BYTES = 4096 };
    size_t ready_bytes = (size_t)store->n_free * store->page_bytes, all = store->used_bytes + ready_bytes;
    struct slab *slab;
    if (store->n_free * KV_PAGE >= READY_POSITIONS || ready_bytes + store->page_bytes > READY_BYTES || store->page_bytes > store->budget_bytes ||
        all > store->budget_bytes - store->page_bytes)
        return false;
    struct kv_page *page = slab_take(store->page_bytes, &slab);
    if (page == NULL)
        return false;
    for (size_t at = 0; at < store->page_bytes; at += SMALL_PAGE_BYTES)
        ((volatile uint8_t *)page)[at] = 0;
    page->slab = slab;
    page->n_refs = 0;
    page->next_free = store->free;
    store->free = page;
    store->n_free++;
    return true;
}

static struct kv_page *page_take(struct kv_store *store)
{
    if (store->page_bytes > store->budget_bytes || store->used_bytes > store->budget_bytes - store->page_bytes)
        return NULL;
    struct kv_page *page = store->free;
    if (page != NULL) {
        store->free = page->next_free;
        store->n_free--;
    } else {
        struct slab *slab;
        if ((page = slab_take(store->page_bytes, &slab)) == NULL)
            return NULL;
        page->slab = slab;
    }
    page->n_refs = 1;
    page->next_free = NULL;
    store->used_bytes += store->page_bytes;
    return page;
}

static void page_drop(struct kv_store *store, struct kv_page *page)
{
    if (--page->n_refs > 0)
        return;
    page->next_free = store->free;
    store->free = page;
    store->n_free++;
    store->used_bytes -= store->page_bytes;
}

int kv_new(struct kv **out, struct kv_store *store)
{
    struct kv *kv = calloc(1, sizeof *kv);
    if (kv == NULL)
        return WEIR_E_MEMORY;
    kv->store = store;
    *out = kv;
    return 0;
}

void kv_free(struct kv *kv)
{
    if (kv == NULL)
        return;
    kv_trim(kv, 0);
    free(kv->pages);
    free(kv);
}

int kv_length(const struct kv *kv)
{
    return kv->length;
}

static int pages_for(int n)
{
    return (n + KV_PAGE - 1) / KV_PAGE;
}

static int kv_grow(struct kv *kv, int n_pages)
{
    if (n_pages <= kv->capacity)
        return 0;
    int capacity = kv->capacity * 2 > n_pages ? kv->capacity * 2 : n_pages;
    struct kv_page **pages = realloc(kv->pages, (size_t)capacity * sizeof *pages);
    if (pages == NULL)
        return WEIR_E_MEMORY;
    kv->pages = pages;
    kv->capacity = capacity;
    return 0;
}

/* Makes page i this sequence's own. */
static int page_unshare(struct kv *kv, int i)
{
    if (kv->pages[i]->n_refs == 1)
        return 0;
    struct kv_page *copy = page_take(kv->store);
    if (copy == NULL)
        return WEIR_E_FULL;
    memcpy(copy->data, kv->pages[i]->data, kv->store->page_bytes - sizeof *copy);
    page_drop(kv->store, kv->pages[i]);
    kv->pages[i] = copy;
    return 0;
}

int kv_reserve(struct kv *kv, int n)
{
    if (n <= kv->length)
        return 0;
    int status = kv_grow(kv, pages_for(n));
    if (status < 0)
        return status;
    int before = kv->n_pages;
    if (kv->length % KV_PAGE != 0 && (status = page_unshare(kv, kv->length / KV_PAGE)) < 0)
        return status;
    while (kv->n_pages < pages_for(n)) {
        struct kv_page *page = page_take(kv->store);
        if (page == NULL) {
            while (kv->n_pages > before)
                page_drop(kv->store, kv->pages[--kv->n_pages]);
            return WEIR_E_FULL;
        }
        kv->pages[kv->n_pages++] = page;
    }
    return 0;
}

void kv_trim(struct kv *kv, int n)
{
    assert(n >= 0 && pages_for(n) <= kv->n_pages);
    while (kv->n_pages > pages_for(n))
        page_drop(kv->store, kv->pages[--kv->n_pages]);
    kv->length = n;
}

int kv_fork(struct kv **out, const struct kv *from, int n)
{
    assert(n >= 0 && n <= from->length);
    struct kv *kv;
    int status = kv_new(&kv, from->store);
    if (status < 0)
        return status;
    status = kv_grow(kv, pages_for(n));
    if (status < 0)
        goto fail;
    for (int i = 0; i < pages_for(n); i++) {
        from->pages[i]->n_refs++;
        kv->pages[kv->n_pages++] = from->pages[i];
    }
    kv->length = n;
    if (n % KV_PAGE != 0 && (status = page_unshare(kv, n / KV_PAGE)) < 0)
        goto fail;
    *out = kv;
    return 0;
fail:
    kv_free(kv);
    return status;
}

/* One vector into a head's place: element i goes to index first + i × stride. */
static void vector_write(enum kv_type type, uint8_t *head, int dim, size_t stride, size_t first, const float *x, float *scales,
                         size_t scale_stride)
{
    if (type == KV_F32) {
        for (int i = 0; i < dim; i++)
            ((float *)(void *)head)[first + (size_t)i * stride] = x[i];
    } else if (type == KV_F16) {
        uint16_t halves[HALVES_AT_ONCE];
        for (int from = 0; from < dim; from += HALVES_AT_ONCE) {
            int n = dim - from < HALVES_AT_ONCE ? dim - from : HALVES_AT_ONCE;
            uint16_t *out = (uint16_t *)(void *)head + first + (size_t)from * stride;
            halves_of(x + from, n, halves);
            for (int i = 0; i < n; i++)
                out[(size_t)i * stride] = halves[i];
        }
    } else {
        for (int from = 0; from < dim; from += KV_SCALE_SPAN) {
            int end = from + KV_SCALE_SPAN < dim ? from + KV_SCALE_SPAN : dim;
            float max = 0;
            for (int i = from; i < end; i++)
                max = fabsf(x[i]) > max ? fabsf(x[i]) : max;
            float inverse = max > 0 ? 127.0f / max : 0;
            scales[(size_t)(from / KV_SCALE_SPAN) * scale_stride] = max / 127.0f;
            for (int i = from; i < end; i++)
                ((int8_t *)head)[first + (size_t)i * stride] = (int8_t)lrintf(x[i] * inverse);
        }
    }
}

void kv_write_soon(const struct kv *kv, int layer, int position)
{
    const struct kv_shape *shape = &kv->store->shape;
    size_t step = KV_PAGE * element_bytes(shape->type), at = (size_t)(position % KV_PAGE) * element_bytes(shape->type);
    for (int head = 0; head < shape->n_kv_heads; head++) {
        const uint8_t *keys = kv_keys(kv, position / KV_PAGE, layer, head) + at;
        for (int d = 0; d < shape->head_dim_k; d++)
            __builtin_prefetch(keys + (size_t)d * step, 1);
    }
}

void kv_write(struct kv *kv, int layer, int position, const float *k, const float *v)
{
    const struct kv_shape *shape = &kv->store->shape;
    int page = position / KV_PAGE, at = position % KV_PAGE;
    assert(page < kv->n_pages && kv->pages[page]->n_refs == 1);
    int n_spans_v = (shape->head_dim_v + KV_SCALE_SPAN - 1) / KV_SCALE_SPAN;
    for (int head = 0; head < shape->n_kv_heads; head++) {
        uint8_t *keys = kv_keys(kv, page, layer, head), *values = kv_values(kv, page, layer, head);
        float *key_scales = (float *)(void *)(keys + (size_t)shape->head_dim_k * KV_PAGE) + at;
        float *value_scales = (float *)(void *)(values + (size_t)shape->head_dim_v * KV_PAGE) + at * n_spans_v;
        vector_write(shape->type, keys, shape->head_dim_k, KV_PAGE, (size_t)at, k + (size_t)head * (size_t)shape->head_dim_k,
                     key_scales, KV_PAGE);
        vector_write(shape->type, values, shape->head_dim_v, 1, (size_t)at * (size_t)shape->head_dim_v,
                     v + (size_t)head * (size_t)shape->head_dim_v, value_scales, 1);
    }
}
