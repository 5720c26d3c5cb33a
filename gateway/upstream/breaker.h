/* Circuit breaker of one provider: closed, open after 5 failures in a row, half-open for one probe at a time. It stays open
 * for 1 s, doubled with each failed probe up to 10 s. Loop thread; the clock is an argument. */
#ifndef WEIR_UPSTREAM_BREAKER_H
#define WEIR_UPSTREAM_BREAKER_H

#include "weir_base.h"

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker {
    int failures;          /* In a row. */
    int64_t open_until_us; /* 0: closed. */
    int64_t open_for_us;
    bool probing;
    int64_t probe_until_us; /* A probe that was never reported is forgotten then. */
};

enum breaker_state breaker_state(const struct breaker *breaker, int64_t now_us);
bool breaker_allows(const struct breaker *breaker, int64_t now_us); /* Changes nothing: for decide(). */
bool breaker_enter(struct breaker *breaker, int64_t now_us);        /* Takes the probe when half-open. */
void breaker_report(struct breaker *breaker, bool ok, int64_t now_us);
void breaker_abandon(struct breaker *breaker); /* The request was cancelled: says nothing about the provider. */
int64_t breaker_retry_us(const struct breaker *breaker, int64_t now_us); /* Until it would allow; 0: now. */

#endif
