/* Numbering plans: which digits can be a telephone number, and whose. */
#ifndef WEIR_POLICIES_SCAN_PHONE_PLAN_H
#define WEIR_POLICIES_SCAN_PHONE_PLAN_H

#include "weir_base.h"

enum phone_plan { PHONE_NONE, PHONE_ANY, PHONE_PH_MOBILE, PHONE_TR };

/* digits without separators and without '+'; international: they begin with a country's calling code. */
enum phone_plan phone_plan_of(str digits, bool international);

#endif
