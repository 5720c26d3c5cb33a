/* Pages: sharing, copying on write, the budget. */
#include "kernels/kv.h"

#include <criterion/criterion.h>
#include <math.h>

static const struct kv_shape shape = {2, 1, 8, 8, KV_F32};

static void write_all(struct kv *kv, int from, int end, float value)
{
    float k[8], v[8];
    for (int layer = 0; layer < 2; layer++)
        for (int i = from; i < end; i++) {
            for (int d = 0; d < 8; d++)
                k[d] = v[d] = value + (float)i;
            kv_write(kv, layer, i, k, v);
        }
    kv_trim(kv, end);
}

/* With q = 0 every score is equal: the answer is the mean of the values, which are value + position. */
static float mean_of(struct kv *kv, int position)
{
    struct attention a = {1, 1, 0, 0};
    float q[8] = {0}, out[8];
    int32_t at = position;
    attention_apply(&a, NULL, &kv, &at, 1, 1, q, out);
    return out[0];
}

Test(kv, a_fork_shares_whole_pages_and_is_not_seen_by_its_source)
{
    struct kv_store *store;
    struct kv *a, *b;
    cr_assert(kv_store_new(&store, &shape, 1 << 20, NULL) == 0);
    cr_assert(kv_new(&a, store) == 0);
    cr_assert(kv_reserve(a, 70) == 0);
    write_all(a, 0, 70, 0);
    size_t page = kv_store_page_bytes(store);
    cr_assert_eq(kv_store_used_bytes(store), 3 * page);
    cr_assert(kv_fork(&b, a, 40) == 0);
    cr_assert_eq(kv_store_used_bytes(store), 4 * page, "one page shared, one copied");
    cr_assert(kv_reserve(b, 60) == 0);
    write_all(b, 40, 60, 1000);
    cr_assert_float_eq(mean_of(a, 59), 29.5f, 1e-3f);
    cr_assert_float_eq(mean_of(b, 39), 19.5f, 1e-3f);
    cr_assert_float_eq(mean_of(b, 59), 29.5f + 1000.0f / 3, 1e-2f);
    kv_free(a);
    cr_assert_float_eq(mean_of(b, 39), 19.5f, 1e-3f);
    kv_free(b);
    cr_assert_eq(kv_store_used_bytes(store), 0);
    kv_store_free(store);
}

Test(kv, pages_made_ready_are_used_first_and_keep_the_budget)
{
    struct kv_store *store;
    struct kv *a, *b;
    cr_assert(kv_store_new(&store, &shape, 64 << 20, NULL) == 0);
    int n = 0;
    while (kv_store_make_ready(store))
        n++;
    cr_assert_eq(n, 512 / KV_PAGE);
    cr_assert_eq(kv_store_used_bytes(store), 0, "nobody has them");
    cr_assert(kv_new(&a, store) == 0);
    cr_assert(kv_reserve(a, 2 * KV_PAGE + 1) == 0);
    write_all(a, 0, 2 * KV_PAGE + 1, 3);
    cr_assert_float_eq(mean_of(a, 2 * KV_PAGE), 3 + KV_PAGE, 1e-3f);
    for (n = 0; kv_store_make_ready(store);)
        n++;
    cr_assert_eq(n, 3, "as many as were taken");
    kv_free(a);
    cr_assert(!kv_store_make_ready(store), "pages given back are ready");
    size_t page = kv_store_page_bytes(store);
    kv_store_free(store);

    cr_assert(kv_store_new(&store, &shape, 5 * page, NULL) == 0);
    cr_assert(kv_new(&a, store) == 0 && kv_new(&b, store) == 0);
    cr_assert(kv_reserve(a, 2 * KV_PAGE) == 0);
    for (n = 0; kv_store_make_ready(store);)
        n++;
    cr_assert_eq(n, 3, "two of five are in use");
    cr_assert(kv_reserve(b, 3 * KV_PAGE) == 0);
    cr_assert_eq(kv_reserve(a, 3 * KV_PAGE), WEIR_E_FULL);
    cr_assert(!kv_store_make_ready(store));
    kv_free(a);
    kv_free(b);
    kv_store_free(store);
}

Test(kv, trimming_into_a_shared_page_copies_it_before_the_next_write)
{
    struct kv_store *store;
    struct kv *a, *b;
    cr_assert(kv_store_new(&store, &shape, 1 << 20, NULL) == 0);
    cr_assert(kv_new(&a, store) == 0);
    cr_assert(kv_reserve(a, 64) == 0);
    write_all(a, 0, 64, 0);
    cr_assert(kv_fork(&b, a, 64) == 0);
    cr_assert_eq(kv_store_used_bytes(store), 2 * kv_store_page_bytes(store));
    kv_trim(b, 50);
    cr_assert(kv_reserve(b, 55) == 0);
    write_all(b, 50, 55, 500);
    cr_assert_float_eq(mean_of(a, 63), 31.5f, 1e-3f);
    cr_assert_eq(kv_length(b), 55);
    kv_free(a);
    kv_free(b);
    kv_store_free(store);
}

Test(kv, a_used_up_budget_is_full_and_leaves_the_sequence_as_it_was)
{
    struct kv_store *store;
    struct kv *a, *b;
    cr_assert(kv_store_new(&store, &shape, 1, NULL) == 0);
    cr_assert(kv_new(&a, store) == 0);
    cr_assert_eq(kv_reserve(a, 1), WEIR_E_FULL);
    size_t page = kv_store_page_bytes(store);
    kv_free(a);
    kv_store_free(store);
    cr_assert(kv_store_new(&store, &shape, 3 * page, NULL) == 0);
    cr_assert(kv_new(&a, store) == 0);
    cr_assert(kv_reserve(a, 33) == 0);
    write_all(a, 0, 33, 0);
    cr_assert_eq(kv_reserve(a, 200), WEIR_E_FULL);
    cr_assert_eq(kv_store_used_bytes(store), 2 * page);
    cr_assert_eq(kv_length(a), 33);
    cr_assert(kv_fork(&b, a, 33) == 0);
    cr_assert_eq(kv_store_used_bytes(store), 3 * page);
    struct kv *c;
    cr_assert_eq(kv_fork(&c, a, 33), WEIR_E_FULL);
    cr_assert_eq(kv_store_used_bytes(store), 3 * page);
    kv_free(b);
    kv_trim(a, 0);
    cr_assert_eq(kv_store_used_bytes(store), 0);
    kv_free(a);
    kv_store_free(store);
}

Test(kv, shapes_out_of_bounds_are_refused)
{
    struct kv_store *store;
    struct error err;
    struct kv_shape bad = shape;
    bad.type = KV_DEFAULT;
    cr_assert_eq(kv_store_new(&store, &bad, 1 << 20, &err), WEIR_E_INVALID);
    bad = shape;
    bad.head_dim_k = 1 << 20;
    cr_assert_eq(kv_store_new(&store, &bad, 1 << 20, &err), WEIR_E_INVALID);
}
