/* The breaker: opens on failures in a row, probes at least every 10 s, one probe at a time. */
#include "upstream/breaker.h"

#include <criterion/criterion.h>

Test(breaker, opens_after_five_failures_in_a_row_and_not_before)
{
    struct breaker b = {0};
    for (int i = 0; i < 4; i++)
        breaker_report(&b, false, 1000);
    breaker_report(&b, true, 1000);
    for (int i = 0; i < 4; i++)
        breaker_report(&b, false, 1000);
    cr_assert(breaker_allows(&b, 1000));
    breaker_report(&b, false, 1000);
    cr_assert_eq(breaker_state(&b, 1000), BREAKER_OPEN);
    cr_assert(!breaker_allows(&b, 1000));
    cr_assert_eq(breaker_retry_us(&b, 1000), 1000000);
}

Test(breaker, probes_at_least_every_ten_seconds_one_at_a_time)
{
    struct breaker b = {0};
    int64_t now = 1;
    for (int i = 0; i < 5; i++)
        breaker_report(&b, false, now);
    for (int round = 0; round < 12; round++) {
        int64_t wait = breaker_retry_us(&b, now);
        cr_assert_leq(wait, 10000000, "round %d", round);
        now += wait;
        cr_assert_eq(breaker_state(&b, now), BREAKER_HALF_OPEN);
        cr_assert(breaker_enter(&b, now));
        cr_assert(!breaker_enter(&b, now), "a second probe beside the first");
        breaker_report(&b, false, now);
    }
    now += breaker_retry_us(&b, now);
    cr_assert(breaker_enter(&b, now));
    breaker_abandon(&b);
    cr_assert(breaker_enter(&b, now), "a cancelled probe frees the place");
    breaker_report(&b, true, now);
    cr_assert_eq(breaker_state(&b, now), BREAKER_CLOSED);
}

Test(breaker, a_probe_nobody_reports_is_forgotten)
{
    struct breaker b = {0};
    for (int i = 0; i < 5; i++)
        breaker_report(&b, false, 1);
    cr_assert(breaker_enter(&b, 1000001));
    cr_assert(!breaker_allows(&b, 1000002));
    cr_assert(breaker_allows(&b, 11000001));
}
