/* Circuit breaker. Invariant: whatever happens, a provider is tried again at most MAX_OPEN_US after it was given up.
 * Loop thread; pure but for its struct. */
#include "upstream/breaker.h"

enum { OPEN_AFTER = 5, FIRST_OPEN_US = 1000000, MAX_OPEN_US = 10000000, PROBE_US = 10000000 };

enum breaker_state breaker_state(const struct breaker *breaker, int64_t now_us)
{
    if (breaker->open_until_us == 0)
        return BREAKER_CLOSED;
    return now_us < breaker->open_until_us ? BREAKER_OPEN : BREAKER_HALF_OPEN;
}

bool breaker_allows(const struct breaker *breaker, int64_t now_us)
{
    switch (breaker_state(breaker, now_us)) {
    case BREAKER_CLOSED:
        return true;
    case BREAKER_OPEN:
        return false;
    case BREAKER_HALF_OPEN:
        return !breaker->probing || now_us >= breaker->probe_until_us;
    }
    return false;
}

bool breaker_enter(struct breaker *breaker, int64_t now_us)
{
    if (!breaker_allows(breaker, now_us))
        return false;
    if (breaker->open_until_us != 0) {
        breaker->probing = true;
        breaker->probe_until_us = now_us + PROBE_US;
    }
    return true;
}

void breaker_report(struct breaker *breaker, bool ok, int64_t now_us)
{
    bool probe = breaker->probing;
    breaker->probing = false;
    if (ok) {
        breaker->failures = 0;
        breaker->open_until_us = 0;
        breaker->open_for_us = 0;
        return;
    }
    breaker->failures++;
    if (breaker->open_until_us == 0 && breaker->failures < OPEN_AFTER)
        return;
    if (breaker->open_until_us != 0 && !probe)
        return; /* A request from before it opened: the time is set already. */
    breaker->open_for_us = breaker->open_for_us == 0 ? FIRST_OPEN_US : breaker->open_for_us * 2;
    if (breaker->open_for_us > MAX_OPEN_US)
        breaker->open_for_us = MAX_OPEN_US;
    breaker->open_until_us = now_us + breaker->open_for_us;
}

void breaker_abandon(struct breaker *breaker)
{
    breaker->probing = false;
}

int64_t breaker_retry_us(const struct breaker *breaker, int64_t now_us)
{
    if (breaker_allows(breaker, now_us))
        return 0;
    int64_t until = breaker->open_until_us > now_us ? breaker->open_until_us : breaker->probe_until_us;
    return until > now_us ? until - now_us : 1;
}
