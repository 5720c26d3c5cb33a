/* Days since 1970 to months and back (Hinnant's civil-from-days and days-from-civil). Pure. */
#include "money/month.h"

#define DAY_NS 86400000000000

int64_t month_of_day(int64_t days)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;
    int64_t year = yoe + era * 400 + (month <= 2);
    return year * 12 + month - 1;
}

int64_t month_of(int64_t wall_ns)
{
    return month_of_day(wall_ns / DAY_NS - (wall_ns % DAY_NS < 0));
}

int64_t month_begin_ns(int64_t number)
{
    int64_t year = number / 12, month = number % 12 + 1;
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t yoe = year - era * 400;
    int64_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5;
    int64_t days = era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
    return days * DAY_NS;
}
