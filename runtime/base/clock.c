/* Two clocks: a monotonic one that everything measures with, and the wall's for records. Tests may freeze both. */
#include "weir_base.h"

#include <stdatomic.h>

static _Atomic int64_t frozen_us = -1;
static _Atomic int64_t frozen_wall_ns;

int64_t clock_now_us(void)
{
    int64_t frozen = atomic_load_explicit(&frozen_us, memory_order_relaxed);
    if (frozen >= 0)
        return frozen;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_wall_ns(void)
{
    if (atomic_load_explicit(&frozen_us, memory_order_relaxed) >= 0)
        return atomic_load_explicit(&frozen_wall_ns, memory_order_relaxed);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void clock_freeze(int64_t monotonic_us, int64_t wall_ns)
{
    atomic_store(&frozen_wall_ns, wall_ns);
    atomic_store(&frozen_us, monotonic_us);
}

const char *clock_format_utc(int64_t wall_ns, char out[32])
{
    int64_t seconds = wall_ns / 1000000000, rest = wall_ns % 1000000000;
    if (rest < 0) {
        rest += 1000000000;
        seconds--;
    }
    time_t when = (time_t)seconds;
    struct tm tm;
    gmtime_r(&when, &tm);
    snprintf(out, 32, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday,
             tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(rest / 1000000));
    return out;
}
