/* The bounded queue: order, the cap, closing. */
#include "weir_base.h"

#include <criterion/criterion.h>

Test(queue, is_first_in_first_out_and_refuses_at_its_cap)
{
    int items[3];
    struct queue *queue = queue_new(2);
    cr_assert_eq(queue_try_push(queue, &items[0]), 0);
    cr_assert_eq(queue_try_push(queue, &items[1]), 0);
    cr_assert_eq(queue_try_push(queue, &items[2]), WEIR_E_FULL);
    cr_assert_eq(queue_depth(queue), 2);
    cr_assert_eq(queue_try_pop(queue), &items[0]);
    cr_assert_eq(queue_try_push(queue, &items[2]), 0);
    cr_assert_eq(queue_try_pop(queue), &items[1]);
    cr_assert_eq(queue_try_pop(queue), &items[2]);
    cr_assert_null(queue_try_pop(queue));
    queue_free(queue);
}

Test(queue, once_closed_it_takes_nothing_and_drains)
{
    int item;
    struct queue *queue = queue_new(4);
    cr_assert_eq(queue_push(queue, &item), 0);
    queue_close(queue);
    cr_assert_eq(queue_push(queue, &item), WEIR_E_STATE);
    cr_assert_eq(queue_pop(queue, -1), &item);
    cr_assert_null(queue_pop(queue, -1), "closed and empty: nobody waits for ever");
    queue_free(queue);
}

static void *producer(void *arg)
{
    for (intptr_t i = 1; i <= 10000; i++)
        if (queue_push(arg, (void *)i) < 0)
            return arg;
    return NULL;
}

Test(queue, nothing_is_lost_or_doubled_between_threads)
{
    struct queue *queue = queue_new(8);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, producer, queue);
    int64_t sum = 0;
    for (int i = 0; i < 30000; i++)
        sum += (intptr_t)queue_pop(queue, -1);
    cr_assert_eq(sum, 3 * (int64_t)10000 * 10001 / 2);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    queue_free(queue);
}
