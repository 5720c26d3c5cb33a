/* Calendar months in UTC, as numbers: twelve times the year (proleptic Gregorian) and the month from 0. */
#ifndef WEIR_MONEY_MONTH_H
#define WEIR_MONEY_MONTH_H

#include "weir_base.h"

int64_t month_of_day(int64_t days_since_1970);
int64_t month_of(int64_t wall_ns);
int64_t month_begin_ns(int64_t month); /* Of the first nanosecond of its first day. */

#endif
